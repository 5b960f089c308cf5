/*
 * Retransmission: STATUS is answered and sent in time. TOCS'02, section 5.2: receivers say what they lack, and senders
 * do not guess. An answer is bounded, and a peer gets at most two per retransmission interval, so that a flood of
 * STATUS costs little.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"

enum {
    /* A peer counts as left out after this many times retransmit_ms without a delivery. */
    LEFT_OUT_INTERVALS = 2,
    /* For a batch that is not decided, at least after this part (1/2) of request_timeout_ms. */
    VOUCHED_PART = 2,
    /* What a peer's STATUS shows counts for this long. A replica sends one every BFT_HEARTBEAT_MS at least. */
    SHOWN_MS = 3 * BFT_HEARTBEAT_MS,
    /* The interval between repeats is this part (1/4) of the time since something last changed. */
    REPEAT_PART = 4,
};

/*
 * f + 1 peers show more than this replica has, so an honest one does; or the primary shows a proposal. What was
 * decided, and a view that was installed, f + 1 honest replicas show. Any other single claim may be a lie, and would
 * make this replica ask for ever.
 */
static bool others_are_ahead(const struct ord_core *core) {
    uint32_t count = 0;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        const struct bft_peer *peer = &core->peers[node];
        bool ahead = core->now_ms < peer->shown_ms + SHOWN_MS &&
                     (peer->shown_seq > core->delivered_seq || peer->shown_view > core->view);
        if (ahead && peer->shown_view == core->view && node == bft_primary(&core->config, core->view))
            return true;
        count += ahead;
    }
    return count >= core->weak_quorum;
}

/* Looks whether something is in flight, or others know of something that this replica has not delivered. */
static void look(struct ord_core *core) {
    bool outstanding = core->changing || core->detail.suspecting || core->proposed_seq > core->delivered_seq ||
                       core->voted_seq > core->delivered_seq || core->attested.seq > core->delivered_seq ||
                       others_are_ahead(core);
    if (outstanding && !core->outstanding)
        core->moved_ms = core->now_ms;
    core->outstanding = outstanding;
}

/*
 * Each interval is a part of the time for which nothing has changed. So repeats become rare while nothing comes of
 * them, and what becomes possible after a time t is still asked for within a quarter of t, or within a heartbeat.
 */
uint64_t bft_repeat_ms(const struct ord_core *core, uint64_t sent_ms, uint64_t least_ms) {
    uint64_t changed_ms = ord_max(core->changed_ms, core->moved_ms);
    uint64_t part_ms = sent_ms > changed_ms ? (sent_ms - changed_ms) / REPEAT_PART : 0;
    return ord_max(least_ms, ord_min(part_ms, BFT_HEARTBEAT_MS));
}

static uint64_t status_deadline(const struct ord_core *core) {
    uint64_t retransmit_ms = core->config.retransmit_ms;
    uint64_t heartbeat = core->status_ms + ord_max(retransmit_ms, BFT_HEARTBEAT_MS);
    if (!core->outstanding)
        return heartbeat;
    uint64_t since_ms = ord_max(core->moved_ms, core->status_ms);
    return ord_min(since_ms + bft_repeat_ms(core, since_ms, retransmit_ms), heartbeat);
}

static bool holds(const struct bft_status *status, uint64_t seq) {
    uint64_t i = seq - status->delivered_seq - 1;
    return seq <= status->delivered_seq || (i < BFT_HELD_COUNT && (status->held[i / 8] >> (i % 8) & 1) != 0);
}

static uint64_t shown_by(const struct bft_status *status) {
    for (uint32_t i = BFT_HELD_COUNT; i > 0; i--)
        if (holds(status, status->delivered_seq + i))
            return status->delivered_seq + i;
    return status->delivered_seq;
}

/* Whether this replica sent something about the slot to all a moment ago, which is still on its way. */
static bool in_flight(const struct ord_core *core, const struct bft_slot *slot) {
    return slot->sent_ms != 0 && core->now_ms - slot->sent_ms < core->config.retransmit_ms / 2;
}

struct answer {
    uint32_t pre_prepare_count;
    size_t pre_prepare_bytes;
    struct bft_vote_list prepares;
    struct bft_vote_list commits;
};

/*
 * A primary may leave a backup out and answer nothing when it asks. So the other replicas also send what was decided
 * here and has not come there for a while. Otherwise only a checkpoint would bring it, and liars that attest to nobody
 * can delay that for long.
 *
 * They send what is not decided, too, if f + 1 replicas vouch for it. Otherwise f liars that leave f honest replicas
 * out could let everybody wait for their votes; 2f + 1 honest replicas that have the batch do without them. That takes
 * part of the request timeout, because a large batch may be on its way for long, and must not come there several times.
 */
