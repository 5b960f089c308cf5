/* The wrapper: events go into the real core, its effects come out, and each effect is looked at on the way. */
#include "faulty/liar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bft/bft.h"
#include "core/assert.h"
#include "node/log.h"

static const struct liar_options *options_of_process;
/* One per process. Its allocations stay reachable through it. */
static struct ord_core the_liar;
static bool ready; /* true from init on */

const char *liar_behaviour_name(enum liar_behaviour behaviour) {
    static const char *const names[] = {
#define LIAR_NAME(name, row, text) #name,
        LIAR_BEHAVIOURS(LIAR_NAME)
#undef LIAR_NAME
    };
    return names[behaviour];
}

bool liar_does(const struct ord_core *liar, enum liar_behaviour behaviour) {
    return liar->active && options_of_process->behaviours[behaviour];
}

void liar_lied(struct ord_core *liar, enum liar_behaviour behaviour) {
    uint64_t count = ++liar->counts[behaviour];
    if ((count & (count - 1)) == 0)
        node_log(NODE_LOG_INFO, "lie", "behaviour=%s count=%" PRIu64, liar_behaviour_name(behaviour), count);
}

uint8_t *liar_alloc(struct ord_core *liar, size_t size) {
    struct liar_chunk *chunk = malloc(sizeof(*chunk) + size);
    ORD_ASSERT(chunk != NULL);
    chunk->next = liar->chunks;
    liar->chunks = chunk;
    return chunk->bytes;
}

struct ord_effect *liar_effect(struct ord_core *liar, enum ord_effect_type type) {
    if (liar->effect_count == liar->effect_max) {
        liar->effect_max = liar->effect_max * 2 + 64;
        liar->effects = realloc(liar->effects, liar->effect_max * sizeof(*liar->effects));
        ORD_ASSERT(liar->effects != NULL);
    }
    struct ord_effect *effect = &liar->effects[liar->effect_count++];
    *effect = (struct ord_effect) {.type = type};
    return effect;
}

void liar_send(struct ord_core *liar, ord_replica_set to, struct ord_span bytes) {
    if (to == 0)
        return;
    struct ord_effect *effect = liar_effect(liar, ORD_EFFECT_SEND);
    effect->send.to = to;
    effect->send.bytes = bytes;
    effect->send.after_persist = true;
}

void liar_sign(struct ord_core *liar, struct ord_signature *out, const struct ord_hash *hash) {
    ORD_ASSERT(liar->signer.sign(liar->signer.context, out, hash) == ORD_OK);
}

/* ---- the protocol ---- */

static void split_others(struct ord_core *liar) {
    uint32_t first_count = (liar->config.replica_count - 1) / 2;
    for (ord_node_id node = 0; node < liar->config.replica_count; node++) {
        if (node == liar->config.self)
            continue;
        if (ord_replica_count(liar->first_half) < first_count)
            liar->first_half |= ord_replica_bit(node);
        else
            liar->second_half |= ord_replica_bit(node);
        liar->last = node;
    }
}

static enum ord_err liar_init(struct ord_core **out, void *memory, size_t memory_size,
                              const struct ord_core_config *config, const struct ord_signer *signer, uint64_t seed) {
    struct ord_core *liar = &the_liar;
    memset(liar, 0, sizeof(*liar));
    enum ord_err err = bft_pbft.init(&liar->inner, memory, memory_size, config, signer, seed);
    if (err != ORD_OK)
        return err;
    liar->config = *config;
    liar->signer = *signer;
    liar->active = options_of_process->after_seq == 0;
    split_others(liar);
    liar->certificates = calloc(config->window, sizeof(*liar->certificates));
    ORD_ASSERT(liar->certificates != NULL);
    ready = true;
    *out = liar;
    return ORD_OK;
}

static void look_at(struct ord_core *liar, const struct ord_effect *effect) {
    switch (effect->type) {
    case ORD_EFFECT_SEND:
        liar_send_lies(liar, effect);
        break;
    case ORD_EFFECT_WAKE_AT:
        *liar_effect(liar, effect->type) = *effect;
        if (liar->held != NULL && liar->held->due_ms < effect->wake.at_ms)
            liar->effects[liar->effect_count - 1].wake.at_ms = liar->held->due_ms;
        break;
    case ORD_EFFECT_DELIVER: {
        struct ord_effect *deliver = liar_effect(liar, effect->type);
        *deliver = *effect;
        liar_note_registration(liar, effect->deliver.batch);
        if (liar_does(liar, LIAR_wrong_execution))
            deliver->deliver.batch = liar_shorter_batch(liar, effect->deliver.batch);
        break;
    }
    case ORD_EFFECT_PERSIST:
        liar_note_certificate(liar, &effect->persist);
        *liar_effect(liar, effect->type) = *effect;
        break;
    case ORD_EFFECT_FORGET:
    case ORD_EFFECT_FORGET_AFTER:
    case ORD_EFFECT_JUDGE:
    case ORD_EFFECT_SYNC:
    case ORD_EFFECT_LEADER:
    case ORD_EFFECT_REJECT:
    case ORD_EFFECT_EVIDENCE:
        *liar_effect(liar, effect->type) = *effect;
        break;
    }
}

