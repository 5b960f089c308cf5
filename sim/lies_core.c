/*
 * Lies in messages of the core, which are decoded, changed, and signed anew with the liar's key.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/bft.h"
#include "bft/wire/message.h"
#include "bft/wire/proof.h"
#include "channel/envelope.h"
#include "core/assert.h"
#include "sim/liar_internal.h"

/* Signs and sends. The digest is the caller's, right or wrong. */
static void say_pre_prepare(struct sim_replica *liar, ord_node_id to, struct bft_pre_prepare *message) {
    const struct ord_core_config *config = sim_liar_config(liar);
    const struct bft_statement statement = {.type = BFT_PRE_PREPARE,
                                            .view = message->view,
                                            .seq = message->seq,
                                            .digest = message->digest,
                                            .sender = message->sender};
    struct ord_hash hash;
    uint8_t head[BFT_PRE_PREPARE_SIZE];
    bft_statement_hash(&hash, config, &statement);
    sim_liar_sign(liar, &message->signature, &hash);
    bft_pre_prepare_encode(head, config, message);
    const struct ord_span parts[] = {ord_span_of(head, sizeof(head)), message->body};
    struct sim_buffer *buffer = sim_buffer_join(parts, 2);
    sim_liar_give(liar, to, REPLICA_LINK_CORE, buffer);
}

