#!/usr/bin/env bash
# The disk of a running replica fails under load (row F4, and F5 where LMDB itself meets the full disk): a write or a
# sync returns EIO or ENOSPC, or writes half, once or for ever. The process ends with exit code 4 and gives the reason;
# all that it told others is on its disk; the others continue, under another leader if it led (row R21). Started again
# on a sound disk, it catches up. Last, the disks of all fail at the same moment, so that no other replica keeps what
# one of them acknowledged; a replica that then has nothing more to write is killed.
set -euo pipefail
. "$(dirname "$0")/common.sh"
: "${IO_FAULT_LIB:?the disk that fails}"
begin

make_channel failing --batch-timeout 20
mapfile -t all < <(all_replicas)
for index in "${all[@]}"; do
    WRAPPER[$index]="env LD_PRELOAD=$IO_FAULT_LIB IO_FAULT_FOLDER=$(realpath "$NET")/replica$index/data"
    WRAPPER[$index]+=" IO_FAULT_TRIGGER=$WORK/fail$index"
done

# fail_disks FAULT INDEX...: from now on the disks of these replicas fail like this.
fail_disks() {
    local index
    for index in "${@:2}"; do
        printf '%s\n' "$1" >"$WORK/fail$index.new"
        : >"$NET/replica$index/log"
    done
    for index in "${@:2}"; do mv "$WORK/fail$index.new" "$WORK/fail$index"; done
}

# ended INDEX: waits until the replica ends by itself, as it should. Its disk must verify; $HEIGHT gets its height.
ended() {
    local index=$1 status=0 log=$NET/replica$1/log
    until_true "$DEADLINE_S" "replica $index ends" process_gone "${REPLICA_PID[$index]}"
    wait "${REPLICA_PID[$index]}" || status=$?
    unset "REPLICA_PID[$index]"
    grep -q '^io_fault: ' "$log" || die "the disk of replica $index never failed"
    [ "$status" -eq 4 ] || die "replica $index ended with exit code $status"
    [ "$(grep -c 'level=error' "$log")" -eq 1 ] && grep -q 'level=error .*event=fatal .*what="ledger commit"' "$log" ||
        die "replica $index does not say that its commit failed"
    rm "$WORK/fail$index"
    verify_ledger "$index"
}

# attested_only_kept INDEX: no other replica has a certificate signed by this one for a block that is not on its disk.
attested_only_kept() {
    local index height
    for index in "${all[@]}"; do
        [ "$index" -ne "$1" ] || continue
        for height in $((HEIGHT + 1)) $((HEIGHT + 2)); do
            ordain ledger show "$NET/replica$index/data" --block "$height" --json >"$WORK/block.json" ||
                die "no block $height"
            jq -e --argjson victim "$1" '.certificate.signers | index($victim) == null' "$WORK/block.json" >/dev/null ||
                die "replica $1 attested block $height and has $HEIGHT blocks"
        done
    done
}

start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1

faults=("write EIO 1 once" "sync EIO 1 once" "sync EIO 1 forever" "any EIO $((1 + RANDOM % 8)) forever"
    "write ENOSPC 1 once" "write short 1 once")
for ((round = 0; round < ${#faults[@]}; round++)); do
    victim=$(primary)
    ((round % 2 == 0)) || victim=$(a_backup)
    other=$(((victim + 1) % REPLICA_COUNT))
    watch_start "$victim" newest
    random_pause 200
    height=$(field "$other" certified_height)
    fail_disks "${faults[round]}" "$victim"
    ended "$victim"
    watch_stop
    told=$(cat "$WORK/watched")
    [ "$told" -gt 0 ] && [ "$told" -le "$HEIGHT" ] ||
        die "replica $victim gave a reader block $told and has $HEIGHT blocks"
    until_true "$DEADLINE_S" "the others go on" height_at_least "$other" $((height + 5))
    attested_only_kept "$victim"
    load_alive
    said=$(sed -n 's/^io_fault: \([a-z]*\) .*/\1/p;/event=fatal/s/.*\(err=.*\)/\1/p' "$NET/replica$victim/log" |
        sort -u | tr '\n' ' ')
    start_replica "$victim"
    target=$(field "$other" certified_height)
    until_true "$DEADLINE_S" "replica $victim catches up to height $target" height_at_least "$victim" "$target"
    ok "F4: ${faults[round]}: $said: exit code 4; block $told was told, $HEIGHT are on disk; it came back to $target"
done

two_failed() { [ "$(grep -l '^io_fault: ' "$NET"/replica*/log | wc -l)" -ge 2 ]; }
for fault in "sync EIO 1 once" "write EIO $((1 + RANDOM % 8)) once"; do
    random_pause 300
    height=$(field 0 certified_height)
    fail_disks "$fault" "${all[@]}"
    until_true "$DEADLINE_S" "two disks fail, and nothing more can be decided" two_failed
    for index in "${all[@]}"; do
        if grep -q '^io_fault: ' "$NET/replica$index/log"; then
            ended "$index"
        else
            rm "$WORK/fail$index"
            kill_replica "$index"
        fi
    done
    start_cluster
    until_true "$DEADLINE_S" "the chain goes on after height $height" height_at_least 0 $((height + 1))
    load_alive
    ok "F4: all $REPLICA_COUNT at once: $fault"
done
load_stop
check_chains "$WORK/load.hex"
status_json | jq -e '[.replicas[].evidence == []] | all' >/dev/null || die "somebody contradicted itself"
stop_cluster
check_ledgers
