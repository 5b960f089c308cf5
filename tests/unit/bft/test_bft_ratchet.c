/* A primary that is slower than others were: bft/view/ratchet.c. Row P3 in docs/adversary.md. */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

/*
 * The primary leads for `ms`, in which `rate` envelopes of `size` bytes are executed a second. So many as `own_rate`
 * says stood in this replica's pool, each for `wait_ms`.
 */
static void lead(struct bench *bench, uint64_t ms, uint64_t wait_ms, uint32_t rate, uint32_t own_rate, uint32_t size) {
    struct ord_event event = {.type = ORD_EVENT_APPLIED};
    for (uint64_t i = 0; i < ms; i += 200) {
        bench->now_ms += 200;
        host_work(&bench->host, bench->now_ms, bench->now_ms); /* there is always some work, and it is never old */
        event.now_ms = bench->now_ms;
        event.applied.envelopes = rate / 5;
        event.applied.bytes = (uint64_t) (rate / 5) * size;
        event.applied.waits = own_rate / 5;
        event.applied.wait_sum_ms = own_rate / 5 * wait_ms;
        assert_ok(host_step(&bench->host, &event));
        /* Everything that was applied was also delivered, so the other clocks do not run. */
        bench->host.core->progress_ms = bench->now_ms;
        /* And proposed before. */
        bench->host.core->ratchet.stall_since_ms = UINT64_MAX;
        turn_ends(bench);
    }
}

/* One window, of request_timeout_ms * 2. */
static void window_sized(struct bench *bench, uint64_t wait_ms, uint32_t rate, uint32_t own_rate, uint32_t size) {
    lead(bench, 2000, wait_ms, rate, own_rate, size);
}

/* The same with envelopes of one size. */
static void window_of(struct bench *bench, uint64_t wait_ms, uint32_t rate, uint32_t own_rate) {
    window_sized(bench, wait_ms, rate, own_rate, 1000);
}

/* The same, and all of them stood in this replica's pool. */
static void window(struct bench *bench, uint64_t wait_ms, uint32_t rate) {
    window_of(bench, wait_ms, rate, rate);
}

/* Another view is installed, with the next primary. */
static void next_view(struct bench *bench) {
    bench->host.core->view++;
    bft_ratchet_view(bench->host.core);
    bench->host.core->detail.suspecting = false;
}

static bool suspects(const struct bench *bench) {
    return bench->host.core->detail.suspecting;
}

