/*
 * PRE-PREPARE: OSDI'99, section 4.2. The primary binds a batch to the next seq of its view; a backup accepts at most
 * one digest per (view, seq), has the node judge its envelopes, and then stands by it with a PREPARE.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"
#include "core/assert.h"

/*
 * Half of the room for batches: a backup whose stable checkpoint lags must still have room for what the primary has in
 * flight.
 */
static uint64_t propose_bytes_max(const struct ord_core *core) {
    return core->config.body_bytes_max / 2;
}

bool bft_has_room(const struct ord_core *core, size_t batch_size) {
    return bft_may_bind(core, core->next_seq) && core->next_seq <= BFT_SEQ_MAX &&
           core->next_seq <= bft_view_end(core) && core->body_bytes + batch_size <= propose_bytes_max(core);
}

static void reject(struct ord_core *core, enum ord_err err) {
    bft_effect(core, ORD_EFFECT_REJECT)->reject.err = err;
}

enum ord_err bft_on_propose(struct ord_core *core, struct ord_span batch) {
    const struct ord_core_config *config = &core->config;
    enum ord_err why = ORD_OK;
    if (batch.size == 0 || batch.size > config->batch_bytes_max)
        why = ORD_ERR_INVALID;
    else if (bft_leader(core) != config->self || core->detail.handing_over)
        why = ORD_ERR_FORBIDDEN;
    else if (!bft_has_room(core, batch.size))
        why = ORD_ERR_NO_SPACE;
    if (why != ORD_OK) {
        reject(core, why);
        return ORD_OK;
    }

    struct bft_pre_prepare message = {.view = core->view, .seq = core->next_seq, .sender = config->self, .body = batch};
    bft_body_digest(&message.digest, config->crypto, batch);
    const struct bft_statement statement = bft_pre_prepare_statement(&message);
    struct ord_hash hash;
    bft_statement_hash(&hash, config, &statement);
    enum ord_err err = bft_sign(core, &message.signature, &hash);
    if (err != ORD_OK)
        return err;

    struct bft_slot *slot = bft_slot_open(core, message.seq);
    if (!bft_slot_alloc(core, slot, batch.size, propose_bytes_max(core))) {
        reject(core, ORD_ERR_NO_SPACE);
        return ORD_OK;
    }
    bft_pre_prepare_encode(slot->message, config, &message);
    memcpy(slot->message + BFT_PRE_PREPARE_SIZE, batch.data, batch.size);
    bft_slot_fill(core, slot, BFT_SLOT_ACCEPTED, &message, BFT_PRE_PREPARE_SIZE + batch.size);
    slot->sent_ms = core->now_ms;
    core->next_seq++;
    bft_slot_log(core, slot);
    bft_send(core, core->others, ord_span_of(slot->message, slot->message_size), true);
    bft_slot_advance(core, slot);
    return ORD_OK;
}

