/*
 * Identity certificates that a careless or lying CA might sign. The CA's signature is valid, yet every replica must
 * refuse them.
 */
#include "tests/support/test_main.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/x509.h"

struct der {
    uint8_t bytes[CRYPTO_CERT_DER_MAX];
    size_t size;
};

/* A CA, and an honest identity certificate that it issued. Each case starts from that certificate. */
struct forge {
    struct crypto_pem ca_pem;
    struct der ca_der;
    EVP_PKEY *ca_key;
    X509 *cert;
};

static struct ord_span span_of(const struct der *der) {
    return ord_span_of(der->bytes, der->size);
}

static int forge_setup(void **state) {
    static struct forge forge;
    struct crypto_pem pem;
    forge.ca_der.size = sizeof(forge.ca_der.bytes);
    if (crypto_init() != ORD_OK || crypto_ca_create(&forge.ca_pem, "Alpha", 10) != ORD_OK ||
        crypto_identity_create(&pem, &forge.ca_pem, "Alpha", CRYPTO_ROLE_CLIENT, "honest", 10) != ORD_OK ||
        crypto_cert_der(forge.ca_der.bytes, &forge.ca_der.size, forge.ca_pem.cert) != ORD_OK)
        return -1;
    BIO *bio = BIO_new_mem_buf(forge.ca_pem.key, -1);
    forge.ca_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(pem.cert, -1);
    forge.cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    *state = &forge;
    return forge.ca_key != NULL && forge.cert != NULL ? 0 : -1;
}

static int forge_teardown(void **state) {
    struct forge *forge = *state;
    EVP_PKEY_free(forge->ca_key);
    X509_free(forge->cert);
    return 0;
}

static enum ord_err verify(const struct forge *forge, const struct der *der, struct crypto_identity *identity) {
    return crypto_identity_verify(identity, span_of(der), span_of(&forge->ca_der));
}

static struct der encode(X509 *cert) {
    struct der der;
    uint8_t *end = der.bytes;
    assert_in_range(i2d_X509(cert, NULL), 1, sizeof(der.bytes));
    der.size = (size_t) i2d_X509(cert, &end);
    return der;
}

/* Signs the changed certificate again and returns what crypto_identity_verify says about it. */
static enum ord_err verdict(struct forge *forge) {
    struct crypto_identity identity;
    assert_true(X509_sign(forge->cert, forge->ca_key, EVP_sha256()) > 0);
    const struct der der = encode(forge->cert);
    return verify(forge, &der, &identity);
}

static void set_subject(struct forge *forge, const char *organisation, const char *unit, const char *name) {
    X509_NAME *subject = X509_NAME_new();
    const int nids[] = {NID_organizationName, NID_organizationalUnitName, NID_commonName};
    const char *const values[] = {organisation, unit, name};
    for (size_t i = 0; i < 3; i++)
        if (values[i] != NULL)
            assert_int_equal(
                X509_NAME_add_entry_by_NID(subject, nids[i], MBSTRING_UTF8, (const uint8_t *) values[i], -1, -1, 0), 1);
    assert_int_equal(X509_set_subject_name(forge->cert, subject), 1);
    X509_NAME_free(subject);
}

static void drop_extension(struct forge *forge, int nid) {
    int index = X509_get_ext_by_NID(forge->cert, nid, -1);
    assert_true(index >= 0);
    X509_EXTENSION_free(X509_delete_ext(forge->cert, index));
}

