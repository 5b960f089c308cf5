#!/usr/bin/env bash
# Allocations fail (row F6): only the N-th of a command or a replica, or all from the N-th on, for every N up to 40 and
# for some larger ones. The program ends with a documented exit code and gives the reason, or continues. It never
# crashes or hangs, calls good data bad, blames a replica, or leaves half a file. ORD_ALLOC_ROUNDS: number of replicas
# to run under load, for a long test. tests/tools/alloc_fault.c says which allocations count.
set -euo pipefail
. "$(dirname "$0")/common.sh"
: "${ALLOC_FAULT_LIB:?memory that runs out}" "${LIAR_BIN:?the lying replica}"
begin

seed=${ORD_ALLOC_SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$seed
say "seed $seed; ORD_ALLOC_SEED=$seed draws the same again"

# without_memory HOW NTH: prints the words to put before a command.
without_memory() { say "env ALLOC_FAULT_HOW=$1 ALLOC_FAULT_NTH=$2 LD_PRELOAD=$ALLOC_FAULT_LIB"; }

# allocations COMMAND...: prints how many allocations the command makes when none fails.
allocations() {
    local before
    read -ra before < <(without_memory once 0)
    "${before[@]}" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null ||
        { cat "$WORK/err" >&2; die "it fails with all the memory: $*"; }
    sed -n 's/^alloc_fault: \([0-9]*\) calls$/\1/p' "$WORK/err"
}

# spread COUNT: prints every number up to 40 and some larger ones, none above COUNT + 1 (with which nothing fails).
spread() {
    local n=1
    while [ "$n" -le $(($1 + 1)) ]; do
        say "$n"
        n=$((n < 40 ? n + 1 : n + 1 + RANDOM % (n / 2)))
    done
}

# run_without HOW NTH COMMAND...: sets $status, $failed and $blamed. Standard output and error are in $WORK/out and
# $WORK/err.
run_without() {
    local before
    read -ra before < <(without_memory "$1" "$2")
    shift 2
    status=0
    timeout -s KILL 20 "${before[@]}" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || status=$?
    failed=0
    ! grep -q '^alloc_fault: ' "$WORK/err" || failed=1
    blamed=0
    ! grep -q 'do not trust\|does not verify\|NOT GOOD\|damaged\|malformed' "$WORK/out" "$WORK/err" || blamed=1
}

wrong() {
    cat "$WORK/out" "$WORK/err" >&2
    die "$1, $2 from the $3-th allocation on: exit code $status"
}

# offline WHAT CHECK COMMAND...: each run must end with exit code 0 and the right output, or with 4 and a message. CHECK
# looks at what the run left behind.
offline() {
    local what=$1 check=$2 count how n right fails=0
    shift 2
    count=$(allocations "$@")
    right=$(sha256sum <"$WORK/out")
    "$check" 0 || die "$what"
    for how in once forever; do
        for n in $(spread "$count"); do
            run_without "$how" "$n" "$@"
            [ "$blamed" -eq 0 ] || wrong "$what blames somebody" "$how" "$n"
            if [ "$status" -eq 0 ]; then
                [ "$what" = init ] || [ "$(sha256sum <"$WORK/out")" = "$right" ] ||
                    wrong "$what says something else" "$how" "$n"
            else
                [ "$status" -eq 4 ] && [ "$failed" -eq 1 ] && grep -qv '^alloc_fault' "$WORK/err" ||
                    wrong "$what" "$how" "$n"
                fails=$((fails + 1))
            fi
            "$check" "$status" || wrong "$what leaves something behind" "$how" "$n"
        done
    done
    [ "$fails" -gt 0 ] || die "$what: nothing failed"
    ok "F6: $what: $count allocations, each failing: exit code 4 in $fails runs"
}

nothing_left() { true; }
# The folder must be whole, or not exist.
whole_folder() {
    if [ "$1" -ne 0 ]; then
        [ ! -e "$WORK/made" ]
    else
        [ -f "$WORK/made/client/client.cfg" ] && [ -f "$WORK/made/genesis.block" ] && rm -r "$WORK/made"
    fi
}
offline init whole_folder "$ORDAIN_BIN" init "$WORK/made" --channel made --consensus solo

make_network "$WORK/net" --replicas 4 --consensus pbft --channel memory --batch-timeout 20
start_cluster
numbered_transactions "$WORK/first.hex" 100 first
submit --hex --wait "$WORK/first.hex" >"$WORK/submit.out" 2>&1 || die "submit"
wait_level
ordain receipt --config "$CLIENT" --sequence 1 --out "$WORK/receipt" >/dev/null || die "receipt"

# Make evidence to check, against a replica whose keys another program uses for a moment.
victim=$(a_backup)
other=$(((victim + 1) % 4))
view=$(field "$other" view)
seq=$(($(field "$other" seq) + 1))
stop_replica "$victim"
"$LIAR_BIN" "$NET" "$victim" "$view" "$seq" >"$WORK/liar.out" 2>&1 &
BACKGROUND+=("$!")
all_have_evidence() {
    status_json | jq -e --argjson victim "$victim" '[.replicas[] | select(.replica != $victim)
        | .evidence == [{"against": $victim, "pieces": 2}]] | length == 3 and all' >/dev/null
}
until_true "$DEADLINE_S" "three replicas keep evidence" all_have_evidence
kill -KILL "${BACKGROUND[0]}"
wait "${BACKGROUND[0]}" 2>/dev/null || true
BACKGROUND=()
ordain evidence export --config "$CLIENT" --out "$WORK/evidence" >/dev/null || die "evidence"
start_replica "$victim"

