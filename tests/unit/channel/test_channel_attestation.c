/*
 * Attestations, certificates and the collector.
 */
#include "channel/attestation.h"

#include <stdlib.h>
#include <string.h>

#include "channel/checkpoint.h"
#include "channel/envelope.h"
#include "crypto/hash.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

static int setup(void **state) {
    *state = net_create(NULL);
    return 0;
}

static int teardown(void **state) {
    net_destroy(*state);
    return 0;
}

static struct channel_statement sample(uint64_t seq) {
    struct channel_statement statement = {.epoch = 1, .seq = seq, .height = 5};
    memset(&statement.header_hash, 0xaa, sizeof(statement.header_hash));
    memset(&statement.state_digest, 0xbb, sizeof(statement.state_digest));
    return statement;
}

static struct channel_attestation attest(const struct net *net, const struct channel_statement *statement,
                                         ord_node_id self) {
    struct channel_attestation attestation;
    assert_ok(channel_attest(&attestation, &net->genesis_hash, statement, self, &net->signers[self]));
    return attestation;
}

static enum ord_err verify(const struct net *net, const struct channel_certificate *certificate, uint32_t quorum) {
    return channel_certificate_verify(certificate, &net->config, &net->genesis_hash, &net->ops, quorum);
}

static void attestation__comes_back_and_verifies(void **state) {
    struct net *net = *state;
    const struct channel_statement statement = sample(9);
    struct channel_attestation attestation = attest(net, &statement, 2);
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE + 1] = {0};
    channel_attestation_encode(bytes, &attestation);
    struct channel_attestation decoded;
    assert_ok(channel_attestation_decode(&decoded, ord_span_of(bytes, CHANNEL_ATTESTATION_SIZE)));
    assert_true(channel_statement_equal(&decoded.statement, &statement));
    assert_int_equal(decoded.signer, 2);
    assert_true(channel_attestation_verify(&decoded, &net->genesis_hash, &net->ops));
    assert_err(channel_attestation_decode(&decoded, ord_span_of(bytes, sizeof(bytes))), ORD_ERR_INVALID);
    assert_err(channel_attestation_decode(&decoded, ord_span_of(bytes, CHANNEL_ATTESTATION_SIZE - 1)), ORD_ERR_INVALID);
    ord_store_u32(bytes + CHANNEL_STATEMENT_SIZE, ORD_REPLICA_MAX);
    assert_err(channel_attestation_decode(&decoded, ord_span_of(bytes, CHANNEL_ATTESTATION_SIZE)), ORD_ERR_INVALID);
}

static void attestation__signature_covers_every_field(void **state) {
    struct net *net = *state;
    const struct channel_statement statement = sample(9);
    const struct channel_attestation attestation = attest(net, &statement, 2);
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
    channel_attestation_encode(bytes, &attestation);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        struct channel_attestation forged;
        bytes[i] ^= 1;
        if (channel_attestation_decode(&forged, ord_span_of(bytes, sizeof(bytes))) == ORD_OK)
            assert_false(channel_attestation_verify(&forged, &net->genesis_hash, &net->ops));
        bytes[i] ^= 1;
    }
    struct ord_hash other = net->genesis_hash;
    other.bytes[0] ^= 1;
    assert_false(channel_attestation_verify(&attestation, &other, &net->ops));
}

