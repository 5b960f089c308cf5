/*
 * VIEW-CHANGE at one PBFT core: what it lists, what it ends, and which replicas are followed. Castro and Liskov,
 * OSDI'99, section 4.4. Rows V1, V2, V3 and V13 in docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static void view_change__tells_of_checkpoint_and_certificates(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 1);
    for (uint64_t seq = 1; seq <= 5; seq++)
        decide(&bench, seq, "x");
    host_attested(&bench.host, 4, bench.now_ms);
    accept(&bench, 6, "accepted alone");
    prepare(&bench, 7, "prepared");
    pre_prepare(&bench, 8, "not judged");
    time_out(&bench, &changes);
    struct bft_view_change change;
    struct bft_statement statement;
    struct ord_span certificate;
    assert_ok(bft_view_change_verify(&change, &bench.config, changes.of[1]));
    assert_int_equal(change.view, 1);
    assert_int_equal(change.stable_seq, 4);
    assert_int_equal(change.certificate_count, 2);
    assert_true(bft_view_change_next(&statement, &certificate, &change.certificates, &bench.config));
    assert_int_equal(statement.seq, 5);
    assert_true(bft_view_change_next(&statement, &certificate, &change.certificates, &bench.config));
    assert_int_equal(statement.seq, 7);
    assert_int_equal(statement.view, 0);
    assert_false(bft_view_change_next(&statement, &certificate, &change.certificates, &bench.config));
    /* The promise is durable before any replica hears of it. */
    for (size_t i = 0; i < bench.host.send_count; i++)
        assert_true(bench.host.sends[i].after_persist);
    assert_int_equal(on_disk(&bench, BFT_TABLE_VIEW_CHANGE), 1);
    assert_int_equal(bench.host.leader, ORD_NO_NODE);
    assert_int_equal(detail_of(&bench)->view_changes, 1);
    bench_close(&bench);
}

/*
 * V13: messages that would decide a seq in the view that was left come too late here. The next view brings the seq,
 * once.
 */
static void view_change__ends_all_part_in_earlier_views(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    assert_int_equal(on_disk(&bench, BFT_TABLE_CERTIFICATE), 1);
    time_out(&bench, &changes);
    uint64_t dropped = status_of(&bench).messages_dropped;
    vote(&bench, BFT_COMMIT, 0, 1, "a");
    vote(&bench, BFT_COMMIT, 3, 1, "a");
    vote(&bench, BFT_PREPARE, 1, 1, "a");
    pre_prepare(&bench, 2, "b");
    pre_prepare(&bench, 1, "other"); /* no evidence about a view in which it takes no part any more */
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 5);
    turn_ends(&bench);
    assert_int_equal(bench.host.send_count, 0);
    assert_int_equal(bench.host.applied, 0);
    assert_int_equal(bench.host.judge_count, 0);
    host_propose(&bench.host, ord_span_of("c", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    const struct ord_hash digest = digest_of("a");
    new_view(&bench, &changes, 1, 0, &digest, 1);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    vote_in(&bench, BFT_PREPARE, 3, 1, 1, &digest);
    vote_in(&bench, BFT_COMMIT, 3, 0, 1, &digest); /* for the old view: without effect */
    vote_in(&bench, BFT_COMMIT, 1, 1, 1, &digest);
    assert_int_equal(bench.host.applied, 0);
    vote_in(&bench, BFT_COMMIT, 3, 1, 1, &digest);
    assert_int_equal(bench.host.applied, 1);
    bench_close(&bench);
}

/*
 * V2, V3: f replicas move no other, whatever views they name and however often. f + 1 replicas do, to the smallest of
 * their views.
 */
static void view_change__follows_f_plus_one_to_the_smallest_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    for (uint64_t view = 1; view < 300; view++) {
        change(&bench, &changes, 3, view, 0, NULL, 0);
        turn_ends(&bench);
        assert_int_equal(bench.host.send_count, 0);
    }
    change(&bench, &changes, 3, BFT_SEQ_MAX, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 0);
    change(&bench, &changes, 0, 4, 0, NULL, 0);
    assert_int_equal(status_of(&bench).view, 0); /* not before the turn ends */
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 4);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
    /* Two of the three may be in the last views that exist. */
    change(&bench, &changes, 1, BFT_SEQ_MAX - 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, BFT_SEQ_MAX - 1);
    change(&bench, &changes, 1, BFT_SEQ_MAX, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, BFT_SEQ_MAX);
    turn_ends(&bench);
    tick(&bench, bench.now_ms + 100000000);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, BFT_SEQ_MAX); /* nothing wraps around */
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 0);
    bench_close(&bench);
}

