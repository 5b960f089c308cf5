/*
 * Envelopes and batches: each content has one encoding, and ids are computed as documented.
 */
#include "channel/envelope.h"

#include <string.h>

#include "channel/config.h"
#include "crypto/hash.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

#define COUNT_OFFSET (1 + 1 + 32 + 32 + 8 + 8)

static const struct crypto_private_key key = {.bytes = {[31] = 7}};

static struct channel_envelope sample(void) {
    struct channel_envelope header = {.kind = CHANNEL_ENVELOPE_TRANSACTIONS, .sequence = 5, .config_sequence = 3};
    memset(&header.genesis_hash, 0x11, sizeof(header.genesis_hash));
    memset(&header.client, 0x22, sizeof(header.client));
    return header;
}

static struct ord_span encode(uint8_t *out, size_t capacity) {
    const struct channel_envelope header = sample();
    const struct ord_span transactions[] = {ord_span_of("one", 3), ord_span_of("", 0), ord_span_of("three", 5)};
    struct ord_writer writer = ord_writer_of(out, capacity);
    assert_ok(crypto_init());
    assert_ok(channel_envelope_encode(&writer, &header, transactions, 3, &key));
    assert_int_equal(writer.size, channel_envelope_size(transactions, 3));
    return ord_writer_span(&writer);
}

static void envelope__comes_back(void **state) {
    (void) state;
    uint8_t bytes[512];
    struct ord_span span = encode(bytes, sizeof(bytes));
    struct channel_envelope envelope;
    assert_ok(channel_envelope_decode(&envelope, span));
    assert_int_equal(envelope.kind, CHANNEL_ENVELOPE_TRANSACTIONS);
    assert_int_equal(envelope.sequence, 5);
    assert_int_equal(envelope.config_sequence, 3);
    assert_int_equal(envelope.transaction_count, 3);
    assert_int_equal(envelope.body.size + ORD_SIGNATURE_SIZE, span.size);
    struct ord_span transaction;
    assert_ok(channel_envelope_next(&transaction, &envelope.transactions));
    assert_true(ord_span_equal(transaction, ord_span_of("one", 3)));
    assert_ok(channel_envelope_next(&transaction, &envelope.transactions));
    assert_int_equal(transaction.size, 0);
    assert_ok(channel_envelope_next(&transaction, &envelope.transactions));
    assert_true(ord_span_equal(transaction, ord_span_of("three", 5)));
    assert_err(channel_envelope_next(&transaction, &envelope.transactions), ORD_ERR_NOT_FOUND);
}

static void envelope__signature_is_over_its_id(void **state) {
    (void) state;
    uint8_t bytes[512];
    struct channel_envelope envelope;
    assert_ok(channel_envelope_decode(&envelope, encode(bytes, sizeof(bytes))));
    struct ord_hash id;
    channel_envelope_id(&id, envelope.body);
    struct ord_public_key public_key;
    struct crypto_verify_key verify_key;
    assert_ok(crypto_public_key(&public_key, &key));
    assert_ok(crypto_verify_key_parse(&verify_key, &public_key));
    assert_true(crypto_verify(&verify_key, &id, &envelope.signature));
    bytes[COUNT_OFFSET + 4 + 4] ^= 1; /* changes a transaction */
    channel_envelope_id(&id, envelope.body);
    assert_false(crypto_verify(&verify_key, &id, &envelope.signature));
}

/* Replaces s by n - s, which gives the other signature that plain ECDSA accepts. */
static void negate_s(struct ord_signature *signature) {
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                      0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int digit = order[i] - signature->bytes[32 + i] - borrow;
        borrow = digit < 0;
        signature->bytes[32 + i] = (uint8_t) (digit & 0xff);
    }
}

/* Row T7: high s and trailing bytes are refused, and the id does not depend on the signature. */
static void envelope__has_one_signature_form_and_ids_exclude_it(void **state) {
    (void) state;
    uint8_t bytes[512];
    struct ord_span span = encode(bytes, sizeof(bytes));
    struct channel_envelope envelope;
    assert_ok(channel_envelope_decode(&envelope, span));
    struct ord_hash id;
    channel_envelope_id(&id, envelope.body);
    struct ord_public_key public_key;
    struct crypto_verify_key verify_key;
    assert_ok(crypto_public_key(&public_key, &key));
    assert_ok(crypto_verify_key_parse(&verify_key, &public_key));
    struct ord_signature high = envelope.signature;
    negate_s(&high);
    assert_false(crypto_verify(&verify_key, &id, &high));

    memcpy(bytes + span.size - ORD_SIGNATURE_SIZE, &high, sizeof(high));
    struct ord_hash same;
    assert_ok(channel_envelope_decode(&envelope, span));
    channel_envelope_id(&same, envelope.body);
    assert_true(ord_hash_equal(&id, &same));
    assert_err(channel_envelope_decode(&envelope, ord_span_of(bytes, span.size + 1)), ORD_ERR_INVALID);
}

