/* Checkpoints, falling behind, retransmission and restarts of one PBFT core. */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static void checkpoint__moves_the_window_and_forgets(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    for (uint64_t seq = 1; seq <= 5; seq++)
        decide(&bench, seq, "x");
    assert_int_equal(bench.host.disk.count, 11);
    host_attested(&bench.host, 4, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).stable_seq, 4);
    /* With the checkpoint's certificate, and the record that tells that the disk is not new. */
    assert_int_equal(bench.host.disk.count, 4);
    assert_int_equal(bench.host.disk.items[0].key, 5);
    assert_int_equal(status_of(&bench).body_bytes, 1);
    pre_prepare(&bench, 12, "x");
    assert_int_equal(bench.host.judge_count, 1);
    host_attested(&bench.host, 4, bench.now_ms); /* the same again, and an older one: no effect */
    host_attested(&bench.host, 1, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).stable_seq, 4);
    bench_close(&bench);
}

static void checkpoint__ahead_becomes_stable_when_delivery_gets_there(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    host_attested(&bench.host, 4, bench.now_ms);
    for (uint64_t seq = 1; seq <= 4; seq++)
        decide(&bench, seq, "x");
    assert_int_equal(status_of(&bench).stable_seq, 4);
    assert_int_equal(bench.host.disk.count, 2);
    assert_int_equal(bench.host.sync_seq, 0);
    bench_close(&bench);
}

static void sync__is_asked_for_when_delivery_does_not_get_there(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    host_attested(&bench.host, 4, 1000);
    turn_ends(&bench);
    assert_true(bench.host.wake_ms <= 1200);
    tick(&bench, 1199);
    assert_int_equal(bench.host.sync_seq, 0);
    tick(&bench, 1200);
    assert_int_equal(bench.host.sync_seq, 4);
    bench.host.sync_seq = 0;
    tick(&bench, 1599);
    assert_int_equal(bench.host.sync_seq, 0);
    tick(&bench, 1600);
    assert_int_equal(bench.host.sync_seq, 4);
    bench.host.sync_seq = 0;
    host_attested(&bench.host, 100, 2000); /* beyond the window: at once */
    assert_int_equal(bench.host.sync_seq, 100);
    bench_close(&bench);
}

static void synced__drops_what_it_passed_and_goes_on(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    bench_open(&source, 2);
    source.host.durable_applied = 6;
    bench_open(&bench, 1);
    pre_prepare(&bench, 2, "x"); /* will be judged too late */
    accept(&bench, 5, "x");
    accept(&bench, 7, "y");
    vote(&bench, BFT_PREPARE, 2, 7, "y");
    vote(&bench, BFT_COMMIT, 2, 7, "y");
    vote(&bench, BFT_COMMIT, 3, 7, "y");
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 0);
    host_sync_from(&bench.host, &source.host, 6, bench.now_ms);
    assert_int_equal(bench.host.applied, 7); /* delivery continued above it */
    assert_int_equal(status_of(&bench).stable_seq, 6);
    host_judge(&bench.host, 0, true, bench.now_ms); /* the judgement of seq 2 has no effect */
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    assert_int_equal(bench.host.disk.items[0].key, 7);
    host_sync_from(&bench.host, &source.host, 3, bench.now_ms); /* too late */
    assert_int_equal(status_of(&bench).delivered_seq, 7);
    bench_close(&bench);
    bench_close(&source);
}

/* A replica that got a state by fewer attestations than make it stable is still bound by what it said below. */
static void synced__above_the_stable_seq_forgets_nothing(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    bench_open(&source, 2);
    source.host.durable_applied = 6;
    bench_open(&bench, 1);
    pre_prepare(&bench, 2, "x"); /* is judged later */
    accept(&bench, 5, "x");
    accept(&bench, 7, "y");
    vote(&bench, BFT_PREPARE, 2, 7, "y");
    vote(&bench, BFT_COMMIT, 2, 7, "y");
    vote(&bench, BFT_COMMIT, 3, 7, "y");
    turn_ends(&bench);
    host_sync_above(&bench.host, &source.host, 6, 0, bench.now_ms);
    assert_int_equal(bench.host.applied, 7); /* delivery continued above it */
    assert_int_equal(status_of(&bench).delivered_seq, 7);
    assert_int_equal(status_of(&bench).stable_seq, 0);
    host_sends_clear(&bench.host);
    host_judge(&bench.host, 0, true, bench.now_ms);
    host_flush(&bench.host, bench.now_ms);
    host_commit(&bench.host);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1); /* the others may need its vote for seq 2 */
    host_sends_clear(&bench.host);
    pre_prepare(&bench, 5, "another");
    turn_ends(&bench);
    assert_int_equal(bench.host.evidence_count, 1);
    /* Beyond the window there is no such state, and a certificate is of a seq up to it. */
    struct ord_event event = {.type = ORD_EVENT_SYNCED, .now_ms = bench.now_ms};
    event.synced.seq = bench.config.window + 1;
    assert_err(host_step(&bench.host, &event), ORD_ERR_INVALID);
    uint8_t certificate[STAND_IN_CHECKPOINT_SIZE];
    event.synced.seq = 8;
    event.synced.stable_seq = 9;
    event.synced.certificate = stand_in_checkpoint(certificate, &test_crypto, 9);
    assert_err(host_step(&bench.host, &event), ORD_ERR_INVALID);
    host_attested(&bench.host, 6, bench.now_ms);
    assert_int_equal(status_of(&bench).stable_seq, 6);
    bench_close(&bench);
    bench_close(&source);
}

