/*
 * A primary that is slow but not mute (rows P3, P4). After Aardvark (Clement et al., NSDI'09, section 4.4): what a
 * primary must reach follows from what others reached, and rises while it leads. After Prime (Amir et al., TDSC'11,
 * section 4) and RBFT (Aublin et al., ICDCS'13, section 4): the primary is measured by what it does not control. Prime
 * measures the turnaround of the primary against round trips that the replicas measure among themselves; RBFT runs
 * f + 1 instances with other primaries beside it. Here the yardstick is what the other replicas have already done for
 * the same work. That takes no further message, and a full queue does not count as slowness.
 *
 * Work waits *for the primary alone* while one of these holds:
 * - There is no proposal for the next seq.
 * - The newest batch is lean: the node gave the primary other work long ago, and the batch has room for it
 *   (replica/agree/judge.c). An honest primary proposes all that it has, or fills the batch.
 * - f + 1 replicas, this one included, have committed to the next seq, and the primary has not. So an honest one had
 *   the votes that the primary needs, too.
 *
 * Windows of twice request_timeout_ms measure for how much of the time in which work waited it waited for the primary
 * alone, and for how long at a stretch; how long envelopes stood in this replica's request pool before they were
 * executed; how old the oldest work was at each moment, because the primary chooses what is executed; and how many
 * envelopes, and bytes of envelopes, were executed a second. A window is slow in three cases. Work was old, and waited
 * for the primary alone for most of the time. Or it did so for much of the time, and for long at a stretch: a primary
 * that proposes late, and then much at once, leaves the others nothing to do in between. Or envelopes waited too long,
 * and far fewer of them and of their bytes were executed than the standard says. Under overload the wait grows too, but
 * the primary is busy, and one of the two rates does not fall; another primary would do no better. Two slow windows in
 * a row make a primary suspect. For one that was slow when it led last, one window of half the length suffices, so it
 * costs less each time.
 *
 * The time in which this replica was behind is left out: it is no time of the window, work that waits then waits for
 * nobody, and what was executed waited for so much less (lag.c). The window goes on afterwards. If it began anew, a
 * primary could make a backup fall behind once in each window, and no window would end.
 *
 * Under scheduled rotation a view may be much shorter than a window. So the window of a primary counts only the time in
 * which it leads, and goes on when it leads again. Otherwise a primary could be as slow in each of its short views as
 * clock 1 of suspect.c lets it, for ever. For the same reason a view that a primary ends itself (hand_over.c) does not
 * end its window. A view that fails does: what waited may be the network's fault, and failed.c remembers the primary.
 *
 * The standard is what the k-th best of the m measured leaders reached, with k = min(f + 1, m - f): never worse than
 * what an honest one reached, and, from 2f + 1 measured leaders on, never better than what one reached. "Too long" is
 * several times that wait, or stall. Before f + 1 leaders were measured, the bound falls with each window, down to
 * the part of the timeout that WAIT_FLOOR_PART or STALL_FLOOR_PART gives. So no primary sets the standard for itself,
 * and none lowers it for others. Where the network is slow, the first f + 1 primaries are replaced and none after them.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

enum {
    /* The length of a window, in request timeouts in which its primary leads. */
    WINDOW_TIMEOUTS = 2,
    /* A window ends when this many envelopes with a known wait were executed in it, or work waited for half of it. */
    WAITS_MIN = 2,
    /* A wait is too long above this many times that of the standard. */
    WAIT_FACTOR = 8,
    /* A wait below request_timeout_ms / WAIT_FLOOR_PART is never too long. */
    WAIT_FLOOR_PART = 4,
    /*
     * The same for a stall. On a channel with slow links, an honest primary that has more to propose than they carry
     * was seen to make work stall for a sixth of the timeout at a stretch, for most of the time.
     */
    STALL_FLOOR_PART = 5,
    /*
     * The bound of a view's first window is FIRST_PARTS / PARTS of request_timeout_ms; each later one has a part less.
     */
    FIRST_PARTS = 12,
    PARTS = 16,
    /* The rates are low below those of the standard / RATE_PART. */
    RATE_PART = 2,
    /*
     * The primary holds work up if that waits for it alone for more than HELD_UP_PARTS / PARTS of its time. Where
     * batches follow one another without overlap, the next proposal of an honest primary is on its way for a third of
     * that time and more, and its COMMIT may be the last to come.
     */
    HELD_UP_PARTS = 12,
    /* It makes work stall if that is so for more than STALLED_PARTS / PARTS, for long at a stretch. */
    STALLED_PARTS = 6,
    /* The primary is slow after this many slow windows in a row. */
    SLOW_WINDOWS = 2,
    /* The same for a primary that was slow when it led last. */
    FAILED_WINDOW_TIMEOUTS = 1,
    FAILED_SLOW_WINDOWS = 1,
};

static void window_begin(struct ord_core *core) {
    struct bft_ratchet *ratchet = &core->ratchet;
    ratchet->window =
        (struct bft_ratchet_window) {.windows = ratchet->window.windows, .slow_windows = ratchet->window.slow_windows};
}

static bool has_failed(const struct ord_core *core) {
    return (core->ratchet.failed & ord_replica_bit(core->ratchet.leader)) != 0;
}

static uint64_t window_ms(const struct ord_core *core) {
    uint64_t timeouts = has_failed(core) ? FAILED_WINDOW_TIMEOUTS : WINDOW_TIMEOUTS;
    return timeouts * core->options->request_timeout_ms;
}

static uint32_t slow_windows_max(const struct ord_core *core) {
    return has_failed(core) ? FAILED_SLOW_WINDOWS : SLOW_WINDOWS;
}

/* The last view of `leader` is over. */
static void leader_ends(struct ord_core *core) {
    struct bft_ratchet *ratchet = &core->ratchet;
    /* A primary that stops after its first slow window has failed as one with two has. */
    uint32_t slow_max = ratchet->view_failed ? 1 : slow_windows_max(core);
    bool failed = ratchet->window.slow_windows >= slow_max;
    if (failed || ratchet->view_failed)
        ratchet->window = (struct bft_ratchet_window) {0};
    ratchet->view_failed = false;
    ratchet->windows[ratchet->leader] = ratchet->window;
    if (ratchet->own.measured) {
        ratchet->led[ratchet->leader] = ratchet->own;
        ratchet->failed &= ~ord_replica_bit(ratchet->leader);
    }
    ratchet->failed |= failed ? ord_replica_bit(ratchet->leader) : 0;
}

void bft_ratchet_view(struct ord_core *core) {
    struct bft_ratchet *ratchet = &core->ratchet;
    leader_ends(core);
    ratchet->leader = bft_primary(&core->config, core->view);
    ratchet->window = ratchet->windows[ratchet->leader];
    ORD_MARK_IF(ratchet->window.clock.elapsed_ms > 0, WINDOW_GOES_ON);
    ratchet->own = (struct bft_pace) {.measured = false};
    ratchet->good = ratchet->own;
    ratchet->lean = false;
    ratchet->lean_seq = 0;
    ratchet->stall_since_ms = UINT64_MAX;
}

static bool holds_up(const struct ord_core *core) {
    const struct bft_slot *next = bft_slot_find(core, core->delivered_seq + 1);
    if (next == NULL || next->state == BFT_SLOT_EMPTY)
        return true;
    bool commit = bft_waits_for_primary(core, next);
    ORD_MARK_IF(commit, COMMIT_WITHHELD);
    return commit || core->ratchet.lean;
}

/* The sum over the ms from `begin` to `end` of the time since `turn`. */
static uint64_t age_sum(uint64_t begin_ms, uint64_t end_ms, uint64_t turn_ms) {
    uint64_t from_ms = ord_max(begin_ms, turn_ms);
    return from_ms >= end_ms ? 0 : (end_ms - from_ms) * (from_ms - turn_ms + end_ms - turn_ms) / 2;
}

void bft_ratchet_pass(struct ord_core *core, uint64_t now_ms) {
    struct bft_ratchet *ratchet = &core->ratchet;
    struct bft_ratchet_clock *clock = &ratchet->window.clock;
    uint64_t since_ms = ord_max(core->now_ms, core->work_since_ms);
    bool led = core->started && !core->changing && bft_speaks(core) && !bft_view_over(core);
    /* What this replica lacks while it is behind was proposed to the others. So a lag ends what stalls, too. */
    bool leads = led && !bft_behind(core);
    bool held_up = leads && core->work_since_ms != UINT64_MAX && holds_up(core);
    ratchet->stall_since_ms = held_up ? ord_min(ratchet->stall_since_ms, since_ms) : UINT64_MAX;
    clock->elapsed_ms += leads ? now_ms - core->now_ms : 0;
    clock->lag_ms += led && !leads ? now_ms - core->now_ms : 0;
    if (!leads || since_ms >= now_ms)
        return;
    clock->waiting_ms += now_ms - since_ms;
    uint64_t turn_ms = ord_max(core->work_turn_ms, core->view_since_ms);
    clock->oldest_sum += age_sum(since_ms, now_ms, turn_ms + bft_lag_after(core, turn_ms));
    if (!held_up)
        return;
    clock->held_up_ms += now_ms - since_ms;
    clock->stall_sum += age_sum(since_ms, now_ms, ratchet->stall_since_ms);
}

static void take_best(struct bft_pace *best, const struct bft_pace *pace) {
    if (!pace->measured)
        return;
    if (!best->measured || pace->wait_ms < best->wait_ms)
        best->wait_ms = pace->wait_ms;
    if (!best->measured || pace->rate > best->rate)
        best->rate = pace->rate;
    if (!best->measured || pace->byte_rate > best->byte_rate)
        best->byte_rate = pace->byte_rate;
    if (!best->measured || pace->stall_ms < best->stall_ms)
        best->stall_ms = pace->stall_ms;
    best->measured = true;
}

/* The k-th smallest of `count` values. */
static uint64_t kth(uint64_t *values, uint32_t count, uint32_t k) {
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = i; j > 0 && values[j] < values[j - 1]; j--) {
            uint64_t value = values[j];
            values[j] = values[j - 1];
            values[j - 1] = value;
        }
    return values[k - 1];
}

/* Fills in what the measured leaders showed to be possible. Returns how many were measured. */
static uint32_t standard(const struct ord_core *core, struct bft_pace *out) {
    uint64_t waits[ORD_REPLICA_MAX];
    uint64_t slownesses[ORD_REPLICA_MAX];
    uint64_t byte_slownesses[ORD_REPLICA_MAX];
    uint64_t stalls[ORD_REPLICA_MAX];
    uint32_t measured = 0;
    uint32_t faulty = core->weak_quorum - 1;
    *out = (struct bft_pace) {.measured = false};
    for (uint32_t i = 0; i < core->config.replica_count; i++) {
        if (!core->ratchet.led[i].measured)
            continue;
        waits[measured] = core->ratchet.led[i].wait_ms;
        stalls[measured] = core->ratchet.led[i].stall_ms;
        slownesses[measured] = UINT64_MAX - core->ratchet.led[i].rate;
        byte_slownesses[measured++] = UINT64_MAX - core->ratchet.led[i].byte_rate;
    }
    if (measured == 0)
        return 0;
    uint32_t k = measured > faulty ? (uint32_t) ord_min(faulty + 1, measured - faulty) : 1;
    out->measured = true;
    out->wait_ms = kth(waits, measured, k);
    out->stall_ms = kth(stalls, measured, k);
    out->rate = UINT64_MAX - kth(slownesses, measured, k);
    out->byte_rate = UINT64_MAX - kth(byte_slownesses, measured, k);
    return measured;
}

/* `best_ms`: what the standard says. It counts once f + 1 leaders were measured. */
static uint64_t bound_of(const struct ord_core *core, uint64_t best_ms, uint32_t measured, uint32_t floor_part) {
    const struct bft_ratchet *ratchet = &core->ratchet;
    uint64_t timeout_ms = core->options->request_timeout_ms;
    uint64_t floor_ms = timeout_ms / floor_part;
    uint64_t bound_ms = best_ms * WAIT_FACTOR;
    if (measured < core->weak_quorum) {
        bool least = ratchet->window.windows >= FIRST_PARTS || has_failed(core);
        uint32_t less = least ? FIRST_PARTS : ratchet->window.windows;
        bound_ms = timeout_ms * (FIRST_PARTS - less) / PARTS;
    }
    return bound_ms > floor_ms ? bound_ms : floor_ms;
}

/*
 * Whether less was executed than by a primary that meets the standard. Where an envelope takes the time a, and a byte
 * the time b, no primary exceeds 1 / a envelopes or 1 / b bytes a second, and a busy one that executes n envelopes and
 * s bytes a second has a n + b s = 1. So at least one of the two reaches half of the standard, whatever load the
 * standard was measured with.
 */
static bool is_below(const struct bft_pace *pace, const struct bft_pace *best) {
    bool few = pace->rate < best->rate / RATE_PART;
    bool small = pace->byte_rate < best->byte_rate / RATE_PART;
    ORD_MARK_IF(best->measured && few != small, LOAD_OF_OTHER_SIZES);
    return best->measured && few && small;
}

static bool is_slow(const struct ord_core *core, const struct bft_pace *pace) {
    struct bft_pace best;
    uint32_t measured = standard(core, &best);
    take_best(&best, &core->ratchet.good);
    uint64_t bound_ms = bound_of(core, best.wait_ms, measured, WAIT_FLOOR_PART);
    uint64_t stall_bound_ms = bound_of(core, best.stall_ms, measured, STALL_FLOOR_PART);
    ORD_MARK_IF(pace->stalled && !pace->held_up && pace->stall_ms > stall_bound_ms, WORK_STALLS);
    return (pace->held_up && ord_max(pace->wait_ms, pace->oldest_ms) > bound_ms) ||
           (pace->stalled && pace->stall_ms > stall_bound_ms) || (pace->wait_ms > bound_ms && is_below(pace, &best));
}

