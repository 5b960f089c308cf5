/*
 * What one peer's messages may take of the vote pool, which all peers share: so many jobs at a time, each charged to the peer's
 * quota of memory; and nothing for a while after a signature of its that does not verify. What is dropped here the sender's
 * retransmission brings back; an honest replica is never ignored, for what it sends over its link verifies.
 *
 * A VIEW-CHANGE can have hundreds of signatures, all of them valid, and a liar can send one after the other (row V3). So those have a thread of their own, behind which nobody else's votes wait, and an allowance of signatures that an
 * honest replica's view changes stay within.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "node/log.h"
#include "node/replica_internal.h"

enum {
    LINK_COST_LOOK = 1,   /* what costs more is looked at first */
    LINK_COST_MAX = 2048, /* signatures to check at most, for the messages that are in the pool at a time */
    LINK_COST_VOTE = 16,  /* what costs more goes to the view pool, and counts against the allowance */
    LINK_FULL_MIN = 256,
    LINK_FULL_BURST = 8,
    IGNORE_MS = 1000,
    CORE_BYTES_MIN = 29, /* the header that every message of a core has (docs/protocol.md) */
};

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

/* ---- messages of the core ---- */

/* A consensus message on its way through the vote pool. */
struct core_job {
    struct work work;
    struct replica *replica;
    struct frame *frame;
    struct ord_span bytes;
    struct ord_verified verified;
    uint32_t cost;
    bool costly; /* in the view pool */
    bool ignored;
    enum ord_err err;
};

static void core_job_done(struct replica *replica, struct work *work) {
    struct core_job *job = (struct core_job *) work;
    if (job->ignored) {
        count_add(&replica->counters.link_messages_ignored, 1);
    } else if (job->err == ORD_OK && sync_core_may_run(replica)) {
        struct ord_event event = {.type = ORD_EVENT_MESSAGE, .now_ms = replica->now_ms, .message = &job->verified};
        replica_step(replica, &event);
    } else if (job->err != ORD_OK) {
        count_add(&replica->counters.messages_refused, 1);
        node_log(NODE_LOG_DEBUG, "message_refused", "from=%" PRIu32 " err=%s", job->frame->peer->id,
                 ord_err_name(job->err));
    }
    job->frame->peer->cost_open -= job->cost;
    job->frame->peer->costly_open -= job->costly;
    link_job_end(job->frame->peer, sizeof(*job));
    frame_release(job->frame);
    free(job);
}

static void core_job_run(void *argument) {
    struct core_job *job = argument;
    struct peer *peer = job->frame->peer;
    /* Behind a bad signature of the same peer: whatever it is, it costs no more than this look. */
    job->ignored = link_ignored(peer, node_clock_ms());
    if (!job->ignored)
        job->err =
            job->replica->protocol->authenticate(&job->verified, &job->replica->core_config, peer->id, job->bytes);
    if (job->err == ORD_ERR_BAD_SIGNATURE)
        link_ignore(peer);
    (void) inbox_post(&job->replica->inbox, &job->work, core_job_done);
}

/*
 * The allowance: the signatures of certificates for a whole window, once in request_timeout_ms, for a view does not fail sooner; and
 * several at once, for a new primary or who relays, and since `cost` is an upper bound. A single message is never too large: it leaves
 * a debt, and the next one waits until that is paid. Debts end with a view change that came to something: honest replicas agreed on it,
 * and with a scheduled rotation there may be many.
 */
static bool afford(struct replica *replica, struct peer *peer, uint32_t cost) {
    uint64_t full = (uint64_t) replica->core_config.window * channel_strong_quorum(replica->channel_config);
    full = full < LINK_FULL_MIN ? LINK_FULL_MIN : full;
    uint64_t paid = full * (replica->now_ms - peer->debt_ms) / replica->channel_config->request_timeout_ms;
    if (paid > 0) {
        peer->debt = peer->debt > paid ? peer->debt - paid : 0;
        peer->debt_ms = replica->now_ms;
    }
    if (cost <= LINK_COST_VOTE)
        return true;
    if (peer->debt >= LINK_FULL_BURST * full)
        return false;
    peer->debt += cost;
    return true;
}

void links_forgive(struct replica *replica) {
    for (uint32_t i = 0; i < replica->peer_count; i++)
        replica->peers[i].debt = 0;
}

void link_core_received(struct replica *replica, struct frame *frame, struct ord_span bytes) {
    if (bytes.size < CORE_BYTES_MIN) {
        count_add(&replica->counters.messages_refused, 1);
        return;
    }
    /* A view change brings messages with hundreds of signatures: of those so many at a time, or a single one. */
    struct peer *peer = frame->peer;
    uint32_t cost = replica->protocol->cost(bytes);
    if (cost > LINK_COST_LOOK && !replica->protocol->wants(replica->core, bytes)) {
        count_add(&replica->counters.link_messages_useless, 1);
        return;
    }
    if (peer->cost_open > 0 && (peer->cost_open > LINK_COST_MAX || cost > LINK_COST_MAX - peer->cost_open)) {
        count_add(&replica->counters.link_jobs_over_share, 1);
        return;
    }
    struct core_job *job;
    if (!afford(replica, peer, cost)) {
        count_add(&replica->counters.link_jobs_over_share, 1);
        return;
    }
    if (!link_job_begin(replica, frame->peer, sizeof(*job)))
        return;
    job = calloc(1, sizeof(*job));
    if (job == NULL) {
        link_job_end(frame->peer, sizeof(*job));
        return;
    }
    job->replica = replica;
    job->frame = frame;
    job->bytes = bytes;
    job->cost = cost;
    /* Its own later messages stay behind: votes of a new view are of no use before the NEW-VIEW. */
    job->costly = cost > LINK_COST_VOTE || peer->costly_open > 0;
    peer->costly_open += job->costly;
    peer->cost_open += cost;
    frame_hold(frame);
    count_add(&replica->counters.messages_authenticated, 1);
    replica_run_job(replica, job->costly ? replica->view_pool : replica->vote_pool, core_job_run, job);
}
