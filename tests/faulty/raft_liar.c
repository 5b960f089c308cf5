/* The wrapper: messages go into the real core or are answered here, and what comes out of it is changed on the way. */
#include "faulty/raft_liar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "channel/envelope.h"
#include "core/assert.h"
#include "node/log.h"
#include "raft/message.h"
#include "raft/raft.h"

enum {
    /* Effects of the core and of the wrapper in one step. */
    ANSWER_EFFECTS = 4,
    /* A cut marker for a block that is never open does nothing. */
    VOID_CUT_HEIGHT = 1,
};

/* Memory that a step allocated; freed at the next step. */
struct chunk {
    struct chunk *next;
    _Alignas(max_align_t) uint8_t bytes[];
};

/* The wrapper is a core itself; the real core is `inner`. */
struct ord_core {
    struct ord_core *inner;
    struct ord_core_config config;
    uint64_t counts[RAFT_LIAR_BEHAVIOUR_COUNT]; /* lies told, by behaviour */
    ord_replica_set second_half;                /* of the others */
    bool active;                                /* after_seq was reached */
    uint64_t life;                              /* of the inner core; 0: it has not said so yet */
    struct chunk *chunks;
    struct ord_effect *effects;
    size_t effect_count;
    size_t effect_max;
};

static const struct raft_liar_options *options_of_process;
/* One per process. Its allocations stay reachable through it. */
static struct ord_core the_liar;

const char *raft_liar_behaviour_name(enum raft_liar_behaviour behaviour) {
    static const char *const names[] = {
#define RAFT_LIAR_NAME(name, text) #name,
        RAFT_LIAR_BEHAVIOURS(RAFT_LIAR_NAME)
#undef RAFT_LIAR_NAME
    };
    return names[behaviour];
}

static bool does(const struct ord_core *liar, enum raft_liar_behaviour behaviour) {
    return liar->active && options_of_process->behaviours[behaviour];
}

static void lied(struct ord_core *liar, enum raft_liar_behaviour behaviour) {
    uint64_t count = ++liar->counts[behaviour];
    if ((count & (count - 1)) == 0)
        node_log(NODE_LOG_INFO, "lie", "behaviour=%s count=%" PRIu64, raft_liar_behaviour_name(behaviour), count);
}

static uint8_t *allocate(struct ord_core *liar, size_t size) {
    struct chunk *chunk = malloc(sizeof(*chunk) + size);
    ORD_ASSERT(chunk != NULL);
    chunk->next = liar->chunks;
    liar->chunks = chunk;
    return chunk->bytes;
}

static struct ord_effect *add(struct ord_core *liar, const struct ord_effect *effect) {
    if (liar->effect_count == liar->effect_max) {
        liar->effect_max = liar->effect_max * 2 + ANSWER_EFFECTS;
        liar->effects = realloc(liar->effects, liar->effect_max * sizeof(*liar->effects));
        ORD_ASSERT(liar->effects != NULL);
    }
    liar->effects[liar->effect_count] = *effect;
    return &liar->effects[liar->effect_count++];
}

static struct ord_span encoded(struct ord_core *liar, const struct raft_message *message) {
    struct ord_writer writer = ord_writer_of(allocate(liar, RAFT_SMALL_SIZE_MAX), RAFT_SMALL_SIZE_MAX);
    raft_message_encode(&writer, &liar->config, message);
    ORD_ASSERT(!writer.failed);
    return ord_writer_span(&writer);
}

static void answer(struct ord_core *liar, ord_replica_set to, const struct raft_message *message) {
    const struct ord_effect effect = {.type = ORD_EFFECT_SEND, .send = {.to = to, .bytes = encoded(liar, message)}};
    add(liar, &effect);
}

/* Says that the log equals the leader's up to `seq`. */
static void acknowledge(struct ord_core *liar, ord_replica_set to, uint64_t term, uint64_t seq) {
    const struct raft_message says = {
        .type = RAFT_APPEND_ANSWER, .sender = liar->config.self, .term = term, .seq = seq, .life = liar->life};
    answer(liar, to, &says);
    lied(liar, RAFT_LIAR_ack_unkept);
}

/* Another valid batch: the envelopes in the reverse order, or the same one with a marker that does nothing. */
static struct ord_span other_batch(struct ord_core *liar, struct ord_span bytes) {
    struct channel_batch batch;
    ORD_ASSERT(channel_batch_decode(&batch, bytes) == ORD_OK);
    struct ord_span *envelopes =
        (struct ord_span *) (void *) allocate(liar, (batch.envelope_count + 1) * sizeof(*envelopes));
    uint32_t count = 0;
    while (channel_batch_next(&envelopes[count], &batch.envelopes) == ORD_OK)
        count++;
    struct ord_writer writer = ord_writer_of(allocate(liar, bytes.size), bytes.size);
    channel_batch_begin(&writer, count < 2 ? VOID_CUT_HEIGHT : batch.cut_height);
    for (uint32_t i = count; i > 0; i--)
        channel_batch_add(&writer, envelopes[i - 1]);
    ORD_ASSERT(channel_batch_end(&writer, count) == ORD_OK);
    return ord_writer_span(&writer);
}

/* ---- what the core sends ---- */

static void send_append(struct ord_core *liar, const struct ord_effect *effect, const struct raft_message *append) {
    ord_replica_set second = effect->send.to & liar->second_half;
    struct ord_effect first = *effect;
    first.send.to &= ~second;
    if (first.send.to != 0)
        add(liar, &first);
    if (second == 0)
        return;
    struct ord_effect other = *effect;
    other.send.to = second;
    other.send.body = other_batch(liar, append->body);
    add(liar, &other);
    lied(liar, RAFT_LIAR_split_log);
}

