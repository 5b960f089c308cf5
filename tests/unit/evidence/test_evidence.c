/*
 * Evidence: a file of evidence and the genesis block prove a lie. Statements that an honest replica signed prove
 * nothing, and neither do any other bytes.
 */
#include "evidence/evidence.h"

#include <string.h>

#include "tests/support/channel_support.h"
#include "tests/support/evidence_support.h"
#include "tests/support/test_main.h"

static struct net *net;
static struct ord_core_config core;

static int open_net(void **state) {
    (void) state;
    net = net_create(NULL);
    channel_core_config(&core, &net->config, &net->genesis_hash, 0, &net->ops);
    return 0;
}

static int close_net(void **state) {
    (void) state;
    net_destroy(net);
    return 0;
}

static struct evidence of(enum evidence_kind kind, struct ord_span first, struct ord_span second) {
    return (struct evidence) {
        .genesis_hash = net->genesis_hash, .epoch = net->config.epoch, .kind = kind, .first = first, .second = second};
}

static enum ord_err verify(struct evidence_claim *claim, const struct evidence *evidence) {
    const char *why = NULL;
    enum ord_err err = evidence_verify(claim, evidence, &net->config, &net->genesis_hash, &net->ops, &why);
    assert_true(err == ORD_OK || why != NULL);
    return err;
}

static enum ord_err judge(enum evidence_kind kind, struct ord_span first, struct ord_span second) {
    struct evidence_claim claim;
    struct evidence evidence = of(kind, first, second);
    return verify(&claim, &evidence);
}

static struct ord_span vote(int slot, enum bft_type type, uint64_t view, uint64_t seq, uint8_t fill, ord_node_id by) {
    return lie_vote(slot, &core, &net->signers[by], type, view, seq, fill, by);
}

static struct ord_span attestation(int slot, uint64_t seq, uint8_t fill, ord_node_id by) {
    return lie_attestation(slot, &core, &net->signers[by], seq, fill, by);
}

static void expect_claim(const struct evidence *evidence, ord_node_id culprit, enum evidence_type type, uint64_t view,
                         uint64_t seq) {
    struct evidence_claim claim;
    struct evidence_place place;
    ord_node_id about;
    assert_ok(verify(&claim, evidence));
    assert_int_equal(claim.culprit, culprit);
    assert_int_equal(claim.epoch, net->config.epoch);
    const struct evidence_place expected = {type, view, seq};
    assert_true(evidence_place_equal(&claim.place, &expected));
    assert_int_equal(claim.said[0].digest.bytes[5], 1);
    assert_int_equal(claim.said[1].digest.bytes[5], 2);
    assert_ok(evidence_about(&about, &place, evidence, &core));
    assert_int_equal(about, culprit);
    assert_true(evidence_place_equal(&place, &expected));
}

static void evidence__proves_every_kind_of_contradiction(void **state) {
    (void) state;
    static const struct {
        enum bft_type type;
        enum evidence_type shown;
        const char *name;
        uint64_t seq;
    } kinds[] = {
        {BFT_PRE_PREPARE, EVIDENCE_PRE_PREPARE, "PRE-PREPARE", 9},
        {BFT_PREPARE, EVIDENCE_PREPARE, "PREPARE", 9},
        {BFT_VIEW_CHANGE, EVIDENCE_VIEW_CHANGE, "VIEW-CHANGE", 0},
        {BFT_NEW_VIEW, EVIDENCE_NEW_VIEW, "NEW-VIEW", 0},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct evidence evidence = of(EVIDENCE_VOTES, vote(0, kinds[i].type, 4, kinds[i].seq, 1, 2),
                                      vote(1, kinds[i].type, 4, kinds[i].seq, 2, 2));
        expect_claim(&evidence, 2, kinds[i].shown, 4, kinds[i].seq);
        assert_string_equal(evidence_type_name(kinds[i].shown), kinds[i].name);
    }
    struct evidence evidence = of(EVIDENCE_ATTESTATIONS, attestation(0, 12, 1, 3), attestation(1, 12, 2, 3));
    expect_claim(&evidence, 3, EVIDENCE_ATTESTATION, 0, 12);
    assert_string_equal(evidence_type_name(EVIDENCE_ATTESTATION), "ATTESTATION");
}

