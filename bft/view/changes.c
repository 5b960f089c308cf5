/*
 * The messages about views that are kept. Which VIEW-CHANGEs are here, and which of them the NEW-VIEW that came for
 * their view names.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "core/assert.h"

struct ord_span bft_kept_bytes(const struct bft_kept *kept) {
    return ord_span_of(kept->bytes, kept->size);
}

struct bft_proof bft_kept_proof(const struct bft_kept *kept) {
    struct ord_signature signature; /* both kinds of message end with it */
    memcpy(signature.bytes, kept->bytes + kept->size - ORD_SIGNATURE_SIZE, ORD_SIGNATURE_SIZE);
    return bft_proof_alone(&signature);
}

void bft_keep(struct bft_kept *kept, uint64_t view, const struct ord_hash *digest, struct ord_span bytes) {
    kept->view = view;
    kept->digest = *digest;
    kept->size = bytes.size;
    memcpy(kept->bytes, bytes.data, bytes.size);
}

enum ord_err bft_kept_sign(struct ord_core *core, struct bft_kept *kept, struct ord_writer *writer, uint64_t view,
                           const struct ord_hash *hash) {
    struct ord_signature signature;
    enum ord_err err = bft_sign(core, &signature, hash);
    if (err != ORD_OK)
        return err;
    ord_write_signature(writer, &signature);
    ORD_ASSERT(!writer->failed);
    kept->view = view;
    kept->size = writer->size;
    return ORD_OK;
}

ord_replica_set bft_changes_held(const struct ord_core *core) {
    ord_replica_set held = 0;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        if (core->changes[node].view == core->view && core->view > 0)
            held |= ord_replica_bit(node);
    return held;
}

struct bft_change_set bft_changes_of(struct ord_core *core, ord_replica_set set) {
    struct bft_change_set out = {{NULL}};
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        if ((set & ord_replica_bit(node)) != 0)
            out.changes[node] = &core->changes[node];
    return out;
}

bool bft_is_named(const struct ord_core *core, uint64_t of_view, ord_node_id sender, const struct ord_hash *digest,
                  bool *names_sender) {
    const struct bft_kept *kept = &core->candidates[bft_primary(&core->config, of_view)];
    /* A silent replica makes no VIEW-CHANGE. It follows to a view that is installed elsewhere. */
    bool to_come = (core->changing && of_view == core->view) || (!bft_speaks(core) && of_view > core->view);
    struct bft_new_view view;
    *names_sender = false;
    if (!to_come || kept->view != of_view)
        return false;
    ORD_ASSERT(bft_new_view_decode(&view, &core->config, bft_kept_bytes(kept)) == ORD_OK);
    for (uint32_t i = 0; i < view.change_count; i++) {
        ord_node_id node;
        struct ord_hash named;
        bft_new_view_change(&node, &named, &view, i);
        if (node != sender)
            continue;
        *names_sender = true;
        return ord_hash_equal(&named, digest);
    }
    return false;
}

ord_replica_set bft_changes_shown(const struct ord_core *core) {
    ord_replica_set shown = bft_changes_held(core);
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        bool names_sender;
        bool here = bft_is_named(core, core->view, node, &core->changes[node].digest, &names_sender) ||
                    core->named[node].view == core->view;
        if (names_sender)
            shown = here ? shown | ord_replica_bit(node) : shown & ~ord_replica_bit(node);
    }
    return shown;
}