static bool is_left_out(const struct ord_core *core, const struct bft_slot *slot, ord_node_id node) {
    uint64_t wait_ms = LEFT_OUT_INTERVALS * (uint64_t) core->config.retransmit_ms;
    if (slot->seq > core->delivered_seq)
        wait_ms = ord_max(wait_ms, core->options->request_timeout_ms / VOUCHED_PART);
    /* A STATUS of the primary may be older than what it proposed meanwhile. */
    return node != bft_primary(&core->config, slot->view) && bft_vouched(core, slot) &&
           core->now_ms >= core->peers[node].delivered_ms + wait_ms;
}

/* Sends the batch again, unless the peer has had its share. Votes go all the same: they are small. */
static void answer_batch(struct ord_core *core, struct answer *answer, ord_node_id to, const struct bft_slot *slot) {
    if (!bft_budget_spend(core, to, slot->message_size))
        return;
    answer->pre_prepare_count++;
    answer->pre_prepare_bytes += slot->message_size;
    const struct ord_span message = ord_span_of(slot->message, slot->message_size);
    bool ours = bft_primary(&core->config, slot->view) == core->config.self;
    ORD_MARK_IF(!ours, PRE_PREPARE_RELAYED);
    if (ours)
        bft_send(core, ord_replica_bit(to), message, true);
    else
        bft_relay(core, ord_replica_bit(to), message);
}

/* Adds what this replica has of the slot. False: the answer is full. */
static bool answer_add(struct ord_core *core, struct answer *answer, const struct bft_status *status,
                       const struct bft_slot *slot) {
    ord_node_id author = bft_primary(&core->config, slot->view);
    bool ours = slot->proposed && author == core->config.self;
    /* No replica lacks its own PRE-PREPARE, and its door refuses one that is relayed (row T6). */
    bool left_out = slot->proposed && !ours && author != status->sender && is_left_out(core, slot, status->sender);
    if ((ours || left_out) && !holds(status, slot->seq)) {
        if (answer->pre_prepare_count > 0 && answer->pre_prepare_bytes + slot->message_size > BFT_ANSWER_BYTES_MAX)
            return false;
        answer_batch(core, answer, status->sender, slot);
    }
    struct bft_vote vote = {.seq = slot->seq, .digest = slot->digest};
    if (slot->own_prepare && !slot->prepare_due)
        answer->prepares.votes[answer->prepares.count++] = vote;
    if (slot->prepared && !slot->commit_due)
        answer->commits.votes[answer->commits.count++] = vote;
    return true;
}

/*
 * Adds our votes for what the view proposes again and the sender of the STATUS has already delivered, until it is
 * stable there. That replica has to prepare it in this view too, because the replicas that have not delivered it need
 * its COMMIT. There may be more such seqs than fit into one answer, so it begins where the last answer ended. Returns
 * how many seqs it took into the answer.
 */
static uint64_t answer_entries(struct ord_core *core, struct answer *answer, const struct bft_status *status) {
    struct bft_peer *peer = &core->peers[status->sender];
    uint64_t first = status->stable_seq > core->stable_seq ? status->stable_seq + 1 : core->stable_seq + 1;
    uint64_t last = core->entries.base_seq + core->entries.count;
    uint64_t seqs = 0;
    last = ord_min(ord_min(last, status->delivered_seq), bft_slots_end(core));
    if (core->entries.count == 0 || core->entries.view != core->view || first > last)
        return 0;
    uint64_t seq = peer->again_seq >= first && peer->again_seq < last ? peer->again_seq + 1 : first;
    for (; seq <= last && seqs < BFT_ANSWER_SEQS_MAX / 2; seq++) {
        const struct bft_slot *slot = bft_slot_find(core, seq);
        peer->again_seq = seq;
        if (slot == NULL || slot->state == BFT_SLOT_EMPTY || slot->view != core->view || in_flight(core, slot))
            continue;
        seqs++;
        /* The answer gets no PRE-PREPARE, because the peer has delivered the batch. */
        (void) answer_add(core, answer, status, slot);
    }
    return seqs;
}

/* Whether the peer says something else than in its last STATUS, or says anything again after it was not heard. */
static bool is_news(const struct ord_core *core, const struct bft_peer *peer, const struct bft_status *status) {
    const struct bft_status *last = &peer->status;
    return core->now_ms >= peer->shown_ms + SHOWN_MS || status->view != last->view || status->mood != last->mood ||
           status->delivered_seq != last->delivered_seq || status->stable_seq != last->stable_seq ||
           status->changes != last->changes || memcmp(status->held, last->held, sizeof(status->held)) != 0;
}

