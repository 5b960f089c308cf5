/*
 * Codec and door of PBFT: bft/message.c and bft/authenticate.c. Rows P10, P12, T1, T6, T7, T8 and T11 of the adversary's list.
 */
#include "tests/support/test_main.h"
#include "tests/unit/bft_support.h"

static enum ord_err authenticate(struct ord_verified *verified, ord_node_id from, struct ord_span bytes) {
    struct ord_core_config config = test_config(1);
    return bft_pbft.authenticate(verified, &config, from, bytes);
}

static struct ord_span copy_of(struct ord_span span) {
    static uint8_t bytes[8192];
    memcpy(bytes, span.data, span.size);
    return ord_span_of(bytes, span.size);
}

static uint8_t *writable(struct ord_span span) {
    return (uint8_t *) (uintptr_t) span.data;
}

/* One of each type, all of replica 0. */
static struct ord_span sample(size_t which) {
    struct ord_core_config config = test_config(1);
    struct bft_vote_list list = {.type = which == 1 ? BFT_PREPARE : BFT_COMMIT, .sender = 0, .count = 3};
    for (uint32_t i = 0; i < 3; i++)
        list.votes[i] = (struct bft_vote) {.seq = 1 + 2 * i, .digest = digest_of("x")};
    switch (which) {
    case 0:
        return copy_of(make_pre_prepare(&config, 0, 0, 1, "batch"));
    case 1:
    case 2:
        return copy_of(make_list(&config, &list));
    default:
        return copy_of(make_status(&config, 0, 9, 4, 0x81));
    }
}

static void message__round_trips(void **state) {
    (void) state;
    struct ord_verified verified;
    struct ord_core_config config = test_config(1);
    for (size_t which = 0; which < 4; which++) {
        struct ord_span bytes = sample(which);
        assert_ok(authenticate(&verified, 0, bytes));
        assert_int_equal(verified.from, 0);
        assert_int_equal(verified.type, which + 1);
    }
    struct bft_pre_prepare pre_prepare;
    assert_ok(bft_pre_prepare_decode(&pre_prepare, &config, sample(0)));
    assert_int_equal(pre_prepare.seq, 1);
    assert_true(ord_span_equal(pre_prepare.body, ord_span_of("batch", 5)));
    struct bft_vote_list list;
    assert_ok(bft_vote_list_decode(&list, &config, sample(2)));
    assert_int_equal(list.count, 3);
    assert_int_equal(list.votes[2].seq, 5);
    struct bft_status status;
    assert_ok(bft_status_decode(&status, &config, sample(3)));
    assert_int_equal(status.delivered_seq, 9);
    assert_int_equal(status.stable_seq, 4);
    assert_int_equal(status.held[0], 0x81);
}

/* T1, T7: every shorter and every longer encoding is refused. */
static void authenticate__refuses_every_other_length(void **state) {
    (void) state;
    struct ord_verified verified;
    for (size_t which = 0; which < 4; which++) {
        struct ord_span bytes = sample(which);
        for (size_t size = 0; size < bytes.size; size++)
            assert_err(authenticate(&verified, 0, ord_span_of(bytes.data, size)), ORD_ERR_INVALID);
        writable(bytes)[bytes.size] = 0;
        assert_err(authenticate(&verified, 0, ord_span_of(bytes.data, bytes.size + 1)), ORD_ERR_INVALID);
    }
}

/* T1: no flipped bit of a signed message goes through. */
static void authenticate__refuses_every_flipped_bit(void **state) {
    (void) state;
    struct ord_verified verified;
    for (size_t which = 0; which < 2; which++) {
        struct ord_span bytes = sample(which);
        for (size_t bit = 0; bit < bytes.size * 8; bit++) {
            writable(bytes)[bit / 8] ^= (uint8_t) (1u << bit % 8);
            assert_true(authenticate(&verified, 0, bytes) != ORD_OK);
            writable(bytes)[bit / 8] ^= (uint8_t) (1u << bit % 8);
        }
        assert_ok(authenticate(&verified, 0, bytes));
    }
}