static void say_list(struct sim_replica *liar, ord_node_id to, struct bft_vote_list *list) {
    const struct ord_core_config *config = sim_liar_config(liar);
    uint8_t bytes[BFT_PREPARE_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    if (list->type == BFT_PREPARE) {
        struct bft_vote_tree *tree = sim_alloc(sizeof(*tree));
        struct ord_hash hash;
        bft_vote_tree_build(tree, config, list);
        bft_vote_tree_signed_hash(&hash, tree, config);
        sim_liar_sign(liar, &list->signature, &hash);
        free(tree);
    }
    bft_vote_list_encode(&writer, config, list);
    sim_liar_say(liar, to, REPLICA_LINK_CORE, ord_writer_span(&writer));
}

static bool decode_pre_prepare(const struct sim_replica *liar, struct bft_pre_prepare *out, enum replica_link kind,
                               struct ord_span message) {
    return kind == REPLICA_LINK_CORE && liar->world->replica_count > 1 &&
           bft_pre_prepare_decode(out, sim_liar_config(liar), message) == ORD_OK;
}

static bool decode_list(const struct sim_replica *liar, struct bft_vote_list *out, enum replica_link kind,
                        struct ord_span message) {
    return kind == REPLICA_LINK_CORE && message.size > 0 &&
           (message.data[0] == BFT_PREPARE || message.data[0] == BFT_COMMIT) &&
           bft_vote_list_decode(out, sim_liar_config(liar), message) == ORD_OK;
}

/* Gives another batch than `body`, and always the same one for one body: no envelopes, and a marker or none. */
static struct ord_span other_body(uint8_t out[13], struct ord_span body) {
    memset(out, 0, 13);
    out[0] = 1;
    if (body.size == 13 && memcmp(body.data, out, 13) == 0)
        out[8] = 1;
    return ord_span_of(out, 13);
}

bool sim_lie_equivocate(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_pre_prepare pre_prepare;
    uint8_t other[13];
    if (!sim_liar_other_side(liar, to) || !decode_pre_prepare(liar, &pre_prepare, kind, sim_buffer_span(message)))
        return false;
    pre_prepare.body = other_body(other, pre_prepare.body);
    bft_body_digest(&pre_prepare.digest, &liar->world->crypto.ops, pre_prepare.body);
    say_pre_prepare(liar, to, &pre_prepare);
    return true;
}

bool sim_lie_split_votes(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_vote_list list;
    if (!sim_liar_other_side(liar, to) || !decode_list(liar, &list, kind, sim_buffer_span(message)))
        return false;
    for (uint32_t i = 0; i < list.count; i++)
        list.votes[i].digest.bytes[0] ^= 1;
    say_list(liar, to, &list);
    return true;
}

static uint64_t other_number(struct sim_random *random, uint64_t number) {
    switch (sim_below(random, 6)) {
    case 0:
        return number + 1;
    case 1:
        return number > 1 ? number - 1 : number + 1;
    case 2:
        return number + sim_below(random, 300);
    case 3:
        return BFT_SEQ_MAX - sim_below(random, 3);
    case 4:
        return 1 + sim_below(random, number + 1);
    default:
        return number ^ UINT64_C(1) << sim_below(random, 62);
    }
}

static bool mutate_pre_prepare(struct sim_replica *liar, ord_node_id to, struct bft_pre_prepare *message) {
    switch (sim_below(&liar->random, 5)) {
    case 0:
        message->seq = other_number(&liar->random, message->seq);
        break;
    case 1:
        message->view = other_number(&liar->random, message->view);
        break;
    case 2:
        message->sender = (message->sender + 1) % liar->world->replica_count;
        break;
    case 3:
        message->digest.bytes[sim_below(&liar->random, 32)] ^= 1;
        break;
    default: {
        struct sim_buffer *body = sim_liar_scratch(liar, message->body);
        message->body = sim_buffer_span(body);
        if (body->size > 0) {
            bft_body_digest(&message->digest, &liar->world->crypto.ops, message->body);
            say_pre_prepare(liar, to, message);
        }
        sim_buffer_release(body);
        return true;
    }
    }
    say_pre_prepare(liar, to, message);
    return true;
}

static bool mutate_list(struct sim_replica *liar, ord_node_id to, struct bft_vote_list *list) {
    struct bft_vote *vote = &list->votes[sim_below(&liar->random, list->count)];
    switch (sim_below(&liar->random, 5)) {
    case 0:
        list->view = other_number(&liar->random, list->view);
        break;
    case 1:
        list->sender = (list->sender + 1) % liar->world->replica_count;
        break;
    case 2:
        list->count = 1;
        list->votes[0].seq = other_number(&liar->random, list->votes[0].seq);
        break;
    case 3:
        list->type = list->type == BFT_PREPARE ? BFT_COMMIT : BFT_PREPARE;
        break;
    default:
        vote->digest.bytes[sim_below(&liar->random, 32)] ^= 1;
        break;
    }
    say_list(liar, to, list);
    return true;
}

bool sim_lie_mutate(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct ord_span bytes = sim_buffer_span(message);
    struct bft_pre_prepare pre_prepare;
    struct bft_vote_list list;
    struct bft_status status;
    if (decode_pre_prepare(liar, &pre_prepare, kind, bytes))
        return mutate_pre_prepare(liar, to, &pre_prepare);
    if (decode_list(liar, &list, kind, bytes))
        return mutate_list(liar, to, &list);
    if (kind != REPLICA_LINK_CORE || bft_status_decode(&status, sim_liar_config(liar), bytes) != ORD_OK)
        return false;
    uint8_t out[BFT_STATUS_SIZE];
    status.delivered_seq = other_number(&liar->random, status.delivered_seq);
    status.stable_seq = sim_below(&liar->random, status.delivered_seq + 1);
    status.held[0] ^= (uint8_t) sim_roll(&liar->random);
    bft_status_encode(out, sim_liar_config(liar), &status);
    sim_liar_say(liar, to, REPLICA_LINK_CORE, ord_span_of(out, sizeof(out)));
    return true;
}

static size_t signature_at(enum replica_link kind, const struct sim_buffer *message) {
    bool proposal = sim_liar_is_core(kind, message, BFT_PRE_PREPARE) && message->size > BFT_PRE_PREPARE_SIZE;
    return (proposal ? BFT_PRE_PREPARE_SIZE - 4 : message->size) - ORD_SIGNATURE_SIZE;
}

/* Rows T7, T8: a good signature, but of another message, by the liar or by somebody else. */
bool sim_lie_borrow(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    const struct sim_kept *kept = sim_liar_kept(liar, 0);
    if (kept == NULL || message->size < ORD_SIGNATURE_SIZE || kept->message->size < ORD_SIGNATURE_SIZE)
        return false;
    struct sim_buffer *copy = sim_buffer_create(sim_buffer_span(message));
    memcpy(copy->data + signature_at(kind, copy), kept->message->data + signature_at(kept->kind, kept->message),
           ORD_SIGNATURE_SIZE);
    sim_liar_give(liar, to, kind, copy);
    return true;
}

bool sim_lie_skip(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_pre_prepare pre_prepare;
    if (!decode_pre_prepare(liar, &pre_prepare, kind, sim_buffer_span(message)))
        return false;
    struct bft_pre_prepare other = pre_prepare;
    uint64_t stable_seq = sim_process_status(liar->process).stable_seq;
    uint64_t window = liar->world->config->window;
    switch (sim_below(&liar->random, stable_seq == 0 ? 2 : 3)) {
    case 0:
        other.seq = pre_prepare.seq + sim_below(&liar->random, 80);
        break;
    case 1:
        other.seq = 1 + sim_below(&liar->random, pre_prepare.seq);
        break;
    /* Below where its view began, except for replicas that are behind. */
    default:
        other.seq = stable_seq - sim_below(&liar->random, stable_seq < window ? stable_seq : window);
        break;
    }
    say_pre_prepare(liar, to, &other);
    return false; /* the true one goes too */
}

void sim_lie_early_commit(struct sim_replica *liar, ord_node_id from, enum replica_link kind, struct ord_span message) {
    struct bft_pre_prepare pre_prepare;
    struct bft_vote_list list;
    (void) from;
    if (decode_pre_prepare(liar, &pre_prepare, kind, message))
        list = (struct bft_vote_list) {
            .view = pre_prepare.view, .count = 1, .votes = {{pre_prepare.seq, pre_prepare.digest}}};
    else if (!decode_list(liar, &list, kind, message))
        return;
    list.type = sim_chance(&liar->random, 700000) ? BFT_COMMIT : BFT_PREPARE;
    list.sender = liar->id;
    for (ord_node_id to = 0; to < liar->world->replica_count; to++)
        if (to != liar->id)
            say_list(liar, to, &list);
}

void sim_lie_usurp(struct sim_replica *liar) {
    if (liar->world->replica_count == 1)
        return;
    struct ord_status status = sim_process_status(liar->process);
    struct bft_pre_prepare message = {.view = status.view + sim_below(&liar->random, 3),
                                      .seq = status.delivered_seq + 1 + sim_below(&liar->random, 3),
                                      .sender = liar->id};
    uint8_t body[13];
    message.body = other_body(body, ord_span_of(NULL, 0));
    bft_body_digest(&message.digest, &liar->world->crypto.ops, message.body);
    for (ord_node_id to = 0; to < liar->world->replica_count; to++)
        if (to != liar->id)
            say_pre_prepare(liar, to, &message);
}
