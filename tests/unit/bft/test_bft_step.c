/*
 * The normal case of one PBFT core, event by event: what it accepts, sends, keeps and refuses. Rows P1, P5, P6, P11,
 * P12, P14, P15 and T6 in docs/adversary.md.
 */
#include "tests/support/bft_bench.h"

static void config__is_checked(void **state) {
    (void) state;
    struct ord_core_config config = test_config(0);
    assert_true(bft_pbft.memory_size(&config) > 0);
    for (int i = 0; i < 9; i++) {
        config = test_config(0);
        switch (i) {
        case 0:
            config.replica_count = 3;
            break;
        case 1:
            config.replica_count = 65;
            break;
        case 2:
            config.self = 4;
            break;
        case 3:
            config.window = 0;
            break;
        case 4:
            config.checkpoint_interval = 5;
            break;
        case 5:
            config.body_bytes_max = 255;
            break;
        case 6:
            config.retransmit_ms = 0;
            break;
        case 7:
            config.crypto = NULL;
            break;
        default:
            config.batch_bytes_max = UINT32_MAX;
            break;
        }
        assert_int_equal(bft_pbft.memory_size(&config), 0);
    }
}

static void primary__sends_after_its_proposal_is_durable(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 0);
    assert_true(status_of(&bench).can_propose);
    host_propose(&bench.host, ord_span_of("batch", 5), bench.now_ms);
    assert_int_equal(bench.host.send_count, 1);
    assert_int_equal(bench.host.sends[0].to, 0xe);
    assert_true(bench.host.sends[0].after_persist);
    assert_int_equal(bench.host.turn.count, 1);
    assert_int_equal(bench.host.turn.items[0].key, 1);
    struct ord_span batch;
    assert_ok(
        bft_pbft.body_of_record(&batch, ord_span_of(bench.host.turn.items[0].data, bench.host.turn.items[0].size)));
    assert_true(ord_span_equal(batch, ord_span_of("batch", 5)));
    assert_err(
        bft_pbft.body_of_record(&batch, ord_span_of(bench.host.turn.items[0].data, bench.host.turn.items[0].size - 1)),
        ORD_ERR_CORRUPT);
    assert_int_equal(status_of(&bench).proposed_seq, 1);
    assert_int_equal(status_of(&bench).in_flight, 1);
    bench_close(&bench);
}

static void proposal__is_rejected_with_its_reason(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 0);
    char large[65] = {0};
    host_propose(&bench.host, ord_span_of(large, 65), bench.now_ms);
    host_propose(&bench.host, ord_span_of(large, 0), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 2);
    /* Half of 1024 bytes holds eight batches of 64. The window is eight too. */
    for (int i = 0; i < 8; i++) {
        assert_true(status_of(&bench).can_propose);
        host_propose(&bench.host, ord_span_of(large, 64), bench.now_ms);
    }
    assert_int_equal(bench.host.reject_count, 2);
    assert_int_equal(status_of(&bench).body_bytes, 512);
    assert_false(status_of(&bench).can_propose);
    host_propose(&bench.host, ord_span_of(large, 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 3);
    bench_close(&bench);
    bench_open(&bench, 1); /* a backup */
    assert_false(status_of(&bench).can_propose);
    assert_int_equal(status_of(&bench).leader, 0);
    host_propose(&bench.host, ord_span_of(large, 64), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    assert_int_equal(bench.host.send_count, 0);
    bench_close(&bench);
}

static void backup__prepares_only_what_was_judged_admissible(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    pre_prepare(&bench, 1, "a");
    assert_int_equal(bench.host.judge_count, 1);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    assert_int_equal(on_disk(&bench, 1), 0);
    host_judge(&bench.host, 0, true, bench.now_ms);
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.votes[0].seq, 1);
    assert_true(bench.host.sends[0].after_persist);
    assert_int_equal(on_disk(&bench, 1), 1);
    pre_prepare(&bench, 2, "bad");
    host_judge(&bench.host, 0, false, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    assert_int_equal(on_disk(&bench, 1), 1);
    assert_int_equal(status_of(&bench).messages_refused, 1);
    bench_close(&bench);
}

static void votes__of_one_turn_go_out_in_one_message(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    for (uint64_t seq = 1; seq <= 8; seq++)
        accept(&bench, seq, "x");
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.count, 8);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 0);
    bench_close(&bench);
}

