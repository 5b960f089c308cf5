#!/usr/bin/env bash
# The tables of docs/adversary.md are whole, and true: one line for each row, each test that it names exists and names
# the row, and there is one of each kind that is asked for: S of the simulator, B of the cluster, U of unit tests and
# fuzz targets. A row that waits for what is not built yet begins its last column with `waits`; the tests that it names
# must exist, and no more.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/files.sh
# Kinds that are asked for and not there, which the table says.
departures=(D1:S D1:B D2:B D3:B F3:S F8:B)
rows=(P{1..19} V{1..13} V{15..17} C{1..7} K{1..3} K{5..10} K12 K13 M{1..16} T1 T{3..9} T11 D{1..3} D{5..7} G{1..8}
    R1 R{3..6} R{8..10} R{12..24} F1 F{3..10})
head='| row | behaviour | what must be seen | asked | tests |'

failed=0
checked=0
report() {
    printf '%s\n' "$*"
    failed=1
}

# files_of TEST: where a test of this name is written, and what it is made of.
files_of() {
    case $1 in
    cluster.hostile) tracked 'tests/cluster/hostile*' 'tests/cluster/test_hostile.sh' ;;
    cluster.raft_*) # a test of its own, or that of a pbft channel
        tracked "tests/cluster/test_${1#cluster.}.sh" | grep . || tracked "tests/cluster/test_${1#cluster.raft_}.sh"
        ;;
    cluster.*) tracked "tests/cluster/test_${1#cluster.}.sh" ;;
    scenario.*)
        name=${1#scenario.}
        tracked "tests/scenario/${name/./_}.txt"
        ;;
    sim.*) tracked 'sim/*.c' ;;
    fuzz_*) tracked "tests/fuzz/$1.c" ;;
    test_*) tracked "tests/unit/*/$1.c" ;;
    *) tracked "$1" ;;
    esac
}

declare -A lines=() kinds=([S]='^sim\.' [B]='^cluster\.' [U]='^(test|fuzz)_')
waiting=0
while IFS='|' read -r _ row behaviour seen asked tests _; do
    row=${row// /}
    lines[$row]=$((${lines[$row]:-0} + 1))
    [[ " ${rows[*]} " == *" $row "* ]] || report "$row is no row"
    [[ "$behaviour" =~ [a-z] && "$seen" =~ [a-z] && "$asked" =~ ^[SBU\ ]+$ ]] ||
        report "$row: a column is empty or wrong"
    waits=no
    [[ "$tests" != " waits for "* ]] || waits=yes
    named=0
    while IFS= read -r name; do
        named=1
        mapfile -t files < <(files_of "$name")
        [ "${#files[@]}" -gt 0 ] || { report "$row: there is no test $name"; continue; }
        [[ "$name" != *.c && "$waits" = no ]] || continue # a tool, or a part of what is asked for
        checked=$((checked + 1))
        grep -qwe "$row" "${files[@]}" || report "$row: $name does not name it"
    done < <(grep -o '`[^`]*`' <<<"$tests" | tr -d '`' || true)
    if [ "$waits" = yes ]; then
        waiting=$((waiting + 1))
        continue
    fi
    [ "$named" -eq 1 ] || { report "$row: neither a test nor what it waits for"; continue; }
    for kind in $asked; do
        [[ " ${departures[*]} " == *" $row:$kind "* ]] ||
            grep -o '`[^`]*`' <<<"$tests" | tr -d '`' | grep -qE "${kinds[$kind]}" ||
            report "$row: asked $kind, and no test of that kind"
    done
done < <(awk -v head="$head" \
    '$0 == head { inside = 1; next } !/^\|/ { inside = 0 } inside && !/^\| ---/' docs/adversary.md)
for row in "${rows[@]}"; do
    [ "${lines[$row]:-0}" -eq 1 ] || report "$row: ${lines[$row]:-0} lines in the tables of docs/adversary.md"
done

# A check that finds nothing proves nothing.
[ "$checked" -gt 100 ] || report "only $checked tests looked at"
[ "$failed" -eq 0 ] && echo "rows: ${#rows[@]} rows, of which $waiting wait; $checked times a test names its row"
exit "$failed"
