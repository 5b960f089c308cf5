#!/usr/bin/env bash
# Throughput with one faulty replica of four that does its worst, measured once the primary is honest, must be more than
# half of that with four honest replicas just before or after it. Each is measured several times and the best counts,
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

# honestly: sets HONEST to the transactions per second with four honest replicas, and judges the liars that were
# measured since the last time: a liar must leave more than half of the lower one of the two.
HONEST=0
MEASURED=()
honestly() {
    local last=$HONEST lower row behaviour speed
    with_liar 0 flood 0
    LIAR=()
    start_cluster
    speed
    stop_cluster
    HONEST=$SPEED
    ok "four honest replicas: $HONEST transactions/s"
    lower=$((last == 0 || HONEST < last ? HONEST : last))
    while read -r row behaviour speed; do
        ok "$row: $behaviour: $speed transactions/s, $((speed * 100 / lower)) % of fault-free"
        [ $((speed * 100)) -gt $((lower * 50)) ] || die "less than half"
    done < <([ ${#MEASURED[@]} -eq 0 ] || printf '%s\n' "${MEASURED[@]}")
    MEASURED=()
}

# measure ROW BEHAVIOUR OFFSET: measures with this liar. A liar that leads view 0 is deposed before it is measured.
measure() {
    with_liar "$3" "$2" 10
    start_cluster
    LOAD_PIECE=100 load_start
    wait_lie
    [ "$3" -ne 0 ] || until_true "$DEADLINE_S" "an honest primary" honest_is "all(.view >= 1 and .primary != null)"
    goes_on 1
    load_stop
    speed
    ok "$2: lied $(lies "$LIES" "$2") times and more"
    MEASURED+=("$1 $2 $SPEED")
    stop_cluster
}

# The machine may be slower or faster a minute later.
honestly
measure P2 mute 0
measure P1 equivocate 0
measure P3 delay 0
measure P3 pace 0
honestly
measure V3,T9 flood 2
measure V3 heavy 2
# Three times the 32 MiB per second that one asker gets must be read, sealed, sent and opened again here, on processors
# that all replicas share.
measure C7 ask_flood 2
honestly
