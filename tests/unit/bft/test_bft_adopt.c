/*
 * Prepared certificates that other replicas return to one whose disk lost its last writes: rows V6 and V16 in
 * docs/adversary.md; rule 26 of docs/protocol.md. Seq 1 was decided in view 0 with the COMMITs of replicas 0, 1 and a
 * liar, 3. The disk of replica 1 lost its certificate.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_asking.h"

/* Replica `from` returns a certificate. */
static enum ord_err give_back(struct bench *bench, ord_node_id from, const struct prepared *prepared) {
    uint8_t bytes[1024];
    const size_t size = make_certificate(bytes, sizeof(bytes), &bench->config, prepared);
    return receive(bench, from,
                   make_recall_with(bench, from, bench->host.starts, 0, prepared->seq, ord_span_of(NULL, 0),
                                    ord_span_of(bytes, size)));
}

/* Backup 1 has voted for seq 1 and is restarted without the certificate for which it sent a COMMIT. */
static void open_without_certificate(struct bench *bench) {
    bench_open(bench, 1);
    accept(bench, 1, "a");
    turn_ends(bench);
    restart(bench);
}

/* How many certificates the replica's newest VIEW-CHANGE reports. */
static uint32_t reported(const struct bench *bench) {
    struct bft_view_change change;
    struct bft_statement statement;
    struct ord_span certificate;
    uint32_t count = 0;
    assert_ok(bft_view_change_verify(&change, &bench->config, sent_message(bench, BFT_VIEW_CHANGE)));
    while (bft_view_change_next(&statement, &certificate, &change.certificates, &bench->config))
        count++;
    return count;
}

/* Replica 1, now the primary of view 1, makes the NEW-VIEW with replica 2, which prepared nothing, and the liar. */
static void new_view_is_made(struct bench *bench, uint32_t entries) {
    static struct changes changes;
    struct bft_new_view view;
    time_out(bench, &changes);
    assert_int_equal(reported(bench), entries);
    change(bench, &changes, 2, 1, 0, NULL, 0);
    change(bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(bench);
    assert_ok(bft_new_view_verify(&view, &bench->config, sent_message(bench, BFT_NEW_VIEW)));
    assert_int_equal(view.count, entries);
    if (entries == 0)
        return;
    struct ord_hash made;
    const struct ord_hash digest = digest_of("a");
    bft_new_view_entry(&made, &view, 1);
    assert_true(ord_hash_equal(&made, &digest));
}

static void lost_commit__is_given_back_and_the_next_view_proposes_its_batch(void **state) {
    (void) state;
    struct bench bench;
    struct bft_vote_list list;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    open_without_certificate(&bench);
    assert_ok(recall(&bench, 3, 0, 0, NULL)); /* the liar claims to know nothing */
    assert_ok(give_back(&bench, 0, &prepared));
    assert_true(speaks(&bench));
    assert_int_equal(on_disk(&bench, BFT_TABLE_CERTIFICATE), 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, &list), 1);
    assert_int_equal(list.votes[0].seq, 1);
    assert_int_equal(on_disk(&bench, BFT_TABLE_CERTIFICATE), 1);
    new_view_is_made(&bench, 1);
    bench_close(&bench);
}

/* The only other replica that has the certificate answers when this one already speaks. */
static void lost_commit__is_given_back_late(void **state) {
    (void) state;
    struct bench bench;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    open_without_certificate(&bench);
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_true(speaks(&bench));
    turn_ends(&bench);
    /* It goes on asking that replica, and no other. */
    host_sends_clear(&bench.host);
    tick(&bench, bench.now_ms + BFT_HEARTBEAT_MS);
    assert_int_equal(sent(&bench, BFT_ASK, NULL), 1);
    for (size_t i = 0; i < bench.host.send_count; i++)
        if (bench.host.sends[i].data[0] == BFT_ASK)
            assert_int_equal(bench.host.sends[i].to, 1);
    assert_ok(give_back(&bench, 0, &prepared));
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    new_view_is_made(&bench, 1);
    bench_close(&bench);
}

/* Without any answer that has it, the certificate is lost: that is why such a replica counts against f. */
static void lost_commit__that_nobody_gives_back_is_not_reported(void **state) {
    (void) state;
    struct bench bench;
    open_without_certificate(&bench);
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    new_view_is_made(&bench, 0);
    bench_close(&bench);
}

/* The last turn sent no PREPARE for `seq`. */
static void assert_not_prepared(const struct bench *bench, uint64_t seq) {
    for (size_t i = 0; i < bench->host.send_count; i++) {
        struct bft_vote_list list;
        const struct ord_span bytes = ord_span_of(bench->host.sends[i].data, bench->host.sends[i].size);
        if (bytes.data[0] != BFT_PREPARE)
            continue;
        assert_ok(bft_vote_list_decode(&list, &bench->config, bytes));
        for (uint32_t j = 0; j < list.count; j++)
            assert_int_not_equal(list.votes[j].seq, seq);
    }
}

