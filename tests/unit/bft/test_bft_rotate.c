/* Views that end on schedule: bft/view/rotate.c. */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

/* Two benches of one test share them. */
static struct bft_options rotating;

/* Like bench_open, in a channel in which each primary leads for so many seqs. */
static void rotating_open(struct bench *bench, ord_node_id self, uint32_t decisions_per_leader) {
    memset(bench, 0, sizeof(*bench));
    bench->config = test_config(self);
    rotating = test_options;
    rotating.decisions_per_leader = decisions_per_leader;
    bench->config.options = &rotating;
    bench->now_ms = 1000;
    host_init(&bench->host, &bench->config);
    assert_ok(host_start(&bench->host, bench->now_ms));
    turn_ends(bench);
}

static void expect_view(const struct bench *bench, uint64_t view, bool changing) {
    assert_int_equal(status_of(bench).view, view);
    assert_int_equal(status_of(bench).changing, changing);
}

static void rotation__follows_the_last_seq_of_a_view(void **state) {
    (void) state;
    struct bench bench;
    rotating_open(&bench, 1, 2);
    decide(&bench, 1, "a");
    expect_view(&bench, 0, false);
    pre_prepare(&bench, 3, "no backup takes more");
    assert_int_equal(bench.host.judge_count, 0);
    assert_int_equal(status_of(&bench).proposed_seq, 1);
    accept(&bench, 2, "b");
    vote(&bench, BFT_PREPARE, 3, 2, "b");
    vote(&bench, BFT_COMMIT, 3, 2, "b");
    vote(&bench, BFT_COMMIT, 0, 2, "b");
    /* With its own COMMIT the batch is delivered, and the next turn is due at once. */
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 2);
    assert_true(bench.host.wake_ms <= bench.now_ms);
    turn_ends(&bench);
    expect_view(&bench, 1, true);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
    assert_int_equal(bench.host.core->detail.failed_views, 0);
    bench_close(&bench);
}

static void rotation__stops_the_primary(void **state) {
    (void) state;
    struct bench bench;
    rotating_open(&bench, 0, 2);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        assert_true(status_of(&bench).can_propose);
        host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    }
    assert_int_equal(bench.host.reject_count, 0);
    assert_false(status_of(&bench).can_propose);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    assert_int_equal(status_of(&bench).proposed_seq, 2);
    turn_ends(&bench);
    expect_view(&bench, 0, false); /* nothing is delivered yet */
    bench_close(&bench);
}

/* Seqs that the NEW-VIEW proposes again do not count for the new primary. A restart counts the same. */
static void rotation__counts_from_what_is_proposed_again(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    rotating_open(&bench, 2, 3);
    time_out(&bench, &changes);
    const struct prepared prepared = {.seq = 2, .digest = digest_of("b")};
    const struct ord_hash digests[] = {digest_of(""), prepared.digest};
    change(&bench, &changes, 1, 1, 0, &prepared, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, digests, 2);
    turn_ends(&bench);
    expect_view(&bench, 1, false);
    assert_int_equal(bft_view_end(bench.host.core), 5);
    host_crash(&bench.host);
    assert_ok(host_start(&bench.host, bench.now_ms));
    turn_ends(&bench);
    expect_view(&bench, 1, false);
    assert_int_equal(bft_view_end(bench.host.core), 5);
    bench_close(&bench);
}

/* A replica that was restarted, or brought to the end by state transfer, knows that the view is over. */
static void rotation__is_due_after_a_restart(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    rotating_open(&bench, 2, 8);
    rotating_open(&source, 3, 8);
    source.host.durable_applied = 8;
    host_attested(&bench.host, 8, bench.now_ms);
    host_sync_from(&bench.host, &source.host, 8, bench.now_ms);
    host_commit(&bench.host);
    host_crash(&bench.host);
    assert_ok(host_start(&bench.host, bench.now_ms));
    assert_false(status_of(&bench).changing);
    turn_ends(&bench);
    turn_ends(&bench);
    expect_view(&bench, 1, true);
    bench_close(&source);
    bench_close(&bench);
}

/*
 * The last seq is delivered before the turn ends in which its own COMMIT is due. The others may need that COMMIT for
 * the last seq, and get it from no other replica, so the view is left only after it.
 */
static void rotation__waits_for_the_last_commit(void **state) {
    (void) state;
    struct bench bench;
    rotating_open(&bench, 1, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    vote(&bench, BFT_COMMIT, 0, 1, "a");
    vote(&bench, BFT_COMMIT, 2, 1, "a");
    vote(&bench, BFT_PREPARE, 2, 1, "a");
    assert_int_equal(status_of(&bench).delivered_seq, 1);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
    bench_close(&bench);
}

/* One timeout for the view that should have followed, one for the next; only then do timeouts double. */
static void rotation__is_no_failed_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    rotating_open(&bench, 0, 1);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    for (ord_node_id node = 2; node < 4; node++) {
        vote(&bench, BFT_PREPARE, node, 1, "a");
        vote(&bench, BFT_COMMIT, node, 1, "a");
    }
    turn_ends(&bench);
    turn_ends(&bench);
    expect_view(&bench, 1, true);
    uint64_t timeout_ms = test_options.request_timeout_ms;
    const uint64_t waits_ms[] = {timeout_ms, timeout_ms, 2 * timeout_ms};
    for (uint64_t view = 1; view <= 3; view++) {
        change(&bench, &changes, 3, view, 0, NULL, 0);
        change(&bench, &changes, 2, view, 0, NULL, 0);
        turn_ends(&bench);
        tick(&bench, bench.now_ms + waits_ms[view - 1] - 1);
        turn_ends(&bench);
        expect_view(&bench, view, true);
        tick(&bench, bench.now_ms + 1);
        suspect(&bench, 2);
        turn_ends(&bench);
        expect_view(&bench, view + 1, true);
    }
    bench_close(&bench);
}

/* Backup 2 of a channel with one seq a view. Its state passes over these replicas. */
static void one_seq_open(struct bench *bench, ord_replica_set pass_over) {
    rotating_open(bench, 2, 1);
    bench->host.pass_over = pass_over;
}

/* Seq 1 is decided in view 0. */
static void decide_first(struct bench *bench) {
    accept(bench, 1, "a");
    turn_ends(bench);
    vote(bench, BFT_PREPARE, 1, 1, "a");
    vote(bench, BFT_COMMIT, 1, 1, "a");
    vote(bench, BFT_COMMIT, 0, 1, "a");
    turn_ends(bench);
    assert_int_equal(bench->host.applied, 1);
}

