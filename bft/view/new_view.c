/*
 * NEW-VIEW: OSDI'99, section 4.4. The new primary shows which view changes its NEW-VIEW rests on and what follows from
 * them. Every replica computes that again from the same view changes and takes nothing else (row V8).
 *
 * A new primary proposes a batch again only if it has the batch. It leaves out a view change whose batches nobody
 * gives. An honest replica has the batch of each certificate that it sends, so the view changes of honest replicas
 * suffice for a quorum.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"
#include "core/assert.h"

static bool at_hand(const struct ord_core *core, uint64_t seq, const struct ord_hash *digest) {
    const struct bft_slot *slot = bft_slot_find(core, seq);
    return ord_hash_equal(digest, &core->null_digest) ||
           (slot != NULL && slot->message != NULL && ord_hash_equal(&slot->digest, digest));
}

/*
 * The replicas that have the batch of the choice, if they are honest: those that report its certificate, and those that
 * signed it. The latter stood by the batch with the batch on disk. At most f of all these lie. A liar may be the only
 * one that reports the certificate.
 */
static ord_replica_set holders_of(const struct ord_core *core, const struct bft_choice *choice) {
    ord_replica_set holders = choice->holders;
    struct bft_statement statement;
    struct bft_proof proof;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        if (bft_certificate_statement(&statement, &proof, &core->config, choice->certificate, node))
            holders |= ord_replica_bit(node);
    return holders;
}

/* Returns the replicas whose view changes want a batch that is not here, and asks them for what is missing. */
static ord_replica_set lacking(struct ord_core *core) {
    ord_replica_set holders = 0;
    uint64_t at = core->stable_seq;
    for (struct bft_slot *slot; (slot = bft_slot_next(core, &at)) != NULL;)
        slot->wanted = false;
    /*
     * One holder after the other is asked (fetch.c), so each liar among them costs one interval. After a while all
     * others are asked too, because a signer may have made room for a batch of a later view.
     */
    bool patient =
        core->fetch_since_ms == 0 || core->now_ms < core->fetch_since_ms + 2 * (uint64_t) core->config.retransmit_ms;
    ord_replica_set from = patient ? 0 : core->others;
    core->fetch_set = 0;
    for (uint32_t i = 0; i < core->choice_count; i++) {
        uint64_t seq = core->choice_base_seq + 1 + i;
        const struct ord_hash *digest = bft_choice_digest(core, i);
        ORD_MARK_IF(!bft_in_window(core, seq), NEW_VIEW_OUT_OF_WINDOW);
        if (!bft_in_window(core, seq) || at_hand(core, seq, digest))
            /* The others decide what lies beyond this replica's window. */
            continue;
        holders |= core->choices[i].holders;
        bft_want(core, bft_slot_open(core, seq), digest, from | holders_of(core, &core->choices[i]));
    }
    if (holders == 0)
        core->fetch_since_ms = 0;
    core->choices_fresh = true;
    return holders;
}

static enum ord_err sign_entries(struct ord_core *core, struct ord_writer *writer) {
    const uint32_t count = core->choice_count;
    for (uint32_t first = 0; first < count; first += BFT_LIST_MAX) {
        struct bft_vote_list *list = &core->list;
        *list = (struct bft_vote_list) {.type = BFT_PRE_PREPARE, .view = core->view, .sender = core->config.self};
        for (uint32_t i = first; i < count && list->count < BFT_LIST_MAX; i++)
            list->votes[list->count++] =
                (struct bft_vote) {.seq = core->choice_base_seq + 1 + i, .digest = *bft_choice_digest(core, i)};
        enum ord_err err = bft_sign_list(core, list);
        if (err != ORD_OK)
            return err;
        ord_write_signature(writer, &list->signature);
    }
    return ORD_OK;
}

/* Makes the NEW-VIEW in spare_view. */
static enum ord_err make(struct ord_core *core, ord_replica_set set) {
    struct bft_kept *spare = &core->spare_view;
    const struct ord_core_config *config = &core->config;
    struct ord_writer writer = ord_writer_of(spare->bytes, bft_new_view_size_max(config));
    bft_header_write(&writer, config, BFT_NEW_VIEW, core->view, config->self);
    ord_write_u64(&writer, core->choice_base_seq);
    ord_write_u32(&writer, core->choice_count);
    for (uint32_t i = 0; i < core->choice_count; i++) {
        ORD_MARK_IF(!core->choices[i].chosen, CHOICE_NULL);
        ord_write_hash(&writer, bft_choice_digest(core, i));
    }
    enum ord_err err = sign_entries(core, &writer);
    if (err != ORD_OK)
        return err;
    ord_write_u8(&writer, (uint8_t) ord_replica_count(set));
    for (ord_node_id node = 0; node < config->replica_count; node++) {
        if ((set & ord_replica_bit(node)) == 0)
            continue;
        ord_write_u32(&writer, node);
        ord_write_hash(&writer, &core->changes[node].digest);
    }
    struct ord_hash hash;
    bft_view_message_hash(&hash, &spare->digest, config, BFT_NEW_VIEW, core->view, config->self,
                          ord_writer_span(&writer));
    return bft_kept_sign(core, spare, &writer, core->view, &hash);
}

