#!/usr/bin/env bash
# Primaries that lie under load (rows P1, P2, P5, P8), each with the default timers: the honest replicas have another after less than 2
# seconds without progress, nothing is lost, nothing is there twice, and all chains are byte-identical.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/faulty.sh"
begin

# deposed BEHAVIOUR ROWS: the primary does it from seq 30 on. The load comes by a backup: what only a lying primary was told of, nobody
# else waits for, until the client submits it again elsewhere.
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
    [ "$gap" -lt "$GAP_MS_MAX" ] || die "$gap ms without progress"
}

# accused: somebody has both statements against the liar, and nobody has anything against anybody else.
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

# Nobody gets both from the liar: the halves tell each other what they got (rule 22).
deposed split P1
accused

# Two prepare it, and one does not get it. Whether that one is in the next view is seen by the simulator: here clients submit again
# whatever has no receipt, and the load has all of them, or fails.
deposed mute P2
end_liar

# What lies beyond the window is dropped by everybody, each time. It goes to all at once, and again to one who asks: to each a third at least.
deposed skip P5
skipped=$(lies "$LIES" skip)
[ "$skipped" -ge 8 ] && honest_is "all(.counters.core_messages_dropped >= $((skipped / 3)))" ||
    die "skipped $skipped times; dropped $(honest 'map(.counters.core_messages_dropped) | tostring')"
ok "P5: $skipped proposals beyond the window and more; dropped: $(honest 'map(.counters.core_messages_dropped | tostring) | join(" ")')"
end_liar

deposed bad_batch P8
honest_is 'all(.counters.batches_refused > 0 and .counters.client_signatures_bad > 0)' || die "nobody refused a batch"
end_liar
