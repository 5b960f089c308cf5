/*
 * Proposing, when this replica leads. Batching adapts: with nothing in flight it proposes at once what is there. With
 * instances in flight it waits until a batch is worth it, so that a busy pipeline carries full batches. A cut marker
 * closes an overdue open block.
 */
#include "replica/replica_internal.h"

#include <stdlib.h>

#include "replica/marks.h"

enum {
    /* With this many batches in flight, only full ones are added. */
    PIPELINE_MAX = 4,
    BATCH_WORTH_ENVELOPES = 256,
    BATCH_WORTH_BYTES = 256 << 10,
    /*
     * A batch is at most this part (1/4) of what the channel orders in one request timeout. Otherwise the others would
     * take a primary that orders one large batch for one that orders nothing.
     */
    BATCH_TIMEOUT_PART = 4,
    /* A marker that did not take effect is proposed again after this time. */
    CUT_AGAIN_MS = 1000,
};

enum ord_err propose_init(struct replica *replica) {
    uint32_t newcomers_max = replica->setup.options.batch_newcomers_max;
    replica->propose.newcomers_max = newcomers_max == 0 ? (uint32_t) PROPOSE_NEWCOMERS_MAX : newcomers_max;
    replica->propose.entries = calloc(CHANNEL_BATCH_ENVELOPES_MAX, sizeof(struct pool_entry *));
    return replica->propose.entries == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

void propose_deinit(struct replica *replica) {
    free(replica->propose.entries);
}

uint64_t propose_cut_ms(const struct replica *replica) {
    uint32_t timeout_ms = replica_config(replica)->batch_timeout_ms;
    struct channel_open_block open;
    channel_open(replica->execute.channel, &open);
    if (timeout_ms == 0 || open.envelope_count == 0 || open.height != replica->execute.open_height)
        return UINT64_MAX;
    return replica->execute.open_since_ms + timeout_ms;
}

/* When a cut marker is to be proposed; UINT64_MAX: none is. */
static uint64_t marker_due_ms(const struct replica *replica) {
    const struct propose *propose = &replica->propose;
    uint64_t due_ms = propose_cut_ms(replica);
    bool proposed = due_ms != UINT64_MAX && propose->cut_height == replica->execute.open_height;
    return proposed ? ord_max(due_ms, propose->cut_ms + CUT_AGAIN_MS) : due_ms;
}

uint64_t propose_due_ms(const struct replica *replica) {
    if (replica->agree.leader != replica_self(replica))
        return UINT64_MAX;
    /* An overdue cut must not keep us turning meanwhile: the event that lets us propose again wakes us by itself. */
    if (!agree_status(replica).can_propose || !agree_may_run(replica))
        return UINT64_MAX;
    return marker_due_ms(replica);
}

static bool worth_it(const struct replica *replica, const struct ord_status *status) {
    const struct pool_list *ready = &replica->pool.lists[POOL_READY];
    if (ready->count == 0)
        return false;
    if (status->in_flight == 0)
        return true;
    bool full =
        ready->count >= CHANNEL_BATCH_ENVELOPES_MAX || ready->bytes >= replica_config(replica)->batch_bytes_max / 2;
    bool worth = ready->count >= BATCH_WORTH_ENVELOPES || ready->bytes >= BATCH_WORTH_BYTES;
    return full || (worth && status->in_flight < PIPELINE_MAX);
}

/*
 * Fills the batch buffer from the pool's head. Envelopes that were executed since their admission are left out, because
 * a primary that orders useless envelopes is suspected (bft/view/useless.c). So are registrations beyond the bound.
 */
static void fill(struct replica *replica, struct ord_writer *writer, const struct ord_status *status,
                 uint64_t cut_height) {
    struct propose *propose = &replica->propose;
    uint64_t left = pace_rate(replica) * replica_config(replica)->request_timeout_ms / 1000 / BATCH_TIMEOUT_PART;
    uint32_t newcomers = 0;
    propose->count = 0;
    if (status->names_view)
        channel_batch_begin_view(writer, cut_height, status->view);
    else
        channel_batch_begin(writer, cut_height);
    struct pool_entry *next;
    for (struct pool_entry *entry = replica->pool.lists[POOL_READY].head; entry != NULL; entry = next) {
        next = entry->next;
        bool newcomer = entry->key.client_index == UINT32_MAX;
        if (newcomer && newcomers == propose->newcomers_max) {
            ORD_MARK(NEWCOMERS_LEFT_FOR_LATER);
            continue;
        }
        if (admission_is_over(replica, entry)) {
            pool_remove(&replica->pool, entry);
            continue;
        }
        uint64_t cost = (uint64_t) entry->size + POOL_ENVELOPE_COST;
        if (propose->count == CHANNEL_BATCH_ENVELOPES_MAX || writer->size + 4 + entry->size > writer->capacity ||
            (propose->count > 0 && cost > left))
            break;
        left -= ord_min(cost, left);
        newcomers += newcomer;
        channel_batch_add(writer, ord_span_of(entry->bytes, entry->size));
        propose->entries[propose->count++] = entry;
    }
}

bool propose_next(struct replica *replica, struct ord_event *out) {
    struct propose *propose = &replica->propose;
    struct ord_status status = agree_status(replica);
    if (propose->refused || !status.leading || !status.can_propose || !agree_may_run(replica) || turn_full(replica))
        return false;
    uint64_t cut_height = replica->turn.now_ms >= marker_due_ms(replica) ? replica->execute.open_height : 0;
    if (cut_height == 0 && !worth_it(replica, &status))
        return false;
    struct ord_writer writer = ord_writer_of(replica->batch_buffer, replica_config(replica)->batch_bytes_max);
    fill(replica, &writer, &status, cut_height);
    if ((propose->count == 0 && cut_height == 0) || channel_batch_end(&writer, propose->count) != ORD_OK)
        return false;
    /* The entries become PROPOSED before the step: solo executes the batch within it, and executing removes entries. */
    for (uint32_t i = 0; i < propose->count; i++)
        pool_set_state(&replica->pool, propose->entries[i], POOL_PROPOSED);
    propose->offered_cut = cut_height;
    *out = (struct ord_event) {.type = ORD_EVENT_PROPOSE, .propose = {.batch = ord_writer_span(&writer)}};
    return true;
}

void propose_done(struct replica *replica, bool taken) {
    struct propose *propose = &replica->propose;
    if (!taken) {
        ORD_MARK(PROPOSAL_REFUSED);
        for (uint32_t i = 0; i < propose->count; i++)
            pool_set_state(&replica->pool, propose->entries[i], POOL_READY);
        propose->refused = true;
        return;
    }
    replica->counters.batches_proposed++;
    if (propose->offered_cut == 0)
        return;
    ORD_MARK_IF(propose->cut_height == propose->offered_cut, CUT_PROPOSED_AGAIN);
    propose->cut_height = propose->offered_cut;
    propose->cut_ms = replica->turn.now_ms;
    replica->counters.cuts_proposed++;
}
