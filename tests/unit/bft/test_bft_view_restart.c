/*
 * Restarts of one PBFT core around a view change: promises and votes stand, what a view made void stays void, and
 * records that are not the replica's own statements are refused. Row V15 in docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static void restart(struct bench *bench) {
    host_crash(&bench->host);
    assert_ok(host_start(&bench->host, bench->now_ms));
}

static struct host_record *record_of(struct bench *bench, enum bft_table table, uint64_t key) {
    for (size_t i = 0; i < bench->host.disk.count; i++)
        if (bench->host.disk.items[i].table == table && bench->host.disk.items[i].key == key)
            return &bench->host.disk.items[i];
    return NULL;
}

/* Puts a record on the disk, in place of any that is there. */
static void put_record(struct bench *bench, enum bft_table table, uint64_t key, struct ord_span bytes) {
    struct host_record *record = record_of(bench, table, key);
    struct host_records *disk = &bench->host.disk;
    if (record == NULL) {
        disk->items = realloc(disk->items, (disk->count + 1) * sizeof(*disk->items));
        assert_non_null(disk->items);
        size_t at = 0;
        while (at < disk->count &&
               (disk->items[at].table < table || (disk->items[at].table == table && disk->items[at].key < key)))
            at++;
        memmove(disk->items + at + 1, disk->items + at, (disk->count - at) * sizeof(*disk->items));
        disk->count++;
        disk->capacity = disk->count;
        record = &disk->items[at];
        *record = (struct host_record) {.table = (uint8_t) table, .key = key};
    }
    free(record->data);
    record->data = malloc(bytes.size + 1);
    assert_non_null(record->data);
    memcpy(record->data, bytes.data, bytes.size);
    record->size = bytes.size;
}

static void restart__keeps_the_promise_of_a_view_change(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    time_out(&bench, &changes);
    restart(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_true(status_of(&bench).changing);
    assert_int_equal(bench.host.leader, ORD_NO_NODE);
    struct ord_span again = sent_message(&bench, BFT_VIEW_CHANGE);
    assert_true(ord_span_equal(again, changes.of[2])); /* identical, byte for byte */
    host_commit(&bench.host);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL) + sent(&bench, BFT_COMMIT, NULL), 0);
    pre_prepare(&bench, 2, "b");
    assert_int_equal(bench.host.judge_count, 0);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    const struct ord_hash a = digest_of("a");
    new_view(&bench, &changes, 1, 0, &a, 1);
    turn_ends(&bench);
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.view, 1);
    bench_close(&bench);
}

/* A VIEW-CHANGE that was made but not durable was not sent, so it never happened. */
static void restart__forgets_a_view_change_that_was_not_durable(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    tick(&bench, 2000);
    all_suspect(&bench);
    host_flush(&bench.host, bench.now_ms);
    assert_int_equal(status_of(&bench).view, 1);
    restart(&bench);
    assert_int_equal(status_of(&bench).view, 0);
    assert_false(status_of(&bench).changing);
    assert_int_equal(bench.host.leader, 0);
    bench_close(&bench);
}

/*
 * In the installed view: its votes, the messages that the view rests on for replicas that missed it, and the primary's
 * own seqs.
 */
