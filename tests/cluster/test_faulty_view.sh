#!/usr/bin/env bash
# New primaries that lie under load: one sends a NEW-VIEW that does not follow from its view changes (V8), and one sends
# its NEW-VIEW to half of the replicas (V10). The primary before them is frozen until it is deposed.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/faulty.sh"
begin

# freeze_primary: stops the primary until an honest replica leaves view 0.
freeze_primary() {
    local leader
    leader=$(primary)
    kill -STOP "${REPLICA_PID[$leader]}"
    until_true "$DEADLINE_S" "view 0 is left" honest_is "any(.replica != $leader and .view >= 1)"
    kill -CONT "${REPLICA_PID[$leader]}"
}

with_liar 1 wrong_new_view 0
start_cluster
LOAD_PIECE=100 load_start
goes_on 2
freeze_primary
wait_lie
until_true "$DEADLINE_S" "the honest replicas go on to view 2" honest_is 'all(.view >= 2 and .primary != null)'
goes_on 10
honest_is "all(.primary != $LIES) and any(.counters.core_messages_refused > 0)" || die "nobody refused the new view"
ok "V8: refused by $(honest 'map(select(.counters.core_messages_refused > 0)) | length')," \
    "then view $(honest 'map(.view) | max')"
end_liar

with_liar 1 new_view_to_half 0
start_cluster
LOAD_PIECE=100 load_start
goes_on 2
freeze_primary
wait_lie
until_true "$DEADLINE_S" "all honest replicas are in one view" \
    honest_is 'length == 3 and (map(.view) | unique | length == 1) and all(.view >= 1 and .primary != null)'
goes_on 10
ok "V10: all honest replicas in view $(honest 'map(.view) | max'), led by $(primary)"
end_liar
