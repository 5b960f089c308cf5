/*
 * What one PBFT core repeats becomes rare while nothing changes, and begins anew with whatever changes:
 * bft/normal/retransmit.c and bft/normal/fetch.c. What one peer is sent again has a bound: bft/normal/budget.c. Row T9
 * in docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_asking.h"

/* Lets time pass from one wake to the next. Returns how many messages of this type were sent. */
static size_t sent_until(struct bench *bench, enum bft_type type, uint64_t until_ms) {
    size_t count = 0;
    while (bench->host.wake_ms <= until_ms) {
        uint64_t at_ms = ord_max(bench->host.wake_ms, bench->now_ms);
        host_sends_clear(&bench->host);
        tick(bench, at_ms);
        host_flush(&bench->host, bench->now_ms);
        host_commit(&bench->host);
        count += sent(bench, type, NULL);
        assert_true(count < 1000);
    }
    bench->now_ms = until_ms;
    return count;
}

/* The others say again what they said before. */
static void others_rest(struct bench *bench) {
    for (ord_node_id node = 0; node < 4; node++)
        if (node != bench->config.self)
            assert_ok(receive(bench, node, make_status(&bench->config, node, 0, 0, 0)));
    turn_ends(bench);
}

/* Replica 2 is alone in view 1, and has been there for long. */
static void open_alone(struct bench *bench) {
    static struct changes changes;
    bench_open(bench, 2);
    time_out(bench, &changes);
    host_work(&bench->host, UINT64_MAX, bench->now_ms);
    for (int second = 0; second < 20; second++) {
        others_rest(bench);
        (void) sent_until(bench, BFT_STATUS, bench->now_ms + BFT_HEARTBEAT_MS);
    }
    assert_true(status_of(bench).changing);
}

/* Expects a STATUS at once, and then one in each retransmission interval. */
static void expect_anew(struct bench *bench) {
    turn_ends(bench);
    assert_int_equal(sent_until(bench, BFT_STATUS, bench->now_ms + bench->config.retransmit_ms), 2);
    assert_in_range(sent_until(bench, BFT_STATUS, bench->now_ms + 10 * BFT_HEARTBEAT_MS), 15, 25);
    others_rest(bench);
    (void) sent_until(bench, BFT_STATUS, bench->now_ms + 2 * BFT_HEARTBEAT_MS);
    others_rest(bench);
    (void) sent_until(bench, BFT_STATUS, bench->now_ms + 2 * BFT_HEARTBEAT_MS);
}

/* A replica that is alone in a later view asks for news of it, and nobody has any. */
static void status_message__becomes_rare_while_nothing_changes(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    host_work(&bench.host, UINT64_MAX, bench.now_ms);
    others_rest(&bench);
    uint64_t since_ms = bench.now_ms;
    /* At first in each retransmission interval. */
    assert_int_equal(sent_until(&bench, BFT_STATUS, since_ms + 4 * (uint64_t) bench.config.retransmit_ms), 4);
    for (int second = 0; second < 10; second++) {
        others_rest(&bench);
        (void) sent_until(&bench, BFT_STATUS, bench.now_ms + BFT_HEARTBEAT_MS);
    }
    /* From then on with each heartbeat, whether the others repeat themselves or not. */
    for (int second = 0; second < 20; second++) {
        if (second < 10)
            others_rest(&bench);
        assert_int_equal(sent_until(&bench, BFT_STATUS, bench.now_ms + BFT_HEARTBEAT_MS), 1);
    }
    assert_true(status_of(&bench).changing);
    bench_close(&bench);
}

static void status_message__begins_anew_with_what_changes(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    open_alone(&bench);
    /* Another replica comes to the view, then says so, and work comes. */
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    expect_anew(&bench);
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 1, 0, 0)));
    expect_anew(&bench);
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    host_work(&bench.host, UINT64_MAX, bench.now_ms);
    expect_anew(&bench);
    /* What is known changes nothing. */
    assert_ok(receive(&bench, 1, changes.of[1]));
    turn_ends(&bench);
    assert_in_range(sent_until(&bench, BFT_STATUS, bench.now_ms + BFT_HEARTBEAT_MS), 0, 1);
    bench_close(&bench);
}

