/*
 * Identities that may not write: an unregistered client, and clients whose certificate gives no right to register, for
 * example because it expired (row K8).
 */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/x509.h"

static void read_text(char out[CRYPTO_PEM_MAX], const struct hostile *hostile, const char *name) {
    char path[CLIENT_PATH_MAX];
    char why[ORDAIN_TEXT_SIZE];
    char *text;
    size_t size;
    if (snprintf(path, sizeof(path), "%s/%s", hostile->directory, name) >= (int) sizeof(path))
        hostile_die("the path is too long");
    if (client_read_file(&text, &size, path, CRYPTO_PEM_MAX - 1, why, sizeof(why)) != ORD_OK)
        hostile_die("%s", why);
    memcpy(out, text, size + 1);
    free(text);
}

static void read_pair(struct crypto_pem *out, const struct hostile *hostile, const char *key, const char *cert) {
    read_text(out->key, hostile, key);
    read_text(out->cert, hostile, cert);
}

static struct hostile_identity identity_of(const struct crypto_pem *pem) {
    struct hostile_identity identity = {.cert_size = CRYPTO_CERT_DER_MAX};
    hostile_must(crypto_private_key_load(&identity.key, pem->key), "identity key");
    hostile_must(crypto_cert_der(identity.cert_der, &identity.cert_size, pem->cert), "identity certificate");
    crypto_cert_fingerprint(&identity.fingerprint, ord_span_of(identity.cert_der, identity.cert_size));
    return identity;
}

static struct hostile_identity issue(const struct crypto_pem *ca, const char *organisation, enum crypto_role role,
                                     int32_t days) {
    struct crypto_pem pem;
    hostile_must(crypto_identity_create(&pem, ca, organisation, role, "mallory", days), "identity");
    struct hostile_identity identity = identity_of(&pem);
    crypto_wipe(&pem, sizeof(pem));
    return identity;
}

static struct hostile_envelope registration(const struct hostile *hostile, const struct hostile_identity *identity,
                                            const struct crypto_private_key *key) {
    struct channel_envelope header = hostile_header(hostile, 0);
    header.kind = CHANNEL_ENVELOPE_REGISTER;
    header.client = identity->fingerprint;
    struct ord_span certificate = ord_span_of(identity->cert_der, identity->cert_size);
    return hostile_encode(&header, &certificate, 1, key);
}

static void expect_registration(struct hostile *hostile, const struct hostile_identity *identity,
                                const struct crypto_private_key *key, Ordain__V1__Status expected, const char *what) {
    struct hostile_envelope envelope = registration(hostile, identity, key);
    hostile_expect(hostile, &envelope, expected, what);
    hostile_free(&envelope);
}

static void certificates(struct hostile *hostile) {
    const Ordain__V1__Status forbidden = ORDAIN__V1__STATUS__FORBIDDEN;
    struct crypto_pem pem;
    struct crypto_pem ca;
    read_pair(&pem, hostile, "replica1/identity.key", "replica1/identity.crt");
    struct hostile_identity identity = identity_of(&pem);
    expect_registration(hostile, &identity, &identity.key, forbidden, "a replica's certificate registers as a client");

    read_pair(&ca, hostile, "orgs/org1/ca.key", "orgs/org1/ca.crt");
    identity = issue(&ca, "org1", CRYPTO_ROLE_CLIENT, -1);
    expect_registration(hostile, &identity, &identity.key, forbidden, "a certificate that has expired");
    identity = issue(&ca, "org1", CRYPTO_ROLE_REPLICA, 30);
    expect_registration(hostile, &identity, &identity.key, forbidden, "a new certificate with a replica's role");
    identity = issue(&ca, "org2", CRYPTO_ROLE_CLIENT, 30);
    expect_registration(hostile, &identity, &identity.key, forbidden, "a certificate of org2 that org1 issued");

    identity = issue(&ca, "org1", CRYPTO_ROLE_CLIENT, 30);
    struct hostile_identity other = issue(&ca, "org1", CRYPTO_ROLE_CLIENT, 30);
    expect_registration(hostile, &identity, &other.key, forbidden, "a registration signed with another key");
    other.fingerprint = identity.fingerprint;
    expect_registration(hostile, &other, &other.key, ORDAIN__V1__STATUS__BAD_REQUEST,
                        "a registration under the fingerprint of another certificate");
    identity.cert_der[identity.cert_size++] = 0;
    crypto_cert_fingerprint(&identity.fingerprint, ord_span_of(identity.cert_der, identity.cert_size));
    expect_registration(hostile, &identity, &identity.key, forbidden, "a certificate with a trailing byte");
    hostile_must(crypto_random(identity.cert_der, identity.cert_size), "random bytes");
    crypto_cert_fingerprint(&identity.fingerprint, ord_span_of(identity.cert_der, identity.cert_size));
    expect_registration(hostile, &identity, &identity.key, forbidden, "random bytes for a certificate");

    hostile_must(crypto_ca_create(&ca, "org1", 30), "certificate authority");
    identity = issue(&ca, "org1", CRYPTO_ROLE_CLIENT, 30);
    expect_registration(hostile, &identity, &identity.key, forbidden, "a certificate of a foreign CA that says org1");
    hostile_must(crypto_ca_create(&ca, "nowhere", 30), "certificate authority");
    identity = issue(&ca, "nowhere", CRYPTO_ROLE_CLIENT, 30);
    expect_registration(hostile, &identity, &identity.key, forbidden, "a certificate of an unknown organisation");
    crypto_wipe(&ca, sizeof(ca));
    crypto_wipe(&pem, sizeof(pem));
}

static void register_self(struct hostile *hostile) {
    struct hostile_answer answer;
    struct hostile_envelope envelope = registration(hostile, &hostile->self, &hostile->self.key);
    hostile_submit(hostile, &answer, 0, &envelope);
    hostile_check(hostile, answer.status == ORDAIN__V1__STATUS__ACCEPTED, "a proper registration: %s %s",
                  client_status_name(answer.status), answer.words);
    hostile_expect_final(hostile, &envelope, 0, "the registration");
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        hostile_submit(hostile, &answer, i, &envelope);
        hostile_check(hostile,
                      answer.status == ORDAIN__V1__STATUS__DUPLICATE && answer.proved &&
                          hostile_same_leaf(hostile, &answer.leaf, &envelope),
                      "the registration once more, to replica %u: %s with its receipt (%s)", i,
                      client_status_name(answer.status), answer.words);
    }
    hostile_free(&envelope);
}

void hostile_identities(struct hostile *hostile) {
    struct hostile_envelope envelope = hostile_text(hostile, 1, "before registration");
    hostile_expect(hostile, &envelope, ORDAIN__V1__STATUS__UNKNOWN_CLIENT, "an envelope of a client not registered");
    hostile_free(&envelope);
    certificates(hostile);
    register_self(hostile);
    hostile_expect_honest(hostile, 1, "the first envelope after registration");
}
