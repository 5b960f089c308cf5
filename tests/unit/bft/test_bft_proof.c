/*
 * Votes that stand alone, prepared certificates, and evidence: bft/wire/proof.c. Rows P12 and T8, and the basis of V4.
 */
#include "core/merkle.h"
#include "tests/support/bft_support.h"
#include "tests/support/test_main.h"

static void fill(struct bft_vote_list *list, ord_node_id sender, uint32_t count) {
    *list = (struct bft_vote_list) {.type = BFT_PREPARE, .sender = sender, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        list->votes[i].seq = 10 + i;
        memset(list->votes[i].digest.bytes, (int) i, ORD_HASH_SIZE);
    }
}

/* For each size of list, the tree equals that of core/merkle.h, and each vote proves itself and nothing else. */
static void vote_tree__gives_the_paths_of_core_merkle(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    static struct bft_vote_tree tree;
    for (uint32_t count = 1; count <= BFT_LIST_MAX; count++) {
        struct bft_vote_list list;
        struct ord_hash hash;
        fill(&list, 2, count);
        (void) make_list(&config, &list);
        bft_vote_tree_build(&tree, &config, &list);
        for (uint32_t i = 0; i < count; i++) {
            struct ord_hash leaves[BFT_LIST_MAX];
            struct ord_hash path[ORD_MERKLE_PATH_MAX];
            size_t path_size;
            memcpy(leaves, tree.hashes, sizeof(leaves));
            ord_merkle_path(&test_crypto, path, &path_size, leaves, count, i);
            struct bft_proof proof;
            bft_vote_tree_proof(&proof, &tree, i, &list.signature);
            assert_int_equal(proof.path_count, path_size);
            assert_memory_equal(proof.path, path, path_size * ORD_HASH_SIZE);
            memcpy(leaves, tree.hashes, sizeof(leaves));
            ord_merkle_root(&test_crypto, &hash, leaves, count);
            assert_true(ord_hash_equal(&hash, &tree.root));
            struct bft_statement statement = {
                .type = BFT_PREPARE, .seq = 10 + i, .digest = list.votes[i].digest, .sender = 2};
            assert_true(bft_proof_verify(&proof, &config, &statement, NULL));
            statement.seq++;
            assert_false(bft_proof_verify(&proof, &config, &statement, NULL));
        }
    }
}

/* Votes of three backups for seq 12, taken from lists of five, as replica 1 would keep them. */
struct votes {
    struct bft_proof proofs[4];
    struct bft_statement pre_prepare;
    struct bft_proof proof;
};

static void make_votes(struct votes *votes, const struct ord_core_config *config) {
    static struct bft_vote_tree tree;
    struct ord_hash hash;
    for (ord_node_id sender = 0; sender < 4; sender++) {
        struct bft_vote_list list;
        fill(&list, sender, 5);
        (void) make_list(config, &list);
        bft_vote_tree_build(&tree, config, &list);
        bft_vote_tree_proof(&votes->proofs[sender], &tree, 2, &list.signature);
    }
    votes->pre_prepare = (struct bft_statement) {.type = BFT_PRE_PREPARE, .seq = 12, .sender = 0};
    memset(votes->pre_prepare.digest.bytes, 2, ORD_HASH_SIZE);
    bft_statement_hash(&hash, config, &votes->pre_prepare);
    struct ord_signature signature;
    stand_in_sign(config->crypto, &signature, 0, &hash);
    votes->proof = bft_proof_alone(&signature);
}

