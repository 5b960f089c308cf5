/*
 * Evidence at a replica. Contradicting statements that a replica signed are kept once, within bounds and across
 * restarts, and given out. Nobody is accused of anything that the signatures do not prove.
 */
#include "tests/support/node_support.h"

#include <stdlib.h>
#include <string.h>

#include "bft/wire/proof.h"
#include "tests/support/test_main.h"

static uint32_t kept(struct node_world *world, ord_node_id culprit) {
    return world->replica->accusations.committed[culprit];
}

/* One vote of `sender` in a PREPARE of its own. `fill` fills the digest. */
static void send_prepare(struct node_world *world, ord_node_id sender, uint64_t seq, uint8_t fill) {
    const struct ord_core_config *config = &world->replica->setup.core_config;
    struct bft_vote_list list = {.type = BFT_PREPARE, .sender = sender, .count = 1};
    struct bft_vote_tree tree;
    struct ord_hash hash;
    uint8_t bytes[BFT_PREPARE_SIZE_MAX];
    list.votes[0].seq = seq;
    memset(list.votes[0].digest.bytes, fill, ORD_HASH_SIZE);
    bft_vote_tree_build(&tree, config, &list);
    bft_vote_tree_signed_hash(&hash, &tree, config);
    assert_ok(crypto_sign(&list.signature, &world->keys[sender], &hash));
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_vote_list_encode(&writer, config, &list);
    node_world_send(world, sender, REPLICA_LINK_CORE, ord_writer_span(&writer));
}

static struct channel_statement statement_of(const struct node_world *world, uint64_t seq, uint8_t fill) {
    struct channel_statement statement = {.epoch = world->replica->setup.core_config.epoch, .seq = seq, .height = 1};
    memset(statement.state_digest.bytes, fill, ORD_HASH_SIZE);
    return statement;
}

static void send_attestation(struct node_world *world, ord_node_id signer, uint64_t seq, uint8_t fill) {
    struct channel_statement statement = statement_of(world, seq, fill);
    node_world_send_attestation(world, signer, &statement);
    node_world_until_idle(world, signer);
}

static void contradict_prepare(struct node_world *world, ord_node_id liar, uint64_t seq) {
    send_prepare(world, liar, seq, 1);
    node_world_until_idle(world, liar);
    send_prepare(world, liar, seq, 2);
    node_world_until_idle(world, liar);
}

/* A backup other than our replica. */
static ord_node_id a_liar(const struct node_world *world) {
    ord_node_id other = node_world_other(world, 0);
    assert_true(other != world->primary);
    return other;
}

static Ordain__V1__Response *ask(struct node_world *world, uint32_t against) {
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__EvidenceRequest evidence = ORDAIN__V1__EVIDENCE_REQUEST__INIT;
    evidence.against = against;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_EVIDENCE;
    request.evidence = &evidence;
    return node_world_ask(world, &request);
}

/* The reader thread gives out exactly this many pieces against the liar, and each of them proves its contradiction. */
static void expect_given(struct node_world *world, ord_node_id liar, size_t count) {
    Ordain__V1__Response *response = ask(world, liar + 1);
    assert_int_equal(response->status, ORDAIN__V1__STATUS__OK);
    assert_int_equal(response->kind_case, ORDAIN__V1__RESPONSE__KIND_EVIDENCE);
    assert_int_equal(response->evidence->n_pieces, count);
    for (size_t i = 0; i < count; i++) {
        struct evidence evidence;
        struct evidence_claim claim;
        struct ord_span left = ord_span_of(response->evidence->pieces[i].data, response->evidence->pieces[i].len);
        assert_ok(evidence_take(&evidence, &left));
        assert_int_equal(left.size, 0);
        assert_ok(evidence_verify(&claim, &evidence, world->node->channel_config, &world->node->genesis_hash,
                                  &world->node->crypto, NULL));
        assert_int_equal(claim.culprit, liar);
    }
    ordain__v1__response__free_unpacked(response, NULL);
}

