/*
 * Makes certificates (RFC 5280): organisation CAs, TLS certificates and identity certificates. x509_verify.c says what
 * a certificate must hold to be accepted. The caller must pass the CA's own organisation. Nothing here checks that,
 * because a CA can sign anything; the check in x509_verify.c is the one that counts.
 */
#include "crypto/hash.h"
#include "crypto/internal.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define SECONDS_PER_DAY 86400
/* The last second of the year 9999, the latest time that a certificate can express. */
#define LAST_SECOND 253402300799
/* A certificate's not-before lies this far in the past, for machines whose clocks are behind. */
#define BACKDATE_S 3600
/* Longest DNS name, in bytes. */
#define HOST_MAX 253
/* Bytes of a serial number, 126 bits of which are random. RFC 5280 allows 20 bytes and asks for a positive number. */
#define SERIAL_SIZE 16

/* The contents of a certificate of any of the three kinds. */
struct recipe {
    const char *organisation;
    const char *unit; /* NULL: none */
    const char *name;
    const char *curve;
    int64_t not_before_s;
    int64_t not_after_s;
    const struct crypto_pem *ca; /* NULL: self-signed */
    const char *basic_constraints;
    const char *key_usage;
    const char *extended_key_usage; /* NULL: none */
    bool has_alternative_names;
    const char *host; /* NULL: none */
};

static bool name_is_valid(const char *name) {
    size_t size = strlen(name);
    if (size < 1 || size > CRYPTO_NAME_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if ((uint8_t) name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return true;
}

static enum ord_err add_name(X509_NAME *subject, int nid, const char *text) {
    if (!name_is_valid(text))
        return ORD_ERR_INVALID;
    /* This fails when the text is not UTF-8 or has more characters than X.520 allows. */
    if (X509_NAME_add_entry_by_NID(subject, nid, MBSTRING_UTF8, (const uint8_t *) text, -1, -1, 0) != 1)
        return ORD_ERR_INVALID;
    return ORD_OK;
}

static enum ord_err set_subject(X509 *cert, const struct recipe *recipe) {
    X509_NAME *subject = X509_get_subject_name(cert);
    enum ord_err err = add_name(subject, NID_organizationName, recipe->organisation);
    if (err == ORD_OK && recipe->unit != NULL)
        err = add_name(subject, NID_organizationalUnitName, recipe->unit);
    if (err == ORD_OK)
        err = add_name(subject, NID_commonName, recipe->name);
    return err;
}

static enum ord_err set_serial(X509 *cert) {
    uint8_t bytes[SERIAL_SIZE];
    enum ord_err err = crypto_random(bytes, sizeof(bytes));
    if (err != ORD_OK)
        return err;
    /* Clear the top bit to make the number positive. Set the next one to give every serial the same length. */
    bytes[0] = (uint8_t) ((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    if (number == NULL || BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) == NULL)
        err = ORD_ERR_CRYPTO;
    BN_free(number);
    return err;
}

static enum ord_err set_validity(X509 *cert, const struct recipe *recipe) {
    if (recipe->not_before_s < 0 || recipe->not_after_s > LAST_SECOND)
        return ORD_ERR_INVALID;
    if (ASN1_TIME_set(X509_getm_notBefore(cert), (time_t) recipe->not_before_s) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t) recipe->not_after_s) == NULL)
        return ORD_ERR_CRYPTO;
    return ORD_OK;
}

static enum ord_err add_extension(X509 *cert, X509V3_CTX *context, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    enum ord_err err = ORD_OK;
    if (extension == NULL || X509_add_ext(cert, extension, -1) != 1)
        err = ORD_ERR_CRYPTO;
    X509_EXTENSION_free(extension);
    return err;
}

/* Adds `host` as an IP address when it parses as one, else as a DNS name. The caller keeps both arguments. */
static enum ord_err add_host(GENERAL_NAMES *names, const char *host) {
    uint8_t address[16];
    int address_size = inet_pton(AF_INET, host, address) == 1 ? 4 : inet_pton(AF_INET6, host, address) == 1 ? 16 : 0;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = address_size > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    int set = 0;
    if (name != NULL && value != NULL)
        set = address_size > 0 ? ASN1_STRING_set(value, address, address_size) : ASN1_STRING_set(value, host, -1);
    if (set != 1) {
        ASN1_STRING_free(value);
        GENERAL_NAME_free(name);
        return ORD_ERR_NO_MEMORY;
    }
    GENERAL_NAME_set0_value(name, address_size > 0 ? GEN_IPADD : GEN_DNS, value);
    if (sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        return ORD_ERR_NO_MEMORY;
    }
    return ORD_OK;
}

/*
 * A host name goes into a certificate unchanged, so only letters, digits, dots, hyphens, underscores and (for IPv6)
 * colons are allowed.
 */
static bool host_is_valid(const char *host) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";
    size_t size = strlen(host);
    return size >= 1 && size <= HOST_MAX && strspn(host, allowed) == size;
}

