/*
 * Handing over: a primary that is about to stop, or whose disk is full, lets another replica lead before any timer runs
 * out. This is not in the papers. The primary gives up its place in the same way as a suspected primary loses it.
 *
 * The primary proposes nothing more in its view, suspects itself, and says in each STATUS that it hands over. A backup
 * that hears this from the primary of its own view suspects it at once and says so in its STATUS. When f + 1 replicas
 * suspect, they leave the view as always (suspect.c). Like a scheduled view change, this one doubles no timeout. The
 * VIEW-CHANGEs carry over what is in flight. A liar may hand over whenever it leads, and late, so this primary has less
 * time in its next views, like others whose views failed (failed.c). That costs an honest one little: only f + 1
 * suspects replace it, and it has the whole time again after a few terms.
 *
 * A primary whose own clocks have run out also suspects itself (suspect.c), but it does not hand over. Where the
 * network is slower than the timeout, every primary comes to suspect itself. If those views did not count as failed,
 * the timeouts would never double.
 *
 * A primary hands over at the moment when it learns that its storage is gone. A disk that merely stays full does not
 * make it hand over again: if it leads once more, the others' clocks replace it. Otherwise replicas whose disks are all
 * full would change views without end.
 */
#include "bft/bft_internal.h"

void bft_on_hand_over(struct ord_core *core) {
    if (bft_leader(core) != core->config.self || core->detail.handing_over)
        return;
    core->detail.handing_over = true;
    core->detail.suspecting = true;
    core->detail.has_reason = true;
    bft_send_status(core);
    bft_suspect_check(core); /* others may already suspect this primary */
}
