/*
 * Certificates and keys as crypto/ makes them: their contents, and the refusal of those that are honest but wrong. The
 * cases about forged certificates are in test_crypto_x509_forged.c.
 */
#include "tests/support/test_main.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/hash.h"
#include "crypto/x509.h"

struct der {
    uint8_t bytes[CRYPTO_CERT_DER_MAX + 1];
    size_t size;
};

static struct ord_span span_of(const struct der *der) {
    return ord_span_of(der->bytes, der->size);
}

static struct der der_of(const struct crypto_pem *pem) {
    struct der der = {.size = CRYPTO_CERT_DER_MAX};
    assert_ok(crypto_cert_der(der.bytes, &der.size, pem->cert));
    return der;
}

static void make_ca(struct crypto_pem *out, struct der *der, const char *organisation) {
    assert_ok(crypto_init());
    assert_ok(crypto_ca_create(out, organisation, 365));
    *der = der_of(out);
}

static void ca__passes_its_own_check(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct der der;
    char organisation[CRYPTO_NAME_MAX + 1];
    make_ca(&ca, &der, "Ümlaut & Söhne");
    assert_ok(crypto_ca_check(organisation, span_of(&der)));
    assert_string_equal(organisation, "Ümlaut & Söhne");
}

static void ca_check__refuses_certificates_that_are_no_ca(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem other;
    struct der der;
    char organisation[CRYPTO_NAME_MAX + 1];
    make_ca(&ca, &der, "Alpha");
    assert_ok(crypto_tls_create(&other, &ca, "Alpha", CRYPTO_ROLE_REPLICA, "replica", NULL, 1));
    der = der_of(&other);
    assert_err(crypto_ca_check(organisation, span_of(&der)), ORD_ERR_FORBIDDEN);
    assert_ok(crypto_identity_create(&other, &ca, "Alpha", CRYPTO_ROLE_ADMIN, "boss", 1));
    der = der_of(&other);
    assert_err(crypto_ca_check(organisation, span_of(&der)), ORD_ERR_INVALID); /* another curve */
    assert_err(crypto_ca_check(organisation, ord_span_of(NULL, 0)), ORD_ERR_INVALID);
    assert_err(crypto_ca_check(organisation, ord_span_of("certificate", 11)), ORD_ERR_INVALID);
}

static void identity__verifies_and_gives_what_it_was_made_of(void **state) {
    (void) state;
    static const enum crypto_role roles[] = {CRYPTO_ROLE_CLIENT, CRYPTO_ROLE_REPLICA, CRYPTO_ROLE_ADMIN};
    struct crypto_pem ca;
    struct der ca_der;
    make_ca(&ca, &ca_der, "Alpha");
    for (size_t i = 0; i < 3; i++) {
        struct crypto_pem pem;
        struct crypto_identity identity;
        struct crypto_identity parsed;
        struct crypto_private_key key;
        struct ord_public_key public_key;
        int64_t now_s = (int64_t) time(NULL);
        assert_ok(crypto_identity_create(&pem, &ca, "Alpha", roles[i], "name-1", 10));
        const struct der der = der_of(&pem);
        assert_ok(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)));
        assert_int_equal(identity.role, roles[i]);
        assert_string_equal(identity.organisation, "Alpha");
        assert_string_equal(identity.name, "name-1");
        assert_in_range(identity.not_before_s, now_s - 2 * 3600, now_s);
        assert_in_range(identity.not_after_s, now_s + 10 * 86400 - 1, now_s + 10 * 86400 + 120);
        assert_ok(crypto_private_key_load(&key, pem.key));
        assert_ok(crypto_public_key(&public_key, &key));
        assert_memory_equal(identity.key.bytes, public_key.bytes, sizeof(public_key.bytes));
        assert_ok(crypto_identity_parse(&parsed, span_of(&der)));
        assert_memory_equal(parsed.key.bytes, public_key.bytes, sizeof(public_key.bytes));
        assert_int_equal(parsed.role, roles[i]);
    }
}

static void identity__that_has_expired_still_verifies(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem pem;
    struct der ca_der;
    struct crypto_identity identity;
    make_ca(&ca, &ca_der, "Alpha");
    for (int32_t days = -20000; days <= 0; days += 10000) {
        assert_ok(crypto_identity_create(&pem, &ca, "Alpha", CRYPTO_ROLE_CLIENT, "late", days));
        const struct der der = der_of(&pem);
        assert_ok(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)));
        int64_t expected_s = (int64_t) time(NULL) + (int64_t) days * 86400;
        assert_true(identity.not_after_s <= expected_s && identity.not_after_s > expected_s - 120);
        assert_true(identity.not_before_s < identity.not_after_s);
    }
}

