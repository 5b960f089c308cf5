/*
 * When a PBFT core says something again, and from when its clocks count: bft/normal/retransmit.c, status.c and sync.c,
 * bft/view/relay.c and suspect.c. Each case is a line that nothing else would miss. Rows P3, T9 and V10 in
 * docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_asking.h"

static void open_wide(struct bench *bench, ord_node_id self) {
    bench_open(bench, self);
    bench_close(bench);
    bench->config.window = 64;
    bench->config.checkpoint_interval = 32;
    bench->config.body_bytes_max = 16384;
    host_init(&bench->host, &bench->config);
    assert_ok(host_start(&bench->host, bench->now_ms));
    host_sends_clear(&bench->host);
}

/* A STATUS of replica 3, which has delivered nothing. Returns how many lists of votes it gets for it. */
static size_t votes_for(struct bench *bench) {
    host_sends_clear(&bench->host);
    assert_ok(receive(bench, 3, make_status(&bench->config, 3, 0, 0, 0xff)));
    return sent(bench, BFT_PREPARE, NULL) + sent(bench, BFT_COMMIT, NULL);
}

/* Otherwise the others would send again what is here. */
static void status_message__shows_all_that_is_held(void **state) {
    (void) state;
    struct bench bench;
    struct bft_status status;
    open_wide(&bench, 1);
    for (uint64_t seq = 1; seq <= 20; seq++)
        accept(&bench, seq, "x");
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    tick(&bench, bench.now_ms + BFT_HEARTBEAT_MS);
    assert_ok(bft_status_decode(&status, &bench.config, sent_message(&bench, BFT_STATUS)));
    assert_int_equal(status.held[0], 0xff);
    assert_int_equal(status.held[1], 0xff);
    assert_int_equal(status.held[2], 0x0f);
    bench_close(&bench);
}

/* T9: a peer that asks without end gets two answers in a retransmission interval. */
static void answer__has_its_pace(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    bench.now_ms += bench.config.retransmit_ms;
    assert_int_equal(votes_for(&bench), 1);
    assert_int_equal(votes_for(&bench), 0);
    bench.now_ms += bench.config.retransmit_ms / 2 - 1;
    assert_int_equal(votes_for(&bench), 0);
    bench.now_ms += 1;
    assert_int_equal(votes_for(&bench), 1);
    bench_close(&bench);
}

static void vote__on_its_way_is_not_sent_again(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    bench.now_ms += bench.config.retransmit_ms / 2 - 1;
    assert_int_equal(votes_for(&bench), 0);
    bench.now_ms += 1;
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench); /* the COMMIT goes to all */
    bench.now_ms += bench.config.retransmit_ms / 2 - 1;
    assert_int_equal(votes_for(&bench), 0);
    bench.now_ms += 1;
    assert_int_equal(votes_for(&bench), 2);
    bench_close(&bench);
}

/* What a peer showed in a view that is over is no reason to ask again and again. */
static void outstanding__ends_with_the_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    assert_ok(receive(&bench, 1, make_status(&bench.config, 1, 7, 0, 0)));
    time_out(&bench, &changes);
    host_work(&bench.host, UINT64_MAX, bench.now_ms);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    tick(&bench, bench.now_ms + 2 * (uint64_t) bench.config.retransmit_ms);
    assert_int_equal(sent(&bench, BFT_STATUS, NULL), 0);
    bench_close(&bench);
}

/* A primary that ordered nothing of use is no reason to suspect the next one. */
static void suspicion__of_useless_batches_ends_with_the_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    struct ord_event event = {
        .type = ORD_EVENT_APPLIED, .now_ms = bench.now_ms, .applied = {.seq = bench.config.window + 1}};
    assert_ok(host_step(&bench.host, &event));
    turn_ends(&bench);
    assert_true(detail_of(&bench)->suspecting);
    all_suspect(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    (void) changes_keep(&changes, 2, sent_message(&bench, BFT_VIEW_CHANGE));
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_false(detail_of(&bench)->suspecting);
    bench_close(&bench);
}

/* The others get their time for each certified point anew. */
static void transfer__waits_for_each_point(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    host_attested(&bench.host, 2, bench.now_ms);
    host_attested(&bench.host, 6, bench.now_ms);
    bench.now_ms += 2 * (uint64_t) bench.config.retransmit_ms - 10;
    decide(&bench, 1, "a");
    decide(&bench, 2, "b");
    tick(&bench, bench.now_ms + 2 * (uint64_t) bench.config.retransmit_ms - 1);
    assert_int_equal(bench.host.sync_seq, 0);
    tick(&bench, bench.now_ms + 1);
    assert_int_equal(bench.host.sync_seq, 6);
    bench_close(&bench);
}

/* A backup whose stable checkpoint lags needs room for what the primary has in flight. */
static void primary__proposes_into_half_of_the_memory(void **state) {
    (void) state;
    struct bench bench;
    struct large large;
    large_fill(&large);
    bench_open_tight(&bench, 0, 8);
    assert_int_equal(bench.config.body_bytes_max, 4 * strlen(large.batches[0]));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(status_of(&bench).can_propose, i < 2);
        host_propose(&bench.host, ord_span_of(large.batches[i], strlen(large.batches[i])), bench.now_ms);
        assert_int_equal(bench.host.reject_count, i < 2 ? 0 : 1);
    }
    bench_close(&bench);
}

static size_t sync_count;

static void count_sync(struct host *host, const struct ord_effect *effect) {
    (void) host;
    sync_count += effect->type == ORD_EFFECT_SYNC;
}

/* A transfer that is under way is not asked for with every message. */
static void transfer__is_asked_for_in_intervals(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    bench.host.on_effect = count_sync;
    sync_count = 0;
    host_attested(&bench.host, 100, bench.now_ms);
    assert_int_equal(sync_count, 1);
    for (uint64_t ms = 1; ms < 4 * (uint64_t) bench.config.retransmit_ms; ms += 7)
        tick(&bench, 1000 + ms);
    host_attested(&bench.host, 104, bench.now_ms);
    assert_int_equal(sync_count, 1);
    tick(&bench, 1000 + 4 * (uint64_t) bench.config.retransmit_ms);
    assert_int_equal(sync_count, 2);
    bench_close(&bench);
}

/* V10: each replica begins with its own VIEW-CHANGE, so that a peer that takes little soon has different ones. */
static void news__begin_with_the_own_view_change(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    bench.now_ms += 10 * (uint64_t) bench.config.retransmit_ms;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 0, make_view_status(&bench.config, 0, 0, false, 0)));
    size_t first = 0;
    while (bench.host.sends[first].data[0] != BFT_VIEW_CHANGE && bench.host.sends[first].data[0] != BFT_RELAY)
        assert_true(++first < bench.host.send_count);
    assert_int_equal(bench.host.sends[first].data[0], BFT_VIEW_CHANGE);
    bench_close(&bench);
}

/* Work that waited while this replica was behind, or asked, says nothing about the primary. */
static void clock__of_old_work_begins_when_the_replica_can_judge(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    bench_open(&bench, 2);
    bench_open(&source, 3);
    source.host.durable_applied = 100;
    host_work(&bench.host, 1000, bench.now_ms);
    host_attested(&bench.host, 100, bench.now_ms);
    bench.now_ms = 60000;
    host_sync_from(&bench.host, &source.host, 100, bench.now_ms);
    turn_ends(&bench);
    tick(&bench, 60999);
    assert_false(detail_of(&bench)->suspecting);
    tick(&bench, 61000);
    assert_true(detail_of(&bench)->suspecting);
    bench_close(&bench);
    bench_close(&source);

    open_asking(&bench, 1);
    host_work(&bench.host, 1000, bench.now_ms);
    bench.now_ms = 60000;
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    turn_ends(&bench);
    tick(&bench, 60999);
    assert_false(detail_of(&bench)->suspecting);
    tick(&bench, 61000);
    assert_true(detail_of(&bench)->suspecting);
    bench_close(&bench);
}

/* A proposal has its whole timeout, however long nothing was ordered before it. */
static void clock__of_a_proposal_begins_when_it_comes(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    tick(&bench, 50000);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    tick(&bench, 50999);
    assert_false(detail_of(&bench)->suspecting);
    tick(&bench, 51000);
    assert_true(detail_of(&bench)->suspecting);
    bench_close(&bench);
}

/* Of two certified points that one delivery passes, the newer one becomes stable. */
static void stable__is_the_newest_point_that_was_reached(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    host_attested(&bench.host, 2, bench.now_ms);
    host_attested(&bench.host, 6, bench.now_ms);
    for (uint64_t seq = 1; seq <= 6; seq++)
        accept(&bench, seq, "x");
    turn_ends(&bench);
    for (uint64_t seq = 6; seq >= 1; seq--) {
        vote(&bench, BFT_PREPARE, 2, seq, "x");
        vote(&bench, BFT_COMMIT, 2, seq, "x");
        vote(&bench, BFT_COMMIT, 0, seq, "x");
    }
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 6);
    assert_int_equal(status_of(&bench).stable_seq, 6);
    bench_close(&bench);
}

static void ask__is_repeated_in_intervals(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    host_sends_clear(&bench.host);
    tick(&bench, bench.now_ms + 1);
    assert_int_equal(sent(&bench, BFT_ASK, NULL), 0);
    tick(&bench, bench.now_ms + bench.config.retransmit_ms);
    assert_int_equal(sent(&bench, BFT_ASK, NULL), 1);
    tick(&bench, bench.now_ms + 1);
    assert_int_equal(sent(&bench, BFT_ASK, NULL), 1);
    bench_close(&bench);
}

static void hand_over__is_said_once(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 0);
    for (int i = 0; i < 2; i++) {
        struct ord_event event = {.type = ORD_EVENT_HAND_OVER, .now_ms = bench.now_ms};
        host_sends_clear(&bench.host);
        assert_ok(host_step(&bench.host, &event));
        assert_int_equal(sent(&bench, BFT_STATUS, NULL), i == 0);
    }
    bench_close(&bench);
}

/* The turn that installs a view does not vote in it. It asks for the next one at once. */
static void new_view__wakes_for_its_votes(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct ord_hash a = digest_of("a");
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    time_out(&bench, &changes);
    turn_ends(&bench);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, &a, 1);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    assert_true(bench.host.wake_ms <= bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(status_message__shows_all_that_is_held),
    cmocka_unit_test(answer__has_its_pace),
    cmocka_unit_test(vote__on_its_way_is_not_sent_again),
    cmocka_unit_test(outstanding__ends_with_the_view),
    cmocka_unit_test(suspicion__of_useless_batches_ends_with_the_view),
    cmocka_unit_test(transfer__waits_for_each_point),
    cmocka_unit_test(primary__proposes_into_half_of_the_memory),
    cmocka_unit_test(transfer__is_asked_for_in_intervals),
    cmocka_unit_test(news__begin_with_the_own_view_change),
    cmocka_unit_test(clock__of_a_proposal_begins_when_it_comes),
    cmocka_unit_test(stable__is_the_newest_point_that_was_reached),
    cmocka_unit_test(ask__is_repeated_in_intervals),
    cmocka_unit_test(hand_over__is_said_once),
    cmocka_unit_test(new_view__wakes_for_its_votes),
    cmocka_unit_test(clock__of_old_work_begins_when_the_replica_can_judge),
};
TEST_CASES(cases);
