/*
 * Codec and door of PBFT: bft/wire/message.c and bft/wire/authenticate.c. Rows P10, P12, T1, T5, T6, T7, T8 and T11 in
 * docs/adversary.md. test_bft_view_message.c tests what is particular to VIEW-CHANGE and NEW-VIEW.
 */
#include "tests/support/bft_support.h"
#include "tests/support/test_main.h"

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

enum { SAMPLE_COUNT = 11 };

/* A VIEW-CHANGE or a NEW-VIEW of replica 0, which leads view 4. */
static struct ord_span sample_of_view(bool new_view) {
    struct ord_core_config config = test_config(1);
    const struct prepared prepared[] = {{.seq = 5, .view = 2, .digest = digest_of("x")},
                                        {.seq = 9, .view = 0, .digest = digest_of("y")}};
    const struct ord_hash digests[] = {digest_of("x"), digest_of("")};
    static uint8_t changes[3][8192];
    struct ord_span of[4] = {0};
    if (!new_view)
        return make_view_change(&config, 0, 4, 4, prepared, 2);
    for (ord_node_id node = 0; node < 3; node++) {
        struct ord_span bytes = make_view_change(&config, node, 4, 4, prepared, 2);
        memcpy(changes[node], bytes.data, bytes.size);
        of[node] = ord_span_of(changes[node], bytes.size);
    }
    return make_new_view(&config, 4, 4, digests, 2, of);
}

/* One message of each type, all from replica 0. */
static struct ord_span sample(size_t which) {
    struct ord_core_config config = test_config(1);
    static const enum bft_type list_types[] = {[1] = BFT_PREPARE, [2] = BFT_COMMIT, [6] = BFT_FETCH};
    struct bft_vote_list list = {.type = which < 7 ? list_types[which] : 0, .sender = 0, .count = 3};
    const struct statement said[] = {{.type = BFT_PRE_PREPARE, .sender = 2, .view = 6, .seq = 7, .batch = "x"},
                                     {.type = BFT_PRE_PREPARE, .sender = 2, .view = 6, .seq = 7, .batch = "y"}};
    for (uint32_t i = 0; i < 3; i++)
        list.votes[i] = (struct bft_vote) {.seq = 1 + 2 * i, .digest = digest_of("x")};
    switch (which) {
    case 0:
        return copy_of(make_pre_prepare(&config, 0, 0, 1, "batch"));
    case 1:
    case 2:
    case 6:
        return copy_of(make_list(&config, &list));
    case 4:
    case 5:
        return copy_of(sample_of_view(which == 5));
    case 7:
        return copy_of(make_body(&config, 0, 4, 7, "batch"));
    case 8:
        return copy_of(make_relay(&config, 0, make_view_change(&config, 2, 3, 0, NULL, 0)));
    case 9:
        return copy_of(make_witness(&config, 0, &said[0]));
    case 10:
        return copy_of(make_evidence(&config, 0, &said[0], &said[1]));
    default:
        return copy_of(make_status(&config, 0, 9, 4, 0x81));
    }
}

