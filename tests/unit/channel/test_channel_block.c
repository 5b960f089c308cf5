/*
 * Headers, block data and the genesis block.
 */
#include "channel/block.h"

#include <string.h>

#include "channel/envelope.h"
#include "core/merkle.h"
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

static struct channel_header sample(void) {
    struct channel_header header = {
        .height = 3,
        .envelope_count = 2,
        .transaction_count = 5,
        .byte_count = 600,
        .epoch = 1,
        .config_height = 0,
        .last_seq = 44,
    };
    memset(&header.genesis_hash, 1, sizeof(header.genesis_hash));
    memset(&header.previous_hash, 2, sizeof(header.previous_hash));
    memset(&header.data_root, 3, sizeof(header.data_root));
    return header;
}

static void header__comes_back(void **state) {
    (void) state;
    const struct channel_header header = sample();
    uint8_t bytes[CHANNEL_HEADER_SIZE + 1] = {0};
    uint8_t again[CHANNEL_HEADER_SIZE];
    struct channel_header decoded;
    channel_header_encode(bytes, &header);
    assert_ok(channel_header_decode(&decoded, ord_span_of(bytes, CHANNEL_HEADER_SIZE)));
    channel_header_encode(again, &decoded);
    assert_memory_equal(bytes, again, CHANNEL_HEADER_SIZE);
    for (size_t size = 0; size < CHANNEL_HEADER_SIZE; size++)
        assert_err(channel_header_decode(&decoded, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    assert_err(channel_header_decode(&decoded, ord_span_of(bytes, sizeof(bytes))), ORD_ERR_INVALID);
    bytes[0] = 0;
    assert_err(channel_header_decode(&decoded, ord_span_of(bytes, CHANNEL_HEADER_SIZE)), ORD_ERR_INVALID);
}

static void header__of_an_empty_block_does_not_exist(void **state) {
    (void) state;
    struct channel_header header = sample();
    struct channel_header decoded;
    uint8_t bytes[CHANNEL_HEADER_SIZE];
    header.envelope_count = 0;
    channel_header_encode(bytes, &header);
    assert_err(channel_header_decode(&decoded, ord_span_of(bytes, sizeof(bytes))), ORD_ERR_INVALID);
    header.envelope_count = 6; /* but with 5 transactions */
    channel_header_encode(bytes, &header);
    assert_err(channel_header_decode(&decoded, ord_span_of(bytes, sizeof(bytes))), ORD_ERR_INVALID);
}

static void header__hash_covers_every_byte(void **state) {
    (void) state;
    assert_ok(crypto_init());
    struct channel_header header = sample();
    uint8_t bytes[CHANNEL_HEADER_SIZE];
    struct ord_hash hash;
    struct ord_hash other;
    channel_header_hash(&hash, &header);
    channel_header_encode(bytes, &header);
    uint32_t changed = 0;
    for (size_t i = 0; i < CHANNEL_HEADER_SIZE; i++) {
        bytes[i] ^= 0x40;
        if (channel_header_decode(&header, ord_span_of(bytes, sizeof(bytes))) == ORD_OK) {
            channel_header_hash(&other, &header);
            assert_false(ord_hash_equal(&hash, &other));
            changed++;
        }
        bytes[i] ^= 0x40;
    }
    assert_true(changed > 100);
}

/* Makes the data of three envelopes, and their Merkle root as H(1, H(1, a, b), c). */
static struct ord_span three(struct net *net, struct ord_hash *root) {
    struct party *party = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    uint8_t *data = net_alloc(net, 4096);
    struct ord_writer writer = ord_writer_of(data, 4096);
    struct ord_hash leaves[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct ord_span envelope = net_envelope(net, party, i + 1, i + 1, 10, (uint8_t) i);
        ord_write_string(&writer, envelope);
        static const uint8_t zero = 0;
        const struct ord_span parts[] = {ord_span_of(&zero, 1), envelope};
        crypto_sha256(&leaves[i], parts, 2);
    }
    static const uint8_t one = 1;
    struct ord_hash left;
    const struct ord_span low[] = {ord_span_of(&one, 1), ord_span_of(leaves, 64)};
    crypto_sha256(&left, low, 2);
    const struct ord_span high[] = {ord_span_of(&one, 1), ord_span_of(&left, 32), ord_span_of(&leaves[2], 32)};
    crypto_sha256(root, high, 3);
    return ord_writer_span(&writer);
}

static void block__data_root_is_rfc_6962(void **state) {
    struct net *net = *state;
    struct ord_hash expected;
    struct ord_span data = three(net, &expected);
    struct ord_hash leaves[3];
    struct channel_header header = {0};
    assert_ok(channel_data_root(&header, leaves, 3, data));
    assert_true(ord_hash_equal(&header.data_root, &expected));
    assert_int_equal(header.envelope_count, 3);
    assert_int_equal(header.transaction_count, 6);
    assert_int_equal(header.byte_count, data.size - 12);
    assert_ok(channel_block_check(&header, data, leaves, 3));
}

static void block__work_space_bounds_the_envelopes(void **state) {
    struct net *net = *state;
    struct channel_header header = {0};
    struct ord_span data = three(net, &header.data_root);
    struct ord_hash leaves[3];
    assert_err(channel_data_root(&header, leaves, 2, data), ORD_ERR_TOO_LARGE);
    header.envelope_count = 3;
    assert_err(channel_block_check(&header, data, leaves, 2), ORD_ERR_TOO_LARGE);
}

/* Row D2: a body that differs from its header is refused, in every way that it can differ. */
static void block__body_that_does_not_match_is_refused(void **state) {
    struct net *net = *state;
    struct channel_header header = {0};
    struct ord_span data = three(net, &header.data_root);
    struct ord_hash leaves[8];
    assert_ok(channel_data_root(&header, leaves, 8, data));
    uint8_t *bytes = net_alloc(net, data.size + 4);
    memcpy(bytes, data.data, data.size);
    for (size_t i = 0; i < data.size; i++) {
        bytes[i] ^= 1;
        assert_err(channel_block_check(&header, ord_span_of(bytes, data.size), leaves, 8), ORD_ERR_MISMATCH);
        bytes[i] ^= 1;
    }
    for (size_t size = 0; size < data.size; size++)
        assert_err(channel_block_check(&header, ord_span_of(bytes, size), leaves, 8), ORD_ERR_MISMATCH);
    assert_err(channel_block_check(&header, ord_span_of(bytes, data.size + 4), leaves, 8), ORD_ERR_MISMATCH);
    struct channel_header other = header;
    other.transaction_count++;
    assert_err(channel_block_check(&other, data, leaves, 8), ORD_ERR_MISMATCH);
    other = header;
    other.byte_count--;
    assert_err(channel_block_check(&other, data, leaves, 8), ORD_ERR_MISMATCH);
    other = header;
    other.envelope_count = 2; /* the data has more envelopes */
    assert_err(channel_block_check(&other, data, leaves, 8), ORD_ERR_MISMATCH);
    assert_ok(channel_block_check(&header, data, leaves, 8));
}

static void genesis__comes_back(void **state) {
    struct net *net = *state;
    static struct channel_config config;
    struct ord_hash hash;
    struct channel_header header;
    struct ord_span data;
    assert_ok(channel_genesis_open(&config, &hash, &header, &data, net->genesis_file));
    assert_true(ord_hash_equal(&hash, &net->genesis_hash));
    assert_memory_equal(&config, &net->config, sizeof(config));
    assert_int_equal(header.height, 0);
    assert_int_equal(header.envelope_count, 1);
    assert_int_equal(header.transaction_count, 1);
    assert_int_equal(data.size + CHANNEL_HEADER_SIZE, net->genesis_file.size);
}

static void genesis__is_the_same_for_the_same_configuration(void **state) {
    struct net *net = *state;
    size_t capacity = CHANNEL_CONFIG_BYTES_MAX + 1024;
    struct ord_writer data = ord_writer_of(net_alloc(net, capacity), capacity);
    struct channel_header header;
    struct ord_hash hash;
    assert_ok(channel_genesis_create(&header, &data, &net->config));
    channel_header_hash(&hash, &header);
    assert_true(ord_hash_equal(&hash, &net->genesis_hash));
    net->config.max_message_count++;
    data.size = 0;
    assert_ok(channel_genesis_create(&header, &data, &net->config));
    channel_header_hash(&hash, &header);
    assert_false(ord_hash_equal(&hash, &net->genesis_hash));
}

static void genesis__any_changed_byte_is_refused_or_another_network(void **state) {
    struct net *net = *state;
    static struct channel_config config;
    struct ord_hash hash;
    struct channel_header header;
    struct ord_span data;
    struct ord_span file = net->genesis_file;
    uint8_t *bytes = net_alloc(net, file.size + 1);
    memcpy(bytes, file.data, file.size);
    for (size_t i = 0; i < file.size; i += i < 400 ? 1 : 7) {
        bytes[i] ^= 4;
        if (channel_genesis_open(&config, &hash, &header, &data, ord_span_of(bytes, file.size)) == ORD_OK)
            assert_false(ord_hash_equal(&hash, &net->genesis_hash));
        bytes[i] ^= 4;
    }
    for (size_t size = 0; size < file.size; size += 13)
        assert_err(channel_genesis_open(&config, &hash, &header, &data, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    assert_err(channel_genesis_open(&config, &hash, &header, &data, ord_span_of(bytes, file.size + 1)),
               ORD_ERR_INVALID);
}

/* Opens the genesis file with other header fields. */
static enum ord_err open_with(struct net *net, const struct channel_header *header) {
    static struct channel_config config;
    struct ord_hash hash;
    struct channel_header opened;
    struct ord_span data;
    struct ord_span file = net_copy(net, net->genesis_file);
    channel_header_encode((uint8_t *) (uintptr_t) file.data, header);
    return channel_genesis_open(&config, &hash, &opened, &data, file);
}

static void genesis__header_fields_are_fixed(void **state) {
    struct net *net = *state;
    const struct channel_header good = net->genesis_header;
    assert_ok(open_with(net, &good));
    struct channel_header header = good;
    header.height = 1;
    assert_err(open_with(net, &header), ORD_ERR_INVALID);
    header = good;
    header.last_seq = 1;
    assert_err(open_with(net, &header), ORD_ERR_INVALID);
    header = good;
    header.config_height = 1;
    assert_err(open_with(net, &header), ORD_ERR_INVALID);
    header = good;
    header.epoch = 2;
    assert_err(open_with(net, &header), ORD_ERR_INVALID);
    header = good;
    header.previous_hash.bytes[0] = 1;
    assert_err(open_with(net, &header), ORD_ERR_INVALID);
    header = good;
    header.genesis_hash.bytes[0] = 1;
    assert_err(open_with(net, &header), ORD_ERR_INVALID);
}

static void genesis__configuration_must_be_one_that_runs(void **state) {
    struct net *net = *state;
    size_t capacity = CHANNEL_CONFIG_BYTES_MAX + 1024;
    struct ord_writer data = ord_writer_of(net_alloc(net, capacity), capacity);
    struct channel_header header;
    net->config.replica_count = 2;
    assert_err(channel_genesis_create(&header, &data, &net->config), ORD_ERR_INVALID);
    net->config.replica_count = 4;
    net->config.config_sequence = 1;
    assert_err(channel_genesis_create(&header, &data, &net->config), ORD_ERR_INVALID);
    net->config.config_sequence = 0;
    data.size = 0;
    assert_ok(channel_genesis_create(&header, &data, &net->config));
    for (size_t small = 0; small < data.size; small++) {
        struct ord_writer part = ord_writer_of(data.data, small);
        assert_err(channel_genesis_create(&header, &part, &net->config), ORD_ERR_NO_SPACE);
    }
}

/* Opens a genesis file made from this envelope, whose only transaction is the configuration. */
static enum ord_err open_around(struct net *net, const struct channel_envelope *envelope,
                                const struct channel_config *config, uint8_t signature_byte) {
    static struct channel_config opened_config;
    static uint8_t encoded[CHANNEL_CONFIG_BYTES_MAX];
    struct ord_writer writer = ord_writer_of(encoded, sizeof(encoded));
    assert_ok(channel_config_encode(config, &writer));
    const struct ord_span transaction = ord_writer_span(&writer);
    struct ord_span bytes = net_envelope_of(net, envelope, &transaction, 1, NULL);
    ((uint8_t *) (uintptr_t) bytes.data)[bytes.size - 1] = signature_byte;
    size_t capacity = CHANNEL_HEADER_SIZE + 4 + bytes.size;
    uint8_t *file = net_alloc(net, capacity);
    struct ord_writer data = ord_writer_of(file + CHANNEL_HEADER_SIZE, capacity - CHANNEL_HEADER_SIZE);
    ord_write_string(&data, bytes);
    struct channel_header header = {.epoch = config->epoch};
    struct ord_hash leaf;
    assert_ok(channel_data_root(&header, &leaf, 1, ord_writer_span(&data)));
    channel_header_encode(file, &header);
    struct ord_hash hash;
    struct ord_span rest;
    return channel_genesis_open(&opened_config, &hash, &header, &rest, ord_span_of(file, capacity));
}

/* A configuration has exactly one genesis block, so every other field of its envelope is fixed. */
static void genesis__envelope_fields_are_fixed(void **state) {
    struct net *net = *state;
    struct channel_config config = net->config;
    const struct channel_envelope good = {.kind = CHANNEL_ENVELOPE_CONFIG};
    assert_ok(open_around(net, &good, &config, 0));
    assert_err(open_around(net, &good, &config, 1), ORD_ERR_INVALID); /* it must not be signed */
    struct channel_envelope bad[5] = {good, good, good, good, good};
    bad[0].genesis_hash.bytes[0] = 1;
    bad[1].client.bytes[0] = 1;
    bad[2].sequence = 1;
    bad[3].config_sequence = 1;
    bad[4] = (struct channel_envelope) {.kind = CHANNEL_ENVELOPE_TRANSACTIONS, .sequence = 1};
    for (size_t i = 0; i < 5; i++)
        assert_err(open_around(net, &bad[i], &config, 0), ORD_ERR_INVALID);
    config.config_sequence = 1; /* not the first configuration */
    assert_err(open_around(net, &good, &config, 0), ORD_ERR_INVALID);
    config = net->config;
    config.consensus = CHANNEL_RAFT; /* without its numbers */
    assert_err(open_around(net, &good, &config, 0), ORD_ERR_INVALID);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(header__comes_back),
    cmocka_unit_test(header__of_an_empty_block_does_not_exist),
    cmocka_unit_test(header__hash_covers_every_byte),
    cmocka_unit_test_setup_teardown(block__data_root_is_rfc_6962, setup, teardown),
    cmocka_unit_test_setup_teardown(block__work_space_bounds_the_envelopes, setup, teardown),
    cmocka_unit_test_setup_teardown(block__body_that_does_not_match_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(genesis__comes_back, setup, teardown),
    cmocka_unit_test_setup_teardown(genesis__is_the_same_for_the_same_configuration, setup, teardown),
    cmocka_unit_test_setup_teardown(genesis__any_changed_byte_is_refused_or_another_network, setup, teardown),
    cmocka_unit_test_setup_teardown(genesis__header_fields_are_fixed, setup, teardown),
    cmocka_unit_test_setup_teardown(genesis__configuration_must_be_one_that_runs, setup, teardown),
    cmocka_unit_test_setup_teardown(genesis__envelope_fields_are_fixed, setup, teardown),
};
TEST_CASES(cases);
