#!/usr/bin/env bash
# Wrong input gets a clear answer and an exit code, and does no harm to the channel.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

# One other network with a channel of the same name, and one with a channel of another name. Neither is started.
ordain init "$WORK/other" --channel trade >/dev/null
ordain init "$WORK/third" --channel barter >/dev/null
make_network "$WORK/net" --replicas 4 --consensus pbft --channel trade --batch-timeout 0
start_cluster
numbered_transactions "$WORK/good.hex" 100 good
submit --hex --wait "$WORK/good.hex" >/dev/null || die "submit"
wait_level
before=$(heights)
addresses=$(status_json | jq -r '[.replicas[].address | "\"" + . + "\""] | join(", ")')
printf '%s\n' 00ff >"$WORK/one.hex"

# foreign FOLDER IDENTITY TLS GENESIS CHANNEL: writes a client.cfg from these parts that dials the running replicas.
foreign() {
    local folder=$WORK/$1 identity=$WORK/$2 tls=$WORK/$3 genesis=$WORK/$4
    mkdir -p "$folder"
    cat >"$folder/client.cfg" <<END
channel = "$5";
genesis = "$genesis/genesis.block";
identity_key = "$identity/client/identity.key";
identity_cert = "$identity/client/identity.crt";
tls_cert = "$tls/client/tls.crt";
tls_key = "$tls/client/tls.key";
timeout_ms = 2000;
replicas = ($addresses);
END
}

refused 2 'channel' ordain submit --config "$CLIENT" --channel nosuch --hex --wait "$WORK/one.hex"
ok "a channel that the client's genesis block does not name: exit code 2"

# The client keeps asking every replica until its patience ends, because a replica that refuses may be lying.
patience=(--timeout 5)

foreign unknown third third third barter
refused 3 'none of the CAs' \
    ordain submit --config "$WORK/unknown/client.cfg" "${patience[@]}" --hex --wait "$WORK/one.hex"
ok "the replicas of another channel: no connection, for they are not those of the genesis block"

foreign network other other other trade
refused 3 'none of the CAs' \
    ordain submit --config "$WORK/network/client.cfg" "${patience[@]}" --hex --wait "$WORK/one.hex"
ok "the replicas of another network with a channel of the same name: no connection"

foreign stranger other net net trade
refused 1 'forbidden|not allowed|certificate' \
    ordain submit --config "$WORK/stranger/client.cfg" "${patience[@]}" --hex --wait "$WORK/one.hex"
ok "an identity of a foreign CA: refused at registration"

foreign tls net other net trade
refused 2 'other/client/tls.crt: not a certificate that the replicas of channel trade take: none of the CAs' \
    ordain submit --config "$WORK/tls/client.cfg" "${patience[@]}" --hex --wait "$WORK/one.hex"
ok "a TLS certificate of a foreign CA: exit code 2"

sed 's/^genesis = .*/genesis = 7;/' "$CLIENT" >"$NET/client/wrong.cfg"
refused 2 'wrong.cfg:[0-9]+: genesis wants a string, found a whole number' \
    ordain status --config "$NET/client/wrong.cfg"
ok "client.cfg with a wrong type: file, line, wanted and found type"

[ "$(heights)" = "$before" ] || die "heights changed from $before to $(heights)"
numbered_transactions "$WORK/more.hex" 100 more
submit --hex --wait "$WORK/more.hex" >/dev/null || die "submit after all that"
cat "$WORK/good.hex" "$WORK/more.hex" >"$WORK/all.hex"
check_chains "$WORK/all.hex"

# From here on, the replica's own files.
config=$NET/replica3/node.cfg
refused 2 'in use|another process' ordain start --config "$config"
ok "a second process on the same ledger or port: exit code 2"
stop_replica 3
cp "$config" "$WORK/node.cfg"

# broken PATTERN: replica 3 must refuse to start and give the reason; then its configuration is restored.
broken() {
    refused 2 "$1" ordain start --config "$config"
    cp "$WORK/node.cfg" "$config"
}

printf 'client_contexts = "many";\n' >>"$config"
broken 'node.cfg:[0-9]+: client_contexts wants a whole number, found a string'
printf 'client_context = 3;\n' >>"$config"
broken 'node.cfg:[0-9]+: there is no setting client_context'
printf 'verify_threads = 4294967297;\n' >>"$config"
broken 'node.cfg:[0-9]+: verify_threads is 4294967297'
printf 'replica = 2;\n' >>"$config"
broken 'node.cfg:[0-9]+: duplicate setting'
refused 2 'no such file' ordain start --config "$NET/nothing.cfg"
ok "node.cfg with a wrong type, an unknown or duplicate setting, a number out of range; no file:" \
    "exit code 2, file and line"

chmod 640 "$NET/replica3/identity.key"
broken 'mode 0640'
chmod 600 "$NET/replica3/identity.key"
chmod 604 "$NET/replica3/tls.key"
broken 'mode 0604'
chmod 600 "$NET/replica3/tls.key"
ok "a key file that others may read: exit code 2"

sed -i 's|^identity_key_file = .*|identity_key_file = "../replica2/identity.key";|' "$config"
broken 'key'
sed -i 's|^tls_key_file = .*|tls_key_file = "../replica2/tls.key";|' "$config"
broken 'not the key of the certificate'
ok "the identity or TLS key file of another replica: exit code 2"

sed -i "s|^genesis_file = .*|genesis_file = \"$WORK/other/genesis.block\";|
    s|^tls_cert_file = .*|tls_cert_file = \"$WORK/other/replica3/tls.crt\";|
    s|^tls_key_file = .*|tls_key_file = \"$WORK/other/replica3/tls.key\";|
    s|^identity_key_file = .*|identity_key_file = \"$WORK/other/replica3/identity.key\";|" "$config"
broken 'genesis'
ok "a genesis block that does not match the ledger: exit code 2"

head -c 100 "$NET/genesis.block" >"$WORK/cut.block"
sed -i "s|^genesis_file = .*|genesis_file = \"$WORK/cut.block\";|" "$config"
broken 'genesis|cut.block'
ok "a genesis block that is cut short: exit code 2"

port=$(sed -n 's/.* client_port=\([0-9]*\)$/\1/p' "$NET/replica2/out")
printf 'client_listen_port = %s;\n' "$port" >>"$config"
broken 'in use'
ok "a port in use: exit code 2"

start_replica 3
check_chains "$WORK/all.hex"