enum ord_err bft_make_new_view(struct ord_core *core) {
    if (!core->changing || bft_primary(&core->config, core->view) != core->config.self ||
        ord_replica_count(bft_changes_held(core)) < core->quorum)
        return ORD_OK;
    if (core->fetch_since_ms != 0 && core->now_ms >= core->fetch_since_ms + 4 * (uint64_t) core->config.retransmit_ms) {
        struct bft_change_set changes = bft_changes_of(core, bft_changes_held(core) & ~core->distrusted);
        bft_choose(core, &changes);
        ORD_MARK(CHANGE_DISTRUSTED);
        core->distrusted |= lacking(core);
        core->fetch_since_ms = 0;
    }
    ord_replica_set set = bft_changes_held(core) & ~core->distrusted;
    if (ord_replica_count(set) < core->quorum) {
        ORD_MARK(CHANGE_TRUSTED_AGAIN);
        /* Too few VIEW-CHANGEs are left without these. Try them again, and wait for those of other replicas. */
        core->distrusted = 0;
        set = bft_changes_held(core);
    }
    struct bft_change_set changes = bft_changes_of(core, set);
    bft_choose(core, &changes);
    if (lacking(core) != 0) {
        ORD_MARK(NEW_VIEW_LACKS_BATCH);
        return ORD_OK;
    }
    enum ord_err err = make(core, set);
    if (err != ORD_OK)
        return err;
    bft_install(core, &core->spare_view, &changes);
    /* The NEW-VIEW goes first: a liar's VIEW-CHANGE may be so large that the door takes nothing costly behind it. */
    bft_send(core, core->others, bft_kept_bytes(&core->installed), true);
    bft_give_along(core);
    return ORD_OK;
}

static void contradiction(struct ord_core *core, const struct bft_kept *kept, const struct bft_new_view *view) {
    ORD_MARK(NEW_VIEW_TWICE);
    core->messages_refused++;
    struct bft_statement statement = {
        .type = BFT_NEW_VIEW, .view = view->view, .digest = kept->digest, .sender = view->sender};
    struct bft_proof proofs[2] = {bft_kept_proof(kept), bft_proof_alone(&view->signature)};
    bool known = view->view == core->view && core->proof_size > 0 && core->proof_view == core->view;
    if (core->evidence_given || known)
        return;
    bft_evidence(core, &statement, &proofs[0], &view->digest, &proofs[1]);
    /* A liar that may lead a later view is no reason to leave this one. */
    if (view->view == core->view)
        bft_pass_on_evidence(core);
}

/*
 * The view whose NEW-VIEW this replica waits for; 0: none. A silent replica goes to no view by itself. It waits for the
 * highest view that f + 1 others show or have passed, so an honest replica is there or has been.
 */
static uint64_t view_due(const struct ord_core *core) {
    if (bft_speaks(core) && core->next_view > core->view)
        return core->next_view;
    if (bft_speaks(core))
        return core->changing ? core->view : 0;
    uint64_t due = 0;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        uint64_t view = core->peers[node].shown_view;
        uint32_t count = 0;
        for (ord_node_id other = 0; other < core->config.replica_count; other++)
            count += other != core->config.self && core->peers[other].shown_view >= view;
        if (node != core->config.self && count >= core->weak_quorum)
            due = ord_max(due, view);
    }
    return due;
}

/*
 * Whether a NEW-VIEW for `view` takes the place of the one that is kept from the same sender. One is kept: the one that
 * is due, otherwise the newest. If the newest always won, a liar's NEW-VIEW for a view that nobody else wants would
 * keep the one that is due out.
 */
static bool displaces(const struct ord_core *core, const struct bft_kept *kept, uint64_t view) {
    uint64_t due = view_due(core);
    ORD_MARK_IF(kept->view > view && view == due, NEW_VIEW_DUE_TAKEN);
    return kept->view == 0 || view == due || (view > kept->view && kept->view != due);
}

