/*
 * A primary that says one thing to some replicas and another to the rest: bft/view/witness.c. Rows P1, P6, P14 and V8
 * in docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

/* A PRE-PREPARE of the primary of view 0 for seq 1. */
static struct statement said(const char *batch) {
    return (struct statement) {.type = BFT_PRE_PREPARE, .seq = 1, .batch = batch};
}

static void evidence_of(struct bench *bench, ord_node_id from, const struct statement *first,
                        const struct statement *second) {
    assert_ok(receive(bench, from, make_evidence(&bench->config, from, first, second)));
}

/* Checks that nothing followed from what was received: no evidence, no other view, no message passed on. */
static void expect_unmoved(struct bench *bench, uint64_t view) {
    assert_int_equal(bench->host.evidence_count, 0);
    assert_int_equal(sent(bench, BFT_EVIDENCE, NULL), 0);
    turn_ends(bench);
    assert_int_equal(status_of(bench).view, view);
    assert_int_equal(sent(bench, BFT_VIEW_CHANGE, NULL), 0);
}

/* Checks that evidence was reported once, and that nothing else followed. */
static void expect_convicted(struct bench *bench, ord_node_id culprit, uint64_t view) {
    assert_int_equal(bench->host.evidence_count, 1);
    assert_int_equal(bench->host.culprits, ord_replica_bit(culprit));
    bench->host.evidence_count = 0;
    expect_unmoved(bench, view);
    bench->host.evidence_count = 1;
}

/* Checks that the primary was caught: the evidence was reported once, sent to all once, and its view is left. */
static void expect_moved(struct bench *bench, ord_node_id culprit, uint64_t view) {
    assert_int_equal(bench->host.evidence_count, 1);
    assert_int_equal(bench->host.culprits, ord_replica_bit(culprit));
    assert_int_equal(sent(bench, BFT_EVIDENCE, NULL), 1);
    struct ord_span first;
    struct ord_span second;
    ord_node_id named;
    assert_ok(bft_evidence_split(sent_message(bench, BFT_EVIDENCE), &first, &second));
    assert_ok(bft_evidence_verify(&named, &bench->config, first, second));
    assert_int_equal(named, culprit);
    for (size_t i = 0; i < bench->host.send_count; i++)
        if (bench->host.sends[i].data[0] == BFT_EVIDENCE)
            assert_int_equal(bench->host.sends[i].to, 15 & ~ord_replica_bit(bench->config.self));
    turn_ends(bench);
    assert_int_equal(status_of(bench).view, view);
    assert_true(status_of(bench).changing);
}

enum { BENCH_MAX = 6 };

/* Delivers what each sent in its turn to all the others. */
static void exchange(struct bench *benches, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        host_flush(&benches[i].host, benches[i].now_ms);
        host_commit(&benches[i].host);
    }
    size_t send_counts[BENCH_MAX];
    for (uint32_t i = 0; i < count; i++)
        send_counts[i] = benches[i].host.send_count;
    for (uint32_t i = 0; i < count; i++)
        for (size_t s = 0; s < send_counts[i]; s++)
            for (uint32_t to = 0; to < count; to++) {
                const struct host_message *message = &benches[i].host.sends[s];
                if ((message->to & ord_replica_bit(benches[to].config.self)) != 0)
                    assert_ok(receive(&benches[to], benches[i].config.self, ord_span_of(message->data, message->size)));
            }
    /* Messages that they sent in response go out with their next turn. */
    for (uint32_t i = 0; i < count; i++) {
        struct host *host = &benches[i].host;
        for (size_t s = 0; s < send_counts[i]; s++)
            free(host->sends[s].data);
        host->send_count -= send_counts[i];
        memmove(host->sends, host->sends + send_counts[i], host->send_count * sizeof(*host->sends));
    }
}

/*
 * P1: no replica is told both and no clock runs, and still all get the evidence and leave. With 4 and with 7 replicas,
 * where every replica is told one or the other, or where some are told nothing.
 */
