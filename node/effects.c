/*
 * What the core's effects do. PERSIST and DELIVER go into the turn's one transaction; SENDs gather until after the commit.
 */
#include <inttypes.h>
#include <string.h>

#include "core/assert.h"
#include "node/log.h"
#include "node/records.h"
#include "node/replica_internal.h"

static void persist(struct replica *replica, const struct ord_record *record) {
    replica->commit_urgent = true;
    enum ord_err err = ledger_put_record(replica->ledger, record);
    if (err != ORD_OK)
        replica_fail(replica, err, "persist");
}

/*
 * The open block's envelopes are found again through the consensus log after a restart: bodies that it still needs stay, whatever
 * the core forgets.
 */
static void forget(struct replica *replica, uint8_t table, uint64_t key) {
    if (table == replica->protocol->body_table) {
        struct channel_open_block open;
        channel_open(replica->channel, &open);
        if (open.envelope_count > 0 && open.first_seq <= key)
            key = open.first_seq - 1;
    }
    enum ord_err err = ledger_forget(replica->ledger, table, key);
    if (err != ORD_OK)
        replica_fail(replica, err, "forget");
}

enum ord_err replica_block_sink(void *context, const struct channel_block *block) {
    struct replica *replica = context;
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, &block->header);
    uint64_t height = block->header.height;
    enum ord_err err = ledger_put_block(replica->ledger, height, ord_span_of(header, sizeof(header)), block->data);
    for (uint32_t i = 0; err == ORD_OK && i < block->header.envelope_count; i++) {
        const struct channel_entry *entry = &block->entries[i];
        const struct channel_client *client = channel_client_get(replica->channel, entry->client_index);
        ORD_ASSERT(client != NULL);
        err = ledger_put_index(replica->ledger, entry->client_index, entry->sequence, height, i);
        struct pool_entry *pooled =
            pool_find(&replica->pool, entry->sequence == 0 ? admission_key(UINT32_MAX, &client->fingerprint, 0)
                                                           : admission_key(entry->client_index, NULL, entry->sequence));
        /* Those whose signatures are being checked are still referred to; the sweep removes them later. */
        if (pooled != NULL)
            pool_remove(&replica->pool, pooled);
    }
    count_add(&replica->counters.blocks_closed, 1);
    return err;
}

void replica_note_open(struct replica *replica) {
    struct channel_open_block open;
    channel_open(replica->channel, &open);
    if (open.envelope_count == 0 || open.height == replica->open_height)
        return;
    replica->open_height = open.height;
    replica->open_since_ms = replica->now_ms;
}

static void deliver(struct replica *replica, uint64_t seq, struct ord_span batch) {
    const struct channel_sink sink = {.context = replica, .block = replica_block_sink};
    struct channel_applied applied;
    enum ord_err err = channel_apply(replica->channel, &applied, seq, batch, &sink);
    if (err != ORD_OK) {
        replica_fail(replica, err, "executing a batch");
        return;
    }
    count_add(&replica->counters.batches_executed, 1);
    count_add(&replica->counters.envelopes_accepted, applied.accepted);
    count_add(&replica->counters.envelopes_duplicate, applied.duplicates);
    count_add(&replica->counters.envelopes_refused, applied.refused);
    replica->state_changed = true;
    replica->commit_urgent = true;
    if (applied.attest)
        attest_at(replica, seq);
    replica_note_open(replica);
}

static void evidence(struct replica *replica, const struct ord_effect *effect) {
    count_add(&replica->counters.evidence, 1);
    node_log(NODE_LOG_WARN, "contradicting_statements", "culprit=%" PRIu32, effect->evidence.culprit);
}

