#!/usr/bin/env bash
# View changes that are disturbed, with real replicas under load: of seven replicas, two primaries in a row are frozen
# (V11); and a replica is killed as soon as it has promised to leave a view, and comes back in the middle of the view
# change (V15).
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

TIMEOUT_MS=1000 # request_timeout_ms as `ordain init` sets it
# Allowance for a client's patience and the view changes themselves (for in_time)
NOISE_MS=500

freeze() { for index in "$@"; do kill -STOP "${REPLICA_PID[$index]}"; done; }
thaw() { for index in "$@"; do kill -CONT "${REPLICA_PID[$index]}"; done; }

# leader_of VIEW: prints the leader of any view, computed from that of view 0.
leader_of() { say $(((FIRST + $1) % REPLICA_COUNT)); }

# without COUNT: freezes the primaries of COUNT views at once, from the present view on, until the others have
# continued; sets GAP.
without() {
    local view victims=() witness height target i index
    view=$(status_json | jq '[.replicas[].view] | max')
    for ((i = 0; i < $1; i++)); do victims+=("$(leader_of $((view + i)))"); done
    witness=$(leader_of $((view + 3)))
    watch_start "$witness" newest
    through "$witness" "view$view"
    random_pause 300
    height=$(field "$witness" height)
    freeze "${victims[@]}"
    until_true "$DEADLINE_S" "the chain goes on" height_at_least "$witness" $((height + 10))
    until_true "$DEADLINE_S" "the reader gets the blocks after it" watched_past $((height + 10))
    watch_stop
    GAP=$(cat "$WORK/gap")
    [ "$(field "$witness" view)" -ge $((view + $1)) ] || die "a frozen replica leads"
    thaw "${victims[@]}"
    target=$(field "$witness" certified_height)
    for index in "${victims[@]}"; do
        until_true "$DEADLINE_S" "replica $index catches up to height $target" height_at_least "$index" "$target"
    done
    through_end
    load_alive
    ok "V11: $1 primaries frozen in view $view: $GAP ms without progress; then view $(field "$witness" view)"
}

# continues_without COUNT: allows one timeout for each frozen primary.
continues_without() {
    without "$1"
    in_time "$GAP" $(($1 * TIMEOUT_MS + NOISE_MS)) "$1" || die "$GAP ms without progress"
}

# Two of seven replicas may be faulty. Two primaries in a row are frozen, and later, when both are back, a third one. By
# then the timeouts, which doubled in between, must be back at their initial value.
LOAD_PIECE=60
make_network "$WORK/net" --replicas 7 --consensus pbft --channel seven --batch-timeout 20 --clients 2
FIRST=$(first_primary)
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1
continues_without 2
continues_without 1
load_stop
cat "$WORK/through.hex" >>"$WORK/load.hex"
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers

# The primaries of this view and of the next are frozen, so the five other replicas promise to leave the view. They get
# no further before the timeout of the next one. One of them is killed and started again, and the first primary is let
# go; it still believes in its view, and has clients.
LOAD_PIECE=300
rm -rf "$WORK/net"
make_network "$WORK/net" --replicas 7 --consensus pbft --channel promise --batch-timeout 20
FIRST=$(first_primary)
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1
# leaves INDEX: what the replica says now. The state of all replicas takes as long as the frozen ones are waited for.
leaves() {
    ordain status --config "$CLIENT" --replica "$1" --json |
        jq -e --argjson view "$view" '.replicas[] | .reachable and .view > $view' >/dev/null
}
# It answers the second time after the turn of the first answer, so its promise is on the disk.
promised() { leaves "$1" && leaves "$1"; }
keeps() { [ "$(field "$1" 'view > '"$view")" = true ]; }
for ((round = 1; round <= 3; round++)); do
    view=$(field 0 view)
    first=$(leader_of "$view")
    second=$(leader_of $((view + 1)))
    victim=$(leader_of $((view + 2 + round % 2)))
    random_pause 200
    freeze "$first" "$second"
    until_true "$DEADLINE_S" "replica $victim leaves view $view" promised "$victim"
    kill_replica "$victim"
    start_replica "$victim"
    keeps "$victim" || die "replica $victim forgot its promise: view $(field "$victim" view)"
    height=$(field "$victim" certified_height)
    thaw "$first"
    until_true "$DEADLINE_S" "the chain goes on without replica $second" height_at_least "$victim" $((height + 5))
    for index in "$first" "$victim"; do keeps "$index" || die "replica $index is in view $(field "$index" view)"; done
    thaw "$second"
    target=$(field "$victim" certified_height)
    for ((index = 0; index < REPLICA_COUNT; index++)); do
        until_true "$DEADLINE_S" "replica $index catches up to height $target" height_at_least "$index" "$target"
    done
    load_alive
    ok "V15: killed with a promise to leave view $view: kept; they went on in view $(field "$victim" view)"
done
status_json | jq -e '[.replicas[].evidence == []] | all' >/dev/null || die "somebody contradicted itself"
load_stop
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers
