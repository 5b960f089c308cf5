/*
 * Proposing, when this replica leads. Adaptive batching: with nothing in flight, propose at once what is there; with instances
 * in flight, wait until a batch is worth it, so that a busy pipeline carries full batches. An overdue open block is closed by
 * a cut marker.
 */
#include <inttypes.h>

#include "core/assert.h"
#include "node/log.h"
#include "node/replica_internal.h"

enum {
    PIPELINE_MAX = 4, /* batches in flight before only full ones are added */
    BATCH_WORTH_ENVELOPES = 256,
    BATCH_WORTH_BYTES = 256 << 10,
    CUT_AGAIN_MS = 1000, /* a marker that did not take effect is proposed again */
};

/* Height to close by marker now; 0: none. */
static uint64_t cut_due(const struct replica *replica) {
    uint32_t timeout_ms = replica->channel_config->batch_timeout_ms;
    struct channel_open_block open;
    channel_open(replica->channel, &open);
    if (timeout_ms == 0 || open.envelope_count == 0 || open.height != replica->open_height)
        return 0;
    if (replica->now_ms < replica->open_since_ms + timeout_ms)
        return 0;
    if (replica->cut_height == open.height && replica->now_ms < replica->cut_ms + CUT_AGAIN_MS)
        return 0;
    return open.height;
}

uint64_t propose_cut_ms(const struct replica *replica) {
    uint32_t timeout_ms = replica->channel_config->batch_timeout_ms;
    struct channel_open_block open;
    channel_open(replica->channel, &open);
    if (timeout_ms == 0 || open.envelope_count == 0 || open.height != replica->open_height)
        return UINT64_MAX;
    return replica->open_since_ms + timeout_ms;
}

uint64_t propose_due_ms(const struct replica *replica) {
    if (replica->leader != replica->config.replica)
        return UINT64_MAX;
    /* What lets us propose again wakes the loop by itself; an overdue cut must not keep it turning meanwhile. */
    struct ord_status status;
    replica->protocol->status(replica->core, &status);
    if (!status.can_propose || !sync_core_may_run(replica))
        return UINT64_MAX;
    uint64_t due_ms = propose_cut_ms(replica);
    bool proposed = due_ms != UINT64_MAX && replica->cut_height == replica->open_height;
    return proposed ? replica->cut_ms + CUT_AGAIN_MS : due_ms;
}

static bool worth_it(const struct replica *replica, const struct ord_status *status) {
    const struct pool_list *ready = &replica->pool.ready;
    if (ready->count == 0)
        return false;
    if (status->in_flight == 0)
        return true;
    bool full = ready->count >= CHANNEL_BATCH_ENVELOPES_MAX || ready->bytes >= replica->core_config.batch_bytes_max / 2;
    bool worth = ready->count >= BATCH_WORTH_ENVELOPES || ready->bytes >= BATCH_WORTH_BYTES;
    return full || (worth && status->in_flight < PIPELINE_MAX);
}

/*
 * Fills the batch buffer from the pool's head; entries stay READY until the proposal is taken. What was executed since it was admitted
 * is left out: whoever orders what is of no use is suspected (bft/view/useless.c).
 */
static uint32_t fill(struct replica *replica, struct ord_writer *writer, uint64_t cut_height) {
    uint32_t count = 0;
    channel_batch_begin(writer, cut_height);
    struct pool_entry *next;
    for (struct pool_entry *entry = replica->pool.ready.head; entry != NULL; entry = next) {
        next = entry->next;
        if (admission_is_over(replica, entry)) {
            pool_remove(&replica->pool, entry);
            continue;
        }
        if (count == CHANNEL_BATCH_ENVELOPES_MAX || writer->size + 4 + entry->size > writer->capacity)
            break;
        channel_batch_add(writer, ord_span_of(entry->bytes, entry->size));
        replica->batch_entries[count++] = entry;
    }
    return count;
}

static bool propose_one(struct replica *replica, uint64_t cut_height) {
    struct ord_writer writer = ord_writer_of(replica->batch_buffer, replica->core_config.batch_bytes_max);
    uint32_t count = fill(replica, &writer, cut_height);
    if (count == 0 && cut_height == 0)
        return false;
    if (channel_batch_end(&writer, count) != ORD_OK)
        return false;
    /* PROPOSED before the step: solo executes it within, and executing removes entries. */
    for (uint32_t i = 0; i < count; i++)
        pool_set_state(&replica->pool, replica->batch_entries[i], POOL_PROPOSED);
    replica->rejected = ORD_ERR_WRONG_STATE; /* so it stays when the step fails */
    struct ord_event event = {
        .type = ORD_EVENT_PROPOSE, .now_ms = replica->now_ms, .propose = {.batch = ord_writer_span(&writer)}};
    replica_step(replica, &event);
    if (replica->rejected != ORD_OK) {
        for (uint32_t i = 0; i < count; i++)
            pool_set_state(&replica->pool, replica->batch_entries[i], POOL_READY);
        return false;
    }
    count_add(&replica->counters.batches_proposed, 1);
    if (cut_height != 0) {
        replica->cut_height = cut_height;
        replica->cut_ms = replica->now_ms;
        count_add(&replica->counters.cuts_proposed, 1);
    }
    return true;
}

void propose(struct replica *replica) {
    struct ord_status status;
    for (;;) {
        replica->protocol->status(replica->core, &status);
        if (!status.leading || !status.can_propose || !sync_core_may_run(replica) || replica->fatal ||
            replica_turn_full(replica))
            return;
        uint64_t cut_height = cut_due(replica);
        if (cut_height == 0 && !worth_it(replica, &status))
            return;
        if (!propose_one(replica, cut_height))
            return;
    }
}
