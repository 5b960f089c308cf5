#!/usr/bin/env bash
# The cost of an envelope, by the replicas' own counters: each replica checks each client signature once, lets at most
# two frames of votes go to each peer in a loop turn (before the commit and after it), and makes one commit in a loop
# turn.
set -euo pipefail
. "$(dirname "$0")/common.sh"
begin

envelopes=3000
# A client that waits long enough submits nothing twice.
make_network "$WORK/net" --replicas 4 --consensus pbft --channel cost --request-timeout 10000
start_cluster
# The first envelope registers the client. A registration that is not ordered within half a second is asked for again,
# and its signature is checked again, so it is not counted.
submit --generate 1 --size 256 --wait >/dev/null || die "the first submit"
wait_level
status_json >"$WORK/before.json"
submit --generate $envelopes --size 256 --wait >/dev/null || die "submit"
wait_level
status_json >"$WORK/status.json"
# counter INDEX NAME [FILE]: prints one counter of a replica.
counter() {
    jq -er --argjson index "$1" --arg name "$2" \
        '.replicas[] | select(.replica == $index) | .counters[$name]' "${3:-$WORK/status.json}" || die "no counter $2"
}
# more INDEX NAME: prints how much a counter of a replica grew while the envelopes were ordered.
more() {
    echo $(($(counter "$1" "$2") - $(counter "$1" "$2" "$WORK/before.json")))
}
for index in 0 1 2 3; do
    accepted=$(more $index envelopes_accepted)
    checked=$(more $index client_signatures_checked)
    turns=$(counter $index turns)
    commits=$(counter $index commits)
    frames=$(counter $index peer_frames_per_turn_max)
    [ "$accepted" -eq "$envelopes" ] || die "replica $index executed $accepted envelopes"
    [ "$checked" -eq "$envelopes" ] || die "replica $index checked $checked signatures of $accepted envelopes"
    # Honest replicas stay within their shares, and no replica is taken for a liar.
    for name in link_jobs_over_share link_messages_ignored attestations_bad votes_over_quota bulk_over_quota \
        link_pieces_dropped; do
        [ "$(counter $index $name)" -eq 0 ] || die "replica $index: $name is $(counter $index $name)"
    done
    [ "$commits" -gt 0 ] && [ "$commits" -le "$turns" ] || die "replica $index: $commits commits in $turns turns"
    [ "$frames" -ge 1 ] && [ "$frames" -le 2 ] ||
        die "replica $index sent up to $frames frames of votes to a peer in one turn"
    ok "replica $index: $checked signatures checked for $accepted envelopes, $commits commits in $turns turns," \
        "at most $frames frames of votes for each peer and turn"
done
