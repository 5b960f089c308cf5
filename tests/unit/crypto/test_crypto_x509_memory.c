/*
 * Certificate checks while memory runs out. A good certificate must not be called bad then: the verdict is agreed
 * state, but a shortage of memory concerns this machine alone. Every allocation that OpenSSL makes (row F6) fails once
 * by itself and once together with all that follow.
 */
#include "tests/support/test_main.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/x509.h"

/* Allocations since the count began. */
static unsigned long made;
/* The number of the allocation that fails. 0: none fails. */
static unsigned long fail_at;
/* All allocations after fail_at fail too. */
static bool fail_from;

static bool fails(void) {
    made++;
    return fail_at != 0 && (made == fail_at || (fail_from && made > fail_at));
}

static void *allocate(size_t size, const char *file, int line) {
    (void) file, (void) line;
    return fails() ? NULL : malloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line) {
    (void) file, (void) line;
    return fails() ? NULL : realloc(memory, size);
}

static void release(void *memory, const char *file, int line) {
    (void) file, (void) line;
    free(memory);
}

struct certificate {
    uint8_t der[CRYPTO_CERT_DER_MAX];
    size_t size;
};

static struct ord_span span_of(const struct certificate *certificate) {
    return ord_span_of(certificate->der, certificate->size);
}

/* Lets `call` run out of memory at every allocation. Each time it must return NO_MEMORY or succeed. */
static void try_all(enum ord_err (*call)(const struct certificate *, const struct certificate *),
                    const struct certificate *certificate, const struct certificate *ca) {
    /* The first call makes the allocations that OpenSSL keeps for later. */
    assert_ok(call(certificate, ca));
    made = 0;
    assert_ok(call(certificate, ca));
    unsigned long count = made;
    assert_true(count > 10);
    unsigned long noticed = 0;
    for (int mode = 0; mode < 2; mode++)
        for (unsigned long i = 1; i <= count; i++) {
            made = 0;
            fail_at = i;
            fail_from = mode == 1;
            enum ord_err err = call(certificate, ca);
            fail_at = 0;
            if (err != ORD_OK && err != ORD_ERR_NO_MEMORY)
                fail_msg("allocation %lu of %lu%s: %s", i, count, mode == 1 ? " and all after it" : "",
                         ord_err_name(err));
            noticed += err == ORD_ERR_NO_MEMORY;
        }
    assert_true(noticed > count / 2);
    assert_ok(call(certificate, ca));
}

static enum ord_err verify(const struct certificate *certificate, const struct certificate *ca) {
    struct crypto_identity identity;
    return crypto_identity_verify(&identity, span_of(certificate), span_of(ca));
}

static enum ord_err parse(const struct certificate *certificate, const struct certificate *ca) {
    (void) ca;
    struct crypto_identity identity;
    return crypto_identity_parse(&identity, span_of(certificate));
}

static enum ord_err check(const struct certificate *certificate, const struct certificate *ca) {
    (void) certificate;
    char organisation[CRYPTO_NAME_MAX + 1];
    return crypto_ca_check(organisation, span_of(ca));
}

static void make(struct certificate *certificate, struct certificate *ca) {
    struct crypto_pem ca_pem;
    struct crypto_pem pem;
    /* The functions can be set only once, before OpenSSL allocates anything. */
    static bool set;
    assert_true(set || CRYPTO_set_mem_functions(allocate, reallocate, release) == 1);
    set = true;
    assert_ok(crypto_init());
    assert_ok(crypto_ca_create(&ca_pem, "Alpha", 365));
    assert_ok(crypto_identity_create(&pem, &ca_pem, "Alpha", CRYPTO_ROLE_CLIENT, "name", 10));
    certificate->size = ca->size = CRYPTO_CERT_DER_MAX;
    assert_ok(crypto_cert_der(certificate->der, &certificate->size, pem.cert));
    assert_ok(crypto_cert_der(ca->der, &ca->size, ca_pem.cert));
}

static void identity_verify__out_of_memory_is_no_verdict(void **state) {
    (void) state;
    struct certificate certificate;
    struct certificate ca;
    make(&certificate, &ca);
    try_all(verify, &certificate, &ca);
}

static void identity_parse__out_of_memory_is_no_verdict(void **state) {
    (void) state;
    struct certificate certificate;
    struct certificate ca;
    make(&certificate, &ca);
    try_all(parse, &certificate, &ca);
}

static void ca_check__out_of_memory_is_no_verdict(void **state) {
    (void) state;
    struct certificate certificate;
    struct certificate ca;
    make(&certificate, &ca);
    try_all(check, &certificate, &ca);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(identity_verify__out_of_memory_is_no_verdict),
    cmocka_unit_test(identity_parse__out_of_memory_is_no_verdict),
    cmocka_unit_test(ca_check__out_of_memory_is_no_verdict),
};
TEST_CASES(cases);