static void restart__goes_on_in_the_installed_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    host_propose(&bench.host, ord_span_of("b", 1), bench.now_ms);
    turn_ends(&bench);
    restart(&bench);
    host_commit(&bench.host);
    assert_int_equal(status_of(&bench).view, 1);
    assert_true(status_of(&bench).leading);
    assert_int_equal(status_of(&bench).proposed_seq, 2);
    bench.now_ms += 1000;
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_view_status(&bench.config, 3, 0, false, 0)));
    /* That of 2 and, because 3 may have forgotten it, that of 3. */
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 2);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1); /* its own */
    assert_int_equal(sent(&bench, BFT_NEW_VIEW, NULL), 1);
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_view_status(&bench.config, 3, 1, false, 0)));
    assert_int_equal(sent(&bench, BFT_PRE_PREPARE, NULL), 1); /* seq 2; seq 1 is in the NEW-VIEW */
    host_propose(&bench.host, ord_span_of("c", 1), bench.now_ms);
    struct bft_pre_prepare message;
    assert_ok(bft_pre_prepare_decode(&message, &bench.config, sent_message(&bench, BFT_PRE_PREPARE)));
    assert_int_equal(message.seq, 3);
    const struct ord_hash a = digest_of("a");
    for (ord_node_id node = 2; node < 4; node++) {
        vote_in(&bench, BFT_PREPARE, node, 1, 1, &a);
        vote_in(&bench, BFT_COMMIT, node, 1, 1, &a);
    }
    assert_int_equal(bench.host.applied, 1);
    bench_close(&bench);
}

/*
 * Seq 1 became a null batch, seq 2 another batch, and seq 3 is above what the new view proposed again. The records of
 * all three, logs and certificates, are still there, and none of them is a statement in the installed view.
 */
static void restart__leaves_void_what_a_view_made_void(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct prepared z = {.seq = 2, .digest = digest_of("z")};
    const struct ord_hash digests[] = {digest_of(""), z.digest};
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    accept(&bench, 2, "b");
    accept(&bench, 3, "c");
    vote(&bench, BFT_PREPARE, 3, 2, "b");
    vote(&bench, BFT_PREPARE, 3, 3, "c");
    turn_ends(&bench);
    assert_int_equal(on_disk(&bench, BFT_TABLE_CERTIFICATE), 2);
    time_out(&bench, &changes);
    /* The view rests on the others, which is possible because nothing of this was decided. */
    changes.of[2] = ord_span_of(NULL, 0);
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, &z, 1);
    new_view(&bench, &changes, 1, 0, digests, 2);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(on_disk(&bench, BFT_TABLE_LOG), 3);
    assert_int_equal(status_of(&bench).body_bytes, 0);
    for (int crash = 0; crash < 2; crash++) {
        restart(&bench);
        host_commit(&bench.host);
        assert_int_equal(status_of(&bench).view, 1);
        assert_int_equal(status_of(&bench).body_bytes, 0);
        assert_int_equal(status_of(&bench).proposed_seq, 2);
    }
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.votes[0].seq, 1);
    assert_true(ord_hash_equal(&list.votes[0].digest, &digests[0]));
    assert_int_equal(sent(&bench, BFT_FETCH, NULL), 1);
    assert_ok(receive(&bench, 1, make_body(&bench.config, 1, 1, 2, "z")));
    assert_ok(receive(&bench, 1, make_pre_prepare(&bench.config, 1, 1, 3, "d")));
    host_judge(&bench.host, 0, true, bench.now_ms);
    vote_in(&bench, BFT_PREPARE, 3, 1, 2, &z.digest);
    turn_ends(&bench);
    assert_int_equal(bench.host.evidence_count, 0);
    /* LOG: 1 a@0 (void), 2 z, 3 d@1. CERTIFICATE: 2 z@1, 3 c@0 (void). */
    restart(&bench);
    host_commit(&bench.host);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).body_bytes, 2);
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.votes[1].seq, 3);
    assert_int_equal(sent(&bench, BFT_COMMIT, &list), 1);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.votes[0].seq, 2);
    time_out(&bench, &changes);
    struct bft_view_change change;
    struct bft_statement statement;
    struct ord_span certificate;
    assert_ok(bft_view_change_verify(&change, &bench.config, changes.of[2]));
    assert_int_equal(change.certificate_count, 1);
    assert_true(bft_view_change_next(&statement, &certificate, &change.certificates, &bench.config));
    assert_int_equal(statement.view, 1);
    bench_close(&bench);
}

/*
 * View 2 made a certificate of view 1 void, and view 3 proposes it again. Its batch was lost when that of view 2
 * replaced it in the LOG. So it is fetched, and kept before anything is said about it.
 */
