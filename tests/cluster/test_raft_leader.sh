#!/usr/bin/env bash
# The leader of a raft channel with the default timers goes, under load. Killed by kill -9, the time without progress is
# under 1 s at the median and 1.5 s at worst; stopped by SIGTERM, it is under 100 ms at the median, because the leader
# lets another one lead before it ends. The bounds are those of a quiet machine (in_time).
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/raft.sh"
begin

rounds=${ROUNDS:-5}
make_network "$WORK/net" --replicas 3 --consensus raft --channel leaders --batch-timeout 20 --clients 2
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1

# leader_goes COMMAND: the leader goes by this command, and comes back. $gap gets the time without progress.
leader_goes() {
    local leader witness height target
    leader=$(primary)
    witness=$(another "$leader")
    watch_start "$witness" newest
    through "$witness" "$1$round"
    random_pause 300
    height=$(field "$witness" height)
    "$1" "$leader"
    until_true "$DEADLINE_S" "the chain goes on" height_at_least "$witness" $((height + 10))
    until_true "$DEADLINE_S" "the reader gets the blocks after it" watched_past $((height + 10))
    watch_stop
    gap=$(cat "$WORK/gap")
    start_replica "$leader"
    target=$(field "$witness" certified_height)
    until_true "$DEADLINE_S" "replica $leader catches up to height $target" height_at_least "$leader" "$target"
    until_true "$DEADLINE_S" "replica $leader takes part" speaks "$leader"
    through_end
    load_alive
}

median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

for kind in kill_replica stop_replica; do
    gaps=()
    for ((round = 1; round <= rounds; round++)); do
        leader_goes "$kind"
        gaps+=("$gap")
        [ "$kind" = stop_replica ] || in_time "$gap" 1500 || die "$gap ms without progress in round $round"
    done
    middle=$(median "${gaps[@]}")
    most=1000
    [ "$kind" = kill_replica ] || most=100
    in_time "$middle" "$most" || die "$middle ms without progress at the median of ${gaps[*]}"
    ok "$kind of the leader, $rounds times: ms without progress ${gaps[*]}, median $middle"
done
load_stop
cat "$WORK/through.hex" >>"$WORK/load.hex"
ends_well "$WORK/load.hex"
