/*
 * A primary that says one thing to some replicas and another to the rest (row P1) may show no replica both. So a backup
 * that sees another backup prepare a batch which is not the one that the primary gave it sends that backup the
 * primary's statement. The other backup then holds two statements of the primary, which are evidence. It leaves the
 * view and passes the evidence on, so that all replicas leave it.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

void bft_witness(struct ord_core *core, struct bft_slot *slot) {
    ord_replica_set to = 0;
    if (slot->state == BFT_SLOT_EMPTY || slot->state == BFT_SLOT_HELD)
        return;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        if ((slot->prepares & core->others & ~slot->witnessed & ord_replica_bit(node)) != 0 &&
            !ord_hash_equal(&slot->prepare_votes[node].digest, &slot->digest))
            to |= ord_replica_bit(node);
    if (to == 0)
        return;
    ORD_MARK(WITNESS_GIVEN);
    slot->witnessed |= to;
    uint8_t bytes[BFT_WITNESS_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, BFT_HEADER_SIZE);
    struct bft_statement statement = bft_slot_statement(core, slot);
    bft_header_write(&writer, &core->config, BFT_WITNESS, core->view, core->config.self);
    size_t size = bft_signed_encode(bytes + BFT_HEADER_SIZE, &core->config, &statement, &slot->proof);
    bft_send(core, to, bft_outbox_copy(core, bytes, BFT_HEADER_SIZE + size), false);
}

void bft_pass_on_evidence(struct ord_core *core) {
    const struct ord_effect *effect = &core->effects[core->effect_count - 1];
    bft_next_view_raise(core, core->view + 1);
    core->peers[effect->evidence.culprit].accused = true;
    if (core->proof_size > 0 && core->proof_view == core->view)
        return;
    struct ord_writer writer = ord_writer_of(core->proof, sizeof(core->proof));
    bft_header_write(&writer, &core->config, BFT_EVIDENCE, core->view, core->config.self);
    ord_write_string(&writer, effect->evidence.first);
    ord_write_span(&writer, effect->evidence.second);
    core->proof_view = core->view;
    core->proof_size = writer.size;
    bft_send(core, core->others, ord_writer_span(&writer), false);
}

void bft_primary_contradicts(struct ord_core *core, struct bft_slot *slot, const struct ord_hash *digest,
                             const struct bft_proof *proof) {
    core->messages_refused++;
    if (slot->primary_contradicted || core->evidence_given)
        return;
    ORD_MARK(PRIMARY_CONTRADICTS);
    slot->primary_contradicted = true;
    struct bft_statement statement = bft_slot_statement(core, slot);
    bft_evidence(core, &statement, &slot->proof, digest, proof);
    bft_pass_on_evidence(core);
}

/* True if it is a statement by which the primary of this replica's installed view leads. */
static bool about_primary(const struct ord_core *core, const struct bft_statement *statement) {
    return !core->changing && (statement->type == BFT_PRE_PREPARE || statement->type == BFT_NEW_VIEW) &&
           statement->view == core->view && statement->sender == bft_primary(&core->config, core->view);
}

/*
 * Gives evidence about a backup, or about a view that is not (or no longer) this replica's. It convicts all the same,
 * and makes nobody leave a view. It is given once for each culprit, so a replica that contradicts itself endlessly
 * costs nothing more.
 */
static void give_late(struct ord_core *core, const struct bft_statement *statement, const struct bft_proof *proof,
                      const struct ord_hash *other_digest, const struct bft_proof *other_proof) {
    if (core->peers[statement->sender].accused || core->evidence_given) {
        core->messages_dropped++;
        return;
    }
    core->peers[statement->sender].accused = true;
    bft_evidence(core, statement, proof, other_digest, other_proof);
}

/* Evidence against the primary of this view moves a replica to the next one. Any other convicts once. */
bool bft_wants_evidence(const struct ord_core *core, struct ord_span bytes) {
    struct ord_span first;
    struct ord_span second;
    struct bft_statement statement;
    struct bft_proof proof;
    if (bft_evidence_split(bytes, &first, &second) != ORD_OK ||
        bft_signed_decode(&statement, &proof, &core->config, first) != ORD_OK)
        return true;
    if (about_primary(core, &statement))
        return core->proof_size == 0 || core->proof_view != core->view;
    return !core->peers[statement.sender].accused;
}

enum ord_err bft_on_witness(struct ord_core *core, struct ord_span bytes) {
    struct bft_statement statement;
    struct bft_proof proof;
    enum ord_err err = bft_signed_decode(&statement, &proof, &core->config, bft_behind_header(bytes));
    if (err != ORD_OK)
        return err;
    struct bft_slot *slot = bft_slot_find(core, statement.seq);
    if (slot == NULL || slot->state == BFT_SLOT_EMPTY || slot->view != statement.view ||
        statement.type != BFT_PRE_PREPARE || statement.sender != bft_primary(&core->config, statement.view) ||
        ord_hash_equal(&statement.digest, &slot->digest))
        return bft_drop(core);
    if (!core->changing && statement.view == core->view && slot->state != BFT_SLOT_HELD) {
        ORD_MARK(WITNESS_CONVICTS);
        bft_primary_contradicts(core, slot, &statement.digest, &proof);
        return ORD_OK;
    }
    /*
     * The slot is of an earlier view. A record that a restart found on disk may lack the primary's signature, so the
     * proof is verified; once for each culprit.
     */
    const struct bft_statement ours = bft_slot_statement(core, slot);
    if (!core->peers[statement.sender].accused && !core->evidence_given &&
        bft_proof_verify(&slot->proof, &core->config, &ours, NULL))
        give_late(core, &ours, &slot->proof, &statement.digest, &proof);
    else
        core->messages_dropped++;
    return ORD_OK;
}

enum ord_err bft_on_evidence(struct ord_core *core, struct ord_span bytes) {
    struct ord_span first;
    struct ord_span second;
    struct bft_statement statement;
    struct bft_statement other;
    struct bft_proof proof;
    struct bft_proof other_proof;
    enum ord_err err = bft_evidence_split(bytes, &first, &second);
    if (err == ORD_OK)
        err = bft_signed_decode(&statement, &proof, &core->config, first);
    if (err == ORD_OK)
        err = bft_signed_decode(&other, &other_proof, &core->config, second);
    if (err != ORD_OK)
        return err;
    if (!about_primary(core, &statement)) {
        give_late(core, &statement, &proof, &other.digest, &other_proof);
        return ORD_OK;
    }
    if (core->proof_size > 0 && core->proof_view == core->view)
        return bft_drop(core);
    ORD_MARK(EVIDENCE_TAKEN);
    bft_evidence(core, &statement, &proof, &other.digest, &other_proof);
    bft_pass_on_evidence(core);
    return ORD_OK;
}
