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

static void forget_after(struct replica *replica, uint8_t table, uint64_t key) {
    replica->commit_urgent = true; /* what was cut off must not come back */
    enum ord_err err = ledger_forget_after(replica->ledger, table, key);
    if (err != ORD_OK)
        replica_fail(replica, err, "forget");
}

/* Executed. Those whose signatures are being checked are still referred to; the sweep removes them later. */
static void remove_pooled(struct replica *replica, const struct channel_entry *entry) {
    bool registration = entry->sequence == 0;
    const struct channel_client *client = channel_client_get(replica->channel, entry->client_index);
    ORD_ASSERT(client != NULL);
    struct pool_entry *pooled =
        pool_find(&replica->pool, registration ? admission_key(UINT32_MAX, &client->fingerprint, 0)
                                               : admission_key(entry->client_index, NULL, entry->sequence));
    if (pooled != NULL) {
        uint64_t since_ms = pooled->since_ms > replica->leader_since_ms ? pooled->since_ms : replica->leader_since_ms;
        replica->waits++;
        replica->wait_sum_ms += replica->now_ms - since_ms;
        pool_remove(&replica->pool, pooled);
    }
    if (entry->seq == replica->executing_seq) /* else it was executed before its block was closed */
        pool_executed(&replica->pool, registration ? UINT32_MAX : entry->client_index, replica->now_ms);
}

enum ord_err replica_block_sink(void *context, const struct channel_block *block) {
    struct replica *replica = context;
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, &block->header);
    uint64_t height = block->header.height;
    enum ord_err err = ledger_put_block(replica->ledger, height, ord_span_of(header, sizeof(header)), block->data);
    for (uint32_t i = 0; err == ORD_OK && i < block->header.envelope_count; i++) {
        const struct channel_entry *entry = &block->entries[i];
        err = ledger_put_index(replica->ledger, entry->client_index, entry->sequence, height, i);
        remove_pooled(replica, entry);
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

/* What was just executed into the open block waits no longer: what is left in the pool is what the leader still owes. */
static void remove_executed(struct replica *replica, uint64_t height, uint32_t count) {
    struct channel_open_block open;
    channel_open(replica->channel, &open);
    for (uint32_t i = open.height == height ? count : 0; i < open.envelope_count; i++)
        remove_pooled(replica, &open.entries[i]);
}

static void deliver(struct replica *replica, uint64_t seq, struct ord_span batch) {
    struct channel_open_block before;
    channel_open(replica->channel, &before);
    uint64_t before_height = before.height;
    uint32_t before_count = before.envelope_count;
    const struct channel_sink sink = {.context = replica, .block = replica_block_sink};
    struct channel_applied applied;
    replica->executing_seq = seq;
    enum ord_err err = channel_apply(replica->channel, &applied, seq, batch, &sink);
    if (err != ORD_OK) {
        replica_fail(replica, err, "executing a batch");
        return;
    }
    count_add(&replica->counters.batches_executed, 1);
    count_add(&replica->counters.envelopes_accepted, applied.accepted);
    replica->executed += applied.accepted;
    if (applied.accepted > 0 || applied.blocks > 0)
        replica->useful_seq = seq;
    count_add(&replica->counters.envelopes_duplicate, applied.duplicates);
    count_add(&replica->counters.envelopes_refused, applied.refused);
    replica->state_changed = true;
    replica->commit_urgent = true;
    remove_executed(replica, before_height, before_count);
    if (applied.attest)
        attest_at(replica, seq);
    replica_note_open(replica);
}

/* Of views that were left nothing is to be judged, and what was proposed in them may come to nothing. */
static void leader_changed(struct replica *replica, ord_node_id leader, uint64_t view, bool scheduled) {
    replica->leader = leader;
    replica->leader_since_ms = replica->now_ms;
    replica->view = view;
    replica->cut_height = 0;
    judge_drop(replica, UINT64_MAX);
    pool_leader_changed(&replica->pool);
    if (leader != ORD_NO_NODE)
        links_forgive(replica);
    struct ord_status core;
    replica->protocol->status(replica->core, &core);
    if (leader == ORD_NO_NODE && scheduled)
        node_log(NODE_LOG_INFO, "rotation", "view=%" PRIu64, view);
    else if (leader == ORD_NO_NODE && core.changing)
        node_log(NODE_LOG_WARN, "view_change", "view=%" PRIu64, view);
    else if (leader != ORD_NO_NODE)
        node_log(NODE_LOG_INFO, "leader", "view=%" PRIu64 " leader=%" PRIu32, view, leader);
}

void replica_note_silence(struct replica *replica) {
    struct ord_status core;
    replica->protocol->status(replica->core, &core);
    if (core.silent && (!replica->shown_silent || core.silent_until_seq != replica->shown_until_seq))
        node_log(NODE_LOG_WARN, "silent", "until_seq=%" PRIu64 " stable_seq=%" PRIu64 " why=\"%s\"",
                 core.silent_until_seq, core.stable_seq,
                 replica->began_empty ? "the disk is new or was lost" : "the disk is older than what was said");
    if (!core.asking && !core.silent && (replica->shown_asking || replica->shown_silent))
        node_log(NODE_LOG_INFO, "speaks", "view=%" PRIu64 " stable_seq=%" PRIu64 " ms=%" PRIu64, core.view,
                 core.stable_seq, replica->now_ms - replica->started_ms);
    replica->shown_asking = core.asking;
    replica->shown_silent = core.silent;
    replica->shown_until_seq = core.silent_until_seq;
}

void replica_carry_out(struct replica *replica, const struct ord_effect *effect) {
    switch (effect->type) {
    case ORD_EFFECT_PERSIST:
        persist(replica, &effect->persist);
        break;
    case ORD_EFFECT_FORGET:
        forget(replica, effect->forget.table, effect->forget.key);
        break;
    case ORD_EFFECT_FORGET_AFTER:
        forget_after(replica, effect->forget_after.table, effect->forget_after.key);
        break;
    case ORD_EFFECT_SEND:
        links_send(replica, effect->send.to, LINK_CORE,
                   (const struct ord_span[]) {effect->send.bytes, effect->send.body}, 2);
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
        attest_shown(replica, effect->sync.certificate);
        sync_wanted(replica, effect->sync.seq);
        break;
    case ORD_EFFECT_LEADER:
        leader_changed(replica, effect->leader.leader, effect->leader.view, effect->leader.scheduled);
        break;
    case ORD_EFFECT_REJECT:
        replica->rejected = effect->reject.err;
        break;
    case ORD_EFFECT_EVIDENCE:
        accuse_votes(replica, effect->evidence.first, effect->evidence.second);
        break;
    }
}

void replica_step(struct replica *replica, const struct ord_event *event) {
    struct ord_effects effects = {0};
    uint64_t before = channel_applied_seq(replica->channel);
    struct ord_event numbered = *event;
    numbered.turn = replica->turn;
    enum ord_err err = replica->protocol->step(replica->core, &effects, &numbered);
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
    struct ord_event applied = {.type = ORD_EVENT_APPLIED,
                                .now_ms = replica->now_ms,
                                .applied = {.seq = after,
                                            .envelopes = replica->executed,
                                            .waits = replica->waits,
                                            .wait_sum_ms = replica->wait_sum_ms,
                                            .useful_seq = replica->useful_seq}};
    replica->executed = 0;
    replica->waits = 0;
    replica->wait_sum_ms = 0;
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
    uint8_t applied[RECORD_APPLIED_SIZE];
    record_applied_encode(applied, channel_applied_seq(replica->channel), channel_bytes_since_point(replica->channel));
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
