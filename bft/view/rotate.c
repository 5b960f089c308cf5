/*
 * Scheduled rotation: a view ends after `decisions_per_leader` seqs, and the next one follows although nobody is
 * suspected. This is not in the papers. It is after SmartBFT's DecisionsPerLeader.
 *
 * The count begins after what the view's NEW-VIEW proposes again, so all replicas agree on the view's last seq. An
 * honest primary proposes nothing beyond it, and no backup accepts anything beyond it. A replica that has delivered it
 * wants the next view. Then nothing is in flight, so the next view proposes only decided batches again and no null
 * batch. This view change does not count as a failed view.
 */
#include "bft/bft_internal.h"

uint64_t bft_view_end(const struct ord_core *core) {
    uint64_t begin = core->entries.base_seq + core->entries.count;
    return core->options->decisions_per_leader == 0 ? UINT64_MAX : begin + core->options->decisions_per_leader;
}

bool bft_rotation_due(const struct ord_core *core) {
    return !core->changing && core->delivered_seq >= bft_view_end(core);
}

void bft_rotate_check(struct ord_core *core) {
    if (bft_rotation_due(core))
        bft_next_view_raise(core, core->view + 1);
}
