/*
 * Receipts and the chain check.
 */
#include "channel/receipt.h"

#include <string.h>

#include "channel/state.h"
#include "crypto/hash.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

/* A chain of four blocks with 1, 5, 2 and 1 envelopes. */
struct fixture {
    struct net *net;
    struct chain_log *log;
    struct ord_hash leaves[64];
};

static int setup(void **state) {
    struct net *net = net_create(NULL);
    struct fixture *fixture = net_alloc(net, sizeof(*fixture));
    struct party *ann = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    struct channel *channel = net_channel(net);
    fixture->net = net;
    fixture->log = net_log(net);
    struct ord_span envelopes[5] = {net_registration(net, ann)};
    (void) net_apply(net, channel, fixture->log, 0, envelopes, 1);
    static const uint32_t counts[] = {5, 2, 1};
    uint64_t sequence = 0;
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t j = 0; j < counts[i]; j++) {
            sequence++;
            envelopes[j] = net_envelope(net, ann, sequence, 1 + j, 20, (uint8_t) sequence);
        }
        (void) net_apply(net, channel, fixture->log, i + 1, envelopes, counts[i]);
    }
    (void) net_apply(net, channel, fixture->log, 4, NULL, 0);
    assert_int_equal(fixture->log->count, 4);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    net_destroy(((struct fixture *) *state)->net);
    return 0;
}

static struct channel_statement statement_of(const struct fixture *fixture, uint64_t height) {
    return net_statement(fixture->log, height);
}

static struct channel_receipt receipt_of(struct fixture *fixture, uint64_t height, uint32_t index, uint64_t certified) {
    return net_receipt(fixture->log, height, index, certified);
}

static enum ord_err verify(const struct fixture *fixture, const struct channel_receipt *receipt) {
    const struct net *net = fixture->net;
    const char *why = NULL;
    enum ord_err err = channel_receipt_verify(receipt, &net->config, &net->genesis_hash, &net->ops, &why);
    assert_int_equal(err == ORD_OK, why[0] == '\0');
    return err;
}

static void receipt__proves_every_envelope(void **state) {
    struct fixture *fixture = *state;
    for (uint64_t height = 1; height <= 4; height++)
        for (uint32_t i = 0; i < fixture->log->blocks[height - 1].header.envelope_count; i++)
            for (uint64_t certified = height; certified <= 4; certified++) {
                struct channel_receipt receipt = receipt_of(fixture, height, i, certified);
                assert_ok(verify(fixture, &receipt));
                receipt.envelope = ord_span_of(NULL, 0); /* the receipt then proves the leaf only */
                assert_ok(verify(fixture, &receipt));
            }
}

static void receipt__comes_back(void **state) {
    struct fixture *fixture = *state;
    const struct channel_receipt receipt = receipt_of(fixture, 2, 3, 4);
    size_t size = channel_receipt_size(&receipt);
    uint8_t *bytes = net_alloc(fixture->net, size + 1);
    struct ord_writer writer = ord_writer_of(bytes, size);
    assert_ok(channel_receipt_encode(&writer, &receipt));
    assert_int_equal(writer.size, size);
    struct channel_receipt decoded;
    assert_ok(channel_receipt_decode(&decoded, ord_span_of(bytes, size)));
    assert_ok(verify(fixture, &decoded));
    for (size_t i = 0; i < size; i++)
        assert_err(channel_receipt_decode(&decoded, ord_span_of(bytes, i)), ORD_ERR_INVALID);
    assert_err(channel_receipt_decode(&decoded, ord_span_of(bytes, size + 1)), ORD_ERR_INVALID);
    struct ord_writer small = ord_writer_of(bytes, size - 1);
    assert_err(channel_receipt_encode(&small, &receipt), ORD_ERR_NO_SPACE);
}

static void receipt__no_byte_of_it_can_be_changed(void **state) {
    struct fixture *fixture = *state;
    const struct channel_receipt receipt = receipt_of(fixture, 2, 3, 3);
    size_t size = channel_receipt_size(&receipt);
    uint8_t *bytes = net_alloc(fixture->net, size);
    struct ord_writer writer = ord_writer_of(bytes, size);
    assert_ok(channel_receipt_encode(&writer, &receipt));
    for (size_t i = 0; i < size; i++) {
        struct channel_receipt forged;
        bytes[i] ^= 2;
        if (channel_receipt_decode(&forged, ord_span_of(bytes, size)) == ORD_OK)
            assert_int_not_equal(verify(fixture, &forged), ORD_OK);
        bytes[i] ^= 2;
    }
}