static void rotation__passes_over_whom_the_state_says(void **state) {
    (void) state;
    static const struct {
        ord_replica_set pass_over;
        uint64_t view;
    } cases[] = {{0, 1}, {1 << 1, 2}, {1 << 2, 1}, {1 << 1 | 1 << 2, 3}, {1 << 1 | 1 << 2 | 1 << 3, 4}, {15, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench bench;
        one_seq_open(&bench, cases[i].pass_over);
        decide_first(&bench);
        turn_ends(&bench);
        expect_view(&bench, cases[i].view, true);
        assert_int_equal(bench.host.core->detail.failed_views, 0);
        assert_int_equal(bench.host.core->failed_count, 0);
        bench_close(&bench);
    }
}

/* What is delivered and not executed does not tell yet whose turn it is. */
static void rotation__waits_until_the_last_seq_is_executed(void **state) {
    (void) state;
    struct bench bench;
    one_seq_open(&bench, 0);
    bench.host.told_applied = UINT64_MAX; /* the node is late */
    decide_first(&bench);
    assert_true(bench.host.wake_ms <= bench.now_ms);
    turn_ends(&bench);
    expect_view(&bench, 0, false);
    struct ord_event event = {
        .type = ORD_EVENT_APPLIED, .now_ms = bench.now_ms, .applied = {.seq = 1, .useful_seq = 1, .pass_over = 1 << 1}};
    assert_ok(host_step(&bench.host, &event));
    turn_ends(&bench);
    expect_view(&bench, 2, true);
    bench_close(&bench);
}

/* State transfer and a restart bring the set as well. */
static void rotation__passes_over_after_a_transfer_and_a_restart(void **state) {
    (void) state;
    for (int restart = 0; restart < 2; restart++) {
        struct bench bench;
        struct bench source;
        rotating_open(&source, 3, 8);
        rotating_open(&bench, 2, 8);
        source.host.durable_applied = 8;
        bench.host.pass_over = 1 << 1;
        host_attested(&bench.host, 8, bench.now_ms);
        host_sync_from(&bench.host, &source.host, 8, bench.now_ms);
        host_commit(&bench.host);
        if (restart == 1) {
            host_crash(&bench.host);
            assert_ok(host_start(&bench.host, bench.now_ms));
        }
        turn_ends(&bench);
        turn_ends(&bench);
        expect_view(&bench, 2, true);
        bench_close(&source);
        bench_close(&bench);
    }
}

/*
 * A state beyond the view's last seq is that of a later view. The next view is not beyond those of the others, who
 * bring this replica on from there.
 */
static void rotation__with_a_later_state_passes_over_nobody(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    rotating_open(&source, 3, 4);
    rotating_open(&bench, 2, 4);
    source.host.durable_applied = 8;
    bench.host.pass_over = 1 << 1;
    host_attested(&bench.host, 8, bench.now_ms);
    host_sync_from(&bench.host, &source.host, 8, bench.now_ms);
    host_commit(&bench.host);
    turn_ends(&bench);
    turn_ends(&bench);
    expect_view(&bench, 1, true);
    bench_close(&source);
    bench_close(&bench);
}

/*
 * The view that follows is known when the last seq is executed. A transfer that comes in the same turn brings a later
 * state, and the replica still leaves a view that ended on schedule.
 */
static void rotation__before_a_transfer_is_no_failed_view(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    rotating_open(&source, 3, 1);
    one_seq_open(&bench, 1 << 1);
    source.host.durable_applied = 2;
    decide_first(&bench);
    expect_view(&bench, 0, false);
    assert_int_equal(bench.host.core->next_view, 2);
    bench.host.pass_over = 0;
    host_attested(&bench.host, 2, bench.now_ms);
    host_sync_from(&bench.host, &source.host, 2, bench.now_ms);
    assert_int_equal(bft_rotation_view(bench.host.core), 1);
    turn_ends(&bench);
    expect_view(&bench, 2, true);
    assert_int_equal(bench.host.core->detail.failed_views, 0);
    bench_close(&source);
    bench_close(&bench);
}

/* After a timeout one view follows the other, whatever the state says. */
static void timeout__passes_over_nobody(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    one_seq_open(&bench, 1 << 1);
    time_out(&bench, &changes);
    expect_view(&bench, 1, true);
    bench_close(&bench);
}

/* The node learns which batch is the first of its view: after what the NEW-VIEW proposes again. */
static void view__is_named_by_its_first_batch_alone(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    rotating_open(&bench, 2, 3);
    pre_prepare(&bench, 1, "a");
    pre_prepare(&bench, 2, "b");
    assert_int_equal(bench.host.judge_count, 2);
    assert_true(bench.host.judges[0].names_view);
    assert_false(bench.host.judges[1].names_view);
    assert_false(status_of(&bench).names_view);
    time_out(&bench, &changes);
    const struct prepared prepared = {.seq = 1, .digest = digest_of("b")};
    change(&bench, &changes, 1, 1, 0, &prepared, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, &prepared.digest, 1);
    turn_ends(&bench);
    expect_view(&bench, 1, false);
    for (uint64_t seq = 2; seq <= 3; seq++)
        assert_ok(receive(&bench, 1, make_pre_prepare(&bench.config, 1, 1, seq, "c")));
    assert_int_equal(bench.host.judge_count, 2);
    assert_true(bench.host.judges[0].names_view);
    assert_false(bench.host.judges[1].names_view);
    bench_close(&bench);
    /* The primary's own. */
    for (uint32_t decisions = 0; decisions <= 3; decisions += 3) {
        rotating_open(&bench, 0, decisions);
        assert_int_equal(status_of(&bench).names_view, decisions > 0);
        host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
        assert_false(status_of(&bench).names_view);
        bench_close(&bench);
    }
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(rotation__passes_over_whom_the_state_says),
    cmocka_unit_test(rotation__waits_until_the_last_seq_is_executed),
    cmocka_unit_test(rotation__passes_over_after_a_transfer_and_a_restart),
    cmocka_unit_test(rotation__with_a_later_state_passes_over_nobody),
    cmocka_unit_test(rotation__before_a_transfer_is_no_failed_view),
    cmocka_unit_test(timeout__passes_over_nobody),
    cmocka_unit_test(view__is_named_by_its_first_batch_alone),
    cmocka_unit_test(rotation__follows_the_last_seq_of_a_view),
    cmocka_unit_test(rotation__stops_the_primary),
    cmocka_unit_test(rotation__counts_from_what_is_proposed_again),
    cmocka_unit_test(rotation__is_due_after_a_restart),
    cmocka_unit_test(rotation__waits_for_the_last_commit),
    cmocka_unit_test(rotation__is_no_failed_view),
};
TEST_CASES(cases);
