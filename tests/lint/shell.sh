#!/usr/bin/env bash
# Every shell script parses, and shellcheck finds nothing in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/files.sh
mapfile -t files < <({ tracked '*.sh'; tracked 'scripts/*' '.ci/*'; } | sort -u)
[ "${#files[@]}" -gt 5 ] || { echo "only ${#files[@]} scripts found"; exit 1; }
for file in "${files[@]}"; do
    bash -n "$file"
done
shellcheck --external-sources --source-path=SCRIPTDIR --shell=bash --severity=warning "${files[@]}"
echo "shell: ${#files[@]} scripts"