static void envelope__every_cut_is_refused(void **state) {
    (void) state;
    uint8_t bytes[512];
    struct ord_span span = encode(bytes, sizeof(bytes));
    struct channel_envelope envelope;
    for (size_t size = 0; size < span.size; size++)
        assert_err(channel_envelope_decode(&envelope, ord_span_of(bytes, size)), ORD_ERR_INVALID);
}

/* Row T11: a count or length of 2^32 - 1 is refused. Nothing is allocated or iterated for it. */
static void envelope__wild_counts_are_refused(void **state) {
    (void) state;
    uint8_t bytes[512];
    struct ord_span span = encode(bytes, sizeof(bytes));
    struct channel_envelope envelope;
    static const uint32_t counts[] = {0, 2, 4, UINT32_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        ord_store_u32(bytes + COUNT_OFFSET, counts[i]);
        assert_err(channel_envelope_decode(&envelope, span), ORD_ERR_INVALID);
    }
    ord_store_u32(bytes + COUNT_OFFSET, 3);
    assert_ok(channel_envelope_decode(&envelope, span));
    ord_store_u32(bytes + COUNT_OFFSET + 4, UINT32_MAX);
    assert_err(channel_envelope_decode(&envelope, span), ORD_ERR_INVALID);
}

static void envelope__kinds_and_versions(void **state) {
    (void) state;
    uint8_t bytes[512];
    struct ord_span span = encode(bytes, sizeof(bytes));
    struct channel_envelope envelope;
    bytes[1] = 0;
    assert_err(channel_envelope_decode(&envelope, span), ORD_ERR_INVALID);
    bytes[1] = 4;
    assert_err(channel_envelope_decode(&envelope, span), ORD_ERR_INVALID);
    /* A registration must not have three transactions and a sequence number. */
    bytes[1] = CHANNEL_ENVELOPE_REGISTER;
    assert_err(channel_envelope_decode(&envelope, span), ORD_ERR_INVALID);
    bytes[1] = CHANNEL_ENVELOPE_TRANSACTIONS;
    bytes[0] = 2;
    assert_err(channel_envelope_decode(&envelope, span), ORD_ERR_INVALID);
    bytes[0] = 1;
    memset(bytes + 66, 0, 8); /* sequence 0 */
    assert_err(channel_envelope_decode(&envelope, span), ORD_ERR_INVALID);
    /* A registration must not have three transactions. */
    bytes[1] = CHANNEL_ENVELOPE_REGISTER;
    assert_err(channel_envelope_decode(&envelope, span), ORD_ERR_INVALID);
}

static void envelope__encoder_makes_nothing_that_does_not_decode(void **state) {
    (void) state;
    uint8_t bytes[512];
    const struct ord_span transaction = ord_span_of("x", 1);
    struct channel_envelope header = sample();
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_err(channel_envelope_encode(&writer, &header, &transaction, 0, NULL), ORD_ERR_INVALID);
    header.sequence = 0;
    assert_err(channel_envelope_encode(&writer, &header, &transaction, 1, NULL), ORD_ERR_INVALID);
    header.kind = CHANNEL_ENVELOPE_REGISTER;
    header.sequence = 1;
    assert_err(channel_envelope_encode(&writer, &header, &transaction, 1, NULL), ORD_ERR_INVALID);
    header.sequence = 0;
    assert_ok(channel_envelope_encode(&writer, &header, &transaction, 1, NULL));
    for (size_t capacity = 0; capacity <= writer.size; capacity++) {
        struct ord_writer small = ord_writer_of(bytes, capacity);
        assert_err(channel_envelope_encode(&small, &header, &transaction, 1, NULL),
                   capacity < writer.size ? ORD_ERR_NO_SPACE : ORD_OK);
    }
}

