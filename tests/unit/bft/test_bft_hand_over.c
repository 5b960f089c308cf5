/*
 * A primary that lets another lead: bft/view/hand_over.c, docs/protocol.md, rule 27. Whole clusters, whose messages
 * arrive at once and in order unless a test drops them; time stands still unless a test moves it, so no timer has run
 * out.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

enum { COUNT_MAX = 7, ROUNDS_MAX = 40 };

struct cluster {
    struct bench benches[COUNT_MAX];
    uint32_t count;
    ord_replica_set deaf; /* nothing reaches them */
    /* Does the network lose this message? NULL: none. */
    bool (*loses)(ord_node_id from, ord_node_id to, const struct host_message *message);
};

static struct cluster cluster;

static void cluster_open(uint32_t count) {
    memset(&cluster, 0, sizeof(cluster));
    cluster.count = count;
    for (ord_node_id node = 0; node < count; node++) {
        struct bench *bench = &cluster.benches[node];
        bench->config = test_config(node);
        bench->config.replica_count = count;
        bench->now_ms = 1000;
        host_init(&bench->host, &bench->config);
        assert_ok(host_start(&bench->host, bench->now_ms));
        turn_ends(bench);
        host_sends_clear(&bench->host);
    }
}

static void cluster_close(void) {
    for (ord_node_id node = 0; node < cluster.count; node++)
        bench_close(&cluster.benches[node]);
}

static struct bench *at(ord_node_id node) {
    return &cluster.benches[node];
}

static void deliver_to(ord_node_id from, ord_node_id to, const struct host_message *message) {
    if ((message->to & ord_replica_bit(to)) == 0 || (cluster.deaf & ord_replica_bit(to)) != 0 ||
        (cluster.loses != NULL && cluster.loses(from, to, message)))
        return;
    assert_ok(receive(at(to), from, ord_span_of(message->data, message->size)));
    while (at(to)->host.judge_count > 0)
        host_judge(&at(to)->host, 0, true, at(to)->now_ms);
}

/* Turn after turn of all, until nobody says anything. */
static void exchange(void) {
    bool quiet = false;
    for (uint32_t round = 0; round < ROUNDS_MAX && !quiet; round++) {
        quiet = true;
        for (ord_node_id from = 0; from < cluster.count; from++) {
            struct host *host = &at(from)->host;
            host_flush(host, at(from)->now_ms);
            host_commit(host);
            for (size_t i = 0; i < host->send_count; i++)
                for (ord_node_id to = 0; to < cluster.count; to++)
                    deliver_to(from, to, &host->sends[i]);
            quiet = quiet && host->send_count == 0;
            host_sends_clear(host);
        }
    }
    assert_true(quiet);
}

static void pass(uint64_t ms) {
    for (ord_node_id node = 0; node < cluster.count; node++)
        tick(at(node), at(node)->now_ms + ms);
    exchange();
}

static void tell(ord_node_id node, const struct ord_event *told) {
    struct ord_event event = *told;
    event.now_ms = at(node)->now_ms;
    assert_ok(host_step(&at(node)->host, &event));
}

static void hand_over(ord_node_id node) {
    tell(node, &(struct ord_event) {.type = ORD_EVENT_HAND_OVER});
}

static void propose(ord_node_id node, const char *batch) {
    size_t rejects = at(node)->host.reject_count;
    host_propose(&at(node)->host, ord_span_of(batch, strlen(batch)), at(node)->now_ms);
    assert_int_equal(at(node)->host.reject_count, rejects);
}

static void expect_view_of(ord_node_id node, uint64_t view, bool changing) {
    assert_int_equal(status_of(at(node)).view, view);
    assert_int_equal(status_of(at(node)).changing, changing);
}

/* All are in `view`, its primary leads, and it has cost nobody a failed view. */
static void expect_led(uint64_t view) {
    for (ord_node_id node = 0; node < cluster.count; node++) {
        expect_view_of(node, view, false);
        assert_int_equal(status_of(at(node)).leader, view % cluster.count);
        assert_int_equal(detail_of(at(node))->failed_views, 0);
        assert_false(detail_of(at(node))->suspecting);
        assert_false(detail_of(at(node))->handing_over);
    }
    assert_true(status_of(at((ord_node_id) (view % cluster.count))).can_propose);
}

