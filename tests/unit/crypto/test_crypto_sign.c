/*
 * secp256k1: published RFC 6979 vectors, signatures by another library, and everything that a verifier must refuse.
 */
#include "tests/support/test_main.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/sign.h"
#include "crypto/x509.h"

/* The group's order n. */
static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                  0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

static void unhex(uint8_t *out, size_t size, const char *hex) {
    assert_int_equal(strlen(hex), 2 * size);
    for (size_t i = 0; i < size; i++) {
        unsigned value = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        out[i] = (uint8_t) value;
    }
}

static void hash_text(struct ord_hash *out, const char *text) {
    const struct ord_span span = ord_span_of(text, strlen(text));
    crypto_sha256(out, &span, 1);
}

static struct crypto_private_key small_key(uint8_t value) {
    struct crypto_private_key key = {{0}};
    key.bytes[31] = value;
    return key;
}

static struct crypto_verify_key verify_key_of(const struct crypto_private_key *key) {
    struct ord_public_key public_key;
    struct crypto_verify_key verify_key;
    assert_ok(crypto_public_key(&public_key, key));
    assert_ok(crypto_verify_key_parse(&verify_key, &public_key));
    return verify_key;
}

/* Replaces s by n - s, which gives the other signature that satisfies the equation. */
static void negate_s(struct ord_signature *signature) {
    unsigned borrow = 0;
    for (size_t i = 32; i-- > 0;) {
        unsigned value = 256u + order[i] - signature->bytes[32 + i] - borrow;
        signature->bytes[32 + i] = (uint8_t) value;
        borrow = value < 256 ? 1 : 0;
    }
}

static void sign__agrees_with_published_rfc6979_vectors(void **state) {
    (void) state;
    static const struct {
        const char *key;
        const char *text;
        const char *signature;
    } vectors[] = {
        {"0000000000000000000000000000000000000000000000000000000000000001", "Satoshi Nakamoto",
         "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
         "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"},
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "All those moments will be lost in time, like tears in rain. Time to die...",
         "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b"
         "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21"},
        {"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", "Satoshi Nakamoto",
         "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0"
         "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5"},
    };
    assert_ok(crypto_init());
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct crypto_private_key key;
        struct ord_signature expected;
        struct ord_signature actual;
        struct ord_hash hash;
        unhex(key.bytes, sizeof(key.bytes), vectors[i].key);
        unhex(expected.bytes, sizeof(expected.bytes), vectors[i].signature);
        hash_text(&hash, vectors[i].text);
        assert_ok(crypto_sign(&actual, &key, &hash));
        assert_memory_equal(actual.bytes, expected.bytes, sizeof(expected.bytes));
        const struct crypto_verify_key verify_key = verify_key_of(&key);
        assert_true(crypto_verify(&verify_key, &hash, &expected));
    }
}

