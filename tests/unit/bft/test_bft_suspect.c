/*
 * When one PBFT core wants another primary: bft/view/suspect.c. OSDI'99, sections 4.4 and 4.5.2. Rows P3, P4, P7, P11,
 * P16, V11 and V12 in docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static void work(struct bench *bench, uint64_t since_ms) {
    host_work(&bench->host, since_ms, bench->now_ms);
}

/*
 * Lets time pass to `now_ms`, and runs a turn there. One other replica suspects the primary, or gives up the view
 * change, all the while. That alone moves no replica, and the others follow only when this one suspects, too. So a view
 * that is left shows that this replica's own clock has run out.
 */
static void pass_to(struct bench *bench, uint64_t now_ms) {
    suspect(bench, (bench->config.self + 1) % 4);
    tick(bench, now_ms);
    turn_ends(bench);
    if (!detail_of(bench)->suspecting || status_of(bench).changing)
        return;
    all_suspect(bench);
    turn_ends(bench);
}

/* Lets time pass while no other replica suspects the primary; keeps the sends of the turn. */
static void pass_alone_to(struct bench *bench, uint64_t now_ms) {
    host_sends_clear(&bench->host);
    tick(bench, now_ms);
    host_flush(&bench->host, bench->now_ms);
    host_commit(&bench->host);
}

static void expect_view(struct bench *bench, uint64_t view) {
    assert_int_equal(status_of(bench).view, view);
}

static void clock__stands_while_nothing_waits(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    pass_to(&bench, 1000000);
    expect_view(&bench, 0);
    work(&bench, 999000);
    work(&bench, UINT64_MAX); /* served by state transfer, for example */
    pass_to(&bench, 2000000);
    expect_view(&bench, 0);
    bench_close(&bench);
}

static void clock__of_a_mute_primary_is_one_timeout(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    work(&bench, 1000);
    turn_ends(&bench);
    assert_true(bench.host.wake_ms <= 2000);
    pass_to(&bench, 1999);
    expect_view(&bench, 0);
    assert_int_equal(bench.host.wake_ms, 2000);
    pass_to(&bench, 2000);
    expect_view(&bench, 1);
    bench_close(&bench);
    /* The primary itself has the clock too: it may be cut off while the others are not. */
    bench_open(&bench, 0);
    work(&bench, 1000);
    pass_to(&bench, 2000);
    expect_view(&bench, 1);
    bench_close(&bench);
}

/* P11, P16: only a delivery counts as progress. */
static void clock__is_not_fooled_by_messages(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    work(&bench, 1000);
    for (bench.now_ms = 1100; bench.now_ms < 2000; bench.now_ms += 100) {
        uint64_t seq = bench.now_ms / 100 - 10;
        assert_ok(receive(&bench, 0, make_status(&bench.config, 0, 0, 0, 0)));
        assert_ok(receive(&bench, 3, make_pre_prepare(&bench.config, 3, 0, 1, "not the primary")));
        if (seq <= 8) {
            accept(&bench, seq, "x");
            vote(&bench, BFT_PREPARE, 3, seq, "x");
            vote(&bench, BFT_COMMIT, 3, seq, "x");
        }
        turn_ends(&bench);
        expect_view(&bench, 0);
    }
    pass_to(&bench, 2000);
    expect_view(&bench, 1);
    bench_close(&bench);
}

/* The votes of replicas 3 and 0 decide the next seq at backup 2. */
static void decide_next(struct bench *bench) {
    uint64_t seq = bench->host.applied + 1;
    accept(bench, seq, "x");
    vote(bench, BFT_PREPARE, 3, seq, "x");
    vote(bench, BFT_COMMIT, 3, seq, "x");
    vote(bench, BFT_COMMIT, 0, seq, "x");
    turn_ends(bench);
    assert_int_equal(bench->host.applied, seq);
}

