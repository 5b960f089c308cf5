/*
 * secp256k1 signatures (libsecp256k1): ECDSA, compact 64 bytes, RFC 6979 nonces, low s only. Verification refuses high
 * s. A parsed key has an opaque type of its own, so that hot paths parse each key only once. Thread-safe after
 * crypto_init.
 */
#ifndef ORDAIN_CRYPTO_SIGN_H
#define ORDAIN_CRYPTO_SIGN_H

#include "core/crypto_ops.h"

struct crypto_private_key {
    uint8_t bytes[32];
};

/* libsecp256k1's parsed public key. Its bytes are not portable: never store or send them. */
struct crypto_verify_key {
    uint8_t opaque[64];
};

ORD_MUST_USE enum ord_err crypto_public_key(struct ord_public_key *out, const struct crypto_private_key *key);
/* INVALID: not a point on the curve. */
ORD_MUST_USE enum ord_err crypto_verify_key_parse(struct crypto_verify_key *out, const struct ord_public_key *key);
ORD_MUST_USE enum ord_err crypto_sign(struct ord_signature *out, const struct crypto_private_key *key,
                                      const struct ord_hash *hash);
bool crypto_verify(const struct crypto_verify_key *key, const struct ord_hash *hash,
                   const struct ord_signature *signature);
/*
 * Shared secret of two identity keys: SHA-256 of the compressed ECDH point. INVALID: one of the keys is not a valid
 * key.
 */
ORD_MUST_USE enum ord_err crypto_ecdh(struct ord_hash *out, const struct crypto_private_key *key,
                                      const struct ord_public_key *peer);

/* The parsed keys of a channel's replicas, for ord_crypto_ops.verify. */
struct crypto_replica_keys {
    uint32_t count;
    struct crypto_verify_key keys[ORD_REPLICA_MAX];
};
ORD_MUST_USE enum ord_err crypto_replica_keys_init(struct crypto_replica_keys *out, const struct ord_public_key *keys,
                                                   uint32_t count);
/* `out->context` points to `keys`, which must outlive `out`. */
void crypto_ops_init(struct ord_crypto_ops *out, const struct crypto_replica_keys *keys);
/* `out->context` points to `key`, which must outlive `out`. */
void crypto_signer_init(struct ord_signer *out, const struct crypto_private_key *key);

#endif
