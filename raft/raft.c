/*
 * The seam of Raft: memory, dispatch of events, status. All memory is laid out once, from the config.
 *
 * Why this replica may count its vote for itself in the turn that makes it: its requests leave with `after_persist`, so
 * whoever grants one has it from a candidate whose vote is durable, and it leads only when the record of the grants is
 * durable, which comes later. Its own entries count for a majority when PERSISTED says that they are durable. A commit
 * may rest on others alone; the block that comes of it is durable after the entry, for turns become durable in order.
 *
 * APPEND, SNAPSHOT and TIMEOUT_NOW leave at once. They tell the term, which was durable when this replica was elected,
 * and entries, which nobody else can make in this term, and this replica not again: after a restart it leads no term
 * that it led before.
 */
#include "raft/raft.h"

#include <stdalign.h>
#include <string.h>

#include "core/assert.h"
#include "core/quorum.h"
#include "raft/raft_internal.h"

static bool options_valid(const struct raft_options *options) {
    return options != NULL && options->election_ms_min >= 10 && options->election_ms_min < options->election_ms_max &&
           options->election_ms_max <= 60000 && options->heartbeat_ms >= 1 &&
           options->heartbeat_ms <= options->election_ms_min / 2 && options->in_flight_max >= 1 &&
           options->in_flight_max <= 1024 && options->in_flight_size >= 1 && options->checkpoints.verify != NULL &&
           options->checkpoints.size_max >= 1 && options->checkpoints.size_max <= UINT32_MAX / 4;
}

static bool config_valid(const struct ord_core_config *config) {
    return config->replica_count >= 1 && config->replica_count <= ORD_REPLICA_MAX &&
           config->self < config->replica_count && config->window >= 2 && config->window <= RAFT_WINDOW_MAX &&
           config->checkpoint_interval >= 1 && config->checkpoint_interval <= config->window / 2 &&
           config->batch_bytes_max >= 1 && config->batch_bytes_max <= UINT32_MAX / 4 &&
           config->body_bytes_max >= 4 * (uint64_t) config->batch_bytes_max && config->body_bytes_max <= SIZE_MAX / 8 &&
           config->retransmit_ms >= 1 && options_valid(raft_options_of(config));
}

/* Hands out parts of one block of memory. Without a base it only measures. */
struct layout {
    uint8_t *base;
    size_t used;
};

static void *take(struct layout *layout, size_t count, size_t size) {
    size_t align = alignof(max_align_t);
    size_t offset = layout->used;
    layout->used += (count * size + align - 1) / align * align;
    return layout->base == NULL ? NULL : layout->base + offset;
}

/* Lays out everything behind the core itself. */
static size_t lay_out(struct ord_core *core, void *memory, const struct ord_core_config *config) {
    struct layout layout = {.base = memory};
    uint32_t slot_count = raft_slot_count(config);
    size_t certificate_size = raft_options_of(config)->checkpoints.size_max;
    (void) take(&layout, 1, sizeof(*core));
    struct raft_entry *entries = take(&layout, slot_count, sizeof(*entries));
    uint8_t *ring = take(&layout, 1, raft_ring_size(config));
    core->peers = take(&layout, config->replica_count, sizeof(*core->peers));
    core->lives = take(&layout, config->replica_count, sizeof(*core->lives));
    core->point.bytes = take(&layout, 1, certificate_size);
    core->stable.bytes = take(&layout, 1, certificate_size);
    core->attested.bytes = take(&layout, 1, certificate_size);
    core->effect_max = raft_effect_max(config);
    core->effects = take(&layout, core->effect_max, sizeof(*core->effects));
    core->outbox = ord_writer_of(take(&layout, 1, raft_outbox_size(config)), raft_outbox_size(config));
    if (memory == NULL)
        return layout.used;
    raft_log_init(&core->log, entries, slot_count, ring, raft_ring_size(config), config->body_bytes_max);
    memset(core->peers, 0, config->replica_count * sizeof(*core->peers));
    memset(core->lives, 0, config->replica_count * sizeof(*core->lives));
    return layout.used;
}

static size_t raft_memory_size(const struct ord_core_config *config) {
    struct ord_core measured;
    return config_valid(config) ? lay_out(&measured, NULL, config) : 0;
}

static enum ord_err raft_init(struct ord_core **out, void *memory, size_t memory_size,
                              const struct ord_core_config *config, const struct ord_signer *signer, uint64_t seed) {
    (void) signer; /* nothing is signed: nobody lies */
    size_t size = raft_memory_size(config);
    if (size == 0)
        return ORD_ERR_INVALID;
    if (memory_size < size)
        return ORD_ERR_NO_SPACE;
    struct ord_core *core = memory;
    memset(core, 0, sizeof(*core));
    (void) lay_out(core, memory, config);
    core->config = *config;
    core->options = raft_options_of(config);
    core->majority = ord_majority(config->replica_count);
    core->random = seed;
    core->recovery.life = seed | 1;
    core->hard.vote = ORD_NO_NODE;
    core->leader = ORD_NO_NODE;
    core->successor = ORD_NO_NODE;
    core->limit_seq = UINT64_MAX;
    ord_replica_set all = config->replica_count == 64 ? UINT64_MAX : ord_replica_bit(config->replica_count) - 1;
    core->others = all & ~ord_replica_bit(config->self);
    *out = core;
    return ORD_OK;
}

void raft_limit(struct ord_core *core, uint64_t limit_seq) {
    core->limit_seq = limit_seq;
    core->detail.limit_seq = limit_seq;
}

/* A snapshot point alone has signatures to check; that of a term that is over is useless. */
static bool raft_wants(const struct ord_core *core, struct ord_span bytes) {
    if (bytes.size < RAFT_HEADER_SIZE || (core->halted && bytes.data[0] != RAFT_ASK))
        return false;
    return bytes.data[0] != RAFT_SNAPSHOT || ord_load_u64(bytes.data + 17) >= core->hard.term;
}

static void on_decoded(struct ord_core *core, const struct raft_message *message) {
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        raft_on_vote_request(core, message);
        break;
    case RAFT_VOTE_ANSWER:
        raft_on_vote_answer(core, message);
        break;
    case RAFT_APPEND:
        raft_on_append(core, message);
        break;
    case RAFT_APPEND_ANSWER:
        raft_on_append_answer(core, message);
        break;
    case RAFT_SNAPSHOT:
        raft_on_snapshot(core, message);
        break;
    case RAFT_TIMEOUT_NOW:
        raft_on_timeout_now(core, message);
        break;
    case RAFT_ASK:
        raft_on_ask(core, message);
        break;
    case RAFT_RECALL:
        raft_on_recall(core, message);
        break;
    }
}

static enum ord_err on_message(struct ord_core *core, const struct ord_verified *verified) {
    struct raft_message message;
    if (verified == NULL)
        return ORD_ERR_INVALID;
    enum ord_err err = raft_message_decode(&message, &core->config, verified->bytes);
    if (err != ORD_OK)
        return err;
    if (message.sender != verified->from || message.sender == core->config.self)
        return ORD_ERR_INVALID;
    /* A halted replica has used all that it ever will, and whoever has lost its disk needs to know that (rule 12). */
    if (core->halted && message.type != RAFT_ASK)
        core->messages_dropped++;
    else
        on_decoded(core, &message);
    return ORD_OK;
}

static void on_tick(struct ord_core *core) {
    core->wake_ms = 0;
    if (core->halted)
        return;
    raft_recovery_tick(core);
    raft_transfer_check(core);
    raft_leader_tick(core);
    raft_election_tick(core);
}

static void on_persisted(struct ord_core *core, uint64_t turn) {
    core->persisted_turn = ord_max(core->persisted_turn, turn);
    raft_log_persisted(&core->log, core->persisted_turn);
    raft_election_persisted(core);
    raft_commit_check(core);
}

/* The turn ends. Bindings are written once in it: they become durable with what they are about. */
static void on_flush(struct ord_core *core) {
    raft_tell_commit(core);
    if (core->bindings_due || (core->bindings_new && core->entry_turn == core->turn))
        raft_persist_bindings(core);
}

static enum ord_err dispatch(struct ord_core *core, const struct ord_event *event) {
    switch (event->type) {
    case ORD_EVENT_START:
        return raft_on_start(core, event);
    case ORD_EVENT_TICK:
        on_tick(core);
        return ORD_OK;
    case ORD_EVENT_MESSAGE:
        return on_message(core, event->message);
    case ORD_EVENT_PROPOSE:
        raft_on_propose(core, event->propose.batch);
        return ORD_OK;
    case ORD_EVENT_PERSISTED:
        on_persisted(core, event->persisted.turn);
        return ORD_OK;
    case ORD_EVENT_ATTESTED:
        return raft_on_attested(core, event);
    case ORD_EVENT_SYNCED:
        return raft_on_synced(core, event);
    case ORD_EVENT_STORAGE:
        raft_storage(core, event->storage.available);
        return ORD_OK;
    case ORD_EVENT_HAND_OVER:
        raft_hand_over(core);
        return ORD_OK;
    case ORD_EVENT_FLUSH:
        on_flush(core);
        return ORD_OK;
    case ORD_EVENT_JUDGED:  /* nothing is judged: the replica that took an envelope checked it */
    case ORD_EVENT_APPLIED: /* nobody measures a leader */
    case ORD_EVENT_WORK:    /* leaders are elected whether or not work waits */
        return ORD_OK;
    }
    return ORD_ERR_INVALID;
}

static void fill_detail(struct raft_detail *detail, const struct ord_core *core) {
    detail->last_seq = core->log.last_seq;
    detail->durable_seq = core->log.durable_seq;
    detail->base_seq = core->log.base_seq;
    detail->handing_over = core->leaving;
    detail->halted = core->halted;
    detail->limit_seq = core->limit_seq;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        detail->followers[node] =
            (struct raft_follower) {.match_seq = core->peers[node].match_seq, .silent = core->peers[node].silent};
}

static enum ord_err raft_step(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    *out = (struct ord_effects) {.items = core->effects, .count = 0};
    if (!core->started && event->type != ORD_EVENT_START)
        return ORD_ERR_WRONG_STATE;
    uint64_t before_ms = core->now_ms;
    uint64_t before_turn = core->turn;
    core->now_ms = ord_max(core->now_ms, event->now_ms);
    core->turn = ord_max(core->turn, event->turn);
    core->effect_count = 0;
    core->outbox.size = 0;
    enum ord_err err = dispatch(core, event);
    if (err != ORD_OK) {
        core->now_ms = before_ms;
        core->turn = before_turn;
        return err;
    }
    if (event->type == ORD_EVENT_TICK)
        raft_deliver(core);
    raft_recovery_check(core);
    raft_tell_leader(core);
    raft_wake(core);
    ORD_ASSERT(core->log.base_seq <= core->commit_seq && core->commit_seq <= core->decided_seq &&
               core->decided_seq <= core->log.last_seq);
    ORD_ASSERT(core->log.durable_seq <= core->log.last_seq && core->log.bytes <= core->log.bytes_max);
    ORD_ASSERT(core->role == RAFT_FOLLOWER || raft_speaks(core));
    fill_detail(&core->detail, core);
    out->count = core->effect_count;
    return ORD_OK;
}

static void raft_status(const struct ord_core *core, struct ord_status *out) {
    const struct raft_log *log = &core->log;
    bool leading = core->role == RAFT_LEADER;
    *out = (struct ord_status) {
        .view = core->hard.term,
        .leader = core->leader,
        .leading = leading,
        .changing = core->leader == ORD_NO_NODE,
        .can_propose = raft_may_propose(core) &&
                       (raft_has_room(core, core->config.batch_bytes_max) || core->stable.seq > log->base_seq),
        .delivered_seq = core->commit_seq,
        .delivers_later = core->commit_seq < core->decided_seq,
        .stable_seq = core->stable.seq,
        .stable_certificate = ord_span_of(core->stable.bytes, core->stable.size),
        .proposed_seq = log->last_seq,
        .in_flight = (uint32_t) (log->last_seq - core->commit_seq),
        .body_bytes = log->bytes,
        .messages_dropped = core->messages_dropped,
        .messages_refused = core->messages_refused,
        .retransmissions = core->retransmissions,
        .asking = core->recovery.asking,
        .silent = core->hard.silent,
        .silent_until_seq = core->hard.silent ? core->hard.end_seq : 0,
        .detail = &core->detail,
    };
}

static enum ord_err raft_body_of_record(struct ord_span *batch, struct ord_span record) {
    if (record.size < RAFT_ENTRY_HEAD_SIZE)
        return ORD_ERR_CORRUPT;
    *batch = ord_span_of(record.data + RAFT_ENTRY_HEAD_SIZE, record.size - RAFT_ENTRY_HEAD_SIZE);
    return ORD_OK;
}

const struct ord_protocol raft_protocol = {
    .name = "raft",
    .memory_size = raft_memory_size,
    .init = raft_init,
    .authenticate = raft_authenticate,
    .message_size_max = raft_message_size_max,
    .cost = raft_cost,
    .bulk = raft_bulk,
    .wants = raft_wants,
    .step = raft_step,
    .status = raft_status,
    .body_table = RAFT_TABLE_LOG,
    .body_of_record = raft_body_of_record,
};
