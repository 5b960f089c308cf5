/*
 * Lies about views: view changes that are forged, incomplete or stale, new views that do not follow from theirs, spam,
 * and a primary that is as slow as it may be.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/view_message.h"
#include "core/assert.h"
#include "sim/liar_internal.h"

enum { VIEW_AT = BFT_HEADER_SIZE - 4 - 8 }; /* before the sender */

/* Signs all but the last 64 bytes of a VIEW-CHANGE or NEW-VIEW, and puts the signature there. */
static void sign_message(struct sim_replica *liar, struct sim_buffer *message, enum bft_type type, uint64_t view) {
    struct ord_hash hash;
    struct ord_hash digest;
    struct ord_signature signature;
    size_t size = message->size - ORD_SIGNATURE_SIZE;
    bft_view_message_hash(&hash, &digest, sim_liar_config(liar), type, view, liar->id,
                          ord_span_of(message->data, size));
    sim_liar_sign(liar, &signature, &hash);
    memcpy(message->data + size, signature.bytes, ORD_SIGNATURE_SIZE);
}

bool sim_liar_own_change(const struct sim_replica *liar, struct bft_view_change *out, enum replica_link kind,
                         const struct sim_buffer *message) {
    return sim_liar_is_core(kind, message, BFT_VIEW_CHANGE) &&
           bft_view_change_decode(out, sim_liar_config(liar), sim_buffer_span(message)) == ORD_OK &&
           out->sender == liar->id;
}

struct sim_buffer *sim_liar_change(struct sim_replica *liar, const struct bft_view_change *change) {
    size_t capacity = 128 + change->checkpoint.size + change->certificates.size + ORD_SIGNATURE_SIZE;
    struct ord_writer writer = sim_writer(capacity);
    static const struct ord_signature none;
    size_t count_at;
    bft_view_change_begin(&writer, &count_at, sim_liar_config(liar), change->view, change->stable_seq,
                          change->checkpoint);
    ord_write_span(&writer, change->certificates);
    ord_store_u32(writer.data + count_at, change->certificate_count);
    ord_write_signature(&writer, &none);
    struct sim_buffer *message = sim_buffer_written(&writer);
    sign_message(liar, message, BFT_VIEW_CHANGE, change->view);
    return message;
}

struct sim_buffer *sim_liar_checkpoint_change(struct sim_replica *liar, uint64_t view,
                                              const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    const struct bft_view_change change = {.view = view,
                                           .stable_seq = certificate->statement.seq,
                                           .checkpoint =
                                               ord_span_of(bytes, channel_certificate_encode(bytes, certificate))};
    return sim_liar_change(liar, &change);
}

static void leave_out_certificates(struct bft_view_change *change) {
    change->certificates = ord_span_of(NULL, 0);
    change->certificate_count = 0;
}

static void leave_out_last_certificate(struct sim_replica *liar, struct bft_view_change *change) {
    struct ord_span left = change->certificates;
    struct ord_span last = ord_span_of(NULL, 0);
    struct bft_statement statement;
    while (bft_view_change_next(&statement, &last, &left, sim_liar_config(liar)))
        continue;
    change->certificates.size -= last.size;
    change->certificate_count -= change->certificate_count > 0;
}

/* Rows V4, V5, V6, V7. */
bool sim_lie_change(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_view_change change;
    struct channel_certificate alone = {.statement.epoch = sim_liar_config(liar)->epoch};
    struct sim_buffer *scratch = NULL;
    if (!sim_liar_own_change(liar, &change, kind, message))
        return false;
    switch (sim_below(&liar->random, 7)) {
    case 5: /* row V5: a checkpoint that the liar alone attests */
        alone.statement.seq = change.stable_seq + 1 + sim_below(&liar->random, 20);
        alone.statement.height = alone.statement.seq;
        sim_liar_attest_alone(liar, &alone);
        sim_liar_give(liar, to, REPLICA_LINK_CORE, sim_liar_checkpoint_change(liar, change.view, &alone));
        return true;
    case 0:
        leave_out_certificates(&change);
        break;
    case 1: /* forgets its checkpoint */
        change.stable_seq = 0;
        change.checkpoint = ord_span_of(NULL, 0);
        break;
    case 2: /* a checkpoint that its proof does not prove */
        change.stable_seq += 1 + sim_below(&liar->random, 4);
        leave_out_certificates(&change);
        break;
    case 3: /* forged certificates */
        scratch = sim_liar_scratch(liar, change.certificates);
        change.certificates = sim_buffer_span(scratch);
        break;
    case 4:
        leave_out_last_certificate(liar, &change);
        break;
    default: /* its own statement again, but for another view */
        change.view += 1 + sim_below(&liar->random, 3);
        break;
    }
    sim_liar_give(liar, to, REPLICA_LINK_CORE, sim_liar_change(liar, &change));
    sim_buffer_release(scratch);
    return true;
}

/* Signs the changed proposals of a NEW-VIEW, and then the whole message. `view` points into `message`. */
static void sign_new_view(struct sim_replica *liar, struct sim_buffer *message, const struct bft_new_view *view) {
    struct bft_vote_tree *tree = sim_alloc(sizeof(*tree));
    uint8_t *signatures = message->data + (view->signatures - message->data);
    for (uint32_t chunk = 0; chunk * BFT_LIST_MAX < view->count; chunk++) {
        struct bft_vote_list list;
        struct ord_hash hash;
        struct ord_signature signature;
        bft_new_view_list(&list, view, chunk);
        bft_vote_tree_build(tree, sim_liar_config(liar), &list);
        bft_vote_tree_signed_hash(&hash, tree, sim_liar_config(liar));
        sim_liar_sign(liar, &signature, &hash);
        memcpy(signatures + (size_t) chunk * ORD_SIGNATURE_SIZE, signature.bytes, ORD_SIGNATURE_SIZE);
    }
    free(tree);
    sign_message(liar, message, BFT_NEW_VIEW, view->view);
}