/* A peer that restarts, or that was not heard, lacks what it was sent before. */
static void status_message__begins_anew_for_a_peer_that_comes_back(void **state) {
    (void) state;
    struct bench bench;
    open_alone(&bench);
    assert_ok(receive(&bench, 3, make_ask(&bench, 3, 0, false, 0, 0)));
    expect_anew(&bench);
    /* The same ASK again is no restart. */
    assert_ok(receive(&bench, 3, make_ask(&bench, 3, 0, false, 0, 0)));
    turn_ends(&bench);
    assert_in_range(sent_until(&bench, BFT_STATUS, bench.now_ms + BFT_HEARTBEAT_MS), 0, 1);
    (void) sent_until(&bench, BFT_STATUS, bench.now_ms + 5 * BFT_HEARTBEAT_MS);
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 0)));
    expect_anew(&bench);
    bench_close(&bench);
}

/* Where something is repeated for as long as it is not there, each condition that comes true is met in time. */
static void repeat__comes_within_a_quarter_of_the_wait(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    turn_ends(&bench);
    const uint64_t since_ms = bench.now_ms;
    uint64_t last_ms = since_ms;
    while (bench.now_ms < since_ms + 20 * (uint64_t) BFT_HEARTBEAT_MS) {
        uint64_t most_ms = ord_max(bench.config.retransmit_ms, ord_min((last_ms - since_ms) / 4, BFT_HEARTBEAT_MS));
        assert_true(bench.host.wake_ms <= last_ms + most_ms);
        if (sent_until(&bench, BFT_STATUS, bench.host.wake_ms) > 0)
            last_ms = bench.now_ms;
    }
    bench_close(&bench);
}

/* One peer is asked for a batch at a time. In the end each is asked once in a heartbeat. */
static void fetch__becomes_rare_without_answers(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct ord_hash digest = digest_of("a");
    const struct prepared prepared = {.seq = 1, .digest = digest};
    bench_open(&bench, 2);
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, &prepared, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    new_view(&bench, &changes, 1, 0, &digest, 1);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_FETCH, NULL), 1);
    assert_in_range(sent_until(&bench, BFT_FETCH, bench.now_ms + 4 * (uint64_t) bench.config.retransmit_ms), 6, 8);
    (void) sent_until(&bench, BFT_FETCH, bench.now_ms + 10 * BFT_HEARTBEAT_MS);
    assert_in_range(sent_until(&bench, BFT_FETCH, bench.now_ms + 10 * BFT_HEARTBEAT_MS), 29, 31);
    bench_close(&bench);
}

/* ---- what one peer is sent again ---- */

/* Spends all that replica 3 may be sent at this moment. Returns how many bytes that was. */
static uint64_t spend(struct bench *bench, size_t message_size) {
    uint64_t bytes = 0;
    bench->host.core->now_ms = bench->now_ms;
    while (bft_budget_spend(bench->host.core, 3, message_size))
        bytes += message_size;
    return bytes;
}

/* At once a megabyte, then 4 MiB/s and half of what is delivered. Somebody else's part is not touched. */
static void budget__is_a_floor_and_half_of_what_is_delivered(void **state) {
    (void) state;
    struct bench bench;
    enum { MIB = 1 << 20, MESSAGE = 4096 };
    bench_open(&bench, 0);
    assert_int_equal(spend(&bench, MESSAGE), MIB);
    assert_int_equal(spend(&bench, MESSAGE), 0);
    uint64_t bytes = 0;
    for (int i = 0; i < 100; i++) {
        bench.now_ms += 10;
        bytes += spend(&bench, MESSAGE);
    }
    assert_in_range(bytes, 4 * MIB - MESSAGE, 4 * MIB + MESSAGE);
    /* A peer saves up no more than the bound. */
    bench.now_ms += 100000;
    assert_int_equal(spend(&bench, MESSAGE), MIB);
    /* The largest message goes as a whole, and is paid for before the next one. */
    bench.now_ms += 1000;
    assert_int_equal(spend(&bench, 9 * MIB), 9 * MIB);
    bench.now_ms += 1999;
    assert_int_equal(spend(&bench, 1), 0);
    bench.now_ms += 2;
    assert_true(spend(&bench, MESSAGE) > 0);
    /* The channel delivers 20 MiB in a second. After that it counts less with each second. */
    bft_budget_delivered(bench.host.core, 0);
    for (int i = 0; i < 100; i++) {
        bench.now_ms += 10;
        bench.host.core->now_ms = bench.now_ms;
        bft_budget_delivered(bench.host.core, MIB / 5);
    }
    (void) spend(&bench, MESSAGE);
    for (bytes = 0; bench.now_ms % 1000 != 999; bench.now_ms++)
        bytes += spend(&bench, MESSAGE);
    uint64_t rate = bench.host.core->flow.rate;
    assert_in_range(rate, 19 * MIB, 20 * MIB);
    for (int i = 0; i < 2; i++) {
        bench.now_ms += 60000;
        (void) spend(&bench, MESSAGE);
    }
    assert_true(bench.host.core->flow.rate < 16);
    assert_int_equal(bench.host.core->peers[2].repeated_bytes, 0);
    bench_close(&bench);
}

