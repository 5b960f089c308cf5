#!/usr/bin/env bash
# A replica's memory stays under a bound that its configuration implies, even while one peer is away for the whole run
# and much more is ordered than would fit. And a reader that never reads (row D7) loses its connection, and the memory
# used for it is released.
set -euo pipefail
. "$(dirname "$0")/common.sh"
: "${READER_BIN:?the reader that never reads}"
begin

body_mib=16  # batches in memory
pool_mib=16  # requests
queue_mib=8  # link queue, for each of three peers
# The rest: the program, the buffers of nng and protobuf, the client table, the open block, and blocks on their way to
# readers.
rest_mib=96
bound_kib=$(((body_mib + pool_mib + 3 * queue_mib + rest_mib) * 1024))

make_network "$WORK/net" --replicas 4 --consensus pbft --channel bounded --body-bytes-max "${body_mib}M" --clients 2
for index in 0 1 2 3; do
    printf 'pool_bytes_max = %s;\nlink_queue_bytes_max = %s;\n' $((pool_mib << 20)) $((queue_mib << 20)) \
        >>"$NET/replica$index/node.cfg"
done
start_cluster
away=$(a_backup)
kill_replica "$away"
count=40000
submit --generate $count --size 8000 --per-envelope 10 --wait >"$WORK/submit.out" 2>&1 &
submitting=$!
BACKGROUND+=("$submitting")
most=0
while kill -0 "$submitting" 2>/dev/null; do
    for index in "${!REPLICA_PID[@]}"; do
        now=$(memory_kib "$index")
        [ "$now" -le "$most" ] || most=$now
        [ "$now" -le "$bound_kib" ] || die "replica $index uses $now KiB; the bound is $bound_kib KiB"
    done
    sleep "$POLL_S"
done
wait "$submitting" || { cat "$WORK/submit.out" >&2; die "submit"; }
BACKGROUND=()
ok "$count transactions of 8,000 bytes with replica $away away: at most $most KiB; the bound is $bound_kib KiB"

start_replica "$away"
wait_level 120
ok "replica $away caught up: heights $(heights)"

# The reader that never reads asks for far more than the sockets hold and than there is memory for. Its connection is
# closed ten seconds after an answer could not leave. Its member's share of the answers is used up until then, so "the
# others" are another member.
readers() { field "$1" counters.client_listener_pipes; }
readers_are() { [ "$(readers "$1")" = "$2" ]; }
memory_back() { [ "$(memory_kib "$1")" -le "$bound_kib" ]; }
victim=$(a_backup)
before=$(readers "$victim")
"$READER_BIN" "$CLIENT" "$victim" 64 >"$WORK/reader.out" 2>&1 &
BACKGROUND=("$!")
until_true "$DEADLINE_S" "the reader has asked" grep -q '^asked' "$WORK/reader.out"
until_true "$DEADLINE_S" "it is connected" readers_are "$victim" $((before + 1))
ordain deliver --config "$NET/client2/client.cfg" --replica "$victim" --from 1 --to 100 --quiet --hex \
    >"$WORK/others.hex" ||
    die "others get nothing"
most=0
while ! readers_are "$victim" "$before"; do
    now=$(memory_kib "$victim")
    [ "$now" -le "$most" ] || most=$now
    [ "$now" -le "$bound_kib" ] ||
        die "replica $victim uses $now KiB for a reader that does not read; the bound is $bound_kib KiB"
    sleep "$POLL_S"
done
kill -0 "${BACKGROUND[0]}" || die "it went by itself"
until_true "$DEADLINE_S" "what was made for it is given back" memory_back "$victim"
ok "D7: others were served; $most KiB while it did not read," \
    "$(memory_kib "$victim") KiB after its connection was closed"
