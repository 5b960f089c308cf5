/*
 * How a slot moves on: the two predicates of OSDI'99, section 4.2, and delivery. prepared: a pre-prepare and quorum - 1
 * matching prepares by distinct backups. committed-local: prepared, and quorum matching commits. Delivery is in the
 * order of seqs.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

/* Writes the backups whose prepare matches the pre-prepare into `out`, lowest first and at most `max`. */
static uint32_t matching_prepares(const struct ord_core *core, const struct bft_slot *slot,
                                  struct bft_certificate_vote *out, uint32_t max) {
    uint32_t count = 0;
    ord_node_id primary = bft_primary(&core->config, slot->view);
    for (ord_node_id node = 0; node < core->config.replica_count && count < max; node++) {
        const struct bft_prepare_vote *vote = &slot->prepare_votes[node];
        if (node != primary && (slot->prepares & ord_replica_bit(node)) != 0 &&
            ord_hash_equal(&vote->digest, &slot->digest))
            out[count++] = (struct bft_certificate_vote) {.sender = node, .proof = &vote->proof};
    }
    return count;
}

static uint32_t matching_commits(const struct ord_core *core, const struct bft_slot *slot) {
    uint32_t count = 0;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        if ((slot->commits & ord_replica_bit(node)) != 0 && ord_hash_equal(&slot->commit_digests[node], &slot->digest))
            count++;
    return count;
}

bool bft_vouched(const struct ord_core *core, const struct bft_slot *slot) {
    struct bft_certificate_vote votes[ORD_REPLICA_MAX];
    return slot->seq <= core->delivered_seq ||
           (slot->own_prepare && matching_prepares(core, slot, votes, core->weak_quorum) == core->weak_quorum);
}

bool bft_waits_for_primary(const struct ord_core *core, const struct bft_slot *slot) {
    ord_node_id primary = bft_primary(&core->config, core->view);
    bool committed = (slot->commits & ord_replica_bit(primary)) != 0 &&
                     ord_hash_equal(&slot->commit_digests[primary], &slot->digest);
    return slot->prepared && !committed && matching_commits(core, slot) >= core->weak_quorum;
}

void bft_own_commit(struct ord_core *core, struct bft_slot *slot) {
    slot->commits |= ord_replica_bit(core->config.self);
    slot->commit_digests[core->config.self] = slot->digest;
    slot->commit_due = true;
    core->votes_due = true;
}

/*
 * Completes the prepared certificate if the votes for it are here. A slot that the node still judges waits, because its
 * body is lent out. A slot that this replica refused is accepted after all: the primary and quorum - 1 backups vouch
 * for its batch, and f + 1 of these are honest.
 */
static void try_prepare(struct ord_core *core, struct bft_slot *slot) {
    struct bft_certificate_vote votes[ORD_REPLICA_MAX];
    if (slot->prepared || !bft_speaks(core) || (slot->state != BFT_SLOT_ACCEPTED && slot->state != BFT_SLOT_REFUSED) ||
        slot->view != core->view || core->changing ||
        matching_prepares(core, slot, votes, core->quorum - 1) < core->quorum - 1)
        return;
    if (!slot->logged)
        bft_slot_log(core, slot);
    const struct bft_statement statement = bft_slot_statement(core, slot);
    slot->certificate_size = bft_certificate_encode(slot->certificate, core->certificate_size_max, &core->config,
                                                    &statement, &slot->proof, votes, core->quorum - 1);
    slot->state = BFT_SLOT_ACCEPTED;
    slot->prepared = true;
    bft_persist(core, BFT_TABLE_CERTIFICATE, slot->seq, ord_span_of(slot->certificate, slot->certificate_size));
    bft_own_commit(core, slot);
}

void bft_slot_advance(struct ord_core *core, struct bft_slot *slot) {
    try_prepare(core, slot);
    if (slot->prepared && slot->seq == core->delivered_seq + 1)
        bft_deliver(core);
}

void bft_deliver(struct ord_core *core) {
    struct bft_slot *slot = bft_speaks(core) ? bft_slot_find(core, core->delivered_seq + 1) : NULL;
    bool moved = false;
    while (slot != NULL && slot->prepared && matching_commits(core, slot) >= core->quorum) {
        ORD_MARK_IF(moved, DELIVER_BEHIND_GAP);
        struct ord_effect *effect = bft_effect(core, ORD_EFFECT_DELIVER);
        effect->deliver.seq = slot->seq;
        effect->deliver.batch = bft_slot_body(slot);
        bft_budget_delivered(core, slot->message_size);
        core->delivered_seq = slot->seq;
        core->moved_ms = core->now_ms;
        core->progress_ms = core->now_ms;
        core->detail.failed_views = 0;
        bft_failed_delivered(core, slot->seq);
        moved = true;
        slot = bft_slot_find(core, core->delivered_seq + 1);
    }
    if (moved)
        bft_targets_check(core);
}
