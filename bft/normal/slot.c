/*
 * The window of slots, one for each seq in (stable_seq, stable_seq + window]: OSDI'99, section 4.2 (watermarks h and
 * H). A slot owns the room of its batch. advance.c says when a slot is prepared and delivered.
 */
#include "bft/bft_internal.h"

#include "core/assert.h"

struct bft_slot *bft_slot_find(const struct ord_core *core, uint64_t seq) {
    struct bft_slot *slot = &core->slots[seq % core->config.window];
    return seq != 0 && slot->seq == seq ? slot : NULL;
}

struct bft_slot *bft_slot_next(const struct ord_core *core, uint64_t *seq) {
    struct bft_slot *slot = NULL;
    while (slot == NULL && bft_in_window(core, *seq + 1))
        slot = bft_slot_find(core, ++*seq);
    return slot;
}

struct bft_slot *bft_slot_open(struct ord_core *core, uint64_t seq) {
    ORD_ASSERT(bft_in_window(core, seq));
    struct bft_slot *slot = &core->slots[seq % core->config.window];
    if (slot->seq != seq) {
        /* There are as many slots as the window has seqs, and slots below the window were released. */
        ORD_ASSERT(slot->seq == 0);
        slot->seq = seq;
    }
    return slot;
}

void bft_slot_drop_body(struct ord_core *core, struct bft_slot *slot) {
    slot->proposed = false;
    /* This includes a null batch, because a batch that takes its place is not on disk. */
    slot->logged = false;
    if (slot->message == NULL)
        return;
    core->body_bytes -= bft_slot_body(slot).size;
    bft_bodies_free(&core->bodies, slot->message);
    slot->message = NULL;
    slot->message_size = 0;
}

void bft_slot_release(struct ord_core *core, struct bft_slot *slot) {
    bft_slot_drop_body(core, slot);
    *slot = (struct bft_slot) {
        .prepare_votes = slot->prepare_votes, .commit_digests = slot->commit_digests, .certificate = slot->certificate};
}

bool bft_slot_alloc(struct ord_core *core, struct bft_slot *slot, size_t body_size, uint64_t bytes_max) {
    ORD_ASSERT(slot->message == NULL);
    if (body_size > bytes_max || core->body_bytes > bytes_max - body_size)
        return false;
    return bft_bodies_alloc(&core->bodies, &slot->message, BFT_PRE_PREPARE_SIZE + body_size);
}

void bft_slot_fill(struct ord_core *core, struct bft_slot *slot, enum bft_slot_state state,
                   const struct bft_pre_prepare *message, size_t size) {
    ORD_ASSERT(slot->state == BFT_SLOT_EMPTY && state != BFT_SLOT_EMPTY && slot->seq == message->seq);
    slot->state = state;
    slot->view = message->view;
    slot->digest = message->digest;
    slot->proof = bft_proof_alone(&message->signature);
    slot->message_size = size;
    slot->proposed = true;
    core->body_bytes += message->body.size;
    if (core->proposed_seq <= core->delivered_seq)
        core->in_flight_ms = core->now_ms;
    core->proposed_seq = ord_max(core->proposed_seq, message->seq);
}

bool bft_slot_has_body(const struct ord_core *core, const struct bft_slot *slot) {
    return slot->message != NULL || ord_hash_equal(&slot->digest, &core->null_digest);
}

struct ord_span bft_slot_body(const struct bft_slot *slot) {
    if (slot->message == NULL)
        return ord_span_of(NULL, 0);
    return ord_span_of(slot->message + BFT_PRE_PREPARE_SIZE, slot->message_size - BFT_PRE_PREPARE_SIZE);
}

struct bft_statement bft_slot_statement(const struct ord_core *core, const struct bft_slot *slot) {
    return (struct bft_statement) {.type = BFT_PRE_PREPARE,
                                   .view = slot->view,
                                   .seq = slot->seq,
                                   .digest = slot->digest,
                                   .sender = bft_primary(&core->config, slot->view)};
}

void bft_slot_log(struct ord_core *core, struct bft_slot *slot) {
    slot->logged = true;
    bft_persist(core, BFT_TABLE_LOG, slot->seq, ord_span_of(slot->message, slot->message_size));
}
