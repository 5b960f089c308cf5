#!/usr/bin/env bash
# Runs clang-tidy (checks in .clang-tidy) over every C file of the named folders; passes if it reports nothing.
# Usage: tidy.sh BUILD_DIR FOLDER...
set -euo pipefail
build=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/../.."
. tests/lint/files.sh
[ -f "$build/compile_commands.json" ] || { echo "$build/compile_commands.json is missing"; exit 1; }
files=()
checks=()
for folder in "$@"; do
    mapfile -t -O "${#files[@]}" files < <(tracked "$folder/*.c")
    # The analyzer does not follow the client's reference counts, so it reports uses after a free that does not happen.
    [ "$folder" != client ] || checks=(--checks=-clang-analyzer-unix.Malloc)
done
[ "${#files[@]}" -gt 0 ] || { echo "no files in $*"; exit 1; }
printf '%s\0' "${files[@]}" |
    xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet --warnings-as-errors='*' "${checks[@]}" -p "$build" 2>/dev/null
echo "tidy: ${#files[@]} files"
