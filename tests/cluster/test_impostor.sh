#!/usr/bin/env bash
# A member with a valid certificate who sits on the path and poses as replicas (row M8 in docs/adversary.md). A client
# believes only who proves to be the replica that it called, and so do the other replicas; the refused side is told why.
# The impostor passes everything on, so whoever believed it would be served.
set -euo pipefail
. "$(dirname "$0")/common.sh"
: "${IMPOSTOR_BIN:?the impostor}"
begin

make_network "$WORK/net" --replicas 4 --consensus pbft --channel trade --clients 2 --batch-timeout 20
start_cluster
printf '%s\n' "$(printf 'pay 100 to bob' | od -An -v -tx1 | tr -d ' \n')" >"$WORK/pay.hex"

# stand_between MEMBER: starts the impostor before all replicas, with this member's certificate, and writes a client.cfg
# of the first client that dials it.
stand_between() {
    "$IMPOSTOR_BIN" "$NET" "$1" >"$WORK/$1.out" 2>&1 &
    BACKGROUND+=("$!")
    until_true "$DEADLINE_S" "the impostor listens" grep -q '^"' "$WORK/$1.out"
    cp -r "$NET/client" "$NET/by-$1"
    printf 'replicas = (%s);\n' "$(cat "$WORK/$1.out")" >>"$NET/by-$1/client.cfg"
    config=$NET/by-$1/client.cfg
}
untouched() { [ "$(heights)" = "$before" ] || die "something was ordered: $before became $(heights)"; }

stand_between itself
ordain submit --config "$config" --hex --wait "$WORK/pay.hex" >"$WORK/submit.out" 2>&1 || {
    cat "$WORK/submit.out" >&2
    die "the impostor does not pass on what it gets"
}
ok "with each replica's own certificate, what stands between passes a transaction on: it is ordered"
wait_level
before=$(heights)

stand_between client2
refused 3 'purpose|none of the' ordain submit --config "$config" --timeout 5 --hex --wait "$WORK/pay.hex"
refused 3 'purpose|none of the' ordain receipt --config "$config" --sequence 1
refused 3 'purpose|none of the' ordain deliver --config "$config" --from 1 --to newest --hex
refused 3 'purpose|none of the' ordain status --config "$config"
untouched
ok "a client's certificate is no replica's: submit, receipt, deliver and status end with exit code 3 and say why"

# One of the four is what it says, and only that one counts.
stand_between replica1
ordain status --config "$config" --json >"$WORK/status.json" || die "status"
jq -e '[.replicas[] | .reachable or (.state | test("none of the CAs") | not)] == [false, true, false, false]' \
    "$WORK/status.json" >/dev/null ||
    die "status through replica 1's certificate: $(cat "$WORK/status.json")"
refused 3 'none of the CAs' ordain status --config "$config" --replica 2
untouched
ok "one replica's certificate is no other replica's"

# The same between the replicas.
stop_replica 3
"$IMPOSTOR_BIN" "$NET" replica2 3 >"$WORK/place.out" 2>&1 &
BACKGROUND+=("$!")
until_true "$DEADLINE_S" "the impostor is in replica 3's place" grep -q 'in the place' "$WORK/place.out"
refused_by() {
    grep -Eq 'event=handshake_failed .*at=link .*certificate="[^"]*CN = replica2" why="[^"]*none of the CAs' \
        "$NET/replica$1/log"
}
for index in 0 1 2; do
    until_true "$DEADLINE_S" "replica $index refuses who stands in replica 3's place" refused_by "$index"
done
submit --hex --wait "$WORK/pay.hex" >/dev/null || die "submit with three replicas"
if grep 'frame' "$WORK/place.out" >&2; then die "a replica sent frames to an impostor"; fi
ok "another replica in replica 3's place gets no frame, and each log says why"