/* Row T8: the same bytes hashed as another kind of statement give another hash, so no signature fits both. */
static void attestation__is_no_envelope_and_no_header(void **state) {
    struct net *net = *state;
    const struct channel_statement statement = sample(9);
    struct ord_hash as_statement;
    channel_statement_hash(&as_statement, &net->genesis_hash, &statement, 2);
    uint8_t bytes[32 + CHANNEL_ATTESTATION_SIZE];
    const struct channel_attestation attestation = attest(net, &statement, 2);
    memcpy(bytes, &net->genesis_hash, 32);
    channel_attestation_encode(bytes + 32, &attestation);
    const struct ord_span body = ord_span_of(bytes, 32 + CHANNEL_STATEMENT_SIZE + 4);
    struct ord_hash as_envelope;
    channel_envelope_id(&as_envelope, body);
    assert_false(ord_hash_equal(&as_statement, &as_envelope));
    struct ord_hash untagged;
    crypto_sha256(&untagged, &body, 1);
    assert_false(ord_hash_equal(&as_statement, &untagged));
    /* If a client uses a replica's key, its envelope's signature still does not pass for an attestation. */
    struct channel_attestation moved = {.statement = statement, .signer = 2};
    assert_ok(crypto_sign(&moved.signature, &net->replica_keys[2], &as_envelope));
    assert_false(channel_attestation_verify(&moved, &net->genesis_hash, &net->ops));
}

static void certificate__comes_back_and_verifies(void **state) {
    struct net *net = *state;
    const struct channel_statement statement = sample(64);
    const struct channel_certificate certificate = net_certificate(net, &statement, 3);
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX + 1] = {0};
    size_t size = channel_certificate_encode(bytes, &certificate);
    assert_int_equal(size, 1 + CHANNEL_STATEMENT_SIZE + 4 + 3 * (4 + ORD_SIGNATURE_SIZE));
    struct channel_certificate decoded;
    assert_ok(channel_certificate_decode(&decoded, ord_span_of(bytes, size)));
    assert_ok(verify(net, &decoded, 3));
    assert_ok(verify(net, &decoded, 2));
    for (size_t i = 0; i < size; i++)
        assert_err(channel_certificate_decode(&decoded, ord_span_of(bytes, i)), ORD_ERR_INVALID);
    assert_err(channel_certificate_decode(&decoded, ord_span_of(bytes, size + 1)), ORD_ERR_INVALID);
}