static void evidence__proves_votes_out_of_lists(void **state) {
    (void) state;
    struct evidence evidence =
        of(EVIDENCE_VOTES, lie_listed(0, &core, &net->signers[1], 2, 70, 1, 1, BFT_LIST_MAX - 1, BFT_LIST_MAX),
           lie_listed(1, &core, &net->signers[1], 2, 70, 2, 1, 2, 5));
    expect_claim(&evidence, 1, EVIDENCE_PREPARE, 2, 70);
}

/* Honest replicas sign such statements all the time. Some pairs look like a contradiction but are none. */
static void evidence__honest_statements_prove_nothing(void **state) {
    (void) state;
    const enum evidence_kind votes = EVIDENCE_VOTES;
    const enum evidence_kind attestations = EVIDENCE_ATTESTATIONS;
    struct ord_span one = vote(0, BFT_PREPARE, 4, 9, 1, 2);
    assert_err(judge(votes, one, one), ORD_ERR_INVALID);
    assert_err(judge(votes, one, vote(1, BFT_PREPARE, 4, 9, 1, 2)), ORD_ERR_INVALID);     /* said twice */
    assert_err(judge(votes, one, vote(1, BFT_PREPARE, 5, 9, 2, 2)), ORD_ERR_INVALID);     /* in another view */
    assert_err(judge(votes, one, vote(1, BFT_PREPARE, 4, 10, 2, 2)), ORD_ERR_INVALID);    /* for another seq */
    assert_err(judge(votes, one, vote(1, BFT_PREPARE, 4, 9, 2, 1)), ORD_ERR_INVALID);     /* by another replica */
    assert_err(judge(votes, one, vote(1, BFT_PRE_PREPARE, 4, 9, 2, 2)), ORD_ERR_INVALID); /* of another type */
    /* The same vote, signed in lists of different lengths. */
    assert_err(judge(votes, lie_listed(0, &core, &net->signers[1], 2, 9, 1, 1, 2, 5),
                     lie_listed(1, &core, &net->signers[1], 2, 9, 1, 1, 0, 1)),
               ORD_ERR_INVALID);
    /* COMMITs are not signed, so a signed one must not count as a statement. */
    assert_err(judge(votes, vote(0, BFT_COMMIT, 4, 9, 1, 2), vote(1, BFT_COMMIT, 4, 9, 2, 2)), ORD_ERR_INVALID);

    one = attestation(0, 12, 1, 3);
    assert_err(judge(attestations, one, one), ORD_ERR_INVALID);
    assert_err(judge(attestations, one, attestation(1, 12, 1, 3)), ORD_ERR_INVALID);
    assert_err(judge(attestations, one, attestation(1, 13, 2, 3)), ORD_ERR_INVALID);
    assert_err(judge(attestations, one, attestation(1, 12, 2, 0)), ORD_ERR_INVALID);
    /* The bytes of one kind under the other kind's number, and an attestation beside a vote. */
    assert_true(judge(votes, one, attestation(1, 12, 2, 3)) != ORD_OK);
    assert_true(judge(attestations, vote(0, BFT_PREPARE, 4, 9, 1, 2), vote(1, BFT_PREPARE, 4, 9, 2, 2)) != ORD_OK);
    assert_true(judge(votes, vote(0, BFT_PREPARE, 4, 9, 1, 2), one) != ORD_OK);
}

/* Nobody is framed: a statement in a replica's name that another key signed proves nothing. */
static void evidence__a_forged_signature_proves_nothing(void **state) {
    (void) state;
    struct ord_span honest = vote(0, BFT_PREPARE, 4, 9, 1, 2);
    struct ord_span forged = lie_vote(1, &core, &net->signers[3], BFT_PREPARE, 4, 9, 2, 2);
    assert_err(judge(EVIDENCE_VOTES, honest, forged), ORD_ERR_BAD_SIGNATURE);
    assert_err(judge(EVIDENCE_VOTES, forged, honest), ORD_ERR_BAD_SIGNATURE);
    honest = attestation(0, 12, 1, 2);
    forged = lie_attestation(1, &core, &net->signers[3], 12, 2, 2);
    assert_err(judge(EVIDENCE_ATTESTATIONS, honest, forged), ORD_ERR_BAD_SIGNATURE);
    assert_err(judge(EVIDENCE_ATTESTATIONS, forged, honest), ORD_ERR_BAD_SIGNATURE);
}

