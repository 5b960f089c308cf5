/*
 * PREPARE: OSDI'99, section 4.2. The votes of a turn leave under one signature over the Merkle root of their
 * statements. Every vote is kept with its path, so that it convinces a third party without the rest of its list.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"
#include "core/assert.h"

enum use {
    /* Known, or out of the window. */
    USELESS,
    /* Its sender's first vote for this (view, seq). */
    NEW,
    /* Its digest differs from that of its sender's first vote. */
    CONTRADICTION
};

static enum use use_of(const struct ord_core *core, ord_node_id sender, const struct bft_vote *vote) {
    if (!bft_in_window(core, vote->seq))
        return USELESS;
    const struct bft_slot *slot = bft_slot_find(core, vote->seq);
    if (slot == NULL || (slot->prepares & ord_replica_bit(sender)) == 0)
        return NEW;
    return ord_hash_equal(&slot->prepare_votes[sender].digest, &vote->digest) ? USELESS : CONTRADICTION;
}

/* Mirrors bft_on_prepare. What may count in a view that is not installed yet is wanted. */
bool bft_wants_prepare(const struct ord_core *core, struct ord_span bytes) {
    struct bft_vote_list list;
    if (bft_vote_list_decode(&list, &core->config, bytes) != ORD_OK ||
        bft_heard_newer(core, list.sender, list.view, list.votes[list.count - 1].seq))
        return true;
    if (list.view != core->view || core->changing || !bft_speaks(core))
        return list.view >= core->view;
    for (uint32_t i = 0; i < list.count; i++) {
        enum use use = use_of(core, list.sender, &list.votes[i]);
        if (use == NEW)
            return true;
        if (use == CONTRADICTION &&
            (bft_slot_find(core, list.votes[i].seq)->contradicted & ord_replica_bit(list.sender)) == 0)
            return true;
    }
    ORD_MARK(PREPARE_NOT_WANTED);
    return false;
}

static void contradiction(struct ord_core *core, struct bft_slot *slot, const struct bft_vote_list *list,
                          uint32_t index) {
    if ((slot->contradicted & ord_replica_bit(list->sender)) != 0 || core->evidence_given)
        return;
    ORD_MARK(PREPARE_CONTRADICTS);
    slot->contradicted |= ord_replica_bit(list->sender);
    const struct bft_prepare_vote *vote = &slot->prepare_votes[list->sender];
    struct bft_statement statement = bft_list_statement(list, index);
    statement.digest = vote->digest;
    struct bft_proof proof;
    bft_vote_tree_proof(&proof, &core->tree, index, &list->signature);
    bft_evidence(core, &statement, &vote->proof, &list->votes[index].digest, &proof);
}

static void count_vote(struct ord_core *core, const struct bft_vote_list *list, uint32_t index) {
    struct bft_slot *slot = bft_slot_open(core, list->votes[index].seq);
    struct bft_prepare_vote *vote = &slot->prepare_votes[list->sender];
    slot->prepares |= ord_replica_bit(list->sender);
    bft_changed(core);
    vote->digest = list->votes[index].digest;
    bft_vote_tree_proof(&vote->proof, &core->tree, index, &list->signature);
    core->voted_seq = ord_max(core->voted_seq, slot->seq);
    bft_witness(core, slot);
    bft_slot_advance(core, slot);
}

static void note_heard(struct ord_core *core, const struct bft_vote_list *list) {
    const struct bft_statement statement = bft_list_statement(list, list->count - 1);
    struct bft_proof proof;
    bft_vote_tree_proof(&proof, &core->tree, list->count - 1, &list->signature);
    bft_heard_note(core, &statement, &proof);
}

void bft_on_prepare(struct ord_core *core, const struct bft_vote_list *list) {
    if (list->sender == bft_primary(&core->config, list->view)) {
        ORD_MARK(PREPARE_BY_PRIMARY);
        core->messages_refused++; /* a primary votes by its pre-prepare */
        return;
    }
    uint32_t new_count = 0;
    uint32_t contradiction_count = 0;
    bool in_view = list->view == core->view && !core->changing && bft_speaks(core);
    for (uint32_t i = 0; in_view && i < list->count; i++) {
        enum use use = use_of(core, list->sender, &list->votes[i]);
        new_count += use == NEW;
        contradiction_count += use == CONTRADICTION;
    }
    if (contradiction_count > 0)
        core->messages_refused++;
    else if (new_count == 0)
        core->messages_dropped++;
    bool newer = bft_heard_newer(core, list->sender, list->view, list->votes[list->count - 1].seq);
    if (new_count + contradiction_count == 0 && !newer)
        return;
    bft_vote_tree_build(&core->tree, &core->config, list);
    if (newer)
        note_heard(core, list);
    for (uint32_t i = 0; in_view && i < list->count; i++) {
        /* Look again, because a vote before this one may have moved the window. */
        enum use use = use_of(core, list->sender, &list->votes[i]);
        ORD_MARK_IF(!bft_in_window(core, list->votes[i].seq), PREPARE_OUT_OF_WINDOW);
        if (use == NEW)
            count_vote(core, list, i);
        else if (use == CONTRADICTION)
            contradiction(core, bft_slot_find(core, list->votes[i].seq), list, i);
    }
}

enum ord_err bft_sign_list(struct ord_core *core, struct bft_vote_list *list) {
    struct ord_hash hash;
    bft_vote_tree_build(&core->tree, &core->config, list);
    bft_vote_tree_signed_hash(&hash, &core->tree, &core->config);
    return bft_sign(core, &list->signature, &hash);
}

/* Gathers the next votes that are due after `seq`. Returns the last seq that it looked at. */
static uint64_t gather(struct ord_core *core, struct bft_vote_list *list, uint64_t seq, uint64_t end) {
    *list = (struct bft_vote_list) {.type = BFT_PREPARE, .view = core->view, .sender = core->config.self};
    while (seq < end && list->count < BFT_LIST_MAX) {
        const struct bft_slot *slot = bft_slot_find(core, ++seq);
        if (slot != NULL && slot->prepare_due)
            list->votes[list->count++] = (struct bft_vote) {.seq = seq, .digest = slot->digest};
    }
    return seq;
}

enum ord_err bft_flush_prepares(struct ord_core *core) {
    struct bft_vote_list *list = &core->list;
    size_t begin = core->effect_count;
    const uint64_t slots_end = bft_slots_end(core);
    /* Sign all votes before any is counted, so that a signer that fails leaves everything as it was. */
    for (uint64_t seq = core->stable_seq; seq < slots_end;) {
        seq = gather(core, list, seq, slots_end);
        if (list->count == 0)
            break;
        enum ord_err err = bft_sign_list(core, list);
        if (err != ORD_OK)
            return err;
        bft_send(core, core->others, bft_outbox_list(core, list), true);
    }
    size_t end = core->effect_count;
    for (size_t i = begin; i < end; i++) {
        ORD_ASSERT(bft_vote_list_decode(list, &core->config, core->effects[i].send.bytes) == ORD_OK);
        for (uint32_t v = 0; v < list->count; v++) {
            struct bft_slot *slot = bft_slot_find(core, list->votes[v].seq);
            if (slot != NULL) {
                slot->prepare_due = false;
                slot->sent_ms = core->now_ms;
            }
        }
        bft_on_prepare(core, list);
    }
    return ORD_OK;
}
