/*
 * Decided batches go through the channel into blocks, and the blocks go into the turn's transaction. Executed envelopes
 * leave the pool. The channel cuts the blocks (channel/cutter.c).
 */
#include "replica/replica_internal.h"

#include <stdlib.h>

#include "core/assert.h"
#include "replica/marks.h"

enum ord_err execute_init(struct replica *replica) {
    const struct channel_config *config = replica_config(replica);
    struct execute *execute = &replica->execute;
    execute->memory_size = channel_memory_size(config);
    execute->memory = malloc(execute->memory_size);
    execute->record_buffer = malloc(RECORD_OPEN_SIZE(config->max_message_count));
    return execute->memory == NULL || execute->record_buffer == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

void execute_deinit(struct replica *replica) {
    free(replica->execute.memory);
    free(replica->execute.record_buffer);
}

/*
 * Removes an executed envelope from the pool. A forgery of it whose signature is being checked stays, because the check
 * refers to it.
 */
static void remove_pooled(struct replica *replica, const struct channel_entry *entry) {
    struct execute *execute = &replica->execute;
    bool registration = entry->sequence == 0;
    const struct channel_client *client = channel_client_get(execute->channel, entry->client_index);
    ORD_ASSERT(client != NULL);
    struct pool_entry *pooled =
        pool_find(&replica->pool, registration ? pool_key_of(UINT32_MAX, &client->fingerprint, 0)
                                               : pool_key_of(entry->client_index, NULL, entry->sequence));
    /* Otherwise it was executed earlier, before its block was closed, or came by state transfer. */
    bool now = entry->seq == execute->executing_seq;
    if (pooled != NULL) {
        uint64_t turn_ms = ord_max(pooled->turn_ms, replica->agree.leader_since_ms);
        execute->waits++;
        execute->wait_sum_ms += replica->turn.now_ms - ord_min(turn_ms, replica->turn.now_ms);
        if (now)
            pace_served(replica, (uint64_t) pooled->size + POOL_ENVELOPE_COST);
        pool_remove(&replica->pool, pooled);
    }
    if (now)
        pool_executed(&replica->pool, registration ? UINT32_MAX : entry->client_index, replica->turn.now_ms);
}

enum ord_err execute_block(void *context, const struct channel_block *block) {
    struct replica *replica = context;
    const struct replica_store *store = replica_store(replica);
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, &block->header);
    uint64_t height = block->header.height;
    enum ord_err err = store->put_block(store->ledger, height, ord_span_of(header, sizeof(header)), block->data);
    for (uint32_t i = 0; err == ORD_OK && i < block->header.envelope_count; i++) {
        const struct channel_entry *entry = &block->entries[i];
        err = store->put_index(store->ledger, entry->client_index, entry->sequence, height, i);
        remove_pooled(replica, entry);
    }
    replica->execute.closed_bytes += block->header.byte_count;
    replica->counters.blocks_closed++;
    return err;
}

void execute_note_open(struct replica *replica) {
    struct execute *execute = &replica->execute;
    struct channel_open_block open;
    channel_open(execute->channel, &open);
    if (open.envelope_count == 0 || open.height == execute->open_height)
        return;
    execute->open_height = open.height;
    execute->open_since_ms = replica->turn.now_ms;
}

/* Bytes of the envelopes in the open block, without their lengths. */
static uint64_t open_bytes(const struct channel_open_block *open) {
    return open->data.size - (uint64_t) open->envelope_count * CHANNEL_LENGTH_SIZE;
}

/* Removes what was just executed into the open block. The leader still owes everything that is left in the pool. */
static void remove_executed(struct replica *replica, uint64_t height, uint32_t count) {
    struct channel_open_block open;
    channel_open(replica->execute.channel, &open);
    for (uint32_t i = open.height == height ? count : 0; i < open.envelope_count; i++)
        remove_pooled(replica, &open.entries[i]);
}

static void note_known(struct execute *execute) {
    struct channel_open_block open;
    channel_open(execute->channel, &open);
    execute->known = true;
    execute->known_height = open.height;
    execute->known_count = open.envelope_count;
}

bool execute_synced(struct replica *replica) {
    struct execute *execute = &replica->execute;
    struct channel_open_block open;
    channel_open(execute->channel, &open);
    bool same = execute->known && open.height == execute->known_height && open.envelope_count == execute->known_count;
    note_known(execute);
    /* What came by transfer is not part of an APPLIED. */
    execute->waits = 0;
    execute->wait_sum_ms = 0;
    return same;
}

