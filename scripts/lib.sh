# Shell functions for the demo and the cluster tests: a temporary folder that is removed at the end, starting, killing
# and awaiting replicas, and some checks. Source it; bash only. Needs ORDAIN_BIN, the `ordain` program.
#
# Only processes that were started here are ever killed. Every wait has a deadline.
# shellcheck shell=bash

POLL_S=0.05      # time between two polls of a condition
# How long conditions are waited for, unless a call says otherwise.
DEADLINE_S=${DEADLINE_S:-60}

WORK=""                # the temporary folder
NET=""                 # the channel's folder, set by make_network
CLIENT=""              # its client.cfg
REPLICA_COUNT=0
declare -A REPLICA_PID # index -> pid, while it runs
# index -> what it does, as options of ordain-faulty (which needs ORDAIN_FAULTY_BIN); replicas not listed here are
# honest.
declare -A LIAR
# index -> words put before its command, naming a program that turns into what it runs, such as env or `ip netns exec`.
declare -A WRAPPER
BACKGROUND=()          # pids of other processes started here
CLEANUPS=()            # commands to run at the end, last first

say() { printf '%s\n' "$*"; }

# Prints what failed and the last lines of the replicas' logs, and exits.
die() {
    printf 'FAILED: %s\n' "$*" >&2
    local index
    for ((index = 0; index < REPLICA_COUNT; index++)); do
        [ -s "$NET/replica$index/log" ] || continue
        printf -- '--- replica %s, last lines of its log\n' "$index" >&2
        tail -n "${LOG_LINES:-8}" "$NET/replica$index/log" >&2
    done
    exit 1
}

on_exit() { CLEANUPS+=("$*"); }

clean_up() {
    local status=$? pid i
    trap - EXIT INT TERM
    {
        for pid in "${REPLICA_PID[@]}" "${BACKGROUND[@]}"; do
            pkill -KILL --parent "$pid" || true # what a background function is running just now
            kill -KILL "$pid" || true
        done
        for pid in "${REPLICA_PID[@]}" "${BACKGROUND[@]}"; do
            wait "$pid" || true
        done
    } 2>/dev/null # bash reports each process that was killed
    for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do
        ${CLEANUPS[i]} || true
    done
    [ -z "$WORK" ] || rm -rf "$WORK"
    exit "$status"
}

# Makes $WORK and arranges that it, and everything that runs, is gone at the end.
begin() {
    : "${ORDAIN_BIN:?the ordain program}"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/ordain.XXXXXX")
}

ordain() { "$ORDAIN_BIN" "$@"; }

# until_true SECONDS WHAT COMMAND...: polls the command until it succeeds; dies at the deadline.
until_true() {
    local seconds=$1 what=$2 end=$((SECONDS + $1 + 1))
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || die "not within $seconds s: $what"
        sleep "$POLL_S"
    done
}

now_ms() { date +%s%3N; }