static void expect_applied(uint64_t seq) {
    for (ord_node_id node = 0; node < cluster.count; node++)
        assert_int_equal(at(node)->host.applied, seq);
}

static void hand_over__gives_the_next_view_its_primary_at_once(void **state) {
    (void) state;
    cluster_open(4);
    propose(0, "a");
    exchange();
    expect_applied(1);
    hand_over(0);
    assert_true(status_of(at(0)).leading);
    assert_false(status_of(at(0)).can_propose);
    assert_true(detail_of(at(0))->handing_over && detail_of(at(0))->suspecting);
    host_propose(&at(0)->host, ord_span_of("b", 1), at(0)->now_ms);
    assert_int_equal(at(0)->host.reject_count, 1);
    exchange();
    expect_led(1);
    assert_int_equal(detail_of(at(0))->view_changes, 1);
    propose(1, "b");
    exchange();
    expect_applied(2);
    cluster_close();
}

/* It was not stopped after all: it votes, and leads when its turn comes. */
static void hand_over__leaves_the_replica_as_it_was(void **state) {
    (void) state;
    cluster_open(4);
    for (uint64_t view = 0; view < 9; view++) {
        expect_led(view);
        propose((ord_node_id) (view % 4), "a batch");
        exchange();
        expect_applied(view + 1);
        for (ord_node_id node = 0; node < 4 && view % 4 == 3; node++)
            host_attested(&at(node)->host, view + 1, at(node)->now_ms);
        hand_over((ord_node_id) (view % 4));
        exchange();
    }
    expect_led(9);
    cluster_close();
}

/* In an idle channel nothing is delivered between one and the next: the timeout of the view after them is still the
 * base. */
static void hand_over__counts_as_no_failed_view(void **state) {
    (void) state;
    cluster_open(4);
    for (uint64_t view = 0; view < 6; view++) {
        hand_over((ord_node_id) (view % 4));
        exchange();
        expect_led(view + 1);
    }
    for (ord_node_id node = 0; node < 4; node++)
        host_work(&at(node)->host, at(node)->now_ms, at(node)->now_ms);
    exchange();
    assert_true(at(3)->host.wake_ms <= at(3)->now_ms + test_options.request_timeout_ms);
    pass(test_options.request_timeout_ms - 1);
    for (ord_node_id node = 0; node < 4; node++)
        expect_view_of(node, 6, false);
    pass(1);
    for (ord_node_id node = 0; node < 4; node++)
        expect_view_of(node, 7, false);
    cluster_close();
}

static bool loses_status_of_0(ord_node_id from, ord_node_id to, const struct host_message *message) {
    (void) to;
    return from == 0 && message->data[0] == BFT_STATUS;
}

static void hand_over__is_said_again_when_it_is_lost(void **state) {
    (void) state;
    cluster_open(4);
    propose(0, "a");
    exchange();
    cluster.loses = loses_status_of_0;
    hand_over(0);
    exchange();
    pass(at(0)->config.retransmit_ms);
    for (ord_node_id node = 0; node < 4; node++)
        expect_view_of(node, 0, false);
    assert_true(detail_of(at(0))->handing_over);
    cluster.loses = NULL;
    pass(at(0)->config.retransmit_ms);
    assert_true(at(0)->now_ms < 1000 + test_options.request_timeout_ms);
    expect_led(1);
    cluster_close();
}

/* A delivery makes a replica content that only its clock made suspect; this one has another reason. */
static void hand_over__lasts_as_long_as_the_view(void **state) {
    (void) state;
    cluster_open(4);
    cluster.loses = loses_status_of_0;
    propose(0, "a");
    hand_over(0);
    exchange();
    expect_applied(1);
    for (uint32_t i = 0; i < 20; i++) {
        pass(at(0)->config.retransmit_ms);
        assert_true(detail_of(at(0))->handing_over && detail_of(at(0))->suspecting);
        assert_false(status_of(at(0)).can_propose);
    }
    hand_over(0); /* again changes nothing */
    exchange();
    expect_view_of(0, 0, false);
    cluster_close();
}

static bool loses_new_views(ord_node_id from, ord_node_id to, const struct host_message *message) {
    (void) from;
    (void) to;
    return message->data[0] == BFT_NEW_VIEW || message->data[0] == BFT_RELAY;
}

