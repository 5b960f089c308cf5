/*
 * A primary that is slower than others were: bft/ratchet.c. Row P3 of the adversary's list.
 */
#include "bft/bft_internal.h"
#include "tests/unit/bft_bench.h"

/* One window of request_timeout_ms * 2, in which so many envelopes a second were executed after so long a wait each. */
static void window(struct bench *bench, uint64_t wait_ms, uint32_t rate) {
    struct ord_event event = {.type = ORD_EVENT_APPLIED};
    uint32_t envelopes = rate * 2;
    for (uint32_t i = 0; i < 10; i++) {
        bench->now_ms += 200;
        host_work(&bench->host, bench->now_ms, bench->now_ms); /* there is always some, and never old */
        event.now_ms = bench->now_ms;
        event.applied.envelopes = envelopes / 10;
        event.applied.waits = envelopes / 10;
        event.applied.wait_sum_ms = envelopes / 10 * wait_ms;
        assert_ok(host_step(&bench->host, &event));
        turn_ends(bench);
    }
}

static bool suspects(const struct bench *bench) {
    return bench->host.core->suspecting;
}

static void ratchet__of_a_primary_that_gets_slow(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    window(&bench, 30, 400);
    window(&bench, 240, 10); /* eight times the wait, but no quarter of the timeout: nobody minds */
    window(&bench, 240, 10);
    window(&bench, 240, 10);
    assert_false(suspects(&bench));
    window(&bench, 900, 10);
    assert_false(suspects(&bench)); /* once */
    window(&bench, 20, 500);
    window(&bench, 900, 10);
    assert_false(suspects(&bench)); /* not in a row */
    window(&bench, 900, 10);
    assert_true(suspects(&bench));
    assert_int_equal(status_of(&bench).view, 0);
    suspect(&bench, 3);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

static void ratchet__lets_a_primary_under_load_be(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    for (int i = 0; i < 10; i++)
        window(&bench, 900, 260); /* all wait long, but it works as much as it ever did */
    assert_false(suspects(&bench));
    bench_close(&bench);
}

/* Nothing was measured before: three quarters of the timeout are too long for any primary. */
static void ratchet__does_not_wait_for_a_better_one(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 740, 20);
    window(&bench, 740, 20);
    assert_false(suspects(&bench));
    bench_close(&bench);
    bench_open(&bench, 2);
    window(&bench, 760, 20);
    window(&bench, 760, 5);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/* What replica_count views in a row gave is what there is to expect. */
static void ratchet__expects_what_recent_views_gave(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    struct ord_core *core = bench.host.core;
    window(&bench, 20, 500);
    for (int view = 0; view < 5; view++) { /* the last of them takes the place of the first */
        window(&bench, 900, 10);
        window(&bench, 900, 10);
        assert_true(suspects(&bench));
        bft_ratchet_view(core);
        core->suspecting = false;
    }
    window(&bench, 900, 10);
    window(&bench, 900, 10);
    assert_false(suspects(&bench));
    bench_close(&bench);
}

static void ratchet__says_nothing_when_nothing_waits(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    window(&bench, 900, 10);
    window(&bench, 900, 10);
    assert_true(suspects(&bench));
    host_work(&bench.host, UINT64_MAX, bench.now_ms);
    turn_ends(&bench);
    assert_false(suspects(&bench));
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(ratchet__of_a_primary_that_gets_slow),
    cmocka_unit_test(ratchet__lets_a_primary_under_load_be),
    cmocka_unit_test(ratchet__does_not_wait_for_a_better_one),
    cmocka_unit_test(ratchet__expects_what_recent_views_gave),
    cmocka_unit_test(ratchet__says_nothing_when_nothing_waits),
};
TEST_CASES(cases);