static void restart__fetches_a_batch_that_was_void_for_a_while(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static uint8_t certificate[4096];
    const struct prepared x = {.seq = 1, .view = 1, .digest = digest_of("x")};
    bench_open(&bench, 0);
    host_crash(&bench.host);
    for (ord_node_id node = 1; node < 4; node++)
        (void) changes_keep(&changes, node, make_view_change(&bench.config, node, 3, 0, &x, 1));
    put_record(&bench, BFT_TABLE_LOG, 1, make_pre_prepare(&bench.config, 2, 2, 1, "y"));
    size_t size = make_certificate(certificate, sizeof(certificate), &bench.config, &x);
    put_record(&bench, BFT_TABLE_CERTIFICATE, 1, ord_span_of(certificate, size));
    put_record(&bench, BFT_TABLE_NEW_VIEW, 1, make_new_view(&bench.config, 3, 0, &x.digest, 1, changes.of));
    assert_ok(host_start(&bench.host, bench.now_ms));
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    assert_ok(receive(&bench, 1, make_body(&bench.config, 1, 3, 1, "x")));
    vote_in(&bench, BFT_PREPARE, 1, 3, 1, &x.digest);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    struct ord_span batch;
    const struct host_record *record = record_of(&bench, BFT_TABLE_LOG, 1);
    assert_ok(bft_pbft.body_of_record(&batch, ord_span_of(record->data, record->size)));
    assert_true(ord_span_equal(batch, ord_span_of("x", 1)));
    restart(&bench);
    bench_close(&bench);
}

/*
 * The disk holds as much as a new view may propose again, and also void records that are not stable yet. The void ones
 * take no room.
 */
static void restart__makes_no_room_for_what_is_void(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct large large;
    large_fill(&large);
    bench_open_tight(&bench, 2, 16);
    for (uint64_t seq = 13; seq <= 16; seq++)
        accept(&bench, seq, large.batches[0]);
    turn_ends(&bench);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, large.prepared, 8);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, large.digests, 8);
    turn_ends(&bench);
    for (uint64_t seq = 1; seq <= 8; seq++)
        assert_ok(receive(&bench, 1, make_body(&bench.config, 1, 1, seq, large.batches[seq - 1])));
    turn_ends(&bench);
    assert_int_equal(on_disk(&bench, BFT_TABLE_LOG), 12);
    assert_int_equal(status_of(&bench).body_bytes, 512);
    restart(&bench);
    assert_int_equal(status_of(&bench).body_bytes, 512);
    bench_close(&bench);
}

/*
 * A new primary that takes in batches evicts those of earlier views that no certificate vouches for. Their records do
 * not keep it from starting.
 */
