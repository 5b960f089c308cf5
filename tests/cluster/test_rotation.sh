#!/usr/bin/env bash
# Scheduled rotation: every replica leads in turn, none is suspected, nothing is lost. The turn of a replica that is
# gone costs one timeout.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

make_network "$WORK/net" --replicas 4 --consensus pbft --channel rotation --batch-timeout 20 --decisions-per-leader 8
start_cluster
view_at_least() { [ "$(status_json | jq '[.replicas[] | select(.reachable) | .view] | min')" -ge "$1" ]; }

load_start
until_true "$DEADLINE_S" "twelve views" view_at_least 12
# A replica that has not yet delivered a view's last batch follows f + 1 others that have. It counts that as a view
# change, and at most two replicas can do so.
for ((view = 1; view <= 12; view++)); do
    due=$(cat "$NET"/replica*/log | grep -c "event=rotation view=$view\$" || true)
    [ "$due" -ge 2 ] || {
        grep -H 'event=view_change' "$NET"/replica*/log || true
        die "view $view came by suspicion: $due left by schedule"
    }
done
for ((index = 0; index < REPLICA_COUNT; index++)); do
    grep -q "event=leader view=[0-9]* leader=$index\$" "$NET/replica0/log" || die "replica $index never led"
done
ok "view $(field 0 view), everybody has led, nobody was suspected"

kill_replica 3
view=$(field 0 view)
until_true "$DEADLINE_S" "eight more views with one replica gone" view_at_least $((view + 8))
ok "view $(field 0 view), past the turns of a replica that is gone"
start_replica 3
view=$(field 0 view)
until_true "$DEADLINE_S" "eight more views with it" view_at_least $((view + 8))
load_stop
check_chains "$WORK/load.hex"
stop_cluster
check_ledgers
