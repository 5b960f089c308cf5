/*
 * Functions that the files of crypto/ share. Nothing outside crypto/ includes this header.
 */
#ifndef ORDAIN_CRYPTO_INTERNAL_H
#define ORDAIN_CRYPTO_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/err.h"
#include "core/types.h"
#include "crypto/x509.h"

/* Creates the signing context and blinds it with random bytes. Only crypto_init calls this. */
ORD_MUST_USE enum ord_err crypto_sign_init(void);

/* Compresses a public key from SEC 1's uncompressed form: 0x04, x, y. INVALID: not a point on secp256k1. */
ORD_MUST_USE enum ord_err crypto_public_key_compress(struct ord_public_key *out, const uint8_t uncompressed[65]);

/*
 * The role's name in a certificate's OU, such as "client" for CRYPTO_ROLE_CLIENT. NULL for any value that is no role.
 */
const char *crypto_role_name(enum crypto_role role);

/*
 * Parses a certificate from DER. The caller frees it with X509_free.
 * INVALID: malformed, longer than CRYPTO_CERT_DER_MAX, or not the one DER encoding of its content. A shortage of memory
 * that OpenSSL does not report looks the same.
 * NO_MEMORY: a shortage that OpenSSL reported.
 */
ORD_MUST_USE enum ord_err crypto_x509_of_der(X509 **out, struct ord_span der);

/* Copies what a memory BIO holds to `text` and ends it with a NUL. TOO_LARGE. */
ORD_MUST_USE enum ord_err crypto_take_text(char text[CRYPTO_PEM_MAX], BIO *bio);

/* Parses the first certificate of a PEM text. The caller frees it with X509_free. NULL: there is none. */
X509 *crypto_x509_of_pem(const char *pem);

/*
 * Parses the first private key of a PEM text. The caller frees it with EVP_PKEY_free. NULL: there is none, or it is
 * encrypted.
 */
EVP_PKEY *crypto_pkey_of_pem(const char *pem);

#endif