/* P7, P16: deliveries hold off the first clock. Work that stays undone for four timeouts has a clock of its own. */
static void clock__of_old_work_is_four_timeouts(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    work(&bench, 1000);
    for (uint64_t now_ms = 1900; now_ms < 5000; now_ms += 900) {
        pass_to(&bench, now_ms);
        expect_view(&bench, 0);
        decide_next(&bench);
    }
    pass_to(&bench, 4999);
    expect_view(&bench, 0);
    assert_int_equal(bench.host.wake_ms, 5000);
    pass_to(&bench, 5000);
    expect_view(&bench, 1);
    bench_close(&bench);
}

/*
 * The clock of work that is queued begins with its turn: four timeouts count from there. Other work is delivered
 * meanwhile.
 */
static void clock__of_old_work_begins_with_its_turn(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    host_work_turn(&bench.host, 1000, 2500, bench.now_ms);
    for (uint64_t now_ms = 1900; now_ms < 6500; now_ms += 900) {
        pass_to(&bench, now_ms);
        expect_view(&bench, 0);
        if (bench.host.applied < 8)
            decide_next(&bench);
        bench.host.core->progress_ms = now_ms;
    }
    pass_to(&bench, 6499);
    expect_view(&bench, 0);
    pass_to(&bench, 6500);
    expect_view(&bench, 1);
    bench_close(&bench);
}

/* A queue is no excuse for a primary that delivers nothing at all. */
static void clock__of_a_mute_primary_knows_no_queue(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    host_work_turn(&bench.host, 1000, 60000, bench.now_ms);
    pass_to(&bench, 1999);
    expect_view(&bench, 0);
    pass_to(&bench, 2000);
    expect_view(&bench, 1);
    bench_close(&bench);
}

/* Work that is done in time restarts both clocks. */
static void clock__starts_anew_with_other_work(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    for (uint64_t now_ms = 1000; now_ms < 20000; now_ms += 900) {
        bench.now_ms = now_ms;
        if (bench.host.applied - status_of(&bench).stable_seq == 8)
            host_attested(&bench.host, bench.host.applied, now_ms);
        decide_next(&bench);
        work(&bench, now_ms);
        pass_to(&bench, now_ms + 899);
        expect_view(&bench, 0);
    }
    bench_close(&bench);
}

/* A replica that knows that it is behind waits for state transfer, whichever replica leads. */
static void clock__stands_behind_a_certified_point(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    bench_open(&bench, 2);
    bench_open(&source, 3);
    source.host.durable_applied = 100;
    work(&bench, 1000);
    host_attested(&bench.host, 100, bench.now_ms);
    pass_to(&bench, 60000);
    expect_view(&bench, 0);
    /* The transfer is progress: one timeout from here. */
    host_sync_from(&bench.host, &source.host, 100, bench.now_ms);
    work(&bench, bench.now_ms);
    pass_to(&bench, 60999);
    expect_view(&bench, 0);
    pass_to(&bench, 61000);
    expect_view(&bench, 1);
    bench_close(&bench);
    bench_close(&source);
}

/* Certified points come every 500 ms, and each is transferred 100 ms later, until the suspicion or `until_ms`. */
static void lag_on_and_on(struct bench *bench, struct bench *source, uint64_t until_ms) {
    uint64_t seq = 1;
    source->host.durable_applied = 200;
    for (uint64_t now_ms = bench->now_ms; now_ms < until_ms && status_of(bench).view == 0; now_ms += 500, seq++) {
        pass_to(bench, now_ms + 400);
        host_attested(&bench->host, 10 * seq, bench->now_ms);
        pass_to(bench, now_ms + 500);
        host_sync_from(&bench->host, &source->host, 10 * seq, bench->now_ms);
    }
}

/*
 * A lag stops the clocks only while it lasts. Otherwise a primary would make a backup fall behind again and again, and
 * never serve what that waits for. Four timeouts without the lags end after the tenth 400 ms.
 */
static void clock__of_old_work_goes_on_after_each_lag(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    bench_open(&bench, 2);
    bench_open(&source, 3);
    bench.now_ms = 1000;
    work(&bench, 1000);
    lag_on_and_on(&bench, &source, 5500);
    expect_view(&bench, 0);
    pass_to(&bench, 5899);
    expect_view(&bench, 0);
    assert_int_equal(bench.host.wake_ms, 5900);
    pass_to(&bench, 5900);
    expect_view(&bench, 1);
    bench_close(&bench);
    bench_close(&source);
}

/* Work that waited through a long lag makes no primary suspect: it has the time that was left before. */
static void clock__of_old_work_stands_in_a_long_lag(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    bench_open(&bench, 2);
    bench_open(&source, 3);
    source.host.durable_applied = 100;
    bench.now_ms = 1000;
    work(&bench, 1000);
    pass_to(&bench, 1900);
    host_attested(&bench.host, 100, bench.now_ms);
    pass_to(&bench, 600000);
    expect_view(&bench, 0);
    host_sync_from(&bench.host, &source.host, 100, bench.now_ms);
    for (uint64_t now_ms = 600000; now_ms < 603000; now_ms += 500) {
        bench.host.core->progress_ms = now_ms;
        pass_to(&bench, now_ms);
        expect_view(&bench, 0);
    }
    bench.host.core->progress_ms = bench.now_ms;
    pass_to(&bench, 603099);
    expect_view(&bench, 0);
    pass_to(&bench, 603100);
    expect_view(&bench, 1);
    bench_close(&bench);
    bench_close(&source);
}

/*
 * V12: alone, or with too few others, no replica moves further. So a replica that comes late finds the others in one
 * view.
 */
static void clock__of_a_view_change_starts_with_a_quorum(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    pass_to(&bench, 100000);
    expect_view(&bench, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    pass_to(&bench, 200000);
    expect_view(&bench, 1);
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    pass_to(&bench, 200999);
    expect_view(&bench, 1);
    pass_to(&bench, 201000);
    expect_view(&bench, 2);
    bench_close(&bench);
}

/* A replica that went further has left this view as well; its message for this view may be lost for good. */
static void clock__counts_those_who_went_further(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    uint64_t now_ms = bench.now_ms;
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    change(&bench, &changes, 0, 6, 0, NULL, 0); /* one replica: none follows it */
    pass_alone_to(&bench, now_ms + 999);
    expect_view(&bench, 1);
    pass_alone_to(&bench, now_ms + 1000);
    expect_view(&bench, 2);
    bench_close(&bench);
}

/* A view that took long to be installed gets its whole timeout, however long the work has waited. */
static void clock__of_a_new_view_begins_when_it_is_installed(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    bench.now_ms += 900;
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    uint64_t installed_ms = bench.now_ms;
    pass_to(&bench, installed_ms + 999);
    expect_view(&bench, 1);
    pass_to(&bench, installed_ms + 1000);
    expect_view(&bench, 2);
    bench_close(&bench);
}

/* V11: each view that fails doubles the timeout, up to a bound. A delivery makes it short again. */
static void timeout__doubles_with_each_view_that_fails(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    uint64_t timeout_ms = 1000;
    uint64_t view = 1;
    /* Replica 2 may install the views that it leads itself; then the clock of work runs. */
    for (; view < 16; view++) {
        change(&bench, &changes, 3, view, 0, NULL, 0);
        change(&bench, &changes, 0, view, 0, NULL, 0);
        turn_ends(&bench);
        work(&bench, bench.now_ms);
        uint64_t since_ms = bench.now_ms;
        pass_to(&bench, since_ms + timeout_ms - 1);
        expect_view(&bench, view);
        pass_to(&bench, since_ms + timeout_ms);
        expect_view(&bench, view + 1);
        timeout_ms = timeout_ms < 1024 * 1000 ? 2 * timeout_ms : timeout_ms;
    }
    assert_int_equal(timeout_ms, 1024 * 1000);
    /* Replica 1 leads view 17. */
    (void) changes_keep(&changes, 2, sent_message(&bench, BFT_VIEW_CHANGE));
    change(&bench, &changes, 3, 17, 0, NULL, 0);
    change(&bench, &changes, 0, 17, 0, NULL, 0);
    turn_ends(&bench);
    (void) changes_keep(&changes, 2, sent_message(&bench, BFT_VIEW_CHANGE));
    changes.of[1] = ord_span_of(NULL, 0);
    new_view(&bench, &changes, 17, 0, NULL, 0);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    expect_view(&bench, 17);
    assert_ok(receive(&bench, 1, make_pre_prepare(&bench.config, 1, 17, 1, "x")));
    host_judge(&bench.host, 0, true, bench.now_ms);
    const struct ord_hash x = digest_of("x");
    vote_in(&bench, BFT_PREPARE, 3, 17, 1, &x);
    vote_in(&bench, BFT_COMMIT, 3, 17, 1, &x);
    vote_in(&bench, BFT_COMMIT, 1, 17, 1, &x);
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 1);
    work(&bench, bench.now_ms);
    uint64_t since_ms = bench.now_ms;
    pass_to(&bench, since_ms + 999);
    expect_view(&bench, 17);
    pass_to(&bench, since_ms + 1000);
    expect_view(&bench, 18);
    bench_close(&bench);
}