/* An honest replica may make different statements in two networks or in two epochs. */
static void evidence__another_network_or_epoch_proves_nothing(void **state) {
    (void) state;
    struct ord_core_config other = core;
    other.genesis_hash.bytes[20] ^= 1; /* a byte that a message's header does not contain */
    struct ord_span honest = vote(0, BFT_PREPARE, 4, 9, 1, 2);
    struct ord_span foreign = lie_vote(1, &other, &net->signers[2], BFT_PREPARE, 4, 9, 2, 2);
    assert_err(judge(EVIDENCE_VOTES, honest, foreign), ORD_ERR_BAD_SIGNATURE);
    other.genesis_hash.bytes[0] ^= 1;
    foreign = lie_vote(1, &other, &net->signers[2], BFT_PREPARE, 4, 9, 2, 2);
    assert_err(judge(EVIDENCE_VOTES, honest, foreign), ORD_ERR_MISMATCH);
    honest = attestation(0, 12, 1, 2);
    foreign = lie_attestation(1, &other, &net->signers[2], 12, 2, 2);
    assert_err(judge(EVIDENCE_ATTESTATIONS, honest, foreign), ORD_ERR_BAD_SIGNATURE);

    other = core;
    other.epoch++;
    foreign = lie_vote(1, &other, &net->signers[2], BFT_PREPARE, 4, 9, 2, 2);
    assert_err(judge(EVIDENCE_VOTES, vote(0, BFT_PREPARE, 4, 9, 1, 2), foreign), ORD_ERR_MISMATCH);
    foreign = lie_attestation(1, &other, &net->signers[2], 12, 2, 2);
    assert_err(judge(EVIDENCE_ATTESTATIONS, attestation(0, 12, 1, 2), foreign), ORD_ERR_MISMATCH);
    /* A lie in another network proves nothing here, even if the replicas and their keys are the same. */
    struct evidence_claim claim;
    struct evidence evidence = of(EVIDENCE_ATTESTATIONS, attestation(0, 12, 1, 2), attestation(1, 12, 2, 2));
    evidence.genesis_hash.bytes[31] ^= 1;
    assert_err(verify(&claim, &evidence), ORD_ERR_MISMATCH);
    evidence.genesis_hash.bytes[31] ^= 1;
    evidence.epoch++;
    assert_err(verify(&claim, &evidence), ORD_ERR_MISMATCH);
    evidence.epoch--;
    assert_ok(verify(&claim, &evidence));
}

static void evidence__votes_count_in_pbft_channels_only(void **state) {
    (void) state;
    struct evidence_claim claim;
    struct evidence evidence = of(EVIDENCE_VOTES, vote(0, BFT_PREPARE, 4, 9, 1, 2), vote(1, BFT_PREPARE, 4, 9, 2, 2));
    struct channel_config config = net->config;
    config.consensus = CHANNEL_RAFT;
    assert_err(evidence_verify(&claim, &evidence, &config, &net->genesis_hash, &net->ops, NULL), ORD_ERR_INVALID);
}

static void evidence__unknown_replicas_are_nobody(void **state) {
    (void) state;
    struct evidence_claim claim;
    struct evidence_place place;
    ord_node_id culprit;
    struct channel_config config = net->config;
    config.replica_count = 3;
    struct ord_core_config smaller = core;
    smaller.replica_count = 3;
    struct evidence pieces[] = {
        of(EVIDENCE_VOTES, vote(0, BFT_PREPARE, 4, 9, 1, 3), vote(1, BFT_PREPARE, 4, 9, 2, 3)),
        of(EVIDENCE_ATTESTATIONS, attestation(2, 12, 1, 3), attestation(3, 12, 2, 3)),
    };
    for (int i = 0; i < 2; i++) {
        assert_ok(verify(&claim, &pieces[i]));
        assert_err(evidence_verify(&claim, &pieces[i], &config, &net->genesis_hash, &net->ops, NULL), ORD_ERR_INVALID);
        assert_err(evidence_about(&culprit, &place, &pieces[i], &smaller), ORD_ERR_INVALID);
    }
}