static void status_message__goes_out_when_nothing_moves(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    assert_int_equal(bench.host.wake_ms, 2000); /* heartbeat */
    bench.now_ms = 1500;
    accept(&bench, 1, "x");
    turn_ends(&bench);
    assert_int_equal(bench.host.wake_ms, 1600); /* a seq is in flight now */
    host_sends_clear(&bench.host);
    tick(&bench, 1599);
    assert_int_equal(bench.host.send_count, 0);
    tick(&bench, 1600);
    assert_int_equal(sent(&bench, BFT_STATUS, NULL), 1);
    struct bft_status message;
    assert_ok(
        bft_status_decode(&message, &bench.config, ord_span_of(bench.host.sends[0].data, bench.host.sends[0].size)));
    assert_int_equal(message.delivered_seq, 0);
    assert_int_equal(message.held[0], 1);
    turn_ends(&bench);
    assert_int_equal(bench.host.wake_ms, 1700);
    bench_close(&bench);
}

static void status_message__is_answered_with_what_is_missing(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 0);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    host_propose(&bench.host, ord_span_of("b", 1), bench.now_ms);
    for (ord_node_id from = 1; from < 3; from++)
        vote(&bench, BFT_PREPARE, from, 1, "a");
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 0)));
    assert_int_equal(bench.host.send_count, 0); /* everything is still on its way */
    bench.now_ms += 100;
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 2))); /* it has seq 2 */
    assert_int_equal(sent(&bench, BFT_PRE_PREPARE, NULL), 1);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0); /* a primary sends no PREPARE */
    assert_int_equal(bench.host.sends[0].to, 8);
    assert_int_equal(status_of(&bench).retransmissions, 2);
    bench.now_ms += 49;
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 0))); /* too soon for another answer */
    assert_int_equal(bench.host.send_count, 2);
    assert_ok(receive(&bench, 2, make_status(&bench.config, 2, 0, 0, 1))); /* another peer */
    assert_int_equal(bench.host.send_count, 4);
    bench_close(&bench);
    bench_open(&bench, 1);
    decide(&bench, 1, "a");
    bench.now_ms += 100;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 0)));
    assert_int_equal(sent(&bench, BFT_PRE_PREPARE, NULL), 0); /* only the primary sends it */
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    bench_close(&bench);
}

/* Row Q7: one peer may claim what it likes. An honest one is among f + 1, and none that is gone speaks for ever. */
static void status_message__that_shows_more_makes_us_ask(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    const uint64_t heartbeat_ms = bench.host.wake_ms;
    assert_ok(receive(&bench, 2, make_status(&bench.config, 2, 0, 0, 4))); /* it holds seq 3 */
    turn_ends(&bench);
    assert_int_equal(bench.host.wake_ms, heartbeat_ms);
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 4)));
    turn_ends(&bench);
    assert_int_equal(bench.host.wake_ms, bench.now_ms + 100);
    for (uint32_t i = 0; i < 50; i++) {
        tick(&bench, bench.host.wake_ms);
        turn_ends(&bench);
    }
    /* Both have been gone for seconds by now. */
    assert_int_equal(bench.host.wake_ms, bench.now_ms + BFT_HEARTBEAT_MS);
    /* What the primary alone has proposed, it alone can show. */
    assert_ok(receive(&bench, 0, make_status(&bench.config, 0, 0, 0, 4)));
    turn_ends(&bench);
    assert_int_equal(bench.host.wake_ms, bench.now_ms + 100);
    bench_close(&bench);
}

