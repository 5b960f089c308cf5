/*
 * Solo: one replica decides each proposal at once. Bodies are kept in table 1 until their seq is attested, because
 * after a restart the channel needs those of the open block.
 */
#include "solo/solo.h"

#include <string.h>

enum { TABLE_LOG = 1 };

struct ord_core {
    struct ord_core_config config;
    bool started;
    uint64_t delivered_seq;
    uint64_t stable_seq;
    struct ord_effect effects[4];
};

static size_t solo_memory_size(const struct ord_core_config *config) {
    return config->replica_count == 1 && config->self == 0 && config->batch_bytes_max > 0 ? sizeof(struct ord_core) : 0;
}

static enum ord_err solo_init(struct ord_core **out, void *memory, size_t memory_size,
                              const struct ord_core_config *config, const struct ord_signer *signer, uint64_t seed) {
    (void) signer;
    (void) seed;
    if (solo_memory_size(config) == 0 || memory_size < sizeof(struct ord_core))
        return ORD_ERR_INVALID;
    struct ord_core *core = memory;
    memset(core, 0, sizeof(*core));
    core->config = *config;
    *out = core;
    return ORD_OK;
}

static enum ord_err solo_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                                      struct ord_span bytes) {
    (void) out;
    (void) config;
    (void) from;
    (void) bytes;
    return ORD_ERR_FORBIDDEN; /* this channel has no other replica */
}

static size_t solo_message_size_max(const struct ord_core_config *config) {
    (void) config;
    return 0;
}

static bool solo_wants(const struct ord_core *core, struct ord_span bytes) {
    (void) core;
    (void) bytes;
    return false;
}

/* A replica that is alone sends nothing. */
static bool solo_bulk(struct ord_span bytes) {
    (void) bytes;
    return false;
}

static uint32_t solo_cost(struct ord_span bytes) {
    (void) bytes;
    return 0;
}

static enum ord_err start(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    if (core->started)
        return ORD_ERR_WRONG_STATE;
    core->started = true;
    core->delivered_seq = event->start.applied_seq;
    core->effects[0] = (struct ord_effect) {.type = ORD_EFFECT_LEADER, .leader = {.leader = 0, .view = 0}};
    out->count = 1;
    return ORD_OK;
}

/*
 * The body and its effects on the ledger become durable in one commit. Every body on disk is therefore already
 * executed, and a restart has nothing to deliver again.
 */
static enum ord_err propose(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    struct ord_span batch = event->propose.batch;
    if (batch.size == 0 || batch.size > core->config.batch_bytes_max) {
        core->effects[0] = (struct ord_effect) {.type = ORD_EFFECT_REJECT, .reject = {.err = ORD_ERR_INVALID}};
        out->count = 1;
        return ORD_OK;
    }
    uint64_t seq = ++core->delivered_seq;
    core->effects[0] =
        (struct ord_effect) {.type = ORD_EFFECT_PERSIST, .persist = {.table = TABLE_LOG, .key = seq, .bytes = batch}};
    core->effects[1] = (struct ord_effect) {.type = ORD_EFFECT_DELIVER, .deliver = {.seq = seq, .batch = batch}};
    out->count = 2;
    return ORD_OK;
}

static enum ord_err attested(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    uint64_t seq = event->attested.seq;
    if (seq > core->delivered_seq)
        return ORD_ERR_INVALID;
    if (seq <= core->stable_seq)
        return ORD_OK;
    core->stable_seq = seq;
    core->effects[0] =
        (struct ord_effect) {.type = ORD_EFFECT_FORGET, .forget = {.table = TABLE_LOG, .key = core->stable_seq}};
    out->count = 1;
    return ORD_OK;
}

static enum ord_err solo_step(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    *out = (struct ord_effects) {.items = core->effects, .count = 0};
    if (!core->started && event->type != ORD_EVENT_START)
        return ORD_ERR_WRONG_STATE;
    switch (event->type) {
    case ORD_EVENT_START:
        return start(core, out, event);
    case ORD_EVENT_PROPOSE:
        return propose(core, out, event);
    case ORD_EVENT_ATTESTED:
        return attested(core, out, event);
    case ORD_EVENT_MESSAGE:
    case ORD_EVENT_JUDGED:
        return ORD_ERR_INVALID;
    case ORD_EVENT_TICK:
    case ORD_EVENT_FLUSH:
    case ORD_EVENT_PERSISTED:
    case ORD_EVENT_APPLIED:
    case ORD_EVENT_SYNCED:
    case ORD_EVENT_WORK:
    case ORD_EVENT_STORAGE:
    case ORD_EVENT_HAND_OVER:
        return ORD_OK;
    }
    return ORD_ERR_INVALID;
}

static void solo_status(const struct ord_core *core, struct ord_status *out) {
    *out = (struct ord_status) {
        .leader = 0,
        .leading = true,
        .can_propose = core->started,
        .delivered_seq = core->delivered_seq,
        .stable_seq = core->stable_seq,
        .proposed_seq = core->delivered_seq,
    };
}

static enum ord_err solo_body_of_record(struct ord_span *batch, struct ord_span record) {
    *batch = record;
    return ORD_OK;
}

const struct ord_protocol solo_protocol = {
    .name = "solo",
    .memory_size = solo_memory_size,
    .init = solo_init,
    .authenticate = solo_authenticate,
    .message_size_max = solo_message_size_max,
    .cost = solo_cost,
    .bulk = solo_bulk,
    .wants = solo_wants,
    .step = solo_step,
    .status = solo_status,
    .body_table = TABLE_LOG,
    .body_of_record = solo_body_of_record,
};