static void message__round_trips(void **state) {
    (void) state;
    struct ord_verified verified;
    struct ord_core_config config = test_config(1);
    for (size_t which = 0; which < SAMPLE_COUNT; which++) {
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
    assert_int_equal(status.mood, BFT_CONTENT);
    assert_ok(bft_status_decode(&status, &config, make_view_status(&config, 0, 5, true, 0xb)));
    assert_int_equal(status.view, 5);
    assert_int_equal(status.mood, BFT_CHANGING);
    assert_int_equal(status.changes, 0xb);
    struct bft_body_message body;
    assert_ok(bft_body_decode(&body, &config, sample(7)));
    assert_int_equal(body.seq, 7);
    assert_true(ord_span_equal(body.body, ord_span_of("batch", 5)));
    assert_ok(authenticate(&verified, 0, sample(7)));
    struct ord_hash digest = digest_of("batch");
    assert_true(ord_hash_equal(&verified.digest, &digest)); /* the digest under which it is requested */
    assert_ok(bft_status_decode(&status, &config, make_mood_status(&config, 0, 5, BFT_SUSPECTS, 0)));
    assert_int_equal(status.mood, BFT_SUSPECTS);
}

/* T1, T7: every shorter and every longer encoding is refused. */
static void authenticate__refuses_every_other_length(void **state) {
    (void) state;
    struct ord_verified verified;
    for (size_t which = 0; which < SAMPLE_COUNT; which++) {
        struct ord_span bytes = sample(which);
        bool ends_by_size =
            /* The certificates of a VIEW-CHANGE end at the signature, wherever that is. */
            which == 4 || which == 8;
        for (size_t size = 0; size <= bytes.size + 1; size++) {
            writable(bytes)[bytes.size] = 0;
            enum ord_err err = authenticate(&verified, 0, ord_span_of(bytes.data, size));
            if (size == bytes.size)
                assert_ok(err);
            else if (ends_by_size)
                assert_true(err == ORD_ERR_INVALID || err == ORD_ERR_BAD_SIGNATURE);
            else
                assert_err(err, ORD_ERR_INVALID);
        }
    }
}

/* T1: no flipped bit of a signed message goes through. */
static void authenticate__refuses_every_flipped_bit(void **state) {
    (void) state;
    struct ord_verified verified;
    static const size_t is_signed[] = {0, 1, 4, 5, 8, 9, 10};
    for (size_t i = 0; i < sizeof(is_signed) / sizeof(is_signed[0]); i++) {
        struct ord_span bytes = sample(is_signed[i]);
        /* A RELAY, WITNESS or EVIDENCE is not signed by its sender. */
        size_t first = is_signed[i] >= 8 ? BFT_HEADER_SIZE : 0;
        for (size_t bit = first * 8; bit < bytes.size * 8; bit++) {
            writable(bytes)[bit / 8] ^= (uint8_t) (1u << bit % 8);
            assert_true(authenticate(&verified, 0, bytes) != ORD_OK);
            writable(bytes)[bit / 8] ^= (uint8_t) (1u << bit % 8);
        }
        assert_ok(authenticate(&verified, 0, bytes));
    }
}

/* A WITNESS carries one statement, EVIDENCE two. They convince by their content, whoever sends them. */
static void witness__round_trips(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    struct bft_statement statement;
    struct bft_proof proof;
    struct ord_hash x = digest_of("x");
    struct ord_hash y = digest_of("y");
    assert_ok(bft_signed_decode(&statement, &proof, &config, bft_behind_header(sample(9))));
    assert_int_equal(statement.type, BFT_PRE_PREPARE);
    assert_int_equal(statement.view, 6);
    assert_int_equal(statement.seq, 7);
    assert_int_equal(statement.sender, 2);
    assert_true(ord_hash_equal(&statement.digest, &x));
    assert_true(bft_proof_verify(&proof, &config, &statement, NULL));
    struct ord_span first;
    struct ord_span second;
    assert_ok(bft_evidence_split(sample(10), &first, &second));
    assert_ok(bft_signed_verify(&statement, &config, first));
    assert_true(ord_hash_equal(&statement.digest, &x));
    assert_ok(bft_signed_verify(&statement, &config, second));
    assert_true(ord_hash_equal(&statement.digest, &y));
    for (size_t size = 0; size <= BFT_HEADER_SIZE; size++) {
        assert_int_equal(bft_behind_header(ord_span_of(sample(9).data, size)).size, 0);
        assert_err(bft_evidence_split(ord_span_of(sample(10).data, size), &first, &second), ORD_ERR_INVALID);
    }
}

/* T8: a statement of another type is no WITNESS, and two statements that do not contradict are no EVIDENCE. */
static void witness__is_of_a_pre_prepare_and_evidence_of_a_contradiction(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    struct ord_verified verified;
    const struct statement said = {.type = BFT_PRE_PREPARE, .sender = 2, .view = 6, .seq = 7, .batch = "x"};
    struct statement other = said;
    assert_err(authenticate(&verified, 0, make_evidence(&config, 0, &said, &said)), ORD_ERR_INVALID);
    other.batch = "y";
    assert_ok(authenticate(&verified, 0, make_evidence(&config, 0, &said, &other)));
    other.seq++;
    assert_err(authenticate(&verified, 0, make_evidence(&config, 0, &said, &other)), ORD_ERR_INVALID);
    other = said;
    other.batch = "y";
    other.sender = 3;
    assert_err(authenticate(&verified, 0, make_evidence(&config, 0, &said, &other)), ORD_ERR_INVALID);
    static const enum bft_type types[] = {BFT_PREPARE, BFT_COMMIT, BFT_VIEW_CHANGE, BFT_NEW_VIEW, BFT_CERTIFICATE};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        other = said;
        other.type = types[i];
        assert_err(authenticate(&verified, 0, make_witness(&config, 0, &other)), ORD_ERR_INVALID);
    }
    /* A length that reaches beyond the end, and statements of another channel. */
    struct ord_span bytes = copy_of(sample(10));
    ord_store_u32(writable(bytes) + BFT_HEADER_SIZE, UINT32_MAX);
    assert_err(authenticate(&verified, 0, bytes), ORD_ERR_INVALID);
    struct ord_core_config elsewhere = config;
    elsewhere.epoch++;
    uint8_t data[BFT_SIGNED_VOTE_SIZE_MAX];
    bytes = copy_of(sample(9));
    memcpy(writable(bytes) + BFT_HEADER_SIZE, make_statement(data, &elsewhere, &said).data,
           bytes.size - BFT_HEADER_SIZE);
    assert_err(authenticate(&verified, 0, bytes), ORD_ERR_MISMATCH);
}

