/*
 * A primary that is slow but not mute (row P3). After Aardvark (Clement et al., NSDI'09, section 4.4): the speed that a
 * primary must reach follows from the speed of others, and rises while it leads.
 *
 * Three things are measured in windows of twice request_timeout_ms: how long envelopes stood in this replica's request
 * pool before they were executed, how many were executed a second, and for how much of the time in which work waited
 * the primary had proposed nothing. A window is slow if envelopes waited too long, and either the primary was idle for
 * most of the time in which work waited, or far fewer envelopes a second were executed than in the best window so far.
 * Under overload the wait grows too, but the primary is busy and the rate does not fall; another primary would do no
 * better.
 *
 * "Too long" is several times the wait in the best windows of the views that each replica led last, once f + 1 replicas
 * were measured, because one of these is honest. Before that, the bound falls while the view lasts, down to the part of
 * the timeout that WAIT_FLOOR_PART gives. So no primary sets the standard for itself. Where the network is slow, the
 * first f + 1 primaries are replaced and none after them. Two slow windows in a row make a primary suspect.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

enum {
    /* The length of a window, in request timeouts. */
    WINDOW_TIMEOUTS = 2,
    /* A window ends only when this many envelopes with a known wait were executed in it. */
    WAITS_MIN = 2,
    /* A wait is too long above this many times the best wait. */
    WAIT_FACTOR = 8,
    /* A wait below request_timeout_ms / WAIT_FLOOR_PART is never too long. */
    WAIT_FLOOR_PART = 4,
    /*
     * The bound of a view's first window is FIRST_PARTS / PARTS of request_timeout_ms; each later one has a part less.
     */
    FIRST_PARTS = 12,
    PARTS = 16,
    /* The rate is low below the best rate / RATE_PART. */
    RATE_PART = 2,
    /* The primary is idle if it had proposed nothing for more than 1 / IDLE_PART of the time in which work waited. */
    IDLE_PART = 2,
    /* The primary is slow after this many slow windows in a row. */
    SLOW_WINDOWS = 2,
};

static void window_begin(struct ord_core *core) {
    struct bft_ratchet *ratchet = &core->ratchet;
    ratchet->since_ms = core->now_ms;
    ratchet->envelopes = 0;
    ratchet->waits = 0;
    ratchet->wait_sum_ms = 0;
    ratchet->clock = (struct bft_ratchet_clock) {0};
}

void bft_ratchet_view(struct ord_core *core) {
    struct bft_ratchet *ratchet = &core->ratchet;
    if (ratchet->own.measured)
        ratchet->led[ratchet->leader] = ratchet->own;
    ratchet->leader = bft_primary(&core->config, core->view);
    ratchet->own = (struct bft_pace) {.measured = false};
    ratchet->good = ratchet->own;
    ratchet->windows = 0;
    ratchet->slow_windows = 0;
    window_begin(core);
}

void bft_ratchet_pass(struct ord_core *core, uint64_t now_ms) {
    uint64_t since_ms = core->now_ms > core->work_since_ms ? core->now_ms : core->work_since_ms;
    if (core->changing || since_ms >= now_ms)
        return;
    core->ratchet.clock.waiting_ms += now_ms - since_ms;
    const struct bft_slot *next = bft_slot_find(core, core->delivered_seq + 1);
    if (next == NULL || next->state == BFT_SLOT_EMPTY)
        core->ratchet.clock.idle_ms += now_ms - since_ms;
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

static uint64_t wait_bound_ms(const struct ord_core *core, const struct bft_pace *best, uint32_t measured) {
    const struct bft_ratchet *ratchet = &core->ratchet;
    uint64_t timeout_ms = core->options->request_timeout_ms;
    uint64_t floor_ms = timeout_ms / WAIT_FLOOR_PART;
    uint64_t bound_ms = best->wait_ms * WAIT_FACTOR;
    if (measured < core->weak_quorum) {
        uint32_t less = ratchet->windows < FIRST_PARTS ? ratchet->windows : FIRST_PARTS;
        bound_ms = timeout_ms * (FIRST_PARTS - less) / PARTS;
    }
    return bound_ms > floor_ms ? bound_ms : floor_ms;
}

static bool is_slow(const struct ord_core *core, const struct bft_pace *pace) {
    struct bft_pace best = core->ratchet.good;
    uint32_t measured = 0;
    for (uint32_t i = 0; i < core->config.replica_count; i++) {
        take_best(&best, &core->ratchet.led[i]);
        measured += core->ratchet.led[i].measured;
    }
    return pace->wait_ms > wait_bound_ms(core, &best, measured) &&
           (pace->idle || (best.measured && pace->rate < best.rate / RATE_PART));
}

void bft_on_applied(struct ord_core *core, uint32_t envelopes, uint32_t waits, uint64_t wait_sum_ms) {
    struct bft_ratchet *ratchet = &core->ratchet;
    if (core->synced_ms > ratchet->since_ms) {
        /* This replica was behind in this window. What waited here then says nothing about the primary. */
        ORD_MARK(WINDOW_SYNCED);
        window_begin(core);
        return;
    }
    ratchet->envelopes += envelopes;
    ratchet->waits += waits;
    ratchet->wait_sum_ms += wait_sum_ms;
    uint64_t elapsed_ms = core->now_ms - ratchet->since_ms;
    if (elapsed_ms < (uint64_t) WINDOW_TIMEOUTS * core->options->request_timeout_ms || ratchet->waits < WAITS_MIN)
        return;
    struct bft_pace pace = {.measured = true,
                            .wait_ms = ratchet->wait_sum_ms / ratchet->waits,
                            .rate = ratchet->envelopes * 1000 / elapsed_ms,
                            .idle = ratchet->clock.idle_ms > ratchet->clock.waiting_ms / IDLE_PART};
    bool slow = is_slow(core, &pace);
    ORD_MARK_IF(slow, WINDOW_SLOW);
    ORD_MARK_IF(slow && ratchet->slow_windows + 1 == SLOW_WINDOWS, PRIMARY_SLOW);
    ORD_MARK_IF(!slow && ratchet->slow_windows > 0, WINDOW_FAST_AGAIN);
    ratchet->slow_windows = slow ? ratchet->slow_windows + 1 : 0;
    take_best(&ratchet->own, &pace);
    if (!slow)
        take_best(&ratchet->good, &pace);
    ratchet->windows++;
    window_begin(core);
}

bool bft_ratchet_slow(const struct ord_core *core) {
    return core->ratchet.slow_windows >= SLOW_WINDOWS && core->work_since_ms != UINT64_MAX;
}