/* Row T11: wild counts are refused when a certificate is decoded. */
static void certificate__wild_counts_are_refused(void **state) {
    struct net *net = *state;
    const struct channel_statement statement = sample(64);
    const struct channel_certificate certificate = net_certificate(net, &statement, 3);
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &certificate);
    struct channel_certificate decoded;
    static const uint32_t counts[] = {0, 2, 4, ORD_REPLICA_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        ord_store_u32(bytes + 1 + CHANNEL_STATEMENT_SIZE, counts[i]);
        assert_err(channel_certificate_decode(&decoded, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    }
}

/*
 * Rows D3 and V5: too few signers, one signer twice, unknown signers, another epoch, a bad signature among good ones.
 */
static void certificate__forgeries_are_refused(void **state) {
    struct net *net = *state;
    const struct channel_statement statement = sample(64);
    const struct channel_certificate good = net_certificate(net, &statement, 3);
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    struct channel_certificate forged = net_certificate(net, &statement, 1);
    assert_err(verify(net, &forged, 2), ORD_ERR_INVALID);
    assert_err(verify(net, &good, 4), ORD_ERR_INVALID);

    forged = good;
    forged.signers[1] = 0;
    forged.signatures[1] = forged.signatures[0];
    assert_err(verify(net, &forged, 3), ORD_ERR_INVALID);
    size_t size = channel_certificate_encode(bytes, &forged);
    assert_err(channel_certificate_decode(&forged, ord_span_of(bytes, size)), ORD_ERR_INVALID);

    forged = good;
    forged.signers[0] = 1; /* out of order */
    forged.signers[1] = 0;
    size = channel_certificate_encode(bytes, &forged);
    assert_err(channel_certificate_decode(&forged, ord_span_of(bytes, size)), ORD_ERR_INVALID);

    forged = good;
    forged.signers[2] = 4;
    assert_err(verify(net, &forged, 3), ORD_ERR_INVALID);

    forged = good;
    forged.signers[2] = 3; /* names another signer */
    assert_err(verify(net, &forged, 3), ORD_ERR_BAD_SIGNATURE);
    forged = good;
    forged.signatures[2].bytes[5] ^= 1;
    assert_err(verify(net, &forged, 2), ORD_ERR_BAD_SIGNATURE);
    forged = good;
    forged.statement.state_digest.bytes[0] ^= 1;
    assert_err(verify(net, &forged, 3), ORD_ERR_BAD_SIGNATURE);

    struct channel_statement later = statement;
    later.epoch = 2;
    forged = net_certificate(net, &later, 3);
    assert_err(verify(net, &forged, 3), ORD_ERR_MISMATCH);
    net->config.epoch = 2; /* now the first certificate is of an old epoch */
    assert_err(verify(net, &good, 3), ORD_ERR_MISMATCH);
    assert_ok(verify(net, &forged, 3));
}

static struct channel_collector *collector_of(struct net *net) {
    struct channel_collector *collector;
    channel_collector_init(&collector, net_alloc(net, channel_collector_size(4)), 4);
    return collector;
}

static void collector__gives_a_certificate_of_all_who_agree(void **state) {
    struct net *net = *state;
    struct channel_collector *collector = collector_of(net);
    const struct channel_statement statement = sample(7);
    struct channel_certificate certificate;
    static const ord_node_id order[] = {3, 0, 2};
    static const enum ord_err expected[] = {ORD_ERR_NOT_FOUND, ORD_OK, ORD_OK};
    for (uint32_t i = 0; i < 3; i++) {
        const struct channel_attestation attestation = attest(net, &statement, order[i]);
        assert_err(channel_collector_add(collector, &certificate, &attestation, 2), expected[i]);
        assert_err(channel_collector_add(collector, &certificate, &attestation, 2), ORD_ERR_DUPLICATE);
    }
    const struct channel_attestation last = attest(net, &statement, 1);
    assert_ok(channel_collector_add(collector, &certificate, &last, 2));
    assert_int_equal(certificate.count, 4);
    assert_ok(verify(net, &certificate, 4));
}

/*
 * Row C1: a wrong state digest is never counted with the others. A signer's second statement about a seq is evidence.
 */
static void collector__counts_only_statements_that_match(void **state) {
    struct net *net = *state;
    struct channel_collector *collector = collector_of(net);
    const struct channel_statement statement = sample(7);
    struct channel_statement wrong = statement;
    wrong.state_digest.bytes[31] ^= 1;
    struct channel_certificate certificate;
    struct channel_attestation attestation = attest(net, &wrong, 0);
    assert_err(channel_collector_add(collector, &certificate, &attestation, 3), ORD_ERR_NOT_FOUND);
    attestation = attest(net, &statement, 1);
    assert_err(channel_collector_add(collector, &certificate, &attestation, 3), ORD_ERR_NOT_FOUND);
    attestation = attest(net, &statement, 2);
    assert_err(channel_collector_add(collector, &certificate, &attestation, 3), ORD_ERR_NOT_FOUND);
    attestation = attest(net, &statement, 0); /* the first one is kept */
    assert_err(channel_collector_add(collector, &certificate, &attestation, 3), ORD_ERR_MISMATCH);
    attestation = attest(net, &statement, 3);
    assert_ok(channel_collector_add(collector, &certificate, &attestation, 3));
    assert_int_equal(certificate.count, 3);
    assert_int_equal(certificate.signers[0], 1);
    assert_ok(verify(net, &certificate, 3));
}

static void collector__wild_seqs_displace_only_their_own(void **state) {
    struct net *net = *state;
    struct channel_collector *collector = collector_of(net);
    struct channel_certificate certificate;
    struct channel_statement statement = sample(7);
    struct channel_attestation attestation = attest(net, &statement, 1);
    assert_err(channel_collector_add(collector, &certificate, &attestation, 2), ORD_ERR_NOT_FOUND);
    for (uint64_t i = 0; i < 3 * CHANNEL_COLLECTOR_DEPTH; i++) {
        struct channel_attestation wild = {.statement = sample(UINT64_MAX - i * i), .signer = 0};
        assert_err(channel_collector_add(collector, &certificate, &wild, 2), ORD_ERR_NOT_FOUND);
    }
    attestation = attest(net, &statement, 0); /* older than all that are kept of the liar */
    assert_err(channel_collector_add(collector, &certificate, &attestation, 2), ORD_ERR_NOT_FOUND);
    attestation = attest(net, &statement, 2);
    assert_ok(channel_collector_add(collector, &certificate, &attestation, 2));
    assert_int_equal(certificate.count, 2);
}

static void collector__keeps_the_newest_of_a_signer_in_any_order(void **state) {
    struct net *net = *state;
    struct channel_collector *collector = collector_of(net);
    struct channel_certificate certificate;
    struct dice dice = {.state = 11};
    uint64_t seqs[200];
    for (uint64_t i = 0; i < 200; i++)
        seqs[i] = i + 1;
    for (uint32_t i = 199; i > 0; i--) {
        uint32_t other = dice_below(&dice, i + 1);
        uint64_t seq = seqs[i];
        seqs[i] = seqs[other];
        seqs[other] = seq;
    }
    for (uint32_t i = 0; i < 200; i++) {
        const struct channel_attestation attestation = {.statement = sample(seqs[i]), .signer = 1};
        assert_err(channel_collector_add(collector, &certificate, &attestation, 2), ORD_ERR_NOT_FOUND);
    }
    for (uint64_t seq = 1; seq <= 200; seq++) {
        const struct channel_attestation attestation = {.statement = sample(seq), .signer = 2};
        assert_err(channel_collector_add(collector, &certificate, &attestation, 2),
                   seq > 200 - CHANNEL_COLLECTOR_DEPTH ? ORD_OK : ORD_ERR_NOT_FOUND);
    }
}

static void collector__prune_drops_what_is_covered(void **state) {
    struct net *net = *state;
    struct channel_collector *collector = collector_of(net);
    struct channel_certificate certificate;
    for (uint64_t seq = 1; seq <= 4; seq++) {
        const struct channel_attestation attestation = {.statement = sample(seq), .signer = 1};
        assert_err(channel_collector_add(collector, &certificate, &attestation, 2), ORD_ERR_NOT_FOUND);
    }
    channel_collector_prune(collector, 2);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        const struct channel_attestation attestation = {.statement = sample(seq), .signer = 2};
        assert_err(channel_collector_add(collector, &certificate, &attestation, 2),
                   seq <= 2 ? ORD_ERR_NOT_FOUND : ORD_OK);
    }
    channel_collector_prune(collector, UINT64_MAX);
    const struct channel_attestation attestation = {.statement = sample(4), .signer = 3};
    assert_err(channel_collector_add(collector, &certificate, &attestation, 2), ORD_ERR_NOT_FOUND);
    const struct channel_attestation stranger = {.statement = sample(4), .signer = 4};
    assert_err(channel_collector_add(collector, &certificate, &stranger, 2), ORD_ERR_INVALID);
}