static void look_at(struct ord_core *liar, const struct ord_effect *effect) {
    struct raft_message message;
    if (effect->type != ORD_EFFECT_SEND) {
        add(liar, effect);
        return;
    }
    size_t size = effect->send.bytes.size + effect->send.body.size;
    uint8_t *whole = allocate(liar, size);
    memcpy(whole, effect->send.bytes.data, effect->send.bytes.size);
    if (effect->send.body.size > 0)
        memcpy(whole + effect->send.bytes.size, effect->send.body.data, effect->send.body.size);
    ORD_ASSERT(raft_message_decode(&message, &liar->config, ord_span_of(whole, size)) == ORD_OK);
    if (message.type == RAFT_APPEND_ANSWER || message.type == RAFT_VOTE_ANSWER || message.type == RAFT_ASK)
        liar->life = message.life;
    if (message.type == RAFT_VOTE_REQUEST && does(liar, RAFT_LIAR_vote_twice))
        return; /* if it led, nobody else would ask for its vote */
    if (message.type == RAFT_APPEND && message.has_entry && message.body.size > 0 && effect->send.body.size > 0 &&
        does(liar, RAFT_LIAR_split_log))
        send_append(liar, effect, &message);
    else if (message.type == RAFT_APPEND_ANSWER && message.rejected && does(liar, RAFT_LIAR_ack_unkept))
        acknowledge(liar, effect->send.to, message.term, message.seq);
    else
        add(liar, effect);
}

/* ---- what comes in ---- */

/* True: the message is answered here, and the core never sees it. */
static bool answered(struct ord_core *liar, const struct ord_verified *verified) {
    struct raft_message message;
    ORD_ASSERT(raft_message_decode(&message, &liar->config, verified->bytes) == ORD_OK);
    struct ord_status status;
    raft_protocol.status(liar->inner, &status);
    if (message.type == RAFT_APPEND && message.has_entry && message.seq + 1 >= options_of_process->after_seq)
        liar->active = true;
    if (liar->life == 0)
        return false;
    if (message.type == RAFT_APPEND && message.has_entry && does(liar, RAFT_LIAR_ack_unkept)) {
        acknowledge(liar, ord_replica_bit(verified->from), message.term, message.seq + 1);
        return true;
    }
    if (message.type == RAFT_VOTE_REQUEST && does(liar, RAFT_LIAR_vote_twice)) {
        const struct raft_message says = {.type = RAFT_VOTE_ANSWER,
                                          .sender = liar->config.self,
                                          .term = message.pre ? status.view : message.term,
                                          .pre = message.pre,
                                          .granted = true,
                                          .asked_term = message.term,
                                          .asked_life = message.life,
                                          .life = liar->life};
        answer(liar, ord_replica_bit(verified->from), &says);
        lied(liar, RAFT_LIAR_vote_twice);
        return true;
    }
    return false;
}

/* ---- the protocol ---- */

static enum ord_err liar_init(struct ord_core **out, void *memory, size_t memory_size,
                              const struct ord_core_config *config, const struct ord_signer *signer, uint64_t seed) {
    struct ord_core *liar = &the_liar;
    memset(liar, 0, sizeof(*liar));
    enum ord_err err = raft_protocol.init(&liar->inner, memory, memory_size, config, signer, seed);
    if (err != ORD_OK)
        return err;
    liar->config = *config;
    liar->active = options_of_process->after_seq == 0;
    uint32_t first_half = (config->replica_count - 1) / 2;
    for (ord_node_id node = config->replica_count; node > 0; node--)
        if (node - 1 != config->self && ord_replica_count(liar->second_half) < first_half)
            liar->second_half |= ord_replica_bit(node - 1);
    *out = liar;
    return ORD_OK;
}

static enum ord_err liar_step(struct ord_core *liar, struct ord_effects *out, const struct ord_event *event) {
    while (liar->chunks != NULL) {
        struct chunk *chunk = liar->chunks;
        liar->chunks = chunk->next;
        free(chunk);
    }
    liar->effect_count = 0;
    struct ord_effects effects = {0};
    struct ord_status status;
    raft_protocol.status(liar->inner, &status);
    liar->active |= status.proposed_seq >= options_of_process->after_seq;
    enum ord_err err = ORD_OK;
    if (event->type != ORD_EVENT_MESSAGE || !answered(liar, event->message))
        err = raft_protocol.step(liar->inner, &effects, event);
    for (size_t i = 0; err == ORD_OK && i < effects.count; i++)
        look_at(liar, &effects.items[i]);
    *out = (struct ord_effects) {.items = liar->effects, .count = liar->effect_count};
    return err;
}

static void liar_status(const struct ord_core *liar, struct ord_status *out) {
    raft_protocol.status(liar->inner, out);
}

static bool liar_wants(const struct ord_core *liar, struct ord_span bytes) {
    return liar->active || raft_protocol.wants(liar->inner, bytes);
}

static struct ord_protocol liar_protocol;

void raft_liar_seam(struct node_seam *out, const struct raft_liar_options *options) {
    options_of_process = options;
    liar_protocol = raft_protocol;
    liar_protocol.init = liar_init;
    liar_protocol.step = liar_step;
    liar_protocol.status = liar_status;
    liar_protocol.wants = liar_wants;
    *out = (struct node_seam) {.protocol = &liar_protocol};
}
