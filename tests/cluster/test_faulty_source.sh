#!/usr/bin/env bash
# A replica that was away comes back by state transfer, and one of the replicas that it asks lies: with spoiled pieces
# and tails (C2, C5), with single blocks and no answers (C4), or with nothing but slowness (Q2). The returning replica
# accepts nothing wrong, asks another source, and soon has caught up.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/faulty.sh"
begin

ROUNDS_MAX=12
CAUGHT_UP_MS_MAX=10000 # each missing answer costs a deadline of 500 ms
# lied_to BEHAVIOUR: repeats the return of replica AWAY until the liar has lied to it twice. AWAY chooses its sources
# itself, and starts with replica 1.
lied_to() {
    local target round seq took
    with_liar replica1 "$1" 0 --window 16 --checkpoint-interval 8 --max-message-count 40
    start_cluster
    AWAY=$(witness)
    [ "$AWAY" != "$(primary)" ] || AWAY=$(witness 2)
    LOAD_PIECE=100 load_start
    goes_on 1
    for ((round = 1; round <= ROUNDS_MAX; round++)); do
        kill_replica "$AWAY"
        seq=$(honest 'map(.seq) | max')
        until_true "$DEADLINE_S" "the others leave replica $AWAY behind" honest_is "all(.seq >= $((seq + 40)))"
        target=$(honest 'map(.certified_height) | max')
        start_replica "$AWAY"
        took=$(now_ms)
        until_true "$DEADLINE_S" "replica $AWAY catches up to height $target" height_at_least "$AWAY" "$target"
        took=$(($(now_ms) - took))
        ok "round $round: replica $AWAY is at height $target after $took ms; lied to so far: $(lies "$LIES" "$1") times"
        in_time "$took" "$CAUGHT_UP_MS_MAX" || die "it took too long"
        load_alive
        ! has_lied 2 || break
    done
    has_lied 2 || die "replica $AWAY never asked the liar in $ROUNDS_MAX transfers"
}

lied_to lying_source
grep -q 'event=sync_refused' "$NET/replica$AWAY/log" || die "nothing was refused"
! grep 'event=sync_refused' "$NET/replica$AWAY/log" | grep -v "source=$LIES " >&2 || die "an honest source was refused"
ok "C2, C5: refused $(grep -c 'event=sync_refused' "$NET/replica$AWAY/log") times, each time the liar: \
$(sed -n 's/.*event=sync_refused .*why=//p' "$NET/replica$AWAY/log" | sort -u | tr '\n' ' ')"
end_liar

lied_to drip
ok "C4: a source that drips keeps nobody"
end_liar

lied_to linger
ok "Q2: a source that is slow without a fault keeps nobody"
end_liar
