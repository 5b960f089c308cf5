/*
 * Scheduled rotation: a view ends after so many seqs, `decisions_per_leader`, and the next one follows without anybody's being
 * suspected. Not in the papers; after SmartBFT's DecisionsPerLeader.
 *
 * Counted from what the view's NEW-VIEW proposes again, so all replicas agree on the view's last seq: an honest primary proposes
 * nothing beyond it, and no backup takes it. Who has delivered it wants the next view: then nothing is in flight, and the
 * next view has nothing but decided batches to propose again, no null batch among them. This view change counts as no failed view.
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
