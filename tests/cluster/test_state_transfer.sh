#!/usr/bin/env bash
# A backup that was away for longer than the others' logs reach comes back by state transfer, under load and with an
# open block (the tail). It also does so when it is killed at one write or sync of the transfer after the other (row
# C6): each life continues where the last one ended. Afterwards it equals the others, on disk too.
set -euo pipefail
. "$(dirname "$0")/common.sh"
: "${IO_FAULT_LIB:?what kills it at a write}"
begin

rounds=${ROUNDS:-2}
make_network "$WORK/net" --replicas 4 --consensus pbft --channel transfer --batch-timeout 150 --window 16 \
    --checkpoint-interval 8 --max-message-count 200
start_cluster
victim=$(a_backup)
leader=$(primary)
log=$NET/replica$victim/log
# Number of transfers that the victim began in all its lives so far; its log spans all of them.
begun() { grep -c 'event=sync_started' "$log" || true; }
seq_at_least() { [ "$(field "$1" seq)" -ge "$2" ]; }
# Waits until the others are more than a window ahead of where the victim stopped.
leave_behind() {
    local from
    from=$(field "$leader" seq)
    until_true "$DEADLINE_S" "the others leave replica $victim behind" seq_at_least "$leader" $((from + 40))
}
more_begun() { [ "$(begun)" -gt "$before" ]; }
catches_up() {
    local target
    target=$(field "$leader" certified_height)
    until_true "$DEADLINE_S" "replica $victim catches up to height $target" height_at_least "$victim" "$target"
    load_alive
    ok "$1: replica $victim came back by state transfer, to height $target and beyond"
}

LOAD_PIECE=100 load_start
for ((round = 1; round <= rounds; round++)); do
    kill_replica "$victim"
    leave_behind
    before=$(begun)
    start_replica "$victim"
    until_true "$DEADLINE_S" "replica $victim begins a state transfer" more_begun
    catches_up "round $round"
done

# The victim lacks a dozen pieces. In each life it is killed one write or sync later than in the life before, until a
# life completes the transfer. A life must not ask again for what an earlier one kept.
kill_replica "$victim"
head -c 12000000 /dev/urandom | od -An -v -tx1 -w10000 | tr -d ' ' >"$WORK/much.hex"
submit --hex --wait "$WORK/much.hex" >/dev/null || die "submit of much"
leave_behind
WRAPPER[$victim]="env LD_PRELOAD=$IO_FAULT_LIB IO_FAULT_FOLDER=$(realpath "$NET")/replica$victim/data"
WRAPPER[$victim]+=" IO_FAULT_TRIGGER=$WORK/fail"
# one_life CALL: runs the victim until it is killed at this write or sync. The log has this life only.
one_life() {
    local status=0
    printf 'any kill %s once\n' "$1" >"$WORK/fail"
    : >"$log"
    spawn_replica "$victim"
    {
        timeout "$DEADLINE_S" tail --pid="${REPLICA_PID[$victim]}" -s "$POLL_S" -f /dev/null || status=124
        [ "$status" -ne 0 ] || wait "${REPLICA_PID[$victim]}" || status=$?
    } 2>/dev/null # bash reports each process that was killed
    [ "$status" -eq 137 ] && grep -q '^io_fault: ' "$log" || die "life $1 ended with $status, or not at all"
    unset "REPLICA_PID[$victim]"
}
started_at() { sed -n 's/.* event=sync_started height=\([0-9]*\) .*/\1/p' "$log" | head -n 1; }

heights=() # heights at which the killed lives began their transfers
for ((life = 1; ; life++)); do
    one_life "$life"
    ! grep -q 'event=sync_finished' "$log" || break
    at=$(started_at)
    [ -n "$at" ] || continue
    [ "${#heights[@]}" -eq 0 ] || [ "$at" -ge "${heights[-1]}" ] ||
        die "a transfer began again at $at after ${heights[-1]}"
    heights+=("$at")
done
rm "$WORK/fail"
at=$(started_at)
said="killed inside a transfer ${#heights[@]} times in $life lives, which began it at ${heights[*]};"
said+=" the one that finished at $at"
[ "${#heights[@]}" -ge 5 ] || die "$said"
[ "$at" -gt "${heights[0]}" ] && [ "$(printf '%s\n' "${heights[@]}" | sort -u | wc -l)" -ge 3 ] ||
    die "it did not go on where it was: $said"
start_replica "$victim"
catches_up "C6: $said"
load_stop
cat "$WORK/much.hex" >>"$WORK/load.hex"
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers
start_replicas 0 1 2 3
numbered_transactions "$WORK/more.hex" 50 after
submit --hex --wait "$WORK/more.hex" >/dev/null || die "the cluster does not go on after a restart"
cat "$WORK/more.hex" >>"$WORK/load.hex"
check_chains "$WORK/load.hex"