/* T11: every count and every length in a message is bounded. */
static void authenticate__bounds_counts(void **state) {
    (void) state;
    struct ord_verified verified;
    static const uint8_t counts[] = {0, 2, 4, 65, 255};
    for (size_t i = 0; i < sizeof(counts); i++) {
        struct ord_span bytes = sample(2);
        writable(bytes)[BFT_HEADER_SIZE] = counts[i];
        assert_err(authenticate(&verified, 0, bytes), ORD_ERR_INVALID);
    }
    /*
     * Lengths of bodies; in a VIEW-CHANGE the length of the checkpoint and the count of certificates; in a NEW-VIEW the
     * count of entries.
     */
    static const size_t at[][2] = {{0, BFT_PRE_PREPARE_SIZE - 4},
                                   {7, BFT_BODY_SIZE - 4},
                                   {4, BFT_HEADER_SIZE + 8},
                                   {4, BFT_HEADER_SIZE + 8 + 4 + STAND_IN_CHECKPOINT_SIZE},
                                   {5, BFT_HEADER_SIZE + 8}};
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
        for (uint32_t mask = 0xff; mask != 0; mask <<= 8) {
            struct ord_span bytes = sample(at[i][0]);
            uint8_t *count = writable(bytes) + at[i][1];
            ord_store_u32(count, mask | ord_load_u32(count));
            assert_err(authenticate(&verified, 0, bytes), ORD_ERR_INVALID);
        }
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
    assert_err(authenticate(&verified, 0, make_view_status(&config, 0, 0, true, 1)), ORD_ERR_INVALID);
    assert_ok(authenticate(&verified, 0, make_view_status(&config, 0, 1, true, UINT64_MAX)));
    assert_err(authenticate(&verified, 0, make_view_status(&config, 0, UINT64_MAX, false, 0)), ORD_ERR_INVALID);
    assert_ok(authenticate(&verified, 0, make_mood_status(&config, 0, 1, BFT_SILENT, 0)));
    assert_ok(authenticate(&verified, 0, make_mood_status(&config, 0, 4, BFT_HANDS_OVER, 0)));
    assert_err(authenticate(&verified, 0, make_mood_status(&config, 0, 1, BFT_HANDS_OVER, 0)), ORD_ERR_INVALID);
    assert_ok(authenticate(&verified, 0, make_mood_status(&config, 0, 4, BFT_GIVES_UP, 0)));
    assert_err(authenticate(&verified, 0, make_mood_status(&config, 0, 0, BFT_GIVES_UP, 0)), ORD_ERR_INVALID);
    assert_err(authenticate(&verified, 0, make_mood_status(&config, 0, 4, BFT_GIVES_UP + 1, 0)), ORD_ERR_INVALID);
    static const uint64_t seqs[][2] = {{0, 1}, {2, 2}, {3, 2}, {1, UINT64_MAX}};
    for (size_t i = 0; i < 4; i++) {
        struct bft_vote_list list = {.type = BFT_PREPARE, .sender = 2, .count = 2};
        list.votes[0].seq = seqs[i][0];
        list.votes[1].seq = seqs[i][1];
        assert_err(authenticate(&verified, 2, make_list(&config, &list)), ORD_ERR_INVALID);
    }
}

/* P10: a PRE-PREPARE must carry the digest of its own body. */
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

