#!/usr/bin/env bash
# Every C file is formatted as clang-format formats it, and no source file and no document has a line over 120 columns,
# except the rows of tables. clang-format alone does not see to that: it leaves a long string or comment as it is.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/files.sh
mapfile -t files < <(tracked '*.c' '*.h')
mapfile -t others < <(tracked '*.sh' '*.cmake' '*CMakeLists.txt' 'scripts/*' '.ci/run' 'tests/canary/run')
mapfile -t documents < <(tracked '*.md')
[ "${#files[@]}" -gt 20 ] || { echo "only ${#files[@]} files found"; exit 1; }
[ "${#others[@]}" -gt 20 ] || { echo "only ${#others[@]} scripts and CMake files found"; exit 1; }
long=$(awk 'length > 120 { print FILENAME ":" FNR ": " length " columns, more than 120" }' "${files[@]}" "${others[@]}")
long+=$(awk 'length > 120 && !/^\|/ { print FILENAME ":" FNR ": " length " columns, more than 120" }' "${documents[@]}")
[ -z "$long" ] || { printf '%s\n' "$long"; exit 1; }
clang-format --dry-run -Werror "${files[@]}"
echo "format: ${#files[@]} C files; lines: these, ${#others[@]} scripts and ${#documents[@]} documents"
