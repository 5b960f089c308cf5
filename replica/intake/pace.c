/*
 * The rate is the best that the last windows showed. It does not fall below a part of what the measured leaders show
 * to be possible, so a leader that is slow on purpose lowers it only so far (bft/view/ratchet.c keeps rates by leader
 * in the same way, and has such a leader replaced). Of m measured leaders the k-th best counts, with
 * k = min(f + 1, m - f): that is at least what an honest one reached, and, from 2f + 1 measured leaders on, at most
 * what one reached. So a liar whose clients help it to a high rate drives up nobody's clock for long. The rate does
 * not fall below a floor either. The floor keeps an idle channel responsive, and lets the rate find its way up: what
 * is admitted at the floor is ordered faster than that where the channel can do more, and each window shows it.
 */
#include "core/quorum.h"
#include "replica/replica_internal.h"

enum {
    /* A window's length is this part (1/2) of request_timeout_ms, in which something waited. */
    WINDOW_PART = 2,
    /* A leader can lower the rate to this part (1/4) of the best one. */
    BEST_PART = 4,
    /* A window that is not over after so many times its length shows nothing, and a new one begins. */
    WINDOWS_MAX = 4,
    /* Before the first window: in one request timeout this part (1/32) of what the pool holds. */
    START_PART = 32,
    /* The floor: in one request timeout this part (1/64) of what the pool holds, ... */
    FLOOR_PART = 64,
    /* ... and at least this much, or half of a pool that is smaller. */
    FLOOR_COST = 64 << 10,
    /* Each replica admits at its own floor. In a channel of more than so many replicas they share that of so many. */
    FLOORS_MAX = 4,
    /* A batch is lean below this part (1/32) of the floor of a channel with so many replicas. */
    LEAN_PART = 32,
    /* A turn comes at most this many request timeouts after the envelope was admitted. */
    AHEAD_TIMEOUTS = 2,
    /* A leader moves if something was executed in the last part (1/4) of request_timeout_ms. */
    MOVES_PART = 4,
    RETRY_MS_MIN = 10,
    /* BUSY pauses a client no longer than this. A channel that orders faster than was measured would stand idle. */
    RETRY_MS_MAX = 500,
};

static uint64_t timeout_ms(const struct replica *replica) {
    return replica_config(replica)->request_timeout_ms;
}

static uint64_t floor_cost(const struct replica *replica) {
    uint64_t most = pool_cost_max(&replica->pool);
    return ord_max(ord_min(FLOOR_COST, most / 2), most / FLOOR_PART);
}

/* This replica's part of what all replicas together admit where nothing else is known. */
static uint64_t share(const struct replica *replica, uint64_t cost) {
    return cost * FLOORS_MAX / ord_max(replica_config(replica)->replica_count, FLOORS_MAX);
}

uint64_t pace_rate(const struct replica *replica) {
    return replica->pool.turns.rate;
}

static uint64_t a_second(uint64_t cost, uint64_t ms) {
    return cost * 1000 / ms;
}

/* What the leaders that were measured show to be possible; 0: none was. */
static uint64_t shown_rate(const struct replica *replica) {
    const struct pace *pace = &replica->pace;
    uint64_t rates[ORD_REPLICA_MAX];
    uint32_t count = replica_config(replica)->replica_count;
    uint32_t faulty = ord_bft_faulty_max(count);
    uint32_t measured = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = measured;
        for (; at > 0 && rates[at - 1] < pace->led[i]; at--)
            rates[at] = rates[at - 1];
        rates[at] = pace->led[i];
        measured += pace->led[i] > 0;
    }
    if (measured == 0)
        return 0;
    return rates[measured > faulty ? ord_min(faulty, measured - faulty - 1) : 0];
}

static uint64_t rate_now(const struct replica *replica) {
    const struct pace *pace = &replica->pace;
    uint64_t floor = a_second(share(replica, floor_cost(replica)), timeout_ms(replica));
    if (!pace->measured) {
        uint64_t cost = share(replica, pool_cost_max(&replica->pool) / START_PART);
        uint64_t start = a_second(cost, timeout_ms(replica));
        return ord_max(1, ord_max(floor, start));
    }
    /* What the present leader showed counts for itself alone. */
    uint64_t best = ord_max(pace->own, shown_rate(replica));
    return ord_max(1, ord_max(floor, ord_max(pace->recent, best / BEST_PART)));
}