static void primary__that_tells_two_halves_different_things_is_caught(void **state) {
    (void) state;
    static struct bench benches[BENCH_MAX];
    for (uint32_t replicas = 4; replicas <= 7; replicas += 3)
        for (uint32_t untold = 0; untold < replicas - 2; untold++) {
            uint32_t count = replicas - 1;
            for (uint32_t i = 0; i < count; i++) {
                struct bench *bench = &benches[i];
                memset(bench, 0, sizeof(*bench));
                bench->now_ms = 1000;
                bench->config = test_config(i + 1);
                bench->config.replica_count = replicas;
                host_init(&bench->host, &bench->config);
                assert_ok(host_start(&bench->host, bench->now_ms));
                turn_ends(bench);
                host_sends_clear(&bench->host); /* the very first STATUS says nothing */
                if (i + untold < count)
                    accept(bench, 1, i % 2 == 0 ? "one" : "two");
            }
            for (int round = 0; round < 6; round++)
                exchange(benches, count);
            for (uint32_t i = 0; i < count; i++) {
                struct bench *bench = &benches[i];
                assert_int_equal(bench->host.evidence_count, 1);
                assert_int_equal(bench->host.culprits, ord_replica_bit(0));
                assert_int_equal(status_of(bench).view, 1);
                assert_false(status_of(bench).changing);
                bench_close(bench);
            }
        }
}

/* P14: one WITNESS for each seq that a backup lies about, and no more, whatever it votes for and when. */
static void backup__that_lies_draws_one_witness(void **state) {
    (void) state;
    struct bench bench;
    struct bft_statement statement;
    struct ord_hash a = digest_of("a");
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    vote(&bench, BFT_PREPARE, 3, 1, "b");
    assert_int_equal(sent(&bench, BFT_WITNESS, NULL), 1);
    assert_int_equal(bench.host.sends[0].to, ord_replica_bit(3));
    assert_ok(bft_signed_verify(&statement, &bench.config, bft_behind_header(sent_message(&bench, BFT_WITNESS))));
    assert_int_equal(statement.type, BFT_PRE_PREPARE);
    assert_int_equal(statement.sender, 0);
    assert_int_equal(statement.seq, 1);
    assert_true(ord_hash_equal(&statement.digest, &a));
    vote(&bench, BFT_PREPARE, 3, 1, "b");
    vote(&bench, BFT_PREPARE, 3, 1, "c");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    vote(&bench, BFT_PREPARE, 3, 1, "b");
    vote(&bench, BFT_COMMIT, 3, 1, "b");
    vote(&bench, BFT_PREPARE, 2, 1, "a"); /* it agrees with us */
    assert_int_equal(sent(&bench, BFT_WITNESS, NULL), 0);
    /* The vote may arrive first. */
    vote(&bench, BFT_PREPARE, 3, 2, "b");
    assert_int_equal(sent(&bench, BFT_WITNESS, NULL), 0);
    pre_prepare(&bench, 2, "a");
    assert_int_equal(sent(&bench, BFT_WITNESS, NULL), 1);
    vote(&bench, BFT_PREPARE, 2, 2, "b"); /* another backup gets it, too */
    assert_int_equal(sent(&bench, BFT_WITNESS, NULL), 2);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_WITNESS, NULL), 0);
    assert_int_equal(bench.host.culprits, ord_replica_bit(3));
    assert_int_equal(status_of(&bench).view, 0);
    bench_close(&bench);
}

/* The primary, too, sends its statement to a backup that votes for what it never proposed. */
static void primary__tells_what_it_said(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 0);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    vote(&bench, BFT_PREPARE, 3, 1, "b");
    assert_int_equal(sent(&bench, BFT_WITNESS, NULL), 1);
    turn_ends(&bench);
    assert_int_equal(bench.host.culprits, 0);
    bench_close(&bench);
}

static void witness__that_contradicts_is_evidence(void **state) {
    (void) state;
    struct bench bench;
    const struct statement b = said("b");
    const struct statement c = said("c");
    for (int judged = 0; judged < 2; judged++) {
        bench_open(&bench, 2);
        pre_prepare(&bench, 1, "a");
        if (judged == 1)
            host_judge(&bench.host, 0, true, bench.now_ms);
        assert_ok(receive(&bench, 3, make_witness(&bench.config, 3, &b)));
        assert_ok(receive(&bench, 3, make_witness(&bench.config, 3, &b)));
        assert_ok(receive(&bench, 1, make_witness(&bench.config, 1, &c)));
        pre_prepare(&bench, 1, "d");
        evidence_of(&bench, 1, &b, &c);
        expect_moved(&bench, 0, 1);
        assert_ok(receive(&bench, 1, make_witness(&bench.config, 1, &c))); /* about a view that was left */
        assert_int_equal(bench.host.evidence_count, 1);
        bench_close(&bench);
    }
}

