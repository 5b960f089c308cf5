/*
 * FETCH: asks for batches by digest, namely for those that a new view proposes again and that this replica lacks, and
 * answers others that ask. One peer is asked at a time. body.c takes the answers.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

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
    return core->fetch_since_ms == 0 || core->silence.silent ? UINT64_MAX : core->fetch_ms;
}

void bft_fetch_check(struct ord_core *core) {
    if (core->fetch_since_ms == 0 || core->now_ms < core->fetch_ms)
        return;
    struct bft_vote_list *list = &core->list;
    *list = (struct bft_vote_list) {.type = BFT_FETCH, .view = core->view, .sender = core->config.self};
    uint64_t seq = core->stable_seq;
    for (const struct bft_slot *slot; list->count < BFT_LIST_MAX && (slot = bft_slot_next(core, &seq)) != NULL;)
        if (slot->wanted)
            list->votes[list->count++] = (struct bft_vote) {.seq = seq, .digest = slot->wanted_digest};
    /* State transfer has passed the seqs that were wanted. */
    if (list->count == 0) {
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
    /* One peer is asked at a time, so a round of all of them takes as long as another repeat would. */
    uint64_t round_ms = bft_repeat_ms(core, core->now_ms, 0);
    core->fetch_ms =
        core->now_ms + ord_max(core->config.retransmit_ms / 2 + 1, round_ms / (core->config.replica_count - 1));
    /* A new primary may have to do without this batch. */
    core->look_again = true;
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
        if (!bft_budget_spend(core, list->sender, slot->message_size))
            break;
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
