#!/usr/bin/env bash
# Rows P3 and P4: a primary that withholds its COMMITs, leaves f backups out and fills batches with next to nothing does
# not hold the channel down. In a run of 40 s at ten times the usual load, goodput is at least half of what it is in
# the same seed without liars, with f such liars, with and without rotation. The first ten seconds count, too. Honest
# primaries stay.
# Usage: sim_pace.sh ORDAIN_SIM [SEEDS]
set -euo pipefail
sim=$1
# In seed 3 the liar is the first primary.
seeds=$(seq 3 $((2 + ${2:-4})))
# run SEED LIARS OPTIONS...: sets `view` (the highest one), `lies` and `receipts`.
run() {
    local said
    said=$("$sim" --steady --load 10 --seconds 40 --seed "$1" --liars "$2" "${@:3}" --json)
    view=$(sed -n 's/.*"view_max": \([0-9]*\).*/\1/p' <<<"$said")
    lies=$(sed -n 's/.*"lies": \([0-9]*\).*/\1/p' <<<"$said")
    receipts=$(sed -n 's/.*"receipts": \([0-9]*\).*/\1/p' <<<"$said")
}

for options in "--replicas 4" "--replicas 7" "--replicas 4 --rotate 100" "--replicas 7 --rotate 100"; do
    led=0
    least=100
    for seed in $seeds; do
        # shellcheck disable=SC2086 # several options
        run "$seed" none $options
        [[ "$view" -eq 0 || "$options" == *rotate* ]] || { echo "seed $seed: nobody lies, and view $view"; exit 1; }
        honestly=$receipts
        # shellcheck disable=SC2086
        run "$seed" pace $options
        share=$((receipts * 100 / honestly))
        [ "$share" -ge 50 ] || { echo "$options: seed $seed: $share % of fault-free, up to view $view"; exit 1; }
        [ "$share" -ge "$least" ] || least=$share
        [ "$lies" -eq 0 ] || led=$((led + 1))
    done
    [ "$led" -gt 0 ] || { echo "$options: no seed has a liar that leads"; exit 1; }
    echo "$options: $led liars led; at least $least % of fault-free"
done