static enum ord_err check_file(struct ord_span bytes) {
    struct evidence evidence;
    struct evidence_claim claim;
    enum ord_err err = evidence_take(&evidence, &bytes);
    if (err == ORD_OK && bytes.size > 0)
        return ORD_ERR_INVALID;
    return err == ORD_OK ? verify(&claim, &evidence) : err;
}

static void expect_only_itself(const struct evidence *evidence) {
    uint8_t bytes[EVIDENCE_SIZE_MAX];
    uint8_t again[EVIDENCE_SIZE_MAX];
    struct evidence taken;
    size_t size = evidence_encode(bytes, evidence);
    struct ord_span left = ord_span_of(bytes, size);
    assert_ok(evidence_take(&taken, &left));
    assert_int_equal(left.size, 0);
    assert_true(ord_span_equal(taken.first, evidence->first) && ord_span_equal(taken.second, evidence->second));
    assert_int_equal(evidence_encode(again, &taken), size);
    assert_memory_equal(again, bytes, size);
    assert_ok(check_file(ord_span_of(bytes, size)));
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_true(check_file(ord_span_of(bytes, size)) != ORD_OK);
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++)
        assert_true(check_file(ord_span_of(bytes, cut)) != ORD_OK);
}

static void file__every_flipped_bit_and_every_cut_is_refused(void **state) {
    (void) state;
    struct evidence pieces[] = {
        of(EVIDENCE_VOTES, lie_listed(0, &core, &net->signers[1], 2, 70, 1, 1, 0, 5),
           vote(1, BFT_PREPARE, 2, 70, 2, 1)),
        of(EVIDENCE_ATTESTATIONS, attestation(2, 12, 1, 3), attestation(3, 12, 2, 3)),
    };
    expect_only_itself(&pieces[0]);
    expect_only_itself(&pieces[1]);
}

static void file__holds_pieces_end_to_end(void **state) {
    (void) state;
    uint8_t bytes[2 * EVIDENCE_SIZE_MAX + 1];
    struct evidence votes = of(EVIDENCE_VOTES, vote(0, BFT_PREPARE, 4, 9, 1, 2), vote(1, BFT_PREPARE, 4, 9, 2, 2));
    struct evidence states = of(EVIDENCE_ATTESTATIONS, attestation(2, 12, 1, 3), attestation(3, 12, 2, 3));
    struct evidence taken;
    size_t size = evidence_encode(bytes, &votes);
    size += evidence_encode(bytes + size, &states);
    bytes[size] = 'x';
    struct ord_span left = ord_span_of(bytes, size + 1);
    assert_ok(evidence_take(&taken, &left));
    expect_claim(&taken, 2, EVIDENCE_PREPARE, 4, 9);
    assert_ok(evidence_take(&taken, &left));
    expect_claim(&taken, 3, EVIDENCE_ATTESTATION, 0, 12);
    assert_int_equal(left.size, 1);
    assert_err(evidence_take(&taken, &left), ORD_ERR_INVALID);
    assert_int_equal(left.size, 1);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test_setup_teardown(evidence__proves_every_kind_of_contradiction, open_net, close_net),
    cmocka_unit_test_setup_teardown(evidence__proves_votes_out_of_lists, open_net, close_net),
    cmocka_unit_test_setup_teardown(evidence__honest_statements_prove_nothing, open_net, close_net),
    cmocka_unit_test_setup_teardown(evidence__a_forged_signature_proves_nothing, open_net, close_net),
    cmocka_unit_test_setup_teardown(evidence__another_network_or_epoch_proves_nothing, open_net, close_net),
    cmocka_unit_test_setup_teardown(evidence__votes_count_in_pbft_channels_only, open_net, close_net),
    cmocka_unit_test_setup_teardown(evidence__unknown_replicas_are_nobody, open_net, close_net),
    cmocka_unit_test_setup_teardown(file__every_flipped_bit_and_every_cut_is_refused, open_net, close_net),
    cmocka_unit_test_setup_teardown(file__holds_pieces_end_to_end, open_net, close_net),
};
TEST_CASES(cases);