static void public_key__of_one_is_the_generator(void **state) {
    (void) state;
    assert_ok(crypto_init());
    struct ord_public_key expected;
    struct ord_public_key actual;
    unhex(expected.bytes, sizeof(expected.bytes), "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    const struct crypto_private_key one = small_key(1);
    assert_ok(crypto_public_key(&actual, &one));
    assert_memory_equal(actual.bytes, expected.bytes, sizeof(expected.bytes));
}

static void private_key__out_of_range_is_refused(void **state) {
    (void) state;
    assert_ok(crypto_init());
    struct ord_public_key public_key;
    struct ord_signature signature;
    struct ord_hash hash;
    struct ord_public_key peer;
    const struct crypto_private_key one = small_key(1);
    assert_ok(crypto_public_key(&peer, &one));
    hash_text(&hash, "x");
    struct crypto_private_key bad[3] = {{{0}}, {{0}}, {{0}}};
    memcpy(bad[1].bytes, order, sizeof(order));
    memset(bad[2].bytes, 0xff, sizeof(bad[2].bytes));
    for (size_t i = 0; i < 3; i++) {
        assert_err(crypto_public_key(&public_key, &bad[i]), ORD_ERR_INVALID);
        assert_err(crypto_sign(&signature, &bad[i], &hash), ORD_ERR_INVALID);
        assert_err(crypto_ecdh(&hash, &bad[i], &peer), ORD_ERR_INVALID);
    }
}

static void verify_key__refuses_what_is_not_a_compressed_point(void **state) {
    (void) state;
    assert_ok(crypto_init());
    const struct crypto_private_key one = small_key(1);
    struct ord_public_key good;
    struct crypto_verify_key parsed;
    assert_ok(crypto_public_key(&good, &one));
    for (unsigned first = 0; first < 256; first++) {
        struct ord_public_key key = good;
        key.bytes[0] = (uint8_t) first;
        assert_err(crypto_verify_key_parse(&parsed, &key), first == 2 || first == 3 ? ORD_OK : ORD_ERR_INVALID);
    }
    /* No point of the curve has x = 5, and x = p is not below the field's prime. */
    struct ord_public_key off = {{2}};
    off.bytes[32] = 5;
    assert_err(crypto_verify_key_parse(&parsed, &off), ORD_ERR_INVALID);
    unhex(off.bytes, sizeof(off.bytes), "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");
    assert_err(crypto_verify_key_parse(&parsed, &off), ORD_ERR_INVALID);
}

static void verify__refuses_high_s(void **state) {
    (void) state;
    assert_ok(crypto_init());
    for (uint8_t i = 1; i < 20; i++) {
        const struct crypto_private_key key = small_key(i);
        const struct crypto_verify_key verify_key = verify_key_of(&key);
        struct ord_hash hash;
        struct ord_signature signature;
        hash_text(&hash, "high s");
        assert_ok(crypto_sign(&signature, &key, &hash));
        assert_true(crypto_verify(&verify_key, &hash, &signature));
        negate_s(&signature);
        assert_false(crypto_verify(&verify_key, &hash, &signature));
        negate_s(&signature);
        assert_true(crypto_verify(&verify_key, &hash, &signature));
    }
}

static void verify__refuses_numbers_out_of_range(void **state) {
    (void) state;
    assert_ok(crypto_init());
    const struct crypto_private_key key = small_key(7);
    const struct crypto_verify_key verify_key = verify_key_of(&key);
    struct ord_hash hash;
    struct ord_signature good;
    hash_text(&hash, "range");
    assert_ok(crypto_sign(&good, &key, &hash));
    for (size_t half = 0; half < 64; half += 32) {
        struct ord_signature bad = good;
        memset(bad.bytes + half, 0, 32);
        assert_false(crypto_verify(&verify_key, &hash, &bad));
        memcpy(bad.bytes + half, order, 32);
        assert_false(crypto_verify(&verify_key, &hash, &bad));
        memset(bad.bytes + half, 0xff, 32);
        assert_false(crypto_verify(&verify_key, &hash, &bad));
    }
}

static void verify__refuses_any_flipped_bit(void **state) {
    (void) state;
    assert_ok(crypto_init());
    const struct crypto_private_key key = small_key(9);
    const struct crypto_private_key other = small_key(10);
    const struct crypto_verify_key verify_key = verify_key_of(&key);
    const struct crypto_verify_key other_key = verify_key_of(&other);
    struct ord_hash hash;
    struct ord_signature signature;
    hash_text(&hash, "bits");
    assert_ok(crypto_sign(&signature, &key, &hash));
    assert_true(crypto_verify(&verify_key, &hash, &signature));
    assert_false(crypto_verify(&other_key, &hash, &signature));
    for (size_t bit = 0; bit < 512; bit++) {
        signature.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_false(crypto_verify(&verify_key, &hash, &signature));
        signature.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    for (size_t bit = 0; bit < 256; bit++) {
        hash.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_false(crypto_verify(&verify_key, &hash, &signature));
        hash.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
}

/* OpenSSL signs with a random nonce and leaves s as it is, so half of its signatures have a high s. */
static void verify__takes_another_librarys_signature_once_s_is_low(void **state) {
    (void) state;
    assert_ok(crypto_init());
    EVP_PKEY *key = EVP_EC_gen("secp256k1");
    assert_non_null(key);
    uint8_t point[65];
    size_t point_size = 0;
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof(point), &point_size), 1);
    assert_int_equal(point_size, 65);
    struct ord_public_key public_key;
    struct crypto_verify_key verify_key;
    public_key.bytes[0] = (uint8_t) (2 + (point[64] & 1));
    memcpy(public_key.bytes + 1, point + 1, 32);
    assert_ok(crypto_verify_key_parse(&verify_key, &public_key));

    struct ord_hash hash;
    hash_text(&hash, "from another library");
    unsigned refused = 0;
    for (int i = 0; i < 64; i++) {
        uint8_t der[80];
        size_t der_size = sizeof(der);
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
        assert_int_equal(EVP_PKEY_sign_init(context), 1);
        assert_int_equal(EVP_PKEY_sign(context, der, &der_size, hash.bytes, sizeof(hash.bytes)), 1);
        EVP_PKEY_CTX_free(context);
        const uint8_t *end = der;
        ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &end, (long) der_size);
        struct ord_signature signature;
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(parsed), signature.bytes, 32), 32);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(parsed), signature.bytes + 32, 32), 32);
        ECDSA_SIG_free(parsed);
        if (!crypto_verify(&verify_key, &hash, &signature)) {
            refused++;
            negate_s(&signature);
            assert_true(crypto_verify(&verify_key, &hash, &signature));
        }
    }
    /* The chance that all 64 signatures fall on one side is 2^-63. */
    assert_in_range(refused, 1, 63);
    EVP_PKEY_free(key);
}

