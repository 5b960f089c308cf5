/*
 * Stable checkpoints and falling behind: OSDI'99, section 4.3, and TOCS'02, section 6.2. The node gathers the attestations;
 * a certificate of them makes a seq stable here (what is at or below it is dropped) or tells that we are behind it. The
 * certificate of the stable seq is kept: a VIEW-CHANGE proves with it where this replica's window begins.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"
#include "core/assert.h"

void bft_checkpoint_set(struct bft_checkpoint *checkpoint, uint64_t seq, struct ord_span certificate) {
    checkpoint->seq = seq;
    checkpoint->size = certificate.size;
    if (certificate.size > 0) /* no certificate has no address */
        memmove(checkpoint->bytes, certificate.data, certificate.size);
}

static struct ord_span proof_of(const struct bft_checkpoint *checkpoint) {
    return ord_span_of(checkpoint->bytes, checkpoint->size);
}

/* Everything up to `seq`, which was delivered or brought by state transfer, is proven: the window moves. */
static void stabilize(struct ord_core *core, uint64_t seq, struct ord_span certificate) {
    /* Of earlier views there may be records that no slot knows of. */
    bool logged = core->view > 0;
    bool certified = core->view > 0;
    for (uint64_t s = core->stable_seq + 1; s <= seq && s - core->stable_seq <= core->config.window; s++) {
        struct bft_slot *slot = bft_slot_find(core, s);
        if (slot == NULL)
            continue;
        logged = logged || slot->logged;
        certified = certified || slot->certificate_size > 0;
        bft_slot_release(core, slot);
    }
    core->stable_seq = seq;
    bft_checkpoint_set(&core->stable, seq, certificate);
    bft_persist(core, BFT_TABLE_CHECKPOINT, 1, proof_of(&core->stable));
    static const enum bft_table tables[] = {BFT_TABLE_LOG, BFT_TABLE_CERTIFICATE};
    const bool there[] = {logged, certified};
    for (size_t i = 0; i < 2; i++) {
        if (!there[i])
            continue;
        struct ord_effect *effect = bft_effect(core, ORD_EFFECT_FORGET);
        effect->forget.table = (uint8_t) tables[i];
        effect->forget.key = seq;
    }
    if (bft_speaks(core))
        bft_open_entries(core);
}

void bft_targets_check(struct ord_core *core) {
    const struct bft_checkpoint *reached = core->attested.seq <= core->delivered_seq ? &core->attested : &core->target;
    ORD_MARK_IF(reached->seq > core->stable_seq && reached->seq <= core->delivered_seq, STABLE_LATE);
    if (reached->seq > core->stable_seq && reached->seq <= core->delivered_seq)
        stabilize(core, reached->seq, proof_of(reached));
    if (core->target.seq <= core->delivered_seq && core->attested.seq > core->delivered_seq) {
        ORD_MARK(TARGET_NEXT);
        bft_checkpoint_set(&core->target, core->attested.seq, proof_of(&core->attested));
        core->target_since_ms = core->now_ms;
    }
}

enum ord_err bft_on_attested(struct ord_core *core, uint64_t seq, struct ord_span certificate) {
    if (seq == 0 || seq > BFT_SEQ_MAX || certificate.size == 0 ||
        certificate.size > core->options->checkpoints.size_max)
        return ORD_ERR_INVALID;
    if (seq <= core->delivered_seq) {
        if (seq > core->stable_seq)
            stabilize(core, seq, certificate);
        return ORD_OK;
    }
    if (core->target.seq <= core->delivered_seq) {
        bft_checkpoint_set(&core->target, seq, certificate);
        core->target_since_ms = core->now_ms;
    } else if (seq < core->target.seq) {
        ORD_MARK(TARGET_NEARER);
        bft_checkpoint_set(&core->target, seq, certificate);
    }
    if (seq > core->attested.seq)
        bft_checkpoint_set(&core->attested, seq, certificate);
    bft_sync_check(core);
    return ORD_OK;
}

uint64_t bft_sync_deadline(const struct ord_core *core) {
    if (core->attested.seq <= core->delivered_seq)
        return UINT64_MAX;
    uint64_t due = core->target_since_ms;
    if (bft_in_window(core, core->attested.seq) && !core->silence.silent)
        due += 2 * (uint64_t) core->config.retransmit_ms; /* the others may still bring us there */
    return due > core->sync_after_ms ? due : core->sync_after_ms;
}

void bft_sync_check(struct ord_core *core) {
    if (core->now_ms < bft_sync_deadline(core))
        return;
    ORD_MARK_IF(!bft_in_window(core, core->attested.seq), SYNC_BEYOND_WINDOW);
    ORD_MARK_IF(bft_in_window(core, core->attested.seq), SYNC_OVERDUE);
    core->sync_after_ms = core->now_ms + 4 * (uint64_t) core->config.retransmit_ms;
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_SYNC);
    effect->sync.seq = core->attested.seq;
    effect->sync.certificate = proof_of(&core->attested);
}

enum ord_err bft_on_synced(struct ord_core *core, uint64_t seq, struct ord_span certificate) {
    if (seq == 0 || seq > BFT_SEQ_MAX || certificate.size == 0 ||
        certificate.size > core->options->checkpoints.size_max)
        return ORD_ERR_INVALID;
    core->sync_after_ms = core->now_ms;
    core->synced_ms = core->now_ms;
    if (seq > core->delivered_seq) {
        core->delivered_seq = seq;
        core->useful_seq = seq;
        core->useless = 0;
        core->moved_ms = core->now_ms;
        core->progress_ms = core->now_ms;
        if (seq > core->proposed_seq)
            core->proposed_seq = seq;
        if (seq >= core->next_seq)
            core->next_seq = seq + 1;
        stabilize(core, seq, certificate);
        ORD_MARK_IF(bft_slot_find(core, seq + 1) != NULL, SYNCED_INTO_WINDOW);
        bft_deliver(core);
        bft_targets_check(core);
    }
    bft_sync_check(core);
    return ORD_OK;
}
