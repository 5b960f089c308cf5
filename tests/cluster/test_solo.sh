#!/usr/bin/env bash
# Solo: one replica, everything else as usual. kill -9 and a restart lose nothing.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

make_network "$WORK/net" --consensus solo --channel alone --batch-timeout 20
ulimit -c unlimited 2>/dev/null || true
start_cluster
# No core dump holds its keys, whatever the limit that it was started with. Who is no root cannot look into it either.
read -r soft hard < <(awk '/^Max core file size/ { print $5, $6 }' "/proc/${REPLICA_PID[0]}/limits")
[ "$soft $hard" = "0 0" ] || die "core dumps are allowed: $soft $hard"
ok "no core dumps"
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