static void restart__stands_by_every_vote(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    decide(&bench, 1, "a");
    accept(&bench, 2, "b"); /* only our own vote is there */
    accept(&bench, 3, "c"); /* prepared, not committed */
    vote(&bench, BFT_PREPARE, 2, 3, "c");
    turn_ends(&bench);
    pre_prepare(&bench, 4, "d"); /* not judged, so it never happened */
    host_crash(&bench.host);
    bench.now_ms = 5;
    assert_ok(host_start(&bench.host, bench.now_ms));
    assert_int_equal(status_of(&bench).delivered_seq, 1);
    assert_int_equal(status_of(&bench).proposed_seq, 3);
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.votes[0].seq, 2);
    assert_int_equal(sent(&bench, BFT_COMMIT, &list), 1);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.votes[0].seq, 3);
    /* It continues from there, with its own votes counted, and with no statement that contradicts them. */
    pre_prepare(&bench, 2, "other");
    pre_prepare(&bench, 3, "other");
    assert_int_equal(bench.host.evidence_count, 2);
    assert_int_equal(bench.host.judge_count, 0);
    vote(&bench, BFT_PREPARE, 3, 2, "b");
    for (uint64_t seq = 2; seq <= 3; seq++) {
        vote(&bench, BFT_COMMIT, 0, seq, seq == 2 ? "b" : "c");
        vote(&bench, BFT_COMMIT, 3, seq, seq == 2 ? "b" : "c");
    }
    assert_int_equal(bench.host.applied, 3);
    turn_ends(&bench); /* moves to the next view */
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

static void restart__of_the_primary_goes_on_after_its_last_seq(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 0);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    turn_ends(&bench);
    host_propose(&bench.host, ord_span_of("lost", 4), bench.now_ms); /* neither durable nor sent */
    host_crash(&bench.host);
    assert_ok(host_start(&bench.host, bench.now_ms));
    host_propose(&bench.host, ord_span_of("b", 1), bench.now_ms);
    assert_int_equal(bench.host.turn.items[0].key, 2);
    turn_ends(&bench);
    bench.now_ms += 100;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 2, make_status(&bench.config, 2, 0, 0, 0)));
    assert_int_equal(sent(&bench, BFT_PRE_PREPARE, NULL), 2); /* the recovered one too */
    bench_close(&bench);
}

static void restart__ignores_records_that_are_stable(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    for (uint64_t seq = 1; seq <= 4; seq++)
        decide(&bench, seq, "x");
    host_crash(&bench.host);
    /* Seq 2 is stable, and the node has kept more records than required. */
    uint8_t *certificate = malloc(STAND_IN_CHECKPOINT_SIZE);
    struct host_records *disk = &bench.host.disk;
    disk->items = realloc(disk->items, (disk->count + 1) * sizeof(*disk->items));
    assert_non_null(certificate);
    assert_non_null(disk->items);
    (void) stand_in_checkpoint(certificate, &test_crypto, 2);
    disk->capacity = disk->count + 1;
    /* Tables are in rising order: the last record tells that the disk is not new. */
    disk->items[disk->count] = disk->items[disk->count - 1];
    disk->items[disk->count++ - 1] =
        (struct host_record) {BFT_TABLE_CHECKPOINT, 1, certificate, STAND_IN_CHECKPOINT_SIZE};
    assert_ok(host_start(&bench.host, bench.now_ms));
    assert_int_equal(status_of(&bench).body_bytes, 2);
    assert_int_equal(status_of(&bench).delivered_seq, 4);
    bench_close(&bench);
}

static enum ord_err start_with(struct bench *bench, const struct ord_record *records, size_t count) {
    host_crash(&bench->host);
    struct ord_core *core;
    size_t size = bft_pbft.memory_size(&bench->config);
    void *memory = malloc(size);
    assert_non_null(memory);
    const struct ord_signer signer = {.context = &bench->host.keys, .sign = stand_in_signer_sign};
    assert_ok(bft_pbft.init(&core, memory, size, &bench->config, &signer, 1));
    struct ord_event event = {.type = ORD_EVENT_START, .start = {.records = records, .record_count = count}};
    struct ord_effects effects;
    enum ord_err err = bft_pbft.step(core, &effects, &event);
    if (err != ORD_OK) { /* nothing was changed, so a clean START is still possible */
        event.start.record_count = 0;
        assert_ok(bft_pbft.step(core, &effects, &event));
    }
    free(memory);
    return err;
}