static void hand_over__is_over_with_the_view_change(void **state) {
    (void) state;
    cluster_open(4);
    cluster.loses = loses_new_views;
    hand_over(0);
    exchange();
    expect_view_of(0, 1, true);
    assert_false(detail_of(at(0))->handing_over || detail_of(at(0))->suspecting);
    cluster_close();
}

static bool loses_commits(ord_node_id from, ord_node_id to, const struct host_message *message) {
    (void) from;
    (void) to;
    return message->data[0] == BFT_COMMIT;
}

static void hand_over__carries_over_what_is_in_flight(void **state) {
    (void) state;
    cluster_open(4);
    propose(0, "a");
    exchange();
    cluster.loses = loses_commits;
    propose(0, "b");
    propose(0, "c");
    exchange();
    cluster.loses = NULL;
    propose(0, "d"); /* nobody has prepared it */
    hand_over(0);
    exchange();
    expect_led(1);
    propose(1, "e");
    exchange();
    expect_applied(at(0)->host.applied);
    assert_true(at(0)->host.applied >= 4);
    static const char *const batches[] = {"a", "b", "c"};
    for (uint64_t seq = 1; seq <= 3; seq++)
        for (ord_node_id node = 0; node < 4; node++) {
            struct ord_hash digest;
            const struct ord_span batch = ord_span_of(batches[seq - 1], 1);
            plain_hash(&digest, &batch, 1);
            assert_true(ord_hash_equal(&at(node)->host.batches[seq], &digest));
        }
    cluster_close();
}

/* f + 1 are three of seven: the primary, and two that hear it; the others follow their VIEW-CHANGEs. */
static bool loses_status_of_0_to_most(ord_node_id from, ord_node_id to, const struct host_message *message) {
    return from == 0 && message->data[0] == BFT_STATUS && to > 3;
}

static void hand_over__of_seven_goes_by_three_that_hear_it(void **state) {
    (void) state;
    cluster_open(7);
    cluster.loses = loses_status_of_0_to_most;
    hand_over(0);
    exchange();
    for (ord_node_id node = 0; node < 7; node++) {
        expect_view_of(node, 1, false);
        assert_int_equal(status_of(at(node)).leader, 1);
    }
    assert_int_equal(detail_of(at(1))->failed_views, 0);
    cluster_close();
}

/* One liar, that tells one backup only. They are two of 2f + 1, and no f + 1 others whom anybody would follow. */
static void hand_over__to_one_alone_moves_nobody(void **state) {
    (void) state;
    cluster_open(4);
    assert_ok(receive(at(1), 0, make_mood_status(&at(1)->config, 0, 0, BFT_HANDS_OVER, 0)));
    exchange();
    assert_true(detail_of(at(1))->suspecting);
    for (ord_node_id node = 0; node < 4; node++)
        expect_view_of(node, 0, false);
    propose(0, "a");
    exchange();
    expect_applied(1);
    cluster_close();
}

/* Of seven it does not bring out even that one: two are no f + 1. When the liar takes it back, the backup is content
 * again. */
static void hand_over__to_one_of_seven_moves_nobody(void **state) {
    (void) state;
    cluster_open(7);
    assert_ok(receive(at(1), 0, make_mood_status(&at(1)->config, 0, 0, BFT_HANDS_OVER, 0)));
    exchange();
    assert_true(detail_of(at(1))->suspecting);
    for (ord_node_id node = 0; node < 7; node++)
        expect_view_of(node, 0, false);
    assert_ok(receive(at(1), 0, make_mood_status(&at(1)->config, 0, 0, BFT_CONTENT, 0)));
    exchange();
    assert_false(detail_of(at(1))->suspecting);
    propose(0, "a");
    exchange();
    expect_applied(1);
    cluster_close();
}

static void hand_over__of_another_view_says_nothing(void **state) {
    (void) state;
    cluster_open(4);
    hand_over(0);
    exchange();
    expect_led(1);
    assert_ok(receive(at(2), 0, make_mood_status(&at(2)->config, 0, 0, BFT_HANDS_OVER, 0))); /* late, of view 0 */
    assert_ok(receive(at(2), 0, make_mood_status(&at(2)->config, 0, 4, BFT_HANDS_OVER, 0))); /* of one to come */
    exchange();
    expect_view_of(2, 1, false);
    assert_ok(receive(at(2), 0, make_mood_status(&at(2)->config, 0, 1, BFT_CONTENT, 0)));
    assert_ok(receive(at(2), 1, make_mood_status(&at(2)->config, 1, 5, BFT_HANDS_OVER, 0))); /* by the primary of now */
    host_flush(&at(2)->host, at(2)->now_ms);
    expect_view_of(2, 1, false);
    assert_false(detail_of(at(2))->suspecting);
    assert_err(receive(at(2), 0, make_mood_status(&at(2)->config, 0, 1, BFT_HANDS_OVER, 0)), ORD_ERR_INVALID);
    cluster_close();
}