/* The primary's answer to replica 3. Returns how many batches are in it, and expects the votes in any case. */
static size_t answered(struct bench *bench) {
    bench->now_ms += bench->config.retransmit_ms / 2 + 1;
    host_sends_clear(&bench->host);
    assert_ok(receive(bench, 3, make_status(&bench->config, 3, 0, 0, 0)));
    assert_int_equal(sent(bench, BFT_COMMIT, NULL), 1);
    return sent(bench, BFT_RELAY, NULL);
}

/* An answer leaves batches out while the peer has had its share, and never votes. The share comes back with time. */
static void budget__keeps_batches_back_and_no_votes(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    decide(&bench, 1, "a");
    turn_ends(&bench);
    bench.now_ms += 1000;
    (void) answered(&bench);
    bench.now_ms += 1000;
    assert_int_equal(answered(&bench), 1);
    bench.host.core->peers[3].repeated_bytes = 3 * BFT_REPEAT_BYTES_MAX;
    uint64_t spent_ms = bench.now_ms;
    uint32_t without = 0;
    while (answered(&bench) == 0)
        without++;
    assert_true(without > 1);
    /* Two MiB beyond the bound, at 4 MiB/s. */
    assert_in_range(bench.now_ms - spent_ms, 500, 500 + bench.config.retransmit_ms);
    bench_close(&bench);
}

/* A second passes, after which replica 3 has had much more than its share, or nothing. */
static void spend_much(struct bench *bench, bool spent) {
    bench->now_ms += 1000;
    bench->host.core->peers[3].repeated_bytes = spent ? 100 * (uint64_t) BFT_REPEAT_BYTES_MAX : 0;
    bench->host.core->peers[3].repeated_ms = bench->now_ms;
    host_sends_clear(&bench->host);
}

/* BODYs, news of the view and RECALLs come out of the same share. */
static void budget__is_for_all_kinds_of_repeats(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 1);
    decide(&bench, 1, "a");
    turn_ends(&bench);
    struct bft_vote_list list = {
        .type = BFT_FETCH, .sender = 3, .count = 1, .votes = {{.seq = 1, .digest = digest_of("a")}}};
    for (int spent = 1; spent >= 0; spent--) {
        spend_much(&bench, spent);
        assert_ok(receive(&bench, 3, make_list(&bench.config, &list)));
        assert_int_equal(sent(&bench, BFT_BODY, NULL), !spent);
    }
    bench_close(&bench);
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    for (int spent = 1; spent >= 0; spent--) {
        spend_much(&bench, spent);
        assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 0)));
        assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), !spent);
    }
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(status_message__becomes_rare_while_nothing_changes),
    cmocka_unit_test(status_message__begins_anew_with_what_changes),
    cmocka_unit_test(status_message__begins_anew_for_a_peer_that_comes_back),
    cmocka_unit_test(repeat__comes_within_a_quarter_of_the_wait),
    cmocka_unit_test(fetch__becomes_rare_without_answers),
    cmocka_unit_test(budget__is_a_floor_and_half_of_what_is_delivered),
    cmocka_unit_test(budget__keeps_batches_back_and_no_votes),
    cmocka_unit_test(budget__is_for_all_kinds_of_repeats),
};
TEST_CASES(cases);
