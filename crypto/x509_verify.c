/*
 * Reads and checks certificates (RFC 5280, as far as Ordain uses it): an identity certificate under its organisation's
 * CA.
 *
 * Agreed state depends on the results, so the results depend on the bytes alone: no clock, no trust store, no path
 * building, no configuration of OpenSSL. The accepted form is narrow: version 3, one DER encoding, ECDSA with SHA-256
 * by a P-256 CA, keys with a named curve, each name exactly once, no unknown critical extension.
 */
#include "crypto/internal.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

const char *crypto_role_name(enum crypto_role role) {
    switch (role) {
    case CRYPTO_ROLE_CLIENT:
        return "client";
    case CRYPTO_ROLE_REPLICA:
        return "replica";
    case CRYPTO_ROLE_ADMIN:
        return "admin";
    case CRYPTO_ROLE_OPERATOR:
        return "operator";
    case CRYPTO_ROLE_NONE:
        break;
    }
    return NULL;
}

static enum crypto_role role_of_name(const char *name) {
    for (enum crypto_role role = CRYPTO_ROLE_CLIENT; role <= CRYPTO_ROLE_ADMIN; role++)
        if (strcmp(crypto_role_name(role), name) == 0)
            return role;
    return CRYPTO_ROLE_NONE;
}

/*
 * Returns NO_MEMORY instead of `err` if OpenSSL reported a shortage of memory, because the certificate itself may then
 * be good. Empties OpenSSL's error queue. Each check begins with an empty queue, so only its own errors count.
 */
static enum ord_err fault(enum ord_err err) {
    for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error())
        if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
            err = ORD_ERR_NO_MEMORY;
    return err;
}

static bool encodes_to(X509 *cert, struct ord_span der) {
    uint8_t encoded[CRYPTO_CERT_DER_MAX];
    uint8_t *end = encoded;
    int needed = i2d_X509(cert, NULL);
    return needed >= 0 && (size_t) needed == der.size && i2d_X509(cert, &end) == needed &&
           memcmp(encoded, der.data, der.size) == 0;
}

