/*
 * A replica that may have forgotten some of its statements: it asks at each start, is silent once that is proven, and
 * speaks again when it can do no harm. Row V16 in docs/adversary.md; rule 26 of docs/protocol.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_asking.h"

static void start__asks_before_it_speaks(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 0);
    struct bft_ask ask;
    assert_int_equal(sent(&bench, BFT_ASK, NULL), 1);
    assert_int_equal(bench.host.sends[0].to, 0xe);
    assert_ok(bft_ask_decode(&ask, &bench.config, sent_message(&bench, BFT_ASK)));
    assert_int_equal(ask.nonce, bench.host.starts);
    assert_true(status_of(&bench).asking);
    assert_false(status_of(&bench).leading);
    assert_false(status_of(&bench).can_propose);
    assert_int_equal(bench.host.leader, ORD_NO_NODE);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    turn_ends(&bench);
    assert_int_equal(bench.host.send_count, 0);
    /* A replica that has answered is not asked again. */
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    tick(&bench, bench.now_ms + bench.config.retransmit_ms);
    assert_int_equal(bench.host.sends[0].to, 0xa);
    assert_false(speaks(&bench));
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    assert_true(speaks(&bench));
    assert_true(status_of(&bench).leading);
    assert_int_equal(bench.host.leader, 0);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    bench_close(&bench);
}

static void asking__takes_no_part(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    open_asking(&bench, 1);
    pre_prepare(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 2, 1, "a");
    vote(&bench, BFT_COMMIT, 2, 1, "a");
    assert_int_equal(bench.host.judge_count, 0);
    assert_int_equal(status_of(&bench).messages_dropped, 3);
    /* Nor does it take part in view changes, whichever replica wants one. */
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    suspect(&bench, 2);
    suspect(&bench, 3);
    tick(&bench, bench.now_ms + 10 * (uint64_t) test_options.request_timeout_ms);
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    turn_ends(&bench);
    assert_int_equal(words_sent(&bench), 0);
    assert_int_equal(status_of(&bench).view, 0);
    bench_close(&bench);
}

static void asking__counts_each_replica_once(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_true(status_of(&bench).asking);
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    bench_close(&bench);
}

static void asking__takes_no_answer_to_an_earlier_life(void **state) {
    (void) state;
    struct bench bench;
    const struct ord_span none = ord_span_of(NULL, 0);
    open_asking(&bench, 1);
    restart(&bench);
    struct ord_span old = make_recall(&bench, 2, 1, 0, 0, none);
    assert_false(bft_pbft.wants(bench.host.core, old));
    assert_ok(receive(&bench, 2, old));
    assert_ok(receive(&bench, 3, make_recall(&bench, 3, 1, 0, 0, none)));
    assert_true(status_of(&bench).asking);
    assert_true(bft_pbft.wants(bench.host.core, make_recall(&bench, 2, 2, 0, 0, none)));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_false(bft_pbft.wants(bench.host.core, make_recall(&bench, 2, 2, 0, 0, none)));
    bench_close(&bench);
}

static void door__refuses_answers_that_prove_nothing(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    uint8_t bytes[2048];
    struct ord_span none = ord_span_of(NULL, 0);
    const struct statement others = {.type = BFT_PREPARE, .sender = 3, .seq = 1, .batch = "a"};
    assert_err(recall(&bench, 2, 0, 0, &others), ORD_ERR_INVALID); /* not a statement of the asker */
    assert_err(recall(&bench, 2, 0, 17, NULL), ORD_ERR_INVALID);   /* more than two windows above what it proves */
    assert_err(recall(&bench, 2, 4, 3, NULL), ORD_ERR_INVALID);
    assert_err(recall(&bench, 2, 4, 21, NULL), ORD_ERR_INVALID);
    assert_ok(recall(&bench, 2, 4, 20, NULL));
    struct ord_span made = make_recall(&bench, 3, bench.host.starts, 4, 4, none);
    memcpy(bytes, made.data, made.size);
    bytes[BFT_HEADER_SIZE + 8 + 8 + 4 + 8] ^= 1; /* spoils the certificate */
    assert_err(receive(&bench, 3, ord_span_of(bytes, made.size)), ORD_ERR_BAD_SIGNATURE);
    made = make_recall(&bench, 3, bench.host.starts, 4, 5, none);
    memcpy(bytes, made.data, made.size);
    bytes[BFT_HEADER_SIZE + 8 + 7] = 5; /* it claims that seq 5 is stable, but the certificate is for seq 4 */
    assert_err(receive(&bench, 3, ord_span_of(bytes, made.size)), ORD_ERR_INVALID);
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .seq = 1, .batch = "a"};
    uint8_t statement[BFT_SIGNED_VOTE_SIZE_MAX];
    made = make_recall(&bench, 3, bench.host.starts, 0, 0, make_statement(statement, &bench.config, &own));
    memcpy(bytes, made.data, made.size);
    bytes[made.size - 1] ^= 1; /* spoils the signature */
    assert_err(receive(&bench, 3, ord_span_of(bytes, made.size)), ORD_ERR_BAD_SIGNATURE);
    assert_err(receive(&bench, 3, ord_span_of(made.data, made.size - 1)), ORD_ERR_INVALID);
    assert_true(status_of(&bench).asking);
    assert_false(status_of(&bench).silent);
    /* An ASK with bits beyond the window, or that is changing to view 0, is refused. */
    assert_err(receive(&bench, 3, make_ask(&bench, 3, 0, true, 0, 0)), ORD_ERR_INVALID);
    assert_err(receive(&bench, 2, make_ask(&bench, 3, 0, false, 0, 0)), ORD_ERR_FORBIDDEN);
    bench_close(&bench);
}