uint64_t pace_lean_cost(const struct replica *replica) {
    return floor_cost(replica) / LEAN_PART;
}

void pace_init(struct replica *replica) {
    replica->pace =
        (struct pace) {.counted_ms = replica->turn.now_ms, .begun_ms = replica->turn.now_ms, .leader = ORD_NO_NODE};
    replica->pool.turns.ahead_ms_max = AHEAD_TIMEOUTS * timeout_ms(replica);
    replica->pool.turns.rate = rate_now(replica);
}

static void window_begins(struct pace *pace, uint64_t now_ms) {
    pace->begun_ms = now_ms;
    pace->waited_ms = 0;
    pace->served_cost = 0;
}

static void window_ends(struct pace *pace, uint64_t rate, uint64_t now_ms) {
    pace->measured = pace->measured || pace->served_cost > 0;
    pace->recent = ord_max(rate, pace->recent - pace->recent / 4);
    pace->own = ord_max(pace->own, rate);
    window_begins(pace, now_ms);
}

void pace_turn(struct replica *replica) {
    struct pace *pace = &replica->pace;
    uint64_t now_ms = replica->turn.now_ms;
    /* While there is no leader, nobody's rate is measured. */
    if (replica->pool.envelopes > 0 && replica->agree.leader != ORD_NO_NODE && now_ms > pace->counted_ms)
        pace->waited_ms += now_ms - pace->counted_ms;
    pace->counted_ms = now_ms;
    uint64_t window_ms = ord_max(timeout_ms(replica) / WINDOW_PART, 1);
    if (pace->waited_ms >= window_ms)
        window_ends(pace, a_second(pace->served_cost, pace->waited_ms), now_ms);
    else if (pace->served_cost >= 2 * pace_rate(replica) * window_ms / 1000)
        /*
         * Twice what was expected of the whole window is done. A channel that orders all that it is given before the
         * next comes would otherwise show its rate only after a window's length of moments in which something waits.
         */
        window_ends(pace, a_second(pace->served_cost, window_ms), now_ms);
    else if (now_ms >= pace->begun_ms + WINDOWS_MAX * window_ms)
        /*
         * Little waits, and little comes. What is executed in an hour must not count as if it had been executed in a
         * window.
         */
        window_begins(pace, now_ms);
    replica->pool.turns.rate = rate_now(replica);
}

void pace_served(struct replica *replica, uint64_t cost) {
    replica->pace.served_cost += cost;
}

void pace_progress(struct replica *replica) {
    replica->pace.progress_ms = replica->turn.now_ms;
}

void pace_leader(struct replica *replica, ord_node_id leader) {
    struct pace *pace = &replica->pace;
    if (leader == ORD_NO_NODE)
        return;
    if (pace->own > 0 && pace->leader != ORD_NO_NODE)
        pace->led[pace->leader] = pace->own;
    pace->leader = leader;
    pace->own = 0;
    window_begins(pace, replica->turn.now_ms);
}

uint64_t pace_budget(const struct replica *replica) {
    uint64_t cost = pace_rate(replica) * timeout_ms(replica) / 1000;
    return ord_min(cost, pool_cost_max(&replica->pool));
}

bool pace_moves(const struct replica *replica) {
    const struct pace *pace = &replica->pace;
    return pace->progress_ms != 0 && replica->turn.now_ms < pace->progress_ms + timeout_ms(replica) / MOVES_PART;
}

uint32_t pace_retry_ms(const struct replica *replica) {
    uint64_t half_ms = pool_cost(&replica->pool) * 1000 / pace_rate(replica) / 2;
    uint64_t most_ms = ord_min(timeout_ms(replica), RETRY_MS_MAX);
    return (uint32_t) ord_max(ord_min(half_ms, most_ms), RETRY_MS_MIN);
}
