#!/usr/bin/env bash
# A full disk (row F5): the replica refuses with BUSY and damages nothing; it continues once there is room again. Each
# ledger lies on a small file system of its own if one can be mounted (as root, or in a user namespace). Otherwise a
# large file and the reserve set in node.cfg use up the free space that all share. In a raft channel the leader's disk
# is full first, where it has one of its own: another one leads, and the former leader's client is told BUSY and served
# later (row R21).
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
. "$(dirname "$0")/raft.sh"
begin

make_channel full --batch-timeout 20 --clients 2
mapfile -t all < <(all_replicas)
for index in "${all[@]}"; do
    mkdir -p "$WORK/disk/$index"
    if [ "$ORDAIN_DISK" = mount ]; then
        mount -t tmpfs -o size=160m ordain "$WORK/disk/$index"
        on_exit umount "$WORK/disk/$index"
    fi
done
free_bytes() { df --output=avail -B1 "$WORK/disk/$1" | tail -n 1; }
reserve=$((32 << 20))
if [ "$ORDAIN_DISK" = mount ]; then
    say "each ledger on a file system of 160 MiB"
else
    reserve=$(($(free_bytes 0) - (512 << 20)))
    [ "$reserve" -gt 0 ] || die "less than 512 MiB free"
    say "ledgers on the common file system; reserve $reserve bytes"
fi
for index in "${all[@]}"; do
    sed -i "s|^data_dir = .*|data_dir = \"$WORK/disk/$index/data\";|" "$NET/replica$index/node.cfg"
    printf 'disk_reserve_bytes = %s;\n' "$reserve" >>"$NET/replica$index/node.cfg"
done
submit_second() { ordain submit --config "$NET/client2/client.cfg" --hex --wait "$@"; }
start_cluster
order before 500
numbered_transactions "$WORK/second.hex" 1 second # a client that has registered
submit_second "$WORK/second.hex" >/dev/null || die "the second client"
cat "$WORK/second.hex" >>"$WORK/all.hex"

# fill INDEX...: fills these disks until less than the reserve is left. On the common file system the first fill does.
fill() {
    local index size
    for index in "$@"; do
        size=$(($(free_bytes "$index") - reserve + (8 << 20)))
        [ "$size" -lt $((8 << 20)) ] || fallocate -l "$size" "$WORK/disk/$index/filler"
    done
}
intake_is() { # open|closed INDEX...
    local index open=true
    [ "$1" = open ] || open=false
    for index in "${@:2}"; do [ "$(field "$index" intake_open)" = "$open" ] || return 1; done
}

# held_back SUBMIT_OPTIONS...: the second client submits while disks are full. It is told BUSY, and tries again until it
# is served. $HELD gets its pid.
held_back() {
    submit_second --json "$@" >"$WORK/during.json" 2>"$WORK/during.err" &
    HELD=$!
    BACKGROUND+=("$HELD")
    until_true "$DEADLINE_S" "the client is told BUSY" told_busy
    kill -0 "$HELD" 2>/dev/null || { cat "$WORK/during.err" >&2; die "the client gave up"; }
    for index in "${all[@]}"; do kill -0 "${REPLICA_PID[$index]}" 2>/dev/null || die "replica $index ended"; done
}
busy() { status_json | jq '[.replicas[] | .counters.envelopes_busy] | add'; }
told_busy() { [ "$(busy)" -gt "$BUSY_BEFORE" ]; }
served() {
    wait "$HELD" || { cat "$WORK/during.err" >&2; die "submit after there was room again"; }
    BACKGROUND=()
}

if [ "$CONSENSUS" = raft ] && [ "$ORDAIN_DISK" = mount ]; then
    leader=$(primary)
    BUSY_BEFORE=$(busy)
    since=$(now_ms)
    fill "$leader"
    until_true "$DEADLINE_S" "another replica leads" another_leads "$leader"
    took=$(($(now_ms) - since))
    until_true "$DEADLINE_S" "replica $leader stops intake" intake_is closed "$leader"
    numbered_transactions "$WORK/held.hex" 200 held
    held_back --replica "$leader" "$WORK/held.hex"
    order beside 500
    ok "R21: the leader's disk is full: another one leads $took ms later; its client is told BUSY, the others serve"
    rm "$WORK/disk/$leader/filler"
    served
    cat "$WORK/held.hex" >>"$WORK/all.hex"
    ok "R21: there is room again: its client is served"
fi

BUSY_BEFORE=$(busy)
fill "${all[@]}"
until_true "$DEADLINE_S" "every replica stops intake" intake_is closed "${all[@]}"
ok "intake is closed on all"
numbered_transactions "$WORK/during.hex" 200 during
held_back "$WORK/during.hex"
ok "the client is told BUSY; all replicas live"
rm "$WORK"/disk/*/filler
until_true "$DEADLINE_S" "every replica takes in again" intake_is open "${all[@]}"
served
cat "$WORK/during.hex" >>"$WORK/all.hex"
check_chains "$WORK/all.hex"
stop_cluster