void execute_batch(struct replica *replica, uint64_t seq, uint64_t term, struct ord_span batch) {
    struct execute *execute = &replica->execute;
    struct channel_open_block open;
    channel_open(execute->channel, &open);
    uint64_t before_height = open.height;
    uint32_t before_count = open.envelope_count;
    uint64_t before_bytes = open_bytes(&open);
    const struct channel_sink sink = {.context = replica, .block = execute_block};
    struct channel_applied applied;
    execute->executing_seq = seq;
    execute->closed_bytes = 0;
    enum ord_err err = channel_apply(execute->channel, &applied, seq, term, batch, &sink);
    if (err != ORD_OK) {
        replica_fail(replica, err, "executing a batch");
        return;
    }
    replica->counters.batches_executed++;
    replica->counters.envelopes_accepted += applied.accepted;
    replica->counters.envelopes_duplicate += applied.duplicates;
    replica->counters.envelopes_refused += applied.refused;
    replica->counters.certificates_executed += applied.verified;
    channel_open(execute->channel, &open);
    execute->executed += applied.accepted;
    execute->executed_bytes += execute->closed_bytes + open_bytes(&open) - before_bytes;
    execute->applied_due = true;
    judge_stir(replica);
    if (applied.accepted > 0 || applied.blocks > 0)
        execute->useful_seq = seq;
    if (applied.accepted > 0)
        pace_progress(replica);
    execute->state_changed = true;
    replica_urgent(replica);
    remove_executed(replica, before_height, before_count);
    note_known(execute);
    if (applied.attest)
        attest_at(replica, seq);
    execute_note_open(replica);
}

ord_replica_set execute_passes(const struct replica *replica) {
    return channel_progress_passes(channel_progress(replica->execute.channel));
}

bool execute_next(struct replica *replica, struct ord_event *out) {
    struct execute *execute = &replica->execute;
    if (!execute->applied_due)
        return false;
    *out = (struct ord_event) {.type = ORD_EVENT_APPLIED,
                               .applied = {.seq = channel_applied_seq(execute->channel),
                                           .envelopes = execute->executed,
                                           .bytes = execute->executed_bytes,
                                           .waits = execute->waits,
                                           .wait_sum_ms = execute->wait_sum_ms,
                                           .useful_seq = execute->useful_seq,
                                           .pass_over = execute_passes(replica)}};
    execute->applied_due = false;
    execute->executed = 0;
    execute->executed_bytes = 0;
    execute->waits = 0;
    execute->wait_sum_ms = 0;
    return true;
}

/* ---- the channel's state beside the blocks ---- */

static void put_clients(struct replica *replica) {
    const struct replica_store *store = replica_store(replica);
    struct channel *channel = replica->execute.channel;
    const uint32_t *dirty;
    size_t dirty_count = channel_clients_dirty(channel, &dirty);
    for (size_t i = 0; i < dirty_count; i++) {
        uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
        size_t size = channel_client_record(channel, dirty[i], record);
        replica_need(replica, store->put_client(store->ledger, dirty[i], ord_span_of(record, size)),
                     "writing a client");
    }
    channel_clients_clean(channel);
}

/* Writes the clients that changed, how far the channel is, and where the open block's envelopes stand. */
void execute_write_state(struct replica *replica) {
    struct execute *execute = &replica->execute;
    if (!execute->state_changed || replica->turn.fatal)
        return;
    put_clients(replica);
    struct channel_open_block open;
    channel_open(execute->channel, &open);
    uint8_t applied[RECORD_APPLIED_MAX];
    size_t size = record_applied_encode(applied, replica_config(replica), channel_applied_seq(execute->channel),
                                        channel_progress(execute->channel));
    replica_put_meta(replica, RECORD_APPLIED, ord_span_of(applied, size), "writing state");
    size = record_open_encode(execute->record_buffer, &open);
    replica_put_meta(replica, RECORD_OPEN, ord_span_of(execute->record_buffer, size), "writing state");
    if (execute->tail_height != 0 && execute->tail_height != open.height) {
        ORD_MARK(TAIL_CLOSED);
        replica_put_meta(replica, RECORD_TAIL, ord_span_of(NULL, 0), "writing state");
        execute->tail_height = 0;
    }
    execute->state_changed = false;
}
