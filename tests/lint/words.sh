#!/usr/bin/env bash
# The project's files contain no left-over marks, no paths of one machine, and no hosts of a private package mirror.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/files.sh
mapfile -t files < <(tracked '*')
[ "${#files[@]}" -gt 20 ] || { echo "only ${#files[@]} files found"; exit 1; }

failed=0
# refuse WHAT PATTERN: fails if any file has a line that matches. The brackets keep the patterns from matching
# themselves.
refuse() {
    local found
    found=$(printf '%s\0' "${files[@]}" | xargs -0 grep -nIE -e "$2" || true)
    [ -z "$found" ] && return
    printf '%s:\n%s\n' "$1" "$found"
    failed=1
}
refuse "left-over marks" '\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b'
refuse "paths of one machine" '(^|[^[:alnum:]._-])/(wor[k]|hom[e]|roo[t]|User[s]|far[m])/'
refuse "package mirrors" 'https?://[^/ ]*(registr[y]|mirro[r]|artifactor[y]|nexu[s]|prox[y])[^/ ]*'
[ "$failed" -eq 0 ] && echo "words: ${#files[@]} files"
exit "$failed"
