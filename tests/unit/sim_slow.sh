#!/usr/bin/env bash
# Rows P3 and P16: a primary that proposes just before the others lose patience, or orders void batches and nothing of what waits, is
# replaced; honest ones are not, however long they lead.
# Usage: sim_slow.sh ORDAIN_SIM
set -euo pipefail
sim=$1
# run SEED LIARS: sets `lies` and `view`, the highest, of a minute without faults.
run() {
    local said
    said=$("$sim" --steady --replicas 4 --seconds 60 --seed "$1" --liars "$2" --json)
    lies=$(sed -n 's/.*"lies": \([0-9]*\).*/\1/p' <<<"$said")
    view=$(sed -n 's/.*"view_max": \([0-9]*\).*/\1/p' <<<"$said")
}

for seed in {1..40}; do
    run "$seed" none
    [ "$view" -eq 0 ] || { echo "seed $seed: nobody lies, and view $view"; exit 1; }
done
for liar in slow empty; do
    replaced=0
    for seed in {1..40}; do
        run "$seed" "$liar"
        if [ "$lies" -gt 0 ]; then # the liar is the first primary
            [ "$view" -gt 0 ] || { echo "seed $seed: the $liar primary stays"; exit 1; }
            # Four timeouts, of three void batches each, and the view change.
            [ "$liar" = slow ] || [ "$lies" -le 16 ] || { echo "seed $seed: replaced after $lies void batches"; exit 1; }
            replaced=$((replaced + 1))
        fi
    done
    [ "$replaced" -gt 0 ] || { echo "no seed has a $liar primary"; exit 1; }
    echo "$replaced $liar primaries were replaced"
done