/* T11 */
static void authenticate__bounds_counts(void **state) {
    (void) state;
    struct ord_verified verified;
    static const uint8_t counts[] = {0, 2, 4, 65, 255};
    for (size_t i = 0; i < sizeof(counts); i++) {
        struct ord_span bytes = sample(2);
        writable(bytes)[BFT_HEADER_SIZE] = counts[i];
        assert_err(authenticate(&verified, 0, bytes), ORD_ERR_INVALID);
    }
    struct ord_span bytes = sample(0);
    memset(writable(bytes) + BFT_SIGNED_SIZE, 0xff, 4); /* the body's length */
    assert_err(authenticate(&verified, 0, bytes), ORD_ERR_INVALID);
    struct ord_core_config config = test_config(1);
    char large[100];
    memset(large, 'x', 99);
    large[99] = 0;
    assert_err(authenticate(&verified, 0, make_pre_prepare(&config, 0, 0, 1, large)), ORD_ERR_INVALID);
    assert_err(authenticate(&verified, 0, make_pre_prepare(&config, 0, 0, 1, "")), ORD_ERR_INVALID);
}

static void authenticate__takes_the_longest_list(void **state) {
    (void) state;
    struct ord_verified verified;
    struct ord_core_config config = test_config(1);
    struct bft_vote_list list = {.type = BFT_PREPARE, .sender = 2, .count = BFT_LIST_MAX};
    for (uint32_t i = 0; i < BFT_LIST_MAX; i++)
        list.votes[i] = (struct bft_vote) {.seq = i + 1, .digest = digest_of("x")};
    struct ord_span bytes = make_list(&config, &list);
    assert_int_equal(bytes.size, BFT_PREPARE_SIZE_MAX);
    assert_ok(authenticate(&verified, 2, bytes));
}

static void authenticate__refuses_seqs_and_views_out_of_range(void **state) {
    (void) state;
    struct ord_verified verified;
    struct ord_core_config config = test_config(1);
    assert_err(authenticate(&verified, 0, make_pre_prepare(&config, 0, 0, 0, "x")), ORD_ERR_INVALID);
    assert_err(authenticate(&verified, 0, make_pre_prepare(&config, 0, 0, UINT64_MAX, "x")), ORD_ERR_INVALID);
    assert_err(authenticate(&verified, 0, make_pre_prepare(&config, 0, UINT64_MAX, 1, "x")), ORD_ERR_INVALID);
    assert_ok(authenticate(&verified, 0, make_pre_prepare(&config, 0, BFT_SEQ_MAX, BFT_SEQ_MAX, "x")));
    assert_err(authenticate(&verified, 0, make_status(&config, 0, UINT64_MAX, 0, 0)), ORD_ERR_INVALID);
    assert_err(authenticate(&verified, 0, make_status(&config, 0, 3, 4, 0)), ORD_ERR_INVALID);
    static const uint64_t seqs[][2] = {{0, 1}, {2, 2}, {3, 2}, {1, UINT64_MAX}};
    for (size_t i = 0; i < 4; i++) {
        struct bft_vote_list list = {.type = BFT_PREPARE, .sender = 2, .count = 2};
        list.votes[0].seq = seqs[i][0];
        list.votes[1].seq = seqs[i][1];
        assert_err(authenticate(&verified, 2, make_list(&config, &list)), ORD_ERR_INVALID);
    }
}

/* P10 */
static void authenticate__refuses_a_digest_that_is_not_its_bodys(void **state) {
    (void) state;
    struct ord_verified verified;
    struct ord_span bytes = sample(0);
    writable(bytes)[bytes.size - 1] ^= 1;
    assert_err(authenticate(&verified, 0, bytes), ORD_ERR_MISMATCH);
    assert_ok(authenticate(&verified, 0, sample(0)));
    struct ord_hash digest = digest_of("batch");
    assert_true(ord_hash_equal(&verified.digest, &digest));
}

