#!/usr/bin/env bash
# Rows V16 and R13: a replica comes back with an older copy of its data folder, and later with an empty one, each time
# under load. It is silent while it could contradict itself, then takes part again: its vote is needed when another
# replica is stopped. No replica has evidence against it.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

make_channel image --max-message-count 100 --batch-timeout 5000
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1
victim=$(a_backup)
data=$NET/replica$victim/data

goes_on() { # the chain must grow by some blocks
    local height
    height=$(field "$1" certified_height)
    until_true "$DEADLINE_S" "the chain goes on" height_at_least "$1" $((height + ${2:-3}))
}
an_other() { # prints a replica that is neither the victim nor the leader
    local index leader
    leader=$(field $(((victim + 1) % REPLICA_COUNT)) primary)
    for ((index = 0; index < REPLICA_COUNT; index++)); do
        [ "$index" = "$victim" ] || [ "$index" = "$leader" ] || break
    done
    say "$index"
}
silences() { grep -c ' event=silent ' "$NET/replica$victim/log" || true; }
is_silent() { [ "$(silences)" -gt "$1" ]; }

# Empty, it gives no vote before it has the answers of others. It follows meanwhile, or gets the chain by state
# transfer, and may be level by then: its silence is over before it is told.
is_silent_or_level() { is_silent "$1" || speaks "$victim"; }

# comes_back WHAT SILENT: the victim starts with another disk than the one that it stopped with. SILENT: how that shows.
comes_back() {
    local before other height
    before=$(silences)
    start_replica "$victim"
    until_true "$DEADLINE_S" "replica $victim is silent with $1" "$2" "$before"
    grep ' event=silent ' "$NET/replica$victim/log" | tail -n 1
    until_true "$DEADLINE_S" "replica $victim speaks again" speaks "$victim"
    grep ' event=speaks ' "$NET/replica$victim/log" | tail -n 1
    other=$(an_other)
    stop_replica "$other"
    height=$(field "$victim" certified_height)
    until_true "$DEADLINE_S" "the chain goes on with the vote of replica $victim" \
        height_at_least "$victim" $((height + 3))
    start_replica "$other"
    until_true "$DEADLINE_S" "replica $other takes part" speaks "$other"
    load_alive
    ok "with $1 replica $victim was silent, then its vote counted"
}

stop_replica "$victim"
cp -a "$data" "$WORK/image"
start_replica "$victim"
until_true "$DEADLINE_S" "replica $victim takes part again" speaks "$victim"
[ "$(silences)" -eq 0 ] || die "an intact replica is silent"
goes_on "$victim"
kill_replica "$victim"
rm -rf "$data"
cp -a "$WORK/image" "$data"
comes_back "an older copy of its data" is_silent

kill_replica "$victim"
rm -rf "$data"
mkdir "$data"
comes_back "an empty folder" is_silent_or_level

load_stop
cat "$WORK/load.hex" >"$WORK/all.hex"
wait_level

other=$(an_other)
third=$(((victim + 1) % REPLICA_COUNT))
[ "$third" != "$other" ] || third=$(((victim + 2) % REPLICA_COUNT))
has_seq() { [ "$(field "$victim" seq)" -ge "$1" ]; }
seq_past() { [ "$(field "$third" seq)" -gt "$1" ] && [ "$(field "$victim" seq)" -gt "$1" ]; }

# With one more replica down, and a block open, nothing new becomes stable until the two others attest at rest what was
# ordered last. The victim comes there by state transfer and attests it too. That ends its silence without any traffic,
# unless the others voted for seqs beyond it.
level_without_traffic() {
    stop_replica "$other"
    local before
    before=$(field "$third" seq)
    numbered_transactions "$WORK/one.hex" 1 open
    cat "$WORK/one.hex" >>"$WORK/all.hex"
    submit --no-wait --hex "$WORK/one.hex" >/dev/null || die "submit"
    until_true "$DEADLINE_S" "a transaction is ordered" seq_past "$before"
    kill_replica "$victim"
    rm -rf "$data"
    mkdir "$data"
    before=$(silences)
    start_replica "$victim"
    until_true "$DEADLINE_S" "replica $victim is silent" is_silent_or_level "$before"
    until_true "$DEADLINE_S" "it comes to what was ordered last" has_seq "$(field "$third" seq)"
    start_replica "$other"
    # If the others changed views meanwhile, as they do on a busy machine, they voted for seqs beyond it, and some more
    # blocks have to pass those (docs/protocol.md, rule 26).
    load_start
    until_true "$DEADLINE_S" "replica $victim speaks when the others order blocks" speaks "$victim"
    load_stop
    cat "$WORK/load.hex" >>"$WORK/all.hex"
    wait_level
    ok "silent with an empty folder, level without any traffic, and it speaks again"
}

# Of three voters of a raft channel, one without a disk gives no vote before both others have told it what they know
# (docs/raft.md, rule 12). While one of them is down, nobody leads.
silent_until_all_answer() {
    local height since
    stop_replica "$other"
    kill_replica "$victim"
    rm -rf "$data"
    mkdir "$data"
    start_replica "$victim"
    height=$(field "$third" height)
    since=$(now_ms)
    while [ $(($(now_ms) - since)) -lt 3000 ]; do # five of the longest election timeouts
        ! speaks "$victim" || die "replica $victim speaks, and replica $other has not answered"
        [ "$(field "$third" height)" -eq "$height" ] || die "decided without a majority"
        sleep "$POLL_S"
    done
    start_replica "$other"
    until_true "$DEADLINE_S" "replica $victim speaks again" speaks "$victim"
    load_start
    goes_on "$victim"
    load_stop
    cat "$WORK/load.hex" >>"$WORK/all.hex"
    wait_level
    ok "silent with an empty folder for as long as another replica is down, then it speaks again"
}

case $CONSENSUS in
pbft) level_without_traffic ;;
raft) silent_until_all_answer ;;
esac

check_chains "$WORK/all.hex"
status_json | jq -e '[.replicas[].evidence == []] | all' >/dev/null || die "evidence against an honest replica"
ok "nobody has evidence against anybody"
stop_cluster
check_ledgers
