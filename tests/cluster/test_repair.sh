#!/usr/bin/env bash
# Row F3: bits flip in stored blocks and a certificate of a replica. The scrub finds them. The replica serves the sound
# blocks and reports the damaged ones. `ordain ledger repair` refills them while one of the others is down and another
# has the same block damaged. Afterwards the ledger verifies and the chains are identical. Repair names a ledger that is
# in use, and records that no other replica has; it does not write a block that does not fit the chain around it.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin
command -v perl >/dev/null || {
    say "no perl to flip bits with"
    exit 77
}

# flip INDEX REGEX OFFSET: flips one bit at OFFSET bytes after the start of each match in the replica's data file.
flip() {
    perl -e 'my ($path, $regex, $offset) = @ARGV; local $/; my $found = 0;
        open(my $file, "+<:raw", $path) or die; my $data = <$file>;
        while ($data =~ /$regex/gs) {
            my $at = $-[0] + $offset; $found++;
            seek($file, $at, 0) or die; print $file chr(ord(substr($data, $at, 1)) ^ 0x10) or die;
        }
        close($file) or die; exit($found > 0 ? 0 : 1);' "$NET/replica$1/data/data.mdb" "$2" "$3" ||
        die "$2 is not in the ledger"
}
bytes() { sed 's/../\\x&/g' <<<"$1"; }
height_bytes() { bytes "$(printf '%016x' "$1")"; }
block_field() { jq -r --argjson height "$1" "select(.height == \$height) | .$2" "$WORK/blocks.json"; }
# The data root occurs only in the block's header; the data follows it.
flip_block() { flip "$1" "$(bytes "$(block_field "$2" data_root)")" 1000; }
flip_header() { flip "$1" "$(bytes "$(block_field "$2" data_root)")" 5; }
# The match starts with LMDB's node (key size, key); then come version, epoch and seq, the height again and the block's
# hash. The signatures follow.
flip_certificate() {
    flip "$1" "\\x08\\x00$(height_bytes "$2").{17}$(height_bytes "$2")$(bytes "$(block_field "$2" hash)")" 150
}
flip_applied() { flip "$1" '\x07\x00applied' 12; }

ledger() { # ledger VERB INDEX OPTIONS...
    ordain ledger "$1" "$NET/replica$2/data" --genesis "$NET/genesis.block" "${@:3}"
}
# common_certificate: prints the lowest block from 5 on, below the newest, whose certificate all replicas keep. Not
# every replica keeps every certificate.
common_certificate() {
    local height index
    for ((height = 5; height < newest; height++)); do
        for index in 0 1 2 3; do
            ordain ledger show "$NET/replica$index/data" --block "$height" --json >"$WORK/block.json" ||
                die "no block $height"
            jq -e --argjson height "$height" '.certificate.height == $height' "$WORK/block.json" >/dev/null ||
                continue 2
        done
        say "$height"
        return
    done
    die "no block has a certificate everywhere"
}
ledger_refused() { # ledger_refused EXIT_CODE PATTERN VERB INDEX OPTIONS...
    refused "$1" "$2" ordain ledger "$3" "$NET/replica$4/data" --genesis "$NET/genesis.block" "${@:5}"
}
said() { grep -q -e "$1" "$WORK/${2:-refused.out}" || die "it does not say '$1': $(cat "$WORK/${2:-refused.out}")"; }
repaired() { # repaired INDEX
    ledger repair "$1" --config "$CLIENT" >"$WORK/repair.out" 2>&1 || die "repair: $(cat "$WORK/repair.out")"
    said '^ledger verified$' repair.out
}

# order COUNT TAG: orders at least COUNT blocks, each of some KB, so that each has pages and a certificate of its own.
order() {
    local i
    for ((i = 1; i <= $1; i++)); do
        numbered_transactions "$WORK/small.hex" 3 "$2$i"
        awk '{ line = $0; while (length(line) < 6000) line = line $0; print line }' "$WORK/small.hex" >"$WORK/piece.hex"
        submit --hex --wait "$WORK/piece.hex" >"$WORK/submit.out" 2>&1 || die "submit: $(cat "$WORK/submit.out")"
        cat "$WORK/piece.hex" >>"$WORK/all.hex"
    done
}

