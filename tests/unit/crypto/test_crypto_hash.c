/*
 * SHA-256 and HMAC-SHA256 against published vectors (FIPS 180-4's examples, RFC 4231), and the helpers around them.
 */
#include "tests/support/test_main.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

static struct ord_span text(const char *value) {
    return ord_span_of(value, strlen(value));
}

static void assert_hash(const struct ord_hash *hash, const char *hex) {
    char actual[2 * ORD_HASH_SIZE + 1];
    for (size_t i = 0; i < ORD_HASH_SIZE; i++)
        snprintf(actual + 2 * i, 3, "%02x", hash->bytes[i]);
    assert_string_equal(actual, hex);
}

static void assert_sha256(struct ord_span message, const char *hex) {
    struct ord_hash hash;
    crypto_sha256(&hash, &message, 1);
    assert_hash(&hash, hex);
}

static void sha256__agrees_with_published_vectors(void **state) {
    (void) state;
    assert_ok(crypto_init());
    assert_sha256(text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_sha256(ord_span_of(NULL, 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_sha256(text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_sha256(text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    assert_non_null(million);
    memset(million, 'a', 1000000);
    assert_sha256(ord_span_of(million, 1000000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void sha256__of_parts_is_that_of_the_whole(void **state) {
    (void) state;
    assert_ok(crypto_init());
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t) (i * 7);
    struct ord_hash whole;
    const struct ord_span all = ord_span_of(bytes, sizeof(bytes));
    crypto_sha256(&whole, &all, 1);
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        struct ord_hash hash;
        const struct ord_span parts[] = {
            ord_span_of(bytes, cut), {NULL, 0}, ord_span_of(bytes + cut, sizeof(bytes) - cut)};
        crypto_sha256(&hash, parts, 3);
        assert_true(ord_hash_equal(&hash, &whole));
    }
}

static void assert_hmac(struct ord_span key, struct ord_span message, const char *hex) {
    struct ord_hash hash;
    crypto_hmac_sha256(&hash, key, &message, 1);
    assert_hash(&hash, hex);
    if (message.size > 1) {
        const struct ord_span parts[] = {ord_span_of(message.data, 1), ord_span_of(message.data + 1, message.size - 1)};
        crypto_hmac_sha256(&hash, key, parts, 2);
        assert_hash(&hash, hex);
    }
}

static void hmac__agrees_with_rfc_4231(void **state) {
    (void) state;
    assert_ok(crypto_init());
    uint8_t key[131];
    uint8_t message[50];

    memset(key, 0x0b, 20);
    assert_hmac(ord_span_of(key, 20), text("Hi There"),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_hmac(text("Jefe"), text("what do ya want for nothing?"),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    memset(message, 0xdd, sizeof(message));
    assert_hmac(ord_span_of(key, 20), ord_span_of(message, sizeof(message)),
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    assert_hmac(ord_span_of(key, 131), text("Test Using Larger Than Block-Size Key - Hash Key First"),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_hmac(ord_span_of(key, 131),
                text("This is a test using a larger than block-size key and a larger than block-size data. The key "
                     "needs to be hashed before being used by the HMAC algorithm."),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    for (uint8_t i = 0; i < 25; i++)
        key[i] = (uint8_t) (i + 1);
    memset(message, 0xcd, sizeof(message));
    assert_hmac(ord_span_of(key, 25), ord_span_of(message, sizeof(message)),
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
}

static void hmac__takes_a_key_of_block_size_as_it_is(void **state) {
    (void) state;
    assert_ok(crypto_init());
    /* Compare with HMAC computed by its definition, for key sizes around the block size. */
    uint8_t key[65] = {0};
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t) (i + 1);
    for (size_t size = 63; size <= 65; size++) {
        uint8_t block[64] = {0};
        struct ord_hash inner;
        struct ord_hash expected;
        struct ord_hash actual;
        const struct ord_span key_span = ord_span_of(key, size);
        if (size > 64) {
            crypto_sha256(&inner, &key_span, 1);
            memcpy(block, inner.bytes, sizeof(inner.bytes));
        } else {
            memcpy(block, key, size);
        }
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] ^= 0x36;
        const struct ord_span first[] = {ord_span_of(block, 64), text("message")};
        crypto_sha256(&inner, first, 2);
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] ^= 0x36 ^ 0x5c;
        const struct ord_span second[] = {ord_span_of(block, 64), ord_span_of(inner.bytes, sizeof(inner.bytes))};
        crypto_sha256(&expected, second, 2);
        const struct ord_span message = text("message");
        crypto_hmac_sha256(&actual, key_span, &message, 1);
        assert_true(ord_hash_equal(&actual, &expected));
    }
}

static void *hash_many(void *argument) {
    struct ord_hash *out = argument;
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < 5000; i++) {
        const struct ord_span previous = ord_span_of(out->bytes, sizeof(out->bytes));
        crypto_sha256(out, &previous, 1);
        crypto_hmac_sha256(out, previous, &previous, 1);
    }
    return NULL;
}

static void hash__is_the_same_on_many_threads_at_once(void **state) {
    (void) state;
    assert_ok(crypto_init());
    pthread_t threads[4];
    struct ord_hash results[4];
    struct ord_hash expected;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_many, &results[i]), 0);
    hash_many(&expected);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(ord_hash_equal(&results[i], &expected));
    }
}

static void equal__sees_a_difference_in_any_byte(void **state) {
    (void) state;
    uint8_t a[32] = {1, 2, 3};
    uint8_t b[32];
    memcpy(b, a, sizeof(a));
    assert_true(crypto_equal(a, b, sizeof(a)));
    assert_true(crypto_equal(a, b, 0));
    for (size_t i = 0; i < sizeof(b); i++) {
        b[i] ^= 0x80;
        assert_false(crypto_equal(a, b, sizeof(a)));
        assert_true(crypto_equal(a, b, i));
        b[i] ^= 0x80;
    }
}

static void random__fills_every_byte_and_does_not_repeat(void **state) {
    (void) state;
    assert_ok(crypto_init());
    uint8_t seen[48] = {0};
    uint8_t previous[48] = {0};
    /* The chance that a byte is zero in all 64 draws is 2^-512. */
    for (int round = 0; round < 64; round++) {
        uint8_t bytes[48];
        assert_ok(crypto_random(bytes, sizeof(bytes)));
        assert_memory_not_equal(bytes, previous, sizeof(bytes));
        memcpy(previous, bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        assert_int_not_equal(seen[i], 0);
    assert_ok(crypto_random(seen, 0));
}

static void wipe__zeroes(void **state) {
    (void) state;
    uint8_t secret[40];
    static const uint8_t zeros[40];
    memset(secret, 0x5a, sizeof(secret));
    crypto_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zeros, sizeof(secret));
}

static void init__may_be_called_again(void **state) {
    (void) state;
    assert_ok(crypto_init());
    assert_ok(crypto_init());
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(sha256__agrees_with_published_vectors),
    cmocka_unit_test(sha256__of_parts_is_that_of_the_whole),
    cmocka_unit_test(hmac__agrees_with_rfc_4231),
    cmocka_unit_test(hmac__takes_a_key_of_block_size_as_it_is),
    cmocka_unit_test(hash__is_the_same_on_many_threads_at_once),
    cmocka_unit_test(equal__sees_a_difference_in_any_byte),
    cmocka_unit_test(random__fills_every_byte_and_does_not_repeat),
    cmocka_unit_test(wipe__zeroes),
    cmocka_unit_test(init__may_be_called_again),
};
TEST_CASES(cases);
