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

struct sim_buffer *sim_liar_change(struct sim_replica *liar, uint64_t view, uint64_t stable_seq,
                                   struct ord_span checkpoint, struct ord_span certificates, uint32_t count) {
    size_t capacity = 128 + checkpoint.size + certificates.size + ORD_SIGNATURE_SIZE;
    struct ord_writer writer = sim_writer(capacity);
    static const struct ord_signature none;
    size_t count_at;
    bft_view_change_begin(&writer, &count_at, sim_liar_config(liar), view, stable_seq, checkpoint);
    ord_write_span(&writer, certificates);
    ord_store_u32(writer.data + count_at, count);
    ord_write_signature(&writer, &none);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    struct sim_buffer *message = sim_buffer_create(ord_writer_span(&writer));
    free(writer.data);
    sign_message(liar, message, BFT_VIEW_CHANGE, view);
    return message;
}

/* Row V5: a checkpoint that the liar alone attests. */
static struct sim_buffer *alone_change(struct sim_replica *liar, uint64_t view, uint64_t seq) {
    const struct ord_signer signer = sim_crypto_signer(&liar->world->crypto, liar->id);
    const struct channel_statement statement = {.epoch = sim_liar_config(liar)->epoch, .seq = seq, .height = seq};
    struct channel_attestation attestation;
    struct channel_certificate certificate = {.statement = statement, .count = 1, .signers = {liar->id}};
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    ORD_ASSERT(channel_attest(&attestation, &liar->world->genesis_hash, &statement, liar->id, &signer) == ORD_OK);
    certificate.signatures[0] = attestation.signature;
    const struct ord_span checkpoint = ord_span_of(bytes, channel_certificate_encode(bytes, &certificate));
    return sim_liar_change(liar, view, seq, checkpoint, ord_span_of(NULL, 0), 0);
}

/* Rows V4, V5, V6, V7. */
bool sim_lie_change(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_view_change change;
    if (!sim_liar_is_core(kind, message, BFT_VIEW_CHANGE) ||
        bft_view_change_decode(&change, sim_liar_config(liar), sim_buffer_span(message)) != ORD_OK ||
        change.sender != liar->id)
        return false;
    struct sim_buffer *lie = NULL;
    struct sim_buffer *scratch = NULL;
    const struct ord_span nothing = ord_span_of(NULL, 0);
    switch (sim_below(&liar->random, 7)) {
    case 5:
        lie = alone_change(liar, change.view, change.stable_seq + 1 + sim_below(&liar->random, 20));
        break;
    case 0: /* leaves everything out */
        lie = sim_liar_change(liar, change.view, change.stable_seq, change.checkpoint, nothing, 0);
        break;
    case 1: /* forgets its checkpoint */
        lie = sim_liar_change(liar, change.view, 0, nothing, change.certificates, change.certificate_count);
        break;
    /* A checkpoint that its proof does not prove. */
    case 2:
        lie = sim_liar_change(liar, change.view, change.stable_seq + 1 + sim_below(&liar->random, 4), change.checkpoint,
                              nothing, 0);
        break;
    case 3: /* forged certificates */
        scratch = sim_liar_scratch(liar, change.certificates);
        lie = sim_liar_change(liar, change.view, change.stable_seq, change.checkpoint, sim_buffer_span(scratch),
                              change.certificate_count);
        break;
    case 4: { /* all but the last certificate */
        struct ord_span left = change.certificates;
        struct ord_span last = nothing;
        struct bft_statement statement;
        while (bft_view_change_next(&statement, &last, &left, sim_liar_config(liar)))
            continue;
        lie = sim_liar_change(liar, change.view, change.stable_seq, change.checkpoint,
                              ord_span_of(change.certificates.data, change.certificates.size - last.size),
                              change.certificate_count > 0 ? change.certificate_count - 1 : 0);
        break;
    }
    /* Its own statement again, but for another view. */
    default:
        lie = sim_liar_change(liar, change.view + 1 + sim_below(&liar->random, 3), change.stable_seq, change.checkpoint,
                              change.certificates, change.certificate_count);
        break;
    }
    sim_liar_pass(liar, to, REPLICA_LINK_CORE, lie);
    sim_buffer_release(scratch);
    sim_buffer_release(lie);
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

/* Removes one of the view changes that the NEW-VIEW rests on. The caller signs. */
static struct sim_buffer *with_fewer(struct sim_replica *liar, const struct sim_buffer *message,
                                     const struct bft_new_view *view) {
    size_t at = (size_t) (view->changes - message->data) +
                (size_t) sim_below(&liar->random, view->change_count) * BFT_CHANGE_REF_SIZE;
    struct sim_buffer *copy = sim_buffer_create(sim_buffer_span(message));
    memmove(copy->data + at, copy->data + at + BFT_CHANGE_REF_SIZE, copy->size - at - BFT_CHANGE_REF_SIZE);
    copy->size -= BFT_CHANGE_REF_SIZE;
    copy->data[view->changes - message->data - 1]--; /* their count */
    return copy;
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
    struct sim_buffer *fewer;
    struct ord_hash null_digest;
    bft_body_digest(&null_digest, sim_liar_config(liar)->crypto, ord_span_of(NULL, 0));
    switch (sim_below(&liar->random, 8)) {
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
        sign_new_view(liar, copy, &view);
        sim_liar_pass(liar, to, REPLICA_LINK_CORE, copy);
        sim_liar_pass(liar, to, kind, message);
        sim_buffer_release(copy);
        return true;
    /* Everything else stays, and may still follow from the remaining view changes. */
    case 5:
        fewer = with_fewer(liar, copy, &view);
        sign_message(liar, fewer, BFT_NEW_VIEW, view.view);
        sim_liar_pass(liar, to, REPLICA_LINK_CORE, fewer);
        sim_buffer_release(fewer);
        sim_buffer_release(copy);
        return true;
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
    if (view.base_seq < BFT_SEQ_MAX)
        sign_new_view(liar, copy, &view);
    sim_liar_pass(liar, to, REPLICA_LINK_CORE, copy);
    sim_buffer_release(copy);
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
    struct sim_buffer *lie =
        sim_liar_change(liar, view == 0 ? 1 : view, 0, ord_span_of(NULL, 0), ord_span_of(NULL, 0), 0);
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