static enum ord_err add_alternative_names(X509 *cert, const char *host) {
    static const char *const always[] = {"localhost", "127.0.0.1"};
    enum ord_err err = ORD_OK;
    if (host != NULL && !host_is_valid(host))
        return ORD_ERR_INVALID;
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    if (names == NULL)
        return ORD_ERR_NO_MEMORY;
    for (size_t i = 0; i < 2 && err == ORD_OK; i++) {
        err = add_host(names, always[i]);
        if (host != NULL && strcmp(host, always[i]) == 0)
            host = NULL;
    }
    if (err == ORD_OK && host != NULL)
        err = add_host(names, host);
    if (err == ORD_OK && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        err = ORD_ERR_CRYPTO;
    GENERAL_NAMES_free(names);
    return err;
}

static enum ord_err add_extensions(X509 *cert, X509 *issuer, const struct recipe *recipe) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    const struct {
        int nid;
        const char *value; /* NULL: the certificate has no such extension */
    } extensions[] = {
        {NID_basic_constraints, recipe->basic_constraints}, {NID_key_usage, recipe->key_usage},
        {NID_ext_key_usage, recipe->extended_key_usage},    {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
    };
    enum ord_err err = ORD_OK;
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]) && err == ORD_OK; i++)
        if (extensions[i].value != NULL)
            err = add_extension(cert, &context, extensions[i].nid, extensions[i].value);
    if (err == ORD_OK && recipe->has_alternative_names)
        err = add_alternative_names(cert, recipe->host);
    return err;
}

static enum ord_err write_pem(struct crypto_pem *out, EVP_PKEY *key, X509 *cert) {
    enum ord_err err = ORD_ERR_CRYPTO;
    BIO *key_bio = BIO_new(BIO_s_mem()); /* wipes its buffer when it is freed */
    BIO *cert_bio = BIO_new(BIO_s_mem());
    if (key_bio == NULL || cert_bio == NULL)
        goto out;
    if (PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_X509(cert_bio, cert) != 1)
        goto out;
    err = crypto_take_text(out->key, key_bio);
    if (err == ORD_OK)
        err = crypto_take_text(out->cert, cert_bio);
out:
    BIO_free(key_bio);
    BIO_free(cert_bio);
    return err;
}

/* Parses a CA's certificate and key. The caller frees both, also after an error. INVALID: not a CA, or not its key. */
static enum ord_err load_ca(X509 **cert, EVP_PKEY **key, const struct crypto_pem *ca) {
    uint8_t der[CRYPTO_CERT_DER_MAX];
    size_t size = sizeof(der);
    char organisation[CRYPTO_NAME_MAX + 1];
    enum ord_err err = crypto_cert_der(der, &size, ca->cert);
    if (err == ORD_OK)
        err = crypto_ca_check(organisation, ord_span_of(der, size));
    if (err != ORD_OK)
        return ORD_ERR_INVALID;
    *cert = crypto_x509_of_pem(ca->cert);
    *key = crypto_pkey_of_pem(ca->key);
    if (*cert == NULL || *key == NULL || X509_check_private_key(*cert, *key) != 1)
        return ORD_ERR_INVALID;
    return ORD_OK;
}

static enum ord_err fill(X509 *cert, EVP_PKEY *key, X509 *issuer, const struct recipe *recipe) {
    if (X509_set_version(cert, X509_VERSION_3) != 1 || X509_set_pubkey(cert, key) != 1)
        return ORD_ERR_CRYPTO;
    enum ord_err err = set_serial(cert);
    if (err == ORD_OK)
        err = set_validity(cert, recipe);
    if (err == ORD_OK)
        err = set_subject(cert, recipe);
    if (err == ORD_OK && X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1)
        err = ORD_ERR_CRYPTO;
    if (err == ORD_OK)
        err = add_extensions(cert, issuer, recipe);
    return err;
}

