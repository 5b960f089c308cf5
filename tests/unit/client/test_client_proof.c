/*
 * The client's check of receipts: the signatures of a certificate are checked once, and everything else of a receipt
 * each time.
 */
#include "client/flow/proof.h"

#include <string.h>

#include "client/trust.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

enum { HEIGHT = 2, ENVELOPES = 5 };

/* Blocks with 1, 5 and 1 envelopes, and a client that trusts their genesis block. */
struct fixture {
    struct net *net;
    struct chain_log *log;
    struct client_trust trust;
    struct client_proof_cache cache;
};

static int setup(void **state) {
    struct net *net = net_create(NULL);
    struct fixture *fixture = net_alloc(net, sizeof(*fixture));
    struct party *ann = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    struct channel *channel = net_channel(net);
    fixture->net = net;
    fixture->log = net_log(net);
    assert_ok(client_trust_init(&fixture->trust, net->genesis_file));
    struct ord_span envelopes[ENVELOPES] = {net_registration(net, ann)};
    (void) net_apply(net, channel, fixture->log, 0, envelopes, 1);
    for (uint32_t i = 0; i < ENVELOPES; i++)
        envelopes[i] = net_envelope(net, ann, i + 1, 1, 20, (uint8_t) i);
    (void) net_apply(net, channel, fixture->log, 1, envelopes, ENVELOPES);
    envelopes[0] = net_envelope(net, ann, ENVELOPES + 1, 1, 20, 'x');
    (void) net_apply(net, channel, fixture->log, 2, envelopes, 1);
    (void) net_apply(net, channel, fixture->log, 3, NULL, 0);
    assert_int_equal(fixture->log->count, 3);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    net_destroy(((struct fixture *) *state)->net);
    return 0;
}

static enum ord_err take(struct fixture *fixture, const struct channel_receipt *receipt) {
    size_t size = channel_receipt_size(receipt);
    uint8_t *bytes = net_alloc(fixture->net, size);
    struct ord_writer writer = ord_writer_of(bytes, size);
    struct channel_receipt out;
    const char *why = NULL;
    assert_ok(channel_receipt_encode(&writer, receipt));
    enum ord_err err = client_trust_receipt(&fixture->trust, &fixture->cache, &out, ord_span_of(bytes, size), &why);
    assert_true(why != NULL);
    return err;
}

static void certificate__is_checked_once(void **state) {
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 2 * ENVELOPES; i++) {
        const struct channel_receipt receipt = net_receipt(fixture->log, HEIGHT, i % ENVELOPES, HEIGHT);
        assert_ok(take(fixture, &receipt));
        assert_int_equal(fixture->cache.certificates, 1);
    }
    /* The next block's certificate proves this block too, and is another one. */
    const struct channel_receipt later = net_receipt(fixture->log, HEIGHT, 0, HEIGHT + 1);
    assert_ok(take(fixture, &later));
    assert_int_equal(fixture->cache.certificates, 2);
}

/* What a replica can make of receipts that the client has taken. */
static void receipt__of_a_known_certificate_needs_its_own_path(void **state) {
    struct fixture *fixture = *state;
    const struct channel_receipt known = net_receipt(fixture->log, HEIGHT, 0, HEIGHT);
    const struct channel_receipt good = net_receipt(fixture->log, HEIGHT, 1, HEIGHT);
    const struct channel_receipt elsewhere = net_receipt(fixture->log, HEIGHT + 1, 0, HEIGHT + 1);
    assert_ok(take(fixture, &known));
    struct channel_receipt forged = good;
    forged.leaf = elsewhere.leaf;
    forged.envelope = elsewhere.envelope;
    assert_err(take(fixture, &forged), ORD_ERR_MISMATCH);
    forged.envelope = ord_span_of(NULL, 0);
    assert_err(take(fixture, &forged), ORD_ERR_MISMATCH);
    forged = good;
    forged.envelope = elsewhere.envelope;
    assert_err(take(fixture, &forged), ORD_ERR_MISMATCH);
    forged = good;
    forged.envelope_index = 2;
    assert_err(take(fixture, &forged), ORD_ERR_MISMATCH);
    forged = good;
    memcpy(forged.path, known.path, sizeof(forged.path));
    assert_err(take(fixture, &forged), ORD_ERR_MISMATCH);
    forged = good;
    forged.path_size--;
    assert_err(take(fixture, &forged), ORD_ERR_MISMATCH);
    assert_ok(take(fixture, &good));
    assert_int_equal(fixture->cache.certificates, 1);
}

static void receipt__that_is_refused_makes_nothing_known(void **state) {
    struct fixture *fixture = *state;
    struct channel_receipt forged = net_receipt(fixture->log, HEIGHT, 0, HEIGHT);
    forged.certificate.signatures[1].bytes[0] ^= 1;
    for (uint64_t i = 1; i <= 2; i++) {
        assert_int_not_equal(take(fixture, &forged), ORD_OK);
        assert_int_equal(fixture->cache.certificates, i);
    }
}

/* A known certificate stands for exactly the headers that it was checked with. */
static void certificate__that_is_known_proves_no_other_headers(void **state) {
    struct fixture *fixture = *state;
    const struct channel_receipt good = net_receipt(fixture->log, HEIGHT, 0, HEIGHT + 1);
    assert_ok(take(fixture, &good));
    struct channel_receipt forged = good;
    forged.header.data_root.bytes[0] ^= 1;
    assert_int_not_equal(take(fixture, &forged), ORD_OK);
    uint8_t *headers = net_alloc(fixture->net, CHANNEL_HEADER_SIZE);
    memcpy(headers, good.later_headers.data, CHANNEL_HEADER_SIZE);
    headers[CHANNEL_HEADER_SIZE - 1] ^= 1;
    forged = good;
    forged.later_headers = ord_span_of(headers, CHANNEL_HEADER_SIZE);
    assert_int_not_equal(take(fixture, &forged), ORD_OK);
    forged.later_headers = ord_span_of(NULL, 0);
    forged.later_header_count = 0;
    assert_int_not_equal(take(fixture, &forged), ORD_OK);
    assert_int_equal(fixture->cache.certificates, 4);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test_setup_teardown(certificate__is_checked_once, setup, teardown),
    cmocka_unit_test_setup_teardown(receipt__of_a_known_certificate_needs_its_own_path, setup, teardown),
    cmocka_unit_test_setup_teardown(receipt__that_is_refused_makes_nothing_known, setup, teardown),
    cmocka_unit_test_setup_teardown(certificate__that_is_known_proves_no_other_headers, setup, teardown),
};
TEST_CASES(cases);
