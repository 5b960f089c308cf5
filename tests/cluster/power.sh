# Shared by the tests in which replicas lose power (tests/tools/power_cut.c), on top of common.sh.
# shellcheck shell=bash disable=SC2034 # the scripts that source this file use these variables
: "${POWER_CUT_LIB:?the power cut}"


# power_can_fail: the power of each replica that starts from now on can be cut.
power_can_fail() {
    local index
    for ((index = 0; index < REPLICA_COUNT; index++)); do
        WRAPPER[$index]="env LD_PRELOAD=$POWER_CUT_LIB POWER_CUT_FOLDER=$(realpath "$NET")/replica$index/data"
        WRAPPER[$index]+=" POWER_CUT_TRIGGER=$WORK/cut$index"
    done
}

# cut_power NTH SEED INDEX...: cuts the power of each of these replicas at its NTH write or sync from now on.
cut_power() {
    local index
    for index in "${@:3}"; do printf '%s %s\n' "$1" "$2" >"$WORK/new$index"; done
    for index in "${@:3}"; do mv "$WORK/new$index" "$WORK/cut$index"; done
}

# is_over INDEX: its power is cut, and its disk is as the cut left it.
is_over() { [ ! -e "$WORK/cut$1" ]; }

# without_power INDEX [EXIT_CODE]: waits until the replica is gone (by default killed) and its disk is as the power cut
# left it. $HEIGHT gets the height on disk.
without_power() {
    local status=0
    until_true "$DEADLINE_S" "replica $1 is gone" process_gone "${REPLICA_PID[$1]}"
    wait "${REPLICA_PID[$1]}" 2>/dev/null || status=$?
    [ "$status" -eq 137 ] || [ "$status" -eq "${2:-137}" ] || die "replica $1 ended with exit code $status"
    [ "$status" -eq 137 ] || rm "$WORK/cut$1"
    until_true "$DEADLINE_S" "the power of replica $1 is gone" is_over "$1"
    unset "REPLICA_PID[$1]"
    verify_ledger "$1"
}

# all_without_power INDEX...: waits until these replicas are gone, whose power is about to be cut. A replica that has
# nothing more to write is stopped, unless its power is cut just then.
all_without_power() {
    local index
    for index in "$@"; do
        is_over "$index" || kill -TERM "${REPLICA_PID[$index]}" 2>/dev/null || true
        without_power "$index" 0
    done
}

never_silent() { ! grep -q 'event=silent' "$NET/replica$1/log" || die "replica $1 has forgotten what it said"; }
