/*
 * Leaders whose views failed lately have less time: bft/view/failed.c. Row P2 in docs/adversary.md. The bench is backup
 * 2 of four replicas, so f is 1 and one leader is remembered. Replica 0 leads the views 0, 4, 8, ...
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

enum { WHOLE_MS = 1000, SHORT_MS = WHOLE_MS / 8 };

static struct changes changes;

/*
 * The replica follows the VIEW-CHANGEs of two others to `view`, where the clock of the view change then begins. It has
 * seen no view fail on the way, and no failure counts for the timeout.
 */
static void follow_to(struct bench *bench, uint64_t view) {
    change(bench, &changes, 1, view, 0, NULL, 0);
    change(bench, &changes, 3, view, 0, NULL, 0);
    turn_ends(bench);
    assert_int_equal(status_of(bench).view, view);
    bench->host.core->detail.failed_views = 0;
    turn_ends(bench);
}

/*
 * The replica's view must fail exactly at `wait_ms` from now. One other replica gives it up all the while, and the
 * others when this one does.
 */
static void fails_after(struct bench *bench, uint64_t wait_ms) {
    const uint64_t view = status_of(bench).view;
    const uint64_t since_ms = bench->now_ms;
    suspect(bench, 3);
    tick(bench, since_ms + wait_ms - 1);
    turn_ends(bench);
    assert_int_equal(status_of(bench).view, view);
    assert_false(detail_of(bench)->suspecting);
    tick(bench, since_ms + wait_ms);
    turn_ends(bench);
    if (status_of(bench).view == view) {
        assert_true(detail_of(bench)->suspecting);
        all_suspect(bench);
        turn_ends(bench);
    }
    assert_int_equal(status_of(bench).view, view + 1);
}

/* The leader of view 0 is mute, and the replica is in view 1. */
static void open_failed(struct bench *bench) {
    bench_open(bench, 2);
    host_work(&bench->host, bench->now_ms, bench->now_ms);
    fails_after(bench, WHOLE_MS);
}

/* A view of the replica's that the others have agreed on: its primary's NEW-VIEW comes. */
static void install(struct bench *bench, uint64_t view) {
    follow_to(bench, view);
    (void) changes_keep(&changes, 2, ord_span_of(NULL, 0));
    change(bench, &changes, 0, view, 0, NULL, 0);
    changes.of[2] = ord_span_of(NULL, 0);
    new_view(bench, &changes, view, 0, NULL, 0);
    turn_ends(bench);
    assert_false(status_of(bench).changing);
}

/* The next seq is proposed in the replica's view and decided. */
static void decide_next(struct bench *bench) {
    const uint64_t seq = bench->host.applied + 1;
    const uint64_t view = status_of(bench).view;
    const ord_node_id primary = bft_primary(&bench->config, view);
    const struct ord_hash x = digest_of("x");
    assert_ok(receive(bench, primary, make_pre_prepare(&bench->config, primary, view, seq, "x")));
    host_judge(&bench->host, bench->host.judge_count - 1, true, bench->now_ms);
    vote_in(bench, BFT_PREPARE, 3, view, seq, &x);
    vote_in(bench, BFT_COMMIT, 3, view, seq, &x);
    vote_in(bench, BFT_COMMIT, primary, view, seq, &x);
    turn_ends(bench);
    assert_int_equal(bench->host.applied, seq);
    if (seq % bench->config.window == 0)
        host_attested(&bench->host, seq, bench->now_ms);
}

/* So many full terms: without rotation, a window each. */
static void serve_terms(struct bench *bench, uint32_t count) {
    for (uint32_t i = 0; i < count * bench->config.window; i++)
        decide_next(bench);
}

static void leader__that_failed_costs_an_eighth_in_its_next_view(void **state) {
    (void) state;
    struct bench bench;
    open_failed(&bench);
    follow_to(&bench, 4);
    fails_after(&bench, SHORT_MS);
    bench_close(&bench);
    /* The others have the whole time. */
    for (uint64_t view = 5; view < 8; view++) {
        open_failed(&bench);
        follow_to(&bench, view);
        fails_after(&bench, WHOLE_MS);
        bench_close(&bench);
    }
}

