/* Lies in what the core sends: to which replicas, when, and with what content. Changed messages are signed again. */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/proof.h"
#include "core/assert.h"
#include "faulty/liar.h"

/* Parts of request_timeout_ms for which `delay` and `dawdle` hold a PRE-PREPARE back, and `pace` a COMMIT. */
enum { DELAY_PARTS = 80, DAWDLE_PARTS = 50, PACE_PARTS = 87, HOLD_PARTS = 100 };

/* ---- PRE-PREPARE ---- */

/* Signs this PRE-PREPARE again, with another seq or another batch. */
static struct ord_span signed_again(struct ord_core *liar, struct bft_pre_prepare message, struct ord_span body) {
    bft_body_digest(&message.digest, liar->config.crypto, body);
    const struct bft_statement statement = {.type = BFT_PRE_PREPARE,
                                            .view = message.view,
                                            .seq = message.seq,
                                            .digest = message.digest,
                                            .sender = message.sender};
    struct ord_hash hash;
    bft_statement_hash(&hash, &liar->config, &statement);
    liar_sign(liar, &message.signature, &hash);
    message.body = body;
    uint8_t *bytes = liar_alloc(liar, BFT_PRE_PREPARE_SIZE + body.size);
    bft_pre_prepare_encode(bytes, &liar->config, &message);
    memcpy(bytes + BFT_PRE_PREPARE_SIZE, body.data, body.size);
    return ord_span_of(bytes, BFT_PRE_PREPARE_SIZE + body.size);
}

/* Signatures are deterministic, so what is sent again is the same lie again. */
static void equivocate(struct ord_core *liar, const struct bft_pre_prepare *message, ord_replica_set to,
                       struct ord_span bytes, enum liar_behaviour behaviour) {
    struct ord_span other = signed_again(liar, *message, liar_other_batch(liar, message->body));
    liar_lied(liar, behaviour);
    liar_send(liar, to & liar->first_half, bytes);
    liar_send(liar, to & liar->second_half, other);
    if (behaviour == LIAR_equivocate)
        liar_send(liar, to & ord_replica_bit(liar->last), bytes);
}

void liar_hold(struct ord_core *liar, ord_replica_set to, struct ord_span bytes, uint64_t due_ms) {
    struct liar_held *held = malloc(sizeof(*held) + bytes.size);
    ORD_ASSERT(held != NULL);
    *held = (struct liar_held) {.due_ms = due_ms, .to = to, .size = bytes.size};
    memcpy(held->bytes, bytes.data, bytes.size);
    struct liar_held **end = &liar->held;
    while (*end != NULL && (*end)->due_ms <= due_ms)
        end = &(*end)->next;
    held->next = *end;
    *end = held;
}

static void hold(struct ord_core *liar, ord_replica_set to, struct ord_span bytes, enum liar_behaviour behaviour) {
    uint32_t parts = behaviour == LIAR_delay ? DELAY_PARTS : behaviour == LIAR_dawdle ? DAWDLE_PARTS : PACE_PARTS;
    uint64_t timeout_ms = bft_options_of(&liar->config)->request_timeout_ms;
    liar_hold(liar, to, bytes, liar->now_ms + timeout_ms * parts / HOLD_PARTS);
    liar_lied(liar, behaviour);
}

void liar_release_held(struct ord_core *liar) {
    while (liar->held != NULL && liar->held->due_ms <= liar->now_ms) {
        struct liar_held *held = liar->held;
        liar->held = held->next;
        uint8_t *bytes = liar_alloc(liar, held->size);
        memcpy(bytes, held->bytes, held->size);
        liar_send(liar, held->to, ord_span_of(bytes, held->size));
        free(held);
    }
    if (liar->held != NULL)
        liar_effect(liar, ORD_EFFECT_WAKE_AT)->wake.at_ms = liar->held->due_ms;
}

static void send_pre_prepare(struct ord_core *liar, ord_replica_set to, struct ord_span bytes) {
    struct bft_pre_prepare message;
    ORD_ASSERT(bft_pre_prepare_decode(&message, &liar->config, bytes) == ORD_OK);
    if (liar_does(liar, LIAR_mute)) {
        liar->silent = true;
        to &= ~ord_replica_bit(liar->last);
    }
    if (liar_does(liar, LIAR_pace))
        to &= ~ord_replica_bit(liar->last);
    if (liar_does(liar, LIAR_skip)) {
        message.seq += liar->config.window;
        bytes = signed_again(liar, message, message.body);
        liar_lied(liar, LIAR_skip);
    }
    if (liar_does(liar, LIAR_equivocate) || liar_does(liar, LIAR_split))
        equivocate(liar, &message, to, bytes, liar_does(liar, LIAR_equivocate) ? LIAR_equivocate : LIAR_split);
    else if (liar_does(liar, LIAR_delay) || liar_does(liar, LIAR_dawdle))
        hold(liar, to, bytes, liar_does(liar, LIAR_delay) ? LIAR_delay : LIAR_dawdle);
    else
        liar_send(liar, to, bytes);
}