static void restart__refuses_records_that_are_not_its_own_words(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    decide(&bench, 1, "a");
    struct ord_record good[2];
    uint8_t log[512];
    uint8_t certificate[2048];
    for (size_t i = 0; i < 2; i++) {
        const struct host_record *record = &bench.host.disk.items[i];
        memcpy(i == 0 ? log : certificate, record->data, record->size);
        good[i] = (struct ord_record) {record->table, 1, ord_span_of(i == 0 ? log : certificate, record->size)};
    }
    assert_ok(start_with(&bench, good, 2));
    struct ord_record bad[2] = {good[0], good[1]};
    bad[0].bytes.size--;
    assert_err(start_with(&bench, bad, 2), ORD_ERR_CORRUPT);
    bad[0] = good[0];
    bad[1].bytes.size--;
    assert_err(start_with(&bench, bad, 2), ORD_ERR_CORRUPT);
    assert_err(start_with(&bench, &good[1], 1), ORD_ERR_CORRUPT); /* a certificate without its body */
    bad[0] = good[1];
    bad[1] = good[0];
    assert_err(start_with(&bench, bad, 2), ORD_ERR_CORRUPT); /* not sorted */
    bad[0] = good[0];
    bad[0].key = 2;
    assert_err(start_with(&bench, bad, 1), ORD_ERR_CORRUPT); /* the key is not its seq */
    bad[0] = good[0];
    bad[0].table = BFT_TABLE_NEW_VIEW + 1;
    assert_err(start_with(&bench, bad, 1), ORD_ERR_CORRUPT); /* no such table */
    log[good[0].bytes.size - 1] ^= 1;
    assert_err(start_with(&bench, good, 2), ORD_ERR_CORRUPT); /* the digest is not that of the body */
    log[good[0].bytes.size - 1] ^= 1;
    certificate[BFT_HEADER_SIZE + 8] ^= 1;
    assert_err(start_with(&bench, good, 2), ORD_ERR_CORRUPT); /* certificate of another digest */
    certificate[BFT_HEADER_SIZE + 8] ^= 1;
    struct ord_span far = make_pre_prepare(&bench.config, 0, 0, 9, "x");
    bad[0] = (struct ord_record) {1, 9, far};
    assert_err(start_with(&bench, bad, 1), ORD_ERR_NO_SPACE); /* beyond the window: it would be forgotten */
    bad[0] = (struct ord_record) {1, 8, make_pre_prepare(&bench.config, 0, 4, 8, "x")};
    assert_err(start_with(&bench, bad, 1), ORD_ERR_CORRUPT); /* a view that this replica was never in */
    bad[0] = (struct ord_record) {1, 8, make_pre_prepare(&bench.config, 3, 0, 8, "x")};
    assert_err(start_with(&bench, bad, 1), ORD_ERR_CORRUPT); /* the sender is not the view's primary */
    bench_close(&bench);
}

static void start__comes_first_and_once(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    struct ord_event start = {.type = ORD_EVENT_START};
    assert_err(host_step(&bench.host, &start), ORD_ERR_WRONG_STATE);
    struct ord_core *core;
    size_t size = bft_pbft.memory_size(&bench.config);
    void *memory = malloc(size);
    assert_non_null(memory);
    const struct ord_signer signer = {.context = &bench.host.keys, .sign = stand_in_signer_sign};
    assert_err(bft_pbft.init(&core, memory, size - 1, &bench.config, &signer, 1), ORD_ERR_NO_SPACE);
    assert_ok(bft_pbft.init(&core, memory, size, &bench.config, &signer, 1));
    struct ord_effects effects;
    struct ord_event tick_event = {.type = ORD_EVENT_TICK};
    assert_err(bft_pbft.step(core, &effects, &tick_event), ORD_ERR_WRONG_STATE);
    free(memory);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(checkpoint__moves_the_window_and_forgets),
    cmocka_unit_test(checkpoint__ahead_becomes_stable_when_delivery_gets_there),
    cmocka_unit_test(sync__is_asked_for_when_delivery_does_not_get_there),
    cmocka_unit_test(synced__drops_what_it_passed_and_goes_on),
    cmocka_unit_test(synced__above_the_stable_seq_forgets_nothing),
    cmocka_unit_test(status_message__goes_out_when_nothing_moves),
    cmocka_unit_test(status_message__is_answered_with_what_is_missing),
    cmocka_unit_test(status_message__that_shows_more_makes_us_ask),
    cmocka_unit_test(restart__stands_by_every_vote),
    cmocka_unit_test(restart__of_the_primary_goes_on_after_its_last_seq),
    cmocka_unit_test(restart__ignores_records_that_are_stable),
    cmocka_unit_test(restart__refuses_records_that_are_not_its_own_words),
    cmocka_unit_test(start__comes_first_and_once),
};
TEST_CASES(cases);
