#!/usr/bin/env bash
# Clients side by side. A client that submits to backups only is served, and no primary is replaced because of it (K3).
# Beside a client that floods the channel, the latency of another client stays bounded (K6).
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

REPLAY_WINDOW=4096 # envelopes that one client may have in flight
ROUNDS=${ROUNDS:-3}

make_network "$WORK/net" --replicas 4 --consensus pbft --channel clients --batch-timeout 20 --clients 2
start_cluster
submit --generate 10 --wait --quiet >/dev/null || die "submit"
leader=$(primary)
for ((index = 0; index < 4; index++)); do
    [ "$index" -ne "$leader" ] || continue
    submit --replica "$index" --generate 200 --rate 400 --wait --json >"$WORK/k3.json" 2>"$WORK/k3.err" ||
        die "backup $index serves nobody: $(cat "$WORK/k3.err")"
    ok "K3: backup $index: final after $(jq '.final_latency.p50_us / 1000 | floor' "$WORK/k3.json") ms (p50), \
$(jq '.final_latency.max_us / 1000 | floor' "$WORK/k3.json") ms at most"
done
status_json | jq -e '[.replicas[] | .view == 0 and .counters.view_changes == 0] | all' >/dev/null ||
    die "a view change without need"

# latency: sets P99 to the second client's 99th percentile, in ms, in the best round.
latency() {
    local round p99
    P99=-1
    for ((round = 1; round <= ROUNDS; round++)); do
        ordain submit --config "$NET/client2/client.cfg" --generate 150 --rate 75 --wait --json \
            >"$WORK/k6.json" 2>"$WORK/k6.err" || die "the second client is not served: $(cat "$WORK/k6.err")"
        p99=$(jq '.final_latency.p99_us / 1000 | floor' "$WORK/k6.json")
        [ "$P99" -ge 0 ] && [ "$P99" -le "$p99" ] || P99=$p99
    done
}
latency
alone=$P99
"$ORDAIN_BIN" submit --config "$CLIENT" --generate 10000000 --size 256 --no-wait --quiet >"$WORK/flood.out" 2>&1 &
flood=$!
BACKGROUND+=("$flood")
height=$(field 0 certified_height)
until_true "$DEADLINE_S" "the flood is there" height_at_least 0 $((height + 20))
before=$(field 0 counters.envelopes_accepted)
since=$(now_ms)
latency
took=$(($(now_ms) - since))
flooded=$(($(field 0 counters.envelopes_accepted) - before))
kill -0 "$flood" || die "the flood ended too early: $(cat "$WORK/flood.out")"
kill -KILL "$flood"
wait "$flood" 2>/dev/null || true
BACKGROUND=()
# The envelopes that the flood may have in flight can be ahead of the other client's twice: at the leader, and on their
# way there.
bound=$((alone + 2 * REPLAY_WINDOW * took / flooded))
ok "K6: p99 of one client: $alone ms alone, $P99 ms beside a flood of $flooded envelopes in $took ms;" \
    "the bound is $bound ms"
[ "$flooded" -gt 5000 ] || die "that was no flood"
[ "$P99" -lt "$bound" ] || die "$P99 ms"
status_json | jq -e '[.replicas[] | .reachable and .intake_open] | all' >/dev/null || die "a replica is not well"
nothing_waits() {
    status_json | jq -e '[.replicas[] | .reachable and .pool_envelopes == 0 and .certified_height == .height] | all' \
        >/dev/null
}
until_true "$DEADLINE_S" "all that was admitted is ordered" nothing_waits
wait_level
deliver_all "$WORK/chain"
ok "$(wc -l <"$WORK/chain0.hex") transactions; four byte-identical verified chains"
stop_cluster