static void identity__of_a_foreign_ca_is_refused(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem namesake;
    struct crypto_pem foreign;
    struct crypto_pem pem;
    struct der ca_der;
    struct der namesake_der;
    struct der foreign_der;
    struct crypto_identity identity = {.name = "untouched"};
    make_ca(&ca, &ca_der, "Alpha");
    make_ca(&namesake, &namesake_der, "Alpha");
    make_ca(&foreign, &foreign_der, "Beta");

    assert_ok(crypto_identity_create(&pem, &namesake, "Alpha", CRYPTO_ROLE_CLIENT, "c", 10));
    struct der der = der_of(&pem);
    assert_ok(crypto_identity_verify(&identity, span_of(&der), span_of(&namesake_der)));
    strcpy(identity.name, "untouched");
    assert_err(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)), ORD_ERR_BAD_SIGNATURE);
    assert_ok(crypto_identity_create(&pem, &foreign, "Alpha", CRYPTO_ROLE_CLIENT, "c", 10));
    der = der_of(&pem);
    assert_err(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)), ORD_ERR_FORBIDDEN);
    /* The CA that signed it may not certify members of another organisation either. */
    assert_err(crypto_identity_verify(&identity, span_of(&der), span_of(&foreign_der)), ORD_ERR_FORBIDDEN);
    assert_string_equal(identity.name, "untouched");
}

static void identity__under_what_is_no_ca_is_refused(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem tls;
    struct crypto_pem pem;
    struct der ca_der;
    struct crypto_identity identity;
    make_ca(&ca, &ca_der, "Alpha");
    assert_ok(crypto_tls_create(&tls, &ca, "Alpha", CRYPTO_ROLE_REPLICA, "replica", NULL, 10));
    assert_ok(crypto_identity_create(&pem, &ca, "Alpha", CRYPTO_ROLE_CLIENT, "c", 10));
    const struct der der = der_of(&pem);
    const struct der tls_der = der_of(&tls);
    assert_err(crypto_identity_verify(&identity, span_of(&der), span_of(&tls_der)), ORD_ERR_FORBIDDEN);
    assert_err(crypto_identity_verify(&identity, span_of(&der), span_of(&der)), ORD_ERR_INVALID);
    assert_err(crypto_identity_create(&pem, &tls, "Alpha", CRYPTO_ROLE_CLIENT, "c", 10), ORD_ERR_INVALID);
    /* Neither the CA's own certificate nor a TLS certificate is an identity. */
    assert_err(crypto_identity_verify(&identity, span_of(&ca_der), span_of(&ca_der)), ORD_ERR_INVALID);
    assert_err(crypto_identity_verify(&identity, span_of(&tls_der), span_of(&ca_der)), ORD_ERR_INVALID);
}

static void identity__any_other_length_is_refused(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem pem;
    struct der ca_der;
    struct crypto_identity identity;
    make_ca(&ca, &ca_der, "Alpha");
    assert_ok(crypto_identity_create(&pem, &ca, "Alpha", CRYPTO_ROLE_CLIENT, "c", 10));
    struct der der = der_of(&pem);
    const size_t size = der.size;
    for (der.size = 0; der.size <= sizeof(der.bytes); der.size++) {
        if (der.size == size)
            continue;
        assert_err(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)), ORD_ERR_INVALID);
        assert_err(crypto_identity_parse(&identity, span_of(&der)), ORD_ERR_INVALID);
    }
    der.size = size;
    ca_der.size++;
    assert_err(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)), ORD_ERR_INVALID);
    ca_der.size--;
    assert_ok(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)));
}

static void identity__any_flipped_bit_is_refused(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem pem;
    struct der ca_der;
    struct crypto_identity identity;
    make_ca(&ca, &ca_der, "Alpha");
    assert_ok(crypto_identity_create(&pem, &ca, "Alpha", CRYPTO_ROLE_CLIENT, "c", 10));
    struct der der = der_of(&pem);
    for (size_t bit = 0; bit < 8 * der.size; bit++) {
        der.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_true(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)) != ORD_OK);
        der.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    assert_ok(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)));
}

