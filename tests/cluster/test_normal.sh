#!/usr/bin/env bash
# The main job: real transactions, on four replicas or, in a raft channel, three. All chains are equal and verified,
# receipts prove themselves, the stop is clean, and a restart finds the same chain.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

real_transactions "$WORK/input.hex"
make_channel normal
start_cluster
submit --hex --wait --receipts "$WORK/receipts" "$WORK/input.hex" >"$WORK/submit.out" 2>&1 || {
    cat "$WORK/submit.out" >&2
    die "submit"
}
check_chains "$WORK/input.hex"
check_ledgers

# A receipt needs only the genesis block. With one byte changed it proves nothing.
receipts=("$WORK/receipts"/*)
[ "${#receipts[@]}" -gt 0 ] && [ -f "${receipts[0]}" ] || die "no receipts"
for receipt in "${receipts[0]}" "${receipts[-1]}"; do
    ordain verify --genesis "$NET/genesis.block" "$receipt" >/dev/null || die "the receipt $receipt does not verify"
done
size=$(stat -c %s "${receipts[0]}")
cp "${receipts[0]}" "$WORK/forged"
printf '\377\000' | dd of="$WORK/forged" bs=1 seek=$((size / 2)) conv=notrunc status=none
cmp -s "${receipts[0]}" "$WORK/forged" && die "nothing was forged"
refused 1 '.' ordain verify --genesis "$NET/genesis.block" "$WORK/forged"
ok "${#receipts[@]} receipts; first and last verify offline, a forged one does not"

height=$(field 0 certified_height)
sha256sum "$WORK"/chain?.chain | cut -d' ' -f1 >"$WORK/before"
stop_cluster
ok "SIGTERM: all $REPLICA_COUNT ended with exit code 0"
start_cluster
[ "$(field 0 certified_height)" -ge "$height" ] || die "the chain is shorter after a restart"
check_chains "$WORK/input.hex"
sha256sum "$WORK"/chain?.chain | cut -d' ' -f1 | cmp - "$WORK/before" || die "the chain differs after a restart"
ok "the same chain after a restart"