/* ---- PREPARE ---- */

/* The same votes, for other digests. */
static struct ord_span other_prepare(struct ord_core *liar, struct bft_vote_list list) {
    for (uint32_t i = 0; i < list.count; i++)
        list.votes[i].digest.bytes[0] ^= 1;
    struct bft_vote_tree *tree = (struct bft_vote_tree *) (void *) liar_alloc(liar, sizeof(*tree));
    struct ord_hash hash;
    bft_vote_tree_build(tree, &liar->config, &list);
    bft_vote_tree_signed_hash(&hash, tree, &liar->config);
    liar_sign(liar, &list.signature, &hash);
    struct ord_writer writer = ord_writer_of(liar_alloc(liar, BFT_PREPARE_SIZE_MAX), BFT_PREPARE_SIZE_MAX);
    bft_vote_list_encode(&writer, &liar->config, &list);
    return ord_writer_span(&writer);
}

static void send_prepare(struct ord_core *liar, ord_replica_set to, struct ord_span bytes) {
    memcpy(liar->prepare, bytes.data, bytes.size);
    liar->prepare_size = bytes.size;
    if (!liar_does(liar, LIAR_contradict_prepare)) {
        liar_send(liar, to, bytes);
        return;
    }
    struct bft_vote_list list;
    ORD_ASSERT(bft_vote_list_decode(&list, &liar->config, bytes) == ORD_OK);
    struct ord_span other = other_prepare(liar, list);
    liar_lied(liar, LIAR_contradict_prepare);
    liar_send(liar, to & (liar->first_half | ord_replica_bit(liar->last)), bytes);
    liar_send(liar, to & liar->second_half, other);
}

/* ---- COMMIT ---- */

/* Those of a primary are withheld. */
static void send_commit(struct ord_core *liar, const struct ord_effect *effect) {
    struct ord_status status;
    bft_pbft.status(liar->inner, &status);
    if (liar_does(liar, LIAR_pace) && status.leading)
        hold(liar, effect->send.to, effect->send.bytes, LIAR_pace);
    else
        *liar_effect(liar, ORD_EFFECT_SEND) = *effect;
}

/* ---- all ---- */

static void send_new_view(struct ord_core *liar, ord_replica_set to, struct ord_span bytes) {
    if (liar_does(liar, LIAR_new_view_to_half)) {
        liar_lied(liar, LIAR_new_view_to_half);
        to &= liar->first_half;
    }
    if (liar_does(liar, LIAR_wrong_new_view)) {
        liar_lied(liar, LIAR_wrong_new_view);
        bytes = liar_other_new_view(liar, bytes);
    }
    liar_send(liar, to, bytes);
}

static void send_great_status(struct ord_core *liar, ord_replica_set to, struct ord_span bytes) {
    struct bft_status status;
    ORD_ASSERT(bft_status_decode(&status, &liar->config, bytes) == ORD_OK);
    status.delivered_seq += LIAR_GREAT_CLAIM;
    status.stable_seq += LIAR_GREAT_CLAIM;
    uint8_t *out = liar_alloc(liar, BFT_STATUS_SIZE);
    bft_status_encode(out, &liar->config, &status);
    liar_lied(liar, LIAR_great_claims);
    liar_send(liar, to, ord_span_of(out, BFT_STATUS_SIZE));
}

void liar_send_lies(struct ord_core *liar, const struct ord_effect *effect) {
    struct ord_span bytes = effect->send.bytes;
    if (liar->silent) {
        liar_lied(liar, LIAR_mute);
        return;
    }
    /* A message in two parts is a body, or another replica's statement. Neither is worth a lie. */
    if (bytes.size == 0 || effect->send.body.size > 0) {
        *liar_effect(liar, ORD_EFFECT_SEND) = *effect;
        return;
    }
    if (bytes.data[0] == BFT_STATUS && liar_does(liar, LIAR_great_claims)) {
        send_great_status(liar, effect->send.to, bytes);
        return;
    }
    switch (bytes.data[0]) {
    case BFT_PRE_PREPARE:
        send_pre_prepare(liar, effect->send.to, bytes);
        break;
    case BFT_PREPARE:
        send_prepare(liar, effect->send.to, bytes);
        break;
    case BFT_COMMIT:
        send_commit(liar, effect);
        break;
    case BFT_NEW_VIEW:
        send_new_view(liar, effect->send.to, bytes);
        break;
    default:
        *liar_effect(liar, ORD_EFFECT_SEND) = *effect;
        break;
    }
}