/* ---- when it is silent ---- */

static void empty_disk__is_silent_where_something_is_stable(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    assert_int_equal(on_disk(&bench, BFT_TABLE_SILENCE), 1);
    assert_ok(recall(&bench, 2, 4, 6, NULL));
    assert_ok(recall(&bench, 3, 0, 7, NULL));
    turn_ends(&bench);
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 7);
    /* It does not vote, follows by state transfer, and speaks when everything is stable that it may have voted for. */
    pre_prepare(&bench, 5, "e");
    assert_int_equal(bench.host.judge_count, 0);
    static struct host source;
    source.durable_applied = HOST_SEQ_MAX - 1;
    host_attested(&bench.host, 4, bench.now_ms);
    assert_int_equal(bench.host.sync_seq, 4); /* at once, because no other replica will bring it there */
    host_sync_from(&bench.host, &source, 4, bench.now_ms);
    turn_ends(&bench);
    assert_true(status_of(&bench).silent);
    host_attested(&bench.host, 8, bench.now_ms);
    host_sync_from(&bench.host, &source, 8, bench.now_ms);
    assert_true(speaks(&bench));
    assert_int_equal(sent(&bench, BFT_STATUS, NULL), 1);
    host_commit(&bench.host);
    assert_int_equal(on_disk(&bench, BFT_TABLE_SILENCE), 0);
    accept(&bench, 9, "i");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    bench_close(&bench);
}

static void empty_disk__of_a_new_network_goes_on(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    assert_ok(recall(&bench, 2, 0, 3, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    host_commit(&bench.host);
    /* If it is restarted before it has said anything, it does not count as a replica that lost its disk. */
    assert_int_equal(bench.host.disk.count, 1);
    restart(&bench);
    assert_ok(recall(&bench, 2, 4, 6, NULL));
    assert_ok(recall(&bench, 3, 4, 4, NULL));
    assert_true(speaks(&bench));
    accept(&bench, 5, "e");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    bench_close(&bench);
}

/* A restart that finds a disk that is no longer empty still knows what the first START noted. */
static void empty_disk__is_remembered_by_a_restart(void **state) {
    (void) state;
    struct bench bench;
    static struct host source;
    source.durable_applied = HOST_SEQ_MAX - 1;
    open_asking(&bench, 1);
    host_attested(&bench.host, 4, bench.now_ms);
    host_sync_from(&bench.host, &source, 4, bench.now_ms);
    turn_ends(&bench);
    restart(&bench);
    assert_ok(recall(&bench, 2, 4, 6, NULL));
    assert_ok(recall(&bench, 3, 4, 4, NULL));
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 6);
    bench_close(&bench);
}

/* Backup 1 has voted for seq 1 and is restarted. */
static void open_voted(struct bench *bench) {
    bench_open(bench, 1);
    accept(bench, 1, "a");
    turn_ends(bench);
    restart(bench);
}

static void intact__goes_on_with_its_votes(void **state) {
    (void) state;
    struct bench bench;
    open_voted(&bench);
    turn_ends(&bench);
    assert_int_equal(words_sent(&bench), 0);
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .seq = 1, .batch = "a"};
    /* It holds that statement. That others are further ahead is no reason to be silent. */
    assert_ok(recall(&bench, 2, 4, 9, &own));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1); /* it repeats the same vote */
    bench_close(&bench);
}

