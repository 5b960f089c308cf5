/*
 * Stable checkpoints and falling behind: OSDI'99, section 4.3, and TOCS'02, section 6.2. The node gathers the attestations;
 * a certificate of them makes a seq stable here (what is at or below it is dropped) or tells that we are behind it.
 */
#include "bft/bft_internal.h"

/* Everything up to `seq`, which was delivered or brought by state transfer, is proven: the window moves. */
static void stabilize(struct ord_core *core, uint64_t seq) {
    bool logged = false;
    bool certified = false;
    for (uint64_t s = core->stable_seq + 1; s <= seq && s - core->stable_seq <= core->config.window; s++) {
        struct bft_slot *slot = bft_slot_find(core, s);
        if (slot == NULL)
            continue;
        logged = logged || slot->logged;
        certified = certified || slot->prepared;
        bft_slot_release(core, slot);
    }
    core->stable_seq = seq;
    static const enum bft_table tables[] = {BFT_TABLE_LOG, BFT_TABLE_CERTIFICATE};
    const bool there[] = {logged, certified};
    for (size_t i = 0; i < 2; i++) {
        if (!there[i])
            continue;
        struct ord_effect *effect = bft_effect(core, ORD_EFFECT_FORGET);
        effect->forget.table = (uint8_t) tables[i];
        effect->forget.key = seq;
    }
}

void bft_targets_check(struct ord_core *core) {
    uint64_t reached = core->attested_seq <= core->delivered_seq ? core->attested_seq : core->target_seq;
    if (reached > core->stable_seq && reached <= core->delivered_seq)
        stabilize(core, reached);
    if (core->target_seq <= core->delivered_seq && core->attested_seq > core->delivered_seq) {
        core->target_seq = core->attested_seq;
        core->target_since_ms = core->now_ms;
    }
}

enum ord_err bft_on_attested(struct ord_core *core, uint64_t seq) {
    if (seq > BFT_SEQ_MAX)
        return ORD_ERR_INVALID;
    if (seq <= core->delivered_seq) {
        if (seq > core->stable_seq)
            stabilize(core, seq);
        return ORD_OK;
    }
    if (core->target_seq <= core->delivered_seq) {
        core->target_seq = seq;
        core->target_since_ms = core->now_ms;
    } else if (seq < core->target_seq) {
        core->target_seq = seq;
    }
    if (seq > core->attested_seq)
        core->attested_seq = seq;
    bft_sync_check(core);
    return ORD_OK;
}

uint64_t bft_sync_deadline(const struct ord_core *core) {
    if (core->attested_seq <= core->delivered_seq)
        return UINT64_MAX;
    uint64_t due = core->target_since_ms;
    if (bft_in_window(core, core->attested_seq))
        due += 2 * (uint64_t) core->config.retransmit_ms; /* the others may still bring us there */
    return due > core->sync_after_ms ? due : core->sync_after_ms;
}

void bft_sync_check(struct ord_core *core) {
    if (core->now_ms < bft_sync_deadline(core))
        return;
    core->sync_after_ms = core->now_ms + 4 * (uint64_t) core->config.retransmit_ms;
    bft_effect(core, ORD_EFFECT_SYNC)->sync.seq = core->attested_seq;
}

enum ord_err bft_on_synced(struct ord_core *core, uint64_t seq) {
    if (seq > BFT_SEQ_MAX)
        return ORD_ERR_INVALID;
    core->sync_after_ms = core->now_ms;
    if (seq > core->delivered_seq) {
        core->delivered_seq = seq;
        core->moved_ms = core->now_ms;
        if (seq > core->proposed_seq)
            core->proposed_seq = seq;
        if (seq >= core->next_seq)
            core->next_seq = seq + 1;
        stabilize(core, seq);
        bft_deliver(core);
        bft_targets_check(core);
    }
    bft_sync_check(core);
    return ORD_OK;
}
