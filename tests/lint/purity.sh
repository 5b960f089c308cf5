#!/usr/bin/env bash
# The pure folders ask nothing of the world. Their libraries may leave undefined only their own functions, plain memory
# functions, and what a sanitizer adds: no clock, socket, thread, heap, nng or LMDB. All their state is in their
# callers' memory, except for the counters of the coverage marks (core/mark.h), which marks.c defines. replica/ may take
# memory and put sentences together; its clock, disk, network and threads are its host's (replica/host.h). The same is
# true of client/flow/, which also sorts (client/flow/engine.h).
# Usage: purity.sh BUILD_DIR
set -euo pipefail
build=$1

memory='memcpy|memmove|memset|memcmp|memchr|strlen|strnlen|strcmp|strncmp|strchr|strspn|explicit_bzero'
compiler='__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__popcountdi2|__mem(cpy|move|set)_chk'
sanitizer='__(asan|ubsan|tsan|msan|sanitizer|sancov|gcov|llvm)_.*|__start___.*|__stop___.*'

failed=0
# check FOLDER OWN_PREFIXES: OWN_PREFIXES matches the project's functions that the folder may call.
check() {
    local folder=$1 own=$2 library="$build/$1/libord_${1##*/}.a" allowed count
    local -A defined
    if [ ! -f "$library" ]; then
        echo "$library is missing"
        failed=1
        return
    fi
    # What the folder defines itself it may call.
    defined=()
    while read -r symbol; do
        defined[$symbol]=1
    done < <(nm --defined-only --extern-only "$library" | awk 'NF == 3 { print $3 }')
    allowed="^($memory|$compiler|$sanitizer|$own)\$"
    count=0
    while read -r object symbol; do
        count=$((count + 1))
        [[ "$symbol" =~ $allowed ]] || [ -n "${defined[$symbol]:-}" ] && continue
        # The only place that prints: a broken invariant ends the process.
        [[ "$folder/$object" =~ ^core/assert\.c\.o$ &&
            "$symbol" =~ ^(abort|fprintf|stderr|__fprintf_chk)$ ]] && continue
        echo "$folder/$object needs $symbol"
        failed=1
    done < <(nm --undefined-only --print-file-name "$library" |
        sed -n 's/^[^:]*:\([^:]*\): *[Uvw] \([^@ ]*\).*/\1 \2/p')
    # A check that reads nothing proves nothing.
    if [ -z "$(nm --defined-only --extern-only "$library")" ]; then
        echo "$library: nm names no symbol at all"
        failed=1
    fi
    echo "$folder: $count undefined symbols looked at"
    while read -r object symbol; do
        [[ "$object $symbol" =~ ^marks\.c\.o\ ord_mark_[A-Z0-9_]+$ ]] && continue
        [[ "$symbol" =~ ^($sanitizer)$ ]] && continue
        echo "$folder/$object has state of its own: $symbol"
        failed=1
    done < <(variables "$library")
}

# variables LIBRARY: prints object and name of everything that can be written at run time. Tables of constants that
# contain addresses are in .data.rel.ro.
variables() {
    nm --format=sysv --print-file-name "$1" |
        awk -F'|' '$7 ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ && $7 !~ /^\.data\.rel\.ro/ && $4 ~ /OBJECT|TLS/ {
            gsub(/ /, "", $1)
            split($1, part, ":")
            print part[2], part[3]
        }'
}

check core 'ord_.*'
check solo 'ord_.*|solo_.*'
check bft 'ord_.*|bft_.*'
check raft 'ord_.*|raft_.*'
check channel 'ord_.*|channel_.*|crypto_.*'
check evidence 'ord_.*|bft_.*|channel_.*|crypto_.*'
check replica 'ord_.*|solo_.*|bft_.*|raft_.*|channel_.*|evidence_.*|malloc|calloc|free|snprintf|__snprintf_chk'
check client/flow 'ord_.*|channel_.*|crypto_.*|malloc|calloc|free|v?snprintf|__v?snprintf_chk|qsort'
exit "$failed"
