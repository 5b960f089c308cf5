/*
 * The choice of the batches that a new view proposes again: OSDI'99, section 4.4. It follows from a quorum of view
 * changes. The highest stable checkpoint among them is the base. For each seq above it, up to the highest that has a
 * prepared certificate, the choice is the digest of the certificate of the highest view, or a null batch if there is no
 * certificate.
 *
 * Why no decided batch is lost: a quorum prepared it, and any quorum of view changes shares an honest replica with that
 * one. This replica reports its certificate, unless its stable checkpoint covers the seq (row V6). By induction, the
 * certificate of a later view can only be for the same batch (row V7).
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"
#include "core/assert.h"

static bool better(const struct bft_choice *choice, const struct bft_statement *statement) {
    if (!choice->chosen || statement->view != choice->view)
        return !choice->chosen || statement->view > choice->view;
    /* Certificates of one view for two digests take more than f liars. Even then all replicas choose the same one. */
    return memcmp(statement->digest.bytes, choice->digest.bytes, ORD_HASH_SIZE) < 0;
}

/* Takes the certificate, which `node` reports, if it is better than the choice. Notes who reports the chosen one. */
static void choose_from(struct bft_choice *choice, const struct bft_statement *statement, struct ord_span certificate,
                        ord_node_id node) {
    if (better(choice, statement)) {
        ORD_MARK_IF(choice->chosen, CHOICE_LATER_VIEW);
        *choice = (struct bft_choice) {
            .chosen = true, .view = statement->view, .digest = statement->digest, .certificate = certificate};
    }
    if (statement->view == choice->view && ord_hash_equal(&statement->digest, &choice->digest))
        choice->holders |= ord_replica_bit(node);
}

/* Reads the replica's VIEW-CHANGE. False: it has none in the set. */
static bool read_change(struct bft_view_change *out, const struct ord_core *core, const struct bft_change_set *set,
                        ord_node_id node) {
    const struct bft_kept *kept = set->changes[node];
    ORD_ASSERT(kept == NULL || bft_view_change_parse(out, &core->config, bft_kept_bytes(kept)) == ORD_OK);
    return kept != NULL;
}

void bft_choose(struct ord_core *core, const struct bft_change_set *set) {
    struct bft_view_change change;
    core->choices_fresh = false;
    core->choice_base_seq = 0;
    core->choice_count = 0;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        if (read_change(&change, core, set, node))
            core->choice_base_seq = ord_max(core->choice_base_seq, change.stable_seq);
    const uint64_t base_seq = core->choice_base_seq;
    for (uint32_t i = 0; i < core->config.window; i++)
        core->choices[i].chosen = false;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        if (!read_change(&change, core, set, node))
            continue;
        struct bft_statement statement;
        struct ord_span certificate;
        while (bft_view_change_next(&statement, &certificate, &change.certificates, &core->config)) {
            ORD_MARK_IF(statement.seq <= base_seq, CHOICE_BELOW_BASE);
            if (statement.seq <= base_seq)
                continue;
            /* The window of the certificate's sender begins at or below the base, so the index is below `window`. */
            uint32_t i = (uint32_t) (statement.seq - base_seq - 1);
            ORD_ASSERT(i < core->config.window);
            choose_from(&core->choices[i], &statement, certificate, node);
            core->choice_count = (uint32_t) ord_max(core->choice_count, i + 1);
        }
    }
}

const struct ord_hash *bft_choice_digest(const struct ord_core *core, uint32_t index) {
    return core->choices[index].chosen ? &core->choices[index].digest : &core->null_digest;
}
