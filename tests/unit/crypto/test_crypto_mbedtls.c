/*
 * mbedTLS, which clients in other languages may use, must accept the certificates and keys that crypto/ makes.
 */
#include "tests/support/test_main.h"

#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/x509.h"

static void parse_cert(mbedtls_x509_crt *out, const char *pem) {
    mbedtls_x509_crt_init(out);
    assert_int_equal(mbedtls_x509_crt_parse(out, (const unsigned char *) pem, strlen(pem) + 1), 0);
}

static void tls_cert__is_trusted_under_its_ca_by_name_and_address(void **state) {
    (void) state;
    assert_ok(crypto_init());
    static struct crypto_pem ca;
    static struct crypto_pem tls;
    assert_ok(crypto_ca_create(&ca, "Alpha", 30));
    assert_ok(crypto_tls_create(&tls, &ca, "Alpha", CRYPTO_ROLE_REPLICA, "replica-0", "orderer.example", 30));
    mbedtls_x509_crt ca_cert;
    mbedtls_x509_crt cert;
    parse_cert(&ca_cert, ca.cert);
    parse_cert(&cert, tls.cert);

    uint32_t flags = 0;
    const char *const names[] = {"localhost", "orderer.example"};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(mbedtls_x509_crt_verify(&cert, &ca_cert, NULL, names[i], &flags, NULL, NULL), 0);
    assert_int_not_equal(mbedtls_x509_crt_verify(&cert, &ca_cert, NULL, "elsewhere.example", &flags, NULL, NULL), 0);
    assert_int_equal(flags, MBEDTLS_X509_BADCERT_CN_MISMATCH);

    /* In a mutually authenticated handshake, the two sides check for these usages. */
    static const char *const usages[] = {MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_CLIENT_AUTH};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(mbedtls_x509_crt_check_extended_key_usage(&cert, usages[i], strlen(usages[i])), 0);
    assert_int_equal(mbedtls_x509_crt_check_key_usage(&cert, MBEDTLS_X509_KU_DIGITAL_SIGNATURE), 0);
    assert_int_equal(mbedtls_x509_crt_check_key_usage(&ca_cert, MBEDTLS_X509_KU_KEY_CERT_SIGN), 0);
    mbedtls_x509_crt_free(&cert);
    mbedtls_x509_crt_free(&ca_cert);
}

static void tls_cert__of_another_ca_is_not_trusted(void **state) {
    (void) state;
    assert_ok(crypto_init());
    static struct crypto_pem ca;
    static struct crypto_pem other;
    static struct crypto_pem tls;
    assert_ok(crypto_ca_create(&ca, "Alpha", 30));
    assert_ok(crypto_ca_create(&other, "Alpha", 30));
    assert_ok(crypto_tls_create(&tls, &other, "Alpha", CRYPTO_ROLE_REPLICA, "replica-0", NULL, 30));
    mbedtls_x509_crt ca_cert;
    mbedtls_x509_crt cert;
    parse_cert(&ca_cert, ca.cert);
    parse_cert(&cert, tls.cert);
    uint32_t flags = 0;
    assert_int_not_equal(mbedtls_x509_crt_verify(&cert, &ca_cert, NULL, "localhost", &flags, NULL, NULL), 0);
    assert_int_not_equal(flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED, 0);
    mbedtls_x509_crt_free(&cert);
    mbedtls_x509_crt_free(&ca_cert);
}

static void tls_cert__under_one_of_many_cas_is_trusted(void **state) {
    (void) state;
    assert_ok(crypto_init());
    static struct crypto_pem cas[4];
    static struct crypto_pem tls;
    static const char *const organisations[4] = {"Alpha", "Beta", "Gamma", "Alpha"};
    mbedtls_x509_crt trusted;
    mbedtls_x509_crt_init(&trusted);
    for (size_t i = 0; i < 4; i++) {
        assert_ok(crypto_ca_create(&cas[i], organisations[i], 30));
        assert_int_equal(mbedtls_x509_crt_parse(&trusted, (const unsigned char *) cas[i].cert, strlen(cas[i].cert) + 1),
                         0);
    }
    for (size_t i = 0; i < 4; i++) {
        uint32_t flags = 0;
        mbedtls_x509_crt cert;
        assert_ok(crypto_tls_create(&tls, &cas[i], organisations[i], CRYPTO_ROLE_REPLICA, "replica", NULL, 30));
        parse_cert(&cert, tls.cert);
        assert_int_equal(mbedtls_x509_crt_verify(&cert, &trusted, NULL, "localhost", &flags, NULL, NULL), 0);
        mbedtls_x509_crt_free(&cert);
    }
    mbedtls_x509_crt_free(&trusted);
}

static void tls_key__is_read_and_belongs_to_its_cert(void **state) {
    (void) state;
    assert_ok(crypto_init());
    static struct crypto_pem ca;
    static struct crypto_pem tls;
    assert_ok(crypto_ca_create(&ca, "Alpha", 30));
    assert_ok(crypto_tls_create(&tls, &ca, "Alpha", CRYPTO_ROLE_REPLICA, "replica-0", NULL, 30));
    const struct crypto_pem *const pairs[] = {&ca, &tls};
    for (size_t i = 0; i < 2; i++) {
        mbedtls_x509_crt cert;
        mbedtls_pk_context key;
        parse_cert(&cert, pairs[i]->cert);
        mbedtls_pk_init(&key);
        assert_int_equal(
            mbedtls_pk_parse_key(&key, (const unsigned char *) pairs[i]->key, strlen(pairs[i]->key) + 1, NULL, 0), 0);
        assert_int_equal(mbedtls_pk_check_pair(&cert.pk, &key), 0);
        mbedtls_pk_free(&key);
        mbedtls_x509_crt_free(&cert);
    }
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(tls_cert__is_trusted_under_its_ca_by_name_and_address),
    cmocka_unit_test(tls_cert__of_another_ca_is_not_trusted),
    cmocka_unit_test(tls_cert__under_one_of_many_cas_is_trusted),
    cmocka_unit_test(tls_key__is_read_and_belongs_to_its_cert),
};
TEST_CASES(cases);
