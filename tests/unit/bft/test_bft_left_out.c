/*
 * A backup that the primary leaves out (row P4), while nobody tells it of a checkpoint: the others pass on what they
 * have decided.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

/* Replica 3 reports how far it has delivered, and what it holds above that. */
static void hear(struct bench *bench, uint64_t delivered_seq, uint8_t held) {
    host_sends_clear(&bench->host);
    assert_ok(receive(bench, 3, make_status(&bench->config, 3, delivered_seq, 0, held)));
}

static void open_decided(struct bench *bench) {
    bench_open(bench, 1);
    decide(bench, 1, "a");
    decide(bench, 2, "b");
    accept(bench, 3, "c"); /* not decided */
    turn_ends(bench);
    bench->now_ms += 1000;
}

static void left_out__gets_what_was_decided_from_a_backup(void **state) {
    (void) state;
    struct bench bench;
    open_decided(&bench);
    hear(&bench, 0, 0);
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 0); /* the primary may still bring it */
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    bench.now_ms += 100;
    hear(&bench, 0, 0);
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 0);
    bench.now_ms += 100;
    hear(&bench, 0, 2); /* it has got the second batch meanwhile */
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 1);
    struct ord_span relayed = sent_message(&bench, BFT_RELAY);
    struct bft_pre_prepare message;
    assert_ok(bft_pre_prepare_decode(&message, &bench.config, bft_behind_header(relayed)));
    assert_int_equal(message.seq, 1);
    assert_true(ord_span_equal(message.body, ord_span_of("a", 1)));
    /* It makes progress, so the replica that helps it need not relay. */
    bench.now_ms += 100;
    hear(&bench, 1, 0);
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 0);
    bench.now_ms += 200;
    hear(&bench, 1, 0);
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 1);
    bench_close(&bench);
}

/* The primary is behind. It has its own PRE-PREPAREs and refuses them from others, so it gets votes only. */
static void left_out__primary_gets_none_of_its_own(void **state) {
    (void) state;
    struct bench bench;
    open_decided(&bench);
    const ord_node_id primary = bft_primary(&bench.config, 0);
    for (int i = 0; i < 4; i++) {
        host_sends_clear(&bench.host);
        assert_ok(receive(&bench, primary, make_status(&bench.config, primary, 0, 0, 0)));
        assert_int_equal(sent(&bench, BFT_RELAY, NULL), 0);
        assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
        bench.now_ms += 200;
    }
    bench_close(&bench);
}

/*
 * What f + 1 replicas vouch for is passed on before it is decided. Otherwise a decision would need the COMMIT of the
 * primary that left the backup out.
 */
static void left_out__gets_what_is_vouched_for(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    hear(&bench, 0, 0);
    bench.now_ms += test_options.request_timeout_ms / 2;
    hear(&bench, 0, 0);
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 0); /* this replica alone stands by it */
    bench_close(&bench);
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    vote(&bench, BFT_PREPARE, 2, 1, "a");
    turn_ends(&bench);
    hear(&bench, 0, 0);
    bench.now_ms += test_options.request_timeout_ms / 2 - 1;
    hear(&bench, 0, 0);
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 0); /* the primary's may be on its way */
    bench.now_ms += bench.config.retransmit_ms / 2;
    hear(&bench, 0, 0);
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 1);
    assert_int_equal(status_of(&bench).delivered_seq, 0);
    bench_close(&bench);
}

/* A silent replica follows by state transfer, and would drop votes and batches. */
static void silent__gets_no_votes_and_no_batches(void **state) {
    (void) state;
    struct bench bench;
    open_decided(&bench);
    for (int i = 0; i < 4; i++) {
        host_sends_clear(&bench.host);
        assert_ok(receive(&bench, 3, make_mood_status(&bench.config, 3, 0, BFT_SILENT, 0)));
        assert_int_equal(sent(&bench, BFT_RELAY, NULL) + sent(&bench, BFT_PREPARE, NULL), 0);
        assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 0);
        bench.now_ms += 100;
    }
    bench_close(&bench);
}

