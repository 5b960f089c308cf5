#!/usr/bin/env bash
# Three replicas of a raft channel survive one crash, five survive two, whichever they are, the leader included: kill -9
# of f random replicas at random moments under load, again and again, in some rounds again while they start. No
# acknowledged transaction is lost, none is in the chain twice, and all chains are equal.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/raft.sh"
begin

rounds=${ROUNDS:-6}

# crash_rounds COUNT FAULTY: so many rounds with so many replicas, of which FAULTY are killed at once.
crash_rounds() {
    local round height victims led=0 leader index
    make_network "$WORK/net$1" --replicas "$1" --consensus raft --channel "crash$1" --batch-timeout 20
    start_cluster
    load_start
    until_true "$DEADLINE_S" "a first block" height_at_least 0 1
    for ((round = 1; round <= rounds; round++)); do
        mapfile -t victims < <(all_replicas | shuf -n "$2")
        leader=$(primary)
        for index in "${victims[@]}"; do [ "$index" -ne "$leader" ] || led=$((led + 1)); done
        random_pause 300
        kill_replica "${victims[@]}"
        height=$(status_json | jq '[.replicas[] | select(.reachable) | .height] | max')
        if ((round % 4 == 0)); then
            spawn_replica "${victims[0]}"
            random_pause 100
            kill_replica "${victims[0]}"
        fi
        if ((round % 2 == 0)); then
            index=$(all_replicas | grep -vxF "$(printf '%s\n' "${victims[@]}")" | shuf -n 1)
            until_true "$DEADLINE_S" "the chain goes on without them" height_at_least "$index" $((height + 1))
        fi
        start_replicas "${victims[@]}"
        for index in "${victims[@]}"; do
            until_true "$DEADLINE_S" "replica $index catches up to height $height" height_at_least "$index" "$height"
            until_true "$DEADLINE_S" "replica $index takes part" speaks "$index"
        done
        load_alive
    done
    load_stop
    ok "$1 replicas: $rounds times $2 killed under load, the leader $led times"
    ends_well "$WORK/load.hex"
}

crash_rounds 3 1
crash_rounds 5 2