static void statement__is_the_same_in_every_field_or_another(void **state) {
    (void) state;
    const struct channel_statement statement = sample(9);
    struct channel_statement others[5] = {statement, statement, statement, statement, statement};
    assert_true(channel_statement_equal(&statement, &others[0]));
    others[0].epoch++;
    others[1].seq++;
    others[2].height++;
    others[3].header_hash.bytes[31] ^= 1;
    others[4].state_digest.bytes[0] ^= 1;
    for (size_t i = 0; i < 5; i++)
        assert_false(channel_statement_equal(&statement, &others[i]));
}

static void certificate__of_nobody_or_of_too_many_is_refused(void **state) {
    struct net *net = *state;
    const struct channel_statement statement = sample(9);
    struct channel_certificate certificate = net_certificate(net, &statement, 4);
    assert_ok(verify(net, &certificate, 3));
    certificate.count = 0;
    assert_err(verify(net, &certificate, 0), ORD_ERR_INVALID);
    certificate.count = 5; /* but there are four replicas */
    assert_err(verify(net, &certificate, 3), ORD_ERR_INVALID);
}

static void collector__tells_what_somebody_attested(void **state) {
    struct net *net = *state;
    struct channel_collector *collector;
    struct channel_certificate certificate;
    struct channel_attestation found;
    channel_collector_init(&collector, net_alloc(net, channel_collector_size(4)), 4);
    const struct channel_statement statement = sample(9);
    const struct channel_attestation attestation = attest(net, &statement, 2);
    assert_err(channel_collector_add(collector, &certificate, &attestation, 2), ORD_ERR_NOT_FOUND);
    assert_true(channel_collector_find(collector, &found, 2, 9));
    assert_memory_equal(&found.signature, &attestation.signature, sizeof(found.signature));
    assert_true(channel_statement_equal(&found.statement, &statement));
    assert_false(channel_collector_find(collector, &found, 2, 8));
    assert_false(channel_collector_find(collector, &found, 1, 9));
    assert_false(channel_collector_find(collector, &found, 4, 9)); /* no such replica */
}