/* The STATUS that the last turn sent. */
static struct bft_status told(const struct bench *bench) {
    struct bft_status status;
    assert_ok(bft_status_decode(&status, &bench->config, sent_message(bench, BFT_STATUS)));
    return status;
}

/*
 * A replica that is alone with its suspicion reports it, and stays as useful to its view as before. A delivery ends the
 * suspicion.
 */
static void suspicion__alone_is_told_and_the_work_goes_on(void **state) {
    (void) state;
    struct bench bench;
    struct bft_vote_list list;
    bench_open(&bench, 2);
    work(&bench, 1000);
    pass_alone_to(&bench, 1999);
    assert_int_equal(sent(&bench, BFT_STATUS, NULL), 0);
    pass_alone_to(&bench, 2000);
    assert_int_equal(told(&bench).mood, BFT_SUSPECTS);
    for (uint64_t now_ms = 2100; now_ms < 20000; now_ms += 100) {
        pass_alone_to(&bench, now_ms);
        expect_view(&bench, 0);
        assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 0);
        if (sent(&bench, BFT_STATUS, NULL) > 0)
            assert_int_equal(told(&bench).mood, BFT_SUSPECTS);
    }
    assert_false(status_of(&bench).changing);
    accept(&bench, 1, "a");
    pass_alone_to(&bench, 20000);
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.view, 0);
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    pass_alone_to(&bench, 20001);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    vote(&bench, BFT_COMMIT, 3, 1, "a");
    vote(&bench, BFT_COMMIT, 0, 1, "a");
    work(&bench, UINT64_MAX); /* the waiting work was served */
    pass_alone_to(&bench, 20002);
    assert_int_equal(bench.host.applied, 1);
    pass_alone_to(&bench, 22000);
    assert_int_equal(told(&bench).mood, BFT_CONTENT);
    /* When another replica suspects the primary, this one is content, and one suspicion alone is again too few. */
    suspect(&bench, 3);
    pass_alone_to(&bench, 22001);
    expect_view(&bench, 0);
    bench_close(&bench);
}

/* For the first clock, a delivery is progress even at a replica that already suspects the primary. */
static void suspicion__of_a_mute_primary_ends_with_a_delivery(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    work(&bench, 1000);
    pass_alone_to(&bench, 2000);
    assert_int_equal(told(&bench).mood, BFT_SUSPECTS);
    decide_next(&bench);
    suspect(&bench, 3);
    pass_alone_to(&bench, 2999);
    expect_view(&bench, 0);
    pass_alone_to(&bench, 3000);
    assert_true(detail_of(&bench)->suspecting);
    all_suspect(&bench);
    turn_ends(&bench);
    expect_view(&bench, 1);
    bench_close(&bench);
}

/*
 * The statements of f liars move no replica. A replica that follows f + 1 others moves one view on, whichever view the
 * liar claims.
 */
