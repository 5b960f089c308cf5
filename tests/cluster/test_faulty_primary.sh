#!/usr/bin/env bash
# Primaries that lie under load (rows P1, P2, P5, P8), each with the default timers. The honest replicas have another
# primary after less than 2 seconds without progress, every transaction is in the chain exactly once, and all chains are
# byte-identical.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/faulty.sh"
begin

# deposed BEHAVIOUR ROWS: the primary does this from seq 30 on. The load comes through a backup. If only a lying primary
# knew an envelope, no other replica would wait for it until the client submitted it again elsewhere.
deposed() {
    with_liar 0 "$1" 30
    start_cluster
    [ "$(primary)" = "$LIES" ] || die "replica $LIES does not lead view 0"
    watch_start "$(witness)" oldest
    LOAD_PIECE=100 load_start --replica "$(witness 2)"
    wait_lie
    until_true "$DEADLINE_S" "the honest replicas have another primary" \
        honest_is "all(.view >= 1) and all(.primary != null and .primary != $LIES)"
    goes_on 10
    watch_stop
    gap=$(cat "$WORK/gap")
    ok "$2: $1: $gap ms without progress; $(honest '"views " + (map(.view | tostring) | join(" ")) +
        ", evidence " + (map(.counters.evidence | tostring) | join(" ")) +
        ", batches refused " + (map(.counters.batches_refused | tostring) | join(" "))')"
    [ "$gap" -gt 0 ] || die "no progress was seen at all"
    in_time "$gap" "$GAP_MS_MAX" || die "$gap ms without progress"
}

# accused: an honest replica has evidence against the liar, and no replica has evidence against any other.
has_evidence() { honest_is 'any(.counters.evidence > 0)'; }
accused() {
    until_true "$DEADLINE_S" "evidence against replica $LIES" has_evidence
    end_liar
    if grep -H 'event=contradicting' "$NET"/replica*/log | grep -Ev "culprit=$LIES( |\$)" >&2; then die "an honest replica is accused"; fi
    grep -q "event=contradicting.* culprit=$LIES\( \|\$\)" "$NET"/replica*/log || die "nobody says who it was"
}

# A backup gets both statements from the liar itself.
deposed equivocate P1
accused

# No backup gets both statements from the liar: the two halves tell each other what they got (rule 22).
deposed split P1
accused

# Two backups prepare it, and one does not get it. The simulator checks whether it survives into the next view. Here
# clients submit again whatever has no receipt, so the load gets all its receipts, or fails.
deposed mute P2
end_liar

# Every replica drops what lies beyond the window, each time. The liar sends it to all at once, and again to a replica
# that asks, so each replica gets at least a third.
deposed skip P5
skipped=$(lies "$LIES" skip)
[ "$skipped" -ge 8 ] && honest_is "all(.counters.core_messages_dropped >= $((skipped / 3)))" ||
    die "skipped $skipped times; dropped $(honest 'map(.counters.core_messages_dropped) | tostring')"
ok "P5: $skipped proposals beyond the window and more; dropped: $(honest 'map(.counters.core_messages_dropped | tostring) | join(" ")')"
end_liar

deposed bad_batch P8
honest_is 'all(.counters.batches_refused > 0 and .counters.client_signatures_bad > 0)' || die "nobody refused a batch"
end_liar
