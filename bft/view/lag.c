/*
 * For how long this replica was behind a certified point. What it lacks then, retransmission or state transfer brings,
 * whichever replica leads. So this time says nothing about the primary, and is taken out of everything that measures
 * it (suspect.c, ratchet.c). A lag pauses the clocks. It must not restart them: a primary can make a backup fall behind
 * as often as it likes, by leaving it out of a window of batches.
 *
 * Lags are kept as spans of time. One span takes in all lags that begin within a PART of the request timeout in which
 * this replica was not behind. When there is no room for a further span, the two oldest become one. The lag after a
 * time at or before the begin of a span is exact. After a time within a span it may come out too long, which is in
 * favour of the primary: by less than a PART, except in the oldest span. The others together have BFT_LAG_SPANS - 1
 * PARTs and more in which this replica was not behind. That is almost eight timeouts, and clock 2 of suspect.c waits
 * for four, unless the timeout was doubled.
 */
#include "bft/bft_internal.h"

#include <string.h>

enum { PARTS = 16 };

static void record(struct bft_lag *lag, uint64_t begin_ms, uint64_t end_ms, uint64_t part_ms) {
    struct bft_lag_span *last = lag->count == 0 ? NULL : &lag->spans[lag->count - 1];
    if (last != NULL && begin_ms - last->begin_ms - last->lag_ms < part_ms) {
        last->end_ms = end_ms;
        last->lag_ms += end_ms - begin_ms;
        return;
    }
    if (lag->count == BFT_LAG_SPANS) {
        lag->spans[1].begin_ms = lag->spans[0].begin_ms;
        lag->spans[1].lag_ms += lag->spans[0].lag_ms;
        memmove(&lag->spans[0], &lag->spans[1], (BFT_LAG_SPANS - 1) * sizeof(lag->spans[0]));
        lag->count--;
    }
    lag->spans[lag->count++] =
        (struct bft_lag_span) {.begin_ms = begin_ms, .end_ms = end_ms, .lag_ms = end_ms - begin_ms};
}

bool bft_behind(const struct ord_core *core) {
    return core->attested.seq > core->delivered_seq;
}

void bft_lag_check(struct ord_core *core) {
    struct bft_lag *lag = &core->lag;
    bool behind = bft_behind(core);
    if (behind && !lag->behind)
        lag->since_ms = core->now_ms;
    if (!behind && lag->behind && core->now_ms > lag->since_ms)
        record(lag, lag->since_ms, core->now_ms, core->options->request_timeout_ms / PARTS);
    lag->behind = behind;
}

uint64_t bft_lag_after(const struct ord_core *core, uint64_t t_ms) {
    const struct bft_lag *lag = &core->lag;
    uint64_t begin_ms = ord_max(lag->since_ms, t_ms);
    uint64_t sum_ms = lag->behind && core->now_ms > begin_ms ? core->now_ms - begin_ms : 0;
    for (uint32_t i = lag->count; i > 0 && lag->spans[i - 1].end_ms > t_ms; i--) {
        const struct bft_lag_span *span = &lag->spans[i - 1];
        sum_ms += ord_min(span->lag_ms, span->end_ms - ord_max(span->begin_ms, t_ms));
    }
    return sum_ms;
}
