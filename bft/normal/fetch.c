/*
 * Batches by digest: what a new view proposes again and this replica has not. OSDI'99, section 4.4, has them come from the
 * clients or other replicas. One peer is asked at a time; what comes must have the digest.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"
#include "core/assert.h"

void bft_want(struct ord_core *core, struct bft_slot *slot, const struct ord_hash *digest, ord_replica_set from) {
    slot->wanted = true;
    slot->wanted_digest = *digest;
    core->fetch_set |= from & core->others;
    if (core->fetch_since_ms != 0)
        return;
    core->fetch_since_ms = core->now_ms > 0 ? core->now_ms : 1;
    core->fetch_ms = core->now_ms;
    core->fetch_from = bft_primary(&core->config, core->view);
}

static ord_node_id after(const struct ord_core *core, ord_node_id node) {
    return node + 1 < core->config.replica_count ? node + 1 : 0;
}

uint64_t bft_fetch_deadline(const struct ord_core *core) {
    return core->fetch_since_ms == 0 || !bft_speaks(core) ? UINT64_MAX : core->fetch_ms;
}

void bft_fetch_check(struct ord_core *core) {
    if (core->fetch_since_ms == 0 || core->now_ms < core->fetch_ms)
        return;
    struct bft_vote_list *list = &core->list;
    *list = (struct bft_vote_list) {.type = BFT_FETCH, .view = core->view, .sender = core->config.self};
    for (uint64_t seq = core->stable_seq + 1; bft_in_window(core, seq) && list->count < BFT_LIST_MAX; seq++) {
        const struct bft_slot *slot = bft_slot_find(core, seq);
        if (slot != NULL && slot->wanted)
            list->votes[list->count++] = (struct bft_vote) {.seq = seq, .digest = slot->wanted_digest};
    }
    if (list->count == 0) { /* state transfer has passed them */
        ORD_MARK(FETCH_PASSED);
        core->fetch_since_ms = 0;
        core->look_again = true;
        return;
    }
    for (uint32_t i = 0; i < core->config.replica_count && (core->fetch_set & ord_replica_bit(core->fetch_from)) == 0;
         i++)
        core->fetch_from = after(core, core->fetch_from);
    if ((core->fetch_set & ord_replica_bit(core->fetch_from)) == 0)
        core->fetch_from = after(core, core->config.self);
    ORD_MARK_IF(core->now_ms > core->fetch_since_ms, FETCH_NEXT_PEER);
    bft_send(core, ord_replica_bit(core->fetch_from), bft_outbox_list(core, list), false);
    core->fetch_from = after(core, core->fetch_from);
    core->fetch_ms = core->now_ms + core->config.retransmit_ms / 2 + 1;
    core->look_again = true; /* a new primary may have to do without */
}

void bft_on_fetch(struct ord_core *core, const struct bft_vote_list *list) {
    struct bft_peer *peer = &core->peers[list->sender];
    if (core->now_ms < peer->fetch_ms) {
        ORD_MARK(FETCH_TOO_SOON);
        core->messages_dropped++;
        return;
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < list->count && bytes < BFT_ANSWER_BYTES_MAX; i++) {
        const struct bft_slot *slot = bft_slot_find(core, list->votes[i].seq);
        if (slot == NULL || slot->message == NULL || !ord_hash_equal(&slot->digest, &list->votes[i].digest))
            continue;
        struct bft_body_message message = {
            .view = core->view, .sender = core->config.self, .seq = slot->seq, .body = bft_slot_body(slot)};
        uint8_t header[BFT_BODY_SIZE];
        bft_body_encode(header, &core->config, &message);
        bft_send_with(core, ord_replica_bit(list->sender), bft_outbox_copy(core, header, sizeof(header)), message.body);
        bytes += message.body.size;
    }
    if (bytes > 0) {
        peer->fetch_ms = core->now_ms + core->config.retransmit_ms / 4;
        core->retransmissions++;
    }
}

/* Room for what is wanted; batches of earlier views that nothing vouches for give way. */
static bool make_room(struct ord_core *core, struct bft_slot *slot, size_t size) {
    uint64_t bytes_max = 2 * core->config.body_bytes_max;
    if (bft_slot_alloc(core, slot, size, bytes_max))
        return true;
    for (uint64_t seq = core->stable_seq + 1; bft_in_window(core, seq); seq++) {
        struct bft_slot *other = bft_slot_find(core, seq);
        if (other == NULL || other == slot || other->state != BFT_SLOT_HELD || other->certificate_size > 0 ||
            seq <= core->delivered_seq)
            continue;
        bft_slot_drop_body(core, other);
        if (bft_slot_alloc(core, slot, size, bytes_max))
            return true;
    }
    return false;
}

/* As a PRE-PREPARE of its view, which is what a LOG record is; nobody looks at the signature of one's own record. */
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
}

/*
 * The new primary takes the batch together with the certificate that vouches for it. If it holds a certificate for another, that
 * is of an earlier view, and the later one proves that it was not decided (choose.c).
 */
static void adopt(struct ord_core *core, struct bft_slot *slot, struct ord_span body) {
    if (!core->choices_fresh) {
        struct bft_change_set changes = bft_changes_of(core, bft_changes_held(core) & ~core->distrusted);
        bft_choose(core, &changes, &core->choice_base_seq, &core->choice_count);
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
    slot->proof = bft_proof_alone(&(struct ord_signature) {{0}}); /* the old one's is of another batch */
    if (!make_room(core, slot, body.size))
        return;
    put(core, slot, body);
    memcpy(slot->certificate, choice->certificate.data, choice->certificate.size);
    slot->certificate_size = choice->certificate.size;
    bft_slot_log(core, slot);
    bft_persist(core, BFT_TABLE_CERTIFICATE, slot->seq, ord_span_of(slot->certificate, slot->certificate_size));
    core->look_again = true;
}

enum ord_err bft_on_body(struct ord_core *core, const struct ord_verified *verified) {
    struct bft_body_message message;
    enum ord_err err = bft_body_decode(&message, &core->config, verified->bytes);
    if (err != ORD_OK)
        return err;
    struct bft_slot *slot = bft_slot_find(core, message.seq);
    if (slot == NULL || !slot->wanted || !ord_hash_equal(&slot->wanted_digest, &verified->digest)) {
        ORD_MARK(BODY_UNWANTED);
        core->messages_dropped++;
        return ORD_OK;
    }
    if (core->changing) {
        adopt(core, slot, message.body);
        return ORD_OK;
    }
    if (slot->state != BFT_SLOT_AWAITING) { /* it was wanted for a view that this replica, silent since, did not make */
        slot->wanted = false;
        core->messages_dropped++;
        return ORD_OK;
    }
    if (!make_room(core, slot, message.body.size)) {
        core->messages_dropped++;
        return ORD_OK;
    }
    ORD_MARK(BODY_OF_ENTRY);
    put(core, slot, message.body);
    bft_accept_entry(core, slot);
    bft_slot_advance(core, slot);
    return ORD_OK;
}