static enum ord_err verify_with(const struct ord_core_config *config, const struct votes *votes,
                                const ord_node_id *senders, uint32_t count) {
    uint8_t bytes[2048];
    struct bft_certificate_vote cast[4];
    struct bft_statement out;
    for (uint32_t i = 0; i < count; i++)
        cast[i] = (struct bft_certificate_vote) {.sender = senders[i], .proof = &votes->proofs[senders[i]]};
    size_t size = bft_certificate_encode(bytes, sizeof(bytes), config, &votes->pre_prepare, &votes->proof, cast, count);
    enum ord_err err = bft_certificate_verify(&out, config, ord_span_of(bytes, size), NULL);
    if (err == ORD_OK) {
        assert_int_equal(out.seq, 12);
        assert_true(ord_hash_equal(&out.digest, &votes->pre_prepare.digest));
        assert_true(size <= BFT_CERTIFICATE_SIZE_MAX(3));
    }
    return err;
}

static void certificate__is_quorum_less_one_distinct_backups(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    struct votes votes;
    make_votes(&votes, &config);
    assert_ok(verify_with(&config, &votes, (const ord_node_id[]) {1, 3}, 2));
    assert_ok(verify_with(&config, &votes, (const ord_node_id[]) {2, 3}, 2));
    assert_err(verify_with(&config, &votes, (const ord_node_id[]) {2}, 1), ORD_ERR_INVALID);       /* too few */
    assert_err(verify_with(&config, &votes, (const ord_node_id[]) {1, 2, 3}, 3), ORD_ERR_INVALID); /* too many */
    assert_err(verify_with(&config, &votes, (const ord_node_id[]) {2, 2}, 2), ORD_ERR_INVALID);    /* twice */
    assert_err(verify_with(&config, &votes, (const ord_node_id[]) {3, 2}, 2), ORD_ERR_INVALID);    /* order */
    assert_err(verify_with(&config, &votes, (const ord_node_id[]) {0, 2}, 2), ORD_ERR_INVALID);    /* the primary */
    votes.pre_prepare.sender = 1; /* not the primary of its view */
    assert_err(verify_with(&config, &votes, (const ord_node_id[]) {2, 3}, 2), ORD_ERR_INVALID);
    make_votes(&votes, &config);
    votes.pre_prepare.digest.bytes[0]++; /* the votes are for another digest */
    assert_err(verify_with(&config, &votes, (const ord_node_id[]) {2, 3}, 2), ORD_ERR_BAD_SIGNATURE);
    make_votes(&votes, &config);
    votes.pre_prepare.view = 4; /* another view with the same primary */
    assert_err(verify_with(&config, &votes, (const ord_node_id[]) {2, 3}, 2), ORD_ERR_BAD_SIGNATURE);
}

static void certificate__refuses_every_flipped_bit_and_other_length(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    struct votes votes;
    make_votes(&votes, &config);
    const struct bft_certificate_vote cast[] = {{1, &votes.proofs[1]}, {2, &votes.proofs[2]}};
    uint8_t bytes[2048];
    struct bft_statement out;
    size_t size = bft_certificate_encode(bytes, sizeof(bytes), &config, &votes.pre_prepare, &votes.proof, cast, 2);
    for (size_t i = 0; i < size; i++)
        assert_true(bft_certificate_verify(&out, &config, ord_span_of(bytes, i), NULL) == ORD_ERR_INVALID);
    bytes[size] = 0;
    assert_err(bft_certificate_verify(&out, &config, ord_span_of(bytes, size + 1), NULL), ORD_ERR_INVALID);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        enum ord_err err = bft_certificate_verify(&out, &config, ord_span_of(bytes, size), NULL);
        /*
         * Two encodings of an index may be accepted where the tree's shape makes both climb alike. The vote itself
         * stays the same.
         */
        if (err == ORD_OK)
            assert_true(out.seq == 12 && ord_hash_equal(&out.digest, &votes.pre_prepare.digest));
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    assert_ok(bft_certificate_verify(&out, &config, ord_span_of(bytes, size), NULL));
}

static struct ord_span signed_alone(uint8_t *out, const struct ord_core_config *config, struct ord_span message) {
    struct bft_pre_prepare p;
    assert_ok(bft_pre_prepare_decode(&p, config, message));
    struct bft_statement statement = {
        .type = BFT_PRE_PREPARE, .view = p.view, .seq = p.seq, .digest = p.digest, .sender = p.sender};
    struct bft_proof proof = bft_proof_alone(&p.signature);
    return ord_span_of(out, bft_signed_encode(out, config, &statement, &proof));
}