/* Row T11: wild counts are refused when a receipt is decoded. */
static void receipt__wild_counts_are_refused(void **state) {
    struct fixture *fixture = *state;
    const struct channel_receipt receipt = receipt_of(fixture, 2, 3, 3);
    size_t size = channel_receipt_size(&receipt);
    uint8_t *bytes = net_alloc(fixture->net, size);
    struct ord_writer writer = ord_writer_of(bytes, size);
    assert_ok(channel_receipt_encode(&writer, &receipt));
    struct channel_receipt decoded;
    size_t path_at = 1 + CHANNEL_HEADER_SIZE + 4;
    ord_store_u32(bytes + path_at, UINT32_MAX);
    assert_err(channel_receipt_decode(&decoded, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    ord_store_u32(bytes + path_at, receipt.path_size);
    size_t headers_at = path_at + 4 + (receipt.path_size + 1) * (size_t) ORD_HASH_SIZE;
    ord_store_u32(bytes + headers_at, UINT32_MAX);
    assert_err(channel_receipt_decode(&decoded, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    struct channel_receipt large = receipt;
    large.path_size = ORD_MERKLE_PATH_MAX + 1;
    assert_err(verify(fixture, &large), ORD_ERR_INVALID);
    assert_err(channel_receipt_encode(&writer, &large), ORD_ERR_INVALID);
}

/* Row D3 for receipts: the certificate must name the last header, be of this epoch and have f + 1 signers. */
static void receipt__certificate_must_be_the_right_one(void **state) {
    struct fixture *fixture = *state;
    struct channel_receipt receipt = receipt_of(fixture, 2, 3, 3);
    struct channel_statement statement = statement_of(fixture, 4);
    receipt.certificate = net_certificate(fixture->net, &statement, 3);
    assert_err(verify(fixture, &receipt), ORD_ERR_MISMATCH);
    statement = statement_of(fixture, 3);
    receipt.certificate = net_certificate(fixture->net, &statement, 1);
    assert_err(verify(fixture, &receipt), ORD_ERR_INVALID);
    statement.epoch = 2;
    receipt.certificate = net_certificate(fixture->net, &statement, 2);
    assert_err(verify(fixture, &receipt), ORD_ERR_MISMATCH);
    statement.epoch = 1;
    statement.seq = 1; /* older than the block */
    receipt.certificate = net_certificate(fixture->net, &statement, 2);
    assert_err(verify(fixture, &receipt), ORD_ERR_INVALID);
}

static void receipt__of_another_network_is_refused(void **state) {
    struct fixture *fixture = *state;
    struct channel_receipt receipt = receipt_of(fixture, 2, 3, 3);
    fixture->net->genesis_hash.bytes[0] ^= 1;
    assert_err(verify(fixture, &receipt), ORD_ERR_MISMATCH);
    fixture->net->genesis_hash.bytes[0] ^= 1;
    receipt.header = fixture->net->genesis_header;
    assert_err(verify(fixture, &receipt), ORD_ERR_MISMATCH);
}

static struct channel_chain chain_of(const struct fixture *fixture) {
    struct channel_chain chain;
    channel_chain_init(&chain, &fixture->net->config, &fixture->net->genesis_hash, &fixture->net->ops);
    return chain;
}

static enum ord_err feed(struct fixture *fixture, struct channel_chain *chain, uint64_t height) {
    const struct channel_block *block = &fixture->log->blocks[height - 1];
    const char *why = NULL;
    enum ord_err err = channel_chain_block(chain, &block->header, block->data, fixture->leaves, 64, &why);
    assert_int_equal(err == ORD_OK, why[0] == '\0');
    return err;
}

static void chain__one_certificate_proves_all_before(void **state) {
    struct fixture *fixture = *state;
    struct channel_chain chain = chain_of(fixture);
    for (uint64_t height = 1; height <= 3; height++)
        assert_ok(feed(fixture, &chain, height));
    assert_int_equal(chain.proved_height, 0);
    const struct channel_statement statement = statement_of(fixture, 3);
    const struct channel_certificate certificate = net_certificate(fixture->net, &statement, 2);
    assert_ok(channel_chain_certificate(&chain, &certificate, 2, NULL));
    assert_int_equal(chain.proved_height, 3);
    assert_int_equal(chain.certificates, 1);
    assert_ok(feed(fixture, &chain, 4));
    assert_int_equal(chain.proved_height, 3);
    assert_int_equal(chain.height, 4);
}

static void chain__headers_alone_link_too(void **state) {
    struct fixture *fixture = *state;
    struct channel_chain chain = chain_of(fixture);
    for (uint64_t height = 1; height <= 4; height++)
        assert_ok(channel_chain_header(&chain, &fixture->log->blocks[height - 1].header, NULL));
    assert_true(ord_hash_equal(&chain.head_hash, &fixture->log->blocks[3].header_hash));
}

/* Row D5: a gap and a repetition are refused. */
static void chain__height_is_strictly_the_next(void **state) {
    struct fixture *fixture = *state;
    struct channel_chain chain = chain_of(fixture);
    assert_err(feed(fixture, &chain, 2), ORD_ERR_MISMATCH);
    assert_ok(feed(fixture, &chain, 1));
    assert_err(feed(fixture, &chain, 1), ORD_ERR_MISMATCH);
    assert_err(feed(fixture, &chain, 3), ORD_ERR_MISMATCH);
    assert_ok(feed(fixture, &chain, 2));
    assert_int_equal(chain.height, 2);
}

/* Row D2: another block's body under a good header is refused, and a refused block changes nothing. */
static void chain__body_must_match_its_header(void **state) {
    struct fixture *fixture = *state;
    struct channel_chain chain = chain_of(fixture);
    const struct channel_block *blocks = fixture->log->blocks;
    const char *why = NULL;
    assert_ok(feed(fixture, &chain, 1));
    const struct channel_chain before = chain;
    assert_err(channel_chain_block(&chain, &blocks[1].header, blocks[2].data, fixture->leaves, 64, &why),
               ORD_ERR_MISMATCH);
    assert_non_null(strstr(why, "does not match"));
    assert_err(channel_chain_block(&chain, &blocks[1].header, blocks[1].data, fixture->leaves, 4, NULL),
               ORD_ERR_TOO_LARGE);
    assert_memory_equal(&chain, &before, sizeof(chain));
    assert_ok(feed(fixture, &chain, 2));
}

static void chain__links_network_epoch_and_seq(void **state) {
    struct fixture *fixture = *state;
    struct channel_chain chain = chain_of(fixture);
    assert_ok(feed(fixture, &chain, 1));
    const struct channel_header good = fixture->log->blocks[1].header;
    struct channel_header header = good;
    header.previous_hash.bytes[9] ^= 1;
    assert_err(channel_chain_header(&chain, &header, NULL), ORD_ERR_MISMATCH);
    header = good;
    header.genesis_hash.bytes[9] ^= 1;
    assert_err(channel_chain_header(&chain, &header, NULL), ORD_ERR_MISMATCH);
    header = good;
    header.epoch = 0;
    assert_err(channel_chain_header(&chain, &header, NULL), ORD_ERR_MISMATCH);
    header = good;
    header.last_seq = 1;
    assert_err(channel_chain_header(&chain, &header, NULL), ORD_ERR_INVALID);
    header = good;
    header.config_height = 2;
    assert_err(channel_chain_header(&chain, &header, NULL), ORD_ERR_INVALID);
    chain.height = UINT64_MAX;
    header = good;
    header.height = 0;
    assert_err(channel_chain_header(&chain, &header, NULL), ORD_ERR_MISMATCH);
}

/* Row D3: a fork with a false certificate is refused. */
static void chain__false_certificates_prove_nothing(void **state) {
    struct fixture *fixture = *state;
    struct channel_chain chain = chain_of(fixture);
    assert_ok(feed(fixture, &chain, 1));
    const struct channel_statement statement = statement_of(fixture, 1);
    const struct channel_certificate good = net_certificate(fixture->net, &statement, 2);
    const char *why = NULL;
    struct channel_certificate forged = net_certificate(fixture->net, &statement, 1);
    assert_err(channel_chain_certificate(&chain, &forged, 2, &why), ORD_ERR_INVALID);
    assert_non_null(strstr(why, "too few"));
    forged = good;
    forged.signers[1] = 0;
    forged.signatures[1] = forged.signatures[0];
    assert_err(channel_chain_certificate(&chain, &forged, 2, NULL), ORD_ERR_INVALID);
    struct channel_statement old = statement;
    old.epoch = 0;
    forged = net_certificate(fixture->net, &old, 2);
    assert_err(channel_chain_certificate(&chain, &forged, 2, NULL), ORD_ERR_MISMATCH);
    struct channel_statement fork = statement;
    fork.header_hash.bytes[0] ^= 1;
    forged = net_certificate(fixture->net, &fork, 2);
    assert_err(channel_chain_certificate(&chain, &forged, 2, NULL), ORD_ERR_MISMATCH);
    forged = good;
    forged.signatures[0].bytes[0] ^= 1;
    assert_err(channel_chain_certificate(&chain, &forged, 2, &why), ORD_ERR_BAD_SIGNATURE);
    assert_int_equal(chain.proved_height, 0);
    assert_int_equal(chain.certificates, 0);
    assert_ok(channel_chain_certificate(&chain, &good, 2, &why));
    assert_string_equal(why, "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
/* The decoder never returns such a receipt, so the test builds it by hand. It must not verify either. */
static void receipt__of_no_shape_proves_nothing(void **state) {
    struct fixture *fixture = *state;
    const struct channel_receipt good = receipt_of(fixture, 2, 1, 3);
    assert_ok(verify(fixture, &good));
    struct channel_receipt bad[5] = {good, good, good, good, good};
    bad[0].path_size = ORD_MERKLE_PATH_MAX + 1;
    bad[1].later_header_count = CHANNEL_RECEIPT_HEADERS_MAX + 1;
    bad[2].later_header_count = 2; /* but there is only one */
    bad[3].certificate.count = 0;
    bad[4].certificate.count = ORD_REPLICA_MAX + 1;
    for (size_t i = 0; i < 5; i++) {
        uint8_t bytes[256];
        struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
        assert_err(verify(fixture, &bad[i]), ORD_ERR_INVALID);
        assert_err(channel_receipt_encode(&writer, &bad[i]), ORD_ERR_INVALID);
        assert_int_equal(writer.size, 0);
    }
}

/* The leaf is right, but the bytes that it belongs to are not an envelope of this network. */
static void receipt__envelope_must_be_one_of_this_network(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    struct channel_receipt receipt = receipt_of(fixture, 2, 1, 3);
    const struct channel_receipt good = receipt;
    struct ord_span bytes = net_copy(net, receipt.envelope);
    uint8_t *data = (uint8_t *) (uintptr_t) bytes.data;
    data[0] = 9; /* no such version */
    receipt.envelope = bytes;
    ord_merkle_leaf(&net->ops, &receipt.leaf, bytes);
    assert_err(channel_receipt_verify(&receipt, &net->config, &net->genesis_hash, &net->ops, NULL), ORD_ERR_INVALID);
    data[0] = good.envelope.data[0];
    data[2] ^= 1; /* in the genesis hash */
    ord_merkle_leaf(&net->ops, &receipt.leaf, bytes);
    assert_err(verify(fixture, &receipt), ORD_ERR_MISMATCH);
    data[2] ^= 1;
    ord_merkle_leaf(&net->ops, &receipt.leaf, bytes);
    assert_ok(verify(fixture, &receipt));
}

static void chain__seq_zero_decides_nothing(void **state) {
    struct fixture *fixture = *state;
    struct channel_chain chain;
    struct channel_header header = fixture->log->blocks[0].header;
    channel_chain_init(&chain, &fixture->net->config, &fixture->net->genesis_hash, &fixture->net->ops);
    header.last_seq = 0;
    assert_err(channel_chain_header(&chain, &header, NULL), ORD_ERR_INVALID);
    header.last_seq = 1;
    assert_ok(channel_chain_header(&chain, &header, NULL));
}

static const struct CMUnitTest cases[] = {
    CASE(receipt__proves_every_envelope),
    CASE(receipt__comes_back),
    CASE(receipt__no_byte_of_it_can_be_changed),
    CASE(receipt__wild_counts_are_refused),
    CASE(receipt__certificate_must_be_the_right_one),
    CASE(receipt__of_another_network_is_refused),
    CASE(chain__one_certificate_proves_all_before),
    CASE(chain__headers_alone_link_too),
    CASE(chain__height_is_strictly_the_next),
    CASE(chain__body_must_match_its_header),
    CASE(chain__links_network_epoch_and_seq),
    CASE(chain__false_certificates_prove_nothing),
    cmocka_unit_test_setup_teardown(receipt__of_no_shape_proves_nothing, setup, teardown),
    cmocka_unit_test_setup_teardown(receipt__envelope_must_be_one_of_this_network, setup, teardown),
    cmocka_unit_test_setup_teardown(chain__seq_zero_decides_nothing, setup, teardown),
};
TEST_CASES(cases);
