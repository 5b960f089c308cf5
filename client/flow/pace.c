/*
 * The window of bytes under way (client/flow/pace.h says which control it is, and why).
 */
#include "client/flow/pace.h"

#include <string.h>

#include "client/flow/random.h"
#include "core/assert.h"

/*
 * The target, in percent of the request timeout: a quarter of it is queue. It is no less than TARGET_US_MIN, because
 * polling for receipts takes time.
 */
#define TARGET_PERCENT 30u
#define TARGET_US_MIN  100000u
/* Bytes that a full window grows by in a round: this times its square root. */
#define GROWTH 80u
/* While the channel is not full, a window that is no longer starting grows by at most half. */
#define GROWTH_PART 2u
/* At the target, this part of the window goes in each round. */
#define SHRINK_AT_TARGET 3u
/* At most this part of the window stays when the delay is far above the target. */
#define SHRINK_MOST 8u
/* So many delays, on average above so many targets, shrink the window before the round is over. */
#define DELAYS_TELLING   4u
#define TARGETS_TOO_MANY 2u
/* While the window is starting, a rate that grows by less than this part has reached its limit. */
#define RATE_PART 4u
/* What BUSY leaves of the window, in tenths (as CUBIC does with a loss). */
#define BUSY_LEAVES 7u
/* What a client keeps ready beyond the window: a part of it, and this. */
#define READY_BYTES (32u << 10)
#define READY_PART  4u
/* A window that is not used shrinks by this part in a round. */
#define UNUSED_PART 16u
/* A lone envelope that is larger than the window waits for at most so many delays. */
#define LONE_DELAYS_MAX 4u

static uint64_t square_root(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1)
        if ((root | bit) * (root | bit) <= value)
            root |= bit;
    return root;
}

static void set_window(struct client_pace *pace, uint64_t window) {
    pace->window = window < CLIENT_PACE_WINDOW_MIN   ? CLIENT_PACE_WINDOW_MIN
                   : window > CLIENT_PACE_WINDOW_MAX ? CLIENT_PACE_WINDOW_MAX
                                                     : window;
}

static void begin_round(struct client_pace *pace, uint64_t now_us) {
    pace->round_us = now_us;
    pace->round_delay_sum_us = 0;
    pace->round_delay_count = 0;
    pace->round_bytes = 0;
    pace->round_under_way_max = pace->under_way;
    pace->round_limited = false;
    pace->round_over = false;
}

/* Makes the window smaller. The queue shows that one delay later, so the next round begins only then. */
static void shrink(struct client_pace *pace, uint64_t window, uint64_t now_us) {
    set_window(pace, window);
    pace->starting = false;
    pace->shrunk_us = now_us;
    pace->settling = true;
    begin_round(pace, now_us);
}

void client_pace_init(struct client_pace *pace, uint32_t request_timeout_ms, uint64_t seed, uint64_t now_us) {
    memset(pace, 0, sizeof(*pace));
    pace->target_us = (uint64_t) request_timeout_ms * 10u * TARGET_PERCENT;
    if (pace->target_us < TARGET_US_MIN)
        pace->target_us = TARGET_US_MIN;
    pace->window = CLIENT_PACE_WINDOW_FIRST;
    pace->starting = true;
    pace->random = seed;
    begin_round(pace, now_us);
}

/* ---- Under way -------------------------------------------------------------------------------------------------- */

/* The channel has a queue, as far as the last round told. */
static bool is_full(const struct client_pace *pace) {
    return pace->delay_us >= pace->target_us / 2;
}

bool client_pace_room(struct client_pace *pace, uint64_t *at_us, size_t size, uint64_t now_us) {
    *at_us = UINT64_MAX;
    if (pace->under_way + size <= pace->window)
        return true;
    if (pace->under_way == 0) {
        uint64_t pause_us = 0;
        if (is_full(pace)) {
            uint64_t windows = size / pace->window;
            uint64_t rest = size % pace->window;
            pause_us = windows >= LONE_DELAYS_MAX ? LONE_DELAYS_MAX * pace->delay_us
                                                  : windows * pace->delay_us + rest * pace->delay_us / pace->window;
        }
        if (now_us >= pace->last_sent_us + pause_us)
            return true;
        *at_us = pace->last_sent_us + pause_us;
    }
    pace->round_limited = true;
    return false;
}

void client_pace_sent(struct client_pace *pace, size_t size, uint64_t now_us) {
    pace->under_way += size;
    pace->last_sent_us = now_us;
    if (pace->under_way > pace->window)
        pace->round_limited = true;
    if (pace->under_way > pace->round_under_way_max)
        pace->round_under_way_max = pace->under_way;
}

void client_pace_back(struct client_pace *pace, size_t size) {
    ORD_ASSERT(pace->under_way >= size);
    pace->under_way -= size;
}

uint64_t client_pace_keep(const struct client_pace *pace) {
    return pace->window + pace->window / READY_PART + READY_BYTES;
}

/* ---- What is measured ------------------------------------------------------------------------------------------- */

/* What stays of the window after a round with such a delay, which is at least half of the target. */
static uint64_t left_of_window(const struct client_pace *pace, uint64_t delay_us) {
    uint64_t window = pace->window;
    uint64_t half_us = pace->target_us / 2;
    if (delay_us <= pace->target_us) {
        uint64_t permille = (delay_us - half_us) * 1000u / half_us;
        return window - window * permille / 1000u * permille / 1000u / SHRINK_AT_TARGET;
    }
    uint64_t left = window * (SHRINK_AT_TARGET - 1) / SHRINK_AT_TARGET * pace->target_us / delay_us;
    return left > window / SHRINK_MOST ? left : window / SHRINK_MOST;
}

/* The window was not used up in this round. What it knows of the channel ages. */
static uint64_t aged_window(const struct client_pace *pace, uint64_t window) {
    uint64_t least = 2 * pace->round_under_way_max;
    if (least < CLIENT_PACE_WINDOW_FIRST)
        least = CLIENT_PACE_WINDOW_FIRST;
    if (least > pace->window)
        least = pace->window;
    window -= window / UNUSED_PART;
    return window > least ? window : least;
}

/*
 * A channel far away, or one that works in large steps, has a delay above half of the target without any queue. While
 * the window is starting, a rate that grows with what is under way tells (as in BBR, Cardwell et al., ACM Queue 2016).
 */
static bool still_starts(struct client_pace *pace, uint64_t now_us) {
    uint64_t rate = pace->rate;
    uint64_t under_way = pace->rate_under_way;
    pace->rate = pace->round_bytes * 1000000u / (now_us - pace->round_us + 1);
    pace->rate_under_way = pace->round_under_way_max;
    bool more = pace->rate > rate + rate / RATE_PART || pace->rate_under_way <= under_way;
    return pace->starting && pace->delay_us <= pace->target_us && more;
}

static void end_round(struct client_pace *pace, uint64_t now_us) {
    uint64_t half_us = pace->target_us / 2;
    uint64_t window = pace->window;
    pace->delay_us = pace->round_delay_sum_us / pace->round_delay_count;
    pace->starting = still_starts(pace, now_us) || (pace->starting && !is_full(pace));
    if (is_full(pace) && pace->starting) {
        if (pace->round_limited)
            window += window / GROWTH_PART;
    } else if (is_full(pace)) {
        window = left_of_window(pace, pace->delay_us);
    } else if (pace->round_limited) {
        uint64_t more = window * (half_us - pace->delay_us) / half_us;
        window += pace->starting ? more : more / GROWTH_PART;
    }
    if (pace->round_limited)
        window += GROWTH * square_root(pace->window);
    else
        window = aged_window(pace, window);
    if (window < pace->window && pace->round_limited) {
        shrink(pace, window, now_us);
    } else {
        set_window(pace, window);
        begin_round(pace, now_us);
    }
}

void client_pace_final(struct client_pace *pace, size_t size, uint64_t sent_us, uint64_t idle_us, uint64_t now_us) {
    client_pace_back(pace, size);
    if (sent_us < pace->shrunk_us)
        return;
    if (pace->settling) {
        pace->settling = false;
        begin_round(pace, now_us);
    }
    uint64_t delay_us = now_us - sent_us;
    pace->round_delay_sum_us += delay_us > idle_us ? delay_us - idle_us : 0;
    pace->round_delay_count++;
    pace->round_bytes += size;
    /* With nothing else under way, there is nothing to wait for. */
    pace->round_over = pace->round_over || sent_us >= pace->round_us || pace->under_way == 0;
}

void client_pace_adapt(struct client_pace *pace, uint64_t now_us) {
    if (pace->round_delay_count == 0)
        return;
    uint64_t average_us = pace->round_delay_sum_us / pace->round_delay_count;
    if (pace->round_over) {
        end_round(pace, now_us);
    } else if (pace->round_delay_count >= DELAYS_TELLING && average_us > TARGETS_TOO_MANY * pace->target_us) {
        pace->delay_us = average_us;
        shrink(pace, left_of_window(pace, average_us), now_us);
    }
}

void client_pace_final_again(struct client_pace *pace, size_t size) {
    client_pace_back(pace, size);
    /*
     * It has had its time in the queue, and often it was ordered long ago. If each of many such envelopes made the next
     * one wait, none would ever be sent that tells that the channel is not full any more.
     */
    pace->last_sent_us = 0;
}

void client_pace_busy(struct client_pace *pace, uint64_t sent_us, uint64_t now_us) {
    if (sent_us >= pace->shrunk_us)
        shrink(pace, pace->window * BUSY_LEAVES / 10, now_us);
    /* It is not in the channel. The replica says when to come again. */
    pace->last_sent_us = 0;
}

void client_pace_lost(struct client_pace *pace, uint64_t sent_us, uint64_t now_us) {
    if (sent_us >= pace->shrunk_us)
        shrink(pace, pace->window / 2, now_us);
}

uint64_t client_pace_retry_us(struct client_pace *pace, uint32_t retry_after_ms) {
    uint64_t us = (uint64_t) retry_after_ms * 1000u;
    return us + client_random(&pace->random) % (us / 2 + 1);
}