static void add_extension(struct forge *forge, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(forge->cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void forged__unchanged_is_accepted(void **state) {
    struct forge *forge = *state;
    assert_ok(verdict(forge));
    set_subject(forge, "Alpha", "admin", "promoted");
    assert_ok(verdict(forge));
}

static void forged__role_that_is_none_is_refused(void **state) {
    static const char *const units[] = {"boss", "Client", "client ", "clients", "none"};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        set_subject(*state, "Alpha", units[i], "n");
        assert_err(verdict(*state), ORD_ERR_FORBIDDEN);
    }
}

static void forged__organisation_of_another_is_refused(void **state) {
    static const char *const organisations[] = {"Beta", "alpha", "Alpha ", "Alph"};
    for (size_t i = 0; i < sizeof(organisations) / sizeof(organisations[0]); i++) {
        set_subject(*state, organisations[i], "client", "n");
        assert_err(verdict(*state), ORD_ERR_FORBIDDEN);
    }
}

static void forged__name_that_is_missing_or_twice_is_refused(void **state) {
    struct forge *forge = *state;
    set_subject(forge, NULL, "client", "n");
    assert_err(verdict(forge), ORD_ERR_INVALID);
    set_subject(forge, "Alpha", NULL, "n");
    assert_err(verdict(forge), ORD_ERR_INVALID);
    set_subject(forge, "Alpha", "client", NULL);
    assert_err(verdict(forge), ORD_ERR_INVALID);
    static const struct {
        int nid;
        const char *value;
    } twice[] = {{NID_organizationName, "Alpha"}, {NID_organizationalUnitName, "admin"}, {NID_commonName, "second"}};
    for (size_t i = 0; i < 3; i++) {
        set_subject(forge, "Alpha", "client", "first");
        assert_int_equal(X509_NAME_add_entry_by_NID(X509_get_subject_name(forge->cert), twice[i].nid, MBSTRING_UTF8,
                                                    (const uint8_t *) twice[i].value, -1, -1, 0),
                         1);
        assert_err(verdict(forge), ORD_ERR_INVALID);
    }
}

static void forged__name_with_nul_or_control_character_is_refused(void **state) {
    struct forge *forge = *state;
    static const char *const names[] = {"good\0evil", "good\nevil", "good\033evl", "good\177evl"};
    for (size_t i = 0; i < 4; i++) {
        set_subject(forge, "Alpha", "client", NULL);
        assert_int_equal(X509_NAME_add_entry_by_NID(X509_get_subject_name(forge->cert), NID_commonName, MBSTRING_UTF8,
                                                    (const uint8_t *) names[i], 9, -1, 0),
                         1);
        assert_err(verdict(forge), ORD_ERR_INVALID);
    }
}

static void forged__issuer_name_in_other_case_is_refused(void **state) {
    struct forge *forge = *state;
    X509_NAME *issuer = X509_NAME_new();
    const char *const values[] = {"ALPHA", "CA"};
    const int nids[] = {NID_organizationName, NID_commonName};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            X509_NAME_add_entry_by_NID(issuer, nids[i], MBSTRING_UTF8, (const uint8_t *) values[i], -1, -1, 0), 1);
    /* OpenSSL considers the two names equal. Another library might not, so the bytes decide. */
    assert_int_equal(X509_NAME_cmp(issuer, X509_get_issuer_name(forge->cert)), 0);
    assert_int_equal(X509_set_issuer_name(forge->cert, issuer), 1);
    assert_err(verdict(forge), ORD_ERR_FORBIDDEN);
    X509_NAME_free(issuer);
}

static void forged__usage_is_checked(void **state) {
    struct forge *forge = *state;
    drop_extension(forge, NID_key_usage);
    assert_err(verdict(forge), ORD_ERR_FORBIDDEN);
    add_extension(forge, NID_key_usage, "critical,keyAgreement");
    assert_err(verdict(forge), ORD_ERR_FORBIDDEN);
    drop_extension(forge, NID_key_usage);
    add_extension(forge, NID_key_usage, "critical,digitalSignature,keyAgreement");
    assert_ok(verdict(forge));
    drop_extension(forge, NID_basic_constraints);
    assert_ok(verdict(forge));
    add_extension(forge, NID_basic_constraints, "critical,CA:TRUE");
    assert_err(verdict(forge), ORD_ERR_FORBIDDEN);
}

static void forged__extension_that_is_critical_and_unknown_is_refused(void **state) {
    struct forge *forge = *state;
    for (int critical = 0; critical < 2; critical++) {
        ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
        ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
        assert_int_equal(ASN1_OCTET_STRING_set(value, (const uint8_t *) "\x05\x00", 2), 1);
        X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical, value);
        assert_int_equal(X509_add_ext(forge->cert, extension, -1), 1);
        assert_err(verdict(forge), critical == 1 ? ORD_ERR_INVALID : ORD_OK);
        X509_EXTENSION_free(extension);
        X509_EXTENSION_free(X509_delete_ext(forge->cert, X509_get_ext_count(forge->cert) - 1));
        ASN1_OCTET_STRING_free(value);
        ASN1_OBJECT_free(object);
    }
}

