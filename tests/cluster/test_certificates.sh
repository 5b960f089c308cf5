#!/usr/bin/env bash
# TLS certificates of an organisation's own PKI (row F10 in docs/adversary.md), which OpenSSL's program issues here: one
# that ends soon is warned of in log and status, one that has ended keeps the replica from starting, and so does one
# without the right role or use. An operator's certificate may ask.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

make_network "$WORK/net" --consensus solo --channel papers
org=$NET/orgs/org1
cp -a "$NET/replica0/tls.crt" "$WORK/good.crt"

# issue FOLDER OU USES END: a new certificate for the key FOLDER/tls.key, in the name that the old one has. END: what
# `openssl ca` calls an end date.
mkdir "$WORK/ca"
: >"$WORK/ca/index"
cat >"$WORK/ca/ca.cnf" <<END
[ca]
default_ca = this
[this]
database = $WORK/ca/index
rand_serial = yes
new_certs_dir = $WORK/ca
default_md = sha256
policy = any
unique_subject = no
[any]
organizationName = supplied
organizationalUnitName = supplied
commonName = supplied
[req]
distinguished_name = name
[name]
END
issue() {
    local folder=$NET/$1 name
    name=$(openssl x509 -in "$folder/tls.crt" -noout -subject -nameopt multiline | sed -n 's/.*commonName *= //p')
    printf '%s\n' 'basicConstraints = critical, CA:FALSE' 'keyUsage = critical, digitalSignature' \
        "extendedKeyUsage = $3" >"$WORK/ca/extensions"
    {
        openssl req -new -config "$WORK/ca/ca.cnf" -key "$folder/tls.key" -subj "/O=org1/OU=$2/CN=$name" \
            -out "$WORK/ca/request"
        openssl ca -batch -notext -config "$WORK/ca/ca.cnf" -cert "$org/ca.crt" -keyfile "$org/ca.key" \
            -extfile "$WORK/ca/extensions" -in "$WORK/ca/request" -startdate 20200101000000Z -enddate "$4" \
            -out "$folder/tls.crt"
    } >"$WORK/openssl.out" 2>&1 || {
        cat "$WORK/openssl.out" >&2
        die "openssl"
    }
}
in_days() { date -u -d "+$1 days - 30 minutes" +%Y%m%d%H%M%SZ; } # less half an hour, which no test takes
does_not_start() { refused 2 "is no certificate of replica 0.*$1" ordain start --config "$NET/replica0/node.cfg"; }

issue replica0 replica serverAuth,clientAuth 20210101000000Z
does_not_start 'certificate has expired'
ok "a certificate that has ended: exit code 2"
issue replica0 client serverAuth,clientAuth "$(in_days 100)"
does_not_start 'its role has no business here'
issue replica0 replica clientAuth "$(in_days 100)"
does_not_start 'unsuitable certificate purpose'
ok "a certificate of another role, or for one side of a connection only: exit code 2"

issue replica0 replica serverAuth,clientAuth "$(in_days 5)"
start_cluster
grep -q 'event=certificate_ends what="own TLS certificate" hours=119' "$NET/replica0/log" || die "no warning in the log"
ordain status --config "$CLIENT" >"$WORK/status.out" || die "status"
grep -q '^certificate: replica 0: own TLS certificate ends in 5.0 days$' "$WORK/status.out" || {
    cat "$WORK/status.out" >&2
    die "no warning in status"
}
ok "a certificate that ends in five days: log and status warn"

issue client operator clientAuth "$(in_days 100)"
ordain status --config "$CLIENT" --json | jq -e '.replicas[0].state == "ok"' >/dev/null || die "status of an operator"
issue client peer clientAuth "$(in_days 100)"
refused 2 'its role has no business here' ordain status --config "$CLIENT"
issue client client clientAuth "$(in_days 100)"
ok "a client's port takes clients and operators"

stop_cluster
cp -a "$WORK/good.crt" "$NET/replica0/tls.crt"
start_cluster
if grep 'event=certificate_end' <(tail -n 3 "$NET/replica0/log") >&2; then die "a warning of a new certificate"; fi
ok "the next certificate is taken at the next start, without a warning"
