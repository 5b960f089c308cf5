#!/usr/bin/env bash
# Strangers at the doors (rows T3 and T4 in docs/adversary.md): plain TCP and rubbish to TLS ports, and thousands of
# connections that vanish during the handshake, or stay in it, on the ports for clients and for replicas. Members are
# still served, and links of other replicas still come up.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin
trap '' PIPE # the replica hangs up on strangers

count=${STRANGERS:-10000}
make_network "$WORK/net" --replicas 4 --consensus pbft --channel doors --batch-timeout 20
WRAPPER[0]="prlimit --nofile=1024" # fewer open files than strangers
start_cluster
numbered_transactions "$WORK/before.hex" 100 before
submit --hex --wait "$WORK/before.hex" >/dev/null || die "submit"

port=$(sed -n 's/.* port=\([0-9]*\) .*/\1/p' "$NET/replica0/out")
client_port=$(sed -n 's/.* client_port=\([0-9]*\)$/\1/p' "$NET/replica0/out")

# knock PORT BYTES: connects, sends the bytes (printf escapes, may be empty) and disconnects. A full backlog is not a
# failure.
knock() {
    { exec 9<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 0
    # shellcheck disable=SC2059 # the escapes are wanted
    printf "$2" >&9 2>/dev/null || true
    exec 9>&-
}

# The first half of a TLS ClientHello: the peer waits for the rest.
hello='\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f'
for target in "$client_port" "$port"; do
    for ((i = 0; i < count; i++)); do knock "$target" ''; done
    for ((i = 0; i < count; i++)); do knock "$target" "$hello"; done
    for ((i = 0; i < 100; i++)); do knock "$target" 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'; done
    for ((i = 0; i < 100; i++)); do knock "$target" '\x00SP\x00\x00\x31\x00\x00'; done
    ok "$((2 * count + 200)) strangers at port $target"
done

# Thousands of connections stay half open at both ports while members work (row T4). A program for each port opens one
# after the other, and closes each once $held later ones are open. The replica may hang up on them; they come again.
held=2000
ulimit -Sn "$(ulimit -Hn)"
[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -gt $((held + 100)) ] ||
    die "$(ulimit -n) open files are too few for this test"
crowd() {
    local fds=() fd count=0
    while :; do
        if { exec {fd}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null; then
            # shellcheck disable=SC2059
            { printf "$hello" >&"$fd"; } 2>/dev/null || true
            fds+=("$fd")
            if [ "${#fds[@]}" -gt "$held" ]; then
                fd=${fds[count - held]}
                unset "fds[count - held]"
                exec {fd}>&-
            fi
            count=$((count + 1))
        fi
        ((count % 100 != 0)) || printf '%s\n' "$count" >"$WORK/crowd.$1"
    done
}
linked() { [ "$(field "$1" "peers_up | index($2) != null")" = true ]; }
crowd_at_least() { [ "$(cat "$WORK/crowd.$1" 2>/dev/null || say 0)" -ge "$2" ]; }
for target in "$client_port" "$port"; do
    (
        trap - EXIT
        crowd "$target"
    ) &
    BACKGROUND+=("$!")
done
for target in "$client_port" "$port"; do
    until_true "$DEADLINE_S" "$held stand half open at port $target" crowd_at_least "$target" "$held"
done

served() {
    timeout 20 "$ORDAIN_BIN" submit --config "$CLIENT" --replica 0 --hex --wait "$WORK/after.hex" >/dev/null 2>&1
}
numbered_transactions "$WORK/after.hex" 100 after
until_true "$DEADLINE_S" "a client is served by the replica that strangers stand at" served
# A fresh link from another replica comes up as well.
victim=$(a_backup)
[ "$victim" -ne 0 ] || victim=1
kill_replica "$victim"
start_replica "$victim"
until_true "$DEADLINE_S" "replica 0 has a link with replica $victim" linked 0 "$victim"
until_true "$DEADLINE_S" "replica $victim has a link with replica 0" linked "$victim" 0
wait_level
for target in "$client_port" "$port"; do
    come=$(cat "$WORK/crowd.$target")
    until_true "$DEADLINE_S" "more come to port $target" crowd_at_least "$target" $((come + 100))
    ok "T4: $come strangers half open at port $target, $held of them at a time, and members are served"
done
for pid in "${BACKGROUND[@]}"; do
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
done
BACKGROUND=()

# `served` may have submitted the same transactions several times, and each acknowledged submission is in the chain. So
# only the first part is compared.
deliver_all "$WORK/chain"
grep -Fxf "$WORK/before.hex" "$WORK/chain0.hex" >"$WORK/found.hex" || die "transactions are missing"
same_transactions "$WORK/before.hex" "$WORK/found.hex" || die "not each transaction exactly once"
ok "members are served; four byte-identical chains"
