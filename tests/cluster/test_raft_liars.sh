#!/usr/bin/env bash
# What a raft channel does not give: one replica of three lies, and nobody promises anything. What the others notice all
# the same is tested here; docs/comparison.md tells what they do not. Nothing ever gets two certificates.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/raft.sh"
begin

# liar_leads: makes the liar, replica 0, the leader, by stopping whoever else leads.
liar_leads() {
    local leader
    while leader=$(primary) && [ "$leader" -ne 0 ]; do
        stop_replica "$leader"
        until_true "$DEADLINE_S" "another replica leads" another_leads "$leader"
        start_replica "$leader"
        until_true "$DEADLINE_S" "replica $leader takes part" speaks "$leader"
    done
}
honest_leads() {
    leader_known && { [ "$(cat "$WORK/leader")" -ne 0 ] || { stop_replica 0 && start_replica 0 && false; }; }
}
halts_or_leads() { halted "$1" || leads "$1"; }
lies_told() { [ "$(lies 0 "$1")" -gt 0 ]; }

# A leader that shows two halves different entries. The replica in the smaller half executes what no majority has; it
# sees that the others attest another state, and stops.
make_network "$WORK/split" --replicas 3 --consensus raft --channel split --batch-timeout 20
LIAR[0]="split_log --after 10"
start_cluster
liar_leads
numbered_transactions "$WORK/piece.hex" 5000 split
submit --hex --wait --per-envelope 1 "$WORK/piece.hex" >"$WORK/submit.out" 2>&1 || {
    cat "$WORK/submit.out" >&2
    die "submit"
}
until_true "$DEADLINE_S" "replica 2 stops" process_gone "${REPLICA_PID[2]}"
status=0
wait "${REPLICA_PID[2]}" || status=$?
unset "REPLICA_PID[2]"
[ "$status" -eq 4 ] || die "replica 2 ended with exit code $status"
grep -q 'event=state_differs' "$NET/replica2/log" || die "replica 2 does not say why"
[ "$(lies 0 split_log)" -gt 0 ] || die "nobody lied"
stop_cluster
unset 'LIAR[0]'
ok "a leader that shows two halves different entries: replica 2 stops with exit code 4, and says state_differs"

# A follower that acknowledges what it does not keep. While the third replica is down, the leader executes what no other
# disk holds. Nobody gets a receipt for it, because the liar attests nothing. Then the leader dies, and the two others
# go on without these entries. When the leader is back, it halts, and says so: what it executed is lost.
make_network "$WORK/unkept" --replicas 3 --consensus raft --channel unkept --batch-timeout 20
LIAR[0]="ack_unkept --after 3"
start_cluster
until_true "$DEADLINE_S" "an honest replica leads" honest_leads
leader=$(primary)
third=$((3 - leader))
numbered_transactions "$WORK/piece.hex" 20 before
submit --hex --wait "$WORK/piece.hex" >"$WORK/submit.out" 2>&1 || die "submit"
until_true "$DEADLINE_S" "the liar lies" lies_told ack_unkept
kill_replica "$third"
certified=$(field "$leader" certified_height)
numbered_transactions "$WORK/piece.hex" 20 lost
# The client asks the leader alone: the liar knows nothing of it.
! timeout 5 "$ORDAIN_BIN" submit --config "$CLIENT" --replica "$leader" --hex --wait "$WORK/piece.hex" \
    >"$WORK/submit.out" 2>&1 || die "a receipt for what one disk holds"
[ "$(field "$leader" certified_height)" -eq "$certified" ] || die "a certificate of what one disk holds"
[ "$(field "$leader" height)" -gt "$certified" ] || die "the leader did not execute"
kill_replica "$leader"
start_replica "$third"
until_true "$DEADLINE_S" "replica $third leads" leads "$third"
timeout 5 "$ORDAIN_BIN" submit --config "$CLIENT" --replica "$third" --hex --wait "$WORK/piece.hex" \
    >"$WORK/submit.out" 2>&1 || true
start_replica "$leader"
until_true "$DEADLINE_S" "replica $leader halts" halted "$leader"
kill_replica 0 1 2
unset 'LIAR[0]'
ok "a follower that acknowledges what it does not keep: no receipt; after a crash the former leader halts"

# A voter that grants its vote to every candidate, whatever its log. It and replica A order something while replica B is
# down. Then A is down, and B comes back, which has nothing of it. An honest voter would refuse B, for its log is
# behind. The liar elects B, and its own log halts it when B tells it to cut what is committed. When A is back, it halts
# too, unless it becomes the leader first. All that has a receipt is in A's chain, and B has given none.
make_network "$WORK/twice" --replicas 3 --consensus raft --channel twice --batch-timeout 20
LIAR[0]="vote_twice --after 3"
start_cluster
order before 20
wait_level
until_true "$DEADLINE_S" "an honest replica leads" honest_leads
leader=$(primary)
third=$((3 - leader))
kill_replica "$third"
order kept 20
certified=$(field "$leader" certified_height)
kill_replica "$leader"
start_replica "$third"
until_true "$DEADLINE_S" "the liar votes for replica $third" lies_told vote_twice
until_true "$DEADLINE_S" "the liar halts" halted 0
numbered_transactions "$WORK/piece.hex" 20 none
! timeout 5 "$ORDAIN_BIN" submit --config "$CLIENT" --replica "$third" --hex --wait "$WORK/piece.hex" \
    >"$WORK/submit.out" 2>&1 || die "a receipt from a leader that no honest majority elected"
[ "$(field "$third" certified_height)" -lt "$certified" ] || die "a second certificate"
start_replica "$leader"
until_true "$DEADLINE_S" "replica $leader halts or leads" halts_or_leads "$leader"
halts=$(field "$leader" halted)
ordain deliver --config "$CLIENT" --replica "$leader" --from oldest --to "$certified" --hex >"$WORK/kept.hex" \
    2>"$WORK/kept.log" || die "replica $leader lost what it had a certificate of"
same_transactions "$WORK/all.hex" "$WORK/kept.hex" || die "a receipt for what is not in the chain"
kill_replica 0 1 2
unset 'LIAR[0]'
ok "a voter that votes for every candidate: it halts (replica $leader: $halts); what has a receipt is kept"