static void forged__version_other_than_three_is_refused(void **state) {
    struct forge *forge = *state;
    for (long version = 0; version < 2; version++) {
        assert_int_equal(X509_set_version(forge->cert, version), 1);
        assert_err(verdict(forge), ORD_ERR_INVALID);
    }
}

static void forged__key_of_another_curve_is_refused(void **state) {
    struct forge *forge = *state;
    static const char *const curves[] = {"P-256", "brainpoolP256r1", "secp256k1"};
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = EVP_EC_gen(curves[i]);
        assert_int_equal(X509_set_pubkey(forge->cert, key), 1);
        assert_err(verdict(forge), i == 2 ? ORD_OK : ORD_ERR_INVALID);
        EVP_PKEY_free(key);
    }
}

static void forged__curve_spelled_out_is_refused(void **state) {
    struct forge *forge = *state;
    EVP_PKEY *key = EVP_EC_gen("secp256k1");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, "encoding", "explicit"), 1);
    assert_int_equal(X509_set_pubkey(forge->cert, key), 1);
    assert_err(verdict(forge), ORD_ERR_INVALID);
    EVP_PKEY_free(key);
}

/* Replaces the public key's point in the certificate by the caller's. */
static void set_point(struct forge *forge, const uint8_t *point, int size) {
    X509_PUBKEY *holder = X509_get_X509_PUBKEY(forge->cert);
    uint8_t *copy = OPENSSL_memdup(point, (size_t) size);
    assert_int_equal(X509_PUBKEY_set0_param(holder, OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
                                            OBJ_nid2obj(NID_secp256k1), copy, size),
                     1);
}

static void forged__point_has_two_forms_and_no_third(void **state) {
    struct forge *forge = *state;
    struct crypto_identity first;
    struct crypto_identity second;
    EVP_PKEY *key = EVP_EC_gen("secp256k1");
    uint8_t point[65];
    size_t size = 0;
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof(point), &size), 1);
    EVP_PKEY_free(key);

    set_point(forge, point, 65);
    assert_ok(verdict(forge));
    struct der der = encode(forge->cert);
    assert_ok(verify(forge, &der, &first));
    uint8_t compressed[33];
    compressed[0] = (uint8_t) (2 + (point[64] & 1));
    memcpy(compressed + 1, point + 1, 32);
    set_point(forge, compressed, 33);
    assert_ok(verdict(forge));
    der = encode(forge->cert);
    assert_ok(verify(forge, &der, &second));
    assert_memory_equal(first.key.bytes, second.key.bytes, sizeof(first.key.bytes));

    point[0] = (uint8_t) (6 + (point[64] & 1)); /* hybrid */
    set_point(forge, point, 65);
    assert_err(verdict(forge), ORD_ERR_INVALID);
    point[0] = 4;
    point[64] ^= 1; /* off the curve */
    set_point(forge, point, 65);
    assert_err(verdict(forge), ORD_ERR_INVALID);
    point[64] ^= 1;
    set_point(forge, point, 64);
    assert_err(verdict(forge), ORD_ERR_INVALID);
    set_point(forge, (const uint8_t *) "", 1); /* the point at infinity */
    assert_err(verdict(forge), ORD_ERR_INVALID);
}

static void forged__signature_with_another_digest_is_refused(void **state) {
    struct forge *forge = *state;
    struct crypto_identity identity;
    assert_true(X509_sign(forge->cert, forge->ca_key, EVP_sha384()) > 0);
    const struct der der = encode(forge->cert);
    assert_err(verify(forge, &der, &identity), ORD_ERR_INVALID);
}

static size_t put_length(uint8_t *out, size_t length) {
    assert_in_range(length, 256, 65535);
    out[0] = 0x82;
    out[1] = (uint8_t) (length >> 8);
    out[2] = (uint8_t) length;
    return 3;
}

