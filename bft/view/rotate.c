/*
 * Scheduled rotation: a view ends after `decisions_per_leader` seqs, and another one follows although nobody is
 * suspected. This is not in the papers. It is after SmartBFT's DecisionsPerLeader.
 *
 * The count begins after what the view's NEW-VIEW proposes again, so all replicas agree on the view's last seq. An
 * honest primary proposes nothing beyond it, and no backup accepts anything beyond it. A replica that has executed it
 * wants the view that follows. Then nothing is in flight, so that view proposes only decided batches again and no null
 * batch. This view change does not count as a failed view.
 *
 * Which view follows depends on decided data alone. The first batch that a primary proposes in its view names the view,
 * so the executed state tells whose views failed lately (channel/progress.h), and APPLIED gives the replicas whose turn
 * is passed over. All replicas that executed the view's last seq have the same set, and go to the first later view
 * whose primary is not in it. A replica that was brought beyond that seq has a newer set. It goes to the very next
 * view, which is never beyond that of the others, and they bring it on from there. Safety does not depend on any of
 * this, because a VIEW-CHANGE may name any later view.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

/* The last seq that the installed view proposes again. */
static uint64_t begin_seq(const struct ord_core *core) {
    return core->entries.base_seq + core->entries.count;
}

uint64_t bft_view_end(const struct ord_core *core) {
    const uint32_t decisions = core->options->decisions_per_leader;
    return decisions == 0 ? UINT64_MAX : begin_seq(core) + decisions;
}

bool bft_names_view(const struct ord_core *core, uint64_t seq) {
    return core->options->decisions_per_leader > 0 && seq == begin_seq(core) + 1;
}

void bft_pass_over(struct ord_core *core, uint64_t seq, ord_replica_set pass_over) {
    if (seq < core->applied_seq)
        return;
    core->applied_seq = seq;
    core->pass_over = pass_over;
}

bool bft_view_over(const struct ord_core *core) {
    return !core->changing && core->delivered_seq >= bft_view_end(core);
}

uint64_t bft_rotation_view(const struct ord_core *core) {
    if (!bft_view_over(core) || core->applied_seq < core->delivered_seq)
        return 0;
    const uint64_t next = core->view + 1;
    if (core->applied_seq > bft_view_end(core))
        return next;
    for (uint64_t view = next; view - next < core->config.replica_count; view++)
        if ((core->pass_over & ord_replica_bit(bft_primary(&core->config, view))) == 0)
            return view;
    return next; /* the node passes over f replicas at most */
}

void bft_rotate_check(struct ord_core *core) {
    uint64_t view = bft_rotation_view(core);
    ORD_MARK_IF(view > core->view + 1, ROTATION_PASSES_OVER);
    if (view == 0)
        return;
    bft_next_view_raise(core, view);
    if (view == core->next_view) {
        core->rotation.from = core->view;
        core->rotation.to = view;
    }
}

bool bft_on_schedule(const struct ord_core *core, uint64_t view) {
    return view == bft_rotation_view(core) || (core->rotation.from == core->view && core->rotation.to == view);
}
