#!/usr/bin/env bash
# `ordain` itself: help, exit codes and mistyped commands; and the arguments of `ordain init`.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

for command in init start submit deliver receipt verify status ledger; do
    ordain "$command" --help >"$WORK/help" || die "ordain $command --help"
    grep -q "^Usage: ordain $command" "$WORK/help" || die "ordain $command --help does not say how to use it"
    ordain help "$command" | cmp -s - "$WORK/help" || die "ordain help $command differs from --help"
done
ordain --help | grep -q '^Usage: ordain COMMAND' || die "ordain --help"
ordain --version | grep -Eq '^ordain [0-9]+\.[0-9]+' || die "ordain --version"
ok "help of every command"

refused 2 "did you mean 'submit'" ordain sbumit
refused 2 "did you mean 'status'" ordain help statsu
refused 2 'no command' ordain qwertyuiop
refused 2 'Usage' ordain
refused 2 'channel NAME is missing' ordain init "$WORK/a"
refused 2 'are for --consensus raft' ordain init "$WORK/a" --channel t --heartbeat 50
refused 2 'more than election_ms_min' ordain init "$WORK/a" --channel t --consensus raft --election-min 900
refused 2 'pbft, raft or solo' ordain init "$WORK/a" --channel t --consensus poa
refused 2 'has one replica' ordain init "$WORK/a" --channel t --consensus solo --replicas 4
refused 2 'window wants a number' ordain init "$WORK/a" --channel t --window many
refused 2 'name' ordain init "$WORK/a" --channel 'Not A Name'
refused 2 'room for' ordain init "$WORK/a" --channel t --base-port 65530
[ ! -e "$WORK/a" ] || die "a refused init left something behind"
refused 2 'no such file' ordain init "$WORK/no/such/folder" --channel t
ok "wrong arguments have exit code 2 and leave no trace"

ordain init "$WORK/a" --channel t --replicas 7 --clients 2 --preferred-max-bytes 64K >"$WORK/out" || die "init"
grep -q '7 replicas of which 2 may lie, 2 clients' "$WORK/out" || die "init does not say what it made"
[ -f "$WORK/a/replica6/node.cfg" ] && [ -f "$WORK/a/client2/client.cfg" ] || die "files are missing"
[ -z "$(find "$WORK/a" -name '*.key' ! -perm 0600)" ] || die "a key that others may read"
refused 2 'not empty' ordain init "$WORK/a" --channel t
ordain init "$WORK/a" --add-client carol --org org3 >/dev/null || die "add a client"
[ -f "$WORK/a/carol/client.cfg" ] || die "the added client has no files"
ok "init"

# ready_of DIRECTORY: replica 0 of this channel starts.
ready_of() {
    NET=$1
    REPLICA_COUNT=1
    start_replica 0
    stop_replica 0
}
sed -i 's/^# link_queue_bytes_max = .*/link_queue_bytes_max = 3000000;/' "$WORK/a/replica0/node.cfg"
refused 2 'link_queue_bytes_max = 3000000, but a message of channel t .* takes up to [0-9]+ bytes' \
    ordain start --config "$WORK/a/replica0/node.cfg"
sed -i 's/^link_queue_bytes_max = .*/link_queue_bytes_max = 4259840;/' "$WORK/a/replica0/node.cfg"
ready_of "$WORK/a"
ordain init "$WORK/wide" --channel wide --window 65536 >/dev/null || die "init with the largest window"
ready_of "$WORK/wide"
ordain init "$WORK/many" --channel many --replicas 64 >/dev/null || die "init with the most replicas"
ready_of "$WORK/many"
ok "link_queue_bytes_max covers the largest message, or the replica says that it does not"
