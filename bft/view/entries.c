/*
 * Entries: the seqs and digests that the installed view proposes again, and their slots. OSDI'99, section 4.4. Binding
 * an entry may drop a certificate for another batch; install.c says why that is safe.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

void bft_accept_entry(struct ord_core *core, struct bft_slot *slot) {
    slot->state = BFT_SLOT_ACCEPTED;
    if (!slot->logged && slot->message != NULL)
        bft_slot_log(core, slot);
    slot->logged = true;
    if (bft_primary(&core->config, core->view) != core->config.self) {
        slot->own_prepare = true;
        slot->prepare_due = true;
        core->votes_due = true;
    }
}

/* Binds entry `index` of `list` to its slot. core->entry_tree must be the tree of that list. */
static void bind_entry(struct ord_core *core, struct bft_slot *slot, const struct bft_vote_list *list, uint32_t index) {
    const struct ord_hash digest = list->votes[index].digest;
    if (slot->state == BFT_SLOT_HELD && !ord_hash_equal(&slot->digest, &digest)) {
        ORD_MARK(ENTRY_VOIDS_BATCH);
        ORD_MARK_IF(slot->certificate_size > 0, ENTRY_VOIDS_CERTIFICATE);
        bft_slot_drop_body(core, slot);
        slot->certificate_size = 0;
    }
    bft_vote_tree_proof(&slot->proof, &core->entry_tree, index, &list->signature);
    slot->digest = digest;
    slot->view = core->view;
    slot->proposed = false;
    slot->wanted = false;
    if (bft_slot_has_body(core, slot)) {
        bft_accept_entry(core, slot);
        return;
    }
    ORD_MARK(ENTRY_AWAITS_BATCH);
    slot->state = BFT_SLOT_AWAITING;
    bft_want(core, slot, &digest, core->others);
}

void bft_open_entries(struct ord_core *core) {
    const struct bft_new_view *entries = &core->entries;
    if (core->changing || entries->count == 0)
        return;
    struct bft_vote_list list;
    uint32_t built = UINT32_MAX;
    for (uint32_t i = 0; i < entries->count; i++) {
        uint64_t seq = entries->base_seq + 1 + i;
        ORD_MARK_IF(!bft_in_window(core, seq) && seq > core->stable_seq, ENTRY_BEYOND_WINDOW);
        if (!bft_in_window(core, seq))
            continue;
        struct bft_slot *slot = bft_slot_open(core, seq);
        if (slot->state != BFT_SLOT_EMPTY && slot->state != BFT_SLOT_HELD)
            continue; /* already bound */
        if (built != i / BFT_LIST_MAX) {
            built = i / BFT_LIST_MAX;
            bft_new_view_list(&list, entries, built);
            bft_vote_tree_build(&core->entry_tree, &core->config, &list);
        }
        bind_entry(core, slot, &list, i % BFT_LIST_MAX);
    }
    core->proposed_seq = ord_max(core->proposed_seq, entries->base_seq + entries->count);
}