/* The batch went with the certificate. The replica speaks when it has both again. */
static void lost_batch__is_fetched_before_the_replica_speaks(void **state) {
    (void) state;
    struct bench bench;
    struct bft_vote_list list;
    const struct prepared prepared = {.seq = 2, .digest = digest_of("b")};
    bench_open(&bench, 3);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    restart(&bench);
    assert_ok(give_back(&bench, 0, &prepared));
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    turn_ends(&bench);
    assert_true(status_of(&bench).asking);
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_int_equal(list.votes[0].seq, 2);
    assert_int_equal(words_sent(&bench), 0);
    assert_ok(receive(&bench, 0, make_body(&bench.config, 0, 0, 2, "b")));
    assert_true(speaks(&bench));
    turn_ends(&bench);
    /* It votes for seq 1 again and makes no PREPARE for seq 2, but a COMMIT. */
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.votes[0].seq, 1);
    assert_int_equal(sent(&bench, BFT_COMMIT, &list), 1);
    assert_int_equal(list.votes[0].seq, 2);
    /* After another restart it still has made no PREPARE, also for one that asks for what it lacks. */
    restart(&bench);
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, &list), 1);
    assert_int_equal(list.votes[0].seq, 2);
    assert_not_prepared(&bench, 2);
    bench.now_ms += 10 * (uint64_t) bench.config.retransmit_ms;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 1, make_status(&bench.config, 1, 0, 0, 0)));
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_not_prepared(&bench, 2);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    bench_close(&bench);
}

/* It goes down with the batch and without the certificate. So it has said nothing, and is bound to nothing. */
static void lost_batch__without_its_certificate_binds_nobody(void **state) {
    (void) state;
    struct bench bench;
    struct bft_vote_list list;
    const struct prepared prepared = {.seq = 2, .digest = digest_of("b")};
    bench_open(&bench, 3);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    restart(&bench);
    assert_ok(give_back(&bench, 0, &prepared));
    assert_ok(receive(&bench, 0, make_body(&bench.config, 0, 0, 2, "b")));
    assert_true(status_of(&bench).asking);
    turn_ends(&bench);
    assert_int_equal(on_disk(&bench, BFT_TABLE_LOG), 2);
    assert_int_equal(on_disk(&bench, BFT_TABLE_CERTIFICATE), 0);
    restart(&bench);
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_true(speaks(&bench));
    turn_ends(&bench);
    assert_not_prepared(&bench, 2);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 0);
    accept(&bench, 2, "c");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.votes[0].seq, 2);
    bench_close(&bench);
}

/* A record that no slot knows of goes from the disk with its seq, also in view 0. */
static void lost_batch__that_binds_nobody_is_forgotten_with_its_seq(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    const struct prepared prepared = {.seq = 2, .digest = digest_of("b")};
    bench_open(&source, 1);
    prepare(&source, 1, "a");
    prepare(&source, 2, "b");
    for (uint64_t seq = 1; seq <= 2; seq++) {
        vote(&source, BFT_COMMIT, 0, seq, seq == 1 ? "a" : "b");
        vote(&source, BFT_COMMIT, 3, seq, seq == 1 ? "a" : "b");
    }
    turn_ends(&source);
    assert_int_equal(source.host.applied, 2);
    bench_open(&bench, 3);
    restart(&bench);
    assert_ok(give_back(&bench, 0, &prepared));
    assert_ok(receive(&bench, 0, make_body(&bench.config, 0, 0, 2, "b")));
    turn_ends(&bench);
    restart(&bench);
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    turn_ends(&bench);
    assert_int_equal(on_disk(&bench, BFT_TABLE_LOG), 1);
    host_sync_from(&bench.host, &source.host, 2, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).stable_seq, 2);
    assert_int_equal(on_disk(&bench, BFT_TABLE_LOG), 0);
    bench_close(&bench);
    bench_close(&source);
}

/* Nobody gives the batch. The replica speaks all the same after a while, and goes on asking for it. */
static void lost_batch__is_not_waited_for_for_ever(void **state) {
    (void) state;
    struct bench bench;
    const struct prepared prepared = {.seq = 2, .digest = digest_of("b")};
    bench_open(&bench, 3);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    restart(&bench);
    assert_ok(give_back(&bench, 0, &prepared));
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    uint64_t until_ms = bench.now_ms + 4 * (uint64_t) bench.config.retransmit_ms;
    tick(&bench, until_ms - 1);
    assert_true(status_of(&bench).asking);
    tick(&bench, until_ms);
    assert_true(speaks(&bench));
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 0);
    /* The primary's PRE-PREPARE will do as well. */
    pre_prepare(&bench, 2, "b");
    assert_int_equal(bench.host.judge_count, 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    bench_close(&bench);
}

/* A certificate that holds a PREPARE of this replica which its disk lacks proves that it has forgotten. */
static void certificate__with_an_own_vote_that_is_lost_silences(void **state) {
    (void) state;
    struct bench bench;
    const struct prepared prepared = {.seq = 2, .digest = digest_of("b")};
    open_without_certificate(&bench);
    assert_ok(give_back(&bench, 0, &prepared));
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 2);
    bench_close(&bench);
}

static void certificate__that_is_of_no_use_changes_nothing(void **state) {
    (void) state;
    const struct prepared useless[] = {
        {.seq = 1, .digest = digest_of("other")},       /* this replica voted for another batch */
        {.seq = 9, .digest = digest_of("a")},           /* beyond the window */
        {.seq = 2, .view = 1, .digest = digest_of("a")} /* of a view that is not installed here */
    };
    for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
        struct bench bench;
        bench_open(&bench, 3); /* its votes are in none of these certificates */
        accept(&bench, 1, "a");
        turn_ends(&bench);
        restart(&bench);
        assert_ok(give_back(&bench, 0, &useless[i]));
        assert_ok(recall(&bench, 2, 0, 0, NULL));
        assert_true(speaks(&bench));
        turn_ends(&bench);
        assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 0);
        assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
        bench_close(&bench);
    }
}

static void door__refuses_certificates_that_prove_nothing(void **state) {
    (void) state;
    struct bench bench;
    uint8_t bytes[2048];
    const struct prepared second = {.seq = 2, .digest = digest_of("b")};
    const struct prepared first = {.seq = 1, .digest = digest_of("a")};
    const struct ord_span none = ord_span_of(NULL, 0);
    open_without_certificate(&bench);
    size_t size = make_certificate(bytes, sizeof(bytes), &bench.config, &second);
    bytes[size - 1] ^= 1; /* spoils a signature */
    struct ord_span certificates = ord_span_of(bytes, size);
    assert_err(receive(&bench, 0, make_recall_with(&bench, 0, bench.host.starts, 0, 2, none, certificates)),
               ORD_ERR_BAD_SIGNATURE);
    bytes[size - 1] ^= 1;
    certificates.size = size - 1;
    assert_err(receive(&bench, 0, make_recall_with(&bench, 0, bench.host.starts, 0, 2, none, certificates)),
               ORD_ERR_INVALID);
    /* Seqs must rise. */
    certificates.size = size + make_certificate(bytes + size, sizeof(bytes) - size, &bench.config, &first);
    assert_err(receive(&bench, 0, make_recall_with(&bench, 0, bench.host.starts, 0, 2, none, certificates)),
               ORD_ERR_INVALID);
    assert_false(status_of(&bench).silent);
    bench_close(&bench);
}

/* The doubt ends a window above what the answers had seen. */
static void doubt__lasts_a_window_beyond_the_answers(void **state) {
    (void) state;
    struct bench bench;
    static struct host source;
    source.durable_applied = HOST_SEQ_MAX - 1;
    open_without_certificate(&bench);
    assert_ok(recall(&bench, 2, 0, 3, NULL));
    assert_ok(recall(&bench, 3, 0, 2, NULL));
    assert_true(speaks(&bench));
    const uint64_t until_seq = 3 + bench.config.window;
    assert_int_equal(status_of(&bench).doubt_until_seq, until_seq);
    host_attested(&bench.host, until_seq, bench.now_ms);
    host_sync_from(&bench.host, &source, until_seq, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).doubt_until_seq, 0);
    /* Nobody is asked any more. */
    host_sends_clear(&bench.host);
    tick(&bench, bench.now_ms + BFT_HEARTBEAT_MS);
    assert_int_equal(sent(&bench, BFT_ASK, NULL), 0);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(lost_commit__is_given_back_and_the_next_view_proposes_its_batch),
    cmocka_unit_test(lost_commit__is_given_back_late),
    cmocka_unit_test(lost_commit__that_nobody_gives_back_is_not_reported),
    cmocka_unit_test(lost_batch__is_fetched_before_the_replica_speaks),
    cmocka_unit_test(lost_batch__without_its_certificate_binds_nobody),
    cmocka_unit_test(lost_batch__that_binds_nobody_is_forgotten_with_its_seq),
    cmocka_unit_test(lost_batch__is_not_waited_for_for_ever),
    cmocka_unit_test(certificate__with_an_own_vote_that_is_lost_silences),
    cmocka_unit_test(certificate__that_is_of_no_use_changes_nothing),
    cmocka_unit_test(door__refuses_certificates_that_prove_nothing),
    cmocka_unit_test(doubt__lasts_a_window_beyond_the_answers),
};
TEST_CASES(cases);