static void expect_status(struct node_world *world, ord_node_id liar, uint32_t pieces) {
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__StatusRequest status = ORDAIN__V1__STATUS_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_STATUS;
    request.status = &status;
    Ordain__V1__Response *response = node_world_ask(world, &request);
    assert_int_equal(response->replica->n_evidence, 1);
    assert_int_equal(response->replica->evidence[0]->replica, liar);
    assert_int_equal(response->replica->evidence[0]->pieces, pieces);
    ordain__v1__response__free_unpacked(response, NULL);
}

static void accuse__two_prepares_are_kept_once_also_after_a_restart(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = a_liar(&world);
    contradict_prepare(&world, liar, 1);
    assert_int_equal(kept(&world, liar), 1);
    expect_status(&world, liar, 1);
    expect_given(&world, liar, 1);
    node_world_stop(&world);
    node_world_start(&world);
    assert_int_equal(kept(&world, liar), 1);
    /* The core does not remember the first one. The disk does. */
    contradict_prepare(&world, liar, 1);
    assert_int_equal(world.replica->counters.evidence, 1);
    assert_int_equal(kept(&world, liar), 1);
    contradict_prepare(&world, liar, 2);
    assert_int_equal(kept(&world, liar), 2);
    node_world_stop(&world);
    node_world_start(&world);
    expect_status(&world, liar, 2);
    expect_given(&world, liar, 2);
    node_world_close(&world);
}

static void accuse__two_attestations_are_kept(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = a_liar(&world);
    send_attestation(&world, liar, 7, 1);
    /* Repeating a statement is no lie. */
    send_attestation(&world, liar, 7, 1);
    assert_int_equal(kept(&world, liar), 0);
    send_attestation(&world, liar, 7, 2);
    send_attestation(&world, liar, 7, 3);
    assert_int_equal(world.replica->counters.evidence, 2);
    assert_int_equal(kept(&world, liar), 1);
    expect_given(&world, liar, 1);
    node_world_close(&world);
}

/* A liar tells us one thing, and the others another. A certificate of theirs with its signature in it shows both. */
static void accuse__an_attestation_that_differs_from_a_certificate_is_kept(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = a_liar(&world);
    send_attestation(&world, liar, 7, 1);
    struct channel_statement statement = statement_of(&world, 7, 2);
    struct channel_certificate certificate = {.statement = statement, .count = 0};
    for (ord_node_id i = 0; i < 4; i++) {
        struct channel_attestation attestation;
        if (i == world.self)
            continue;
        node_world_attest(&world, &attestation, i, &statement);
        certificate.signers[certificate.count] = i;
        certificate.signatures[certificate.count++] = attestation.signature;
    }
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &certificate);
    node_world_send(&world, world.primary, REPLICA_LINK_CERTIFICATE, ord_span_of(bytes, size));
    node_world_until_idle(&world, world.primary);
    assert_int_equal(kept(&world, liar), 1);
    assert_int_equal(kept(&world, world.primary), 0);
    expect_given(&world, liar, 1);
    node_world_close(&world);
}

static void accuse__keeps_so_many_against_one_and_the_first(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = a_liar(&world);
    for (uint64_t seq = 1; seq <= RECORD_EVIDENCE_SLOTS + 4; seq++) {
        send_attestation(&world, liar, seq, 1);
        send_attestation(&world, liar, seq, 2);
    }
    assert_int_equal(world.replica->counters.evidence, RECORD_EVIDENCE_SLOTS + 4);
    assert_int_equal(kept(&world, liar), RECORD_EVIDENCE_SLOTS);
    for (uint32_t i = 0; i < RECORD_EVIDENCE_SLOTS; i++)
        assert_int_equal(world.replica->accusations.places[liar][i].seq, i + 1);
    /* It does not take the others' room either. */
    send_attestation(&world, world.primary, 3, 1);
    send_attestation(&world, world.primary, 3, 2);
    assert_int_equal(kept(&world, world.primary), 1);
    node_world_stop(&world);
    node_world_start(&world);
    assert_int_equal(kept(&world, liar), RECORD_EVIDENCE_SLOTS);
    assert_int_equal(kept(&world, world.primary), 1);
    expect_given(&world, liar, RECORD_EVIDENCE_SLOTS);
    Ordain__V1__Response *response = ask(&world, 0);
    assert_int_equal(response->evidence->n_pieces, RECORD_EVIDENCE_SLOTS + 1);
    ordain__v1__response__free_unpacked(response, NULL);
    response = ask(&world, 5);
    assert_int_equal(response->status, ORDAIN__V1__STATUS__BAD_REQUEST);
    ordain__v1__response__free_unpacked(response, NULL);
    node_world_close(&world);
}

