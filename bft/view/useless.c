/*
 * A primary that endlessly orders batches that change nothing, such as void cut markers or envelopes that were executed
 * before. It is neither slow nor mute, and no clock runs while nothing waits. But every batch costs all replicas votes
 * and disk.
 *
 * An honest primary proposes what is of use in the state that it has executed. Batches in flight change that state only
 * if they are of use themselves. So a useless batch of an honest primary was proposed before the last useful one was
 * executed, and there is at most a window of such batches. Batches that a NEW-VIEW proposes again are not counted,
 * because null batches and batches that an earlier view ordered twice are not the primary's fault.
 *
 * A transfer hides which seqs were of use. If the state after it is the one before it, none was. Otherwise the last one
 * may have been, and this replica counts from there.
 */
#include "bft/bft_internal.h"

void bft_useless_applied(struct ord_core *core, uint64_t seq, uint64_t useful_seq) {
    core->useful_seq = ord_max(core->useful_seq, useful_seq);
    uint64_t begin = ord_max(core->useful_seq, core->entries.base_seq + core->entries.count);
    core->useless = seq > begin ? seq - begin : 0;
}

bool bft_useless_many(const struct ord_core *core) {
    return core->useless > core->config.window;
}