static void restart__of_a_new_primary_between_batches(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct large large;
    large_fill(&large);
    bench_open_tight(&bench, 1, 16);
    for (uint64_t seq = 13; seq <= 16; seq++)
        accept(&bench, seq, large.batches[0]);
    turn_ends(&bench);
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 0, large.prepared, 8);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    for (uint64_t seq = 1; seq <= 7; seq++) {
        assert_ok(receive(&bench, 2, make_body(&bench.config, 2, 1, seq, large.batches[seq - 1])));
        turn_ends(&bench);
    }
    assert_true(status_of(&bench).changing);
    restart(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

/* Starts with the record changed to `bytes`, then restores the old one. */
static enum ord_err start_with(struct bench *bench, enum bft_table table, uint64_t key, struct ord_span bytes) {
    struct host_record *record = record_of(bench, table, key);
    assert_non_null(record);
    struct ord_span old = ord_span_of(record->data, record->size);
    uint8_t *exact = malloc(bytes.size + 1); /* an exact size, so that a read beyond it is noticed */
    assert_non_null(exact);
    memcpy(exact, bytes.data, bytes.size);
    record->data = exact;
    record->size = bytes.size;
    host_crash(&bench->host);
    enum ord_err err = host_start(&bench->host, bench->now_ms);
    free(exact);
    record = record_of(bench, table, key);
    record->data = (uint8_t *) (uintptr_t) old.data;
    record->size = old.size;
    return err;
}

static void restart__refuses_view_records_that_are_not_its_own_words(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE];
    bench_open(&bench, 1);
    for (uint64_t seq = 1; seq <= 4; seq++)
        decide(&bench, seq, "x");
    host_attested(&bench.host, 4, bench.now_ms);
    turn_ends(&bench);
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_true(status_of(&bench).leading);
    restart(&bench);
    /* Table 3: the proof must be valid, and for a seq that was executed. */
    assert_ok(start_with(&bench, BFT_TABLE_CHECKPOINT, 1, stand_in_checkpoint(checkpoint, &test_crypto, 3)));
    assert_err(start_with(&bench, BFT_TABLE_CHECKPOINT, 1, stand_in_checkpoint(checkpoint, &test_crypto, 5)),
               ORD_ERR_CORRUPT);
    (void) stand_in_checkpoint(checkpoint, &test_crypto, 4);
    checkpoint[20] ^= 1;
    assert_err(start_with(&bench, BFT_TABLE_CHECKPOINT, 1, ord_span_of(checkpoint, sizeof(checkpoint))),
               ORD_ERR_CORRUPT);
    assert_err(start_with(&bench, BFT_TABLE_CHECKPOINT, 1, ord_span_of(checkpoint, 39)), ORD_ERR_CORRUPT);
    /* Table 4: its own VIEW-CHANGE must be under its own key. */
    struct ord_span own = changes.of[1];
    assert_err(start_with(&bench, BFT_TABLE_VIEW_CHANGE, 1, changes.of[2]), ORD_ERR_CORRUPT);
    assert_err(start_with(&bench, BFT_TABLE_VIEW_CHANGE, 1, ord_span_of(own.data, own.size - 1)), ORD_ERR_CORRUPT);
    /* A spoilt VIEW-CHANGE of another replica cannot be relayed, but nothing else is lost. */
    assert_ok(start_with(&bench, BFT_TABLE_VIEW_CHANGE, 2, ord_span_of(own.data, own.size - 1)));
    bench.now_ms += 1000;
    host_commit(&bench.host);
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 0, make_view_status(&bench.config, 0, 0, false, 0)));
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 1);
    /* A VIEW-CHANGE that the view does not rest on cannot be relayed either. */
    assert_ok(start_with(&bench, BFT_TABLE_VIEW_CHANGE, 2, make_view_change(&bench.config, 2, 1, 4, NULL, 0)));
    host_commit(&bench.host);
    bench.now_ms += 1000;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 0, make_view_status(&bench.config, 0, 0, false, 0)));
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 1);
    /* Table 5: a whole NEW-VIEW. */
    struct host_record *record = record_of(&bench, BFT_TABLE_NEW_VIEW, 1);
    assert_err(start_with(&bench, BFT_TABLE_NEW_VIEW, 1, ord_span_of(record->data, record->size - 1)), ORD_ERR_CORRUPT);
    assert_err(start_with(&bench, BFT_TABLE_NEW_VIEW, 1, own), ORD_ERR_CORRUPT);
    restart(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(restart__keeps_the_promise_of_a_view_change),
    cmocka_unit_test(restart__forgets_a_view_change_that_was_not_durable),
    cmocka_unit_test(restart__goes_on_in_the_installed_view),
    cmocka_unit_test(restart__leaves_void_what_a_view_made_void),
    cmocka_unit_test(restart__fetches_a_batch_that_was_void_for_a_while),
    cmocka_unit_test(restart__makes_no_room_for_what_is_void),
    cmocka_unit_test(restart__of_a_new_primary_between_batches),
    cmocka_unit_test(restart__refuses_view_records_that_are_not_its_own_words),
};
TEST_CASES(cases);
