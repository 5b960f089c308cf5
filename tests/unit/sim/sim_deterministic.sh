#!/usr/bin/env bash
# The same seed and build give the same run: the whole trace, and the hash over all events. Another seed gives another
# run.
# Usage: sim_deterministic.sh ORDAIN_SIM
set -euo pipefail
sim=$1
# A trace ends with speeds, which depend on the machine.
run() { "$sim" --seed "$1" "${@:2}" | grep -v 'times real time'; }

for consensus in pbft raft; do
    for seed in 2 3 5 11; do
        first=$(run "$seed" --consensus "$consensus" --trace | sha256sum)
        second=$(run "$seed" --consensus "$consensus" --trace | sha256sum)
        [ "$first" = "$second" ] || { echo "seed $seed, $consensus: two runs, two traces"; exit 1; }
    done
done
one=$(run 2 --consensus pbft | grep -o 'trace hash.*')
quiet=$(run 2 --consensus pbft --trace | grep -o 'trace hash.*')
other=$(run 3 --consensus pbft | grep -o 'trace hash.*')
raft=$(run 2 --consensus raft | grep -o 'trace hash.*')
[ "$one" = "$quiet" ] || { echo "seed 2: tracing changes the run"; exit 1; }
[ "$one" != "$other" ] || { echo "seeds 2 and 3 are one run"; exit 1; }
[ "$one" != "$raft" ] || { echo "both protocols are one run"; exit 1; }
echo "deterministic: 4 seeds of each protocol, $one"
