#!/usr/bin/env bash
# The primary is stopped by SIGTERM under load, as for an upgrade. It lets another replica lead before it ends, so the
# others need no timeout to find out that nobody leads: the request timeout is long here, and the longest time without
# progress stays far below it. All that was acknowledged is delivered, and the replica comes back.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

rounds=${ROUNDS:-3}
TIMEOUT_MS=20000
make_channel stopping --batch-timeout 20 \
    --request-timeout $TIMEOUT_MS
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1

gaps=()
for ((round = 1; round <= rounds; round++)); do
    leader=$(primary)
    witness=$(another "$leader")
    watch_start "$witness" newest
    random_pause 300
    height=$(field "$witness" height)
    began=$(now_ms)
    stop_replica "$leader" # with exit code 0
    took=$(($(now_ms) - began))
    until_true "$DEADLINE_S" "the chain goes on" height_at_least "$witness" $((height + 10))
    until_true "$DEADLINE_S" "the reader gets the blocks after it" watched_past $((height + 10))
    watch_stop
    gap=$(cat "$WORK/gap")
    gaps+=("$gap")
    grep -q ' event=hands_over ' "$NET/replica$leader/log" || die "replica $leader did not hand over"
    [ "$took" -lt $((TIMEOUT_MS / 2)) ] || die "replica $leader took $took ms to end in round $round"
    [ "$gap" -lt $((TIMEOUT_MS / 2)) ] || die "$gap ms without progress in round $round"
    start_replica "$leader"
    target=$(field "$witness" certified_height)
    until_true "$DEADLINE_S" "replica $leader catches up to height $target" height_at_least "$leader" "$target"
    load_alive
done
load_stop
ok "$rounds primaries stopped under load; ms without progress: ${gaps[*]}, with a request timeout of $TIMEOUT_MS ms"
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers
