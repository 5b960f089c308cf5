#!/usr/bin/env bash
# kill -9 of a random backup at a random moment, under load, 20 times in a row, in some rounds again while it starts. No
# acknowledged transaction is lost, none is in the chain twice, the chain goes on, and the backup catches up each time.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

rounds=${ROUNDS:-20}
make_network "$WORK/net" --replicas 4 --consensus pbft --channel killing --batch-timeout 20
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1
for ((round = 1; round <= rounds; round++)); do
    leader=$(primary)
    victim=$(a_backup)
    random_pause 300
    kill_replica "$victim"
    random_pause 300
    if ((round % 4 == 0)); then
        spawn_replica "$victim"
        random_pause 100
        kill_replica "$victim"
    fi
    start_replica "$victim"
    target=$(field "$leader" certified_height)
    until_true "$DEADLINE_S" "replica $victim catches up to height $target" height_at_least "$victim" "$target"
    until_true "$DEADLINE_S" "the chain goes on" height_at_least "$leader" $((target + 1))
    load_alive
done
load_stop
ok "$rounds kills of a backup under load; it caught up each time"
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers
