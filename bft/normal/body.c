/*
 * BODY: a batch comes that this replica asked for (fetch.c). It must have the digest that was asked for. A new primary
 * adopts it together with the certificate that vouches for it; a replica whose view proposes it again accepts it, and
 * so does one to which others returned its certificate.
 * OSDI'99, section 4.4, has such batches come from the clients or from other replicas.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"

/* Makes room for a batch that is wanted. Batches of earlier views that no certificate vouches for give way. */
static bool make_room(struct ord_core *core, struct bft_slot *slot, size_t size) {
    uint64_t bytes_max = 2 * core->config.body_bytes_max;
    if (bft_slot_alloc(core, slot, size, bytes_max))
        return true;
    uint64_t seq = core->stable_seq;
    for (struct bft_slot *other; (other = bft_slot_next(core, &seq)) != NULL;) {
        if (other == slot || other->state != BFT_SLOT_HELD || other->certificate_size > 0 || seq <= core->delivered_seq)
            continue;
        bft_slot_drop_body(core, other);
        if (bft_slot_alloc(core, slot, size, bytes_max))
            return true;
    }
    return false;
}

/*
 * Puts the batch into the slot as a PRE-PREPARE of the slot's view, the form of a LOG record. The signature stays
 * empty. Nobody checks it in a record of the own disk, and the next START sees by it that this replica did not prepare
 * the batch when it came (recover.c).
 */
static void put(struct ord_core *core, struct bft_slot *slot, struct ord_span body) {
    struct bft_pre_prepare message = {.view = slot->view,
                                      .seq = slot->seq,
                                      .sender = bft_primary(&core->config, slot->view),
                                      .digest = slot->digest,
                                      .body = body};
    bft_pre_prepare_encode(slot->message, &core->config, &message);
    memcpy(slot->message + BFT_PRE_PREPARE_SIZE, body.data, body.size);
    slot->message_size = BFT_PRE_PREPARE_SIZE + body.size;
    slot->wanted = false;
    core->body_bytes += body.size;
    bft_changed(core);
}

/*
 * The new primary takes the batch together with the certificate that vouches for it. If it holds a certificate for
 * another batch, that one is of an earlier view, and the later certificate proves that the other batch was not decided
 * (choose.c).
 */
static void adopt(struct ord_core *core, struct bft_slot *slot, struct ord_span body) {
    if (!core->choices_fresh) {
        struct bft_change_set changes = bft_changes_of(core, bft_changes_held(core) & ~core->distrusted);
        bft_choose(core, &changes);
        core->choices_fresh = true;
    }
    uint64_t i = slot->seq - core->choice_base_seq - 1;
    if (slot->seq <= core->choice_base_seq || i >= core->choice_count || !core->choices[i].chosen ||
        !ord_hash_equal(&core->choices[i].digest, &slot->wanted_digest))
        return;
    const struct bft_choice *choice = &core->choices[i];
    ORD_MARK(BODY_ADOPTED);
    ORD_MARK_IF(slot->certificate_size > 0, BODY_ADOPTED_FOR_LATER_VIEW);
    bft_slot_drop_body(core, slot);
    slot->certificate_size = 0;
    slot->state = BFT_SLOT_HELD;
    slot->digest = choice->digest;
    slot->view = choice->view;
    slot->proof = bft_proof_alone(&(struct ord_signature) {{0}}); /* the old proof is of another batch */
    if (!make_room(core, slot, body.size))
        return;
    put(core, slot, body);
    memcpy(slot->certificate, choice->certificate.data, choice->certificate.size);
    slot->certificate_size = choice->certificate.size;
    bft_slot_log(core, slot);
    bft_persist(core, BFT_TABLE_CERTIFICATE, slot->seq, ord_span_of(slot->certificate, slot->certificate_size));
    core->look_again = true;
}

void bft_take_body(struct ord_core *core, struct bft_slot *slot, struct ord_span body) {
    if (!make_room(core, slot, body.size)) {
        core->messages_dropped++;
        return;
    }
    put(core, slot, body);
    if (slot->recalled && !bft_is_entry(core, slot->seq)) {
        /* No PREPARE of its own: the replica may have forgotten one for another batch of a primary that lies. */
        slot->state = BFT_SLOT_ACCEPTED;
        bft_slot_log(core, slot);
    } else {
        ORD_MARK(BODY_OF_ENTRY);
        bft_accept_entry(core, slot);
    }
    bft_slot_advance(core, slot);
}

/* Mirrors bft_on_body. A batch is as large as a message gets, and any replica may send one unasked. */
bool bft_wants_body(const struct ord_core *core, struct ord_span bytes) {
    struct bft_body_message message;
    if (bft_body_decode(&message, &core->config, bytes) != ORD_OK)
        return true;
    const struct bft_slot *slot = bft_slot_find(core, message.seq);
    bool wanted = slot != NULL && slot->wanted;
    ORD_MARK_IF(!wanted, BODY_NOT_WANTED);
    return wanted;
}

enum ord_err bft_on_body(struct ord_core *core, const struct ord_verified *verified) {
    struct bft_body_message message;
    enum ord_err err = bft_body_decode(&message, &core->config, verified->bytes);
    if (err != ORD_OK)
        return err;
    struct bft_slot *slot = bft_slot_find(core, message.seq);
    if (slot == NULL || !slot->wanted || !ord_hash_equal(&slot->wanted_digest, &verified->digest)) {
        ORD_MARK(BODY_UNWANTED);
        return bft_drop(core);
    }
    if (core->changing) {
        adopt(core, slot, message.body);
        return ORD_OK;
    }
    /* The batch was wanted for a NEW-VIEW that this replica never made, because it has been silent since. */
    if (slot->state != BFT_SLOT_AWAITING) {
        slot->wanted = false;
        return bft_drop(core);
    }
    bft_take_body(core, slot, message.body);
    return ORD_OK;
}