static void witness__that_contradicts_nothing_is_dropped(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    const struct statement dropped[] = {
        {.type = BFT_PRE_PREPARE, .sender = 0, .view = 0, .seq = 1, .batch = "a"},  /* the same that we were told */
        {.type = BFT_PRE_PREPARE, .sender = 0, .view = 4, .seq = 1, .batch = "b"},  /* its view 4 */
        {.type = BFT_PRE_PREPARE, .sender = 1, .view = 1, .seq = 1, .batch = "b"},  /* another primary */
        {.type = BFT_PRE_PREPARE, .sender = 3, .view = 0, .seq = 1, .batch = "b"},  /* not a primary */
        {.type = BFT_PRE_PREPARE, .sender = 0, .view = 0, .seq = 2, .batch = "b"},  /* a seq of which we know nothing */
        {.type = BFT_PRE_PREPARE, .sender = 0, .view = 0, .seq = 99, .batch = "b"}, /* a seq beyond our window */
    };
    for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
        uint64_t before = status_of(&bench).messages_dropped;
        assert_ok(receive(&bench, 3, make_witness(&bench.config, 3, &dropped[i])));
        assert_int_equal(status_of(&bench).messages_dropped, before + 1);
        expect_unmoved(&bench, 0);
    }
    /* A forged one, signed by the replica that sends it. */
    const struct statement own = {.type = BFT_PRE_PREPARE, .sender = 3, .seq = 1, .batch = "b"};
    struct ord_span forged = make_witness(&bench.config, 3, &own);
    ord_store_u32((uint8_t *) (uintptr_t) forged.data + BFT_HEADER_SIZE + BFT_HEADER_SIZE - 4, 0);
    assert_err(receive(&bench, 3, forged), ORD_ERR_BAD_SIGNATURE);
    expect_unmoved(&bench, 0);
    bench_close(&bench);
}

/*
 * Evidence also convinces a replica that holds neither statement: one that the primary told nothing leaves its view as
 * well.
 */
static void evidence__convinces_who_saw_nothing(void **state) {
    (void) state;
    struct bench bench;
    const struct statement a = said("a");
    const struct statement b = said("b");
    const struct statement c = said("c");
    bench_open(&bench, 3);
    evidence_of(&bench, 2, &a, &b);
    evidence_of(&bench, 2, &a, &b);
    evidence_of(&bench, 1, &b, &c);
    expect_moved(&bench, 0, 1);
    evidence_of(&bench, 1, &a, &b);
    assert_int_equal(bench.host.evidence_count, 1);
    bench_close(&bench);
}

/* Such evidence still convicts, each culprit once. */
static void evidence__about_something_else_moves_nobody(void **state) {
    (void) state;
    struct bench bench;
    static const struct statement others[] = {
        {.type = BFT_PREPARE, .sender = 3, .view = 0, .seq = 1},     /* about a backup */
        {.type = BFT_PRE_PREPARE, .sender = 3, .view = 0, .seq = 1}, /* about a backup too, whatever it signs */
        {.type = BFT_PREPARE, .sender = 0, .view = 0, .seq = 1},     /* about the primary, acting as a backup */
        {.type = BFT_VIEW_CHANGE, .sender = 0, .view = 0, .seq = 0},
        {.type = BFT_PRE_PREPARE, .sender = 0, .view = 4, .seq = 1}, /* about a view to come */
        {.type = BFT_PRE_PREPARE, .sender = 1, .view = 1, .seq = 1},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct statement a = others[i];
        struct statement b = others[i];
        bench_open(&bench, 2);
        a.batch = "a";
        b.batch = "b";
        evidence_of(&bench, 3, &a, &b);
        expect_convicted(&bench, others[i].sender, 0);
        uint64_t before = status_of(&bench).messages_dropped;
        evidence_of(&bench, 1, &a, &b);
        assert_int_equal(status_of(&bench).messages_dropped, before + 1);
        expect_convicted(&bench, others[i].sender, 0);
        bench_close(&bench);
    }
    bench_open(&bench, 2);
    const struct statement a = said("a");
    struct statement own = said("b");
    own.sender = 3;
    struct ord_span forged = make_evidence(&bench.config, 3, &a, &own);
    size_t second = (forged.size - BFT_HEADER_SIZE - 4) / 2 + BFT_HEADER_SIZE + 4;
    ord_store_u32((uint8_t *) (uintptr_t) forged.data + second + BFT_HEADER_SIZE - 4, 0);
    assert_err(receive(&bench, 3, forged), ORD_ERR_BAD_SIGNATURE);
    assert_err(receive(&bench, 3, make_evidence(&bench.config, 3, &a, &a)), ORD_ERR_INVALID);
    expect_unmoved(&bench, 0);
    bench_close(&bench);
}