static void evidence__needs_two_signed_statements_that_contradict(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    uint8_t a[4096];
    uint8_t b[4096];
    ord_node_id culprit = 9;
    struct ord_span first = signed_alone(a, &config, make_pre_prepare(&config, 0, 0, 5, "one"));
    struct ord_span second = signed_alone(b, &config, make_pre_prepare(&config, 0, 0, 5, "two"));
    assert_ok(bft_evidence_verify(&culprit, &config, first, second));
    assert_int_equal(culprit, 0);
    assert_err(bft_evidence_verify(&culprit, &config, first, first), ORD_ERR_INVALID);
    second = signed_alone(b, &config, make_pre_prepare(&config, 0, 0, 6, "two")); /* another seq */
    assert_err(bft_evidence_verify(&culprit, &config, first, second), ORD_ERR_INVALID);
    second = signed_alone(b, &config, make_pre_prepare(&config, 0, 4, 5, "two")); /* another view */
    assert_err(bft_evidence_verify(&culprit, &config, first, second), ORD_ERR_INVALID);
    second = signed_alone(b, &config, make_pre_prepare(&config, 1, 0, 5, "two")); /* another signer */
    assert_err(bft_evidence_verify(&culprit, &config, first, second), ORD_ERR_INVALID);
    b[BFT_HEADER_SIZE - 1] = 0; /* renamed to look like the culprit's: framed */
    assert_err(bft_evidence_verify(&culprit, &config, first, second), ORD_ERR_BAD_SIGNATURE);
}

/* Statements about views: seq 0, and only the two types that are about views. */
static void evidence__of_two_view_changes_or_new_views(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    uint8_t bytes[2][BFT_SIGNED_VOTE_SIZE_MAX];
    static const enum bft_type types[] = {BFT_VIEW_CHANGE, BFT_NEW_VIEW, BFT_PREPARE, BFT_COMMIT};
    for (size_t i = 0; i < 4; i++)
        for (uint64_t seq = 0; seq < 2; seq++) {
            struct ord_span spans[2];
            ord_node_id culprit = 9;
            for (size_t which = 0; which < 2; which++) {
                const struct bft_statement statement = {
                    .type = types[i], .view = 4, .seq = seq, .digest = digest_of(which == 0 ? "a" : "b"), .sender = 2};
                const struct bft_proof proof = sign_alone(&config, &statement);
                spans[which] = ord_span_of(bytes[which], bft_signed_encode(bytes[which], &config, &statement, &proof));
            }
            bool about_view = i < 2;
            if (about_view == (seq == 0) && types[i] != BFT_COMMIT) {
                assert_ok(bft_evidence_verify(&culprit, &config, spans[0], spans[1]));
                assert_int_equal(culprit, 2);
            } else {
                assert_err(bft_evidence_verify(&culprit, &config, spans[0], spans[1]), ORD_ERR_INVALID);
            }
        }
}