enum ord_err bft_on_new_view(struct ord_core *core, struct ord_span bytes) {
    struct bft_new_view view;
    enum ord_err err = bft_new_view_decode(&view, &core->config, bytes);
    if (err != ORD_OK)
        return err;
    struct bft_kept *kept = &core->candidates[view.sender];
    const struct bft_kept *known = core->installed.view == view.view ? &core->installed : kept;
    bool own = view.sender == core->config.self;
    if (view.view < core->view)
        return bft_drop(core);
    /* This replica signed it, and its disk does not have it. */
    if (own && (view.view > core->view || core->changing))
        bft_silence_prove(core, view.view, 0);
    if (own && bft_speaks(core))
        return bft_drop(core);
    if (known->view == view.view) {
        if (own || ord_hash_equal(&known->digest, &view.digest))
            core->messages_dropped++;
        else
            contradiction(core, known, &view);
        return ORD_OK;
    }
    if (!displaces(core, kept, view.view))
        return bft_drop(core);
    bft_keep(kept, view.view, &view.digest, bytes);
    bft_changed(core);
    core->look_again = true;
    return ORD_OK;
}

static struct bft_kept *find_change(struct ord_core *core, ord_node_id sender, uint64_t view,
                                    const struct ord_hash *digest) {
    struct bft_kept *kept[] = {&core->changes[sender], &core->named[sender]};
    for (size_t i = 0; i < 2; i++)
        if (kept[i]->view == view && ord_hash_equal(&kept[i]->digest, digest)) {
            ORD_MARK_IF(i == 1, CHANGE_NAMED_USED);
            return kept[i];
        }
    return NULL;
}

/* Gathers the view changes that the NEW-VIEW rests on. False: one of them is not here. */
static bool gather(struct ord_core *core, const struct bft_new_view *view, struct bft_change_set *set) {
    *set = (struct bft_change_set) {{NULL}};
    for (uint32_t i = 0; i < view->change_count; i++) {
        ord_node_id sender;
        struct ord_hash digest;
        bft_new_view_change(&sender, &digest, view, i);
        set->changes[sender] = find_change(core, sender, view->view, &digest);
        if (set->changes[sender] == NULL)
            return false;
    }
    return true;
}

static bool follows(struct ord_core *core, const struct bft_new_view *view, const struct bft_change_set *set) {
    bft_choose(core, set);
    if (core->choice_base_seq != view->base_seq || core->choice_count != view->count)
        return false;
    for (uint32_t i = 0; i < view->count; i++) {
        struct ord_hash digest;
        bft_new_view_entry(&digest, view, view->base_seq + 1 + i);
        if (!ord_hash_equal(&digest, bft_choice_digest(core, i)))
            return false;
    }
    return true;
}

/*
 * The NEW-VIEW of the view that is due names a VIEW-CHANGE that is not here. A liar may have sent it to the new primary
 * alone, in every view of an honest one. So this replica shows the primary at once what it lacks, and the answer comes
 * at once as well (relay.c): a liar delays the view by one round trip. Once a view, because the STATUS that is due
 * later asks again, and asks all.
 */
static void ask_primary(struct ord_core *core, uint64_t view) {
    if (!bft_speaks(core) || view != core->view || core->asked_view == view)
        return;
    ORD_MARK(NEW_VIEW_ASKS);
    core->asked_view = view;
    bft_send_status_to(core, bft_primary(&core->config, view));
}

void bft_try_candidates(struct ord_core *core) {
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        struct bft_kept *kept = &core->candidates[node];
        struct bft_new_view view;
        struct bft_change_set set;
        if (kept->view < core->view || kept->view == 0 || (kept->view == core->view && !core->changing)) {
            kept->view = 0;
            continue;
        }
        ORD_ASSERT(bft_new_view_decode(&view, &core->config, bft_kept_bytes(kept)) == ORD_OK);
        if (!gather(core, &view, &set)) {
            ORD_MARK(NEW_VIEW_LACKS_CHANGE);
            ask_primary(core, view.view);
            continue;
        }
        if (follows(core, &view, &set)) {
            bft_install(core, kept, &set);
            continue;
        }
        ORD_MARK(NEW_VIEW_REFUSED);
        core->messages_refused++;
        kept->view = 0;
        /*
         * Relay the refused NEW-VIEW. A replica that received a different one then holds proof against the primary;
         * otherwise this replica would leave a working view and nobody would know why. A silent replica does not relay
         * it, because it does not leave its view, and two silent replicas would relay it to each other for ever.
         */
        if (bft_speaks(core))
            bft_relay(core, core->others, bft_kept_bytes(kept));
        /* A quorum is in that view, and its primary lies. */
        bft_next_view_raise(core, view.view + 1);
    }
}
