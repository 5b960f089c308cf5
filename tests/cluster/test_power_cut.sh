#!/usr/bin/env bash
# A replica loses power under load, each time at a later write or sync, and loses what was not synced: all of it, some
# writes, or some sectors (row F1). Its ledger verifies and has each block that it gave to anybody. When it comes back,
# the others know no statement of its that it does not hold, so it is not silent. Last, all lose power at once:
# everything acknowledged is in the chain, once (in a raft channel row R16).
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/power.sh"
begin

calls=${CALLS:-10}
make_channel power --batch-timeout 20
mapfile -t all < <(all_replicas)
power_can_fail

some_lost=false
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1
for ((call = 1; call <= calls; call++)); do
    victim=$(primary)
    ((call % 2 == 0)) || victim=$(a_backup)
    other=$(((victim + 1) % REPLICA_COUNT))
    watch_start "$victim" newest
    random_pause 200
    seed=$((RANDOM * 3 + call))
    cut_power "$call" "$seed" "$victim"
    without_power "$victim"
    watch_stop
    told=$(cat "$WORK/watched")
    [ "$told" -gt 0 ] && [ "$told" -le "$HEIGHT" ] ||
        die "replica $victim gave a reader block $told and has $HEIGHT blocks"
    start_replica "$victim"
    until_true "$DEADLINE_S" "replica $victim takes part" speaks "$victim"
    never_silent "$victim"
    target=$(field "$other" certified_height)
    until_true "$DEADLINE_S" "replica $victim catches up to height $target" height_at_least "$victim" "$target"
    load_alive
    lost=$(sed -n 's/^power_cut: \(.*\) sectors.*/\1/p' "$NET/replica$victim/log" | tail -n 1)
    [ "${lost%% *}" -eq 0 ] || some_lost=true
    ok "F1: call $call, seed $seed: $lost sectors lost; block $told was told, $HEIGHT are on disk;" \
        "it came back to $target"
done

"$some_lost" || die "no cut lost anything"

stops=2 # of three or four replicas; the others decide nothing any more
some_without_power() {
    local index count=0
    for index in "${all[@]}"; do ! is_over "$index" || count=$((count + 1)); done
    [ "$count" -ge "$stops" ]
}
for ((round = 1; round <= 3; round++)); do
    random_pause 300
    height=$(field 0 certified_height)
    call=$((1 + RANDOM % 8))
    cut_power "$call" $((RANDOM * 3 + round)) "${all[@]}"
    until_true "$DEADLINE_S" "the power of $stops is gone, and nothing more can be decided" some_without_power
    all_without_power "${all[@]}"
    start_cluster
    for index in "${all[@]}"; do never_silent "$index"; done
    until_true "$DEADLINE_S" "the chain goes on after height $height" height_at_least 0 $((height + 1))
    load_alive
    ok "F1: all $REPLICA_COUNT at once, call $call"
done
load_stop
check_chains "$WORK/load.hex"
status_json | jq -e '[.replicas[].evidence == []] | all' >/dev/null || die "somebody contradicted itself"
stop_cluster
check_ledgers
