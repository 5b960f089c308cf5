/*
 * VIEW-CHANGE: OSDI'99, section 4.4. A replica that moves to view v promises to take no part in earlier views. It
 * reports every batch that may have been decided there: for each seq above its stable checkpoint, the prepared
 * certificate of the highest view. The promise is durable before it is sent, so a restart keeps it (rows V15, V16).
 *
 * Only the newest VIEW-CHANGE of each replica is kept, whatever it sends (row V3). A replica follows f + 1 others,
 * never fewer (row V2).
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"
#include "core/assert.h"

/*
 * Looks whether the clock of the view change begins to run, and makes FLUSH look whether a view can be made. A replica
 * that went further counts as well. It has left the earlier views too, and its VIEW-CHANGE for this one may
 * be lost and is not sent again.
 */
static void quorum_check(struct ord_core *core) {
    uint32_t count = 0;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        count += core->changes[node].view >= core->view;
    core->look_again = true;
    if (core->changing && core->quorum_since_ms == 0 && count >= core->quorum)
        core->quorum_since_ms = core->now_ms > 0 ? core->now_ms : 1;
}

/* Makes the own VIEW-CHANGE and its digest in spare_change. */
static enum ord_err make(struct ord_core *core, uint64_t view) {
    struct bft_kept *spare = &core->spare_change;
    struct ord_writer writer = ord_writer_of(spare->bytes, bft_view_change_size_max(&core->config));
    size_t count_at;
    uint32_t count = 0;
    bft_view_change_begin(&writer, &count_at, &core->config, view, core->stable_seq,
                          bft_checkpoint_proof(&core->stable));
    uint64_t seq = core->stable_seq;
    for (const struct bft_slot *slot; (slot = bft_slot_next(core, &seq)) != NULL;) {
        if (slot->certificate_size == 0)
            continue;
        ord_write_span(&writer, ord_span_of(slot->certificate, slot->certificate_size));
        count++;
    }
    struct ord_hash hash;
    bft_view_change_end(&writer, count_at, count, &hash, &core->config, view);
    bft_view_message_hash(&hash, &spare->digest, &core->config, BFT_VIEW_CHANGE, view, core->config.self,
                          ord_writer_span(&writer));
    return bft_kept_sign(core, spare, &writer, view, &hash);
}

/* Clears the slot's votes, which are of one view. Keeps batch and certificate, which a later view may propose again. */
static void leave_slot(struct ord_core *core, struct bft_slot *slot) {
    ORD_MARK_IF(slot->state == BFT_SLOT_JUDGING, LEFT_WHILE_JUDGING);
    if (slot->state == BFT_SLOT_JUDGING)
        bft_bodies_lend(&core->bodies, slot->message, false);
    if (slot->message == NULL && slot->certificate_size == 0) {
        bft_slot_release(core, slot);
        return;
    }
    slot->state = BFT_SLOT_HELD;
    slot->proposed = false;
    slot->wanted = false;
    slot->recalled = false;
    slot->own_prepare = false;
    slot->prepare_due = false;
    slot->prepared = false;
    slot->commit_due = false;
    slot->primary_contradicted = false;
    slot->sent_ms = 0;
    slot->prepares = 0;
    slot->commits = 0;
    slot->contradicted = 0;
    slot->witnessed = 0;
}

void bft_leave_view(struct ord_core *core) {
    uint64_t seq = core->stable_seq;
    for (struct bft_slot *slot; (slot = bft_slot_next(core, &seq)) != NULL;)
        leave_slot(core, slot);
}

void bft_join(struct ord_core *core) {
    uint32_t ahead = 0;
    uint64_t smallest = UINT64_MAX;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        uint64_t view = core->changes[node].view;
        if (node == core->config.self || view <= core->view)
            continue;
        ahead++;
        smallest = view < smallest ? view : smallest;
    }
    ORD_MARK_IF(ahead >= core->weak_quorum && smallest > core->view + 1, JOINED_FURTHER_VIEW);
    ORD_MARK_IF(ahead > 0 && ahead < core->weak_quorum, FEW_AHEAD);
    if (ahead >= core->weak_quorum)
        bft_next_view_raise(core, smallest);
}

