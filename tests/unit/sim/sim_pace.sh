#!/usr/bin/env bash
# Rows P3 and P4: a primary that withholds its COMMITs, leaves f backups out and fills batches with next to nothing does
# not hold the channel down, and neither does one that only does the last of these. Goodput is at least half of what it
# is in the same seed without liars, with f such liars, with and without rotation. The first ten seconds count, too.
# Honest primaries stay. A primary that makes backups fall behind in turn (blind) keeps to the bounds of a service run.
# The liars are the first primaries (--lead), whatever the genesis block is.
# Usage: sim_pace.sh ORDAIN_SIM [SEEDS]
set -euo pipefail
sim=$1
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
    local liar=$1 least=100 seed honestly share
    for seed in $2; do
        run "$seed" none "${@:3}"
        [[ "$view" -eq 0 || "$*" == *rotate* ]] || { echo "${*:3}: seed $seed: nobody lies, and view $view"; exit 1; }
        honestly=$receipts
        run "$seed" "$liar" --lead "${@:3}"
        share=$((receipts * 100 / honestly))
        [ "$share" -ge 50 ] || { echo "${*:3}: seed $seed: $liar: $share % of fault-free, up to view $view"; exit 1; }
        [ "$share" -ge "$least" ] || least=$share
        [ "$lies" -gt 0 ] || { echo "${*:3}: seed $seed: no $liar leads"; exit 1; }
    done
    echo "${*:3}: $liar leads first; at least $least % of fault-free"
}

for replicas in 4 7; do
    compare pace "$seeds" --replicas "$replicas" --load 10 --seconds 40
    compare pace "$seeds" --replicas "$replicas" --load 10 --seconds 40 --rotate 100
done
compare lean 3 --replicas 4 --load 100 --seconds 15
for seed in 3 10 11; do
    said=$("$sim" --consensus pbft --service --seed "$seed" --replicas 4 --liars blind --lead --json) ||
        { echo "--service --replicas 4: seed $seed: blind"; exit 1; }
    grep -q '"lies": [1-9]' <<<"$said" || { echo "--service --replicas 4: seed $seed: no blind leads"; exit 1; }
done
