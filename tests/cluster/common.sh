# Shared by the cluster tests, on top of scripts/lib.sh.
# shellcheck shell=bash
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/lib.sh
. "$TOP/scripts/lib.sh"

# A real Bitcoin block, used if it lies beside the project: 2,500 transactions of 188 to 170,363 bytes.
BITCOIN_BLOCK=$TOP/../shared/data/bitcoin-mainnet-block.hex

# Tests that hold for both protocols run with each (cluster.cmake).
CONSENSUS=${CONSENSUS:-pbft}
case $CONSENSUS in
    pbft) REPLICAS=${REPLICAS:-4} ;;
    raft) REPLICAS=${REPLICAS:-3} ;;
esac

ok() { say "ok: $*"; }

# make_channel NAME INIT_OPTIONS...: makes the network of this test.
make_channel() { make_network "$WORK/net" --replicas "$REPLICAS" --consensus "$CONSENSUS" --channel "$@"; }

# all_replicas: prints the index of each.
all_replicas() { seq 0 $((REPLICA_COUNT - 1)); }

# another INDEX: prints the index of a random other replica.
another() { say $((($1 + 1 + RANDOM % (REPLICA_COUNT - 1)) % REPLICA_COUNT)); }

# real_transactions OUT: writes the Bitcoin block, or if it is not there this machine's package records.
real_transactions() {
    if [ -r "$BITCOIN_BLOCK" ]; then
        grep . "$BITCOIN_BLOCK" >"$1"
    else
        package_records "$1"
    fi
}

# transaction_of_size BYTES: prints one transaction, in hex.
transaction_of_size() { head -c "$1" /dev/zero | od -An -v -tx1 -w1 | awk '{ printf "%s", $1 } END { print "" }'; }

# refused EXIT_CODE PATTERN COMMAND...: the command must end with this exit code, and its output must match the pattern.
refused() {
    local expected=$1 pattern=$2 status=0
    shift 2
    if [ "$1" = ordain ]; then set -- "$ORDAIN_BIN" "${@:2}"; fi # timeout runs programs, not functions
    timeout "$DEADLINE_S" "$@" >"$WORK/refused.out" 2>&1 || status=$?
    [ "$status" -eq "$expected" ] || {
        cat "$WORK/refused.out" >&2
        die "exit code $status instead of $expected: $*"
    }
    grep -Eqi -e "$pattern" "$WORK/refused.out" || {
        cat "$WORK/refused.out" >&2
        die "it does not say '$pattern': $*"
    }
}

# random_pause MS: sleeps for a random time of at most MS milliseconds. The moment of a kill must not depend on what the
# cluster is doing.
random_pause() {
    local ms=$((RANDOM % ($1 + 1)))
    sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
}

# check_chains EXPECTED_HEX: waits until all replicas are level. Their verified chains must be byte-identical and hold
# these transactions, each exactly once, and no others.
check_chains() {
    wait_level
    deliver_all "$WORK/chain"
    same_transactions "$1" "$WORK/chain0.hex" || die "not each transaction exactly once"
    [ "$(sorted_digest "$1")" = "$(sorted_digest "$WORK/chain0.hex")" ] || die "digests differ"
    ok "$(wc -l <"$1") transactions, each exactly once; $REPLICA_COUNT byte-identical verified chains"
}

# verify_ledger INDEX: the ledger of a replica that does not run verifies. HEIGHT gets its height.
verify_ledger() {
    ordain ledger verify "$NET/replica$1/data" --genesis "$NET/genesis.block" --json >"$WORK/ledger.json" \
        2>"$WORK/ledger.err" || {
        cat "$WORK/ledger.json" "$WORK/ledger.err" >&2
        die "the ledger of replica $1 does not verify"
    }
    # shellcheck disable=SC2034 # the tests read it
    HEIGHT=$(jq .height "$WORK/ledger.json")
}

# check_ledgers: every replica's ledger on disk must verify.
check_ledgers() {
    local index
    for ((index = 0; index < REPLICA_COUNT; index++)); do
        verify_ledger "$index"
    done
    ok "$REPLICA_COUNT ledgers on disk verify"
}