enum ord_err bft_on_pre_prepare(struct ord_core *core, const struct ord_verified *verified) {
    struct bft_pre_prepare message;
    enum ord_err err = bft_pre_prepare_decode(&message, &core->config, verified->bytes);
    if (err != ORD_OK)
        return err;
    if (message.sender != verified->from || !ord_hash_equal(&message.digest, &verified->digest))
        return ORD_ERR_INVALID;
    if (message.sender != bft_primary(&core->config, message.view)) {
        ORD_MARK(PRE_PREPARE_USURPED);
        core->messages_refused++;
        return ORD_OK;
    }
    const struct bft_statement statement = bft_pre_prepare_statement(&message);
    const struct bft_proof proof = bft_proof_alone(&message.signature);
    bft_heard_note(core, &statement, &proof);
    if (message.view != core->view || core->changing || !bft_speaks(core) || !bft_may_bind(core, message.seq) ||
        message.seq > bft_view_end(core))
        return bft_drop(core);
    if (core->entries.view == core->view && message.seq <= core->entries.base_seq) {
        ORD_MARK(PRE_PREPARE_BELOW_BASE);
        /* The view began above this seq, and everything below is stable. */
        core->messages_refused++;
        return ORD_OK;
    }
    struct bft_slot *slot = bft_slot_find(core, message.seq);
    bool known = slot != NULL && slot->state != BFT_SLOT_EMPTY && slot->view == core->view &&
                 ord_hash_equal(&slot->digest, &message.digest);
    if (known && slot->state == BFT_SLOT_AWAITING && slot->recalled) {
        /* The certificate came before the batch (bft/recovery/adopt.c). */
        bft_take_body(core, slot, message.body);
        return ORD_OK;
    }
    if (slot != NULL && slot->state != BFT_SLOT_EMPTY) {
        /*
         * A slot of an earlier view lies below the seqs of this view. Its seq is certified, and state transfer will
         * bring it.
         */
        if (known || slot->view != core->view)
            core->messages_dropped++;
        else
            bft_primary_contradicts(core, slot, &message.digest, &proof);
        return ORD_OK;
    }
    slot = bft_slot_open(core, message.seq);
    if (!bft_slot_alloc(core, slot, message.body.size, core->config.body_bytes_max)) {
        ORD_MARK(PRE_PREPARE_NO_ROOM);
        return bft_drop(core);
    }
    ORD_MARK_IF(slot->prepares != 0, PRE_PREPARE_AFTER_VOTES);
    memcpy(slot->message, verified->bytes.data, verified->bytes.size);
    bft_slot_fill(core, slot, BFT_SLOT_JUDGING, &message, verified->bytes.size);
    bft_bodies_lend(&core->bodies, slot->message, true);
    bft_changed(core);
    bft_witness(core, slot);
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_JUDGE);
    effect->judge.view = message.view;
    effect->judge.seq = message.seq;
    effect->judge.digest = message.digest;
    effect->judge.names_view = bft_names_view(core, message.seq);
    effect->judge.batch = bft_slot_body(slot);
    return ORD_OK;
}

/* Mirrors bft_on_pre_prepare. What may count in a view that is not installed yet is wanted. */
bool bft_wants_pre_prepare(const struct ord_core *core, struct ord_span bytes) {
    struct bft_pre_prepare message;
    if (bft_pre_prepare_decode(&message, &core->config, bytes) != ORD_OK ||
        bft_heard_newer(core, message.sender, message.view, message.seq))
        return true;
    if (message.view != core->view || core->changing || !bft_speaks(core))
        return message.view >= core->view;
    if (message.seq <= core->stable_seq)
        return false;
    const struct bft_slot *slot = bft_slot_find(core, message.seq);
    if (slot == NULL || slot->state == BFT_SLOT_EMPTY || slot->view != core->view)
        return true;
    if (!ord_hash_equal(&slot->digest, &message.digest))
        return !slot->primary_contradicted;
    ORD_MARK(PRE_PREPARE_NOT_WANTED);
    return slot->state == BFT_SLOT_AWAITING && slot->recalled;
}

void bft_on_judged(struct ord_core *core, uint64_t view, uint64_t seq, const struct ord_hash *digest, bool admissible,
                   bool lean) {
    struct bft_slot *slot = bft_slot_find(core, seq);
    if (slot == NULL || slot->state != BFT_SLOT_JUDGING || slot->view != view || !ord_hash_equal(&slot->digest, digest))
        /* State transfer has passed this seq, or the view has changed. */
        return;
    bft_bodies_lend(&core->bodies, slot->message, false);
    /* Verdicts come in any order. The newest batch tells. */
    if (seq >= core->ratchet.lean_seq) {
        core->ratchet.lean_seq = seq;
        core->ratchet.lean = lean;
    }
    if (admissible) {
        slot->state = BFT_SLOT_ACCEPTED;
        slot->own_prepare = true;
        slot->prepare_due = true;
        core->votes_due = true;
        bft_slot_log(core, slot);
    } else {
        ORD_MARK(JUDGED_INADMISSIBLE);
        slot->state = BFT_SLOT_REFUSED;
        core->messages_refused++;
    }
    bft_slot_advance(core, slot);
}
