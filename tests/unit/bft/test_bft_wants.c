/* What the core says of a message before anybody checks its signatures: bft_wants. Row V3 in docs/adversary.md. */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static bool wants(const struct bench *bench, struct ord_span bytes) {
    return bft_pbft.wants(bench->host.core, bytes);
}

static struct ord_span prepare_of(const struct bench *bench, uint64_t view, uint64_t seq, const char *batch) {
    const struct ord_hash digest = digest_of(batch);
    return make_vote_in(&bench->config, BFT_PREPARE, 2, view, seq, &digest);
}

static void prepare__that_is_counted_is_not_wanted(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    assert_true(wants(&bench, prepare_of(&bench, 0, 2, "a")));
    vote(&bench, BFT_PREPARE, 2, 2, "a");
    assert_false(wants(&bench, prepare_of(&bench, 0, 2, "a")));
    /* It is not the newest of its sender, and it was not counted. */
    assert_true(wants(&bench, prepare_of(&bench, 0, 1, "a")));
    assert_true(wants(&bench, make_vote(&bench.config, BFT_PREPARE, 3, 2, "a")));
    struct bft_vote_list list = {.type = BFT_PREPARE, .sender = 2, .count = 2};
    list.votes[0] = (struct bft_vote) {.seq = 1, .digest = digest_of("a")};
    list.votes[1] = (struct bft_vote) {.seq = 2, .digest = digest_of("a")};
    assert_true(wants(&bench, make_list(&bench.config, &list)));
    vote(&bench, BFT_PREPARE, 2, 1, "a");
    assert_false(wants(&bench, make_list(&bench.config, &list)));
    /* A second vote is evidence, and a third is not. */
    assert_true(wants(&bench, prepare_of(&bench, 0, 2, "b")));
    vote(&bench, BFT_PREPARE, 2, 2, "b");
    assert_int_equal(bench.host.evidence_count, 1);
    assert_false(wants(&bench, prepare_of(&bench, 0, 2, "c")));
    bench_close(&bench);
}

/* The NEW-VIEW that makes it count may be on its way. */
static void prepare__of_a_later_view_is_wanted(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    const struct ord_hash digest = digest_of("a");
    for (int i = 0; i < 2; i++) {
        assert_true(wants(&bench, prepare_of(&bench, 2, 1, "a")));
        assert_ok(receive(&bench, 2, prepare_of(&bench, 2, 1, "a")));
        assert_true(wants(&bench, make_vote_in(&bench.config, BFT_COMMIT, 2, 2, 1, &digest)));
    }
    bench_close(&bench);
}

static void commit__that_is_counted_is_not_wanted(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    assert_true(wants(&bench, make_vote(&bench.config, BFT_COMMIT, 2, 1, "a")));
    vote(&bench, BFT_COMMIT, 2, 1, "a");
    assert_false(wants(&bench, make_vote(&bench.config, BFT_COMMIT, 2, 1, "a")));
    assert_true(wants(&bench, make_vote(&bench.config, BFT_COMMIT, 2, 2, "a")));
    assert_true(wants(&bench, make_vote(&bench.config, BFT_COMMIT, 3, 1, "a")));
    bench_close(&bench);
}

static void pre_prepare__that_is_here_is_not_wanted(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    assert_true(wants(&bench, make_pre_prepare(&bench.config, 0, 0, 1, "a")));
    pre_prepare(&bench, 1, "a");
    assert_false(wants(&bench, make_pre_prepare(&bench.config, 0, 0, 1, "a")));
    assert_false(wants(&bench, make_relay(&bench.config, 2, make_pre_prepare(&bench.config, 0, 0, 1, "a"))));
    assert_true(wants(&bench, make_pre_prepare(&bench.config, 0, 0, 2, "a")));
    assert_true(wants(&bench, make_pre_prepare(&bench.config, 0, 1, 1, "a")));
    assert_true(wants(&bench, make_pre_prepare(&bench.config, 0, 0, 1, "b")));
    pre_prepare(&bench, 1, "b");
    assert_int_equal(bench.host.evidence_count, 1);
    assert_false(wants(&bench, make_pre_prepare(&bench.config, 0, 0, 1, "c")));
    bench_close(&bench);
}

static void evidence__convicts_once(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    struct statement first = {.type = BFT_PREPARE, .seq = 1, .sender = 3, .batch = "a"};
    struct statement second = {.type = BFT_PREPARE, .seq = 1, .sender = 3, .batch = "b"};
    assert_true(wants(&bench, make_evidence(&bench.config, 2, &first, &second)));
    assert_ok(receive(&bench, 2, make_evidence(&bench.config, 2, &first, &second)));
    assert_int_equal(bench.host.evidence_count, 1);
    assert_false(wants(&bench, make_evidence(&bench.config, 2, &first, &second)));
    first.seq = second.seq = 2;
    assert_false(wants(&bench, make_evidence(&bench.config, 0, &first, &second)));
    /* Evidence against the primary moves this replica to another view. */
    first = (struct statement) {.type = BFT_PRE_PREPARE, .seq = 1, .batch = "a"};
    second = (struct statement) {.type = BFT_PRE_PREPARE, .seq = 1, .batch = "b"};
    assert_true(wants(&bench, make_evidence(&bench.config, 2, &first, &second)));
    assert_ok(receive(&bench, 2, make_evidence(&bench.config, 2, &first, &second)));
    assert_false(wants(&bench, make_evidence(&bench.config, 3, &first, &second)));
    bench_close(&bench);
}

/* The view ended: its votes count no more, and the newest ones of their senders are known. */
static void votes__of_a_view_that_was_left_are_not_wanted(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    pre_prepare(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 2, 2, "a");
    const struct statement first = {.type = BFT_PRE_PREPARE, .seq = 1, .batch = "a"};
    const struct statement second = {.type = BFT_PRE_PREPARE, .seq = 1, .batch = "b"};
    assert_ok(receive(&bench, 2, make_evidence(&bench.config, 2, &first, &second)));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(wants(&bench, make_vote(&bench.config, BFT_PREPARE, 2, 1, "a")));
    assert_false(wants(&bench, make_vote(&bench.config, BFT_COMMIT, 2, 1, "a")));
    assert_false(wants(&bench, make_pre_prepare(&bench.config, 0, 0, 1, "a")));
    /* What its sender said last is kept for a replica that has forgotten it. */
    assert_true(wants(&bench, make_vote(&bench.config, BFT_PREPARE, 2, 3, "a")));
    assert_true(wants(&bench, make_pre_prepare(&bench.config, 0, 0, 2, "a")));
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(prepare__that_is_counted_is_not_wanted),
    cmocka_unit_test(prepare__of_a_later_view_is_wanted),
    cmocka_unit_test(commit__that_is_counted_is_not_wanted),
    cmocka_unit_test(pre_prepare__that_is_here_is_not_wanted),
    cmocka_unit_test(evidence__convicts_once),
    cmocka_unit_test(votes__of_a_view_that_was_left_are_not_wanted),
};
TEST_CASES(cases);
