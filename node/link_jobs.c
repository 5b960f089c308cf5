/*
 * What one peer's messages may take of the vote pool, which all peers share: so many jobs at a time, each charged to the peer's
 * quota of memory; and nothing for a while after a signature of its that does not verify. What is dropped here the sender's
 * retransmission brings back; an honest replica is never ignored, for what it sends over its link verifies.
 */
#include "node/replica_internal.h"

enum { IGNORE_MS = 1000 };

bool link_ignored(struct peer *peer, uint64_t now_ms) {
    return now_ms < count_get(&peer->ignored_until_ms);
}

void link_ignore(struct peer *peer) {
    atomic_store(&peer->ignored_until_ms, node_clock_ms() + IGNORE_MS);
}

bool link_job_begin(struct replica *replica, struct peer *peer, size_t job_bytes) {
    if (link_ignored(peer, replica->now_ms)) {
        count_add(&replica->counters.link_messages_ignored, 1);
        return false;
    }
    if (peer->jobs_open >= LINK_JOBS_MAX) {
        count_add(&replica->counters.link_jobs_over_share, 1);
        return false;
    }
    peer->jobs_open++;
    atomic_fetch_add(&peer->inbound_bytes, job_bytes);
    return true;
}

void link_job_end(struct peer *peer, size_t job_bytes) {
    peer->jobs_open--;
    atomic_fetch_sub(&peer->inbound_bytes, job_bytes);
}
