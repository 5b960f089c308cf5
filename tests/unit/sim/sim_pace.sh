#!/usr/bin/env bash
# Rows P3 and P4: a primary that withholds its COMMITs, leaves f backups out and fills batches with next to nothing does
# not hold the channel down, and neither does one that only does the last of these. Goodput is at least half of what it
# is in the same seed without liars, with f such liars, with and without rotation. The first ten seconds count, too.
# Honest primaries stay. A primary that makes backups fall behind in turn (blind) keeps to the bounds of a service run.
# Usage: sim_pace.sh ORDAIN_SIM [SEEDS]
set -euo pipefail
sim=$1
# In seed 3 a liar is the first primary.
seeds=$(seq 3 $((2 + ${2:-4})))
# run SEED LIARS OPTIONS...: sets `view` (the highest one), `lies` and `receipts`.
run() {
    local said
    said=$("$sim" --consensus pbft --steady --seed "$1" --liars "$2" "${@:3}" --json)
    view=$(sed -n 's/.*"view_max": \([0-9]*\).*/\1/p' <<<"$said")
    lies=$(sed -n 's/.*"lies": \([0-9]*\).*/\1/p' <<<"$said")
    receipts=$(sed -n 's/.*"receipts": \([0-9]*\).*/\1/p' <<<"$said")
}

# compare LIAR SEEDS OPTIONS...
compare() {
    local liar=$1 led=0 least=100 seed honestly share
    for seed in $2; do
        run "$seed" none "${@:3}"
        [[ "$view" -eq 0 || "$*" == *rotate* ]] || { echo "${*:3}: seed $seed: nobody lies, and view $view"; exit 1; }
        honestly=$receipts
        run "$seed" "$liar" "${@:3}"
        share=$((receipts * 100 / honestly))
        [ "$share" -ge 50 ] || { echo "${*:3}: seed $seed: $liar: $share % of fault-free, up to view $view"; exit 1; }
        [ "$share" -ge "$least" ] || least=$share
        [ "$lies" -eq 0 ] || led=$((led + 1))
    done
    [ "$led" -gt 0 ] || { echo "${*:3}: no seed has a $liar that leads"; exit 1; }
    echo "${*:3}: $liar led in $led runs; at least $least % of fault-free"
}

for replicas in 4 7; do
    compare pace "$seeds" --replicas "$replicas" --load 10 --seconds 40
    compare pace "$seeds" --replicas "$replicas" --load 10 --seconds 40 --rotate 100
done
compare lean 3 --replicas 4 --load 100 --seconds 15
# A liar is the first primary in each of these.
for seed in 3 10 11; do
    "$sim" --consensus pbft --service --seed "$seed" --replicas 4 --liars blind >/dev/null ||
        { echo "--service --replicas 4: seed $seed: blind"; exit 1; }
done