/* The window is complete: judges the primary by it, and begins the next one. */
static void window_ends(struct ord_core *core) {
    struct bft_ratchet *ratchet = &core->ratchet;
    struct bft_ratchet_window *window = &ratchet->window;
    const struct bft_ratchet_clock *clock = &window->clock;
    uint64_t oldest_ms = clock->oldest_sum / ord_max(clock->waiting_ms, 1);
    uint64_t wait_sum_ms = window->wait_sum_ms - window->wait_lag_sum_ms;
    struct bft_pace pace = {.measured = true,
                            .wait_ms = window->waits > 0 ? wait_sum_ms / window->waits : oldest_ms,
                            .rate = window->envelopes * 1000 / clock->elapsed_ms,
                            .byte_rate = window->bytes * 1000 / clock->elapsed_ms,
                            .stall_ms = 2 * clock->stall_sum / ord_max(clock->held_up_ms, 1),
                            .oldest_ms = oldest_ms,
                            .stalled = clock->held_up_ms > clock->waiting_ms * STALLED_PARTS / PARTS,
                            .held_up = clock->held_up_ms > clock->waiting_ms * HELD_UP_PARTS / PARTS};
    bool slow = is_slow(core, &pace);
    ORD_MARK_IF(slow, WINDOW_SLOW);
    ORD_MARK_IF(slow && window->slow_windows + 1 == slow_windows_max(core), PRIMARY_SLOW);
    ORD_MARK_IF(!slow && window->slow_windows > 0, WINDOW_FAST_AGAIN);
    window->slow_windows = slow ? window->slow_windows + 1 : 0;
    /* The standard must not be better than what was reached: it counts the lag, too. */
    uint64_t whole_ms = clock->elapsed_ms + clock->lag_ms;
    ORD_MARK_IF(clock->lag_ms > 0, WINDOW_LAGS);
    pace.wait_ms = window->waits > 0 ? window->wait_sum_ms / window->waits : oldest_ms + clock->lag_ms;
    pace.rate = window->envelopes * 1000 / whole_ms;
    pace.byte_rate = window->bytes * 1000 / whole_ms;
    take_best(&ratchet->own, &pace);
    if (!slow)
        take_best(&ratchet->good, &pace);
    window->windows++;
    window_begin(core);
}

/* For how long this replica was level when it last delivered, which is when the waits of what was executed ended. */
static uint64_t level_ms(const struct ord_core *core) {
    const struct bft_lag *lag = &core->lag;
    uint64_t end_ms = lag->count == 0 ? 0 : lag->spans[lag->count - 1].end_ms;
    return lag->behind ? 0 : core->progress_ms - ord_min(core->progress_ms, end_ms);
}

/*
 * At least the part of the waits of what was executed in which this replica was behind. With G ms of lag, and d ms
 * since it ended, a wait of w ms has at most min(G, w - d) of it, which is at most G, and at most w G / (G + d). So has
 * their sum.
 */
static uint64_t waits_lag(const struct ord_core *core, const struct ord_event *event) {
    const uint64_t sum_ms = event->applied.wait_sum_ms;
    if (event->applied.waits == 0)
        return sum_ms;
    /* None of the waits began before the oldest work's turn, as far as the node has told it. */
    uint64_t begin_ms = core->now_ms - ord_min(core->now_ms, sum_ms / event->applied.waits);
    begin_ms = ord_max(ord_min(begin_ms, core->work_turn_ms), core->view_since_ms);
    uint64_t lag_ms = bft_lag_after(core, begin_ms);
    if (lag_ms == 0)
        return 0;
    return ord_min(sum_ms * lag_ms / (lag_ms + level_ms(core)), event->applied.waits * lag_ms);
}

void bft_on_applied(struct ord_core *core, const struct ord_event *event) {
    struct bft_ratchet_window *window = &core->ratchet.window;
    const struct bft_ratchet_clock *clock = &window->clock;
    window->envelopes += event->applied.envelopes;
    window->bytes += event->applied.bytes;
    window->waits += event->applied.waits;
    window->wait_sum_ms += event->applied.wait_sum_ms;
    window->wait_lag_sum_ms += waits_lag(core, event);
    if (clock->elapsed_ms >= window_ms(core) &&
        (window->waits >= WAITS_MIN || clock->waiting_ms > clock->elapsed_ms / 2))
        window_ends(core);
}

bool bft_ratchet_slow(const struct ord_core *core) {
    return core->ratchet.window.slow_windows >= slow_windows_max(core) && core->work_since_ms != UINT64_MAX;
}