/*
 * A seq that others have proven to be stable is decided. No replica needs its vote there, and it might have voted for
 * something else.
 */
static void intact__binds_nothing_to_what_is_stable_elsewhere(void **state) {
    (void) state;
    struct bench bench;
    open_voted(&bench);
    assert_ok(recall(&bench, 2, 4, 6, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    pre_prepare(&bench, 4, "d");
    assert_int_equal(bench.host.judge_count, 0);
    accept(&bench, 5, "e");
    /* It asks for a state transfer, because no other replica may ever report that checkpoint again. */
    tick(&bench, bench.now_ms + 1000);
    assert_int_equal(bench.host.sync_seq, 4);
    bench_close(&bench);
    open_asking(&bench, 0);
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_ok(recall(&bench, 3, 4, 6, NULL)); /* answered late; by then this replica might lead */
    assert_false(status_of(&bench).can_propose);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    bench_close(&bench);
}

/* Replica 2 recalls one statement of the asker. True if that silences the asker. */
static bool silenced_by(struct bench *bench, const struct statement *said) {
    assert_ok(recall(bench, 2, 0, 0, said));
    return status_of(bench).silent;
}

static void old_image__is_proven_by_a_word_that_it_lacks(void **state) {
    (void) state;
    static const struct {
        struct statement said;
        bool lacks;
    } words[] = {
        {{.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 1, .batch = "a"}, false},
        {{.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 2, .batch = "b"}, true},
        {{.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 90, .batch = "b"}, true},
        {{.type = BFT_PREPARE, .sender = 1, .view = 2, .seq = 1, .batch = "a"}, true},
        {{.type = BFT_PRE_PREPARE, .sender = 1, .view = 1, .seq = 1, .batch = "a"}, true},
        {{.type = BFT_VIEW_CHANGE, .sender = 1, .view = 1, .seq = 0, .batch = "v"}, true},
        {{.type = BFT_NEW_VIEW, .sender = 1, .view = 1, .seq = 0, .batch = "v"}, true},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct bench bench;
        open_voted(&bench);
        assert_int_equal(silenced_by(&bench, &words[i].said), words[i].lacks);
        assert_ok(recall(&bench, 3, 0, 0, NULL));
        assert_int_equal(speaks(&bench), !words[i].lacks);
        if (words[i].lacks)
            assert_int_equal(status_of(&bench).silent_until_seq, words[i].said.seq);
        turn_ends(&bench);
        assert_int_equal(words_sent(&bench), words[i].lacks ? 0 : 1);
        bench_close(&bench);
    }
}

/*
 * The replica is changing to a view. Its VIEW-CHANGE for that view is on disk; anything else that it said in the view
 * is not.
 */
static void old_image__that_changes_views(void **state) {
    (void) state;
    static const struct statement promise = {.type = BFT_VIEW_CHANGE, .sender = 1, .view = 1, .batch = "v"};
    static const struct statement vote = {.type = BFT_PREPARE, .sender = 1, .view = 1, .seq = 1, .batch = "a"};
    static const struct statement earlier = {.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 3, .batch = "a"};
    static const struct statement lead = {.type = BFT_NEW_VIEW, .sender = 1, .view = 1, .batch = "v"};
    const struct statement *said[] = {&promise, &earlier, &vote, &lead};
    for (size_t i = 0; i < 4; i++) {
        struct bench bench;
        static struct changes changes;
        bench_open(&bench, 1);
        time_out(&bench, &changes);
        restart(&bench);
        assert_int_equal(silenced_by(&bench, said[i]), i >= 2);
        assert_ok(recall(&bench, 3, 0, 0, NULL));
        assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), i < 2); /* the same VIEW-CHANGE again */
        if (i < 2)
            assert_true(ord_span_equal(sent_message(&bench, BFT_VIEW_CHANGE), changes.of[1]));
        bench_close(&bench);
    }
}