/* V1: the newest VIEW-CHANGE of each replica counts. An older or a known one changes nothing. */
static void view_change__that_is_old_is_dropped(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static struct changes old;
    bench_open(&bench, 2);
    change(&bench, &changes, 3, 2, 0, NULL, 0);
    uint64_t dropped = status_of(&bench).messages_dropped;
    change(&bench, &changes, 3, 2, 0, NULL, 0);
    change(&bench, &old, 3, 1, 0, NULL, 0);
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 2);
    change(&bench, &changes, 1, 1, 0, NULL, 0); /* views 2 and 1 are ahead, so it moves to 1 */
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    (void) changes_keep(&changes, 2, sent_message(&bench, BFT_VIEW_CHANGE));
    change(&bench, &changes, 1, 2, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 2);
    (void) changes_keep(&old, 2, sent_message(&bench, BFT_VIEW_CHANGE));
    turn_ends(&bench); /* it leads view 2 */
    assert_false(status_of(&bench).changing);
    struct ord_span view = changes_keep(&old, 0, sent_message(&bench, BFT_NEW_VIEW));
    dropped = status_of(&bench).messages_dropped;
    assert_ok(receive(&bench, 1, make_relay(&bench.config, 1, view))); /* its own NEW-VIEW */
    change(&bench, &changes, 1, 2, 0, NULL, 0);
    change(&bench, &old, 1, 1, 0, NULL, 0);
    change(&bench, &old, 0, 2, 0, NULL, 0); /* too late, because the view is installed */
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 4);
    turn_ends(&bench);
    assert_int_equal(bench.host.send_count, 0);
    assert_int_equal(status_of(&bench).view, 2);
    bench_close(&bench);
}

/*
 * Two VIEW-CHANGEs of one replica for one view, whether the first is in use or not: that is evidence, and the first one
 * stays.
 */
static void view_changes__that_contradict_are_evidence(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static struct changes others;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    bench_open(&bench, 2);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    change(&bench, &others, 3, 1, 0, &prepared, 1);
    assert_int_equal(bench.host.evidence_count, 1);
    assert_int_equal(bench.host.culprits, ord_replica_bit(3));
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    turn_ends(&bench);
    (void) changes_keep(&changes, 2, sent_message(&bench, BFT_VIEW_CHANGE));
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    bench.host.culprits = 0;
    change(&bench, &others, 3, 1, 0, &prepared, 1); /* it contradicts the one that the view rests on */
    assert_int_equal(bench.host.culprits, ord_replica_bit(3));
    assert_ok(
        /* It counts as its author's, whoever relays it. */
        receive(&bench, 1, make_relay(&bench.config, 1, others.of[3])));
    assert_int_equal(bench.host.evidence_count, 3);
    assert_int_equal(bench.host.culprits, ord_replica_bit(3));
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(view_change__tells_of_checkpoint_and_certificates),
    cmocka_unit_test(view_change__ends_all_part_in_earlier_views),
    cmocka_unit_test(view_change__follows_f_plus_one_to_the_smallest_view),
    cmocka_unit_test(view_change__that_is_old_is_dropped),
    cmocka_unit_test(view_changes__that_contradict_are_evidence),
};
TEST_CASES(cases);