/* A primary that sends its NEW-VIEW and then falls silent gains nothing. */
static void leader__that_failed_has_less_time_for_each_delivery(void **state) {
    (void) state;
    struct bench bench;
    open_failed(&bench);
    install(&bench, 4);
    decide_next(&bench);
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    fails_after(&bench, SHORT_MS);
    bench_close(&bench);
    /* The same for what was proposed and is not decided, whoever waits for it. */
    open_failed(&bench);
    host_work(&bench.host, UINT64_MAX, bench.now_ms);
    install(&bench, 4);
    assert_ok(receive(&bench, 0, make_pre_prepare(&bench.config, 0, 4, 1, "x")));
    host_judge(&bench.host, 0, true, bench.now_ms);
    turn_ends(&bench);
    fails_after(&bench, SHORT_MS);
    bench_close(&bench);
}

/* The clock of old work is no shorter: a queue may take its time, whoever leads. */
static void leader__that_failed_has_the_whole_time_for_a_queue(void **state) {
    (void) state;
    struct bench bench;
    open_failed(&bench);
    install(&bench, 4);
    const uint64_t since_ms = bench.now_ms;
    host_work(&bench.host, since_ms, since_ms);
    suspect(&bench, 3);
    for (uint64_t at_ms = 100; at_ms < 4 * WHOLE_MS; at_ms += 100) {
        tick(&bench, since_ms + at_ms);
        bench.host.core->progress_ms = bench.now_ms; /* other work is delivered */
        turn_ends(&bench);
        assert_int_equal(status_of(&bench).view, 4);
    }
    tick(&bench, since_ms + 4 * WHOLE_MS);
    bench.host.core->progress_ms = bench.now_ms;
    turn_ends(&bench);
    assert_true(detail_of(&bench)->suspecting);
    all_suspect(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 5);
    bench_close(&bench);
}

/* A leader that fails all the time costs less and less; one that was slow at a bad time has its whole time again. */
static void leader__that_fails_again_has_its_whole_time_now_and_then(void **state) {
    (void) state;
    struct bench bench;
    open_failed(&bench);
    for (uint32_t failures = 1; failures < 130; failures++) {
        bool whole = failures == 4 || failures == 8 || failures == 16 || failures % 32 == 0;
        follow_to(&bench, 4 * (uint64_t) failures);
        fails_after(&bench, whole ? WHOLE_MS : SHORT_MS);
    }
    bench_close(&bench);
}

/* At most f are remembered, and each failure of another leader displaces the one that failed longest ago. */
static void leader__is_displaced_by_one_that_failed_later(void **state) {
    (void) state;
    struct bench bench;
    open_failed(&bench);
    follow_to(&bench, 5);
    fails_after(&bench, WHOLE_MS);
    follow_to(&bench, 8);
    fails_after(&bench, WHOLE_MS);
    follow_to(&bench, 9);
    fails_after(&bench, WHOLE_MS);
    follow_to(&bench, 13);
    fails_after(&bench, SHORT_MS);
    bench_close(&bench);
}

/* Liveness: when one view after the other fails, each has the whole time, and the timeouts double as ever. */
static void leader__has_the_whole_time_while_every_view_fails(void **state) {
    (void) state;
    struct bench bench;
    open_failed(&bench);
    uint64_t timeout_ms = WHOLE_MS;
    for (uint64_t view = 1; view < 10; view++) {
        change(&bench, &changes, 3, view, 0, NULL, 0);
        change(&bench, &changes, 0, view, 0, NULL, 0);
        turn_ends(&bench);
        host_work(&bench.host, bench.now_ms, bench.now_ms);
        turn_ends(&bench);
        fails_after(&bench, timeout_ms);
        timeout_ms *= 2;
    }
    bench_close(&bench);
}

