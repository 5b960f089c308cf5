#!/usr/bin/env bash
# Bad input that no shell command can make (hostile.c): a member with a valid TLS certificate sends wrong envelopes,
# wrong requests and wrong frames. Each gets a clear answer, and the channel continues unharmed.
set -euo pipefail
. "$(dirname "$0")/common.sh"
: "${HOSTILE_BIN:?the hostile client}"
begin

make_network "$WORK/net" --replicas 4 --consensus pbft --channel hostile --batch-timeout 20 \
    --absolute-max-bytes 100000 --preferred-max-bytes 65536 --batch-bytes-max 262144 --max-message-count 50
start_cluster
declare -A first_pid
for index in "${!REPLICA_PID[@]}"; do first_pid[$index]=${REPLICA_PID[$index]}; done

timeout 240 "$HOSTILE_BIN" "$NET" "$WORK/ordered.hex" >"$WORK/hostile.out" 2>&1 || {
    grep -v '^ok: ' "$WORK/hostile.out" >&2 || true
    die "the hostile client found something, or could not do its work"
}
cat "$WORK/hostile.out"

numbered_transactions "$WORK/honest.hex" 100 honest
submit --hex --wait "$WORK/honest.hex" >"$WORK/submit.out" 2>&1 || {
    cat "$WORK/submit.out" >&2
    die "an honest submission after all that"
}
ok "an honest submission is ordered"

# The signs of harm that are looked for: a replica is gone or was restarted, a link is missing, a pool is not empty.
healthy() {
    status_json | jq -e '(.replicas | length == 4) and
        ([.replicas[] | .reachable and .state == "ok" and .links_up == 3 and .pool_envelopes == 0] | all)' >/dev/null
}
until_true "$DEADLINE_S" "all four replicas ok, linked to one another, with empty pools" healthy
ordain status --config "$CLIENT" >"$WORK/status.out" || die "status"
cat "$WORK/status.out"
for index in "${!first_pid[@]}"; do
    kill -0 "${first_pid[$index]}" 2>/dev/null || die "replica $index is gone"
done
ok "status: all four ok, each the process that was started"

cat "$WORK/ordered.hex" "$WORK/honest.hex" >"$WORK/all.hex"
check_chains "$WORK/all.hex"
stop_cluster
check_ledgers

if grep -H 'level=error' "$NET"/replica*/log >&2; then die "a replica reported an error"; fi
for ((index = 0; index < REPLICA_COUNT; index++)); do
    [ -s "$NET/replica$index/log" ] || die "replica $index logged nothing"
done
ok "no replica reported an error"