enum ord_err bft_change_view(struct ord_core *core) {
    uint64_t view = core->next_view;
    enum ord_err err = make(core, view);
    if (err != ORD_OK)
        return err;
    struct bft_kept made = core->spare_change;
    core->spare_change = core->changes[core->config.self];
    core->changes[core->config.self] = made;
    bool scheduled = bft_on_schedule(core, view) || (bft_handed_over(core) && view == core->view + 1);
    core->detail.failed_views += !scheduled && !bft_failed_lately(core);
    /* A view that ends on schedule has failed if this replica found fault with its primary. */
    if (bft_view_failed(core) && (!scheduled || core->detail.has_reason)) {
        bft_failed_note(core);
        /* A primary cannot have the ratchet begin anew by handing over. */
        core->ratchet.view_failed = core->ratchet.view_failed || (!core->changing && !bft_handed_over(core));
    }
    core->view = view;
    core->changing = true;
    core->detail.suspecting = false;
    core->detail.has_reason = false;
    core->detail.handing_over = false;
    core->detail.view_changes++;
    bft_changed(core);
    core->view_since_ms = core->now_ms;
    core->quorum_since_ms = 0;
    core->distrusted = 0;
    core->choices_fresh = false;
    core->fetch_since_ms = 0;
    bft_leave_view(core);
    bft_announce_leader(core);
    core->effects[core->effect_count - 1].leader.scheduled = scheduled;
    bft_persist(core, BFT_TABLE_VIEW_CHANGE, core->config.self, bft_kept_bytes(&made));
    bft_send(core, core->others, bft_kept_bytes(&made), true);
    bft_join(core); /* the others may be further still */
    quorum_check(core);
    return ORD_OK;
}

static void keep(struct ord_core *core, struct bft_kept *kept, const struct bft_view_change *change,
                 struct ord_span bytes) {
    /* The choices point into the message that is overwritten. */
    core->choices_fresh = false;
    bft_keep(kept, change->view, &change->digest, bytes);
    bft_changed(core);
}

/*
 * Takes a VIEW-CHANGE that the NEW-VIEW names although another one of its sender is here: the new primary got a
 * different one, or the sender has gone on since. Otherwise one liar could keep the view from being installed. False:
 * the NEW-VIEW does not name it, or it is already here.
 */
static bool take_named(struct ord_core *core, const struct bft_view_change *change, struct ord_span bytes) {
    bool names_sender;
    const struct bft_kept *kept = &core->changes[change->sender];
    if (!bft_is_named(core, change->view, change->sender, &change->digest, &names_sender) ||
        (kept->view == change->view && ord_hash_equal(&kept->digest, &change->digest)))
        return false;
    ORD_MARK(CHANGE_NAMED_TAKEN);
    keep(core, &core->named[change->sender], change, bytes);
    core->look_again = true;
    return true;
}

/*
 * A newer VIEW-CHANGE of the sender takes the place of this one. If the NEW-VIEW that is due names this one, it stays:
 * the newer one may come in the same turn as the last message that the view lacked, before FLUSH looks.
 */
static void set_aside(struct ord_core *core, const struct bft_kept *kept, ord_node_id sender) {
    bool names_sender;
    if (kept->view == 0 || kept->view < core->view ||
        !bft_is_named(core, kept->view, sender, &kept->digest, &names_sender))
        return;
    ORD_MARK(CHANGE_NAMED_SAVED);
    core->choices_fresh = false;
    bft_keep(&core->named[sender], kept->view, &kept->digest, bft_kept_bytes(kept));
}

enum ord_err bft_on_view_change(struct ord_core *core, struct ord_span bytes) {
    struct bft_view_change change;
    enum ord_err err = bft_view_change_decode(&change, &core->config, bytes);
    if (err != ORD_OK)
        return err;
    struct bft_kept *kept = &core->changes[change.sender];
    const struct bft_kept *chosen = &core->chosen[change.sender];
    bool same_view = change.view == kept->view || change.view == chosen->view;
    const struct bft_kept *known = change.view == chosen->view ? chosen : kept;
    bool named = change.sender != core->config.self && take_named(core, &change, bytes);
    bool own = change.sender == core->config.self;
    const struct bft_statement statement = {
        .type = BFT_VIEW_CHANGE, .view = change.view, .digest = change.digest, .sender = change.sender};
    const struct bft_proof proof = bft_proof_alone(&change.signature);
    /* A message that is of no use here is noted too, because its sender may forget it. */
    if (!own)
        bft_heard_note(core, &statement, &proof);
    /* This replica signed the message, and its disk does not have it. */
    if (own && change.view > core->view)
        bft_silence_prove(core, change.view, 0);
    if ((own && (bft_speaks(core) || same_view)) || change.view < core->view || change.view < kept->view ||
        (same_view && ord_hash_equal(&known->digest, &change.digest)) ||
        (change.view == core->view && !core->changing && !same_view)) {
        core->messages_dropped += !named;
        return ORD_OK;
    }
    if (same_view) {
        ORD_MARK(CHANGE_TWICE);
        core->messages_refused++;
        struct bft_statement first = statement;
        first.digest = known->digest;
        const struct bft_proof first_proof = bft_kept_proof(known);
        bft_evidence(core, &first, &first_proof, &change.digest, &proof);
        return ORD_OK;
    }
    if (!own)
        set_aside(core, kept, change.sender);
    keep(core, kept, &change, bytes);
    bft_join(core);
    quorum_check(core);
    return ORD_OK;
}