/* Opens a replica in view 1, which rests on the view changes of 1, 2 and 3. */
static void open_in_view_1(struct bench *bench, struct changes *changes) {
    bench_open(bench, 2);
    memset(changes, 0, sizeof(*changes));
    time_out(bench, changes);
    change(bench, changes, 1, 1, 0, NULL, 0);
    change(bench, changes, 3, 1, 0, NULL, 0);
    new_view(bench, changes, 1, 0, NULL, 0);
    turn_ends(bench);
    assert_false(status_of(bench).changing);
    host_sends_clear(&bench->host);
}

/*
 * V8: from view 1 on, a primary can contradict itself with two kinds of statements. Evidence about view 0 convicts, and
 * moves no replica.
 */
static void evidence__of_a_new_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct statement old[] = {said("a"), said("b")};
    for (int kind = 0; kind < 3; kind++) {
        open_in_view_1(&bench, &changes);
        evidence_of(&bench, 3, &old[0], &old[1]);
        expect_convicted(&bench, 0, 1);
        bench.host.evidence_count = 0;
        bench.host.culprits = 0;
        host_sends_clear(&bench.host);
        struct statement a = {.type = BFT_NEW_VIEW, .sender = 1, .view = 1, .batch = "a"};
        struct statement b = a;
        b.batch = "b";
        /* Two NEW-VIEWs arrive by themselves; this one rests on other view changes. */
        if (kind == 0) {
            (void) changes_keep(&changes, 0, make_view_change(&bench.config, 0, 1, 0, NULL, 0));
            new_view(&bench, &changes, 1, 0, NULL, 0);
            new_view(&bench, &changes, 1, 0, NULL, 0);
            /* Another replica saw two. */
        } else if (kind == 1) {
            evidence_of(&bench, 3, &a, &b);
            /* Two PRE-PREPAREs in its view. */
        } else {
            a.type = b.type = BFT_PRE_PREPARE;
            a.seq = b.seq = 1;
            evidence_of(&bench, 3, &a, &b);
        }
        expect_moved(&bench, 1, 2);
        bench_close(&bench);
    }
}

/* P1: the other statement arrives when its view is already left: during the next view change, or after it. */
static void witness__of_a_view_that_was_left_convicts(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct statement b = said("b");
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    const struct ord_hash digests[] = {prepared.digest};
    for (int installed = 0; installed < 2; installed++) {
        bench_open(&bench, 2);
        memset(&changes, 0, sizeof(changes));
        accept(&bench, 1, "a");
        time_out(&bench, &changes);
        /* The slot is bound to the new view by now, so nothing of view 0 is left to compare the statement with. */
        if (installed == 1) {
            change(&bench, &changes, 1, 1, 0, &prepared, 1);
            change(&bench, &changes, 3, 1, 0, NULL, 0);
            new_view(&bench, &changes, 1, 0, digests, 1);
            turn_ends(&bench);
            assert_false(status_of(&bench).changing);
        }
        host_sends_clear(&bench.host);
        assert_ok(receive(&bench, 3, make_witness(&bench.config, 3, &b)));
        if (installed == 1) {
            expect_unmoved(&bench, 1);
        } else {
            assert_ok(receive(&bench, 1, make_witness(&bench.config, 1, &b)));
            expect_convicted(&bench, 0, 1);
        }
        bench_close(&bench);
    }
}

static uint32_t checks;

static bool counting_verify(const void *context, ord_node_id signer, const struct ord_hash *hash,
                            const struct ord_signature *signature) {
    checks++;
    return stand_in_verify(context, signer, hash, signature);
}

/*
 * A proposal below the base of the installed view, whose batch comes by state transfer: the other statement convicts,
 * and moves no replica.
 */
