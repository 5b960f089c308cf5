/*
 * Falling behind: OSDI'99, section 4.3, and TOCS'02, section 6.2. A certificate of attestations makes a seq stable if
 * this replica has delivered it. Otherwise it shows that this replica is behind. The others may still bring it to that
 * seq by retransmission; if they do not in time, state transfer does.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

enum ord_err bft_on_attested(struct ord_core *core, uint64_t seq, struct ord_span certificate) {
    if (seq == 0 || seq > BFT_SEQ_MAX || certificate.size == 0 ||
        certificate.size > core->options->checkpoints.size_max)
        return ORD_ERR_INVALID;
    if (seq <= core->delivered_seq) {
        if (seq > core->stable_seq)
            bft_stabilize(core, seq, certificate);
        return ORD_OK;
    }
    if (core->target.seq <= core->delivered_seq) {
        bft_checkpoint_set(&core->target, seq, certificate);
        core->target_since_ms = core->now_ms;
    } else if (seq < core->target.seq) {
        ORD_MARK(TARGET_NEARER);
        bft_checkpoint_set(&core->target, seq, certificate);
    }
    if (seq > core->attested.seq) {
        bft_checkpoint_set(&core->attested, seq, certificate);
        bft_changed(core);
    }
    bft_sync_check(core);
    return ORD_OK;
}

uint64_t bft_sync_deadline(const struct ord_core *core) {
    if (!bft_behind(core))
        return UINT64_MAX;
    uint64_t due = core->target_since_ms;
    if (bft_in_window(core, core->attested.seq) && !core->silence.silent)
        /* The others may still bring this replica there. */
        due += 2 * (uint64_t) core->config.retransmit_ms;
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
    effect->sync.certificate = bft_checkpoint_proof(&core->attested);
}

enum ord_err bft_on_synced(struct ord_core *core, const struct ord_event *event) {
    const uint64_t seq = event->synced.seq;
    const uint64_t stable_seq = event->synced.stable_seq;
    const struct ord_span certificate = event->synced.certificate;
    if (seq == 0 || seq > BFT_SEQ_MAX || stable_seq > seq || (stable_seq == 0) != (certificate.size == 0) ||
        certificate.size > core->options->checkpoints.size_max ||
        seq > ord_max(core->stable_seq, stable_seq) + core->config.window)
        return ORD_ERR_INVALID;
    bool moved = seq > core->delivered_seq;
    bft_pass_over(core, seq, event->synced.pass_over);
    core->sync_after_ms = core->now_ms;
    if (moved) {
        core->delivered_seq = seq;
        bft_useless_applied(core, seq, event->synced.unchanged ? 0 : seq);
        core->moved_ms = core->now_ms;
        core->progress_ms = core->now_ms;
        core->proposed_seq = ord_max(core->proposed_seq, seq);
        core->next_seq = ord_max(core->next_seq, seq + 1);
    }
    /*
     * Above the stable seq the slots stay: what this replica said of them still binds it, and the others may need its
     * votes. It prepared none of the seqs that it passed by, and its VIEW-CHANGE does not claim so.
     */
    ORD_MARK_IF(moved && stable_seq < seq, SYNCED_ABOVE_STABLE);
    if (stable_seq > core->stable_seq)
        bft_stabilize(core, stable_seq, certificate);
    if (moved) {
        ORD_MARK_IF(bft_slot_find(core, seq + 1) != NULL, SYNCED_INTO_WINDOW);
        bft_deliver(core);
        bft_targets_check(core);
    }
    bft_sync_check(core);
    return ORD_OK;
}