static void own_prepare__completes_the_certificate_in_the_same_flush(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    vote(&bench, BFT_PREPARE, 3, 1, "a"); /* before the pre-prepare arrives */
    vote(&bench, BFT_COMMIT, 3, 1, "a");
    vote(&bench, BFT_COMMIT, 0, 1, "a");
    accept(&bench, 1, "a");
    assert_int_equal(bench.host.applied, 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    assert_int_equal(bench.host.applied, 1);
    assert_int_equal(on_disk(&bench, 2), 1);
    struct bft_statement certified;
    const struct host_record *record = &bench.host.disk.items[1];
    assert_ok(bft_certificate_verify(&certified, &bench.config, ord_span_of(record->data, record->size), NULL));
    assert_int_equal(certified.seq, 1);
    bench_close(&bench);
}

static void delivery__is_in_order(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    for (uint64_t seq = 3; seq >= 1; seq--) {
        assert_int_equal(bench.host.applied, 0);
        accept(&bench, seq, "x");
        vote(&bench, BFT_PREPARE, 2, seq, "x");
        vote(&bench, BFT_COMMIT, 2, seq, "x");
        vote(&bench, BFT_COMMIT, 3, seq, "x");
        turn_ends(&bench);
    }
    assert_int_equal(bench.host.applied, 3);
    bench_close(&bench);
}

/* P15: commits alone prepare nothing, however many there are. */
static void commits__without_prepared_decide_nothing(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    for (ord_node_id from = 0; from < 4; from++)
        if (from != 1)
            vote(&bench, BFT_COMMIT, from, 1, "a");
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 0);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 0);
    assert_int_equal(on_disk(&bench, 2), 0);
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 1);
    bench_close(&bench);
}

/* P12: a replica's votes count once, under its own name, and only the first one. */
static void prepares__count_once_per_replica(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 0);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    for (int i = 0; i < 3; i++)
        vote(&bench, BFT_PREPARE, 2, 1, "a");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 0);
    assert_int_equal(status_of(&bench).messages_dropped, 2);
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    for (int i = 0; i < 3; i++)
        vote(&bench, BFT_COMMIT, 2, 1, "a");
    assert_int_equal(bench.host.applied, 0);
    vote(&bench, BFT_COMMIT, 1, 1, "a");
    assert_int_equal(bench.host.applied, 1);
    bench_close(&bench);
}

static void prepare__of_the_primary_is_refused(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 0, 1, "a");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 0);
    assert_int_equal(status_of(&bench).messages_refused, 1);
    bench_close(&bench);
}