/* A STATUS cannot show whether something beyond its bitmap is held. */
static void far_behind__gets_what_its_status_cannot_tell_of(void **state) {
    (void) state;
    struct bench bench;
    static struct host source;
    uint8_t bytes[BFT_STATUS_SIZE];
    const uint64_t stable_seq = BFT_HELD_COUNT + 1;
    struct bft_status status = {.sender = 3, .mood = BFT_SUSPECTS};
    bench_open(&bench, 0);
    bench_close(&bench);
    bench.config.window = BFT_HELD_COUNT + 8;
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    source.durable_applied = HOST_SEQ_MAX - 1;
    host_attested(&bench.host, stable_seq, bench.now_ms);
    host_sync_from(&bench.host, &source, stable_seq, bench.now_ms);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).proposed_seq, stable_seq + 1);
    memset(status.held, 0xff, sizeof(status.held));
    bench.now_ms += bench.config.retransmit_ms;
    bft_status_encode(bytes, &bench.config, &status);
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, ord_span_of(bytes, sizeof(bytes))));
    assert_int_equal(sent(&bench, BFT_PRE_PREPARE, NULL), 1);
    bench_close(&bench);
}

/* Replica 2 passes `message` on. */
static enum ord_err receive_relayed(struct bench *bench, struct ord_span message) {
    return receive(bench, 2, make_relay(&bench->config, 2, message));
}

static void relayed__is_taken_like_the_primarys_own(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 3);
    assert_ok(receive_relayed(&bench, make_pre_prepare(&bench.config, 0, 0, 1, "a")));
    assert_int_equal(bench.host.judge_count, 1);
    host_judge(&bench.host, 0, true, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    /* Another proposal for the seq: its author has contradicted itself, whoever passed it on. */
    assert_ok(receive_relayed(&bench, make_pre_prepare(&bench.config, 0, 0, 1, "b")));
    assert_int_equal(bench.host.judge_count, 0);
    assert_int_equal(bench.host.culprits, ord_replica_bit(0));
    bench_close(&bench);
}

static void relayed__is_checked_like_the_primarys_own(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 3);
    static uint8_t copy[512];
    struct ord_span honest = make_pre_prepare(&bench.config, 0, 0, 1, "a");
    memcpy(copy, honest.data, honest.size);
    struct ord_span spoiled = ord_span_of(copy, honest.size);
    copy[honest.size - 1] ^= 1;
    assert_err(receive_relayed(&bench, spoiled), ORD_ERR_MISMATCH); /* row P10 */
    copy[honest.size - 1] ^= 1;
    copy[70] ^= 1;
    assert_err(receive_relayed(&bench, spoiled), ORD_ERR_BAD_SIGNATURE);
    /*
     * A proposal of a replica that is not the primary: row P11. A replica does not accept its own statements from
     * others: row T6.
     */
    assert_ok(receive_relayed(&bench, make_pre_prepare(&bench.config, 1, 0, 1, "a")));
    assert_err(receive_relayed(&bench, make_pre_prepare(&bench.config, 3, 0, 1, "a")), ORD_ERR_FORBIDDEN);
    assert_int_equal(bench.host.judge_count, 0);
    assert_int_equal(status_of(&bench).proposed_seq, 0);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(left_out__gets_what_was_decided_from_a_backup),
    cmocka_unit_test(left_out__primary_gets_none_of_its_own),
    cmocka_unit_test(left_out__gets_what_is_vouched_for),
    cmocka_unit_test(far_behind__gets_what_its_status_cannot_tell_of),
    cmocka_unit_test(silent__gets_no_votes_and_no_batches),
    cmocka_unit_test(relayed__is_taken_like_the_primarys_own),
    cmocka_unit_test(relayed__is_checked_like_the_primarys_own),
};
TEST_CASES(cases);