# online WHAT COMMAND...: commands that ask replicas must not blame any. If all memory is gone from some point on, they
# may hear nothing until their patience ends, so only a third of those runs are made.
online() {
    local what=$1 count how n patience ends=0
    shift
    count=$(allocations "$@")
    for how in once forever; do
        [ "$how" = once ] && patience=$DEADLINE_S || patience=0.1
        for n in $(spread "$count"); do
            [ "$how" = once ] || [ $((RANDOM % 3)) -eq 0 ] || continue
            run_without "$how" "$n" "$@" --timeout "$patience"
            [ "$blamed" -eq 0 ] || wrong "$what blames somebody" "$how" "$n"
            case $status in
            0) ;;
            1 | 3 | 4) grep -qv '^alloc_fault' "$WORK/err" || wrong "$what says nothing" "$how" "$n" ;;
            *) wrong "$what" "$how" "$n" ;;
            esac
            [ "$status" -eq 0 ] || ends=$((ends + 1))
        done
    done
    [ "$ends" -gt 0 ] || die "$what: nothing failed"
    ok "F6: $what: some $count allocations, each failing: $ends runs had to end"
}
online status "$ORDAIN_BIN" status --config "$CLIENT"
online submit "$ORDAIN_BIN" submit --config "$CLIENT" --generate 5 --size 50 --per-envelope 2 --wait

# ended INDEX: stops the replica if it still runs; sets $status and checks how it ended.
ended() {
    kill -TERM "${REPLICA_PID[$1]}" 2>/dev/null || true
    until_true "$DEADLINE_S" "replica $1 stops" process_gone "${REPLICA_PID[$1]}"
    status=0
    wait "${REPLICA_PID[$1]}" || status=$?
    unset "REPLICA_PID[$1]"
    case $status in
    0) ;;
    4)
        grep -q 'level=error .*event=fatal\|^ordain start: ' "$NET/replica$1/log" ||
            die "it does not say why it ended"
        ;;
    *) die "replica $1, ${WRAPPER[$1]}: exit code $status" ;;
    esac
}

failing() { grep -q '^alloc_fault: ' "$NET/replica$victim/log" || process_gone "${REPLICA_PID[$victim]}"; }

stop_replica "$victim"
refused_starts=0
starts=0
for n in $(spread 60); do
    [ $((RANDOM % 2)) -eq 0 ] && how=once || how=forever
    : >"$NET/replica$victim/log"
    WRAPPER[$victim]=$(without_memory "$how" "$n")
    spawn_replica "$victim"
    until_true "$DEADLINE_S" "replica $victim is ready or gone" replica_ready_or_gone "$victim"
    ended "$victim"
    starts=$((starts + 1))
    [ "$status" -eq 0 ] || refused_starts=$((refused_starts + 1))
done
[ "$refused_starts" -ge 30 ] || die "only $refused_starts starts failed"
ok "F6: start: $refused_starts of $starts ended with exit code 4, the others served"

load_start --replica "$other"
for ((round = 0; round < ${ORD_ALLOC_ROUNDS:-4}; round++)); do
    [ $((round % 2)) -eq 0 ] && how=once || how=forever
    : >"$NET/replica$victim/log"
    WRAPPER[$victim]=$(without_memory "$how" $((70 + RANDOM % 1500)))
    spawn_replica "$victim"
    until_true "$DEADLINE_S" "an allocation of replica $victim fails" failing
    height=$(field "$other" certified_height)
    until_true "$DEADLINE_S" "the others go on" height_at_least "$other" $((height + 5))
    ended "$victim"
    ok "F6: under load, ${WRAPPER[$victim]%% LD_PRELOAD*}:" \
        "$(sed -n 's/^alloc_fault: //p' "$NET/replica$victim/log"), exit code $status"
    load_alive
done
unset "WRAPPER[$victim]"
start_replica "$victim"
load_stop
wait_level
all_have_evidence || die "somebody else is blamed"
deliver_all "$WORK/chain"
LC_ALL=C sort "$WORK/first.hex" "$WORK/load.hex" >"$WORK/expected"
LC_ALL=C sort "$WORK/chain0.hex" >"$WORK/actual"
[ -z "$(LC_ALL=C comm -23 "$WORK/expected" "$WORK/actual")" ] || die "something final is missing"
[ -z "$(uniq -d "$WORK/actual")" ] || die "something is there twice"
ok "four byte-identical verified chains, with all that was final, once"
stop_cluster
check_ledgers

offline verify nothing_left "$ORDAIN_BIN" verify "$WORK/receipt" --genesis "$NET/genesis.block"
offline "evidence verify" nothing_left "$ORDAIN_BIN" evidence verify "$WORK/evidence" --genesis "$NET/genesis.block"
offline "ledger show" nothing_left "$ORDAIN_BIN" ledger show "$NET/replica$other/data"
offline "ledger verify" nothing_left \
    "$ORDAIN_BIN" ledger verify "$NET/replica$other/data" --genesis "$NET/genesis.block"