/* An accusation that the signatures do not prove is not kept, whoever asks for it. */
static void accuse__nobody_is_framed(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id honest = a_liar(&world);
    struct channel_attestation said[2];
    struct channel_statement statements[2] = {statement_of(&world, 7, 1), statement_of(&world, 7, 2)};
    node_world_attest(&world, &said[0], honest, &statements[0]);
    node_world_attest(&world, &said[1], world.primary, &statements[1]);
    said[1].signer = honest;
    accuse_attestations(world.replica, &said[0], &said[1]);
    accuse_attestations(world.replica, &said[0], &said[0]);
    accuse_votes(world.replica, ord_span_of("first", 5), ord_span_of("second", 6));
    assert_int_equal(world.replica->counters.evidence_refused, 3);
    node_world_turn(&world, 0);
    for (ord_node_id i = 0; i < 4; i++)
        assert_int_equal(kept(&world, i), 0);
    node_world_close(&world);
}

/*
 * Evidence on disk that proves nothing, or that is filed under another name, means a damaged disk. It is no accusation.
 */
static void accuse__a_wrong_record_is_corrupt(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = a_liar(&world);
    contradict_prepare(&world, liar, 1);
    char name[RECORD_EVIDENCE_SIZE];
    struct ord_bytes bytes;
    record_evidence_name(name, liar, 0);
    assert_ok(ledger_get_meta(world.node->ledger, &bytes, name));
    assert_ok(accuse_recover(world.replica));
    assert_int_equal(kept(&world, liar), 1);

    record_evidence_name(name, liar, 1); /* the same piece again */
    assert_ok(ledger_put_meta(world.node->ledger, name, ord_span_of(bytes.data, bytes.size)));
    assert_ok(ledger_commit(world.node->ledger));
    assert_err(accuse_recover(world.replica), ORD_ERR_CORRUPT);
    assert_ok(ledger_put_meta(world.node->ledger, name, ord_span_of(NULL, 0)));
    record_evidence_name(name, world.primary, 0);
    assert_ok(ledger_put_meta(world.node->ledger, name, ord_span_of(bytes.data, bytes.size)));
    assert_ok(ledger_commit(world.node->ledger));
    assert_err(accuse_recover(world.replica), ORD_ERR_CORRUPT);
    assert_ok(ledger_put_meta(world.node->ledger, name, ord_span_of(NULL, 0)));
    record_evidence_name(name, liar, 0);
    bytes.data[bytes.size / 2] ^= 1;
    assert_ok(ledger_put_meta(world.node->ledger, name, ord_span_of(bytes.data, bytes.size)));
    assert_ok(ledger_commit(world.node->ledger));
    assert_err(accuse_recover(world.replica), ORD_ERR_CORRUPT);
    free(bytes.data);
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(accuse__two_prepares_are_kept_once_also_after_a_restart),
    cmocka_unit_test(accuse__two_attestations_are_kept),
    cmocka_unit_test(accuse__an_attestation_that_differs_from_a_certificate_is_kept),
    cmocka_unit_test(accuse__keeps_so_many_against_one_and_the_first),
    cmocka_unit_test(accuse__nobody_is_framed),
    cmocka_unit_test(accuse__a_wrong_record_is_corrupt),
};
TEST_CASES(cases);