static enum ord_err create(struct crypto_pem *out, const struct recipe *recipe) {
    X509 *ca = NULL;
    EVP_PKEY *ca_key = NULL;
    X509 *cert = X509_new();
    EVP_PKEY *key = EVP_EC_gen(recipe->curve); /* gives a key with a named curve */
    enum ord_err err = cert == NULL || key == NULL ? ORD_ERR_CRYPTO : ORD_OK;
    if (err == ORD_OK && recipe->ca != NULL)
        err = load_ca(&ca, &ca_key, recipe->ca);
    if (err == ORD_OK)
        err = fill(cert, key, ca != NULL ? ca : cert, recipe);
    if (err == ORD_OK && X509_sign(cert, ca_key != NULL ? ca_key : key, EVP_sha256()) <= 0)
        err = ORD_ERR_CRYPTO;
    if (err == ORD_OK && i2d_X509(cert, NULL) > CRYPTO_CERT_DER_MAX)
        err = ORD_ERR_TOO_LARGE;
    if (err == ORD_OK)
        err = write_pem(out, key, cert);
    if (err != ORD_OK)
        crypto_wipe(out, sizeof(*out));
    EVP_PKEY_free(ca_key);
    X509_free(ca);
    EVP_PKEY_free(key);
    X509_free(cert);
    ERR_clear_error();
    return err;
}

enum ord_err crypto_ca_create(struct crypto_pem *out, const char *organisation, uint32_t days) {
    int64_t now_s = (int64_t) time(NULL);
    return create(out, &(struct recipe) {
                           .organisation = organisation,
                           .name = "CA",
                           .curve = "P-256",
                           .not_before_s = now_s - BACKDATE_S,
                           .not_after_s = now_s + (int64_t) days * SECONDS_PER_DAY,
                           .basic_constraints = "critical,CA:TRUE,pathlen:0",
                           .key_usage = "critical,keyCertSign,cRLSign",
                       });
}

enum ord_err crypto_tls_create(struct crypto_pem *out, const struct crypto_pem *ca, const char *organisation,
                               enum crypto_role role, const char *name, const char *host, uint32_t days) {
    int64_t now_s = (int64_t) time(NULL);
    bool serves = role == CRYPTO_ROLE_REPLICA;
    if ((!serves && role != CRYPTO_ROLE_CLIENT && role != CRYPTO_ROLE_OPERATOR) || (!serves && host != NULL))
        return ORD_ERR_INVALID;
    return create(out, &(struct recipe) {
                           .organisation = organisation,
                           .unit = crypto_role_name(role),
                           .name = name,
                           .curve = "P-256",
                           .not_before_s = now_s - BACKDATE_S,
                           .not_after_s = now_s + (int64_t) days * SECONDS_PER_DAY,
                           .ca = ca,
                           .basic_constraints = "critical,CA:FALSE",
                           .key_usage = "critical,digitalSignature",
                           .extended_key_usage = serves ? "serverAuth,clientAuth" : "clientAuth",
                           .has_alternative_names = serves,
                           .host = host,
                       });
}

enum ord_err crypto_identity_create(struct crypto_pem *out, const struct crypto_pem *ca, const char *organisation,
                                    enum crypto_role role, const char *name, int32_t days) {
    int64_t now_s = (int64_t) time(NULL);
    int64_t not_after_s = now_s + (int64_t) days * SECONDS_PER_DAY;
    /* A certificate that has already expired was valid for one day. */
    int64_t not_before_s = days > 0 ? now_s - BACKDATE_S : not_after_s - SECONDS_PER_DAY;
    if (crypto_role_name(role) == NULL || role == CRYPTO_ROLE_OPERATOR)
        return ORD_ERR_INVALID;
    return create(out, &(struct recipe) {
                           .organisation = organisation,
                           .unit = crypto_role_name(role),
                           .name = name,
                           .curve = "secp256k1",
                           .not_before_s = not_before_s,
                           .not_after_s = not_after_s,
                           .ca = ca,
                           .basic_constraints = "critical,CA:FALSE",
                           .key_usage = "critical,digitalSignature",
                       });
}