/* A replica that answers late may still know a statement. Once that is stable, the asker speaks again. */
static void old_image__is_proven_at_any_time(void **state) {
    (void) state;
    struct bench bench;
    open_voted(&bench);
    assert_ok(recall(&bench, 2, 0, 5, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    turn_ends(&bench);
    accept(&bench, 2, "b");
    pre_prepare(&bench, 3, "c"); /* it is still being judged when the replica falls silent */
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .seq = 4, .batch = "d"};
    assert_ok(recall(&bench, 0, 0, 0, &own));
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 5); /* what the others had seen when it began to ask */
    /*
     * Enough others voted for the batch that is being judged. It still must not become prepared here, because this
     * replica's own COMMIT would be counted.
     */
    vote(&bench, BFT_PREPARE, 2, 2, "b");
    host_judge(&bench.host, 0, true, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(words_sent(&bench), 0);
    assert_int_equal(on_disk(&bench, BFT_TABLE_SILENCE), 1);
    /* It repeats nothing to replicas that ask, and suspects no primary. */
    bench.now_ms += bench.config.retransmit_ms;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 2, make_status(&bench.config, 2, 0, 0, 0)));
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    tick(&bench, bench.now_ms + 10 * (uint64_t) test_options.request_timeout_ms);
    host_flush(&bench.host, bench.now_ms);
    host_commit(&bench.host);
    assert_int_equal(words_sent(&bench), 0);
    struct bft_status status;
    assert_ok(bft_status_decode(&status, &bench.config, sent_message(&bench, BFT_STATUS)));
    assert_int_equal(status.mood, BFT_SILENT);
    bench_close(&bench);
}

static void silence__survives_a_restart(void **state) {
    (void) state;
    struct bench bench;
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 6, .batch = "d"};
    open_voted(&bench);
    assert_ok(recall(&bench, 2, 0, 0, &own));
    turn_ends(&bench);
    restart(&bench); /* before enough replicas had answered */
    assert_true(status_of(&bench).silent);
    assert_true(status_of(&bench).asking);
    assert_int_equal(status_of(&bench).silent_until_seq, 6);
    assert_ok(recall(&bench, 2, 0, 8, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).silent_until_seq, 8);
    restart(&bench);
    assert_ok(recall(&bench, 2, 0, 0, NULL)); /* they may have forgotten by now; its own record has not */
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 8);
    /* A core does not start from a record with an unknown form. */
    for (size_t i = 0; i < bench.host.disk.count; i++)
        if (bench.host.disk.items[i].table == BFT_TABLE_SILENCE)
            bench.host.disk.items[i].data[16] = 4;
    host_crash(&bench.host);
    assert_err(host_start(&bench.host, bench.now_ms), ORD_ERR_CORRUPT);
    bench_close(&bench);
}

/* Whatever proves that it has forgotten something, it is silent up to what the others had seen. */
static void silence__lasts_as_far_as_the_answers_of_those_who_said_nothing(void **state) {
    (void) state;
    struct bench bench;
    open_voted(&bench);
    assert_ok(recall(&bench, 2, 0, 5, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    struct ord_span own = make_view_change(&bench.config, 1, 3, 0, NULL, 0);
    assert_ok(receive(&bench, 2, make_relay(&bench.config, 2, own)));
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 5);
    bench_close(&bench);
}

/* One liar may lengthen a silence once by what it claims, but not again and again. */
static void silence__cannot_be_drawn_out(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    assert_ok(recall(&bench, 2, 4, 5, NULL));
    assert_ok(recall(&bench, 3, 4, 5, NULL));
    assert_ok(recall(&bench, 0, 4, 20, NULL));
    assert_int_equal(status_of(&bench).silent_until_seq, 20);
    assert_ok(recall(&bench, 0, 8, 24, NULL));
    assert_ok(recall(&bench, 3, 8, 24, NULL));
    assert_int_equal(status_of(&bench).silent_until_seq, 20);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(start__asks_before_it_speaks),
    cmocka_unit_test(asking__takes_no_part),
    cmocka_unit_test(asking__counts_each_replica_once),
    cmocka_unit_test(asking__takes_no_answer_to_an_earlier_life),
    cmocka_unit_test(door__refuses_answers_that_prove_nothing),
    cmocka_unit_test(empty_disk__is_silent_where_something_is_stable),
    cmocka_unit_test(empty_disk__of_a_new_network_goes_on),
    cmocka_unit_test(empty_disk__is_remembered_by_a_restart),
    cmocka_unit_test(intact__goes_on_with_its_votes),
    cmocka_unit_test(intact__binds_nothing_to_what_is_stable_elsewhere),
    cmocka_unit_test(old_image__is_proven_by_a_word_that_it_lacks),
    cmocka_unit_test(old_image__that_changes_views),
    cmocka_unit_test(old_image__is_proven_at_any_time),
    cmocka_unit_test(silence__survives_a_restart),
    cmocka_unit_test(silence__lasts_as_far_as_the_answers_of_those_who_said_nothing),
    cmocka_unit_test(silence__cannot_be_drawn_out),
};
TEST_CASES(cases);