static void note(struct ord_core *core, const struct bft_status *status) {
    struct bft_peer *peer = &core->peers[status->sender];
    peer->status = *status;
    peer->shown_view = status->view;
    peer->shown_ms = core->now_ms;
    peer->hands_over = status->mood == BFT_HANDS_OVER;
    peer->suspects = status->mood == BFT_SUSPECTS || status->mood == BFT_GIVES_UP || peer->hands_over;
    if (status->delivered_seq != peer->delivered_seq || peer->delivered_ms == 0) {
        peer->delivered_seq = status->delivered_seq;
        peer->delivered_ms = core->now_ms;
    }
}

static enum ord_err answer_status(struct ord_core *core, const struct bft_status *status) {
    struct bft_peer *peer = &core->peers[status->sender];
    if (status->view < core->view || (status->view == core->view && bft_mood_changing(status->mood))) {
        bft_answer_view(core, status);
        return ORD_OK;
    }
    if (status->view > core->view || core->changing || !bft_speaks(core) || status->mood == BFT_SILENT) {
        ORD_MARK_IF(status->view > core->view, STATUS_OF_LATER_VIEW);
        /* If this replica is behind, its own STATUS brings the answers that it needs. */
        return bft_drop(core);
    }
    uint64_t shown_seq = shown_by(status);
    if (core->now_ms < peer->answer_ms) {
        ORD_MARK(ANSWER_TOO_SOON);
        peer->shown_seq = shown_seq;
        return ORD_OK;
    }
    const struct bft_vote_list prepares = {.type = BFT_PREPARE, .view = core->view, .sender = core->config.self};
    const struct bft_vote_list commits = {.type = BFT_COMMIT, .view = core->view, .sender = core->config.self};
    struct answer answer = {.prepares = prepares, .commits = commits};
    uint64_t seq = status->delivered_seq > core->stable_seq ? status->delivered_seq : core->stable_seq;
    /* The peer takes nothing beyond its window. */
    uint64_t last = ord_min(status->stable_seq + core->config.window, bft_slots_end(core));
    uint64_t seqs = answer_entries(core, &answer, status);
    for (seq++; seq <= last && seqs < BFT_ANSWER_SEQS_MAX; seq++) {
        const struct bft_slot *slot = bft_slot_find(core, seq);
        if (slot == NULL || slot->state == BFT_SLOT_EMPTY || slot->view != core->view || in_flight(core, slot))
            continue;
        seqs++;
        if (!answer_add(core, &answer, status, slot))
            break;
    }
    uint64_t sent = answer.pre_prepare_count;
    if (answer.prepares.count > 0) {
        enum ord_err err = bft_sign_list(core, &answer.prepares);
        if (err != ORD_OK)
            return err;
        bft_send(core, ord_replica_bit(status->sender), bft_outbox_list(core, &answer.prepares), true);
        sent++;
    }
    if (answer.commits.count > 0) {
        bft_send(core, ord_replica_bit(status->sender), bft_outbox_list(core, &answer.commits), true);
        sent++;
    }
    peer->shown_seq = shown_seq;
    if (sent > 0) {
        peer->answer_ms = core->now_ms + core->config.retransmit_ms / 2;
        core->retransmissions += sent;
    }
    return ORD_OK;
}

enum ord_err bft_on_status(struct ord_core *core, const struct bft_status *status) {
    struct bft_peer *peer = &core->peers[status->sender];
    const struct bft_peer before = *peer;
    note(core, status);
    enum ord_err err = answer_status(core, status);
    if (err != ORD_OK) {
        /* The signer failed. A step that fails changes nothing. */
        *peer = before;
        return err;
    }
    if (is_news(core, &before, status))
        bft_changed(core);
    bft_suspect_check(core);
    return ORD_OK;
}

void bft_on_tick(struct ord_core *core) {
    look(core);
    bft_silence_tick(core);
    bft_sync_check(core);
    bft_suspect_check(core);
    if (core->now_ms >= status_deadline(core))
        bft_send_status(core);
}

void bft_wake(struct ord_core *core) {
    look(core);
    uint64_t deadline = core->silence.asking ? UINT64_MAX : status_deadline(core);
    deadline = ord_min(deadline, bft_silence_deadline(core));
    deadline = ord_min(deadline, ord_min(bft_sync_deadline(core), bft_suspect_deadline(core)));
    deadline = ord_min(deadline, bft_fetch_deadline(core));
    bool over = bft_view_over(core) && core->applied_seq < core->delivered_seq && bft_speaks(core);
    if (core->next_view > core->view || core->look_again || over)
        /* A turn takes one step of a view change, and more are due. A view that is over ends with the next APPLIED. */
        deadline = core->now_ms;
    if (core->wake_ms != 0 && core->wake_ms > core->now_ms && core->wake_ms <= deadline)
        /* The TICK comes early, and the core asks again then. */
        return;
    core->wake_ms = deadline;
    bft_effect(core, ORD_EFFECT_WAKE_AT)->wake.at_ms = deadline;
}