/* The two messages have room for the largest statement with the longest path. */
static void evidence__carries_votes_out_of_the_longest_list(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    static struct bft_vote_tree tree;
    static uint8_t bytes[BFT_EVIDENCE_SIZE_MAX];
    uint8_t data[BFT_SIGNED_VOTE_SIZE_MAX];
    struct ord_span spans[2];
    ord_node_id culprit;
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_header_write(&writer, &config, BFT_EVIDENCE, 0, 3);
    for (size_t which = 0; which < 2; which++) {
        struct bft_vote_list list;
        struct bft_proof proof;
        fill(&list, 2, BFT_LIST_MAX);
        list.votes[63].digest.bytes[0] ^= (uint8_t) which;
        (void) make_list(&config, &list);
        bft_vote_tree_build(&tree, &config, &list);
        bft_vote_tree_proof(&proof, &tree, 63, &list.signature);
        const struct bft_statement statement = {
            .type = BFT_PREPARE, .seq = 10 + 63, .digest = list.votes[63].digest, .sender = 2};
        struct ord_span one = ord_span_of(data, bft_signed_encode(data, &config, &statement, &proof));
        assert_int_equal(one.size, BFT_SIGNED_VOTE_SIZE_MAX);
        if (which == 0)
            ord_write_string(&writer, one);
        else
            ord_write_span(&writer, one);
    }
    assert_false(writer.failed);
    assert_int_equal(writer.size, sizeof(bytes));
    assert_true(writer.size <= bft_pbft.message_size_max(&config));
    assert_ok(bft_evidence_split(ord_writer_span(&writer), &spans[0], &spans[1]));
    assert_ok(bft_evidence_verify(&culprit, &config, spans[0], spans[1]));
    assert_int_equal(culprit, 2);
}

/* Whatever a codec accepted, an index that is in no tree proves nothing. */
static void proof__of_no_place_in_a_tree_proves_nothing(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    const struct bft_statement statement = {.type = BFT_PREPARE, .seq = 1, .digest = digest_of("x"), .sender = 2};
    const struct bft_proof good = sign_alone(&config, &statement);
    assert_true(bft_proof_verify(&good, &config, &statement, NULL));
    struct bft_proof bad = good;
    bad.count = 0;
    assert_false(bft_proof_verify(&bad, &config, &statement, NULL));
    bad.count = BFT_LIST_MAX + 1;
    assert_false(bft_proof_verify(&bad, &config, &statement, NULL));
    bad = good;
    bad.index = 1;
    assert_false(bft_proof_verify(&bad, &config, &statement, NULL));
    bad = good;
    bad.path_count = BFT_PATH_MAX + 1;
    assert_false(bft_proof_verify(&bad, &config, &statement, NULL));
    bad.path_count = 1; /* the path is longer than the tree has levels */
    assert_false(bft_proof_verify(&bad, &config, &statement, NULL));
}

/*
 * A signature that was verified once is not verified again. Another signature over the same content is another entry,
 * even if the first was good.
 */
static void cache__knows_signatures_not_signers(void **state) {
    (void) state;
    const struct ord_core_config config = test_config(1);
    struct bft_verify_cache cache = {0};
    const struct bft_statement said = {.type = BFT_PREPARE, .seq = 5, .digest = digest_of("x"), .sender = 2};
    const struct bft_statement other = {.type = BFT_PREPARE, .seq = 6, .digest = digest_of("x"), .sender = 2};
    const struct bft_proof proof = sign_alone(&config, &said);
    struct bft_proof spoiled = proof;
    spoiled.signature.bytes[40] ^= 1;
    assert_false(bft_proof_verify(&spoiled, &config, &said, &cache));
    assert_true(bft_proof_verify(&proof, &config, &said, &cache));
    assert_true(bft_proof_verify(&proof, &config, &said, &cache));
    assert_false(bft_proof_verify(&spoiled, &config, &said, &cache));
    assert_false(bft_proof_verify(&proof, &config, &other, &cache));
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(cache__knows_signatures_not_signers),
    cmocka_unit_test(vote_tree__gives_the_paths_of_core_merkle),
    cmocka_unit_test(certificate__is_quorum_less_one_distinct_backups),
    cmocka_unit_test(certificate__refuses_every_flipped_bit_and_other_length),
    cmocka_unit_test(proof__of_no_place_in_a_tree_proves_nothing),
    cmocka_unit_test(evidence__needs_two_signed_statements_that_contradict),
    cmocka_unit_test(evidence__of_two_view_changes_or_new_views),
    cmocka_unit_test(evidence__carries_votes_out_of_the_longest_list),
};
TEST_CASES(cases);