/* A view in which there was less time says nothing about the time that others need. A shortened time doubles too. */
static void leader__that_fails_again_doubles_no_timeout(void **state) {
    (void) state;
    struct bench bench;
    open_failed(&bench);
    follow_to(&bench, 4);
    bench.host.core->detail.failed_views = 3;
    fails_after(&bench, 4 * SHORT_MS);
    assert_int_equal(detail_of(&bench)->failed_views, 3);
    follow_to(&bench, 9);
    bench.host.core->detail.failed_views = 3;
    fails_after(&bench, 4 * WHOLE_MS);
    assert_int_equal(detail_of(&bench)->failed_views, 4);
    bench_close(&bench);
}

static void leader__is_forgotten_after_four_terms(void **state) {
    (void) state;
    struct bench bench;
    for (uint32_t terms = 3; terms <= 4; terms++) {
        open_failed(&bench);
        host_work(&bench.host, UINT64_MAX, bench.now_ms);
        install(&bench, 4);
        serve_terms(&bench, terms);
        host_work(&bench.host, bench.now_ms, bench.now_ms);
        fails_after(&bench, terms < 4 ? SHORT_MS : WHOLE_MS);
        bench_close(&bench);
    }
}

/* A failure among the terms makes them void, so a liar gains little by serving now and then. */
static void leader__has_to_serve_its_terms_without_a_failure(void **state) {
    (void) state;
    struct bench bench;
    open_failed(&bench);
    host_work(&bench.host, UINT64_MAX, bench.now_ms);
    install(&bench, 4);
    serve_terms(&bench, 3);
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    fails_after(&bench, SHORT_MS);
    assert_int_equal(bench.host.core->failed_count, 1);
    assert_int_equal(bench.host.core->failed[0].failures, 2);
    assert_int_equal(bench.host.core->failed[0].terms, 0);
    bench_close(&bench);
}

/* With rotation, a term is what the view orders; what its NEW-VIEW proposes again is not its leader's. */
static void leader__completes_a_term_with_its_view(void **state) {
    (void) state;
    struct bench bench;
    static struct bft_options rotating;
    open_failed(&bench);
    rotating = test_options;
    rotating.decisions_per_leader = 3;
    bench.host.core->options = &rotating;
    install(&bench, 4);
    bench.host.core->entries.count = 2;
    for (uint64_t seq = 1; seq <= 4; seq++)
        bft_failed_delivered(bench.host.core, seq);
    assert_int_equal(bench.host.core->failed[0].terms, 0);
    bft_failed_delivered(bench.host.core, 5);
    assert_int_equal(bench.host.core->failed[0].terms, 1);
    bench_close(&bench);
}

/* Others are followed to a later view that they may have reached on schedule: nobody failed. */
static void leader__of_a_view_that_others_left_has_not_failed(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    follow_to(&bench, 1);
    follow_to(&bench, 4);
    fails_after(&bench, WHOLE_MS);
    bench_close(&bench);
}

/* f + 1 others say that the view failed, before this replica's own clock runs out: one of them is honest. */
static void leader__has_failed_when_enough_others_say_so(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    suspect(&bench, 1);
    suspect(&bench, 3);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    follow_to(&bench, 4);
    fails_after(&bench, SHORT_MS);
    bench_close(&bench);
    /* f of them, who may lie, and VIEW-CHANGEs that may be on schedule, are not enough. */
    bench_open(&bench, 2);
    suspect(&bench, 1);
    follow_to(&bench, 1);
    follow_to(&bench, 4);
    fails_after(&bench, WHOLE_MS);
    bench_close(&bench);
}

