#!/usr/bin/env bash
# Arrows point one way: each folder includes only the folders that it may know, and only the folder that owns a library
# includes that library's headers. Two places inside of client/ count as rooms: client/flow, which is deterministic, and
# `api`, the public header client/ordain.h, which includes nothing of the project.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/files.sh

declare -A knows=(
    [core]=""
    [solo]="core"
    [bft]="core"
    [raft]="core"
    [channel]="core crypto"
    [crypto]="core"
    [evidence]="core crypto bft channel"
    [ledger]="core"
    [net]="core"
    [proto]="core"
    [replica]="core crypto solo bft raft channel evidence"
    [client/flow]="core crypto channel api"
    [sim]="core crypto solo bft raft channel evidence replica client/flow api"
    [client]="core crypto bft channel evidence net proto client/flow api"
    [node]="core crypto solo bft raft channel evidence replica ledger net proto"
    [cli]="core crypto solo bft raft channel evidence replica ledger net proto client api node"
)
# Library headers, and the only folders that include them.
declare -A owners=(
    ["lmdb.h"]="ledger"
    ["nng/"]="net"
    ["openssl/"]="crypto net"
    ["secp256k1"]="crypto"
    ["libconfig.h"]="node client"
    ["protobuf-c/"]=""
)
# All headers of the C library that a pure folder may include.
pure_folders="core solo bft raft channel evidence"
pure_headers="stdbool.h stddef.h stdint.h string.h inttypes.h limits.h stdalign.h"

# A replica is decided by its inputs. It takes memory from the heap, and puts together sentences for people.
replica_headers="$pure_headers stdarg.h stdlib.h stdio.h"

# A client's engine is decided by its inputs, too.
flow_headers="$replica_headers"

# The seed alone decides what the simulator's library does: no clock, no thread, no randomness of the machine. Its
# program may measure time.
seeded_headers="$pure_headers stdlib.h stdio.h stdarg.h"

failed=0
checked=0
report() {
    printf '%s\n' "$*"
    failed=1
}

# room_of FILE: prints the room that a file of the project belongs to.
room_of() {
    case $1 in
    client/flow/*) echo client/flow ;;
    client/ordain.h) echo api ;;
    *) echo "${1%%/*}" ;;
    esac
}

has_word() { [[ " $2 " == *" $1 "* ]]; }

for room in "${!knows[@]}"; do
    [ -d "$room" ] || continue
    while IFS= read -r file; do
        [ "$(room_of "$file")" = "$room" ] || [ "$file" = client/ordain.h ] || continue
        checked=$((checked + 1))
        while IFS= read -r include; do
            folder=$(room_of "$include")
            if [ "$folder" = "$include" ]; then
                report "$file: #include \"$include\" does not say the folder"
            elif [ "$include" = node/seam.h ] && [ "$room" != node ]; then
                report "$file: #include \"$include\" is for programs of the tests"
            elif [ "$folder" != "$room" ] && ! has_word "$folder" "${knows[$room]}"; then
                report "$file: $room must not know $folder (#include \"$include\")"
            fi
        done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file")
        while IFS= read -r include; do
            for header in "${!owners[@]}"; do
                if [[ "$include" == "$header"* ]] && ! has_word "$room" "${owners[$header]}"; then
                    report "$file: #include <$include> belongs to ${owners[$header]:-generated code}"
                fi
            done
            if has_word "$room" "$pure_folders" && ! has_word "$include" "$pure_headers" &&
                [ "$file" != core/assert.c ]; then
                report "$file: #include <$include> has no place in a pure folder"
            fi
            if [ "$room" = replica ] && ! has_word "$include" "$replica_headers"; then
                report "$file: #include <$include> has no place in a replica"
            fi
            if [ "$room" = client/flow ] && ! has_word "$include" "$flow_headers"; then
                report "$file: #include <$include> has no place in a client's engine"
            fi
            if [ "$room" = sim ] && [ "$file" != sim/main.c ] && ! has_word "$include" "$seeded_headers"; then
                report "$file: #include <$include> has no place in the simulator's library"
            fi
        done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*<\([^>]*\)>.*/\1/p' "$file")
    done < <(tracked "$room/*.c" "$room/*.h")
done

# A check that finds no files proves nothing.
[ "$checked" -gt 20 ] || report "only $checked files found"
[ "$failed" -eq 0 ] && echo "arrows: $checked files, every include points the right way"
exit "$failed"
