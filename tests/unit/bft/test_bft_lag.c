/* For how long a replica was behind a certified point: bft/view/lag.c. Rows P4 and P7 in docs/adversary.md. */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

/* The replica is behind from begin_ms to end_ms. */
static void lag(struct bench *bench, uint64_t begin_ms, uint64_t end_ms) {
    struct ord_core *core = bench->host.core;
    core->now_ms = begin_ms;
    core->attested.seq = core->delivered_seq + 1;
    bft_lag_check(core);
    core->now_ms = end_ms;
    bft_lag_check(core);
    core->attested.seq = 0;
    bft_lag_check(core);
}

static uint64_t after(const struct bench *bench, uint64_t t_ms) {
    return bft_lag_after(bench->host.core, t_ms);
}

static void lag__is_what_lies_after_a_time(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    struct ord_core *core = bench.host.core;
    assert_int_equal(after(&bench, 0), 0);
    lag(&bench, 1000, 1300);
    lag(&bench, 2000, 2050);
    core->now_ms = 3000;
    assert_int_equal(after(&bench, 0), 350);
    assert_int_equal(after(&bench, 1000), 350);
    assert_int_equal(after(&bench, 1200), 150);
    assert_int_equal(after(&bench, 1300), 50);
    assert_int_equal(after(&bench, 2049), 1);
    assert_int_equal(after(&bench, 2050), 0);
    assert_int_equal(after(&bench, 5000), 0);
    /* One that goes on counts up to now. */
    core->attested.seq = 1;
    bft_lag_check(core);
    core->now_ms = 4000;
    bft_lag_check(core);
    assert_int_equal(after(&bench, 2000), 1050);
    assert_int_equal(after(&bench, 3900), 100);
    assert_int_equal(after(&bench, 4500), 0);
    bench_close(&bench);
}

/* Lags that are close to one another are kept together. Their sum is exact, and never too short within them. */
static void lag__of_many_short_ones_is_exact_before_them(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    for (uint64_t t_ms = 1000; t_ms < 2000; t_ms += 10)
        lag(&bench, t_ms, t_ms + 5);
    assert_true(bench.host.core->lag.count <= 10);
    assert_int_equal(after(&bench, 1000), 500);
    for (uint64_t t_ms = 1000; t_ms < 2000; t_ms += 10) {
        uint64_t exact_ms = (2000 - t_ms) / 2;
        assert_true(after(&bench, t_ms) >= exact_ms);
        assert_true(after(&bench, t_ms) < exact_ms + 1000 / 16);
    }
    bench_close(&bench);
}

/*
 * More lags than there is room for: the last ones are exact, and so is the sum of all. In between, what is too much is
 * in favour of the primary, and more than the four timeouts of clock 2 are left to it.
 */
static void lag__has_room_for_more_than_the_clocks_wait(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    const uint64_t count = 10 * BFT_LAG_SPANS;
    const uint64_t end_ms = 1000 + 100 * count;
    for (uint64_t t_ms = 1000; t_ms < end_ms; t_ms += 100)
        lag(&bench, t_ms, t_ms + 30);
    assert_int_equal(bench.host.core->lag.count, BFT_LAG_SPANS);
    bench.host.core->now_ms = end_ms;
    assert_int_equal(after(&bench, 0), 30 * count);
    assert_int_equal(after(&bench, 1000), 30 * count);
    for (uint64_t t_ms = 1000; t_ms < end_ms; t_ms += 100) {
        uint64_t exact_ms = 30 * ((end_ms - t_ms) / 100);
        assert_true(after(&bench, t_ms) >= exact_ms);
        assert_true(end_ms - t_ms - after(&bench, t_ms) >= 4000 || after(&bench, t_ms) == exact_ms);
    }
    bench_close(&bench);
}

/* A step that is refused leaves the lags as they were. */
static void lag__is_not_moved_by_a_refused_step(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    host_attested(&bench.host, 100, 1000);
    const struct ord_event event = {.type = ORD_EVENT_SYNCED, .now_ms = 2000};
    assert_int_equal(host_step(&bench.host, &event), ORD_ERR_INVALID);
    tick(&bench, 1500);
    assert_int_equal(after(&bench, 0), 500);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(lag__is_what_lies_after_a_time),
    cmocka_unit_test(lag__of_many_short_ones_is_exact_before_them),
    cmocka_unit_test(lag__has_room_for_more_than_the_clocks_wait),
    cmocka_unit_test(lag__is_not_moved_by_a_refused_step),
};
TEST_CASES(cases);