void replica_carry_out(struct replica *replica, const struct ord_effect *effect) {
    switch (effect->type) {
    case ORD_EFFECT_PERSIST:
        persist(replica, &effect->persist);
        break;
    case ORD_EFFECT_FORGET:
        forget(replica, effect->forget.table, effect->forget.key);
        break;
    case ORD_EFFECT_SEND:
        links_send(replica, effect->send.to, LINK_CORE, &effect->send.bytes, 1);
        break;
    case ORD_EFFECT_JUDGE:
        judge_begin(replica, effect->judge.view, effect->judge.seq, &effect->judge.digest, effect->judge.batch);
        break;
    case ORD_EFFECT_DELIVER:
        deliver(replica, effect->deliver.seq, effect->deliver.batch);
        break;
    case ORD_EFFECT_WAKE_AT:
        replica->wake_at_ms = effect->wake.at_ms;
        break;
    case ORD_EFFECT_SYNC:
        sync_wanted(replica, effect->sync.seq);
        break;
    case ORD_EFFECT_LEADER:
        replica->leader = effect->leader.leader;
        replica->view = effect->leader.view;
        node_log(NODE_LOG_INFO, "leader", "view=%" PRIu64 " leader=%" PRIu32, replica->view, replica->leader);
        break;
    case ORD_EFFECT_REJECT:
        replica->rejected = effect->reject.err;
        break;
    case ORD_EFFECT_EVIDENCE:
        evidence(replica, effect);
        break;
    }
}

void replica_step(struct replica *replica, const struct ord_event *event) {
    struct ord_effects effects = {0};
    uint64_t before = channel_applied_seq(replica->channel);
    enum ord_err err = replica->protocol->step(replica->core, &effects, event);
    if (err != ORD_OK) {
        if (event->type == ORD_EVENT_MESSAGE)
            count_add(&replica->counters.messages_refused, 1);
        node_log(NODE_LOG_DEBUG, "step_refused", "type=%d err=%s", (int) event->type, ord_err_name(err));
        return;
    }
    if (event->type == ORD_EVENT_PROPOSE)
        replica->rejected = ORD_OK; /* unless an effect says otherwise */
    for (size_t i = 0; i < effects.count && !replica->fatal; i++)
        replica_carry_out(replica, &effects.items[i]);
    uint64_t after = channel_applied_seq(replica->channel);
    if (after == before || event->type == ORD_EVENT_SYNCED || replica->fatal)
        return;
    struct ord_event applied = {.type = ORD_EVENT_APPLIED, .now_ms = replica->now_ms, .applied = {.seq = after}};
    replica_step(replica, &applied);
}

static void put_meta(struct replica *replica, const char *name, struct ord_span value) {
    enum ord_err err = ledger_put_meta(replica->ledger, name, value);
    if (err != ORD_OK)
        replica_fail(replica, err, "writing state");
}

/* The channel's state beside the blocks: clients that changed, how far it is, and where the open block's envelopes stand. */
void replica_write_state(struct replica *replica) {
    const uint32_t *dirty;
    size_t dirty_count = channel_clients_dirty(replica->channel, &dirty);
    for (size_t i = 0; i < dirty_count; i++) {
        uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
        size_t size = channel_client_record(replica->channel, dirty[i], record);
        enum ord_err err = ledger_put_client(replica->ledger, dirty[i], ord_span_of(record, size));
        if (err != ORD_OK)
            replica_fail(replica, err, "writing a client");
    }
    channel_clients_clean(replica->channel);
    struct channel_open_block open;
    channel_open(replica->channel, &open);
    uint8_t applied[RECORD_SEQ_SIZE];
    record_seq_encode(applied, channel_applied_seq(replica->channel));
    put_meta(replica, RECORD_APPLIED, ord_span_of(applied, sizeof(applied)));
    uint8_t *refs = replica->record_buffer;
    size_t refs_size = record_open_encode(refs, &open);
    put_meta(replica, RECORD_OPEN, ord_span_of(refs, refs_size));
    if (replica->tail_height != 0 && replica->tail_height != open.height) {
        put_meta(replica, RECORD_TAIL, ord_span_of(NULL, 0));
        replica->tail_height = 0;
        replica->tail_count = 0;
    }
    replica->state_changed = false;
}

void replica_write_low(struct replica *replica) {
    struct ord_status core;
    replica->protocol->status(replica->core, &core);
    if (core.stable_seq == replica->core_stable_seq)
        return;
    uint8_t low[RECORD_SEQ_SIZE];
    record_seq_encode(low, core.stable_seq);
    put_meta(replica, RECORD_LOW, ord_span_of(low, sizeof(low)));
    replica->core_stable_seq = core.stable_seq;
}
