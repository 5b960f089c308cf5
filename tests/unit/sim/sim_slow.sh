#!/usr/bin/env bash
# Rows P3 and P16: a primary is replaced if it proposes just before the others lose patience, or if it orders void
# batches and nothing that waits. Honest primaries are not replaced, however long they lead. Row P7: a primary that
# leaves out a client is replaced. The client is served within four timeouts and a view change after it asked an honest
# replica.
# Usage: sim_slow.sh ORDAIN_SIM [SEEDS]
set -euo pipefail
sim=$1
seeds=$(seq 1 "${2:-40}")
# run SEED LIARS: runs a minute without faults. Sets `lies`, `view` (the highest one) and `longest` (the longest time
# that a client waited, in ms).
run() {
    local said
    said=$("$sim" --consensus pbft --steady --replicas 4 --seconds 60 --seed "$1" --liars "$2" --json)
    lies=$(sed -n 's/.*"lies": \([0-9]*\).*/\1/p' <<<"$said")
    view=$(sed -n 's/.*"view_max": \([0-9]*\).*/\1/p' <<<"$said")
    longest=$(sed -n 's/.*"longest_ms": \([0-9]*\).*/\1/p' <<<"$said")
}

for seed in $seeds; do
    run "$seed" none
    [ "$view" -eq 0 ] || { echo "seed $seed: nobody lies, and view $view"; exit 1; }
done
for liar in slow empty; do
    replaced=0
    for seed in $seeds; do
        run "$seed" "$liar"
        if [ "$lies" -gt 0 ]; then # the liar is the first primary
            [ "$view" -gt 0 ] || { echo "seed $seed: the $liar primary stays"; exit 1; }
            # Four timeouts of three void batches each, and the view change.
            [ "$liar" = slow ] || [ "$lies" -le 16 ] ||
                { echo "seed $seed: replaced after $lies void batches"; exit 1; }
            replaced=$((replaced + 1))
        fi
    done
    [ "$replaced" -gt 0 ] || { echo "no seed has a $liar primary"; exit 1; }
    echo "$replaced $liar primaries were replaced"
done
replaced=0
for seed in $seeds; do
    run "$seed" censor
    # The timeout is 1 s. A view change that takes another second has failed. If the liar never led, a client may have
    # to ask again.
    bound=5000
    [ "$view" -gt 0 ] || bound=10000
    [ "$longest" -le "$bound" ] || { echo "seed $seed: a client waits $longest ms, up to view $view"; exit 1; }
    [ "$view" -eq 0 ] || replaced=$((replaced + 1))
done
[ "$replaced" -gt 0 ] || { echo "no seed has a censor that is replaced"; exit 1; }
echo "$replaced censors were replaced"