/* P14: the first vote counts; the second is evidence, reported once. */
static void prepares__that_contradict_are_evidence(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    vote(&bench, BFT_PREPARE, 2, 1, "b");
    vote(&bench, BFT_PREPARE, 2, 1, "a");
    assert_int_equal(bench.host.evidence_count, 1);
    assert_int_equal(bench.host.culprits, 1u << 2);
    vote(&bench, BFT_PREPARE, 2, 1, "c");
    assert_int_equal(bench.host.evidence_count, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    assert_int_equal(on_disk(&bench, 2), 0); /* its second vote did not count */
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    assert_int_equal(on_disk(&bench, 2), 1);
    /* A COMMIT is not signed, so this is no evidence; but its first COMMIT is the one that counts. */
    vote(&bench, BFT_COMMIT, 2, 1, "b");
    vote(&bench, BFT_COMMIT, 2, 1, "a");
    vote(&bench, BFT_COMMIT, 3, 1, "a");
    assert_int_equal(bench.host.applied, 0);
    vote(&bench, BFT_COMMIT, 0, 1, "a");
    assert_int_equal(bench.host.applied, 1);
    assert_int_equal(bench.host.evidence_count, 1);
    bench_close(&bench);
}

/*
 * P1, P6: another digest for a (view, seq), in flight or decided, gets no vote. It is reported as evidence once, and
 * leads to another primary.
 */
static void pre_prepares__that_contradict_are_evidence(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    decide(&bench, 1, "a");
    accept(&bench, 2, "a");
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    struct ord_hash digest = digest_of("a");
    assert_true(ord_hash_equal(&list.votes[0].digest, &digest));
    pre_prepare(&bench, 1, "b"); /* reuses a seq that is decided */
    pre_prepare(&bench, 1, "c");
    assert_int_equal(bench.host.evidence_count, 1);
    pre_prepare(&bench, 2, "b");
    assert_int_equal(bench.host.evidence_count, 2);
    assert_int_equal(bench.host.culprits, 1);
    assert_int_equal(bench.host.judge_count, 0);
    host_attested(&bench.host, 1, bench.now_ms);
    uint64_t dropped = status_of(&bench).messages_dropped;
    pre_prepare(&bench, 1, "d"); /* below the window: there is nothing left to compare it with */
    assert_int_equal(bench.host.evidence_count, 2);
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 1);
    assert_int_equal(status_of(&bench).view, 0); /* the turn is not over */
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

/* P5: a seq beyond either edge of the window is dropped. */
static void pre_prepare__out_of_the_window_is_dropped(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    pre_prepare(&bench, 9, "x");
    pre_prepare(&bench, BFT_SEQ_MAX, "x");
    vote(&bench, BFT_PREPARE, 2, 9, "x");
    vote(&bench, BFT_COMMIT, 2, BFT_SEQ_MAX, "x");
    assert_int_equal(status_of(&bench).messages_dropped, 4);
    assert_int_equal(bench.host.judge_count, 0);
    pre_prepare(&bench, 8, "x");
    assert_int_equal(bench.host.judge_count, 1);
    assert_int_equal(status_of(&bench).proposed_seq, 8);
    bench_close(&bench);
}

/* P11: it is refused, and no timer is affected. */
static void pre_prepare__of_another_than_the_primary_is_refused(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    uint64_t wake_ms = bench.host.wake_ms;
    bench.now_ms += 50;
    assert_ok(receive(&bench, 2, make_pre_prepare(&bench.config, 2, 0, 1, "x")));
    assert_int_equal(status_of(&bench).messages_refused, 1);
    assert_int_equal(bench.host.judge_count, 0);
    turn_ends(&bench);
    assert_int_equal(bench.host.wake_ms, wake_ms);
    assert_int_equal(status_of(&bench).proposed_seq, 0);
    /* Replica 2 would lead view 2, but this is view 0. */
    assert_ok(receive(&bench, 2, make_pre_prepare(&bench.config, 2, 2, 1, "x")));
    assert_int_equal(status_of(&bench).messages_dropped, 1);
    assert_int_equal(bench.host.judge_count, 0);
    bench_close(&bench);
}

/* T6, behind the door: a core never accepts its own message from outside. */
static void message__of_ourselves_is_refused(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    struct ord_verified verified = {
        .from = 1, .type = BFT_COMMIT, .bytes = make_vote(&bench.config, BFT_COMMIT, 1, 1, "x")};
    struct ord_event event = {.type = ORD_EVENT_MESSAGE, .now_ms = bench.now_ms, .message = &verified};
    assert_err(host_step(&bench.host, &event), ORD_ERR_INVALID);
    bench_close(&bench);
}

static void backup__drops_bodies_that_have_no_room(void **state) {
    (void) state;
    struct bench bench;
    memset(&bench, 0, sizeof(bench));
    bench_open(&bench, 1);
    char large[65];
    memset(large, 'x', 64);
    large[64] = 0;
    bench_close(&bench);
    bench.config.body_bytes_max = 256; /* room for four bodies; the window is eight */
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    for (uint64_t seq = 1; seq <= 5; seq++)
        pre_prepare(&bench, seq, large);
    assert_int_equal(bench.host.judge_count, 4);
    assert_int_equal(status_of(&bench).messages_dropped, 1);
    assert_int_equal(status_of(&bench).body_bytes, 256);
    bench_close(&bench);
}

/*
 * Gaps between bodies that are being judged cannot be closed. Once they are judged, moving bodies makes room, and every
 * body keeps its content.
 */
static void backup__moves_bodies_but_never_those_that_are_judged(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    bench_close(&bench);
    bench.config.body_bytes_max = 256;
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    static const char *const small[] = {"", "a", "b", "c", "d", "e", "f", "g", "h"};
    /* Every other body will be freed; the ones between are lent. */
    for (uint64_t seq = 1; seq <= 4; seq++) {
        accept(&bench, seq, small[seq]);
        pre_prepare(&bench, seq + 4, small[seq + 4]);
        vote(&bench, BFT_PREPARE, 2, seq, small[seq]);
        vote(&bench, BFT_COMMIT, 2, seq, small[seq]);
        vote(&bench, BFT_COMMIT, 0, seq, small[seq]);
    }
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 4);
    host_attested(&bench.host, 4, bench.now_ms);
    assert_int_equal(bench.host.judge_count, 4);
    char large[4][64];
    for (size_t i = 0; i < 4; i++) {
        memset(large[i], (int) ('p' + i), 63);
        large[i][63] = 0;
    }
    for (uint64_t seq = 9; seq <= 12; seq++)
        pre_prepare(&bench, seq, large[seq - 9]);
    assert_int_equal(bench.host.judge_count, 7); /* the fourth does not fit between the lent bodies */
    assert_int_equal(status_of(&bench).messages_dropped, 1);
    while (bench.host.judge_count > 0)
        host_judge(&bench.host, 0, true, bench.now_ms); /* each lent body must still be where it was lent */
    pre_prepare(&bench, 12, large[3]);
    assert_int_equal(bench.host.judge_count, 1);
    host_judge(&bench.host, 0, true, bench.now_ms);
    turn_ends(&bench);
    for (uint64_t s = 5; s <= 12; s++) {
        const char *batch = s <= 8 ? small[s] : large[s - 9];
        vote(&bench, BFT_PREPARE, 2, s, batch);
        vote(&bench, BFT_COMMIT, 2, s, batch);
        vote(&bench, BFT_COMMIT, 0, s, batch);
        assert_int_equal(bench.host.applied, s);
        const struct ord_span part = ord_span_of(batch, strlen(batch));
        struct ord_hash expected;
        test_crypto.hash(&expected, &part, 1);
        assert_true(ord_hash_equal(&bench.host.batches[s], &expected));
    }
    bench_close(&bench);
}

