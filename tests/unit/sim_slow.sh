#!/usr/bin/env bash
# Row P3: a primary that proposes just before the others lose patience is replaced; honest ones are not, however long they lead.
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

replaced=0
for seed in {1..40}; do
    run "$seed" none
    [ "$view" -eq 0 ] || { echo "seed $seed: nobody lies, and view $view"; exit 1; }
    run "$seed" slow
    if [ "$lies" -gt 0 ]; then # the liar is the first primary
        [ "$view" -gt 0 ] || { echo "seed $seed: the slow primary stays"; exit 1; }
        replaced=$((replaced + 1))
    fi
done
[ "$replaced" -gt 0 ] || { echo "no seed has a slow primary"; exit 1; }
echo "$replaced slow primaries were replaced"
