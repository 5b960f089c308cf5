/*
 * Prepared certificates that other replicas return to one that may have forgotten its own. OSDI'99, section 4.2: a
 * certificate is a pre-prepare and 2f prepares. It proves itself, so it does not matter who returns it, and a replica
 * that has it and the batch may say so in a COMMIT and in a VIEW-CHANGE. The votes go into the slot as if their senders
 * had repeated them; advance.c prepares the slot.
 *
 * Invariant: taking a certificate binds its digest, and no other, to a seq that this replica has bound to none in its
 * view, and makes no PREPARE of its own. The LOG record of the batch has no signature, so the next START knows of no
 * PREPARE either (recover.c). Only certificates of the installed view are taken. This replica lost no COMMIT of an
 * earlier view than the one on its disk, because what is lost is the end of what was written.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

bool bft_adopt_has(const struct ord_core *core, uint64_t seq) {
    const struct bft_slot *slot = bft_slot_find(core, seq);
    return slot != NULL && slot->state != BFT_SLOT_HELD && (slot->prepared || slot->recalled);
}

bool bft_adopt_awaits(const struct ord_core *core) {
    uint64_t seq = core->stable_seq;
    for (const struct bft_slot *slot; (slot = bft_slot_next(core, &seq)) != NULL;)
        if (slot->recalled && slot->state == BFT_SLOT_AWAITING)
            return true;
    return false;
}

/*
 * Binds a seq of which nothing is known here but votes. The primary's statement must have stood alone in its
 * PRE-PREPARE: one from a NEW-VIEW is no new proposal.
 */
static bool bind(struct ord_core *core, uint64_t seq, const struct bft_statement *statement,
                 const struct bft_proof *proof) {
    bool below_base = core->entries.view == core->view && seq <= core->entries.base_seq;
    if (!bft_may_bind(core, seq) || below_base || bft_is_entry(core, seq) || seq > bft_view_end(core) ||
        proof->count != 1 || statement->sender == core->config.self)
        return false;
    ORD_MARK(ADOPTED_BATCH);
    struct bft_slot *slot = bft_slot_open(core, seq);
    slot->state = BFT_SLOT_AWAITING;
    slot->view = statement->view;
    slot->digest = statement->digest;
    slot->proof = *proof;
    core->proposed_seq = ord_max(core->proposed_seq, seq);
    bft_want(core, slot, &statement->digest, core->others);
    return true;
}

/* Counts the votes of the certificate. A vote for another batch that came before gives way: its sender lies. */
static void count_votes(struct ord_core *core, struct bft_slot *slot, struct ord_span certificate) {
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        struct bft_prepare_vote *vote = &slot->prepare_votes[node];
        struct bft_statement statement;
        struct bft_proof proof;
        if (!bft_certificate_statement(&statement, &proof, &core->config, certificate, node) ||
            statement.type != BFT_PREPARE)
            continue;
        if ((slot->prepares & ord_replica_bit(node)) != 0 && !ord_hash_equal(&vote->digest, &statement.digest)) {
            struct bft_statement first = statement;
            first.digest = vote->digest;
            bft_evidence(core, &first, &vote->proof, &statement.digest, &proof);
        }
        slot->prepares |= ord_replica_bit(node);
        vote->digest = statement.digest;
        vote->proof = proof;
    }
}

static bool take(struct ord_core *core, struct ord_span certificate) {
    struct bft_statement statement;
    struct bft_proof proof;
    ord_node_id primary = bft_primary(&core->config, core->view);
    if (bft_certificate_decode(&statement, &core->config, certificate) != ORD_OK || statement.view != core->view ||
        core->changing || !bft_in_window(core, statement.seq) || bft_adopt_has(core, statement.seq) ||
        !bft_certificate_statement(&statement, &proof, &core->config, certificate, primary))
        return false;
    struct bft_slot *slot = bft_slot_find(core, statement.seq);
    if ((slot == NULL || slot->state == BFT_SLOT_EMPTY) && !bind(core, statement.seq, &statement, &proof))
        return false;
    slot = bft_slot_find(core, statement.seq);
    if (slot->state == BFT_SLOT_HELD || !ord_hash_equal(&slot->digest, &statement.digest))
        return false;
    ORD_MARK_IF(slot->state != BFT_SLOT_AWAITING, ADOPTED_VOTES);
    slot->recalled = true;
    count_votes(core, slot, certificate);
    bft_slot_advance(core, slot);
    return true;
}

bool bft_adopt(struct ord_core *core, struct ord_span certificates) {
    struct ord_span certificate;
    bool useful = false;
    while (bft_recall_next(&certificate, &certificates, &core->config))
        useful = take(core, certificate) || useful;
    return useful;
}