static void suspicion__of_one_liar_moves_nobody(void **state) {
    (void) state;
    for (unsigned lie = 0; lie < 4; lie++) {
        struct bench bench;
        bench_open(&bench, 2);
        for (uint64_t now_ms = 1000; now_ms < 9000; now_ms += 500) {
            if (lie == 0 || lie == 3)
                suspect(&bench, 3);
            if (lie == 1 || lie == 3)
                assert_ok(receive(&bench, 3, make_mood_status(&bench.config, 3, 77, BFT_SUSPECTS, 0)));
            if (lie == 2 || lie == 3)
                assert_ok(receive(&bench, 3, make_view_change(&bench.config, 3, 99, 0, NULL, 0)));
            pass_alone_to(&bench, now_ms);
            expect_view(&bench, 0);
            assert_false(status_of(&bench).changing);
            assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 0);
        }
        suspect(&bench, 1);
        pass_alone_to(&bench, 9000);
        expect_view(&bench, 1);
        bench_close(&bench);
    }
}

/* A suspicion counts as long as it is reported. A replica that is content again no longer counts. */
static void suspicion__may_be_taken_back(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    suspect(&bench, 3);
    turn_ends(&bench);
    assert_ok(receive(&bench, 3, make_mood_status(&bench.config, 3, 0, BFT_CONTENT, 0)));
    suspect(&bench, 1);
    turn_ends(&bench);
    expect_view(&bench, 0);
    suspect(&bench, 3);
    turn_ends(&bench);
    expect_view(&bench, 1);
    bench_close(&bench);
}

/* A suspicion about an earlier view says nothing about this one. */
static void suspicion__is_of_one_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_ok(receive(&bench, 0, make_mood_status(&bench.config, 0, 0, BFT_SUSPECTS, 0)));
    suspect(&bench, 3);
    turn_ends(&bench);
    expect_view(&bench, 1);
    suspect(&bench, 0);
    turn_ends(&bench);
    expect_view(&bench, 2);
    bench_close(&bench);
}

/*
 * A replica whose view change has failed says so, and waits for f others. Otherwise one that merely missed the NEW-VIEW
 * would wander on alone, out of a view that works for the others.
 */
static void view_change__is_not_given_up_alone(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    turn_ends(&bench);
    const uint64_t since_ms = bench.now_ms;
    pass_alone_to(&bench, since_ms + 999);
    turn_ends(&bench);
    pass_alone_to(&bench, since_ms + 1000);
    expect_view(&bench, 1);
    assert_int_equal(told(&bench).mood, BFT_GIVES_UP);
    /* What is said of another view does not count. */
    assert_ok(receive(&bench, 3, make_mood_status(&bench.config, 3, 0, BFT_SUSPECTS, 0)));
    pass_alone_to(&bench, since_ms + 5000);
    expect_view(&bench, 1);
    suspect(&bench, 3);
    turn_ends(&bench);
    expect_view(&bench, 2);
    assert_true(status_of(&bench).changing);
    assert_false(bench.host.core->detail.suspecting);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(clock__stands_while_nothing_waits),
    cmocka_unit_test(clock__of_a_mute_primary_is_one_timeout),
    cmocka_unit_test(clock__is_not_fooled_by_messages),
    cmocka_unit_test(clock__of_old_work_is_four_timeouts),
    cmocka_unit_test(clock__of_old_work_begins_with_its_turn),
    cmocka_unit_test(clock__of_a_mute_primary_knows_no_queue),
    cmocka_unit_test(clock__starts_anew_with_other_work),
    cmocka_unit_test(clock__stands_behind_a_certified_point),
    cmocka_unit_test(clock__of_old_work_goes_on_after_each_lag),
    cmocka_unit_test(clock__of_old_work_stands_in_a_long_lag),
    cmocka_unit_test(clock__of_a_view_change_starts_with_a_quorum),
    cmocka_unit_test(clock__counts_those_who_went_further),
    cmocka_unit_test(clock__of_a_new_view_begins_when_it_is_installed),
    cmocka_unit_test(timeout__doubles_with_each_view_that_fails),
    cmocka_unit_test(suspicion__alone_is_told_and_the_work_goes_on),
    cmocka_unit_test(suspicion__of_a_mute_primary_ends_with_a_delivery),
    cmocka_unit_test(suspicion__of_one_liar_moves_nobody),
    cmocka_unit_test(suspicion__may_be_taken_back),
    cmocka_unit_test(suspicion__is_of_one_view),
    cmocka_unit_test(view_change__is_not_given_up_alone),
};
TEST_CASES(cases);