static void batch__comes_back(void **state) {
    (void) state;
    uint8_t bytes[64];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    channel_batch_begin(&writer, 9);
    channel_batch_add(&writer, ord_span_of("ab", 2));
    channel_batch_add(&writer, ord_span_of("cde", 3));
    assert_ok(channel_batch_end(&writer, 2));
    struct channel_batch batch;
    assert_ok(channel_batch_decode(&batch, ord_writer_span(&writer)));
    assert_int_equal(batch.cut_height, 9);
    assert_int_equal(batch.envelope_count, 2);
    struct ord_span envelope;
    assert_ok(channel_batch_next(&envelope, &batch.envelopes));
    assert_true(ord_span_equal(envelope, ord_span_of("ab", 2)));
    assert_ok(channel_batch_next(&envelope, &batch.envelopes));
    assert_true(ord_span_equal(envelope, ord_span_of("cde", 3)));
    assert_err(channel_batch_next(&envelope, &batch.envelopes), ORD_ERR_NOT_FOUND);
    for (size_t size = 1; size < writer.size; size++)
        assert_err(channel_batch_decode(&batch, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    assert_err(channel_batch_decode(&batch, ord_span_of(bytes, writer.size + 1)), ORD_ERR_INVALID);
    for (unsigned version = 0; version < 256; version++) {
        bytes[0] = (uint8_t) version;
        assert_err(channel_batch_decode(&batch, ord_writer_span(&writer)), version == 1 ? ORD_OK : ORD_ERR_INVALID);
    }
}

/* A batch that names view 0 is another one than a batch that names none. */
static void batch__that_names_its_view_comes_back(void **state) {
    (void) state;
    uint8_t bytes[64];
    struct channel_batch batch;
    struct ord_span envelope;
    for (uint64_t view = 0; view < 2; view++) {
        struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
        channel_batch_begin_view(&writer, 9, view);
        channel_batch_add(&writer, ord_span_of("ab", 2));
        assert_ok(channel_batch_end(&writer, 1));
        assert_int_equal(writer.size, CHANNEL_BATCH_OVERHEAD + CHANNEL_BATCH_VIEW_SIZE + 2);
        assert_ok(channel_batch_decode(&batch, ord_writer_span(&writer)));
        assert_int_equal(batch.cut_height, 9);
        assert_true(batch.names_view);
        assert_int_equal(batch.view, view);
        assert_int_equal(batch.envelope_count, 1);
        assert_ok(channel_batch_next(&envelope, &batch.envelopes));
        assert_true(ord_span_equal(envelope, ord_span_of("ab", 2)));
        for (size_t size = 1; size < writer.size; size++)
            assert_err(channel_batch_decode(&batch, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    }
}

static void batch__empty_span_is_the_null_batch(void **state) {
    (void) state;
    struct channel_batch batch;
    struct ord_span envelope;
    assert_ok(channel_batch_decode(&batch, ord_span_of(NULL, 0)));
    assert_int_equal(batch.envelope_count, 0);
    assert_int_equal(batch.cut_height, 0);
    assert_err(channel_batch_next(&envelope, &batch.envelopes), ORD_ERR_NOT_FOUND);
}

static void batch__overhead_is_that_of_one_envelope(void **state) {
    (void) state;
    uint8_t bytes[64];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    channel_batch_begin(&writer, 0);
    channel_batch_add(&writer, ord_span_of("abcde", 5));
    assert_ok(channel_batch_end(&writer, 1));
    assert_int_equal(writer.size, CHANNEL_BATCH_OVERHEAD + 5);
}

/* Row T11: wild counts are refused when a batch is decoded. */
static void batch__wild_counts_are_refused(void **state) {
    (void) state;
    uint8_t bytes[13 + 4 * (CHANNEL_BATCH_ENVELOPES_MAX + 1)];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    struct channel_batch batch;
    channel_batch_begin(&writer, 0);
    for (uint32_t i = 0; i < CHANNEL_BATCH_ENVELOPES_MAX + 1; i++)
        channel_batch_add(&writer, ord_span_of(NULL, 0));
    assert_err(channel_batch_end(&writer, CHANNEL_BATCH_ENVELOPES_MAX + 1), ORD_ERR_TOO_LARGE);
    ord_store_u32(bytes + 9, CHANNEL_BATCH_ENVELOPES_MAX + 1);
    assert_err(channel_batch_decode(&batch, ord_writer_span(&writer)), ORD_ERR_INVALID);
    ord_store_u32(bytes + 9, CHANNEL_BATCH_ENVELOPES_MAX);
    assert_ok(channel_batch_decode(&batch, ord_span_of(bytes, sizeof(bytes) - 4)));
    ord_store_u32(bytes + 9, UINT32_MAX);
    assert_err(channel_batch_decode(&batch, ord_writer_span(&writer)), ORD_ERR_INVALID);
    ord_store_u32(bytes + 9, 1);
    ord_store_u32(bytes + 13, UINT32_MAX);
    assert_err(channel_batch_decode(&batch, ord_writer_span(&writer)), ORD_ERR_INVALID);
}

static void batch__that_did_not_fit_says_so(void **state) {
    (void) state;
    uint8_t bytes[16];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    channel_batch_begin(&writer, 0);
    channel_batch_add(&writer, ord_span_of("abcde", 5));
    assert_err(channel_batch_end(&writer, 1), ORD_ERR_NO_SPACE);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(envelope__comes_back),
    cmocka_unit_test(envelope__signature_is_over_its_id),
    cmocka_unit_test(envelope__has_one_signature_form_and_ids_exclude_it),
    cmocka_unit_test(envelope__every_cut_is_refused),
    cmocka_unit_test(envelope__wild_counts_are_refused),
    cmocka_unit_test(envelope__kinds_and_versions),
    cmocka_unit_test(envelope__encoder_makes_nothing_that_does_not_decode),
    cmocka_unit_test(batch__comes_back),
    cmocka_unit_test(batch__that_names_its_view_comes_back),
    cmocka_unit_test(batch__empty_span_is_the_null_batch),
    cmocka_unit_test(batch__overhead_is_that_of_one_envelope),
    cmocka_unit_test(batch__wild_counts_are_refused),
    cmocka_unit_test(batch__that_did_not_fit_says_so),
};
TEST_CASES(cases);