/* A refusal is an opinion; a certificate of the others is a proof. */
static void certificate__overrules_a_refusal(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    pre_prepare(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 2, 1, "a");
    host_judge(&bench.host, 0, false, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(bench.host.disk.count, 1);
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    vote(&bench, BFT_COMMIT, 3, 1, "a");
    vote(&bench, BFT_COMMIT, 2, 1, "a");
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 1);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    assert_int_equal(bench.host.disk.count, 3);
    bench_close(&bench);
}

/* While the node judges, the body is lent, so no certificate moves the slot on. */
static void certificate__waits_for_the_judgement(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    pre_prepare(&bench, 1, "a");
    for (ord_node_id from = 2; from < 4; from++) {
        vote(&bench, BFT_PREPARE, from, 1, "a");
        vote(&bench, BFT_COMMIT, from, 1, "a");
    }
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 0);
    host_judge(&bench.host, 0, true, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 1);
    bench_close(&bench);
}

static void flush__that_cannot_sign_changes_nothing(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 2, 1, "a");
    bench.host.keys.broken = true;
    struct ord_event flush = {.type = ORD_EVENT_FLUSH, .now_ms = bench.now_ms};
    assert_err(host_step(&bench.host, &flush), ORD_ERR_CRYPTO);
    assert_int_equal(bench.host.send_count, 0);
    bench.host.keys.broken = false;
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    assert_int_equal(sent(&bench, BFT_COMMIT, NULL), 1);
    bench_close(&bench);
    bench_open(&bench, 0);
    bench.host.keys.broken = true;
    struct ord_event propose = {.type = ORD_EVENT_PROPOSE, .now_ms = 2000, .propose = {.batch = ord_span_of("a", 1)}};
    assert_err(host_step(&bench.host, &propose), ORD_ERR_CRYPTO);
    assert_int_equal(status_of(&bench).proposed_seq, 0);
    assert_int_equal(status_of(&bench).body_bytes, 0);
    bench.host.keys.broken = false;
    assert_ok(host_step(&bench.host, &propose));
    assert_int_equal(status_of(&bench).proposed_seq, 1);
    bench_close(&bench);
}