static void ratchet__of_a_primary_that_gets_slow(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    window(&bench, 30, 400);
    /* Eight times the wait, but less than a quarter of the timeout: no suspicion. */
    window(&bench, 240, 10);
    window(&bench, 240, 10);
    window(&bench, 240, 10);
    assert_false(suspects(&bench));
    window(&bench, 900, 10);
    assert_false(suspects(&bench)); /* only once so far */
    window(&bench, 20, 500);
    window(&bench, 900, 10);
    assert_false(suspects(&bench)); /* not twice in a row */
    window(&bench, 900, 10);
    assert_true(suspects(&bench));
    assert_int_equal(status_of(&bench).view, 0);
    all_suspect(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

static void ratchet__lets_a_primary_under_load_be(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    accept(&bench, 1, "in flight"); /* the primary always has something proposed */
    for (int i = 0; i < 10; i++)
        window(&bench, 900, 500); /* all wait long, but nothing better is known */
    window(&bench, 20, 500);
    for (int i = 0; i < 10; i++)
        window(&bench, 900, 260); /* or it works at least half as fast as it ever did */
    assert_false(suspects(&bench));
    window(&bench, 900, 240);
    window(&bench, 900, 240);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/* The rate is that of everything that is executed, whichever replica's clients asked for it. */
static void ratchet__counts_what_other_replicas_admitted(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    accept(&bench, 1, "in flight");
    window_of(&bench, 20, 500, 500);
    for (int i = 0; i < 4; i++)
        window_of(&bench, 900, 500, 20);
    assert_false(suspects(&bench));
    window_of(&bench, 900, 200, 200);
    window_of(&bench, 900, 200, 200);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/*
 * The load changes from small envelopes to large ones, and back. A busy primary then executes fewer envelopes or fewer
 * bytes a second than before. One that executes fewer of both is slow, whatever the load is.
 */
static void ratchet__counts_envelopes_and_bytes(void **state) {
    (void) state;
    const struct {
        uint32_t rate;
        uint32_t size;
        bool slow;
    } after[] = {{50, 2000, false}, {500, 100, false}, {50, 1000, false}, {20, 2000, true}, {200, 100, true}};
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        struct bench bench;
        bench_open(&bench, 2);
        accept(&bench, 1, "in flight"); /* the primary always has something proposed */
        window_sized(&bench, 20, 500, 500, 200);
        window_sized(&bench, 20, 50, 50, 2000);
        for (int j = 0; j < 2; j++)
            window_sized(&bench, 900, after[i].rate, after[i].rate, after[i].size);
        assert_int_equal(suspects(&bench), after[i].slow);
        bench_close(&bench);
    }
}

/* Work waits, and the primary proposes nothing meanwhile. Then its rate shows what the others allow it. */
static void ratchet__of_an_idle_primary(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    window(&bench, 900, 500);
    window(&bench, 900, 500);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/* A new primary begins without slow windows, although the work still waits. */
static void ratchet__begins_anew_with_each_view(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    window(&bench, 900, 10);
    window(&bench, 900, 10);
    assert_true(suspects(&bench));
    next_view(&bench);
    turn_ends(&bench);
    assert_false(suspects(&bench));
    window(&bench, 900, 10);
    assert_false(suspects(&bench));
    bench_close(&bench);
}

/* Each window has its own idle time: what was idle earlier says nothing about a busy primary. */
static void ratchet__forgets_idle_time_with_its_window(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    for (int i = 0; i < 5; i++)
        window(&bench, 20, 500);
    accept(&bench, 1, "in flight");
    for (int i = 0; i < 3; i++)
        window(&bench, 900, 500);
    assert_false(suspects(&bench));
    bench_close(&bench);
}

/* The replica learns that the others are further, and is there `ms` later. */
static void lag(struct bench *bench, uint64_t ms) {
    struct ord_core *core = bench->host.core;
    core->attested.seq = core->delivered_seq + 1;
    core->sync_after_ms = UINT64_MAX; /* no SYNC */
    tick(bench, bench->now_ms);
    bench->now_ms += ms;
    tick(bench, bench->now_ms);
    core->attested.seq = 0;
    tick(bench, bench->now_ms);
}

/*
 * What waited while this replica was behind says nothing about the primary. Here all that is executed waited through
 * the lag.
 */
static void ratchet__leaves_out_a_lag(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    for (int i = 0; i < 20; i++) {
        lag(&bench, 880);
        lead(&bench, 200, 900, 500, 500, 1000);
        assert_false(suspects(&bench));
    }
    bench_close(&bench);
}

/* The oldest work waited through a lag of ten timeouts, and is served soon after it. Its age leaves the lag out. */
static void ratchet__leaves_a_lag_out_of_an_age(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    for (int i = 0; i < 4; i++) {
        const uint64_t turn_ms = bench.now_ms;
        lag(&bench, 10000);
        for (uint64_t ms = 0; ms < 400; ms += 100) {
            host_work(&bench.host, turn_ms, bench.now_ms);
            bench.host.core->progress_ms = bench.now_ms;
            bench.now_ms += 100;
            tick(&bench, bench.now_ms);
            bench.host.core->ratchet.stall_since_ms = UINT64_MAX;
        }
        lead(&bench, 1600, 20, 10, 10, 1000);
        assert_false(suspects(&bench));
    }
    bench_close(&bench);
}

/*
 * Work that the primary never orders is as old as a lag. What it orders waits for less time than the lag took, and
 * began after it, for the most part.
 */
static void ratchet__leaves_out_no_more_than_a_lag_can_be(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    accept(&bench, 1, "in flight");
    for (int i = 0; i < 13; i++)
        window(&bench, 20, 500);
    const uint64_t turn_ms = bench.now_ms;
    lag(&bench, 1000);
    for (int i = 0; i < 10; i++) {
        bench.now_ms += 200;
        host_work(&bench.host, turn_ms, bench.now_ms);
        const struct ord_event event = {.type = ORD_EVENT_APPLIED,
                                        .now_ms = bench.now_ms,
                                        .applied = {.envelopes = 2, .bytes = 2000, .waits = 2, .wait_sum_ms = 1800}};
        assert_ok(host_step(&bench.host, &event));
        bench.host.core->progress_ms = bench.now_ms;
        bench.host.core->ratchet.stall_since_ms = UINT64_MAX;
        turn_ends(&bench);
    }
    assert_false(suspects(&bench));
    window(&bench, 900, 10);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/* A primary that makes this replica fall behind again and again is found slow all the same. */
static void ratchet__goes_on_after_a_lag(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 20, 500);
    for (int i = 0; i < 4; i++) {
        assert_false(suspects(&bench));
        lag(&bench, 100);
        lead(&bench, 1000, 900, 10, 10, 1000);
    }
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/* The time in which this replica was behind is no time of the primary: it makes no rate low. */
static void ratchet__leaves_a_lag_out_of_a_rate(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    accept(&bench, 1, "in flight"); /* the primary always has something proposed */
    window(&bench, 20, 500);
    for (int i = 0; i < 4; i++) {
        lag(&bench, 10000);
        window(&bench, 900, 260);
    }
    assert_false(suspects(&bench));
    bench_close(&bench);
}

/*
 * Before f + 1 primaries were measured, three quarters of the timeout are allowed at first, less with each window, and
 * a quarter in the end.
 */
static void ratchet__expects_more_the_longer_it_leads(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 760, 20);
    window(&bench, 760, 5);
    assert_true(suspects(&bench));
    bench_close(&bench);
    bench_open(&bench, 2);
    for (uint64_t i = 0; i < 20; i++)
        window(&bench, i < 8 ? 750 - i * 1000 / 16 : 250, 20);
    assert_false(suspects(&bench));
    window(&bench, 251, 20);
    window(&bench, 251, 20);
    assert_true(suspects(&bench));
    bench_close(&bench);
    bench_open(&bench, 2);
    for (int i = 0; i < 6; i++) /* its own performance is no measure */
        window(&bench, 500, 20);
    assert_false(suspects(&bench));
    window(&bench, 500, 20);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/* Replicas 1 to 3 lead for a while, each as fast as any. */
static void others_lead(struct bench *bench, uint64_t ms) {
    for (int i = 0; i < 3; i++) {
        next_view(bench);
        lead(bench, ms, 20, 500, 500, 1000);
        assert_false(suspects(bench));
    }
    next_view(bench);
}

/* Views are shorter than a window. One that is slow in each of its views is found when they make two windows. */
static void ratchet__goes_on_when_a_primary_leads_again(void **state) {
    (void) state;
    for (int slow = 0; slow < 2; slow++) {
        struct bench bench;
        bench_open(&bench, 2);
        for (int view = 0; view < 7; view++) {
            assert_false(suspects(&bench));
            lead(&bench, 600, slow ? 800 : 20, slow ? 10 : 500, slow ? 10 : 500, 1000);
            if (view < 6)
                others_lead(&bench, 200);
        }
        assert_int_equal(suspects(&bench), slow);
        /* It led as one that is slow, so the next time one window of one timeout suffices, and no less. */
        others_lead(&bench, 200);
        lead(&bench, 800, 800, 10, 10, 1000);
        assert_false(suspects(&bench));
        lead(&bench, 200, 800, 10, 10, 1000);
        assert_int_equal(suspects(&bench), slow);
        bench_close(&bench);
    }
}

/* The time in which others lead is not counted, so a busy primary is as fast as it is. */
static void ratchet__counts_only_while_a_primary_leads(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    accept(&bench, 1, "in flight"); /* the primary always has something proposed */
    window(&bench, 20, 500);
    for (int view = 0; view < 12; view++) {
        others_lead(&bench, 2000);
        lead(&bench, 600, 900, 500, 500, 1000);
        assert_false(suspects(&bench));
    }
    bench_close(&bench);
}

/* In a slow network the first f + 1 primaries are replaced, and none after them. */
static void ratchet__of_a_slow_network(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    for (int view = 0; view < 2; view++) {
        for (int i = 0; i < 10; i++)
            window(&bench, 400, 20);
        assert_true(suspects(&bench));
        next_view(&bench);
    }
    for (int i = 0; i < 100; i++) {
        window(&bench, i % 2 == 0 ? 400 : 600, i % 2 == 0 ? 20 : 5);
        assert_false(suspects(&bench));
    }
    bench_close(&bench);
}

/* A liar that leads again is still one primary, and sets no standard for the next. */
static void ratchet__counts_each_primary_once(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    struct ord_core *core = bench.host.core;
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 10; i++)
            window(&bench, 700, 20);
        assert_true(suspects(&bench));
        core->view += 3; /* nothing was measured in these views */
        next_view(&bench);
    }
    bench_close(&bench);
}

/*
 * The standard is what each primary achieved in its last view. One that alone was fast sets none, however fast it was:
 * it may be a liar whose clients helped it. Nor does one that alone was slow.
 */
static void ratchet__expects_what_the_last_views_gave(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 0, 50000);
    next_view(&bench);
    for (int view = 0; view < 2; view++) {
        window(&bench, 900, 10);
        window(&bench, 900, 10);
        assert_true(suspects(&bench));
        next_view(&bench);
    }
    for (int i = 0; i < 10; i++)
        window(&bench, 900, 10);
    assert_false(suspects(&bench));
    next_view(&bench);
    for (int view = 0; view < 2; view++) { /* the first one again, slow this time, and the next one, fast */
        window(&bench, view == 0 ? 900 : 20, view == 0 ? 10 : 500);
        next_view(&bench);
    }
    assert_false(suspects(&bench));
    window(&bench, 20, 500);
    next_view(&bench); /* now two of four were fast */
    window(&bench, 900, 10);
    window(&bench, 900, 10);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/* Whoever was slow when it led last is given one slow window, until a view in which it is not. */
static void ratchet__remembers_who_was_slow(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    window(&bench, 900, 10);
    window(&bench, 900, 10);
    assert_true(suspects(&bench));
    for (int view = 1; view <= 4; view++) {
        next_view(&bench);
        if (view < 4)
            window(&bench, 20, 500);
    }
    window(&bench, 900, 10);
    assert_true(suspects(&bench));
    for (int view = 5; view <= 8; view++) {
        next_view(&bench);
        window(&bench, 20, 500);
    }
    for (int view = 9; view <= 12; view++)
        next_view(&bench);
    window(&bench, 900, 10);
    assert_false(suspects(&bench));
    bench_close(&bench);
}

/* A view that fails before its second slow window hides the first one not. */
static void ratchet__remembers_who_stopped_after_a_slow_window(void **state) {
    (void) state;
    for (int slow = 0; slow < 2; slow++) {
        struct bench bench;
        bench_open(&bench, 2);
        window(&bench, 20, 500);
        window(&bench, slow ? 900 : 20, slow ? 10 : 500);
        assert_false(suspects(&bench));
        bench.host.core->ratchet.view_failed = true;
        for (int view = 1; view <= 4; view++)
            next_view(&bench);
        window(&bench, 900, 10);
        assert_int_equal(suspects(&bench), slow);
        bench_close(&bench);
    }
}

/* Replica 2 has prepared seq 1, and replica 3 has committed to it as well. */
static void commit_without_primary(struct bench *bench) {
    accept(bench, 1, "a");
    vote(bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(bench);
    vote(bench, BFT_COMMIT, 3, 1, "a");
    turn_ends(bench);
    assert_int_equal(status_of(bench).delivered_seq, 0);
}

/* Two backups committed, so the primary could have. Its own COMMIT is missing, or that of another replica. */
static void ratchet__of_a_withheld_commit(void **state) {
    (void) state;
    for (int withheld = 0; withheld < 2; withheld++) {
        struct bench bench;
        bench_open(&bench, 2);
        commit_without_primary(&bench);
        if (!withheld) {
            /* The primary's COMMIT is here. Then seq 2 waits for replicas that have not prepared it. */
            vote(&bench, BFT_COMMIT, 0, 1, "a");
            accept(&bench, 2, "b");
            turn_ends(&bench);
        }
        window(&bench, 900, 500);
        window(&bench, 900, 500);
        assert_int_equal(suspects(&bench), withheld);
        bench_close(&bench);
    }
}

/* The newest batch leaves out work that the primary has had for long, until one does not. */
static void ratchet__of_lean_batches(void **state) {
    (void) state;
    for (int lean = 0; lean < 2; lean++) {
        struct bench bench;
        bench_open(&bench, 2);
        for (uint64_t seq = 1; seq <= 2; seq++) {
            pre_prepare(&bench, seq, seq == 1 ? "a" : "b");
            struct ord_event event = {.type = ORD_EVENT_JUDGED,
                                      .now_ms = bench.now_ms,
                                      .judged = {.seq = seq,
                                                 .digest = digest_of(seq == 1 ? "a" : "b"),
                                                 .admissible = true,
                                                 .lean = seq == 1 || lean}};
            assert_ok(host_step(&bench.host, &event));
            bench.host.judge_count = 0;
        }
        window(&bench, 900, 500);
        window(&bench, 900, 500);
        assert_int_equal(suspects(&bench), lean);
        next_view(&bench);
        assert_false(bench.host.core->ratchet.lean);
        bench_close(&bench);
    }
}

/* The primary chooses what is executed: what it executes at once does not hide the work that waits. */
static void ratchet__looks_at_the_oldest_work(void **state) {
    (void) state;
    for (int old = 0; old < 2; old++) {
        struct bench bench;
        bench_open(&bench, 2);
        for (int i = 0; i < 20; i++) {
            struct ord_event event = {.type = ORD_EVENT_APPLIED, .applied = {.envelopes = 10, .waits = 10}};
            if (old && i % 10 == 0)
                host_work(&bench.host, bench.now_ms, bench.now_ms);
            bench.now_ms += 200;
            if (!old)
                host_work(&bench.host, bench.now_ms, bench.now_ms);
            event.now_ms = bench.now_ms;
            assert_ok(host_step(&bench.host, &event));
            bench.host.core->progress_ms = bench.now_ms;
            bench.host.core->ratchet.stall_since_ms = UINT64_MAX;
            turn_ends(&bench);
        }
        assert_int_equal(suspects(&bench), old);
        bench_close(&bench);
    }
}

/*
 * Twenty stalls: work waits for the primary alone for `stall_ms`, and then for as long for others, while much is
 * executed. None of it is old.
 */
static void stalls(struct bench *bench, uint64_t stall_ms) {
    for (int i = 0; i < 20; i++)
        for (int busy = 0; busy < 2; busy++) {
            bench->host.core->ratchet.lean = busy == 0;
            for (uint64_t ms = 0; ms < stall_ms; ms += 10) {
                struct ord_event event = {.type = ORD_EVENT_APPLIED};
                bench->now_ms += 10;
                event.now_ms = bench->now_ms;
                if (busy)
                    event.applied.envelopes = event.applied.waits = 10;
                host_work(&bench->host, bench->now_ms, bench->now_ms);
                assert_ok(host_step(&bench->host, &event));
                bench->host.core->progress_ms = bench->now_ms;
                turn_ends(bench);
            }
        }
}

/* It holds work up for half of the time only, but for long at a stretch: it proposes late, and much at once. */
static void ratchet__of_a_primary_that_proposes_late(void **state) {
    (void) state;
    for (int late = 0; late < 2; late++) {
        struct bench bench;
        bench_open(&bench, 2);
        accept(&bench, 1, "in flight");
        for (int i = 0; i < 2; i++)
            stalls(&bench, late ? 400 : 150);
        assert_int_equal(suspects(&bench), late);
        bench_close(&bench);
    }
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
    cmocka_unit_test(ratchet__counts_what_other_replicas_admitted),
    cmocka_unit_test(ratchet__counts_envelopes_and_bytes),
    cmocka_unit_test(ratchet__of_an_idle_primary),
    cmocka_unit_test(ratchet__begins_anew_with_each_view),
    cmocka_unit_test(ratchet__forgets_idle_time_with_its_window),
    cmocka_unit_test(ratchet__leaves_out_a_lag),
    cmocka_unit_test(ratchet__leaves_a_lag_out_of_an_age),
    cmocka_unit_test(ratchet__leaves_out_no_more_than_a_lag_can_be),
    cmocka_unit_test(ratchet__goes_on_after_a_lag),
    cmocka_unit_test(ratchet__leaves_a_lag_out_of_a_rate),
    cmocka_unit_test(ratchet__expects_more_the_longer_it_leads),
    cmocka_unit_test(ratchet__goes_on_when_a_primary_leads_again),
    cmocka_unit_test(ratchet__counts_only_while_a_primary_leads),
    cmocka_unit_test(ratchet__of_a_slow_network),
    cmocka_unit_test(ratchet__counts_each_primary_once),
    cmocka_unit_test(ratchet__expects_what_the_last_views_gave),
    cmocka_unit_test(ratchet__remembers_who_was_slow),
    cmocka_unit_test(ratchet__remembers_who_stopped_after_a_slow_window),
    cmocka_unit_test(ratchet__of_a_withheld_commit),
    cmocka_unit_test(ratchet__of_lean_batches),
    cmocka_unit_test(ratchet__looks_at_the_oldest_work),
    cmocka_unit_test(ratchet__of_a_primary_that_proposes_late),
    cmocka_unit_test(ratchet__says_nothing_when_nothing_waits),
};
TEST_CASES(cases);
