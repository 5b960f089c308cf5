/*
 * A NEW-VIEW with valid signatures that proposes something else than its view changes say. A seq that was prepared
 * becomes a null batch, a null batch becomes something that nobody ever saw, and if nothing was to be proposed,
 * something is.
 */
#include <string.h>

#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"
#include "core/assert.h"
#include "faulty/liar.h"

/* Writes the entries and signs them as they are now. */
static void write_entries(struct ord_core *liar, struct ord_writer *writer, const struct bft_new_view *view) {
    ord_write_u64(writer, view->base_seq);
    ord_write_u32(writer, view->count);
    ord_write_bytes(writer, view->digests, (size_t) view->count * ORD_HASH_SIZE);
    for (uint32_t chunk = 0; chunk * BFT_LIST_MAX < view->count; chunk++) {
        struct bft_vote_list list;
        bft_new_view_list(&list, view, chunk);
        struct bft_vote_tree *tree = (struct bft_vote_tree *) (void *) liar_alloc(liar, sizeof(*tree));
        struct ord_hash hash;
        bft_vote_tree_build(tree, &liar->config, &list);
        bft_vote_tree_signed_hash(&hash, tree, &liar->config);
        liar_sign(liar, &list.signature, &hash);
        ord_write_signature(writer, &list.signature);
    }
}

struct ord_span liar_other_new_view(struct ord_core *liar, struct ord_span bytes) {
    struct bft_new_view view;
    ORD_ASSERT(bft_new_view_decode(&view, &liar->config, bytes) == ORD_OK);
    struct ord_hash null_digest;
    bft_body_digest(&null_digest, liar->config.crypto, ord_span_of(NULL, 0));
    if (view.count == 0)
        view.count = 1;
    uint32_t chunk_count = (view.count + BFT_LIST_MAX - 1) / BFT_LIST_MAX;
    uint8_t *digests = liar_alloc(liar, (size_t) view.count * ORD_HASH_SIZE);
    uint8_t *signatures = liar_alloc(liar, (size_t) chunk_count * ORD_SIGNATURE_SIZE);
    memset(digests, 0, (size_t) view.count * ORD_HASH_SIZE);
    /* Placeholders; write_entries signs the entries again. */
    memset(signatures, 0, (size_t) chunk_count * ORD_SIGNATURE_SIZE);
    struct bft_new_view before;
    ORD_ASSERT(bft_new_view_decode(&before, &liar->config, bytes) == ORD_OK);
    if (before.count > 0)
        memcpy(digests, before.digests, (size_t) before.count * ORD_HASH_SIZE);
    if (memcmp(digests, null_digest.bytes, ORD_HASH_SIZE) == 0)
        digests[0] ^= 1;
    else
        memcpy(digests, null_digest.bytes, ORD_HASH_SIZE);
    view.digests = digests;
    view.signatures = signatures;

    size_t capacity = bft_new_view_size_max(&liar->config);
    struct ord_writer writer = ord_writer_of(liar_alloc(liar, capacity), capacity);
    bft_header_write(&writer, &liar->config, BFT_NEW_VIEW, view.view, view.sender);
    write_entries(liar, &writer, &view);
    ord_write_u8(&writer, (uint8_t) view.change_count);
    ord_write_bytes(&writer, view.changes, (size_t) view.change_count * BFT_CHANGE_REF_SIZE);
    struct ord_hash hash;
    struct ord_hash digest;
    bft_view_message_hash(&hash, &digest, &liar->config, BFT_NEW_VIEW, view.view, view.sender,
                          ord_writer_span(&writer));
    struct ord_signature signature;
    liar_sign(liar, &signature, &hash);
    ord_write_signature(&writer, &signature);
    ORD_ASSERT(!writer.failed);
    return ord_writer_span(&writer);
}
