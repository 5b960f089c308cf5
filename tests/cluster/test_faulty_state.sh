#!/usr/bin/env bash
# Replicas that are wrong about the state, under load. One claims to be a million seqs ahead (C3); no replica takes that
# as its target. One executes something else than was decided, without knowing (C1); it stops by itself and gives the
# reason. One asks for state without end (C7, and with it T9); no replica's memory grows.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/faulty.sh"
begin

MEMORY_GROWTH_KIB=$((32 * 1024)) # allowed growth from a flood's first seconds to its last

# One replica is away until the liar begins to lie: two faults at a time would be one too many.
with_liar 2 great_claims 150 --window 16 --checkpoint-interval 8 --max-message-count 40
start_cluster
away=$((($(primary) + 1) % 4))
LOAD_PIECE=100 load_start
until_true "$DEADLINE_S" "a first block" height_at_least "$away" 1
kill_replica "$away"
until_true "$DEADLINE_S" "the others leave replica $away behind" honest_is 'any(.seq >= 150)'
target=$(honest 'map(.certified_height) | max')
start_replica "$away"
wait_lie 16
until_true "$DEADLINE_S" "replica $away catches up to height $target" height_at_least "$away" "$target"
goes_on 5
wait_lie 64
claimed=$(sed -n 's/.*event=sync_started .*target_height=\([0-9]*\) .*/\1/p' "$NET"/replica*/log | sort -n | tail -n 1)
newest=$(honest 'map(.height) | max')
[ -n "$claimed" ] && [ "$claimed" -le "$newest" ] ||
    die "somebody's target was height ${claimed:-none}, with $newest blocks there"
ok "C3: a million ahead, $(lies "$LIES" great_claims) times: the highest target was height $claimed of $newest"
end_liar

with_liar 2 wrong_execution 30
start_cluster
LOAD_PIECE=100 load_start
wait_lie
until_true "$DEADLINE_S" "replica $LIES stops by itself" process_gone "${REPLICA_PID[$LIES]}"
status=0
wait "${REPLICA_PID[$LIES]}" || status=$?
unset "REPLICA_PID[$LIES]"
[ "$status" -eq 4 ] || die "it ended with exit code $status"
grep -q 'event=state_differs seq=' "$NET/replica$LIES/log" || die "it does not say that its state differs"
grep -q 'event=fatal err=MISMATCH ' "$NET/replica$LIES/log" || die "it does not say why it stopped"
[ "$(grep -l 'event=state_differs' "$NET"/replica*/log)" = "$NET/replica$LIES/log" ] ||
    die "an honest replica stopped, too"
goes_on 5
honest_is 'length == 3 and all(.view == 0)' || die "the others do not just go on"
ok "C1: it stopped with exit code 4: $(sed -n 's/.*event=state_differs //p' "$NET/replica$LIES/log")"
load_alive
load_stop
stop_cluster
# An operator who knows the reason gives it an empty disk.
unset "LIAR[$LIES]"
rm -r "$NET/replica$LIES/data"
: >"$NET/replica$LIES/log"
start_cluster
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers

# memory: prints the largest private memory of an honest replica, in KiB.
memory() {
    local index now most=0
    for index in "${!REPLICA_PID[@]}"; do
        [ "$index" -ne "$LIES" ] || continue
        now=$(awk '$1 == "RssAnon:" { print $2 }' "/proc/${REPLICA_PID[$index]}/status")
        [ "$now" -le "$most" ] || most=$now
    done
    say "$most"
}
for flood in "C7 ask_flood" "T9 flood"; do
    with_liar 2 "${flood#* }" 0
    start_cluster
    LOAD_PIECE=100 load_start
    wait_lie 64
    goes_on 2
    before=$(memory)
    wait_lie 512
    goes_on 5
    after=$(memory)
    honest_is 'all(.view == 0 and .counters.evidence == 0)' || die "somebody left view 0, or is accused"
    [ "$after" -lt $((before + MEMORY_GROWTH_KIB)) ] || die "memory grew from $before to $after KiB"
    ok "${flood% *}: ${flood#* }, $(lies "$LIES" "${flood#* }") times: $before KiB at first, then $after KiB"
    end_liar
done
