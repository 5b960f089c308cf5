#!/usr/bin/env bash
# Every C file is formatted as clang-format formats it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/files.sh
mapfile -t files < <(tracked '*.c' '*.h')
[ "${#files[@]}" -gt 20 ] || { echo "only ${#files[@]} files found"; exit 1; }
clang-format --dry-run -Werror "${files[@]}"
echo "format: ${#files[@]} files"