static void create__refuses_names_that_do_not_fit(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem pem;
    struct der ca_der;
    char name[CRYPTO_NAME_MAX + 2];
    make_ca(&ca, &ca_der, "Alpha");
    memset(name, 'n', sizeof(name));
    name[CRYPTO_NAME_MAX + 1] = '\0';
    const char *const bad[] = {"", name, "line\nbreak", "\x7f", "\xff\xfe"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_err(crypto_ca_create(&pem, bad[i], 1), ORD_ERR_INVALID);
        assert_err(crypto_tls_create(&pem, &ca, bad[i], CRYPTO_ROLE_REPLICA, "n", NULL, 1), ORD_ERR_INVALID);
        assert_err(crypto_tls_create(&pem, &ca, "Alpha", CRYPTO_ROLE_REPLICA, bad[i], NULL, 1), ORD_ERR_INVALID);
        assert_err(crypto_identity_create(&pem, &ca, "Alpha", CRYPTO_ROLE_CLIENT, bad[i], 1), ORD_ERR_INVALID);
    }
    assert_err(crypto_identity_create(&pem, &ca, "Alpha", CRYPTO_ROLE_NONE, "n", 1), ORD_ERR_INVALID);
    assert_err(crypto_identity_create(&pem, &ca, "Alpha", (enum crypto_role) 77, "n", 1), ORD_ERR_INVALID);
    assert_err(crypto_ca_create(&pem, "Alpha", UINT32_MAX), ORD_ERR_INVALID); /* after the year 9999 */
    assert_err(crypto_identity_create(&pem, &ca, "Alpha", CRYPTO_ROLE_CLIENT, "n", INT32_MIN), ORD_ERR_INVALID);

    name[CRYPTO_NAME_MAX] = '\0';
    struct crypto_identity identity;
    assert_ok(crypto_ca_create(&ca, name, 1));
    ca_der = der_of(&ca);
    assert_ok(crypto_identity_create(&pem, &ca, name, CRYPTO_ROLE_CLIENT, name, 1));
    const struct der der = der_of(&pem);
    assert_ok(crypto_identity_verify(&identity, span_of(&der), span_of(&ca_der)));
    assert_string_equal(identity.name, name);
}

/* `expected` holds the alternative names of a TLS certificate as OpenSSL prints them. */
static void assert_alternative_names(const struct crypto_pem *pem, const char *expected) {
    BIO *in = BIO_new_mem_buf(pem->cert, -1);
    X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
    assert_non_null(cert);
    BIO *text = BIO_new(BIO_s_mem());
    int index = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    assert_true(index >= 0);
    assert_int_equal(X509V3_EXT_print(text, X509_get_ext(cert, index), 0, 0), 1);
    char *data = NULL;
    long size = BIO_get_mem_data(text, &data);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(data, expected, strlen(expected));
    BIO_free(text);
    BIO_free(in);
    X509_free(cert);
}

