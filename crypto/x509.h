/*
 * X.509 (OpenSSL): organisation CAs (P-256), TLS certificates (P-256) and identity certificates (secp256k1). The
 * subject of an identity certificate tells whom it names: O = organisation, OU = role, CN = name.
 *
 * Certificates and keys travel as DER in agreed state and as PEM in files. Output buffers are the caller's.
 */
#ifndef ORDAIN_CRYPTO_X509_H
#define ORDAIN_CRYPTO_X509_H

#include "crypto/sign.h"

#define CRYPTO_CERT_DER_MAX 2048
#define CRYPTO_PEM_MAX      4096
#define CRYPTO_NAME_MAX     64 /* bytes of O, OU or CN, without the terminator */

enum crypto_role {
    CRYPTO_ROLE_NONE,
    CRYPTO_ROLE_CLIENT,
    CRYPTO_ROLE_REPLICA,
    CRYPTO_ROLE_ADMIN,
    CRYPTO_ROLE_OPERATOR, /* of TLS certificates alone */
};

/* An identity certificate's content. */
struct crypto_identity {
    struct ord_public_key key;
    enum crypto_role role; /* from OU: "client", "replica", "admin" */
    char organisation[CRYPTO_NAME_MAX + 1];
    char name[CRYPTO_NAME_MAX + 1];
    int64_t not_before_s; /* seconds since 1970, UTC */
    int64_t not_after_s;
};

/* A generated or loaded key pair with its certificate, as PEM text (NUL-terminated). Wipe after use. */
struct crypto_pem {
    char key[CRYPTO_PEM_MAX]; /* PKCS#8 */
    char cert[CRYPTO_PEM_MAX];
};

/* Self-signed CA of an organisation, P-256, valid `days` from now. */
ORD_MUST_USE enum ord_err crypto_ca_create(struct crypto_pem *out, const char *organisation, uint32_t days);
/*
 * TLS certificate: P-256. A replica's is for server and client authentication, and its alternative names are
 * DNS:localhost, IP:127.0.0.1 and `host` if that is not NULL. That of a client or an operator is for client
 * authentication alone and has no alternative names: `host` must be NULL.
 */
ORD_MUST_USE enum ord_err crypto_tls_create(struct crypto_pem *out, const struct crypto_pem *ca,
                                            const char *organisation, enum crypto_role role, const char *name,
                                            const char *host, uint32_t days);
/* Identity certificate (secp256k1, named curve). Tests pass negative `days` to make one that has expired. */
ORD_MUST_USE enum ord_err crypto_identity_create(struct crypto_pem *out, const struct crypto_pem *ca,
                                                 const char *organisation, enum crypto_role role, const char *name,
                                                 int32_t days);

/*
 * Converts a PEM certificate to DER. *size is the capacity of `out` on entry and the bytes written on return. INVALID,
 * NO_SPACE.
 */
ORD_MUST_USE enum ord_err crypto_cert_der(uint8_t *out, size_t *size, const char *pem);
/* When a PEM certificate ends: its notAfter in seconds since 1970, UTC. INVALID. */
ORD_MUST_USE enum ord_err crypto_cert_end(int64_t *not_after_s, const char *pem);
/* Converts a certificate from DER to PEM. INVALID: it is no certificate. NO_MEMORY. */
ORD_MUST_USE enum ord_err crypto_cert_pem(char out[CRYPTO_PEM_MAX], struct ord_span der);
/*
 * Loads a secp256k1 private key from PEM. INVALID: not PEM, encrypted, on another curve, or stored with a public key
 * that is not its own.
 */
ORD_MUST_USE enum ord_err crypto_private_key_load(struct crypto_private_key *out, const char *pem);

/*
 * Checks that a PEM certificate and a PEM private key (of any kind) belong together. INVALID: one is unreadable.
 * MISMATCH.
 */
ORD_MUST_USE enum ord_err crypto_pair_check(const char *cert_pem, const char *key_pem);

/* SHA-256 of the DER: a client's fingerprint. */
void crypto_cert_fingerprint(struct ord_hash *out, struct ord_span der);

/*
 * Parses an identity certificate and checks that `ca_der` issued it. Checks the signature, the issuer's name and CA
 * flag, that the key is on secp256k1, that the role is known, that issuer and subject have the same organisation, and
 * that no bytes follow the DER. Does not look at a clock: agreed state depends on the result, so the result depends on
 * the bytes alone. INVALID, BAD_SIGNATURE, FORBIDDEN. NO_MEMORY is about this machine and says nothing about the
 * certificate; that holds for the next two functions too.
 */
ORD_MUST_USE enum ord_err crypto_identity_verify(struct crypto_identity *out, struct ord_span cert_der,
                                                 struct ord_span ca_der);
/*
 * Parses an identity certificate without checking who issued it. The role may be CRYPTO_ROLE_NONE. INVALID, NO_MEMORY.
 */
ORD_MUST_USE enum ord_err crypto_identity_parse(struct crypto_identity *out, struct ord_span cert_der);
/*
 * Checks that this is a CA certificate that Ordain can use: a P-256 key, the CA flag, the key usage, one organisation
 * as O. Writes that organisation to `organisation`. INVALID, FORBIDDEN, NO_MEMORY.
 */
ORD_MUST_USE enum ord_err crypto_ca_check(char organisation[CRYPTO_NAME_MAX + 1], struct ord_span ca_der);

#endif
