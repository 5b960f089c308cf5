/*
 * Uses bytes of a client as a certificate in five ways: as an identity, as a CA, as an identity that the CA then signs,
 * and as changes to an honest identity, which the CA may sign again. Every function that reads an accepted certificate
 * must read the same content, and the certificate must have one encoding.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "crypto/hash.h"
#include "crypto/x509.h"

#define ARGUMENTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct crypto_pem ca;
static uint8_t ca_der[CRYPTO_CERT_DER_MAX];
static size_t ca_size = sizeof(ca_der);
static uint8_t honest_der[CRYPTO_CERT_DER_MAX];
static size_t honest_size = sizeof(honest_der);
static EVP_PKEY *ca_key;

static void start(void) {
    struct crypto_pem honest;
    if (crypto_init() != ORD_OK || crypto_ca_create(&ca, "Alpha", 1000) != ORD_OK ||
        crypto_cert_der(ca_der, &ca_size, ca.cert) != ORD_OK ||
        crypto_identity_create(&honest, &ca, "Alpha", CRYPTO_ROLE_CLIENT, "c", 1000) != ORD_OK ||
        crypto_cert_der(honest_der, &honest_size, honest.cert) != ORD_OK)
        abort();
    BIO *bio = BIO_new_mem_buf(ca.key, -1);
    ca_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (ca_key == NULL)
        abort();
}

static void check(struct ord_span cert) {
    struct crypto_identity verified;
    struct crypto_identity parsed;
    enum ord_err parse_err = crypto_identity_parse(&parsed, cert);
    enum ord_err err = crypto_identity_verify(&verified, cert, ord_span_of(ca_der, ca_size));
    if (err == ORD_OK) {
        struct crypto_verify_key key;
        ORD_ASSERT(parse_err == ORD_OK && parsed.role == verified.role && verified.role != CRYPTO_ROLE_NONE);
        ORD_ASSERT(strcmp(verified.organisation, "Alpha") == 0 && strlen(verified.name) > 0);
        ORD_ASSERT(crypto_verify_key_parse(&key, &verified.key) == ORD_OK);
    }
}

/* Parses the bytes as leniently as OpenSSL does, and checks the result after the CA has signed it. */
static void check_signed(struct ord_span bytes) {
    const uint8_t *end = bytes.data;
    const uint8_t *ca_end = ca_der;
    uint8_t *der = NULL;
    X509 *cert = d2i_X509(NULL, &end, (long) bytes.size);
    X509 *issuer = d2i_X509(NULL, &ca_end, (long) ca_size);
    if (cert != NULL && issuer != NULL && X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
        X509_sign(cert, ca_key, EVP_sha256()) > 0) {
        int der_size = i2d_X509(cert, &der);
        if (der_size > 0)
            check(ord_span_of(der, (size_t) der_size));
    }
    OPENSSL_free(der);
    X509_free(issuer);
    X509_free(cert);
}

/* Copies the honest certificate and changes some bytes. Each three bytes of the script are an offset and a value. */
static struct ord_span edit(uint8_t edited[CRYPTO_CERT_DER_MAX], struct ord_span script) {
    memcpy(edited, honest_der, honest_size);
    for (size_t i = 0; i + 3 <= script.size; i += 3)
        edited[(script.data[i] * 256u + script.data[i + 1]) % honest_size] = script.data[i + 2];
    return ord_span_of(edited, honest_size);
}

static void check_as_ca(struct ord_span bytes) {
    struct crypto_identity identity;
    char organisation[CRYPTO_NAME_MAX + 1];
    enum ord_err ca_err = crypto_ca_check(organisation, bytes);
    if (ca_err == ORD_OK)
        ORD_ASSERT(strlen(organisation) > 0);
    else
        ORD_ASSERT(crypto_identity_verify(&identity, ord_span_of(honest_der, honest_size), bytes) != ORD_OK);
}

/*
 * Turns off the search for leaks after each input. OpenSSL keeps some of its allocations, so the
 * fuzzer would search after nearly every input, and a search takes ten times as long as the input. The
 * search at the end of the program is enough.
 */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static char option[] = "-detect_leaks=0";
    static char *arguments[ARGUMENTS_MAX];
    if (*argc + 2 <= ARGUMENTS_MAX) {
        memcpy((void *) arguments, (const void *) *argv, (size_t) *argc * sizeof(**argv));
        arguments[*argc] = option;
        *argv = arguments;
        (*argc)++;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool started;
    if (!started)
        start();
    started = true;
    if (size < 1)
        return 0;
    uint8_t edited[CRYPTO_CERT_DER_MAX];
    const struct ord_span bytes = ord_span_of(data + 1, size - 1);
    switch (data[0] % 5) {
    case 0:
        check(bytes);
        break;
    case 1:
        check_signed(bytes);
        break;
    case 2:
        check(edit(edited, bytes));
        break;
    case 3:
        check_signed(edit(edited, bytes));
        break;
    default:
        check_as_ca(bytes);
        break;
    }
    return 0;
}
