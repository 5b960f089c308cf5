#!/usr/bin/env bash
# A replica signs contradicting statements (liar.c, with the keys of a replica that does not run; row V17: as a second
# process with its key may). The others keep the evidence, across kill -9, show it, and give it out. The file proves it
# to anybody who has the genesis block; a changed file proves nothing.
set -euo pipefail
. "$(dirname "$0")/common.sh"
: "${LIAR_BIN:?the lying replica}"
begin

make_network "$WORK/net" --replicas 4 --consensus pbft --channel evidence --batch-timeout 20
start_cluster
numbered_transactions "$WORK/first.hex" 100 first
submit --hex --wait "$WORK/first.hex" >"$WORK/submit.out" 2>&1 || die "submit"
wait_level
refused 1 'there is none' ordain evidence export --config "$CLIENT" --out "$WORK/none"
[ ! -e "$WORK/none" ] || die "a file without evidence was written"
status_json | jq -e '[.replicas[].evidence == []] | all' >/dev/null || die "evidence against honest replicas"
ok "no evidence against honest replicas"

liar=$(a_backup)
honest=()
for index in 0 1 2 3; do [ "$index" = "$liar" ] || honest+=("$index"); done
view=$(field "${honest[0]}" view)
seq=$(($(field "${honest[0]}" seq) + 1))
stop_replica "$liar"
"$LIAR_BIN" "$NET" "$liar" "$view" "$seq" >"$WORK/liar.out" 2>&1 &
liar_pid=$!
BACKGROUND+=("$liar_pid")

# Two contradictions, one of PREPAREs and one of attestations, at every honest replica.
all_keep_two() {
    status_json | jq -e --argjson liar "$liar" '[.replicas[] | select(.replica != $liar)
        | .reachable and .evidence == [{"against": $liar, "pieces": 2}]] | length == 3 and all' >/dev/null
}
until_true "$DEADLINE_S" "three replicas keep both contradictions" all_keep_two
kill -KILL "$liar_pid" || die "the liar ended too early: $(cat "$WORK/liar.out")"
wait "$liar_pid" 2>/dev/null || true
BACKGROUND=()
ordain status --config "$CLIENT" >"$WORK/status.out" || die "status"
grep -Fx "evidence: replica $liar contradicted itself 2 times (seen by $(IFS=,; sed 's/,/, /g' <<<"${honest[*]}"))" \
    "$WORK/status.out" || {
    cat "$WORK/status.out"
    die "status does not say who lied"
}
ok "replica $liar said two things at (view $view, seq $seq); the others keep the evidence and say so"

kill_replica "${honest[@]}"
start_replicas "${honest[@]}"
all_keep_two || die "evidence is lost by kill -9"
ok "kill -9 of all that keep it: the evidence is there"

# check_file FILE: holds both contradictions of the liar and nothing else.
check_file() {
    ordain evidence verify "$1" --genesis "$NET/genesis.block" --json >"$WORK/verify.out" || die "$1 does not verify"
    jq -se --argjson liar "$liar" --argjson seq "$seq" --argjson view "$view" 'length == 2 and
        ([.[] | .verified and .culprit == $liar and .seq == $seq and .said[0].digest != .said[1].digest] | all) and
        ([.[].statement] | sort == ["ATTESTATION", "PREPARE"]) and
        ([.[] | select(.statement == "PREPARE") | .view == $view] | all)' "$WORK/verify.out" >/dev/null || {
        cat "$WORK/verify.out"
        die "$1 proves something else"
    }
}
ordain evidence export --config "$CLIENT" --out "$WORK/lies" >"$WORK/export.out" || die "export"
grep -F "2 contradictions" "$WORK/export.out" || die "export found something else"
check_file "$WORK/lies"
for index in "${honest[@]}"; do
    ordain evidence export --config "$CLIENT" --replica "$index" --against "$liar" >"$WORK/lies$index" ||
        die "export from replica $index"
    check_file "$WORK/lies$index"
done
cat "$WORK/lies" "$WORK/lies${honest[0]}" >"$WORK/twice"
check_file "$WORK/twice"
refused 1 'there is none' ordain evidence export --config "$CLIENT" --against "${honest[0]}"
stop_replica "${honest[@]}"
refused 3 'no replica|answer|reach' ordain evidence export --config "$CLIENT" --timeout 1
check_file "$WORK/lies"
ordain evidence verify "$WORK/lies" --genesis "$NET/genesis.block"
ok "exported from any replica; proved offline by the file and the genesis block"

# Flip one bit at many places of the file.
size=$(stat -c %s "$WORK/lies")
for ((at = 0; at < size; at += 37)); do
    cp "$WORK/lies" "$WORK/changed"
    byte=$(od -An -tu1 -j "$at" -N 1 "$WORK/lies")
    printf '%b' "\\x$(printf '%02x' $((byte ^ 1)))" |
        dd of="$WORK/changed" bs=1 seek="$at" conv=notrunc status=none
    refused 1 'does not verify' ordain evidence verify "$WORK/changed" --genesis "$NET/genesis.block"
done
head -c $((size - 1)) "$WORK/lies" >"$WORK/changed"
refused 1 'does not verify' ordain evidence verify "$WORK/changed" --genesis "$NET/genesis.block"
: >"$WORK/changed"
refused 1 'not evidence' ordain evidence verify "$WORK/changed" --genesis "$NET/genesis.block"
ordain init "$WORK/other" --replicas 4 --consensus pbft --channel evidence >"$WORK/init.out" || die "init"
refused 1 'another network' ordain evidence verify "$WORK/lies" --genesis "$WORK/other/genesis.block"
refused 2 'not a genesis block' ordain evidence verify "$WORK/lies" --genesis "$WORK/lies"
refused 2 'genesis' ordain evidence verify "$WORK/lies"
refused 2 'export or verify' ordain evidence "$WORK/lies"
refused 2 'verify asks nobody' ordain evidence verify "$WORK/lies" --genesis "$NET/genesis.block" --config "$CLIENT"
refused 2 'no replica 7' ordain evidence export --config "$CLIENT" --against 7
ok "a changed byte, a cut, another network and wrong arguments are refused"

for index in "${honest[@]}"; do
    ordain ledger verify "$NET/replica$index/data" --genesis "$NET/genesis.block" --json |
        jq -e '.ok and .evidence == 2' >/dev/null || die "ledger verify does not count the evidence"
    ordain ledger show "$NET/replica$index/data" --json |
        jq -e --argjson liar "$liar" '[.evidence[].culprit] == [$liar, $liar]' >/dev/null || die "ledger show"
done
ok "ledger verify and show know it"

# The replica whose keys were misused comes back and takes part: acting on evidence is left to people.
start_cluster
numbered_transactions "$WORK/second.hex" 100 second
submit --hex --wait "$WORK/second.hex" >"$WORK/submit.out" 2>&1 || {
    cat "$WORK/submit.out" >&2
    die "submit after the lies"
}
cat "$WORK/first.hex" "$WORK/second.hex" >"$WORK/all.hex"
check_chains "$WORK/all.hex"
all_keep_two || die "evidence changed"
stop_cluster
check_ledgers
