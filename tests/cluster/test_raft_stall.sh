#!/usr/bin/env bash
# Row R24: the disk of a follower of a raft channel stands still under load, for ten seconds at least, and until more
# has been ordered than batches in memory and a link's queue hold. The others go on meanwhile, the memory of each
# replica stays under the bound that its configuration implies, and the follower catches up.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/raft.sh"
: "${IO_FAULT_LIB:?the disk that stands still}"
begin

stall_s=10
body_mib=4   # batches in memory
pool_mib=4   # requests
queue_mib=4  # link queue, for each of two peers
rest_mib=96  # as in test_memory.sh
bound_kib=$(((body_mib + pool_mib + 2 * queue_mib + rest_mib) * 1024))

make_network "$WORK/net" --replicas 3 --consensus raft --channel stalled --batch-timeout 20 \
    --body-bytes-max "${body_mib}M" --absolute-max-bytes 256K --batch-bytes-max 1M
for ((index = 0; index < REPLICA_COUNT; index++)); do
    printf 'pool_bytes_max = %s;\nlink_queue_bytes_max = %s;\n' $((pool_mib << 20)) $((queue_mib << 20)) \
        >>"$NET/replica$index/node.cfg"
    WRAPPER[$index]="env LD_PRELOAD=$IO_FAULT_LIB IO_FAULT_FOLDER=$(realpath "$NET")/replica$index/data"
    WRAPPER[$index]+=" IO_FAULT_TRIGGER=$WORK/stall$index"
done
start_cluster

# The load: 8,000 bytes in each transaction, and no end.
generate() {
    while [ ! -e "$WORK/load.stop" ]; do
        submit --generate 2000 --size 8000 --per-envelope 10 --wait >"$WORK/submit.out" 2>&1 || return 1
    done
}
(
    trap - EXIT
    generate
) &
LOAD_PID=$!
BACKGROUND+=("$LOAD_PID")
until_true "$DEADLINE_S" "a first block" height_at_least 0 1

# A stalled replica may not answer, so a reader of another one sees how the chain goes on.
victim=$(a_backup)
mapfile -t others < <(followers "$victim")
witness=${others[0]}
watch_start "$witness" newest
before=$(cat "$WORK/watched")
printf 'sync stall 1 forever\n' >"$WORK/stall.new"
mv "$WORK/stall.new" "$WORK/stall$victim"
until_true "$DEADLINE_S" "the disk of replica $victim stands still" grep -q '^io_fault: ' "$NET/replica$victim/log"
ledger_mib() { say $(($(stat -c %s "$NET/replica$witness/data/data.mdb") >> 20)); }
mib_before=$(ledger_mib)
since=$(now_ms)
stalled_ms=0
most=0
held_mib=$((body_mib + queue_mib))
while [ "$stalled_ms" -lt $((stall_s * 1000)) ] || [ $(($(ledger_mib) - mib_before)) -le "$held_mib" ]; do
    stalled_ms=$(($(now_ms) - since))
    [ "$stalled_ms" -lt $((DEADLINE_S * 1000)) ] ||
        die "only $(($(ledger_mib) - mib_before)) MiB went to disk meanwhile"
    for index in "${!REPLICA_PID[@]}"; do
        used=$(memory_kib "$index")
        [ "$used" -le "$most" ] || most=$used
        [ "$used" -le "$bound_kib" ] || die "replica $index uses $used KiB; the bound is $bound_kib KiB"
    done
    load_alive
    sleep "$POLL_S"
done
height=$(cat "$WORK/watched")
rm "$WORK/stall$victim"
since=$(now_ms)
until_true "$DEADLINE_S" "replica $victim catches up to height $height" height_at_least "$victim" "$height"
level_ms=$(($(now_ms) - since))
watch_stop
gap=$(cat "$WORK/gap")
ordered_mib=$(($(ledger_mib) - mib_before))
load_alive
load_stop
in_time "$gap" 2000 || die "$gap ms without progress"
wait_level
ok "the disk of replica $victim stood still for $stalled_ms ms: the others wrote $ordered_mib MiB in" \
    "$((height - before)) blocks, $gap ms without one at most; at most $most KiB of $bound_kib in memory; it was" \
    "level after $level_ms ms"
deliver_all "$WORK/chain"
one_leader_in_a_term
stop_cluster
check_ledgers