# memory_kib INDEX: prints the replica's private memory. The ledger's mapped pages belong to the page cache.
memory_kib() { awk '$1 == "RssAnon:" { print $2 }' "/proc/${REPLICA_PID[$1]}/status"; }

# order TAG COUNT SUBMIT_OPTIONS...: orders so many transactions and waits for the receipts. $WORK/all.hex gets them.
order() {
    numbered_transactions "$WORK/piece.hex" "$2" "$1"
    submit --hex --wait "${@:3}" "$WORK/piece.hex" >"$WORK/submit.out" 2>&1 || {
        cat "$WORK/submit.out" >&2
        die "submit"
    }
    cat "$WORK/piece.hex" >>"$WORK/all.hex"
}

# load_run SUBMIT_OPTIONS...: submits pieces of $LOAD_PIECE transactions one after the other until load_stop. Each piece
# waits for its receipts. $WORK/load.hex gets the transactions that have them. Any failure fails the test.
LOAD_PIECE=${LOAD_PIECE:-300}
load_run() {
    local piece=0
    while [ ! -e "$WORK/load.stop" ]; do
        piece=$((piece + 1))
        numbered_transactions "$WORK/load.piece" "$LOAD_PIECE" "load$piece"
        submit --hex --wait "$@" "$WORK/load.piece" >"$WORK/load.out" 2>&1 || {
            cat "$WORK/load.out" >&2
            say "submit failed in piece $piece" >&2
            return 1
        }
        cat "$WORK/load.piece" >>"$WORK/load.hex"
    done
}

load_start() {
    : >"$WORK/load.hex"
    rm -f "$WORK/load.stop"
    # A process of its own, so that its submission ends with it.
    (
        trap - EXIT
        load_run "$@"
    ) &
    LOAD_PID=$!
    BACKGROUND+=("$LOAD_PID")
}

load_alive() { kill -0 "$LOAD_PID" 2>/dev/null || die "the load ended too early"; }

load_stop() {
    : >"$WORK/load.stop"
    until_true "$DEADLINE_S" "the load ends" process_gone "$LOAD_PID"
    wait "$LOAD_PID" || die "the load failed"
    BACKGROUND=()
}

# through REPLICA TAG: the second client (init option --clients 2) submits to this replica only, for 3 s, and waits for
# its receipts; end it with through_end. A primary that is cut off or frozen may hold all that the first client has
# submitted. The others' clocks would not run on that before the client, which has its own patience, submits it to them.
through() {
    numbered_transactions "$WORK/through.piece" 150 "$2"
    cat "$WORK/through.piece" >>"$WORK/through.hex"
    ordain submit --config "$NET/client2/client.cfg" --replica "$1" --rate 50 --hex --wait "$WORK/through.piece" \
        >"$WORK/through.out" 2>&1 &
    THROUGH=$!
    BACKGROUND+=("$THROUGH")
}
through_end() { wait "$THROUGH" || die "the second client: $(cat "$WORK/through.out")"; }

# in_time MS BASE_MS [TIMES]: true if MS is within what this machine can do now: BASE_MS, and TIMES (default 1) times
# ten of what PACE_ROUNDS rounds take, in each of which the program is started once for each replica, all at once. That
# is 20 to 50 ms on a quiet machine. A view change has about as many steps in which all replicas have something to do;
# single starts say little, because one process gets its turn on a busy machine where seven do not.
PACE_ROUNDS=5
in_time() {
    local began i j pids
    began=$(now_ms)
    for ((i = 0; i < PACE_ROUNDS; i++)); do
        pids=()
        for ((j = 0; j < REPLICA_COUNT; j++)); do
            "$ORDAIN_BIN" help >/dev/null &
            pids+=("$!")
        done
        wait "${pids[@]}"
    done
    PACE_MS=$(($(now_ms) - began))
    IN_TIME_MS=$(($2 + 10 * ${3:-1} * PACE_MS))
    [ "$1" -lt "$IN_TIME_MS" ] || {
        say "$1 ms are too many; $IN_TIME_MS would do while $PACE_ROUNDS rounds of starts take $PACE_MS ms" >&2
        return 1
    }
}
