/*
 * COMMIT: OSDI'99, section 4.2. It is not signed. It convinces only the replica that got it over an authenticated link,
 * and that is enough, because a view change rests on prepared certificates. A commit never makes a slot prepared.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

void bft_on_commit(struct ord_core *core, const struct bft_vote_list *list) {
    bool useful = false;
    bool contradicts = false;
    ord_replica_set sender = ord_replica_bit(list->sender);
    bool in_view = list->view == core->view && !core->changing && bft_speaks(core);
    for (uint32_t i = 0; in_view && i < list->count; i++) {
        const struct bft_vote *vote = &list->votes[i];
        if (!bft_in_window(core, vote->seq))
            continue;
        struct bft_slot *slot = bft_slot_open(core, vote->seq);
        if ((slot->commits & sender) != 0) {
            contradicts = contradicts || !ord_hash_equal(&slot->commit_digests[list->sender], &vote->digest);
            continue;
        }
        ORD_MARK_IF(!slot->prepared, COMMIT_BEFORE_PREPARED);
        useful = true;
        bft_changed(core);
        slot->commits |= sender;
        slot->commit_digests[list->sender] = vote->digest;
        core->voted_seq = ord_max(core->voted_seq, vote->seq);
        bft_slot_advance(core, slot);
    }
    ORD_MARK_IF(contradicts, COMMIT_CONTRADICTS);
    if (contradicts)
        core->messages_refused++;
    else if (!useful)
        core->messages_dropped++;
}

/* Mirrors bft_on_commit. What may count in a view that is not installed yet is wanted. */
bool bft_wants_commit(const struct ord_core *core, struct ord_span bytes) {
    struct bft_vote_list list;
    if (bft_vote_list_decode(&list, &core->config, bytes) != ORD_OK)
        return true;
    if (list.view != core->view || core->changing || !bft_speaks(core))
        return list.view >= core->view;
    for (uint32_t i = 0; i < list.count; i++) {
        const struct bft_vote *vote = &list.votes[i];
        const struct bft_slot *slot = bft_slot_find(core, vote->seq);
        if (bft_in_window(core, vote->seq) && (slot == NULL || (slot->commits & ord_replica_bit(list.sender)) == 0 ||
                                               !ord_hash_equal(&slot->commit_digests[list.sender], &vote->digest)))
            return true;
    }
    ORD_MARK(COMMIT_NOT_WANTED);
    return false;
}

void bft_flush_commits(struct ord_core *core) {
    struct bft_vote_list *list = &core->list;
    const uint64_t end = bft_slots_end(core);
    for (uint64_t seq = core->stable_seq; seq < end;) {
        *list = (struct bft_vote_list) {.type = BFT_COMMIT, .view = core->view, .sender = core->config.self};
        while (seq < end && list->count < BFT_LIST_MAX) {
            struct bft_slot *slot = bft_slot_find(core, ++seq);
            if (slot != NULL && slot->commit_due) {
                slot->commit_due = false;
                slot->sent_ms = core->now_ms;
                list->votes[list->count++] = (struct bft_vote) {.seq = seq, .digest = slot->digest};
            }
        }
        if (list->count > 0)
            bft_send(core, core->others, bft_outbox_list(core, list), true);
    }
}