/* Makes a certificate whose signed part is `tbs`, whatever its bytes are. */
static struct der sign_raw(struct forge *forge, const uint8_t *tbs, size_t tbs_size) {
    static const uint8_t algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    uint8_t signature[80];
    size_t signature_size = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, forge->ca_key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &signature_size, tbs, tbs_size), 1);
    EVP_MD_CTX_free(context);

    struct der der;
    size_t at = 0;
    der.bytes[at++] = 0x30;
    at += put_length(der.bytes + at, tbs_size + sizeof(algorithm) + 3 + signature_size);
    memcpy(der.bytes + at, tbs, tbs_size);
    at += tbs_size;
    memcpy(der.bytes + at, algorithm, sizeof(algorithm));
    at += sizeof(algorithm);
    der.bytes[at++] = 0x03;
    der.bytes[at++] = (uint8_t) (signature_size + 1);
    der.bytes[at++] = 0;
    memcpy(der.bytes + at, signature, signature_size);
    der.size = at + signature_size;
    return der;
}

static void forged__other_encoding_of_the_signed_part_is_refused(void **state) {
    struct forge *forge = *state;
    struct crypto_identity identity;
    uint8_t *tbs = NULL;
    int tbs_size = i2d_re_X509_tbs(forge->cert, &tbs);
    assert_in_range(tbs_size, 256, CRYPTO_CERT_DER_MAX - 200);
    struct der der = sign_raw(forge, tbs, (size_t) tbs_size);
    assert_ok(verify(forge, &der, &identity)); /* sign_raw itself works */

    /* The signed part is SEQUENCE, length, [0] version, then the serial. Write the serial's
     * length of 16 in two bytes instead of one. */
    uint8_t longer[CRYPTO_CERT_DER_MAX];
    assert_int_equal(tbs[9], 0x02);
    assert_int_equal(tbs[10], 16);
    memcpy(longer, tbs, 10);
    put_length(longer + 1, (size_t) tbs_size - 4 + 1);
    longer[10] = 0x81;
    memcpy(longer + 11, tbs + 10, (size_t) tbs_size - 10);
    der = sign_raw(forge, longer, (size_t) tbs_size + 1);
    assert_err(verify(forge, &der, &identity), ORD_ERR_INVALID);
    OPENSSL_free(tbs);
}

static void forged__other_encoding_of_the_whole_is_refused(void **state) {
    struct forge *forge = *state;
    struct crypto_identity identity;
    assert_true(X509_sign(forge->cert, forge->ca_key, EVP_sha256()) > 0);
    const struct der der = encode(forge->cert);
    assert_ok(verify(forge, &der, &identity));
    /* The outer length in three bytes instead of two. */
    struct der other = {.size = der.size + 1};
    memcpy(other.bytes, "\x30\x83\x00", 3);
    memcpy(other.bytes + 3, der.bytes + 2, der.size - 2);
    assert_err(verify(forge, &other, &identity), ORD_ERR_INVALID);
    /* An indefinite length, closed by two zeros. */
    other.size = der.size;
    memcpy(other.bytes, "\x30\x80", 2);
    memcpy(other.bytes + 2, der.bytes + 4, der.size - 4);
    memset(other.bytes + der.size - 2, 0, 2);
    assert_err(verify(forge, &other, &identity), ORD_ERR_INVALID);
}

#define FORGED(case) cmocka_unit_test_setup_teardown(case, forge_setup, forge_teardown)

static const struct CMUnitTest cases[] = {
    FORGED(forged__unchanged_is_accepted),
    FORGED(forged__role_that_is_none_is_refused),
    FORGED(forged__organisation_of_another_is_refused),
    FORGED(forged__name_that_is_missing_or_twice_is_refused),
    FORGED(forged__name_with_nul_or_control_character_is_refused),
    FORGED(forged__issuer_name_in_other_case_is_refused),
    FORGED(forged__usage_is_checked),
    FORGED(forged__extension_that_is_critical_and_unknown_is_refused),
    FORGED(forged__version_other_than_three_is_refused),
    FORGED(forged__key_of_another_curve_is_refused),
    FORGED(forged__curve_spelled_out_is_refused),
    FORGED(forged__point_has_two_forms_and_no_third),
    FORGED(forged__signature_with_another_digest_is_refused),
    FORGED(forged__other_encoding_of_the_signed_part_is_refused),
    FORGED(forged__other_encoding_of_the_whole_is_refused),
};
TEST_CASES(cases);
