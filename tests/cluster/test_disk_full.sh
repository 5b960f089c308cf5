#!/usr/bin/env bash
# A full disk (row F5): the replica refuses with BUSY and damages nothing; it continues once there is room again. All
# four ledgers lie on a small file system of their own if one can be mounted (as root, or in a user namespace).
# Otherwise a large file and the reserve set in node.cfg use up the free space.
set -euo pipefail

if [ -z "${ORDAIN_DISK:-}" ]; then
    if mount_test=$(mktemp -d) && mount -t tmpfs -o size=1m ordain "$mount_test" 2>/dev/null; then
        umount "$mount_test"
        rmdir "$mount_test"
        export ORDAIN_DISK=mount
    elif rmdir "$mount_test" && unshare --user --map-root-user --mount true 2>/dev/null; then
        ORDAIN_DISK=mount exec unshare --user --map-root-user --mount bash "$0"
    else
        export ORDAIN_DISK=reserve
    fi
fi
. "$(dirname "$0")/common.sh"
begin

make_network "$WORK/net" --replicas 4 --consensus pbft --channel full --batch-timeout 20
disk=$WORK/disk
mkdir "$disk"
if [ "$ORDAIN_DISK" = mount ]; then
    mount -t tmpfs -o size=512m ordain "$disk"
    on_exit umount "$disk"
    reserve=$((64 << 20))
    say "ledgers on a file system of 512 MiB"
else
    reserve=$(($(df --output=avail -B1 "$disk" | tail -n 1) - (512 << 20)))
    [ "$reserve" -gt 0 ] || die "less than 512 MiB free"
    say "ledgers on the common file system; reserve $reserve bytes"
fi
for index in 0 1 2 3; do
    sed -i "s|^data_dir = .*|data_dir = \"$disk/$index\";|" "$NET/replica$index/node.cfg"
    printf 'disk_reserve_bytes = %s;\n' "$reserve" >>"$NET/replica$index/node.cfg"
done
start_cluster
numbered_transactions "$WORK/before.hex" 500 before
submit --hex --wait "$WORK/before.hex" >/dev/null || die "submit"

intake_is() {
    status_json | jq -e --argjson open "$1" '[.replicas[] | .reachable and .intake_open == $open] | all' >/dev/null
}

# Fill the disk until less than the reserve is left.
fallocate -l $((($(df --output=avail -B1 "$disk" | tail -n 1)) - reserve + (8 << 20))) "$disk/filler"
until_true "$DEADLINE_S" "every replica stops intake" intake_is false
ok "intake is closed on all four"

# The client holds back what is submitted meanwhile: it is told BUSY and tries again.
numbered_transactions "$WORK/during.hex" 200 during
submit --hex --wait --json "$WORK/during.hex" >"$WORK/during.json" 2>"$WORK/during.err" &
submitting=$!
BACKGROUND+=("$submitting")
told_busy() { [ "$(status_json | jq '[.replicas[] | .counters.envelopes_busy] | add')" -gt 0 ]; }
until_true "$DEADLINE_S" "the client is told BUSY" told_busy
kill -0 "$submitting" 2>/dev/null || { cat "$WORK/during.err" >&2; die "the client gave up"; }
for index in 0 1 2 3; do kill -0 "${REPLICA_PID[$index]}" 2>/dev/null || die "replica $index ended"; done
ok "the client is told BUSY; all replicas live"

rm "$disk/filler"
until_true "$DEADLINE_S" "every replica takes in again" intake_is true
wait "$submitting" || { cat "$WORK/during.err" >&2; die "submit after there was room again"; }
BACKGROUND=()
cat "$WORK/before.hex" "$WORK/during.hex" >"$WORK/all.hex"
check_chains "$WORK/all.hex"
stop_cluster
