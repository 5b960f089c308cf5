/*
 * What one peer is sent again is bounded in bytes, however often it asks: batches in answers to STATUS and FETCH, view
 * changes and new views for one that is behind, certificates for one that has restarted. The intervals of these answers
 * alone would allow 20 MB/s and more to each peer, in the place of what is ordered.
 *
 * Invariant: in any time t, a peer is sent again at most BFT_REPEAT_BYTES_MAX, one message more, and t times
 * (FLOOR_BYTES_PER_S + half of what is delivered lately). Liveness needs only that it gets something ever again: as
 * soon as less than BFT_REPEAT_BYTES_MAX is unpaid it gets a whole message, whatever its size, and time pays for that
 * at the floor at least. Each peer has its own, so a liar that asks all the time takes nothing from the others.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

enum {
    FLOOR_BYTES_PER_S = 4 << 20,
    /* Half of what is delivered. */
    DELIVERED_PART = 2,
    /* What was delivered is measured for so long, and counts a quarter less with each such time after that. */
    WINDOW_MS = 1000,
    FADE_PART = 4,
    WINDOWS_MAX = 64,
};

/* Bytes of batches per second that were delivered lately. */
static uint64_t delivered_rate(struct ord_core *core) {
    struct bft_flow *flow = &core->flow;
    uint64_t passed_ms = core->now_ms - flow->since_ms;
    if (passed_ms < WINDOW_MS)
        return flow->rate;
    for (uint64_t i = ord_min(passed_ms / WINDOW_MS, WINDOWS_MAX); i > 0; i--)
        flow->rate -= flow->rate / FADE_PART;
    flow->rate = ord_max(flow->rate, flow->bytes * 1000 / passed_ms);
    flow->bytes = 0;
    flow->since_ms = core->now_ms;
    return flow->rate;
}

void bft_budget_delivered(struct ord_core *core, size_t bytes) {
    (void) delivered_rate(core);
    core->flow.bytes += bytes;
}

bool bft_budget_spend(struct ord_core *core, ord_node_id node, size_t bytes) {
    struct bft_peer *peer = &core->peers[node];
    uint64_t rate = FLOOR_BYTES_PER_S + delivered_rate(core) / DELIVERED_PART;
    uint64_t paid = rate * ord_min(core->now_ms - peer->repeated_ms, (uint64_t) WINDOWS_MAX * WINDOW_MS) / 1000;
    peer->repeated_bytes -= ord_min(paid, peer->repeated_bytes);
    peer->repeated_ms = core->now_ms;
    ORD_MARK_IF(peer->repeated_bytes >= BFT_REPEAT_BYTES_MAX, REPEATS_SPENT);
    if (peer->repeated_bytes >= BFT_REPEAT_BYTES_MAX)
        return false;
    peer->repeated_bytes += bytes;
    return true;
}