static void hand_over__is_for_who_leads(void **state) {
    (void) state;
    cluster_open(4);
    hand_over(1);
    tell(2, &(struct ord_event) {.type = ORD_EVENT_STORAGE, .storage = {.available = false}});
    assert_int_equal(at(1)->host.send_count + at(2)->host.send_count, 0);
    assert_false(detail_of(at(1))->handing_over || detail_of(at(2))->handing_over);
    hand_over(0);
    exchange();
    expect_led(1); /* what it was told before it led counts for nothing */
    cluster_close();
}

static void storage__that_is_gone_makes_a_primary_hand_over(void **state) {
    (void) state;
    cluster_open(4);
    tell(0, &(struct ord_event) {.type = ORD_EVENT_STORAGE, .storage = {.available = true}});
    assert_true(status_of(at(0)).can_propose);
    assert_int_equal(at(0)->host.send_count, 0);
    tell(0, &(struct ord_event) {.type = ORD_EVENT_STORAGE, .storage = {.available = false}});
    assert_false(status_of(at(0)).can_propose);
    cluster.deaf = ord_replica_bit(0); /* its node steps no messages */
    exchange();
    for (ord_node_id node = 1; node < 4; node++)
        expect_view_of(node, 1, false);
    expect_view_of(0, 0, false);
    propose(1, "a");
    exchange();
    assert_int_equal(at(3)->host.applied, 1);
    cluster.deaf = 0;
    tell(0, &(struct ord_event) {.type = ORD_EVENT_STORAGE, .storage = {.available = true}});
    assert_true(detail_of(at(0))->handing_over);
    for (uint32_t i = 0; i < 10; i++)
        pass(at(0)->config.retransmit_ms);
    expect_led(1);
    expect_applied(1);
    cluster_close();
}

/* Its own clock made it suspect; then it is told to hand over: the others must hear the difference. */
static void hand_over__of_who_suspects_itself_is_said_at_once(void **state) {
    (void) state;
    cluster_open(4);
    cluster.deaf = ord_replica_bit(1) | ord_replica_bit(2) | ord_replica_bit(3);
    host_work(&at(0)->host, at(0)->now_ms, at(0)->now_ms);
    pass(test_options.request_timeout_ms);
    assert_true(detail_of(at(0))->suspecting && !detail_of(at(0))->handing_over);
    cluster.deaf = 0;
    exchange();
    expect_view_of(3, 0, false);
    hand_over(0);
    assert_int_equal(sent(at(0), BFT_STATUS, NULL), 1);
    exchange();
    for (ord_node_id node = 0; node < 4; node++)
        expect_view_of(node, 1, false);
    cluster_close();
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(hand_over__gives_the_next_view_its_primary_at_once),
    cmocka_unit_test(hand_over__leaves_the_replica_as_it_was),
    cmocka_unit_test(hand_over__counts_as_no_failed_view),
    cmocka_unit_test(hand_over__is_said_again_when_it_is_lost),
    cmocka_unit_test(hand_over__lasts_as_long_as_the_view),
    cmocka_unit_test(hand_over__is_over_with_the_view_change),
    cmocka_unit_test(hand_over__carries_over_what_is_in_flight),
    cmocka_unit_test(hand_over__of_seven_goes_by_three_that_hear_it),
    cmocka_unit_test(hand_over__to_one_alone_moves_nobody),
    cmocka_unit_test(hand_over__to_one_of_seven_moves_nobody),
    cmocka_unit_test(hand_over__of_another_view_says_nothing),
    cmocka_unit_test(hand_over__is_for_who_leads),
    cmocka_unit_test(storage__that_is_gone_makes_a_primary_hand_over),
    cmocka_unit_test(hand_over__of_who_suspects_itself_is_said_at_once),
};
TEST_CASES(cases);
