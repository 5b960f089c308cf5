# Shared by the tests with a replica that lies (tests/faulty), on top of common.sh.
# shellcheck shell=bash disable=SC2034 # the scripts that source this file use these variables
: "${ORDAIN_FAULTY_BIN:?the replica that lies}"

# Longest time without progress, in ms, that a faulty primary may cause at the default timers (for in_time)
GAP_MS_MAX=1500
LIES=0          # index of the replica that lies
BEHAVIOUR=""    # what it does; the last one if there are several behaviours

# with_liar OFFSET BEHAVIOUR[,BEHAVIOUR...] AFTER INIT_OPTIONS...: makes a channel with default timers and one liar.
# OFFSET 0 is the primary of view 0, 1 that of view 1, and so on; "replica1" is replica 1 whatever view it leads. The
# liar is honest until seq AFTER.
with_liar() {
    local offset=$1
    BEHAVIOUR=${2##*,}
    LIAR=()
    rm -rf "$WORK/net"
    make_network "$WORK/net" --replicas 4 --consensus pbft --channel "${BEHAVIOUR//_/-}" --batch-timeout 20 "${@:4}"
    if [[ "$offset" == replica* ]]; then
        LIES=${offset#replica}
    else
        LIES=$((($(first_primary) + offset) % REPLICA_COUNT))
    fi
    LIAR[$LIES]="$2 --after $3"
}

# honest FILTER: prints the result of jq's FILTER on the list of honest replicas that answer.
honest() { status_json | jq -r --argjson liar "$LIES" "[.replicas[] | select(.replica != \$liar and .reachable)] | $1"; }
honest_is() { [ "$(honest "$1")" = true ]; }

has_lied() { [ "$(lies "$LIES" "$BEHAVIOUR")" -ge "${1:-1}" ]; }
wait_lie() { until_true "$DEADLINE_S" "replica $LIES does $BEHAVIOUR (${1:-1} times)" has_lied "${1:-1}"; }

# witness [N]: prints a replica that never lies, the Nth after the liar.
witness() { say $(((LIES + ${1:-1}) % REPLICA_COUNT)); }

# goes_on BLOCKS: waits until every honest replica certifies BLOCKS more blocks than the highest certifies now.
goes_on() {
    local height
    height=$(honest 'map(.certified_height) | max')
    until_true "$DEADLINE_S" "the chain goes on for $1 blocks" honest_is "all(.certified_height >= $((height + $1)))"
}

# end_liar: ends the load and checks chains and ledgers. No replica may have stopped or reported an error. Stops the
# replicas.
end_liar() {
    load_alive
    load_stop
    check_chains "$WORK/load.hex"
    stop_cluster
    check_ledgers
    if grep -H 'level=error' "$NET"/replica*/log >&2; then die "a replica reported an error"; fi
}
