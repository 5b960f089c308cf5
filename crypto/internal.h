/*
 * What the files of crypto/ share with each other and nobody else.
 */
#ifndef ORDAIN_CRYPTO_INTERNAL_H
#define ORDAIN_CRYPTO_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/err.h"
#include "core/types.h"
#include "crypto/x509.h"

/* Makes and randomises the signing context. Called by crypto_init only. */
ORD_MUST_USE enum ord_err crypto_sign_init(void);

/* From SEC 1's uncompressed form: 0x04, x, y. INVALID: not a point on secp256k1. */
ORD_MUST_USE enum ord_err crypto_public_key_compress(struct ord_public_key *out, const uint8_t uncompressed[65]);

/* "client" for CRYPTO_ROLE_CLIENT; NULL for CRYPTO_ROLE_NONE and for what is no role. */
const char *crypto_role_name(enum crypto_role role);

/*
 * A certificate from DER, the caller's to X509_free. INVALID: malformed, longer than CRYPTO_CERT_DER_MAX, or any other bytes
 * than the one DER encoding of what they say. NO_MEMORY: OpenSSL said so; it does not always.
 */
ORD_MUST_USE enum ord_err crypto_x509_of_der(X509 **out, struct ord_span der);

/* The first certificate of a PEM text, the caller's to X509_free; NULL: there is none. */
X509 *crypto_x509_of_pem(const char *pem);

/* The first private key of a PEM text, the caller's to EVP_PKEY_free; NULL: there is none, or it is encrypted. */
EVP_PKEY *crypto_pkey_of_pem(const char *pem);

#endif