/* A core accepts this as the proof of a stable checkpoint. */
static void checkpoint__is_a_certificate_of_a_strong_quorum(void **state) {
    struct net *net = *state;
    const struct channel_checkpoints context = {
        .config = &net->config, .genesis_hash = &net->genesis_hash, .crypto = &net->ops};
    const struct channel_statement statement = sample(9);
    struct ord_checkpoint_ops ops;
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    uint64_t seq = 1;
    channel_checkpoint_ops(&ops, &context);
    struct channel_certificate certificate = net_certificate(net, &statement, 3);
    size_t size = channel_certificate_encode(bytes, &certificate);
    assert_true(size <= ops.size_max);
    assert_ok(ops.verify(ops.context, &seq, ord_span_of(bytes, size)));
    assert_int_equal(seq, 9);
    assert_err(ops.verify(ops.context, &seq, ord_span_of(bytes, size - 1)), ORD_ERR_INVALID);
    assert_int_equal(seq, 0);
    certificate = net_certificate(net, &statement, 2);
    seq = 1;
    size = channel_certificate_encode(bytes, &certificate);
    assert_err(ops.verify(ops.context, &seq, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    assert_int_equal(seq, 0);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test_setup_teardown(attestation__comes_back_and_verifies, setup, teardown),
    cmocka_unit_test_setup_teardown(attestation__signature_covers_every_field, setup, teardown),
    cmocka_unit_test_setup_teardown(attestation__is_no_envelope_and_no_header, setup, teardown),
    cmocka_unit_test_setup_teardown(certificate__comes_back_and_verifies, setup, teardown),
    cmocka_unit_test_setup_teardown(certificate__wild_counts_are_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(certificate__forgeries_are_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(collector__gives_a_certificate_of_all_who_agree, setup, teardown),
    cmocka_unit_test_setup_teardown(collector__counts_only_statements_that_match, setup, teardown),
    cmocka_unit_test_setup_teardown(collector__wild_seqs_displace_only_their_own, setup, teardown),
    cmocka_unit_test_setup_teardown(collector__keeps_the_newest_of_a_signer_in_any_order, setup, teardown),
    cmocka_unit_test_setup_teardown(collector__prune_drops_what_is_covered, setup, teardown),
    cmocka_unit_test(statement__is_the_same_in_every_field_or_another),
    cmocka_unit_test_setup_teardown(certificate__of_nobody_or_of_too_many_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(collector__tells_what_somebody_attested, setup, teardown),
    cmocka_unit_test_setup_teardown(checkpoint__is_a_certificate_of_a_strong_quorum, setup, teardown),
};
TEST_CASES(cases);
