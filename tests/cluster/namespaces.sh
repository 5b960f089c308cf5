# Networks that can be cut: each replica runs in its own network namespace, joined by a bridge, and the clients beside
# it. Source this file first. It runs the test again inside namespaces, which vanish with their last process however it
# ends. If the machine cannot make such namespaces, the test is skipped (exit code 77). Needs iproute2 and util-linux
# only.
# shellcheck shell=bash disable=SC2034 # the scripts that source this file use these variables
if [ -z "${ORDAIN_NAMESPACES:-}" ]; then
    export ORDAIN_NAMESPACES=1
    for as_user in "" "--user --map-root-user"; do
        # shellcheck disable=SC2086 # splitting into words is wanted
        if unshare $as_user --net --mount sh -c 'mount -t tmpfs none /run && ip netns add try &&
            nsenter --net=/run/netns/try true &&
            ip link add island type bridge && ip link add in type veth peer name out netns try' 2>/dev/null; then
            exec unshare $as_user --net --mount bash "$0" "$@"
        fi
    done
    echo "skipped: this machine cannot make network namespaces with bridges (ip netns, veth)"
    exit 77
fi

# Makes two switches with one address. A replica that moves from one to the other can still be reached by the clients,
# but not by the replicas that it left.
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

# inside INDEX COMMAND...: runs the command in this replica's namespace.
inside() { nsenter --net="/run/netns/r$1" "${@:2}"; }

# to_switch mesh|island INDEX...: connects these replicas to this switch. They reach the clients and each other, but no
# replica on the other switch.
to_switch() {
    local index
    for index in "${@:2}"; do
        ip link set "v$index" master "$1"
        ip route replace "$(address "$index")/32" dev "$1" src 10.77.0.254
    done
}

# make_cut_network COUNT INIT_OPTIONS...: like make_network, with COUNT replicas on one switch.
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

# one_way_cut FROM TO...: what FROM sends no longer reaches TO; what TO sends still reaches FROM.
one_way_cut() {
    local to
    for to in "${@:2}"; do inside "$1" ip route add blackhole "$(address "$to")/32"; done
}
one_way_heal() {
    local to
    for to in "${@:2}"; do inside "$1" ip route del blackhole "$(address "$to")/32"; done
}
