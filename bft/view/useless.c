/*
 * A primary that orders without end what changes nothing: void cut markers, envelopes that were executed before. It is not slow and
 * not mute, and where nothing waits no clock runs; but every batch costs all replicas votes and disk.
 *
 * An honest primary proposes what is of use in the state that it has executed, and what is in flight does not change that unless it is
 * of use itself. So a useless batch of its own was proposed before the last useful one was executed, and of these there are at
 * most a window. What a NEW-VIEW proposes again is nobody's fault: null batches, and what an earlier view ordered twice.
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
