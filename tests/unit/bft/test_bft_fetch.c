/*
 * Batches that a view proposes again and that a replica lacks, bft/normal/fetch.c: when more are wanted than one list
 * can name, and when the wanted ones change while they are on their way. test_bft_view_trouble.c tests how they are
 * given.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static enum ord_err bring(struct bench *bench, uint64_t view, uint64_t seq, const char *batch) {
    return receive(bench, 3, make_body(&bench->config, 3, view, seq, batch));
}

/* True if the NEW-VIEW of the last turn has the digest of `batch` for seq. */
static bool proposes_again(struct bench *bench, uint64_t seq, const char *batch) {
    struct bft_new_view view;
    struct ord_hash made;
    const struct ord_hash digest = digest_of(batch);
    assert_ok(bft_new_view_verify(&view, &bench->config, sent_message(bench, BFT_NEW_VIEW)));
    bft_new_view_entry(&made, &view, seq);
    return ord_hash_equal(&made, &digest);
}

enum { ENTRIES = BFT_LIST_MAX + 6 };

static void fetch__asks_for_no_more_than_a_list_names(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct prepared prepared[ENTRIES];
    struct ord_hash digests[ENTRIES];
    char batches[ENTRIES][8];
    struct bft_vote_list list;
    bench_open(&bench, 2);
    bench_close(&bench);
    bench.config.window = 128;
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    for (uint32_t i = 0; i < ENTRIES; i++) {
        (void) snprintf(batches[i], sizeof(batches[i]), "b%u", i);
        digests[i] = digest_of(batches[i]);
        prepared[i] = (struct prepared) {.seq = i + 1, .digest = digests[i]};
    }
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, prepared, ENTRIES);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    new_view(&bench, &changes, 1, 0, digests, ENTRIES);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_int_equal(list.count, BFT_LIST_MAX);
    assert_int_equal(list.votes[BFT_LIST_MAX - 1].seq, BFT_LIST_MAX);
    for (uint64_t seq = 1; seq <= BFT_LIST_MAX; seq++)
        assert_ok(bring(&bench, 1, seq, batches[seq - 1]));
    bench.now_ms += bench.config.retransmit_ms;
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_int_equal(list.count, ENTRIES - BFT_LIST_MAX);
    assert_int_equal(list.votes[0].seq, BFT_LIST_MAX + 1);
    bench_close(&bench);
}

/* Both batches came in one turn, so one choice adopts both. */
static void fetch__of_two_batches_that_come_together(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct bft_vote_list list;
    const struct prepared prepared[] = {{.seq = 1, .digest = digest_of("a")}, {.seq = 2, .digest = digest_of("b")}};
    bench_open(&bench, 1);
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 0, prepared, 2);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_int_equal(list.count, 2);
    assert_ok(bring(&bench, 1, 1, "a"));
    assert_ok(bring(&bench, 1, 2, "b"));
    assert_int_equal(status_of(&bench).body_bytes, 2);
    turn_ends(&bench);
    assert_true(proposes_again(&bench, 1, "a"));
    assert_true(proposes_again(&bench, 2, "b"));
    bench_close(&bench);
}

/* Meanwhile another view change proves that everything is stable. The batch that arrives has no use. */
static void fetch__of_what_the_base_has_passed(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct bft_new_view view;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    bench_open(&bench, 1);
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 0, &prepared, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_FETCH, NULL), 1);
    change(&bench, &changes, 0, 1, 4, NULL, 0);
    assert_ok(bring(&bench, 1, 1, "a"));
    assert_int_equal(status_of(&bench).body_bytes, 0);
    turn_ends(&bench);
    assert_ok(bft_new_view_verify(&view, &bench.config, sent_message(&bench, BFT_NEW_VIEW)));
    assert_int_equal(view.base_seq, 4);
    assert_int_equal(view.count, 0);
    bench_close(&bench);
}

/*
 * Meanwhile another view change brings a certificate of a later view. That certificate's batch is proposed again, and
 * asked for.
 */
static void fetch__of_a_batch_that_a_later_view_replaced(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct bft_vote_list list;
    const struct prepared first = {.seq = 1, .view = 0, .digest = digest_of("a")};
    const struct prepared later = {.seq = 1, .view = 1, .digest = digest_of("b")};
    bench_open(&bench, 2);
    change(&bench, &changes, 0, 2, 0, &first, 1);
    change(&bench, &changes, 3, 2, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 2);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_true(ord_hash_equal(&list.votes[0].digest, &first.digest));
    change(&bench, &changes, 1, 2, 0, &later, 1);
    assert_ok(bring(&bench, 2, 1, "a"));
    assert_int_equal(status_of(&bench).body_bytes, 0);
    bench.now_ms += bench.config.retransmit_ms;
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_true(ord_hash_equal(&list.votes[0].digest, &later.digest));
    assert_ok(bring(&bench, 2, 1, "b"));
    turn_ends(&bench);
    assert_true(proposes_again(&bench, 1, "b"));
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(fetch__asks_for_no_more_than_a_list_names),
    cmocka_unit_test(fetch__of_two_batches_that_come_together),
    cmocka_unit_test(fetch__of_what_the_base_has_passed),
    cmocka_unit_test(fetch__of_a_batch_that_a_later_view_replaced),
};
TEST_CASES(cases);