enum ord_err crypto_x509_of_der(X509 **out, struct ord_span der) {
    *out = NULL;
    if (der.size == 0 || der.size > CRYPTO_CERT_DER_MAX)
        return ORD_ERR_INVALID;
    ERR_clear_error();
    const uint8_t *end = der.data;
    X509 *cert = d2i_X509(NULL, &end, (long) der.size);
    if (cert == NULL || end != der.data + der.size || !encodes_to(cert, der))
        goto refuse;
    /* Until here OpenSSL wrote the signed part from the bytes that it had
     * stored. Now encode it from the parsed fields. */
    if (i2d_re_X509_tbs(cert, NULL) <= 0 || !encodes_to(cert, der))
        goto refuse;
    /* A known extension that is malformed sets INVALID. An unknown critical extension sets CRITICAL. */
    if (X509_get_version(cert) != X509_VERSION_3 ||
        (X509_get_extension_flags(cert) & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0)
        goto refuse;
    *out = cert;
    return ORD_OK;
refuse:
    X509_free(cert);
    return fault(ORD_ERR_INVALID);
}

/* Reads an attribute that must occur exactly once: UTF-8, 1 .. CRYPTO_NAME_MAX bytes, no control characters. */
static enum ord_err read_name(char out[CRYPTO_NAME_MAX + 1], const X509_NAME *subject, int nid) {
    uint8_t *text = NULL;
    enum ord_err err = ORD_ERR_INVALID;
    int index = X509_NAME_get_index_by_NID(subject, nid, -1);
    if (index < 0 || X509_NAME_get_index_by_NID(subject, nid, index) >= 0)
        return ORD_ERR_INVALID;
    int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    if (length < 1 || length > CRYPTO_NAME_MAX)
        goto out;
    for (int i = 0; i < length; i++)
        if (text[i] < 0x20 || text[i] == 0x7f)
            goto out;
    memcpy(out, text, (size_t) length);
    out[length] = '\0';
    err = ORD_OK;
out:
    OPENSSL_free(text);
    return err;
}

static enum ord_err read_time(int64_t *out, const ASN1_TIME *time) {
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return ORD_ERR_INVALID;
    *out = (int64_t) timegm(&parts);
    return ORD_OK;
}

enum ord_err crypto_cert_end(int64_t *not_after_s, const char *pem) {
    X509 *cert = crypto_x509_of_pem(pem);
    enum ord_err err = cert == NULL ? ORD_ERR_INVALID : read_time(not_after_s, X509_get0_notAfter(cert));
    X509_free(cert);
    ERR_clear_error();
    return err;
}

/*
 * Writes the public point of an EC key that names this curve. False: another kind of key, another curve, or a curve
 * given by its parameters.
 */
static bool named_point(struct ord_span *out, X509 *cert, int curve_nid) {
    ASN1_OBJECT *kind = NULL;
    X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *parameter_kind = NULL;
    const void *parameter = NULL;
    const uint8_t *point = NULL;
    int point_size = 0;
    int parameter_type = 0;
    if (X509_PUBKEY_get0_param(&kind, &point, &point_size, &algorithm, X509_get_X509_PUBKEY(cert)) != 1)
        return false;
    X509_ALGOR_get0(&parameter_kind, &parameter_type, &parameter, algorithm);
    if (OBJ_obj2nid(parameter_kind) != NID_X9_62_id_ecPublicKey || parameter_type != V_ASN1_OBJECT ||
        OBJ_obj2nid(parameter) != curve_nid)
        return false;
    *out = ord_span_of(point, (size_t) point_size);
    return true;
}

/* Reads the key from SEC 1's compressed or uncompressed form and compresses it. Either must be a point on the curve. */
static enum ord_err read_identity_key(struct ord_public_key *out, X509 *cert) {
    struct ord_span point;
    if (!named_point(&point, cert, NID_secp256k1))
        return ORD_ERR_INVALID;
    if (point.size == 65)
        return crypto_public_key_compress(out, point.data);
    if (point.size != sizeof(out->bytes))
        return ORD_ERR_INVALID;
    struct crypto_verify_key unused;
    memcpy(out->bytes, point.data, sizeof(out->bytes));
    return crypto_verify_key_parse(&unused, out);
}

static enum ord_err read_identity(struct crypto_identity *out, X509 *cert) {
    struct crypto_identity identity = {0};
    char unit[CRYPTO_NAME_MAX + 1];
    const X509_NAME *subject = X509_get_subject_name(cert);
    enum ord_err err = read_identity_key(&identity.key, cert);
    if (err == ORD_OK)
        err = read_name(identity.organisation, subject, NID_organizationName);
    if (err == ORD_OK)
        err = read_name(unit, subject, NID_organizationalUnitName);
    if (err == ORD_OK)
        err = read_name(identity.name, subject, NID_commonName);
    if (err == ORD_OK)
        err = read_time(&identity.not_before_s, X509_get0_notBefore(cert));
    if (err == ORD_OK)
        err = read_time(&identity.not_after_s, X509_get0_notAfter(cert));
    if (err != ORD_OK)
        return err;
    identity.role = role_of_name(unit);
    *out = identity;
    return ORD_OK;
}

static bool has_usage(X509 *cert, uint32_t usage) {
    return (X509_get_extension_flags(cert) & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(cert) & usage) == usage;
}

static enum ord_err check_ca(char organisation[CRYPTO_NAME_MAX + 1], X509 *ca) {
    struct ord_span point;
    if (!named_point(&point, ca, NID_X9_62_prime256v1))
        return ORD_ERR_INVALID;
    enum ord_err err = read_name(organisation, X509_get_subject_name(ca), NID_organizationName);
    if (err != ORD_OK)
        return err;
    if ((X509_get_extension_flags(ca) & EXFLAG_CA) == 0 || !has_usage(ca, KU_KEY_CERT_SIGN))
        return ORD_ERR_FORBIDDEN;
    return ORD_OK;
}

static enum ord_err ca_check(char organisation[CRYPTO_NAME_MAX + 1], struct ord_span ca_der) {
    X509 *ca = NULL;
    char found[CRYPTO_NAME_MAX + 1];
    enum ord_err err = crypto_x509_of_der(&ca, ca_der);
    if (err == ORD_OK)
        err = check_ca(found, ca);
    if (err == ORD_OK && X509_get0_pubkey(ca) == NULL)
        err = ORD_ERR_INVALID;
    if (err == ORD_OK)
        memcpy(organisation, found, sizeof(found));
    err = err == ORD_OK ? ORD_OK : fault(err);
    X509_free(ca);
    ERR_clear_error();
    return err;
}

/* Compares byte for byte, because OpenSSL's own comparison ignores case and extra spaces. */
static bool same_name(const X509_NAME *a, const X509_NAME *b) {
    const uint8_t *a_der = NULL;
    const uint8_t *b_der = NULL;
    size_t a_size = 0;
    size_t b_size = 0;
    return X509_NAME_get0_der(a, &a_der, &a_size) == 1 && X509_NAME_get0_der(b, &b_der, &b_size) == 1 &&
           a_size == b_size && memcmp(a_der, b_der, a_size) == 0;
}

static enum ord_err check_issued(const struct crypto_identity *identity, X509 *cert, X509 *ca) {
    char organisation[CRYPTO_NAME_MAX + 1];
    enum ord_err err = check_ca(organisation, ca);
    if (err != ORD_OK)
        return err;
    if (!same_name(X509_get_issuer_name(cert), X509_get_subject_name(ca)))
        return ORD_ERR_FORBIDDEN;
    if (X509_get_signature_nid(cert) != NID_ecdsa_with_SHA256)
        return ORD_ERR_INVALID;
    EVP_PKEY *ca_key = X509_get0_pubkey(ca);
    if (ca_key == NULL)
        return ORD_ERR_INVALID;
    if (X509_verify(cert, ca_key) != 1)
        return ORD_ERR_BAD_SIGNATURE;
    if (identity->role == CRYPTO_ROLE_NONE || strcmp(identity->organisation, organisation) != 0 ||
        (X509_get_extension_flags(cert) & EXFLAG_CA) != 0 || !has_usage(cert, KU_DIGITAL_SIGNATURE))
        return ORD_ERR_FORBIDDEN;
    return ORD_OK;
}

/* Parses an identity certificate. With a CA it also checks that this one issued it. */
static enum ord_err identity_read(struct crypto_identity *out, struct ord_span cert_der,
                                  const struct ord_span *ca_der) {
    X509 *cert = NULL;
    X509 *ca = NULL;
    struct crypto_identity identity;
    enum ord_err err = crypto_x509_of_der(&cert, cert_der);
    if (err == ORD_OK && ca_der != NULL)
        err = crypto_x509_of_der(&ca, *ca_der);
    if (err == ORD_OK)
        err = read_identity(&identity, cert);
    if (err == ORD_OK && ca_der != NULL)
        err = check_issued(&identity, cert, ca);
    if (err == ORD_OK)
        *out = identity;
    X509_free(ca);
    err = err == ORD_OK ? ORD_OK : fault(err);
    X509_free(cert);
    ERR_clear_error();
    return err;
}

/*
 * True if the check must run a second time. OpenSSL does not report every shortage of memory: a key or an extension
 * that it had no memory to unpack looks like a bad one. If memory is still short in the second run, that run fails at
 * its very beginning, where OpenSSL does report it.
 */
static bool refuses(enum ord_err err) {
    return err != ORD_OK && err != ORD_ERR_NO_MEMORY;
}

enum ord_err crypto_identity_parse(struct crypto_identity *out, struct ord_span cert_der) {
    enum ord_err err = identity_read(out, cert_der, NULL);
    return refuses(err) ? identity_read(out, cert_der, NULL) : err;
}

enum ord_err crypto_ca_check(char organisation[CRYPTO_NAME_MAX + 1], struct ord_span ca_der) {
    enum ord_err err = ca_check(organisation, ca_der);
    return refuses(err) ? ca_check(organisation, ca_der) : err;
}

enum ord_err crypto_identity_verify(struct crypto_identity *out, struct ord_span cert_der, struct ord_span ca_der) {
    enum ord_err err = identity_read(out, cert_der, &ca_der);
    return refuses(err) ? identity_read(out, cert_der, &ca_der) : err;
}
