#!/usr/bin/env bash
# Replicas of a raft channel lose power in an election. First the channel is idle, and its leader is killed, so that the
# others write nothing but terms, votes and grants: a voter or a candidate, or both, lose power at one write or sync
# after the other (row R4): before a vote is on disk, when it is there and not answered, and later. Whoever comes back
# knows its vote: no term has two leaders, and nobody falls silent, as one would that another one's record proves to
# have lost a vote. Then, under load, all lose power, directly after a new leader's first acknowledgements (row R16):
# nothing that was acknowledged is lost.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/power.sh"
. "$(dirname "$0")/raft.sh"
begin

calls=${CALLS:-8}
rounds=${ROUNDS:-3}
make_network "$WORK/net" --replicas 3 --consensus raft --channel elections --batch-timeout 20
power_can_fail
mapfile -t all < <(all_replicas)

some_without_power() {
    local index
    for index in "$@"; do ! is_over "$index" || return 0; done
    return 1
}

# take_part: all are up; each takes part, and has never been silent.
take_part() {
    local index
    for index in "${all[@]}"; do
        until_true "$DEADLINE_S" "replica $index takes part" speaks "$index"
        never_silent "$index"
    done
}

start_cluster
order first 20
for ((call = 1; call <= calls; call++)); do
    wait_level
    leader=$(primary)
    mapfile -t voters < <(followers "$leader")
    victims=("${voters[@]}")
    ((call % 3 == 0)) || victims=("${voters[RANDOM % 2]}")
    seed=$((RANDOM * 3 + call))
    cut_power "$call" "$seed" "${victims[@]}"
    kill_replica "$leader"
    until_true "$DEADLINE_S" "the power of one is gone" some_without_power "${victims[@]}"
    all_without_power "${victims[@]}"
    start_replicas "${victims[@]}"
    order "without$call" 20
    start_replica "$leader"
    take_part
    ok "R4: replica $leader killed; power cut of ${victims[*]} at call $call of the election, seed $seed"
done
one_leader_in_a_term

load_start
for ((round = 1; round <= rounds; round++)); do
    wait_level
    leader=$(primary)
    mapfile -t voters < <(followers "$leader")
    random_pause 200
    cut_power $((1 + RANDOM % 8)) $((RANDOM * 3 + round)) "$leader"
    without_power "$leader"
    height=$(status_json | jq '[.replicas[].height // 0] | max')
    until_true "$DEADLINE_S" "a new leader acknowledges" height_at_least "${voters[0]}" $((height + 1))
    call=$((1 + RANDOM % 8))
    cut_power "$call" $((RANDOM * 3 + round)) "${voters[@]}"
    until_true "$DEADLINE_S" "the power of one is gone, and nothing more can be decided" \
        some_without_power "${voters[@]}"
    all_without_power "${voters[@]}"
    start_cluster
    take_part
    until_true "$DEADLINE_S" "the chain goes on after height $height" height_at_least 0 $((height + 2))
    load_alive
    ok "R16: all without power, call $call after the first block of a new leader, which was block $((height + 1))"
done
load_stop
cat "$WORK/load.hex" >>"$WORK/all.hex"
ends_well "$WORK/all.hex"
