#!/usr/bin/env bash
# Two processes run with one replica's key, configuration, address and disk (row V17): a copy of the primary runs on a
# machine of its own with the same address. They take turns on the network; the other one works alone, for clients that
# reach it. Whatever the two say against each other, the three honest replicas agree, accuse no other replica, and lose
# nothing. Evidence arises only where both vote on one seq, which is a matter of chance. cluster.evidence, not this
# test, checks that evidence is kept and proves who signed.
set -euo pipefail
. "$(dirname "$0")/namespaces.sh"
. "$(dirname "$0")/common.sh"
begin

make_cut_network 4 --consensus pbft --channel twins --batch-timeout 20 --clients 2
start_cluster
LOAD_PIECE=100 load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1
load_stop
wait_level
cp "$WORK/load.hex" "$WORK/before.hex"
P=$(primary)
honest=()
for index in 0 1 2 3; do [ "$index" -eq "$P" ] || honest+=("$index"); done
stop_replica "$P"

# The twin: the same folder, the same address, the same link-layer address, but another cable.
cp -r "$NET/replica$P" "$NET/twin"
sed -i "s|replica$P/|twin/|g" "$NET/twin/node.cfg"
ip netns add twin
ip link add vt type veth peer name eth0 address "$(inside "$P" cat /sys/class/net/eth0/address)" netns twin
ip link set vt up
ip link set vt master island
for command in "link set lo up" "address add $(address "$P")/24 dev eth0" "link set eth0 up"; do
    # shellcheck disable=SC2086 # splitting into words is wanted
    nsenter --net=/run/netns/twin ip $command
done
start_replica "$P"
: >"$NET/twin/out"
nsenter --net=/run/netns/twin "$ORDAIN_BIN" start --config "$NET/twin/node.cfg" >"$NET/twin/out" 2>>"$NET/twin/log" &
TWIN=$!
BACKGROUND+=("$TWIN")
until_true "$DEADLINE_S" "the twin is ready" grep -q '^ready ' "$NET/twin/out"

# alone NAMESPACE TAG: submits as a client that reaches only the replica that is off the network, and does not wait.
alone() {
    numbered_transactions "$WORK/alone.piece" 5 "$2"
    cat "$WORK/alone.piece" >>"$WORK/alone.hex"
    nsenter --net="/run/netns/$1" timeout 2 \
        "$ORDAIN_BIN" submit --config "$NET/client2/client.cfg" --replica "$P" --timeout 1 --no-wait \
        --hex "$WORK/alone.piece" >/dev/null 2>&1 || true
}

others_at() {
    local index
    for index in "${honest[@]}"; do height_at_least "$index" "$1" || return 1; done
}
# If there is any evidence, it is against the replica that runs twice.
nobody_else_accused() {
    status_json | jq -e --argjson p "$P" '[.replicas[].evidence // [] | .[].against] | all(. == $p)' >/dev/null ||
        die "an honest replica is accused"
}

load_start
for ((round = 1; round <= ${ROUNDS:-2}; round++)); do
    if ((round % 2 == 1)); then
        alone twin "twin$round"
        ip link set "v$P" master island
        ip link set vt master mesh
    else
        alone "r$P" "original$round"
        ip link set vt master island
        ip link set "v$P" master mesh
    fi
    height=$(field "${honest[0]}" certified_height)
    until_true "$DEADLINE_S" "the honest ones go on" others_at $((height + 8))
    load_alive
    nobody_else_accused
    process_gone "$TWIN" && die "the twin ended: $(tail -n 3 "$NET/twin/log")"
    ok "V17: round $round: the other one is on the network;" \
        "the honest ones are at $(field "${honest[0]}" certified_height), view $(field "${honest[0]}" view)"
done
load_stop
cat "$WORK/before.hex" >>"$WORK/load.hex"

# The original is on the network, and the twin ends. The original is an honest replica again, whatever was signed with
# its key.
kill -KILL "$TWIN"
wait "$TWIN" 2>/dev/null || true
BACKGROUND=()
wait_level
nobody_else_accused
deliver_all "$WORK/chain"
grep -Fxf "$WORK/load.hex" "$WORK/chain0.hex" >"$WORK/found.hex"
same_transactions "$WORK/load.hex" "$WORK/found.hex" || die "not each transaction exactly once"
[ -z "$(grep -Fxf "$WORK/alone.hex" "$WORK/chain0.hex" | sort | uniq -d)" ] ||
    die "what one alone was told is there twice"
grep -Fvxf "$WORK/load.hex" "$WORK/chain0.hex" | grep -Fvxf "$WORK/alone.hex" && die "nobody submitted this"
ok "pieces of evidence: $(status_json | jq -c '[.replicas[].evidence // [] | .[].pieces] | add // 0')"
ok "$(wc -l <"$WORK/load.hex") transactions, each exactly once, of those told to one alone" \
    "$(grep -cFxf "$WORK/alone.hex" "$WORK/chain0.hex" || true) of $(wc -l <"$WORK/alone.hex"), none twice;" \
    "four byte-identical verified chains"
stop_cluster
check_ledgers