# make_network FOLDER INIT_OPTIONS...: runs `ordain init`; sets $NET, $CLIENT and $REPLICA_COUNT.
make_network() {
    NET=$1
    shift
    ordain init "$NET" "$@" >"$WORK/init.out" || die "ordain init"
    CLIENT=$NET/client/client.cfg
    local folders=("$NET"/replica*/)
    REPLICA_COUNT=${#folders[@]}
}

# spawn_replica INDEX: starts the replica and does not wait for it.
spawn_replica() {
    local folder=$NET/replica$1
    local program=("$ORDAIN_BIN" start)
    # shellcheck disable=SC2206 # splitting into words is wanted
    [ -z "${LIAR[$1]:-}" ] || program=("$ORDAIN_FAULTY_BIN" start --behaviour ${LIAR[$1]})
    : >"$folder/out"
    # shellcheck disable=SC2206 # splitting into words is wanted
    program=(${WRAPPER[$1]:-} "${program[@]}")
    "${program[@]}" --config "$folder/node.cfg" >"$folder/out" 2>>"$folder/log" &
    REPLICA_PID[$1]=$!
}

replica_ready_or_gone() {
    grep -q '^ready ' "$NET/replica$1/out" || ! kill -0 "${REPLICA_PID[$1]}" 2>/dev/null
}

# wait_ready INDEX: waits until the replica has printed its ready line.
wait_ready() {
    until_true "$DEADLINE_S" "replica $1 is ready" replica_ready_or_gone "$1"
    grep -q '^ready ' "$NET/replica$1/out" || die "replica $1 ended before it was ready"
}

start_replica() {
    spawn_replica "$1"
    wait_ready "$1"
}

# start_replicas INDEX...: starts all of them at once, then waits for each.
start_replicas() {
    local index
    for index in "$@"; do spawn_replica "$index"; done
    for index in "$@"; do wait_ready "$index"; done
}

# speaks INDEX: the replica has finished asking what it said before it started, and is not silent.
speaks() { [ "$(field "$1" asking)$(field "$1" silent)" = falsefalse ]; }

# start_cluster: starts all replicas and waits until each takes part, except a liar, which the others may ignore.
start_cluster() {
    local indexes index
    mapfile -t indexes < <(seq 0 $((REPLICA_COUNT - 1)))
    start_replicas "${indexes[@]}"
    for index in "${indexes[@]}"; do
        [ -n "${LIAR[$index]:-}" ] || until_true "$DEADLINE_S" "replica $index takes part" speaks "$index"
    done
}

# kill_replica INDEX...: kills them with kill -9, all before it waits for any.
kill_replica() {
    local index
    for index in "$@"; do kill -KILL "${REPLICA_PID[$index]}" || die "replica $index was not running"; done
    for index in "$@"; do
        wait "${REPLICA_PID[$index]}" || true
        unset "REPLICA_PID[$index]"
    done 2>/dev/null # bash reports each process that was killed
}

process_gone() { ! kill -0 "$1" 2>/dev/null; }

# stop_replica INDEX...: sends SIGTERM; each must end with exit code 0.
stop_replica() {
    local index status
    for index in "$@"; do kill -TERM "${REPLICA_PID[$index]}" || die "replica $index was not running"; done
    for index in "$@"; do
        until_true "$DEADLINE_S" "replica $index stops on SIGTERM" process_gone "${REPLICA_PID[$index]}"
        status=0
        wait "${REPLICA_PID[$index]}" || status=$?
        unset "REPLICA_PID[$index]"
        [ "$status" -eq 0 ] || die "replica $index ended with exit code $status on SIGTERM"
    done
}

stop_cluster() { stop_replica "${!REPLICA_PID[@]}"; }

# status_json: prints the output of `ordain status --json`, in which replicas that do not answer are unreachable.
status_json() { ordain status --config "$CLIENT" --json 2>/dev/null || true; }

# field INDEX NAME: prints one value of a replica's status (nothing if it is unreachable): height, seq, primary,
# counters.turns ...
field() {
    status_json | jq -r --argjson index "$1" ".replicas[] | select(.replica == \$index and .reachable) | .$2"
}

# leader_known: a replica that answers knows who leads. $WORK/leader gets the index.
leader_known() {
    status_json | jq -e 'first(.replicas[] | select(.reachable) | .primary | values)' >"$WORK/leader"
}

# primary: prints the index of the replica that leads. During a view change it waits for the next one.
primary() {
    until_true "$DEADLINE_S" "a replica knows who leads" leader_known
    cat "$WORK/leader"
}

# first_primary: prints the leader of view 0, which follows from the genesis hash (docs/protocol.md), before any replica
# runs.
first_primary() {
    local hash high low
    hash=$(sed -n 's/^genesis block \([0-9a-f]\{64\}\)$/\1/p' "$WORK/init.out")
    [ -n "$hash" ] || die "no genesis hash"
    high=$((16#${hash:0:8})) low=$((16#${hash:8:8})) # 64 bits do not fit bash's signed numbers
    say $(((high % REPLICA_COUNT * ((1 << 32) % REPLICA_COUNT) + low % REPLICA_COUNT) % REPLICA_COUNT))
}

# lies INDEX BEHAVIOUR: prints how often it lied, at least (it logs the 1st, 2nd, 4th, 8th ... lie); 0: never.
lies() {
    local count
    count=$(sed -n "s/.* event=lie .*behaviour=$2 count=//p" "$NET/replica$1/log" | tail -n 1)
    say "${count:-0}"
}

# a_backup: prints the index of a random replica that does not lead.
a_backup() {
    local leader index
    leader=$(primary)
    index=$((RANDOM % (REPLICA_COUNT - 1)))
    [ "$index" -lt "$leader" ] || index=$((index + 1))
    say "$index"
}

# heights: prints the certified height of every replica on one line, "-" for one that does not answer.
heights() {
    status_json | jq -r '[.replicas[] | if .reachable then .certified_height else "-" end] | join(" ")'
}

all_level() {
    local all
    all=$(heights)
    # shellcheck disable=SC2086 # splitting into words is wanted
    [ -n "$all" ] && [ "$(printf '%s\n' $all | sort -u | wc -l)" -eq 1 ] && [[ "$all" != *-* ]]
}

# wait_level [SECONDS]: waits until every replica answers and all are certified to the same height.
wait_level() { until_true "${1:-$DEADLINE_S}" "all replicas at one height" all_level; }

height_at_least() {
    local height
    height=$(field "$1" certified_height)
    [ -n "$height" ] && [ "$height" -ge "$2" ]
}

submit() { ordain submit --config "$CLIENT" "$@"; }

# deliver_from INDEX OUT_PREFIX: fetches the whole verified chain of one replica: OUT_PREFIX.hex (transactions) and
# OUT_PREFIX.chain (blocks).
deliver_from() {
    ordain deliver --config "$CLIENT" --replica "$1" --from oldest --to newest --hex --chain "$2.chain" \
        >"$2.hex" 2>"$2.log" || {
        cat "$2.log" >&2
        die "deliver from replica $1"
    }
}

# deliver_all OUT_PREFIX: does this for every replica, with OUT_PREFIX0, OUT_PREFIX1, ...; the files must be
# byte-identical.
deliver_all() {
    local index
    for ((index = 0; index < REPLICA_COUNT; index++)); do
        deliver_from "$index" "$1$index"
        cmp "${1}0.chain" "$1$index.chain" || die "the chains of replicas 0 and $index differ"
        cmp "${1}0.hex" "$1$index.hex" || die "the transactions of replicas 0 and $index differ"
    done
}

# sorted_digest HEX_FILE: prints SHA-256 over the transactions, sorted bytewise and concatenated.
sorted_digest() {
    LC_ALL=C sort "$1" | tr -d '\n' | tr a-f A-F | basenc --base16 --decode | sha256sum | cut -d' ' -f1
}

# same_transactions EXPECTED ACTUAL: each line of EXPECTED must be in ACTUAL exactly as often, and no other line.
same_transactions() {
    LC_ALL=C sort "$1" >"$WORK/expected.sorted"
    LC_ALL=C sort "$2" >"$WORK/actual.sorted"
    cmp -s "$WORK/expected.sorted" "$WORK/actual.sorted" && return
    say "missing from the chain: $(LC_ALL=C comm -23 "$WORK/expected.sorted" "$WORK/actual.sorted" | wc -l)" >&2
    say "in the chain and not expected: $(LC_ALL=C comm -13 "$WORK/expected.sorted" "$WORK/actual.sorted" | wc -l)" >&2
    return 1
}

# watch_start INDEX oldest|newest: starts a reader of this replica. $WORK/gap gets the longest time in ms between two
# blocks that it receives, and $WORK/watched the height of the newest one. With "oldest", time counts from the first
# block after the genesis block.
watch_progress() {
    local line now last=0 gap=0 lines=0 first=1
    [ "$2" = newest ] || first=2
    while read -r line; do
        now=$(now_ms)
        lines=$((lines + 1))
        : >"$WORK/watching"
        if ((lines > first && now - last > gap)); then
            gap=$((now - last))
            printf '%s\n' "$gap" >"$WORK/gap"
        fi
        last=$now
        [[ "$line" =~ \"height\":([0-9]+) ]] && printf '%s\n' "${BASH_REMATCH[1]}" >"$WORK/watched"
    done < <(exec "$ORDAIN_BIN" deliver --config "$CLIENT" --replica "$1" --from "$2" --to forever --json 2>/dev/null)
}

# watched_past HEIGHT: succeeds if the reader has received the block of this height.
watched_past() {
    local height
    read -r height 2>/dev/null <"$WORK/watched" && [ "$height" -ge "$1" ]
}

watch_start() {
    printf '0\n' >"$WORK/gap"
    printf '0\n' >"$WORK/watched"
    rm -f "$WORK/watching"
    (
        trap - EXIT
        watch_progress "$@"
    ) &
    WATCHER=$!
    BACKGROUND+=("$WATCHER")
    until_true "$DEADLINE_S" "a reader gets a block" test -e "$WORK/watching"
}

watch_stop() {
    pkill -KILL --parent "$WATCHER" || true # the reader
    kill -KILL "$WATCHER" 2>/dev/null || true
    wait "$WATCHER" 2>/dev/null || true
}

# package_records OUT: writes real records that every Debian machine has: the packages of dpkg's database, one per line,
# in hex.
package_records() {
    awk 'BEGIN { RS = ""; ORS = "\001" } { print }' /var/lib/dpkg/status |
        od -An -v -tx1 -w1 |
        awk '$1 == "01" { print line; line = ""; next } { line = line $1 }' >"$1"
    [ -s "$1" ] || die "no records in /var/lib/dpkg/status"
}

# numbered_transactions OUT COUNT TAG: writes COUNT small transactions, all different, in hex.
numbered_transactions() {
    awk -v count="$2" -v tag="$3" 'BEGIN {
        digits = "abcdefghijklmnopqrstuvwxyz0123456789"
        for (i = 0; i < length(tag); i++) prefix = prefix sprintf("%02x", index(digits, substr(tag, i + 1, 1)))
        for (i = 1; i <= count; i++) printf "%s%016x\n", prefix, i
    }' >"$1"
}
