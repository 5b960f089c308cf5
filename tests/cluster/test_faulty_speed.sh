#!/usr/bin/env bash
# Throughput with one faulty replica of four that does its worst, measured once the primary is honest, must be more than
# half of that with four honest replicas, in one run on one machine. Each is measured several times and the best counts,
# because other programs may use the machine too.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/faulty.sh"
begin

ROUNDS=${ROUNDS:-3}
COUNT=${COUNT:-8000}

# speed: sets SPEED to the transactions per second for which one client gets receipts, with one transaction per
# envelope.
speed() {
    local round rate
    SPEED=0
    for ((round = 1; round <= ROUNDS; round++)); do
        submit --size 256 --generate "$COUNT" --wait --json >"$WORK/speed.json" 2>"$WORK/speed.err" || {
            cat "$WORK/speed.err" >&2
            die "submit"
        }
        rate=$(jq '.tx_per_second | floor' "$WORK/speed.json")
        [ "$rate" -le "$SPEED" ] || SPEED=$rate
    done
}

with_liar 0 flood 0
LIAR=()
start_cluster
speed
honestly=$SPEED
stop_cluster
ok "four honest replicas: $honestly transactions/s"

# half_of_it ROW BEHAVIOUR OFFSET: measures with this liar. A liar that leads view 0 is deposed before it is measured.
half_of_it() {
    with_liar "$3" "$2" 10
    start_cluster
    LOAD_PIECE=100 load_start
    wait_lie
    [ "$3" -ne 0 ] || until_true "$DEADLINE_S" "an honest primary" honest_is "all(.view >= 1 and .primary != null)"
    goes_on 1
    load_stop
    speed
    ok "$1: $2: $SPEED transactions/s, $((SPEED * 100 / honestly)) % of fault-free;" \
        "lied $(lies "$LIES" "$2") times and more"
    [ $((SPEED * 100)) -gt $((honestly * 50)) ] || die "less than half"
    stop_cluster
}
half_of_it P2 mute 0
half_of_it P1 equivocate 0
half_of_it P3 delay 0
half_of_it P3 pace 0
half_of_it "V3, T9" flood 2
half_of_it V3 heavy 2
# Three times the 32 MiB per second that one asker gets must be read, sealed, sent and opened again here, on processors
# that all replicas share.
half_of_it C7 ask_flood 2
