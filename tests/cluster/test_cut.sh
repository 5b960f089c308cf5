#!/usr/bin/env bash
# The network between real replicas is cut under load: the primary from all others, only what the primary sends, only
# what is sent to it (in a raft channel rows R6 and R14), two from two of four, one that flaps, and all connections at
# once (rows P2, V12, T4 in part). A cut silently drops what is sent. Another primary leads in less than 2 seconds,
# neither side of a split decides anything, and every replica that was cut off catches up. In the end byte-identical
# verified chains hold every transaction exactly once.
set -euo pipefail
. "$(dirname "$0")/namespaces.sh"
. "$(dirname "$0")/common.sh"
begin

# request_timeout_ms of the channel and a view change
GAP_MS_MAX=1500
# Longest time from the end of a cut to the next block on every replica, however long the cut was: 3 s of silence, then
# 2 s for a dial.
HEAL_MS_MAX=6000
# By then TCP's retries are 6.4, then 12.8 seconds apart.
SPLIT_S=13

make_cut_network "$REPLICAS" --consensus "$CONSENSUS" --channel cuts --batch-timeout 20 --clients 2
mapfile -t all < <(all_replicas)
start_cluster
load_start
until_true "$DEADLINE_S" "a first block" height_at_least 0 1

cut() {
    local other
    case $1 in
    primary) to_switch island "$leader" ;;
    "what the primary sends") one_way_cut "$leader" "${others[@]}" ;;
    "what the primary gets") for other in "${others[@]}"; do one_way_cut "$other" "$leader"; done ;;
    esac
}

heal() {
    local other
    case $1 in
    primary) to_switch mesh "$leader" ;;
    "what the primary sends") one_way_heal "$leader" "${others[@]}" ;;
    "what the primary gets") for other in "${others[@]}"; do one_way_heal "$other" "$leader"; done ;;
    esac
}

# level_with INDEX HEIGHT SINCE: waits until the replica is at this height; dies if that took too long. Sets LEVEL_MS.
level_with() {
    local took
    until_true "$DEADLINE_S" "replica $1 is at height $2" height_at_least "$1" "$2"
    took=$(($(now_ms) - $3))
    in_time "$took" "$HEAL_MS_MAX" || die "replica $1 needed $took ms after the cut was over"
    LEVEL_MS=$took
}

