#!/usr/bin/env bash
# A follower of a raft channel is stopped at block 100. The others go on to 196 and cut their logs every 20 blocks. When
# it comes back it gets the snapshot point of block 180 or a later one, pulls the blocks up to it, and gets the rest as
# log entries. The log says so.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

make_network "$WORK/net" --replicas 3 --consensus raft --channel snapshot --batch-timeout 0 --snapshot-blocks 20 \
    --snapshot-bytes 0 --checkpoint-interval 1
start_cluster

# order_up_to HEIGHT: orders one transaction after the other, each in a block of its own.
order_up_to() {
    local from
    from=$(field "$(primary)" height)
    [ "$from" -lt "$1" ] || return 0
    numbered_transactions "$WORK/piece.hex" $(($1 - from)) "to$1"
    submit --hex --wait --rate 100 "$WORK/piece.hex" >"$WORK/submit.out" 2>&1 || {
        cat "$WORK/submit.out" >&2
        die "submit"
    }
    cat "$WORK/piece.hex" >>"$WORK/all.hex"
}

order_up_to 100
follower=$(a_backup)
wait_level
stopped_at=$(field "$follower" height)
stop_replica "$follower"
while [ "$(field "$(primary)" height)" -lt 196 ]; do order_up_to 196; done
leader=$(primary)
height=$(field "$leader" height)
first=$(field "$leader" counters.raft_log_first_seq)
seq=$(field "$leader" seq)
ok "replica $follower stopped at block $stopped_at; replica $leader is at $height, its log has seqs $first to $seq"
start_replica "$follower"
wait_level
until_true "$DEADLINE_S" "replica $follower takes part" speaks "$follower"
point=$(sed -n 's/.* event=sync_started .*target_height=\([0-9]*\).*/\1/p' "$NET/replica$follower/log" | tail -n 1)
[ -n "$point" ] || { cat "$NET/replica$follower/log" >&2; die "no transfer in its log"; }
[ "$point" -ge 180 ] && [ "$point" -lt "$height" ] || die "it got the snapshot point of block $point"
ok "it got the snapshot point of block $point, pulled $((stopped_at + 1)) to $point, and the rest by replication"
check_chains "$WORK/all.hex"
stop_cluster
check_ledgers
