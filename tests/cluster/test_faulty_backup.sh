#!/usr/bin/env bash
# Backups that lie under load: contradicting votes (P14), a flood of valid messages with view changes for ever higher
# views (V3, T9), forged registrations (P8), attestations of another state (C1). The primary stays, the chain goes on,
# and every provable lie is noticed.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/faulty.sh"
begin

with_liar 2 contradict_prepare 0
start_cluster
LOAD_PIECE=100 load_start
wait_lie 32
goes_on 5
honest_is 'all(.view == 0)' || die "somebody left view 0"
honest_is 'any(.counters.evidence > 0)' || die "no evidence"
ok "P14: evidence $(honest 'map(.counters.evidence | tostring) | join(" ")')"
for ((index = 0; index < REPLICA_COUNT; index++)); do
    ! grep 'event=contradicting' "$NET/replica$index/log" | grep -Ev "culprit=$LIES( |\$)" >&2 ||
        die "an honest replica is accused"
done
end_liar

# The liar does not flood from the start. Otherwise the others would remind it of view changes that it signed but does
# not hold, and it would fall silent (row V16).
with_liar 3 flood 10
start_cluster
LOAD_PIECE=100 load_start
wait_lie 512
goes_on 5
honest_is 'all(.view == 0)' || die "one replica's view changes moved somebody"
dropped='.counters.link_messages_useless + .counters.core_messages_dropped' # before a check of signatures, or after it
honest_is "all($dropped > 1000 and .counters.evidence == 0)" ||
    die "the flood was not dropped, or an honest replica was accused"
ok "V3, T9: $(honest "map($dropped | tostring) | join(\" \")") messages dropped, view 0"
end_liar

# Each forged certificate takes as long to verify as tens of signatures: all of them would take several times as long as
# the liar waits between two forwards. Each replica verifies a few a second. While it ignores the liar the other three
# are all needed, so a replica that this machine delays may cost a view, which is not the liar's doing.
with_liar 2 forge_registrations 10
start_cluster
LOAD_PIECE=100 load_start
wait_lie 4
before=$(honest 'map(.counters.certificates_checked) | max')
started=$(now_ms)
goes_on 50
wait_lie 16
took=$(($(now_ms) - started))
verified=$(($(honest 'map(.counters.certificates_checked) | max') - before))
honest_is 'all(.counters.client_signatures_bad > 0)' || die "no forged registration was noticed"
[ "$verified" -le $((16 * (1 + took / 1000))) ] || die "$verified certificates verified in $took ms"
ok "P8: $verified certificates verified in $took ms of $(lies "$LIES" forge_registrations) forwards of 2000"
end_liar

# Two honest attestations certify blocks but do not make a checkpoint stable. Without a third one there is no stable
# checkpoint, whatever the liar attests.
with_liar 2 wrong_attestation 0 --window 1024
start_cluster
away=$((($(primary) + 1) % 4))
LOAD_PIECE=100 load_start
until_true "$DEADLINE_S" "a stable checkpoint of three" honest_is 'all(.stable_seq > 0)'
kill_replica "$away"
goes_on 2
stable=$(honest 'map(.stable_seq) | max')
seq=$((stable + 200))
until_true "$DEADLINE_S" "the chain goes on without the third" honest_is "all(.seq >= $seq)"
honest_is "all(.view == 0 and .stable_seq <= $stable)" || die "a checkpoint became stable on a wrong attestation"
start_replica "$away"
until_true "$DEADLINE_S" "the checkpoint moves with three" honest_is "length == 3 and all(.stable_seq >= $seq)"
ok "C1: stable at $stable, although the chain was beyond $seq, while two honest replicas were there;" \
    "beyond it with three"
end_liar

# All of these at once, for a while.
with_liar 2 contradict_prepare,wrong_attestation,lying_source,drip,flood 10
start_cluster
away=$((($(primary) + 1) % 4))
LOAD_PIECE=100 load_start
wait_lie 256
goes_on 5
honest_is 'all(.view == 0) and any(.counters.evidence > 0)' || die "somebody left view 0, or nobody noticed anything"
kill_replica "$away"
goes_on 2
height=$(honest 'map(.certified_height) | max')
start_replica "$away"
until_true "$DEADLINE_S" "replica $away comes back" height_at_least "$away" "$height"
ok "P14, V3, T9, C1, C2, C4 together"
end_liar
