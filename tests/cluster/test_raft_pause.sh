#!/usr/bin/env bash
# The leader of a raft channel stands still (SIGSTOP) under load, for a moment and for long. Another one is elected. The
# old one wakes with acknowledgements of its own term queued (rows R12, R19). It follows, and acknowledges nothing that
# was not committed: what a client of its own has receipts for, and what it gives a reader, is in every chain, once. No
# term has two leaders.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/raft.sh"
begin

make_network "$WORK/net" --replicas 3 --consensus raft --channel paused --batch-timeout 20 --clients 2
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1

# paused SECONDS: the leader stands still for so long, or until the others have ordered some blocks without it.
paused() {
    local leader witness height target since
    leader=$(primary)
    witness=$(another "$leader")
    watch_start "$leader" newest
    through "$leader" "pause$round"
    random_pause 500
    kill -STOP "${REPLICA_PID[$leader]}"
    since=$SECONDS
    height=$(field "$witness" height)
    until_true "$DEADLINE_S" "the chain goes on" height_at_least "$witness" $((height + 10))
    until [ $((SECONDS - since)) -ge "$1" ]; do sleep "$POLL_S"; done
    target=$(field "$witness" certified_height)
    kill -CONT "${REPLICA_PID[$leader]}"
    until_true "$DEADLINE_S" "replica $leader catches up to height $target" height_at_least "$leader" "$target"
    until_true "$DEADLINE_S" "its reader gets the blocks after it" watched_past "$target"
    watch_stop
    through_end
    load_alive
    ok "replica $leader stood still for $((SECONDS - since)) s; woken, it came from height $height to $target"
}

# The links notice a silence of three seconds.
round=0
for seconds in 0 1 0 6; do
    round=$((round + 1))
    paused "$seconds"
done
load_stop
cat "$WORK/through.hex" >>"$WORK/load.hex"
ends_well "$WORK/load.hex"