# without WHAT: makes this cut, heals it, and sets GAP to the time without progress.
without() {
    local leader others witness height target since
    leader=$(primary)
    mapfile -t others < <(all_replicas | grep -vxF "$leader")
    witness=${others[RANDOM % ${#others[@]}]}
    watch_start "$witness" newest
    through "$witness" "${1##* }"
    random_pause 300
    height=$(field "$witness" height)
    cut "$1"
    until_true "$DEADLINE_S" "the chain goes on" height_at_least "$witness" $((height + 10))
    until_true "$DEADLINE_S" "the reader gets the blocks after it" watched_past $((height + 10))
    watch_stop
    GAP=$(cat "$WORK/gap")
    target=$(field "$witness" certified_height)
    heal "$1"
    since=$(now_ms)
    level_with "$leader" "$target" "$since"
    through_end
    load_alive
    ok "cut: $1: $GAP ms without progress; it caught up $LEVEL_MS ms after the cut was over"
    [ "$GAP" -gt 0 ] || die "no progress was seen at all"
}

for what in primary "what the primary sends" "what the primary gets"; do
    without "$what"
    in_time "$GAP" "$GAP_MS_MAX" || die "$GAP ms without progress"
done

# The highest block that any replica has executed. Certificates for it may still be completed within one half.
newest() { status_json | jq '[.replicas[].height // 0] | max'; }
silent() { status_json | jq -e '[.replicas[].counters.links_silent > 0] | all' >/dev/null; }
views() { status_json | jq -c '[.replicas[].view]'; }

# Two and two: neither side decides, and neither is enough to leave the view. Once the cut is over they agree again.
two_and_two() {
    local since split view height index
    to_switch island 0 1
    since=$SECONDS
    until_true "$DEADLINE_S" "all four notice that two are silent" silent
    split=$(newest)
    view=$(views)
    until [ $((SECONDS - since)) -ge "$SPLIT_S" ]; do
        height=$(newest)
        [ "$height" -le "$split" ] || die "decided without a quorum: block $split was the newest, then $height"
        [ "$(views)" = "$view" ] || die "a half left its view: $view, then $(views)"
        sleep "$POLL_S"
    done
    load_alive
    to_switch mesh 0 1
    since=$(now_ms)
    for index in 0 1 2 3; do level_with "$index" $((split + 1)) "$since"; done
    ok "split two and two for $SPLIT_S s: block $split stayed the newest; all went on $LEVEL_MS ms after it was over"
}

# Row R14: another replica is dead, and nothing reaches the leader for a second, again and again. It steps down, and the
# one that it is heard by cannot win its vote. Once they are connected, one of the two leads within 3 seconds.
deaf_again() {
    local leader dead alive height round since took most=0
    dead=$(a_backup)
    kill_replica "$dead"
    for ((round = 1; round <= 4; round++)); do
        leader=$(primary)
        alive=$(all_replicas | grep -vxF -e "$leader" -e "$dead")
        one_way_cut "$alive" "$leader"
        since=$(now_ms)
        until [ $(($(now_ms) - since)) -ge 1000 ]; do sleep "$POLL_S"; done
        one_way_heal "$alive" "$leader"
        since=$(now_ms)
        height=$(newest)
        until_true "$DEADLINE_S" "one of the two leads" height_at_least "$alive" $((height + 1))
        took=$(($(now_ms) - since))
        in_time "$took" 3000 || die "$took ms without progress after the two were connected, in round $round"
        [ "$took" -le "$most" ] || most=$took
        load_alive
    done
    start_replica "$dead"
    until_true "$DEADLINE_S" "replica $dead takes part" speaks "$dead"
    ok "R14: replica $dead was dead, and the leader deaf for a second, 4 times: a block at most $most ms later"
}

case $CONSENSUS in
pbft) two_and_two ;;
raft) deaf_again ;;
esac

# A link that comes and goes: first the primary's, later that of the replica that leads by then.
for ((round = 1; round <= 20; round++)); do
    ((round % 5 != 1)) || victim=$(primary)
    to_switch island "$victim"
    random_pause 300
    to_switch mesh "$victim"
    random_pause 300
done
load_alive
height=$(heights | tr ' ' '\n' | sort -n | tail -n 1)
for index in "${all[@]}"; do
    until_true "$DEADLINE_S" "replica $index goes on" height_at_least "$index" $((height + 2))
done
ok "flapping: 20 short cuts; all go on, in view or term $(field 0 view)"

# Every connection between replicas, and of readers, is torn down at once.
if [ -n "$(inside 0 ss --no-header --kill --tcp state established 2>/dev/null)" ]; then
    for ((round = 1; round <= 5; round++)); do
        height=$(field 0 certified_height)
        : >"$WORK/killed"
        for index in "${all[@]}"; do
            inside "$index" ss --no-header --kill --tcp state established >>"$WORK/killed"
        done
        [ -s "$WORK/killed" ] || die "no connections were there to break"
        until_true "$DEADLINE_S" "the chain goes on" height_at_least 0 $((height + 1))
        load_alive
        random_pause 300
    done
    ok "all connections were broken 5 times"
else
    say "this kernel does not break connections (ss --kill): left out"
fi

load_stop
cat "$WORK/through.hex" >>"$WORK/load.hex"
check_chains "$WORK/load.hex"
status_json | jq -e '[.replicas[].evidence == []] | all' >/dev/null || die "somebody contradicted itself"
stop_cluster
check_ledgers
if grep -H 'level=error' "$NET"/replica*/log >&2; then die "a replica reported an error"; fi