/* P12, T5, T6: the sender must be the one that the link authenticated, and not this replica. */
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
    /* Another replica's signature, presented under its own name. */
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
    /* The first 8 bytes are the same; the signed statement tells the networks apart. */
    config.genesis_hash.bytes[31]++;
    assert_err(authenticate(&verified, 2, make_vote(&config, BFT_PREPARE, 2, 1, "x")), ORD_ERR_BAD_SIGNATURE);
}

/* The cost that is reported before the bytes are checked is never below the real cost. */
static uint32_t verify_count;

static bool count_verify(const void *context, ord_node_id signer, const struct ord_hash *hash,
                         const struct ord_signature *signature) {
    (void) context;
    verify_count++;
    return stand_in_verify(&test_crypto, signer, hash, signature);
}

static void cost__is_an_upper_bound(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    const struct ord_crypto_ops counting = {.hash = plain_hash, .verify = count_verify, .context = NULL};
    config.crypto = &counting;
    for (size_t which = 0; which < SAMPLE_COUNT; which++) {
        struct ord_verified verified;
        struct ord_span bytes = sample(which);
        verify_count = 0;
        assert_ok(bft_pbft.authenticate(&verified, &config, 0, bytes));
        assert_true(verify_count <= bft_pbft.cost(bytes));
        assert_true(verify_count > 0 || which == 2 || which == 3 || which == 6 || which == 7);
    }
    assert_int_equal(bft_pbft.cost(ord_span_of(NULL, 0)), 0);
}

/* T8: a message of one type passed off as another, and each field that a statement binds. */
static void statement__binds_every_field(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    const struct bft_statement base = {.type = BFT_PRE_PREPARE, .view = 1, .seq = 2, .sender = 3};
    struct bft_statement variants[8] = {base, base, base, base, base, base, base, base};
    variants[1].type = BFT_PREPARE;
    variants[2].view = 2;
    variants[3].seq = 3;
    variants[4].sender = 2;
    variants[5].digest.bytes[31] = 1;
    variants[6].type = BFT_VIEW_CHANGE;
    variants[7].type = BFT_NEW_VIEW;
    struct ord_hash hashes[10];
    for (size_t i = 0; i < 8; i++)
        bft_statement_hash(&hashes[i], &config, &variants[i]);
    bft_statement_leaf(&hashes[8], &config, &base);
    config.epoch++;
    bft_statement_hash(&hashes[9], &config, &base);
    for (size_t i = 0; i < 10; i++)
        for (size_t j = i + 1; j < 10; j++)
            assert_false(ord_hash_equal(&hashes[i], &hashes[j]));
}

static void primary__rotates_from_the_genesis_hash_without_wrapping(void **state) {
    (void) state;
    struct ord_core_config config = test_config(0);
    config.replica_count = 7;
    assert_int_equal(bft_primary(&config, 0), 0);
    assert_int_equal(bft_primary(&config, 8), 1);
    memset(config.genesis_hash.bytes, 0xff, 8);
    /* (2^64 - 1 + 2^63 - 1) mod 7 over the integers is 1 + 0 */
    assert_int_equal(bft_primary(&config, BFT_SEQ_MAX), (UINT64_MAX % 7 + BFT_SEQ_MAX % 7) % 7);
    assert_int_equal(bft_primary(&config, 1), (UINT64_MAX % 7 + 1) % 7);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(message__round_trips),
    cmocka_unit_test(authenticate__refuses_every_other_length),
    cmocka_unit_test(authenticate__refuses_every_flipped_bit),
    cmocka_unit_test(witness__round_trips),
    cmocka_unit_test(witness__is_of_a_pre_prepare_and_evidence_of_a_contradiction),
    cmocka_unit_test(authenticate__bounds_counts),
    cmocka_unit_test(authenticate__takes_the_longest_list),
    cmocka_unit_test(authenticate__refuses_seqs_and_views_out_of_range),
    cmocka_unit_test(authenticate__refuses_a_digest_that_is_not_its_bodys),
    cmocka_unit_test(authenticate__refuses_other_senders_and_reflections),
    cmocka_unit_test(authenticate__refuses_another_network_or_epoch),
    cmocka_unit_test(cost__is_an_upper_bound),
    cmocka_unit_test(statement__binds_every_field),
    cmocka_unit_test(primary__rotates_from_the_genesis_hash_without_wrapping),
};
TEST_CASES(cases);