/* Removes one of the view changes that the NEW-VIEW rests on. The caller signs. `view` points into `message`. */
static void remove_change(struct sim_replica *liar, struct sim_buffer *message, const struct bft_new_view *view) {
    size_t at = (size_t) (view->changes - message->data) +
                (size_t) sim_below(&liar->random, view->change_count) * BFT_CHANGE_REF_SIZE;
    memmove(message->data + at, message->data + at + BFT_CHANGE_REF_SIZE, message->size - at - BFT_CHANGE_REF_SIZE);
    message->size -= BFT_CHANGE_REF_SIZE;
    message->data[view->changes - message->data - 1]--; /* their count */
}

/* Rows V8, V9: other batches, other view changes, another base, or a later view's NEW-VIEW before the right one. */
bool sim_lie_new_view(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_new_view view;
    if (!sim_liar_is_core(kind, message, BFT_NEW_VIEW))
        return false;
    struct sim_buffer *copy = sim_buffer_create(sim_buffer_span(message));
    if (bft_new_view_decode(&view, sim_liar_config(liar), ord_span_of(copy->data, copy->size)) != ORD_OK ||
        view.sender != liar->id) {
        sim_buffer_release(copy);
        return false;
    }
    uint8_t *digests = copy->data + (view.digests - copy->data);
    uint8_t *refs = copy->data + (view.changes - copy->data);
    struct ord_hash null_digest;
    bft_body_digest(&null_digest, sim_liar_config(liar)->crypto, ord_span_of(NULL, 0));
    uint64_t how = sim_below(&liar->random, 8);
    switch (how) {
    case 7:
    /*
     * The NEW-VIEW of a later view that it leads too. It rests on view changes that nobody said, so it is never
     * installed. Then the right one follows.
     */
    case 6:
        view.view += liar->world->replica_count;
        ord_store_u64(copy->data + VIEW_AT, view.view);
        for (uint32_t i = 0; i < view.change_count; i++)
            refs[i * BFT_CHANGE_REF_SIZE + 4] ^= 1;
        break;
    /* Everything else stays, and may still follow from the remaining view changes. */
    case 5:
        remove_change(liar, copy, &view);
        break;
    case 0:
        if (view.count > 0)
            memcpy(digests + sim_below(&liar->random, view.count) * ORD_HASH_SIZE, null_digest.bytes, ORD_HASH_SIZE);
        break;
    case 1:
        if (view.count > 0)
            digests[sim_below(&liar->random, view.count) * ORD_HASH_SIZE] ^= 1;
        break;
    case 2:
        refs[sim_below(&liar->random, view.change_count) * BFT_CHANGE_REF_SIZE + 4] ^= 1;
        break;
    case 3: /* the same one twice */
        memcpy(refs, refs + BFT_CHANGE_REF_SIZE, BFT_CHANGE_REF_SIZE);
        break;
    default: /* base_seq stands behind the header */
        view.base_seq += sim_chance(&liar->random, 500000) ? 1 : UINT64_MAX;
        ord_store_u64(copy->data + BFT_HEADER_SIZE, view.base_seq);
        break;
    }
    if (how == 5)
        sign_message(liar, copy, BFT_NEW_VIEW, view.view);
    else if (view.base_seq < BFT_SEQ_MAX)
        sign_new_view(liar, copy, &view);
    sim_liar_give(liar, to, REPLICA_LINK_CORE, copy);
    if (how >= 6)
        sim_liar_pass(liar, to, kind, message);
    return true;
}

/* Row V10. */
bool sim_lie_half_view(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    return sim_liar_is_core(kind, message, BFT_NEW_VIEW) && sim_liar_other_side(liar, to);
}

/* Rows V2, V3: views of all sizes, without checkpoint and certificates. */
void sim_lie_spam(struct sim_replica *liar) {
    if (liar->world->replica_count == 1)
        return;
    struct ord_status status = sim_process_status(liar->process);
    uint64_t views[] = {status.view + 1, status.view + 1 + sim_below(&liar->random, 5),
                        BFT_SEQ_MAX - sim_below(&liar->random, 3), status.view + sim_below(&liar->random, 1000)};
    uint64_t view = views[sim_below(&liar->random, 4)];
    const struct bft_view_change change = {.view = view == 0 ? 1 : view};
    struct sim_buffer *lie = sim_liar_change(liar, &change);
    for (ord_node_id to = 0; to < liar->world->replica_count; to++)
        if (to != liar->id && sim_chance(&liar->random, 700000))
            sim_liar_pass(liar, to, REPLICA_LINK_CORE, lie);
    sim_buffer_release(lie);
}

/* Row P3. */
bool sim_lie_slow(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    if (!sim_liar_is_core(kind, message, BFT_PRE_PREPARE))
        return false;
    uint64_t timeout_us = (uint64_t) liar->world->config->request_timeout_ms * 1000;
    sim_liar_later(liar, to, kind, message, timeout_us * sim_between(&liar->random, 500, 950) / 1000);
    return true;
}
