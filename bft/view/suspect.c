/*
 * When the primary is to be replaced: OSDI'99, sections 4.4 and 4.5.2. The timers run only while work waits. They
 * double with every view that fails, and return to their base after a delivery.
 *
 * There are two clocks. The first runs out when work or a proposal waits and nothing at all was delivered for one
 * timeout; it catches a mute primary. The second runs out when the oldest work itself has waited for AGE_FACTOR
 * timeouts; it catches a primary that orders everything but this work (row P7), or empty batches (row P16).
 *
 * No clock runs while this replica knows that it is behind, because state transfer brings what it lacks, whichever
 * replica leads. A clock goes on after the lag from where it stood (lag.c). If the end of a lag restarted it, a primary
 * would make f + 1 backups fall behind in turn, again and again, and none of them would ever suspect it. A transfer
 * that brought something is progress for the first clock, as a delivery is.
 *
 * Waiting behind other work is nobody's lie. So the second clock counts from the work's turn: when it could have been
 * proposed at the rate that the node measured, given what was admitted before it (replica/intake/pace.c). The node
 * bounds how far the turn lies behind the admission, so a primary that pretends to be overloaded gains no more than
 * that. The first clock needs no such allowance, because a primary that is overloaded delivers.
 *
 * In the views of leaders that failed lately, the first clock and that of a view change run for less time (failed.c).
 *
 * A replica whose clocks have run out says so in its STATUS and goes on in the view until 2f + 1 say so. In the paper
 * it leaves alone. Here it does not, because a replica that is merely cut off, or slow itself, would leave a view that
 * works, and the others would be one replica nearer to f. This costs nothing: work that an honest replica waits for is
 * forwarded to all, so all come to suspect a primary that does not serve it.
 *
 * A replica adopts the suspicion of f + 1 others, of which one is honest. Where one honest replica sees 2f + 1, all see
 * the f + 1 honest ones among these, so all adopt the suspicion and leave. With f + 1 in place of 2f + 1, f liars that
 * suspect towards one replica alone would bring it out of a view in which the others go on.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

enum { AGE_FACTOR = 4, DOUBLINGS_MAX = 10 };

static uint64_t timeout_ms(const struct ord_core *core) {
    uint32_t doublings = core->detail.failed_views > 0 ? core->detail.failed_views - 1 : 0;
    return (uint64_t) core->options->request_timeout_ms << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
}

/* When a clock is over that began at begin_ms, runs for wait_ms, and stood while this replica was behind. */
static uint64_t runs_out(const struct ord_core *core, uint64_t begin_ms, uint64_t wait_ms) {
    return begin_ms + wait_ms + bft_lag_after(core, begin_ms);
}

/* When the first of the clocks that run is over; UINT64_MAX: none runs. */
static uint64_t clock_deadline(const struct ord_core *core) {
    const uint64_t wait_ms = bft_failed_wait_ms(core, timeout_ms(core));
    if (core->next_view > core->view || core->view == BFT_SEQ_MAX || !bft_speaks(core))
        /* A view change is already due, or this replica makes none. */
        return UINT64_MAX;
    if (bft_behind(core))
        return UINT64_MAX;
    /* A replica goes further only when a quorum has come to this view. So a late one finds the others in one view. */
    if (core->changing)
        return core->quorum_since_ms == 0 ? UINT64_MAX : runs_out(core, core->quorum_since_ms, wait_ms);
    uint64_t due = UINT64_MAX;
    /* A proposal that this replica has is work that waits, whoever asked for it. */
    if (core->proposed_seq > core->delivered_seq)
        due = runs_out(core, ord_max(ord_max(core->view_since_ms, core->in_flight_ms), core->progress_ms), wait_ms);
    if (core->work_since_ms == UINT64_MAX)
        return due;
    uint64_t since = ord_max(core->view_since_ms, core->work_since_ms);
    due = ord_min(due, runs_out(core, ord_max(since, core->progress_ms), wait_ms));
    return ord_min(due, runs_out(core, ord_max(since, core->work_turn_ms), AGE_FACTOR * timeout_ms(core)));
}

uint64_t bft_suspect_deadline(const struct ord_core *core) {
    /* A replica that already suspects waits for others to do so too. */
    return core->detail.suspecting ? UINT64_MAX : clock_deadline(core);
}

/* How many others want another primary than that of this replica's view, or have already left that view. */
static uint32_t others_suspect(const struct ord_core *core) {
    uint32_t count = 0;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        const struct bft_peer *peer = &core->peers[node];
        bool here = peer->shown_view == core->view && peer->suspects;
        if (node != core->config.self &&
            (core->changes[node].view > core->view || peer->shown_view > core->view || here))
            count++;
    }
    return count;
}

bool bft_view_failed(const struct ord_core *core) {
    uint32_t count = 0;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        count += node != core->config.self && core->peers[node].shown_view == core->view && core->peers[node].suspects;
    return core->detail.has_reason || count >= core->weak_quorum;
}

/* Whether this replica has a reason of its own. */
static bool has_reason(const struct ord_core *core) {
    return core->now_ms >= clock_deadline(core) ||
           (!core->changing && (bft_handed_over(core) || bft_ratchet_slow(core) || bft_useless_many(core)));
}

void bft_suspect_check(struct ord_core *core) {
    if (!bft_speaks(core))
        return;
    uint32_t others = others_suspect(core);
    bool reason = has_reason(core);
    /*
     * A view change has its whole time, whatever others say: those that are further are followed by their VIEW-CHANGEs
     * (bft_join), not view by view. A view that this replica leaves anyway is none to find fault with.
     */
    bool adopted = !core->changing && core->next_view <= core->view && others >= core->weak_quorum;
    bool due = reason || adopted;
    bool changed = due != core->detail.suspecting;
    /* Of 2f + 1, f + 1 are honest: all others hear these, and adopt the suspicion. */
    uint32_t enough = core->changing ? core->weak_quorum : 2 * core->weak_quorum - 1;
    core->detail.suspecting = due;
    core->detail.has_reason = reason;
    if (changed)
        bft_changed(core);
    bool alone = others + 1 < enough;
    ORD_MARK_IF(core->changing && due && !alone, VIEW_FAILED);
    ORD_MARK_IF(core->changing && changed && due && alone, VIEW_FAILED_ALONE);
    ORD_MARK_IF(!core->changing && changed && !due, CONTENT_AGAIN);
    ORD_MARK_IF(!core->changing && changed && due && alone, SUSPECTS_ALONE);
    ORD_MARK_IF(changed && adopted && !reason, SUSPICION_ADOPTED);
    if (due && !alone)
        bft_next_view_raise(core, core->view + 1);
    else if (changed && core->next_view <= core->view)
        /* A suspicion that ends must not count any longer, unless it ends with the view. */
        bft_send_status(core);
}
