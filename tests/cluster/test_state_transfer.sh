#!/usr/bin/env bash
# A backup that was away for longer than the others' logs reach comes back by state transfer, under load and with an open block
# (the tail), also when it is killed in the middle of a transfer (row C6); afterwards it is like the others, on disk too.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

rounds=${ROUNDS:-5}
make_network "$WORK/net" --replicas 4 --consensus pbft --channel transfer --batch-timeout 150 --window 16 \
    --checkpoint-interval 8 --max-message-count 200
start_cluster
victim=$(a_backup)
leader=$(primary)
# Transfers that the victim began, in this life and the ones before: the log goes on through all of them.
begun() { grep -c 'event=sync_started' "$NET/replica$victim/log" || true; }
seq_at_least() { [ "$(field "$1" seq)" -ge "$2" ]; }
# Puts the others more than a window ahead of where the victim stopped.
leave_behind() {
    local from
    from=$(field "$leader" seq)
    until_true "$DEADLINE_S" "the others leave replica $victim behind" seq_at_least "$leader" $((from + 40))
}
more_begun() { [ "$(begun)" -gt "$before" ]; }

LOAD_PIECE=100 load_start
for ((round = 1; round <= rounds; round++)); do
    kill_replica "$victim"
    leave_behind
    before=$(begun)
    if ((round > 1)); then
        spawn_replica "$victim"
        random_pause 400
        kill_replica "$victim"
    fi
    start_replica "$victim"
    until_true "$DEADLINE_S" "replica $victim begins a state transfer" more_begun
    target=$(field "$leader" certified_height)
    until_true "$DEADLINE_S" "replica $victim catches up to height $target" height_at_least "$victim" "$target"
    load_alive
    ok "round $round: replica $victim came back by state transfer, to height $target and beyond"
done
load_stop
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers
start_replicas 0 1 2 3
numbered_transactions "$WORK/more.hex" 50 after
submit --hex --wait "$WORK/more.hex" >/dev/null || die "the cluster does not go on after a restart"
cat "$WORK/more.hex" >>"$WORK/load.hex"
check_chains "$WORK/load.hex"