/* Adds at the end of a turn what the core itself does not send. */
static void end_of_turn(struct ord_core *liar) {
    struct ord_status status;
    bft_pbft.status(liar->inner, &status);
    liar->active |= status.proposed_seq >= options_of_process->after_seq;
    liar_release_held(liar);
    if (liar_does(liar, LIAR_pace) && status.leading && liar_pace_due_ms() > liar->now_ms)
        liar_effect(liar, ORD_EFFECT_WAKE_AT)->wake.at_ms =
            liar->held == NULL ? liar_pace_due_ms() : ord_min(liar->held->due_ms, liar_pace_due_ms());
    if (liar_does(liar, LIAR_flood))
        liar_flood(liar, status.view, status.delivered_seq, status.stable_seq);
    if (liar_does(liar, LIAR_heavy))
        liar_heavy(liar, status.view);
    if (liar_does(liar, LIAR_ask_flood))
        liar_ask_flood(liar);
    if (liar_does(liar, LIAR_forge_registrations))
        liar_forge_registrations(liar);
}

/*
 * Takes an effect of a core step that is followed by another core step in this wrapper step. Its spans are copied,
 * because they end with the next core step.
 */
static void keep_effect(struct ord_core *liar, const struct ord_effect *effect) {
    struct ord_effect kept = *effect;
    struct ord_span *spans[2] = {NULL, NULL};
    if (effect->type == ORD_EFFECT_PERSIST)
        spans[0] = &kept.persist.bytes;
    if (effect->type == ORD_EFFECT_SEND) {
        spans[0] = &kept.send.bytes;
        spans[1] = &kept.send.body;
    }
    for (size_t i = 0; i < 2; i++) {
        if (spans[i] == NULL || spans[i]->size == 0)
            continue;
        uint8_t *copy = liar_alloc(liar, spans[i]->size);
        memcpy(copy, spans[i]->data, spans[i]->size);
        spans[i]->data = copy;
    }
    look_at(liar, &kept);
}

/* As primary: proposes one more batch before the turn ends, which does nothing, or next to nothing. */
static void order_little(struct ord_core *liar) {
    struct ord_status status;
    bft_pbft.status(liar->inner, &status);
    if (!status.leading || !status.can_propose)
        return;
    struct ord_span batch = ord_span_of(NULL, 0);
    if (liar_does(liar, LIAR_void_batches) && status.in_flight == 0)
        batch = liar_void_batch(liar);
    else if (liar_does(liar, LIAR_pace))
        batch = liar_pace_batch(liar, status.view);
    if (batch.size == 0)
        return;
    const struct ord_event event = {.type = ORD_EVENT_PROPOSE, .now_ms = liar->now_ms, .propose = {.batch = batch}};
    struct ord_effects effects;
    if (bft_pbft.step(liar->inner, &effects, &event) != ORD_OK)
        return;
    if (liar_does(liar, LIAR_void_batches))
        liar_lied(liar, LIAR_void_batches);
    for (size_t i = 0; i < effects.count; i++)
        keep_effect(liar, &effects.items[i]);
}

static enum ord_err liar_step(struct ord_core *liar, struct ord_effects *out, const struct ord_event *event) {
    for (struct liar_chunk *chunk = liar->chunks; chunk != NULL; chunk = liar->chunks) {
        liar->chunks = chunk->next;
        free(chunk);
    }
    liar->effect_count = 0;
    liar->now_ms = event->now_ms;
    struct ord_event changed = *event;
    if (event->type == ORD_EVENT_PROPOSE && liar_does(liar, LIAR_pace)) {
        liar_pace_offered(liar, event->propose.batch);
        *out = (struct ord_effects) {.items = liar->effects, .count = liar->effect_count};
        return ORD_OK;
    }
    if (event->type == ORD_EVENT_WORK && liar_does(liar, LIAR_pace))
        /* Its own core would suspect it, too. */
        changed.work.since_ms = changed.work.turn_ms = UINT64_MAX;
    if (event->type == ORD_EVENT_PROPOSE)
        changed.propose.batch = liar_batch(liar, event->propose.batch);
    if (event->type == ORD_EVENT_FLUSH)
        order_little(liar);
    struct ord_effects effects;
    enum ord_err err = bft_pbft.step(liar->inner, &effects, &changed);
    for (size_t i = 0; err == ORD_OK && i < effects.count; i++)
        look_at(liar, &effects.items[i]);
    if (err == ORD_OK && event->type == ORD_EVENT_FLUSH)
        end_of_turn(liar);
    *out = (struct ord_effects) {.items = liar->effects, .count = liar->effect_count};
    return err;
}

/* A node that believes that nothing is in flight offers what there is at any time. */
static void liar_status(const struct ord_core *liar, struct ord_status *out) {
    bft_pbft.status(liar->inner, out);
    if (liar_does(liar, LIAR_pace))
        out->in_flight = 0;
}

/* Everything that does not concern a core is the real protocol's. */
static struct ord_protocol liar_protocol;

static bool on_outgoing(void *context, ord_node_id to, uint8_t *kind, uint8_t *bytes, size_t *size) {
    (void) context;
    return !ready || liar_outgoing(&the_liar, to, kind, bytes, size);
}

void liar_seam(struct node_seam *out, const struct liar_options *options) {
    options_of_process = options;
    liar_protocol = bft_pbft;
    liar_protocol.init = liar_init;
    liar_protocol.step = liar_step;
    liar_protocol.status = liar_status;
    *out = (struct node_seam) {.protocol = &liar_protocol, .outgoing = on_outgoing};
}