static void witness__of_a_proposal_below_the_base_convicts(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct statement other = said("b");
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    memset(&changes, 0, sizeof(changes));
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 4, NULL, 0);
    change(&bench, &changes, 3, 1, 4, NULL, 0);
    new_view(&bench, &changes, 1, 4, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_witness(&bench.config, 3, &other)));
    expect_convicted(&bench, 0, 1);
    bench_close(&bench);
}

/* A WITNESS needs a check besides that at the door, but only once: afterwards its primary is convicted. */
static void witness__that_is_repeated_costs_no_check(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct ord_crypto_ops counting = test_crypto;
    const struct statement b = said("b");
    counting.verify = counting_verify;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    time_out(&bench, &changes);
    bench.host.core->config.crypto = &counting;
    checks = 0;
    for (int i = 0; i < 5; i++)
        assert_ok(receive(&bench, 3, make_witness(&bench.config, 3, &b)));
    assert_int_equal(bench.host.culprits, ord_replica_bit(0));
    assert_int_equal(checks, 1);
    bench_close(&bench);
}

/*
 * A batch that came by a BODY is on disk without the primary's signature, so it cannot be half of a piece of evidence.
 */
static void witness__convicts_nobody_without_a_signature(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct statement b = said("b");
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    time_out(&bench, &changes);
    bench.host.core->slots[1 % bench.config.window].proof = bft_proof_alone(&(struct ord_signature) {{0}});
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_witness(&bench.config, 3, &b)));
    expect_unmoved(&bench, 1);
    bench_close(&bench);
}

/* A replica that was away gets the evidence when its STATUS shows that it is still in that view, but only so often. */
static void evidence__is_given_again_to_who_is_left_behind(void **state) {
    (void) state;
    struct bench bench;
    const struct statement a = said("a");
    const struct statement b = said("b");
    bench_open(&bench, 2);
    evidence_of(&bench, 3, &a, &b);
    expect_moved(&bench, 0, 1);
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 1, make_view_status(&bench.config, 1, 1, true, 0)));
    assert_int_equal(sent(&bench, BFT_EVIDENCE, NULL), 0); /* it has left the view */
    for (int i = 0; i < 3; i++)
        assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 0)));
    assert_int_equal(sent(&bench, BFT_EVIDENCE, NULL), 1);
    for (size_t i = 0; i < bench.host.send_count; i++)
        if (bench.host.sends[i].data[0] == BFT_EVIDENCE)
            assert_int_equal(bench.host.sends[i].to, ord_replica_bit(3));
    bench.now_ms += 2 * bench.config.retransmit_ms;
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 0)));
    assert_int_equal(sent(&bench, BFT_EVIDENCE, NULL), 2);
    bench_close(&bench);
}

/*
 * A replica that is still on its way to the view gets the view, but not the evidence about its primary again, which
 * went to all in this turn.
 */
static void evidence__is_not_given_again_about_the_present_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct statement a = {.type = BFT_NEW_VIEW, .sender = 1, .view = 1, .batch = "a"};
    struct statement b = a;
    b.batch = "b";
    open_in_view_1(&bench, &changes);
    evidence_of(&bench, 3, &a, &b);
    assert_int_equal(sent(&bench, BFT_EVIDENCE, NULL), 1);
    assert_ok(receive(&bench, 3, make_view_status(&bench.config, 3, 1, true, 0)));
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
    expect_moved(&bench, 1, 2);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(primary__that_tells_two_halves_different_things_is_caught),
    cmocka_unit_test(backup__that_lies_draws_one_witness),
    cmocka_unit_test(primary__tells_what_it_said),
    cmocka_unit_test(witness__that_contradicts_is_evidence),
    cmocka_unit_test(witness__that_contradicts_nothing_is_dropped),
    cmocka_unit_test(evidence__convinces_who_saw_nothing),
    cmocka_unit_test(evidence__about_something_else_moves_nobody),
    cmocka_unit_test(evidence__of_a_new_view),
    cmocka_unit_test(witness__of_a_view_that_was_left_convicts),
    cmocka_unit_test(witness__of_a_proposal_below_the_base_convicts),
    cmocka_unit_test(witness__that_is_repeated_costs_no_check),
    cmocka_unit_test(witness__convicts_nobody_without_a_signature),
    cmocka_unit_test(evidence__is_given_again_to_who_is_left_behind),
    cmocka_unit_test(evidence__is_not_given_again_about_the_present_view),
};
TEST_CASES(cases);
