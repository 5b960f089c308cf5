#!/usr/bin/env bash
# Overload is not a fault. Clients want several times what the channel can order, and two of them keep to no window: no
# view changes, the channel orders as much as ever, and a client that asks for little is served within four timeouts. A
# primary that leaves out a client behind this crowd is no better off than the rules allow (docs/protocol.md, "Turns"
# and "Forwarding"): two timeouts until the client's turn, a quarter until all have its envelope, two until its turn has
# come there, four for the clock, and a view change. The censor is the first primary, whatever the genesis block is.
# Usage: sim_crowded.sh ORDAIN_SIM [SEEDS]
set -euo pipefail
sim=$1
seeds=$(seq 1 "${2:-4}")
# run SEED LIARS OPTIONS...: sets `view` (the highest one), `receipts`, and `longest` (how long a client with one
# request at a time waited at most, in ms). The timeout is 1 s.
run() {
    local said
    said=$("$sim" --consensus pbft --crowded --replicas 4 --seconds 15 --seed "$1" --liars "$2" "${@:3}" --json)
    view=$(sed -n 's/.*"view_max": \([0-9]*\).*/\1/p' <<<"$said")
    receipts=$(sed -n 's/.*"receipts": \([0-9]*\).*/\1/p' <<<"$said")
    longest=$(sed -n 's/.*"longest_ms": \([0-9]*\).*/\1/p' <<<"$said")
}

replaced=0
for seed in $seeds; do
    run "$seed" none
    [ "$view" -eq 0 ] || { echo "seed $seed: nobody lies, and view $view"; exit 1; }
    [ "$longest" -le 4000 ] || { echo "seed $seed: a client that asks for little waits $longest ms"; exit 1; }
    [ "$receipts" -ge 4000 ] || { echo "seed $seed: $receipts receipts"; exit 1; }
done
# In every second seed or so the censored client is one that asks for little: it waited for another primary. In seed 39
# it waited 13 s while the simulated replicas forgot whose registration they had taken.
for seed in $seeds 39; do
    run "$seed" censor --lead
    [ "$longest" -le 9250 ] || { echo "seed $seed: a client waits $longest ms, up to view $view"; exit 1; }
    [[ "$view" -eq 0 || "$longest" -le 4000 ]] || replaced=$((replaced + 1))
done
[ "$replaced" -gt 0 ] || { echo "no seed has a client that waits until a censor is replaced"; exit 1; }
echo "crowded: no view change where nobody lies; $replaced clients waited until their censor was replaced"