static void tls__names_the_hosts_it_is_for(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem pem;
    struct der ca_der;
    make_ca(&ca, &ca_der, "Alpha");
    static const struct {
        const char *host;
        const char *names;
    } rows[] = {
        {NULL, "DNS:localhost, IP Address:127.0.0.1"},
        {"localhost", "DNS:localhost, IP Address:127.0.0.1"},
        {"127.0.0.1", "DNS:localhost, IP Address:127.0.0.1"},
        {"orderer-1.example", "DNS:localhost, IP Address:127.0.0.1, DNS:orderer-1.example"},
        {"192.0.2.7", "DNS:localhost, IP Address:127.0.0.1, IP Address:192.0.2.7"},
        {"2001:db8::1", "DNS:localhost, IP Address:127.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_ok(crypto_tls_create(&pem, &ca, "Alpha", CRYPTO_ROLE_REPLICA, "replica", rows[i].host, 1));
        assert_alternative_names(&pem, rows[i].names);
    }
    static const char *const bad[] = {"", "a,DNS:b", "a b", "a\nb", "*.example"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_err(crypto_tls_create(&pem, &ca, "Alpha", CRYPTO_ROLE_REPLICA, "replica", bad[i], 1), ORD_ERR_INVALID);
}

static void create__refuses_a_ca_without_its_key(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct crypto_pem other;
    struct crypto_pem pem;
    struct der der;
    make_ca(&ca, &der, "Alpha");
    make_ca(&other, &der, "Alpha");
    memcpy(ca.key, other.key, sizeof(ca.key));
    assert_err(crypto_tls_create(&pem, &ca, "Alpha", CRYPTO_ROLE_REPLICA, "replica", NULL, 1), ORD_ERR_INVALID);
    strcpy(ca.key, "nothing");
    assert_err(crypto_tls_create(&pem, &ca, "Alpha", CRYPTO_ROLE_REPLICA, "replica", NULL, 1), ORD_ERR_INVALID);
}

static void pem__goes_to_der(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct der der;
    make_ca(&ca, &der, "Alpha");
    struct der small = {.size = der.size - 1};
    assert_err(crypto_cert_der(small.bytes, &small.size, ca.cert), ORD_ERR_NO_SPACE);
    small.size = der.size;
    assert_ok(crypto_cert_der(small.bytes, &small.size, ca.cert));

    static const char *const bad[] = {"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    for (size_t i = 0; i < 3; i++) {
        small.size = sizeof(small.bytes);
        assert_err(crypto_cert_der(small.bytes, &small.size, bad[i]), ORD_ERR_INVALID);
    }
    small.size = sizeof(small.bytes);
    assert_err(crypto_cert_der(small.bytes, &small.size, ca.key), ORD_ERR_INVALID);
}

static void fingerprint__is_sha256_of_the_der(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct der der;
    struct ord_hash fingerprint;
    uint8_t expected[32];
    unsigned size = 0;
    make_ca(&ca, &der, "Alpha");
    crypto_cert_fingerprint(&fingerprint, span_of(&der));
    assert_int_equal(EVP_Digest(der.bytes, der.size, expected, &size, EVP_sha256(), NULL), 1);
    assert_memory_equal(fingerprint.bytes, expected, sizeof(expected));
}

/* Writes a key in a form of the caller's choice. */
static void write_key(char out[CRYPTO_PEM_MAX], EVP_PKEY *key, bool traditional, const char *password) {
    BIO *bio = BIO_new(BIO_s_mem());
    if (traditional)
        assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    else
        assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, password != NULL ? EVP_aes_128_cbc() : NULL, password,
                                                       password != NULL ? (int) strlen(password) : 0, NULL, NULL),
                         1);
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    assert_in_range(size, 1, CRYPTO_PEM_MAX - 1);
    memcpy(out, data, (size_t) size);
    out[size] = '\0';
    BIO_free(bio);
}

static void private_key__loads_from_both_usual_forms(void **state) {
    (void) state;
    assert_ok(crypto_init());
    EVP_PKEY *key = EVP_EC_gen("secp256k1");
    struct crypto_private_key first;
    struct crypto_private_key second;
    char pem[CRYPTO_PEM_MAX];
    write_key(pem, key, false, NULL);
    assert_non_null(strstr(pem, "BEGIN PRIVATE KEY"));
    assert_ok(crypto_private_key_load(&first, pem));
    write_key(pem, key, true, NULL);
    assert_non_null(strstr(pem, "BEGIN EC PRIVATE KEY"));
    assert_ok(crypto_private_key_load(&second, pem));
    assert_memory_equal(&first, &second, sizeof(first));
    EVP_PKEY_free(key);
}

static void private_key__of_another_curve_or_kind_is_refused(void **state) {
    (void) state;
    assert_ok(crypto_init());
    static const char *const curves[] = {"P-256", "P-384", "brainpoolP256r1"};
    struct crypto_private_key loaded;
    char pem[CRYPTO_PEM_MAX];
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = EVP_EC_gen(curves[i]);
        write_key(pem, key, false, NULL);
        assert_err(crypto_private_key_load(&loaded, pem), ORD_ERR_INVALID);
        EVP_PKEY_free(key);
    }
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    write_key(pem, key, false, NULL);
    assert_err(crypto_private_key_load(&loaded, pem), ORD_ERR_INVALID);
    EVP_PKEY_free(key);
}

