/*
 * A primary that is not mute but slow (row P3): it must not fall far behind what the recent views gave. After Aardvark (Clement et
 * al., NSDI'09, section 4.4): what is expected of a primary follows from what others delivered.
 *
 * Measured in windows of twice request_timeout_ms: how long envelopes stood in this replica's request pool before they were
 * executed, and how many were executed a second. A window is slow when envelopes waited several times as long as in the best
 * window of recent views, *and* far fewer were executed than in the best one: under overload the wait grows, but not the
 * rate falls, and another primary would do no better. Two slow windows in a row make a primary suspect.
 */
#include "bft/bft_internal.h"

#include "core/mark.h"

enum {
    WINDOW_TIMEOUTS = 2,
    WAITS_MIN = 2,       /* envelopes that make a window count */
    WAIT_FACTOR = 8,     /* times the best wait */
    WAIT_FLOOR_PART = 4, /* of request_timeout_ms: no shorter wait is slow */
    FIRST_NUMERATOR = 3, /* of request_timeout_ms: what is expected before anything was measured */
    FIRST_DENOMINATOR = 32,
    RATE_PART = 2, /* of the best rate: not below */
    SLOW_WINDOWS = 2,
};

static void window_begin(struct ord_core *core) {
    struct bft_ratchet *ratchet = &core->ratchet;
    ratchet->since_ms = core->now_ms;
    ratchet->envelopes = 0;
    ratchet->waits = 0;
    ratchet->wait_sum_ms = 0;
}

void bft_ratchet_view(struct ord_core *core) {
    struct bft_ratchet *ratchet = &core->ratchet;
    if (ratchet->own.measured) {
        ratchet->views[ratchet->view_next % core->config.replica_count] = ratchet->own;
        ratchet->view_next++;
    }
    ratchet->own = (struct bft_pace) {.measured = false};
    ratchet->good = ratchet->own;
    ratchet->slow_windows = 0;
    window_begin(core);
}

static void take_best(struct bft_pace *best, const struct bft_pace *pace) {
    if (!pace->measured)
        return;
    if (!best->measured || pace->wait_ms < best->wait_ms)
        best->wait_ms = pace->wait_ms;
    if (!best->measured || pace->rate > best->rate)
        best->rate = pace->rate;
    best->measured = true;
}

static bool is_slow(const struct ord_core *core, const struct bft_pace *pace) {
    struct bft_pace best = core->ratchet.good;
    uint64_t timeout_ms = core->config.request_timeout_ms;
    for (uint32_t i = 0; i < core->config.replica_count; i++)
        take_best(&best, &core->ratchet.views[i]);
    uint64_t expected_ms = best.measured ? best.wait_ms : timeout_ms * FIRST_NUMERATOR / FIRST_DENOMINATOR;
    uint64_t bound_ms = expected_ms * WAIT_FACTOR;
    if (bound_ms < timeout_ms / WAIT_FLOOR_PART)
        bound_ms = timeout_ms / WAIT_FLOOR_PART;
    return pace->wait_ms > bound_ms && (!best.measured || pace->rate < best.rate / RATE_PART);
}

void bft_on_applied(struct ord_core *core, uint32_t envelopes, uint32_t waits, uint64_t wait_sum_ms) {
    struct bft_ratchet *ratchet = &core->ratchet;
    ratchet->envelopes += envelopes;
    ratchet->waits += waits;
    ratchet->wait_sum_ms += wait_sum_ms;
    uint64_t elapsed_ms = core->now_ms - ratchet->since_ms;
    if (elapsed_ms < (uint64_t) WINDOW_TIMEOUTS * core->config.request_timeout_ms || ratchet->waits < WAITS_MIN)
        return;
    struct bft_pace pace = {.measured = true,
                            .wait_ms = ratchet->wait_sum_ms / ratchet->waits,
                            .rate = ratchet->envelopes * 1000 / elapsed_ms};
    bool slow = is_slow(core, &pace);
    ORD_MARK_IF(slow, WINDOW_SLOW);
    ORD_MARK_IF(slow && ratchet->slow_windows + 1 == SLOW_WINDOWS, PRIMARY_SLOW);
    ORD_MARK_IF(!slow && ratchet->slow_windows > 0, WINDOW_FAST_AGAIN);
    ratchet->slow_windows = slow ? ratchet->slow_windows + 1 : 0;
    take_best(&ratchet->own, &pace);
    if (!slow)
        take_best(&ratchet->good, &pace);
    window_begin(core);
}

bool bft_ratchet_slow(const struct ord_core *core) {
    return core->ratchet.slow_windows >= SLOW_WINDOWS && core->work_since_ms != UINT64_MAX;
}