/* P12, T5, T6: who it says it is, who the link says it is, and not ourselves. */
static void authenticate__refuses_other_senders_and_reflections(void **state) {
    (void) state;
    struct ord_verified verified;
    struct ord_core_config config = test_config(1);
    assert_err(authenticate(&verified, 2, make_vote(&config, BFT_PREPARE, 3, 1, "x")), ORD_ERR_FORBIDDEN);
    assert_err(authenticate(&verified, 1, make_vote(&config, BFT_PREPARE, 1, 1, "x")), ORD_ERR_FORBIDDEN);
    assert_err(authenticate(&verified, 1, make_vote(&config, BFT_COMMIT, 1, 1, "x")), ORD_ERR_FORBIDDEN);
    assert_err(authenticate(&verified, 4, make_vote(&config, BFT_COMMIT, 4, 1, "x")), ORD_ERR_FORBIDDEN);
    assert_err(authenticate(&verified, UINT32_MAX, make_vote(&config, BFT_COMMIT, UINT32_MAX, 1, "x")),
               ORD_ERR_FORBIDDEN);
    /* Another replica's signature under its own name. */
    struct ord_span bytes = copy_of(make_vote(&config, BFT_PREPARE, 3, 1, "x"));
    ord_store_u32(writable(bytes) + BFT_HEADER_SIZE - 4, 2);
    assert_err(authenticate(&verified, 2, bytes), ORD_ERR_BAD_SIGNATURE);
}

static void authenticate__refuses_another_network_or_epoch(void **state) {
    (void) state;
    struct ord_verified verified;
    struct ord_core_config config = test_config(1);
    config.epoch++;
    assert_err(authenticate(&verified, 2, make_vote(&config, BFT_COMMIT, 2, 1, "x")), ORD_ERR_MISMATCH);
    config = test_config(1);
    config.genesis_hash.bytes[0]++;
    assert_err(authenticate(&verified, 2, make_vote(&config, BFT_COMMIT, 2, 1, "x")), ORD_ERR_MISMATCH);
    config = test_config(1);
    config.genesis_hash.bytes[31]++; /* same first 8 bytes: the signed statement tells them apart */
    assert_err(authenticate(&verified, 2, make_vote(&config, BFT_PREPARE, 2, 1, "x")), ORD_ERR_BAD_SIGNATURE);
}

/* T8: one type passed as another, and every field that a statement binds. */
static void statement__binds_every_field(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    const struct bft_statement base = {.type = BFT_PRE_PREPARE, .view = 1, .seq = 2, .sender = 3};
    struct bft_statement variants[7] = {base, base, base, base, base, base, base};
    variants[1].type = BFT_PREPARE;
    variants[2].view = 2;
    variants[3].seq = 3;
    variants[4].sender = 2;
    variants[5].digest.bytes[31] = 1;
    struct ord_hash hashes[8];
    for (size_t i = 0; i < 6; i++)
        bft_statement_hash(&hashes[i], &config, &variants[i]);
    bft_statement_leaf(&hashes[6], &config, &base);
    config.epoch++;
    bft_statement_hash(&hashes[7], &config, &base);
    for (size_t i = 0; i < 8; i++)
        for (size_t j = i + 1; j < 8; j++)
            assert_false(ord_hash_equal(&hashes[i], &hashes[j]));
}

static void primary__rotates_from_the_genesis_hash_without_wrapping(void **state) {
    (void) state;
    struct ord_core_config config = test_config(0);
    config.replica_count = 7;
    assert_int_equal(bft_primary(&config, 0), 0);
    assert_int_equal(bft_primary(&config, 8), 1);
    memset(config.genesis_hash.bytes, 0xff, 8);
    /* (2^64 - 1 + 2^63 - 1) mod 7 over the integers: 1 + 0 */
    assert_int_equal(bft_primary(&config, BFT_SEQ_MAX), (UINT64_MAX % 7 + BFT_SEQ_MAX % 7) % 7);
    assert_int_equal(bft_primary(&config, 1), (UINT64_MAX % 7 + 1) % 7);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(message__round_trips),
    cmocka_unit_test(authenticate__refuses_every_other_length),
    cmocka_unit_test(authenticate__refuses_every_flipped_bit),
    cmocka_unit_test(authenticate__bounds_counts),
    cmocka_unit_test(authenticate__takes_the_longest_list),
    cmocka_unit_test(authenticate__refuses_seqs_and_views_out_of_range),
    cmocka_unit_test(authenticate__refuses_a_digest_that_is_not_its_bodys),
    cmocka_unit_test(authenticate__refuses_other_senders_and_reflections),
    cmocka_unit_test(authenticate__refuses_another_network_or_epoch),
    cmocka_unit_test(statement__binds_every_field),
    cmocka_unit_test(primary__rotates_from_the_genesis_hash_without_wrapping),
};
TEST_CASES(cases);
