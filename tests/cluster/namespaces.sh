# Networks that can be cut: each replica in a network namespace of its own, joined by a bridge, with the clients beside it. Source it
# first: it runs the test again inside namespaces that are gone with its last process, whatever ends it; where the machine
# cannot make them the test is skipped (exit code 77). iproute2 and util-linux, nothing else.
# shellcheck shell=bash disable=SC2034 # what is set here is used there
if [ -z "${ORDAIN_NAMESPACES:-}" ]; then
    export ORDAIN_NAMESPACES=1
    for as_user in "" "--user --map-root-user"; do
        # shellcheck disable=SC2086 # words are wanted
        if unshare $as_user --net --mount sh -c 'mount -t tmpfs none /run && ip netns add try && nsenter --net=/run/netns/try true &&
            ip link add island type bridge && ip link add in type veth peer name out netns try' 2>/dev/null; then
            exec unshare $as_user --net --mount bash "$0" "$@"
        fi
    done
    echo "skipped: this machine cannot make network namespaces with bridges (ip netns, veth)"
    exit 77
fi

# Two switches with one address: whoever is moved from one to the other stays in reach of the clients, and of nobody else.
make_switches() {
    local switch
    mount -t tmpfs none /run
    ip link set lo up
    for switch in mesh island; do
        ip link add "$switch" type bridge
        ip link set "$switch" address 02:00:00:00:00:fe
        ip link set "$switch" up
    done
    ip address add 10.77.0.254/32 dev lo
}

address() { say "10.77.0.$(($1 + 1))"; }

# inside INDEX COMMAND...: in the namespace of this replica.
inside() { nsenter --net="/run/netns/r$1" "${@:2}"; }

# to_switch mesh|island INDEX...: these replicas reach each other and the clients, and nobody who is on the other switch.
to_switch() {
    local index
    for index in "${@:2}"; do
        ip link set "v$index" master "$1"
        ip route replace "$(address "$index")/32" dev "$1" src 10.77.0.254
    done
}

# make_cut_network COUNT INIT_OPTIONS...: as make_network, of so many replicas, all on one switch.
make_cut_network() {
    local index hosts=()
    make_switches
    for ((index = 0; index < $1; index++)); do
        ip netns add "r$index"
        ip link add "v$index" type veth peer name eth0 netns "r$index"
        ip link set "v$index" up
        inside "$index" ip link set lo up
        inside "$index" ip address add "$(address "$index")/24" dev eth0
        inside "$index" ip link set eth0 up
        to_switch mesh "$index"
        hosts+=(--host "$(address "$index")")
        WRAPPER[$index]="nsenter --net=/run/netns/r$index"
    done
    make_network "$WORK/net" --replicas "$1" --base-port 7000 "${hosts[@]}" "${@:2}"
}

# one_way_cut FROM TO...: nothing that FROM sends gets there any more; what comes from there still does.
one_way_cut() {
    local to
    for to in "${@:2}"; do inside "$1" ip route add blackhole "$(address "$to")/32"; done
}
one_way_heal() {
    local to
    for to in "${@:2}"; do inside "$1" ip route del blackhole "$(address "$to")/32"; done
}