/* A term of one seq ends on schedule as soon as that seq is executed, which shows whether its primary was slow. */
static void leader__that_is_found_slow_at_the_end_of_its_term_has_failed(void **state) {
    (void) state;
    static struct bft_options rotating;
    rotating = test_options;
    rotating.decisions_per_leader = 1;
    for (uint32_t slow = 0; slow < 2; slow++) {
        struct bench bench;
        bench_open(&bench, 1);
        bench.host.core->options = &rotating;
        bench.host.config.options = &rotating;
        host_work(&bench.host, bench.now_ms, bench.now_ms);
        accept(&bench, 1, "a");
        turn_ends(&bench);
        bench.host.core->ratchet.window.slow_windows = slow == 0 ? 1 : 2;
        vote(&bench, BFT_PREPARE, 2, 1, "a");
        vote(&bench, BFT_COMMIT, 2, 1, "a");
        vote(&bench, BFT_COMMIT, 0, 1, "a");
        while (!status_of(&bench).changing)
            turn_ends(&bench);
        assert_int_equal(status_of(&bench).view, 1);
        assert_int_equal(bench.host.core->failed_count, slow);
        bench_close(&bench);
    }
}

/*
 * A primary that hands over has less time in its next view, because a liar may hand over late in each view. No timeout
 * doubles.
 */
static void leader__that_hands_over_has_less_time_later(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    assert_ok(receive(&bench, 0, make_mood_status(&bench.config, 0, 0, BFT_HANDS_OVER, 0)));
    all_suspect(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_int_equal(detail_of(&bench)->failed_views, 0);
    follow_to(&bench, 4);
    fails_after(&bench, SHORT_MS);
    bench_close(&bench);
    /* The same when the others have gone further in the same turn. */
    bench_open(&bench, 2);
    assert_ok(receive(&bench, 0, make_mood_status(&bench.config, 0, 0, BFT_HANDS_OVER, 0)));
    follow_to(&bench, 3);
    follow_to(&bench, 4);
    fails_after(&bench, SHORT_MS);
    bench_close(&bench);
}

/* One whose view ends on schedule, although f + 1 others had lost their patience, has not failed. */
static void leader__of_a_view_that_ended_on_schedule_has_not_failed(void **state) {
    (void) state;
    struct bench bench;
    static struct bft_options rotating;
    bench_open(&bench, 2);
    rotating = test_options;
    rotating.decisions_per_leader = 1;
    bench.host.config.options = &rotating;
    bench.host.core->options = &rotating;
    accept(&bench, 1, "x");
    turn_ends(&bench);
    suspect(&bench, 1);
    suspect(&bench, 3);
    vote(&bench, BFT_COMMIT, 0, 1, "x");
    vote(&bench, BFT_COMMIT, 3, 1, "x");
    vote(&bench, BFT_PREPARE, 3, 1, "x");
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 1);
    assert_int_equal(status_of(&bench).view, 1);
    assert_int_equal(bench.host.core->failed_count, 0);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(leader__that_failed_costs_an_eighth_in_its_next_view),
    cmocka_unit_test(leader__that_failed_has_less_time_for_each_delivery),
    cmocka_unit_test(leader__that_failed_has_the_whole_time_for_a_queue),
    cmocka_unit_test(leader__that_fails_again_has_its_whole_time_now_and_then),
    cmocka_unit_test(leader__is_displaced_by_one_that_failed_later),
    cmocka_unit_test(leader__has_the_whole_time_while_every_view_fails),
    cmocka_unit_test(leader__that_fails_again_doubles_no_timeout),
    cmocka_unit_test(leader__is_forgotten_after_four_terms),
    cmocka_unit_test(leader__has_to_serve_its_terms_without_a_failure),
    cmocka_unit_test(leader__completes_a_term_with_its_view),
    cmocka_unit_test(leader__of_a_view_that_others_left_has_not_failed),
    cmocka_unit_test(leader__has_failed_when_enough_others_say_so),
    cmocka_unit_test(leader__that_is_found_slow_at_the_end_of_its_term_has_failed),
    cmocka_unit_test(leader__that_hands_over_has_less_time_later),
    cmocka_unit_test(leader__of_a_view_that_ended_on_schedule_has_not_failed),
};
TEST_CASES(cases);
