#!/usr/bin/env bash
# The block cutter's knobs, as a user sees them.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

# blocks: prints one line for each block with transactions of clients: height, number of transactions, bytes of the
# largest transaction, bytes of the block.
blocks() {
    ordain deliver --config "$CLIENT" --from 1 --to newest --json 2>/dev/null |
        jq -r '[.envelopes[] | select(.kind == "transactions") | .transactions[]] as $all | select($all | length > 0)
            | [.height, ($all | length), ([$all[] | length / 2] | max), .bytes] | @tsv'
}

big=170363
numbered_transactions "$WORK/small.hex" 400 small
{
    head -n 200 "$WORK/small.hex"
    transaction_of_size $big
    tail -n 200 "$WORK/small.hex"
} >"$WORK/mixed.hex"
if [ -r "$BITCOIN_BLOCK" ]; then grep . "$BITCOIN_BLOCK" >"$WORK/mixed.hex"; fi
make_network "$WORK/preferred" --channel knobs --preferred-max-bytes 64K
start_cluster
submit --hex --wait "$WORK/mixed.hex" >/dev/null || die "submit"
blocks >"$WORK/blocks"
alone=$(awk -v big=$big '$3 == big { print $2 }' "$WORK/blocks")
[ "$alone" = 1 ] || die "the transaction of $big bytes shares its block with $((alone - 1)) others"
over=$(awk '$4 > 65536 && $2 > 1' "$WORK/blocks")
[ -z "$over" ] || die "blocks of several transactions over 64 KiB: $over"
awk '$2 > 1 { found = 1 } END { exit !found }' "$WORK/blocks" || die "no block holds more than one transaction"
ok "PreferredMaxBytes 64 KiB: the transaction of $big bytes is alone in its block, no other block is over 64 KiB"
stop_cluster

make_network "$WORK/count" --channel knobs --max-message-count 10
start_cluster
submit --hex --wait "$WORK/small.hex" >/dev/null || die "submit"
blocks >"$WORK/blocks"
most=$(awk '$2 > most { most = $2 } END { print most }' "$WORK/blocks")
[ "$most" -eq 10 ] || die "the largest block has $most transactions"
ok "MaxMessageCount 10: no block has more; $(wc -l <"$WORK/blocks") blocks"
stop_cluster

# latency COUNT: prints the median time in ms from submission to receipt, for single transactions one after another.
latency() {
    local count=$1
    submit --generate "$count" --size 100 --rate 1 --wait --json | jq '.final_latency.p50_us / 1000'
}

# Without a timeout, a block is cut at once: what it takes is this machine's part of any latency.
make_network "$WORK/none" --channel knobs --batch-timeout 0
start_cluster
submit --generate 1 --size 100 --wait >/dev/null || die "submit" # registers the client
at_once=$(latency 5)
stop_cluster

make_network "$WORK/timeout" --channel knobs --batch-timeout 500
start_cluster
submit --generate 1 --size 100 --wait >/dev/null || die "submit"
took=$(latency 3)
jq -ne "$took >= 495 and $took < 1000 + 4 * $at_once" >/dev/null ||
    die "with BatchTimeout 500 ms it took $took ms, with BatchTimeout 0 $at_once ms"
jq -ne "$at_once < $took - 250" >/dev/null || die "BatchTimeout 0: $at_once ms, BatchTimeout 500 ms: $took ms"
ok "BatchTimeout 500 ms: a single transaction is in a block after $took ms; BatchTimeout 0: after $at_once ms"
stop_cluster

make_network "$WORK/absolute" --channel knobs --absolute-max-bytes 64K --batch-timeout 0
start_cluster
submit --generate 10 --size 100 --wait >/dev/null || die "submit"
wait_level
before=$(heights)
transaction_of_size 70000 >"$WORK/large.hex"
refused 1 'too.large' ordain submit --config "$CLIENT" --hex --wait "$WORK/large.hex"
[ "$(heights)" = "$before" ] || die "heights changed from $before to $(heights)"
transaction_of_size 60000 >"$WORK/fits.hex"
submit --hex --wait "$WORK/fits.hex" >/dev/null || die "a transaction under the limit was refused"
ok "AbsoluteMaxBytes: TOO_LARGE, and nothing else changes"
