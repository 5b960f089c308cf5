#!/usr/bin/env bash
# The search finds a genome that leaves less goodput than the median of the fresh ones, and the command that it prints
# replays the run: its trace hash is the same.
# Usage: sim_search.sh ORDAIN_SIM [RUNS]
set -euo pipefail
sim=$1
runs=${2:-10}

# A violation that it finds is for other tests to judge.
said=$("$sim" --search --seed 200 --runs "$runs") || [ $? -eq 1 ]
summary=$(grep '^search:' <<<"$said")
read -r median worst < <(sed -n 's/.*these \([0-9.]*\) %, worst \([0-9.]*\) %/\1 \2/p' <<<"$summary")
awk -v a="$worst" -v b="$median" 'BEGIN { exit !(a < b) }' || { echo "$summary"; exit 1; }
found=$(grep -A1 '^genome' <<<"$said" | tail -2)
hash=$(grep -o 'trace hash [0-9a-f]*' <<<"$found")
mapfile -t options < <(sed -n 's/^ *ordain-sim //p' <<<"$found" | tr ' ' '\n')
again=$("$sim" "${options[@]}") || [ $? -eq 1 ]
grep -q "$hash" <<<"$again" || { echo "another trace than ${hash}: ${options[*]}"; exit 1; }
echo "$summary"
