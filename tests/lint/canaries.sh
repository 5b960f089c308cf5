#!/usr/bin/env bash
# Each planted bug (tests/canary/canaries.txt) still changes its file, and the unit test that it names is there. Whether
# it is found is the business of tests/canary/run, which takes hours.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/canary/plant.sh
. "$top/tests/canary/plant.sh"
copy=$(mktemp)
trap 'rm -f "$copy"' EXIT
failed=0
count=0
while IFS='@' read -r name file expression what test; do
    name=${name// /} file=${file// /} test=${test// /}
    [[ -n "$name" && "$name" != \#* ]] || continue
    count=$((count + 1))
    [ -n "${what// /}" ] || { echo "$name: no word on the error that it makes" && failed=1; }
    [ -z "$test" ] || compgen -G "$top/tests/unit/*/$test.c" >/dev/null ||
        { echo "$name: there is no $test.c" && failed=1; }
    cp "$top/$file" "$copy" || { failed=1 && continue; }
    expression=${expression# } expression=${expression% }
    if ! plant "$copy" "$expression"; then
        echo "$name: not a sed expression"
        failed=1
    elif [ -n "$stale" ]; then
        echo "$name: stale, this changes nothing in $file: $stale"
        failed=1
    fi
done <"$top/tests/canary/canaries.txt"
[ "$count" -gt 0 ] || { echo "no planted bugs" && failed=1; }
doubles=$(grep -v '^#' "$top/tests/canary/canaries.txt" | awk -F@ 'NF { print $1 }' | sort | uniq -d)
[ -z "$doubles" ] || { echo "twice: $doubles" && failed=1; }
exit "$failed"