static void ecdh__is_the_same_from_both_sides(void **state) {
    (void) state;
    assert_ok(crypto_init());
    const struct crypto_private_key two = small_key(2);
    const struct crypto_private_key three = small_key(3);
    const struct crypto_private_key six = small_key(6);
    struct ord_public_key two_public;
    struct ord_public_key three_public;
    struct ord_public_key six_public;
    assert_ok(crypto_public_key(&two_public, &two));
    assert_ok(crypto_public_key(&three_public, &three));
    assert_ok(crypto_public_key(&six_public, &six));
    struct ord_hash first;
    struct ord_hash second;
    assert_ok(crypto_ecdh(&first, &two, &three_public));
    assert_ok(crypto_ecdh(&second, &three, &two_public));
    assert_true(ord_hash_equal(&first, &second));
    /* By definition the shared point is 2 * 3 * G, the public key of 6. */
    const struct ord_span point = ord_span_of(six_public.bytes, sizeof(six_public.bytes));
    crypto_sha256(&second, &point, 1);
    assert_true(ord_hash_equal(&first, &second));
    three_public.bytes[0] = 4;
    assert_err(crypto_ecdh(&first, &two, &three_public), ORD_ERR_INVALID);
}

static void ops__verify_by_signer_and_sign_as_owner(void **state) {
    (void) state;
    assert_ok(crypto_init());
    struct crypto_private_key keys[3];
    struct ord_public_key public_keys[3];
    struct crypto_replica_keys replica_keys;
    for (uint8_t i = 0; i < 3; i++) {
        keys[i] = small_key((uint8_t) (i + 11));
        assert_ok(crypto_public_key(&public_keys[i], &keys[i]));
    }
    assert_ok(crypto_replica_keys_init(&replica_keys, public_keys, 3));
    struct ord_crypto_ops ops;
    struct ord_signer signer;
    crypto_ops_init(&ops, &replica_keys);
    crypto_signer_init(&signer, &keys[1]);

    struct ord_hash hash;
    struct ord_hash expected;
    const struct ord_span part = ord_span_of("part", 4);
    ops.hash(&hash, &part, 1);
    crypto_sha256(&expected, &part, 1);
    assert_true(ord_hash_equal(&hash, &expected));

    struct ord_signature signature;
    assert_ok(signer.sign(signer.context, &signature, &hash));
    assert_false(ops.verify(ops.context, 0, &hash, &signature));
    assert_true(ops.verify(ops.context, 1, &hash, &signature));
    assert_false(ops.verify(ops.context, 2, &hash, &signature));
    assert_false(ops.verify(ops.context, 3, &hash, &signature));
    assert_false(ops.verify(ops.context, ORD_NO_NODE, &hash, &signature));
    assert_false(ops.verify(NULL, 1, &hash, &signature));
}

static void replica_keys__refuse_too_many_and_bad_ones(void **state) {
    (void) state;
    assert_ok(crypto_init());
    struct ord_public_key public_keys[ORD_REPLICA_MAX + 1];
    struct crypto_replica_keys replica_keys;
    for (uint32_t i = 0; i <= ORD_REPLICA_MAX; i++) {
        const struct crypto_private_key key = small_key((uint8_t) (i + 1));
        assert_ok(crypto_public_key(&public_keys[i], &key));
    }
    assert_ok(crypto_replica_keys_init(&replica_keys, public_keys, ORD_REPLICA_MAX));
    assert_int_equal(replica_keys.count, ORD_REPLICA_MAX);
    assert_err(crypto_replica_keys_init(&replica_keys, public_keys, ORD_REPLICA_MAX + 1), ORD_ERR_INVALID);
    public_keys[2].bytes[0] = 0;
    assert_err(crypto_replica_keys_init(&replica_keys, public_keys, 4), ORD_ERR_INVALID);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(sign__agrees_with_published_rfc6979_vectors),
    cmocka_unit_test(public_key__of_one_is_the_generator),
    cmocka_unit_test(private_key__out_of_range_is_refused),
    cmocka_unit_test(verify_key__refuses_what_is_not_a_compressed_point),
    cmocka_unit_test(verify__refuses_high_s),
    cmocka_unit_test(verify__refuses_numbers_out_of_range),
    cmocka_unit_test(verify__refuses_any_flipped_bit),
    cmocka_unit_test(verify__takes_another_librarys_signature_once_s_is_low),
    cmocka_unit_test(ecdh__is_the_same_from_both_sides),
    cmocka_unit_test(ops__verify_by_signer_and_sign_as_owner),
    cmocka_unit_test(replica_keys__refuse_too_many_and_bad_ones),
};
TEST_CASES(cases);
