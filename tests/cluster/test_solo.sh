#!/usr/bin/env bash
# Solo: one replica, everything else as usual. kill -9 and a restart lose nothing.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

make_network "$WORK/net" --consensus solo --channel alone --batch-timeout 20
start_cluster
numbered_transactions "$WORK/one.hex" 500 one
submit --hex --wait "$WORK/one.hex" >/dev/null || die "submit"
kill_replica 0
start_replica 0
numbered_transactions "$WORK/two.hex" 500 two
submit --hex --wait --per-envelope 10 "$WORK/two.hex" >/dev/null || die "submit after the restart"
cat "$WORK/one.hex" "$WORK/two.hex" >"$WORK/all.hex"
check_chains "$WORK/all.hex"
stop_cluster
check_ledgers