make_network "$WORK/net" --replicas 4 --consensus pbft --channel repair --batch-timeout 20 --max-message-count 5
cp -a "$NET" "$WORK/fork"
start_cluster
order 10 first
wait_level
victim=$(a_backup)
damaged=$(((victim + 1) % 4))
down=$(((victim + 2) % 4))
newest=$(field "$victim" height)
[ "$newest" -ge 8 ] || die "only $newest blocks"
ordain deliver --config "$CLIENT" --json >"$WORK/blocks.json" 2>/dev/null || die "deliver"
repair=(repair "$victim" --config "$CLIENT")
ledger_refused 2 'in use: stop' "${repair[@]}"
ok "repair of a ledger that a replica has open: exit code 2"

stop_replica "$victim"
repaired "$victim"
said '^nothing to repair' repair.out
flip_block "$victim" 3
certified=$(common_certificate)
flip_certificate "$victim" "$certified"
ledger_refused 1 'bad record in block: height 3: checksum' verify "$victim"
said "bad record in cert: height $certified: checksum"
start_replica "$victim"
pinned=(ordain deliver --config "$CLIENT" --replica "$victim")
refused 3 "damaged on this replica's disk" "${pinned[@]}" --from 3 --to 3
refused 3 "damaged on this replica's disk" "${pinned[@]}" --from 1 --to "$newest"
said 'verified: blocks 1..2'
"${pinned[@]}" --from 6 --to "$newest" >/dev/null 2>&1 || die "replica $victim does not serve what is sound"
ordain deliver --config "$CLIENT" --from 0 --to "$newest" >/dev/null 2>"$WORK/deliver.log" ||
    die "deliver: $(cat "$WORK/deliver.log")"
! grep -i 'do not trust' "$WORK/deliver.log" || die "a damaged disk is taken for a lie"
until_true "$DEADLINE_S" "replica $victim takes part" speaks "$victim"
order 3 second
wait_level
ok "F3: verify names what is damaged; its replica gives an error for it, serves the rest, and takes part"

stop_replica "$victim"
ordain deliver --config "$CLIENT" --json >"$WORK/blocks.json" 2>/dev/null || die "deliver"
newest=$(jq -s 'map(.height) | max' "$WORK/blocks.json")
flip_header "$victim" 4
flip_block "$victim" "$newest"
refused 4 'head of the chain: .*ordain ledger repair' ordain start --config "$NET/replica$victim/node.cfg"
ok "without its newest block it does not start, and says what to do"

stop_replica "$down"
flip_block "$damaged" 3
repaired "$victim"
for what in 'block 3' 'block 4' "block $newest" "certificate of block $certified"; do
    said "^$what: repaired" repair.out
done
grep repaired "$WORK/repair.out"
ok "F3: repaired from two replicas, of which one has the same block damaged"

stop_cluster
flip_block "$victim" 6
flip_block "$victim" 0
ledger_refused 3 '^block 0: repaired from the genesis block' "${repair[@]}" --timeout 3
said 'block 6 is not repaired'
start_replicas "$damaged" "$down"
flip_applied "$victim"
ledger_refused 1 '^block 6: repaired' "${repair[@]}"
said 'bad record in meta'
said 'Move the folder'
flip_applied "$victim"
repaired "$victim"
said '^nothing to repair' repair.out
ok "nobody there: exit code 3; what nobody else has: exit code 1, and what to do"

start_replicas "$victim" "$(((victim + 3) % 4))"
stop_replica "$damaged"
repaired "$damaged"
said '^block 3: repaired' repair.out
start_replica "$damaged"
until_true "$DEADLINE_S" "replica $damaged takes part" speaks "$damaged"
order 5 third
check_chains "$WORK/all.hex"
status_json | jq -e '[.replicas[].evidence == []] | all' >/dev/null || die "somebody contradicted itself"
stop_cluster
check_ledgers

# The same keys and genesis block, but another history: the block that the channel signed is as long as the one that
# this ledger lacks, but different.
channel=$NET
NET=$WORK/fork
start_cluster
order 3 other
ordain deliver --config "$CLIENT" --json >"$WORK/blocks.json" 2>/dev/null || die "deliver"
stop_cluster
flip_block 0 3
NET=$channel
start_cluster
cp "$WORK/fork/replica0/data/data.mdb" "$WORK/before.mdb"
refused 1 'block 3: what the channel signed does not fit' \
    ordain ledger repair "$WORK/fork/replica0/data" --genesis "$NET/genesis.block" --config "$CLIENT"
said 'Do not start'
! grep 'Move the folder' "$WORK/refused.out" || die "it would throw evidence away"
cmp "$WORK/fork/replica0/data/data.mdb" "$WORK/before.mdb" || die "it has written"
ok "a signed block that does not fit to the chain around it is not written"
stop_cluster
