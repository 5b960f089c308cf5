#!/usr/bin/env bash
# Primaries that order as they like: old envelopes (P9), cut markers at the wrong time (P18), void ones without end
# (P18), no cut markers (P16, P18), no envelopes of one client (P7), everything late (P3). Harmless deviations change
# nothing; a client that is not served is served by the next primary.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/faulty.sh"
begin

# The oldest request waits for so many times request_timeout_ms (1,000), then the view changes; see docs/protocol.md.
SERVED_MS_MAX=$((4 * 1000 + GAP_MS_MAX))

with_liar 0 replay_batch 0
start_cluster
LOAD_PIECE=100 load_start
wait_lie 32
goes_on 5
honest_is 'all(.view == 0 and .counters.envelopes_duplicate >= 32)' || die "not void, or somebody left view 0"
ok "P9: $(honest 'map(.counters.envelopes_duplicate) | max') old envelopes were void"
end_liar

with_liar 0 early_cut 0
start_cluster
LOAD_PIECE=100 load_start
wait_lie 32
goes_on 5
honest_is 'all(.view == 0)' || die "somebody left view 0"
ok "P18: $(lies "$LIES" early_cut) cut markers and more, early, twice, void: nobody minds"
end_liar

# Nothing is submitted meanwhile, so no clock runs.
with_liar 0 void_batches 2
start_cluster
numbered_transactions "$WORK/first.hex" 1 first
submit --hex --wait "$WORK/first.hex" >/dev/null || die "the first submission"
wait_lie
until_true "$DEADLINE_S" "who orders nothing but what is void is replaced" \
    honest_is 'all(.view >= 1 and .primary != null)'
has_lied 256 || die "replaced before there was a window of void batches"
ok "P18: $(lies "$LIES" void_batches) void batches and more, and another primary"
LOAD_PIECE=100 load_start
goes_on 5
cat "$WORK/first.hex" >>"$WORK/load.hex"
end_liar

with_liar 0 withhold_cut 30
start_cluster
watch_start "$(witness)" oldest
LOAD_PIECE=100 load_start --replica "$(witness 2)"
wait_lie
until_true "$DEADLINE_S" "an overdue cut leads to a view change" honest_is 'all(.view >= 1)'
goes_on 10
watch_stop
gap=$(cat "$WORK/gap")
[ "$gap" -gt 0 ] && in_time "$gap" "$SERVED_MS_MAX" || die "$gap ms without a block"
ok "P16, P18: no cuts, but empty batches: $gap ms without a block"
end_liar

# The victim is the first client that the liar saw; it submits to a backup. The second client's load continues all the
# time, so the primary is far from mute.
with_liar 0 censor 20 --clients 2
start_cluster
victim=$CLIENT
printf '%s\n' 00 >"$WORK/victim.hex"
submit --hex --wait "$WORK/victim.hex" >/dev/null || die "the victim's first submission"
CLIENT=$NET/client2/client.cfg
LOAD_PIECE=100 load_start
until_true "$DEADLINE_S" "the liar has seen seq 20" honest_is 'all(.seq >= 30 and .view == 0)'
numbered_transactions "$WORK/censored.hex" 50 victim
started=$(now_ms)
ordain submit --config "$victim" --replica "$(witness)" --hex --wait "$WORK/censored.hex" >"$WORK/victim.out" 2>&1 || {
    cat "$WORK/victim.out" >&2
    die "the victim is not served"
}
took=$(($(now_ms) - started))
has_lied || die "nothing was censored"
honest_is 'all(.view >= 1)' || die "the censor still leads"
goes_on 5
ok "P7: the client that the primary ignored was served after $took ms," \
    "by the primary of view $(honest 'map(.view) | max')"
in_time "$took" "$SERVED_MS_MAX" || die "$took ms are too many"
cat "$WORK/victim.hex" "$WORK/censored.hex" >>"$WORK/load.hex"
end_liar

# Primaries that are slower than they need to be, but too fast for the clocks of the cases above. Replica 0 is the first
# that a client asks. If it leads, it alone has the envelopes, and the others see the client's copies only.
for behaviour in delay dawdle; do
    with_liar 0 "$behaviour" 20
    while [ "$LIES" != 0 ]; do with_liar 0 "$behaviour" 20; done
    start_cluster
    LOAD_PIECE=100 load_start
    wait_lie
    started=$(now_ms)
    until_true "$DEADLINE_S" "the slow primary is replaced" honest_is 'all(.view >= 1 and .primary != null)'
    goes_on 5
    ok "P3: $behaviour: replaced after $(($(now_ms) - started)) ms"
    end_liar
done
