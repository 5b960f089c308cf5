/*
 * A view is installed. The batches that it proposes again are bound to their slots (entries.c), and everything else
 * that earlier views left above its base is void. OSDI'99, section 4.4.
 *
 * Why a certificate for another batch than the NEW-VIEW names may be dropped: the NEW-VIEW rests on a quorum of
 * promises to take no part in earlier views. If that batch had been decided, or could still be, one of these
 * VIEW-CHANGEs would have reported it (choose.c).
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"
#include "core/assert.h"

/* Keeps the view changes that the view rests on, for replicas that missed them and for the next START. */
static void keep_changes(struct ord_core *core, const struct bft_change_set *set) {
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        core->chosen[node].view = 0;
        if (set->changes[node] == NULL)
            continue;
        struct bft_kept kept = *set->changes[node];
        *set->changes[node] = core->chosen[node];
        core->chosen[node] = kept;
        /* The own VIEW-CHANGE is on disk already, unless this replica is silent and got it back from others. */
        if (node != core->config.self || !bft_speaks(core))
            bft_persist(core, BFT_TABLE_VIEW_CHANGE, node, bft_kept_bytes(&kept));
    }
}

/* The base of the view is a stable checkpoint: makes it stable here, or notes that this replica is behind it. */
static void reach_base(struct ord_core *core) {
    for (ord_node_id node = 0; node < core->config.replica_count && core->stable_seq < core->entries.base_seq; node++) {
        struct bft_view_change change;
        const struct bft_kept *kept = &core->chosen[node];
        if (kept->view != core->view)
            continue;
        ORD_ASSERT(bft_view_change_parse(&change, &core->config, bft_kept_bytes(kept)) == ORD_OK);
        if (change.stable_seq != core->entries.base_seq)
            continue;
        ORD_MARK_IF(change.stable_seq > core->delivered_seq, INSTALLED_BEHIND_BASE);
        ORD_ASSERT(bft_on_attested(core, change.stable_seq, change.checkpoint) == ORD_OK);
        return;
    }
}

void bft_install(struct ord_core *core, struct bft_kept *view, const struct bft_change_set *set) {
    bool left = core->changing;
    struct bft_kept before = core->installed;
    core->installed = *view;
    *view = before;
    view->view = 0;
    ORD_ASSERT(bft_new_view_decode(&core->entries, &core->config, bft_kept_bytes(&core->installed)) == ORD_OK);
    core->view = core->installed.view;
    /* No entry is bound before everything is in place. */
    core->changing = true;
    if (!left)
        bft_leave_view(core);
    core->detail.suspecting = false;
    core->detail.has_reason = false;
    core->detail.handing_over = false;
    bft_ratchet_view(core);
    core->useless = 0;
    core->view_since_ms = core->now_ms;
    core->quorum_since_ms = 0;
    core->fetch_since_ms = 0;
    keep_changes(core, set);
    bft_persist(core, BFT_TABLE_NEW_VIEW, 1, bft_kept_bytes(&core->installed));
    uint64_t last_seq = core->entries.base_seq + core->entries.count;
    uint64_t seq = core->stable_seq;
    for (struct bft_slot *slot; (slot = bft_slot_next(core, &seq)) != NULL;) {
        ORD_MARK_IF(seq > last_seq && slot->certificate_size > 0, INSTALLED_VOIDS_ABOVE);
        if (seq > last_seq)
            bft_slot_release(core, slot);
    }
    reach_base(core);
    core->changing = false;
    core->proposed_seq = core->delivered_seq > last_seq ? core->delivered_seq : last_seq;
    core->next_seq = core->proposed_seq + 1;
    core->voted_seq = core->delivered_seq;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        core->peers[node].shown_seq = 0;
        core->peers[node].news_given = 0;
        core->peers[node].view_given = false;
    }
    /* A silent replica opens the entries when it speaks again. */
    if (bft_speaks(core))
        bft_open_entries(core);
    bft_changed(core);
    bft_announce_leader(core);
    /* The answers bring votes that came too early, before the view was installed. */
    bft_send_status(core);
}