static void private_key__that_is_encrypted_or_broken_is_refused(void **state) {
    (void) state;
    assert_ok(crypto_init());
    struct crypto_private_key loaded;
    char pem[CRYPTO_PEM_MAX];
    EVP_PKEY *key = EVP_EC_gen("secp256k1");
    write_key(pem, key, false, "password"); /* loading must not prompt for it */
    assert_err(crypto_private_key_load(&loaded, pem), ORD_ERR_INVALID);
    write_key(pem, key, false, NULL);
    pem[strlen(pem) / 2] = '!';
    assert_err(crypto_private_key_load(&loaded, pem), ORD_ERR_INVALID);
    assert_err(crypto_private_key_load(&loaded, ""), ORD_ERR_INVALID);
    EVP_PKEY_free(key);
}

/* PKCS#8 of an EC key ends with the public key. This test puts another key's there. */
static void private_key__with_anothers_public_half_is_refused(void **state) {
    (void) state;
    assert_ok(crypto_init());
    uint8_t *ders[2] = {NULL, NULL};
    int sizes[2];
    for (int i = 0; i < 2; i++) {
        EVP_PKEY *key = EVP_EC_gen("secp256k1");
        PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
        sizes[i] = i2d_PKCS8_PRIV_KEY_INFO(info, &ders[i]);
        PKCS8_PRIV_KEY_INFO_free(info);
        EVP_PKEY_free(key);
    }
    assert_int_equal(sizes[0], sizes[1]);
    for (int swapped = 0; swapped < 2; swapped++) {
        if (swapped == 1)
            memcpy(ders[0] + sizes[0] - 64, ders[1] + sizes[1] - 64, 64);
        struct crypto_private_key loaded;
        BIO *bio = BIO_new(BIO_s_mem());
        assert_true(PEM_write_bio(bio, PEM_STRING_PKCS8INF, "", ders[0], sizes[0]) > 0);
        assert_int_equal(BIO_write(bio, "", 1), 1);
        char *pem = NULL;
        assert_true(BIO_get_mem_data(bio, &pem) > 0);
        assert_err(crypto_private_key_load(&loaded, pem), swapped == 1 ? ORD_ERR_INVALID : ORD_OK);
        BIO_free(bio);
    }
    OPENSSL_free(ders[0]);
    OPENSSL_free(ders[1]);
}

static void pair__matches_only_its_own_key(void **state) {
    (void) state;
    struct crypto_pem ca;
    struct der ca_der;
    struct crypto_pem mine;
    struct crypto_pem other;
    make_ca(&ca, &ca_der, "org1");
    assert_ok(crypto_tls_create(&mine, &ca, "org1", CRYPTO_ROLE_REPLICA, "replica0", NULL, 30));
    assert_ok(crypto_tls_create(&other, &ca, "org1", CRYPTO_ROLE_REPLICA, "replica1", NULL, 30));
    assert_ok(crypto_pair_check(mine.cert, mine.key));
    assert_err(crypto_pair_check(mine.cert, other.key), ORD_ERR_MISMATCH);
    assert_err(crypto_pair_check(mine.cert, ca.key), ORD_ERR_MISMATCH);
    assert_err(crypto_pair_check(mine.key, mine.key), ORD_ERR_INVALID);
    assert_err(crypto_pair_check(mine.cert, "no key"), ORD_ERR_INVALID);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(pair__matches_only_its_own_key),
    cmocka_unit_test(ca__passes_its_own_check),
    cmocka_unit_test(ca_check__refuses_certificates_that_are_no_ca),
    cmocka_unit_test(identity__verifies_and_gives_what_it_was_made_of),
    cmocka_unit_test(identity__that_has_expired_still_verifies),
    cmocka_unit_test(identity__of_a_foreign_ca_is_refused),
    cmocka_unit_test(identity__under_what_is_no_ca_is_refused),
    cmocka_unit_test(identity__any_other_length_is_refused),
    cmocka_unit_test(identity__any_flipped_bit_is_refused),
    cmocka_unit_test(create__refuses_names_that_do_not_fit),
    cmocka_unit_test(tls__names_the_hosts_it_is_for),
    cmocka_unit_test(create__refuses_a_ca_without_its_key),
    cmocka_unit_test(pem__goes_to_der),
    cmocka_unit_test(fingerprint__is_sha256_of_the_der),
    cmocka_unit_test(private_key__loads_from_both_usual_forms),
    cmocka_unit_test(private_key__of_another_curve_or_kind_is_refused),
    cmocka_unit_test(private_key__that_is_encrypted_or_broken_is_refused),
    cmocka_unit_test(private_key__with_anothers_public_half_is_refused),
};
TEST_CASES(cases);
