/*
 * Handing over: a primary that is about to stop, or whose disk is full, has another replica lead before anybody's timer
 * runs out. Not in the papers; the place of the primary is given up as a suspected one's is lost.
 *
 * The primary proposes nothing more in its view, suspects itself, and says in each STATUS that it hands over. A backup
 * that hears this of the primary of its own view suspects it at once, and shares that; f + 1 who do leave the view as
 * ever (suspect.c). The view change counts as no failed view, as a scheduled one does not. What is in flight is carried
 * over by the VIEW-CHANGEs.
 *
 * A primary whose own clocks are over suspects itself too (suspect.c), but does not hand over: where the network is
 * slower than the timeout, every primary comes to suspect itself, and if those views did not count as failed the
 * timeouts would never double.
 *
 * Only the news that storage is gone makes a primary hand over. A replica whose disk is still full when it comes to lead
 * again is replaced by the others' clocks: otherwise replicas whose disks are all full would change views without end.
 */
#include "bft/bft_internal.h"

void bft_on_hand_over(struct ord_core *core) {
    if (bft_leader(core) != core->config.self || core->handing_over)
        return;
    core->handing_over = true;
    core->suspecting = true;
    bft_send_status(core);
    bft_suspect_check(core); /* others may suspect it already */
}