/* Larger channels with the whole window prepared in one turn: no bound of a step is exceeded. */
static void flush__of_a_whole_window_fits(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    bench_close(&bench);
    bench.config.window = 200;
    bench.config.checkpoint_interval = 50;
    bench.config.body_bytes_max = 4096;
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    for (uint64_t seq = 200; seq >= 1; seq--) {
        accept(&bench, seq, "x");
        vote(&bench, BFT_PREPARE, 2, seq, "x");
        vote(&bench, BFT_COMMIT, 2, seq, "x");
        vote(&bench, BFT_COMMIT, 3, seq, "x");
    }
    assert_int_equal(bench.host.applied, 0);
    turn_ends(&bench);
    assert_int_equal(bench.host.applied, 200);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 4);
    assert_int_equal(list.count, 8);
    assert_int_equal(sent(&bench, BFT_COMMIT, &list), 4);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(config__is_checked),
    cmocka_unit_test(primary__sends_after_its_proposal_is_durable),
    cmocka_unit_test(proposal__is_rejected_with_its_reason),
    cmocka_unit_test(backup__prepares_only_what_was_judged_admissible),
    cmocka_unit_test(votes__of_one_turn_go_out_in_one_message),
    cmocka_unit_test(own_prepare__completes_the_certificate_in_the_same_flush),
    cmocka_unit_test(delivery__is_in_order),
    cmocka_unit_test(commits__without_prepared_decide_nothing),
    cmocka_unit_test(prepares__count_once_per_replica),
    cmocka_unit_test(prepare__of_the_primary_is_refused),
    cmocka_unit_test(prepares__that_contradict_are_evidence),
    cmocka_unit_test(pre_prepares__that_contradict_are_evidence),
    cmocka_unit_test(pre_prepare__out_of_the_window_is_dropped),
    cmocka_unit_test(pre_prepare__of_another_than_the_primary_is_refused),
    cmocka_unit_test(message__of_ourselves_is_refused),
    cmocka_unit_test(backup__drops_bodies_that_have_no_room),
    cmocka_unit_test(backup__moves_bodies_but_never_those_that_are_judged),
    cmocka_unit_test(certificate__overrules_a_refusal),
    cmocka_unit_test(certificate__waits_for_the_judgement),
    cmocka_unit_test(flush__that_cannot_sign_changes_nothing),
    cmocka_unit_test(flush__of_a_whole_window_fits),
};
TEST_CASES(cases);
