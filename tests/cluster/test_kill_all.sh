#!/usr/bin/env bash
# kill -9 of all replicas at once, under load, then a restart: everything acknowledged is there, once, and the
# chain goes on (row F1). The client keeps what has no receipt and submits it again.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

rounds=${ROUNDS:-5}
make_channel blackout --batch-timeout 20
mapfile -t all < <(all_replicas)
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1
for ((round = 1; round <= rounds; round++)); do
    random_pause 700
    height=$(field 0 certified_height)
    kill_replica "${all[@]}"
    start_cluster
    until_true "$DEADLINE_S" "the chain goes on after height $height" height_at_least 0 $((height + 1))
    load_alive
done
load_stop
ok "$rounds times all $REPLICA_COUNT were killed and started again"
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers
