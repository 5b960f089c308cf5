/*
 * What a replica answers to a replica that asks for its own statements: row V16 in docs/adversary.md; rule 26 of
 * docs/protocol.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_asking.h"

static bool answer(struct bench *bench, struct bft_recall *out, struct bft_statement *statement, struct ord_span ask) {
    struct bft_proof proof;
    struct ord_core_config asker = bench->config;
    asker.self = 3;
    host_sends_clear(&bench->host);
    assert_ok(receive(bench, 3, ask));
    if (sent(bench, BFT_RECALL, NULL) == 0)
        return false;
    assert_int_equal(bench->host.sends[0].to, 8);
    struct ord_span bytes = sent_message(bench, BFT_RECALL);
    assert_ok(bft_recall_verify(out, &asker, bytes)); /* as the asker's door checks it */
    assert_int_equal(out->nonce, 77);
    if (out->statement.size > 0)
        assert_ok(bft_signed_decode(statement, &proof, &asker, out->statement));
    bench->now_ms += bench->config.retransmit_ms;
    return true;
}

static void answer__gives_back_what_the_asker_lacks(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0)));
    assert_int_equal(recall.statement.size, 0); /* it has said nothing yet */
    assert_int_equal(recall.reach_seq, 1);
    vote(&bench, BFT_PREPARE, 3, 2, "b");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0)));
    assert_int_equal(word.type, BFT_PREPARE);
    assert_int_equal(word.seq, 2);
    assert_int_equal(recall.reach_seq, 2);
    /* A gap below the newest statement is found, too. */
    vote(&bench, BFT_PREPARE, 3, 5, "e");
    vote(&bench, BFT_PREPARE, 3, 4, "d");
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0x13)));
    assert_int_equal(word.seq, 4);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0x1b)));
    assert_int_equal(recall.statement.size, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 5, 0)));
    assert_int_equal(recall.statement.size, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 1, false, 0, 0)));
    assert_int_equal(recall.statement.size, 0);
    bench_close(&bench);
}

/* The newest statement of each replica is remembered across views, and those in certificates across a restart. */
static void answer__remembers_votes_of_views_that_were_left(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    static struct changes changes;
    bench_open(&bench, 1);
    prepare(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 3, 3, "c");
    time_out(&bench, &changes);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 1)));
    assert_int_equal(word.seq, 3);
    restart(&bench);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0))); /* also while it asks itself */
    assert_int_equal(word.type, BFT_PREPARE);
    assert_int_equal(word.seq, 1);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 1)));
    assert_int_equal(recall.statement.size, 0);
    bench_close(&bench);
}

/* A view change that arrives after the view was installed without it has no other use than this. */
static void answer__remembers_a_promise_that_came_late(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    static struct changes changes;
    bench_open(&bench, 2);
    vote(&bench, BFT_PREPARE, 3, 7, "g");
    time_out(&bench, &changes);
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_ok(receive(&bench, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0)));
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0x40)));
    assert_int_equal(word.type, BFT_VIEW_CHANGE);
    assert_int_equal(word.view, 1);
    assert_int_equal(recall.reach_seq, 7); /* and how far it had got before */
    bench_close(&bench);
}

static void answer__gives_back_promises_and_new_views(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    static struct changes changes;
    bench_open(&bench, 1);
    change(&bench, &changes, 3, 3, 0, NULL, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 2, false, 0, 0)));
    assert_int_equal(word.type, BFT_VIEW_CHANGE);
    assert_int_equal(word.view, 3);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, true, 0, 0)));
    assert_int_equal(recall.statement.size, 0);
    change(&bench, &changes, 2, 3, 0, NULL, 0);
    turn_ends(&bench);
    (void) changes_keep(&changes, 1, sent_message(&bench, BFT_VIEW_CHANGE));
    new_view(&bench, &changes, 3, 0, NULL, 0); /* the asker is its primary */
    for (int installed = 0; installed < 2; installed++) {
        assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, true, 0, 0)));
        assert_int_equal(word.type, BFT_NEW_VIEW);
        assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, false, 0, 0)));
        assert_int_equal(recall.statement.size, 0);
        turn_ends(&bench);
    }
    assert_int_equal(status_of(&bench).view, 3);
    /* It also remembers the asker's proposals in that view. */
    assert_ok(receive(&bench, 3, make_pre_prepare(&bench.config, 3, 3, 1, "a")));
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, false, 0, 0)));
    assert_int_equal(word.type, BFT_PRE_PREPARE);
    assert_int_equal(word.seq, 1);
    bench_close(&bench);
}

/* It gives back the statement of the later view, whichever of two it finds first. */
static void answer__prefers_the_later_view(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    static struct changes changes;
    bench_open(&bench, 1);
    vote(&bench, BFT_PREPARE, 3, 2, "b");
    for (ord_node_id node = 0; node < 3; node++)
        (void) changes_keep(&changes, node, make_view_change(&bench.config, node, 3, 0, NULL, 0));
    new_view(&bench, &changes, 3, 0, NULL,
             /* Its view changes are not here, so it is kept, and nothing else of view 3 is. */
             0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0)));
    assert_int_equal(word.type, BFT_NEW_VIEW);
    assert_int_equal(word.view, 3);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, false, 0, 0)));
    assert_int_equal(recall.statement.size, 0);
    bench_close(&bench);
}

/* A replica that has a NEW-VIEW holds what it proposes again; a replica that has yet to move to its view does not. */
static void answer__gives_back_what_was_proposed_again(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    bench_open(&bench, 1);
    prepare(&bench, 1, "a");
    change(&bench, &changes, 2, 3, 0, &prepared, 1);
    change(&bench, &changes, 3, 3, 0, NULL, 0);
    turn_ends(&bench);
    (void) changes_keep(&changes, 1, sent_message(&bench, BFT_VIEW_CHANGE));
    new_view(&bench, &changes, 3, 0, &prepared.digest, 1);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 3);
    assert_false(status_of(&bench).changing);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, true, 0, 0)));
    assert_int_equal(word.type, BFT_PRE_PREPARE);
    assert_int_equal(word.view, 3);
    assert_int_equal(word.seq, 1);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, false, 0, 0)));
    assert_int_equal(recall.statement.size, 0);
    bench_close(&bench);
}

static void answer__proves_how_far_all_are(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    bench_open(&bench, 1);
    for (uint64_t seq = 1; seq <= 4; seq++)
        decide(&bench, seq, "a");
    host_attested(&bench.host, 4, bench.now_ms);
    /* A liar's vote for a seq that cannot have been reached counts only up to two windows. */
    assert_ok(receive(&bench, 2, make_vote(&bench.config, BFT_PREPARE, 2, 500, "z")));
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0)));
    assert_int_equal(recall.stable_seq, 4);
    assert_int_equal(recall.reach_seq, 4 + 2 * 8);
    bench_close(&bench);
}

/* It returns the prepared certificates of the asker's view that the asker lacks. */
static void answer__returns_certificates(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    struct bft_statement bound;
    struct ord_span certificate;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    accept(&bench, 2, "b");
    turn_ends(&bench);
    vote(&bench, BFT_PREPARE, 2, 2, "b");
    turn_ends(&bench);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0x00)));
    assert_true(bft_recall_next(&certificate, &recall.certificates, &bench.config));
    assert_ok(bft_certificate_verify(&bound, &bench.config, certificate, NULL));
    assert_int_equal(bound.seq, 2);
    assert_int_equal(recall.certificates.size, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0x02)));
    assert_int_equal(recall.certificates.size, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 2, 0x00)));
    assert_int_equal(recall.certificates.size, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 1, false, 0, 0x00)));
    assert_int_equal(recall.certificates.size, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 1, true, 0, 0x00)));
    assert_int_equal(recall.certificates.size, 0);
    bench_close(&bench);
}

static void answer__costs_little_however_often_it_is_asked_for(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    bench_open(&bench, 1);
    struct ord_span ask = make_ask(&bench, 3, 0, false, 0, 0);
    assert_true(answer(&bench, &recall, &word, ask));
    assert_true(answer(&bench, &recall, &word, ask));
    bench.now_ms -= bench.config.retransmit_ms;
    for (int i = 0; i < 20; i++)
        assert_false(answer(&bench, &recall, &word, ask));
    assert_int_equal(status_of(&bench).messages_dropped, 20);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(answer__gives_back_what_the_asker_lacks),
    cmocka_unit_test(answer__remembers_votes_of_views_that_were_left),
    cmocka_unit_test(answer__remembers_a_promise_that_came_late),
    cmocka_unit_test(answer__gives_back_promises_and_new_views),
    cmocka_unit_test(answer__prefers_the_later_view),
    cmocka_unit_test(answer__gives_back_what_was_proposed_again),
    cmocka_unit_test(answer__proves_how_far_all_are),
    cmocka_unit_test(answer__returns_certificates),
    cmocka_unit_test(answer__costs_little_however_often_it_is_asked_for),
};
TEST_CASES(cases);
