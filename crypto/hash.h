/*
 * SHA-256 and HMAC-SHA256 (OpenSSL). All functions are thread-safe after crypto_init.
 */
#ifndef ORDAIN_CRYPTO_HASH_H
#define ORDAIN_CRYPTO_HASH_H

#include "core/crypto_ops.h"

/* Call it once per process, from one thread, before any other function of crypto/. Idempotent. */
ORD_MUST_USE enum ord_err crypto_init(void);

/* SHA-256 of the parts, concatenated. Cannot fail once crypto_init has succeeded. */
void crypto_sha256(struct ord_hash *out, const struct ord_span *parts, size_t part_count);

void crypto_hmac_sha256(struct ord_hash *out, struct ord_span key, const struct ord_span *parts, size_t part_count);

/* True if the bytes are equal. Takes the same time wherever they differ. */
bool crypto_equal(const void *a, const void *b, size_t size);

ORD_MUST_USE enum ord_err crypto_random(void *out, size_t size);

/* Overwrites a secret with zeros. The compiler cannot optimise this away. */
void crypto_wipe(void *data, size_t size);

#endif
