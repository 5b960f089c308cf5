/*
 * SHA-256 and HMAC-SHA256 (OpenSSL). All functions are thread-safe after crypto_init.
 */
#ifndef ORDAIN_CRYPTO_HASH_H
#define ORDAIN_CRYPTO_HASH_H

#include "core/crypto_ops.h"

/* Once per process, before anything else of crypto/, from one thread. Idempotent. */
ORD_MUST_USE enum ord_err crypto_init(void);

/* SHA-256 of the parts put end to end. Cannot fail once crypto_init succeeded. */
void crypto_sha256(struct ord_hash *out, const struct ord_span *parts, size_t part_count);

void crypto_hmac_sha256(struct ord_hash *out, struct ord_span key, const struct ord_span *parts, size_t part_count);

/* Compares in constant time. */
bool crypto_equal(const void *a, const void *b, size_t size);

ORD_MUST_USE enum ord_err crypto_random(void *out, size_t size);

/* Overwrites secrets; not optimised away. */
void crypto_wipe(void *data, size_t size);

#endif
