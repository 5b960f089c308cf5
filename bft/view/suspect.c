/*
 * When the primary is to be replaced: OSDI'99, section 4.4 and 4.5.2. The timers run only while work waits, double with
 * every view that fails, and are back at their base after a delivery.
 *
 * Two clocks: nothing at all was delivered for request_timeout_ms while work waited, or something that was proposed (a mute
 * primary); and the oldest work itself waits for so many times as long (one that orders anything but this, row P7, or empty
 * batches, row P16). Of those who are known to be behind neither runs: what they lack comes by state transfer, whoever leads.
 *
 * A replica whose clocks are over says so in its STATUS and goes on, until f + 1 say so: one of them is honest. It does not leave
 * alone, as in the paper: whoever is merely cut off, or slow itself, would be out of a view that works, and the others one
 * replica nearer to f. Nothing is lost by it: work that an honest replica waits for is forwarded to all, so all come to
 * suspect a primary that does not serve it. Who is brought out all the same, by liars that suspect to it alone, passes on
 * what its clients ask for (node/forward.c) until the next view change.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

enum { AGE_FACTOR = 4, DOUBLINGS_MAX = 10 };

static uint64_t timeout_ms(const struct ord_core *core) {
    uint32_t doublings = core->failed_views > 0 ? core->failed_views - 1 : 0;
    return (uint64_t) core->options->request_timeout_ms << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
}

/* When the clocks that run are over. */
static uint64_t clock_deadline(const struct ord_core *core) {
    if (core->next_view > core->view || core->view == BFT_SEQ_MAX || !bft_speaks(core))
        return UINT64_MAX; /* under way */
    if (core->attested.seq > core->delivered_seq)
        return UINT64_MAX;
    if (core->changing) /* alone, or with too few, nobody goes further: who comes late finds the others in one view */
        return core->quorum_since_ms == 0 ? UINT64_MAX : core->quorum_since_ms + timeout_ms(core);
    /* What waited while we were behind says nothing of the primary. */
    uint64_t begin = ord_max(core->view_since_ms, core->synced_ms);
    uint64_t due = UINT64_MAX;
    if (core->proposed_seq > core->delivered_seq) /* what it proposed to us is work that waits, whoever asked for it */
        due = ord_max(ord_max(begin, core->in_flight_ms), core->progress_ms) + timeout_ms(core);
    if (core->work_since_ms == UINT64_MAX)
        return due;
    uint64_t since = ord_max(begin, core->work_since_ms);
    due = ord_min(due, ord_max(since, core->progress_ms) + timeout_ms(core));
    return ord_min(due, since + AGE_FACTOR * timeout_ms(core));
}

uint64_t bft_suspect_deadline(const struct ord_core *core) {
    return core->suspecting ? UINT64_MAX : clock_deadline(core); /* else it is for others to follow */
}

/* Who wants another primary than that of our view, or has left it already. */
static uint32_t suspects(const struct ord_core *core) {
    uint32_t count = core->suspecting;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        const struct bft_peer *peer = &core->peers[node];
        if (node != core->config.self && (core->changes[node].view > core->view || peer->shown_view > core->view ||
                                          (peer->shown_view == core->view && peer->suspects)))
            count++;
    }
    return count;
}

void bft_suspect_check(struct ord_core *core) {
    if (!bft_speaks(core))
        return;
    bool due = core->now_ms >= clock_deadline(core) ||
               (!core->changing && (bft_handed_over(core) || bft_ratchet_slow(core) || bft_useless_many(core)));
    if (core->changing) {
        ORD_MARK_IF(due, VIEW_FAILED);
        if (due)
            bft_next_view_raise(core, core->view + 1);
        return;
    }
    bool changed = due != core->suspecting;
    ORD_MARK_IF(changed && !due, CONTENT_AGAIN);
    ORD_MARK_IF(changed && due && suspects(core) < core->weak_quorum, SUSPECTS_ALONE);
    core->suspecting = due;
    if (suspects(core) >= core->weak_quorum)
        bft_next_view_raise(core, core->view + 1);
    else if (changed) /* also that it is content again: its word must not count for longer than it is meant */
        bft_send_status(core);
}
