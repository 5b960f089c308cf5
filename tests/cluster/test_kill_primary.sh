#!/usr/bin/env bash
# The current primary dies by kill -9, or freezes by SIGSTOP, under load, at random moments. The others continue under
# the next primary, everything acknowledged is in the chain exactly once, and the old primary catches up as a backup
# (rows P2, V15, F1 in part). The time without progress is measured each time: at the default timers it must be under 2
# seconds on a quiet machine (in_time).
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

rounds=${ROUNDS:-8}
GAP_MS_MAX=1500
make_channel deposing --batch-timeout 20 --clients 2
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1

gaps=()
for ((round = 1; round <= rounds; round++)); do
    leader=$(primary)
    witness=$(another "$leader")
    watch_start "$witness" newest
    through "$witness" "round$round"
    random_pause 300
    height=$(field "$witness" height)
    if ((round % 2 == 0)); then
        kill -STOP "${REPLICA_PID[$leader]}"
        until_true "$DEADLINE_S" "the chain goes on" height_at_least "$witness" $((height + 10))
        kill -CONT "${REPLICA_PID[$leader]}"
    else
        kill_replica "$leader"
        until_true "$DEADLINE_S" "the chain goes on" height_at_least "$witness" $((height + 10))
        start_replica "$leader"
    fi
    until_true "$DEADLINE_S" "the reader gets the blocks after it" watched_past $((height + 10))
    watch_stop
    gap=$(cat "$WORK/gap")
    gaps+=("$gap")
    target=$(field "$witness" certified_height)
    until_true "$DEADLINE_S" "replica $leader catches up to height $target" height_at_least "$leader" "$target"
    through_end
    load_alive
    in_time "$gap" "$GAP_MS_MAX" || die "$gap ms without progress in round $round"
done
load_stop
ok "$rounds primaries killed or frozen under load; ms without progress: ${gaps[*]}"
cat "$WORK/through.hex" >>"$WORK/load.hex"
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers
