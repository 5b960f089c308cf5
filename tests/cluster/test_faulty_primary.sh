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

# A backup that got both statements has them against the liar, and nobody has anything against anybody else.
deposed equivocate P1
honest_is 'any(.counters.evidence > 0)' || die "no evidence"
end_liar
for ((index = 0; index < REPLICA_COUNT; index++)); do
    ! grep 'event=contradicting' "$NET/replica$index/log" | grep -Ev "culprit=$LIES( |\$)" >&2 || die "an honest replica is accused"
done

# Nobody got both from the liar: then it is the timers, unless the halves compare what they got.
deposed split P1
end_liar

# What was prepared by two, and decided by nobody, has to be in the next view: the load has its receipts, or fails.
deposed mute P2
end_liar

deposed skip P5
end_liar

deposed bad_batch P8
honest_is 'all(.counters.batches_refused > 0 and .counters.client_signatures_bad > 0)' || die "nobody refused a batch"
end_liar
