/*
 * secp256k1 on libsecp256k1: ECDSA in its compact form (r || s, 64 bytes), nonces by RFC 6979, low s only, and ECDH.
 *
 * One context per process signs and derives keys. It is blinded once and only read afterwards, so every thread may use
 * it. Verification needs no tables of its own and uses the library's static context.
 */
#include "crypto/sign.h"
#include "crypto/hash.h"
#include "crypto/internal.h"

#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <string.h>

#include "core/assert.h"

_Static_assert(sizeof(struct crypto_verify_key) == sizeof(secp256k1_pubkey), "a verify key holds a parsed key");

/* Set by crypto_init and never changed afterwards. */
static secp256k1_context *secret_context;

enum ord_err crypto_sign_init(void) {
    uint8_t seed[32];
    secp256k1_selftest();
    enum ord_err err = crypto_random(seed, sizeof(seed));
    if (err != ORD_OK)
        return err;
    secp256k1_context *context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    if (context != NULL && secp256k1_context_randomize(context, seed) == 1)
        secret_context = context;
    crypto_wipe(seed, sizeof(seed));
    return secret_context != NULL ? ORD_OK : ORD_ERR_CRYPTO;
}

static void compress(struct ord_public_key *out, const secp256k1_pubkey *key) {
    size_t size = sizeof(out->bytes);
    secp256k1_ec_pubkey_serialize(secp256k1_context_static, out->bytes, &size, key, SECP256K1_EC_COMPRESSED);
    ORD_ASSERT(size == sizeof(out->bytes));
}

enum ord_err crypto_public_key(struct ord_public_key *out, const struct crypto_private_key *key) {
    ORD_ASSERT(secret_context != NULL);
    secp256k1_pubkey parsed;
    if (secp256k1_ec_pubkey_create(secret_context, &parsed, key->bytes) != 1)
        return ORD_ERR_INVALID;
    compress(out, &parsed);
    return ORD_OK;
}

enum ord_err crypto_public_key_compress(struct ord_public_key *out, const uint8_t uncompressed[65]) {
    secp256k1_pubkey parsed;
    /* The library also parses hybrid points. Here a key has exactly one
     * uncompressed form, so the first byte must be 4. */
    if (uncompressed[0] != 4 || secp256k1_ec_pubkey_parse(secp256k1_context_static, &parsed, uncompressed, 65) != 1)
        return ORD_ERR_INVALID;
    compress(out, &parsed);
    return ORD_OK;
}

enum ord_err crypto_verify_key_parse(struct crypto_verify_key *out, const struct ord_public_key *key) {
    secp256k1_pubkey parsed;
    if (secp256k1_ec_pubkey_parse(secp256k1_context_static, &parsed, key->bytes, sizeof(key->bytes)) != 1)
        return ORD_ERR_INVALID;
    memcpy(out->opaque, parsed.data, sizeof(out->opaque));
    return ORD_OK;
}

enum ord_err crypto_sign(struct ord_signature *out, const struct crypto_private_key *key, const struct ord_hash *hash) {
    ORD_ASSERT(secret_context != NULL);
    secp256k1_ecdsa_signature signature;
    if (secp256k1_ecdsa_sign(secret_context, &signature, hash->bytes, key->bytes, NULL, NULL) != 1)
        return ORD_ERR_INVALID;
    secp256k1_ecdsa_signature_serialize_compact(secret_context, out->bytes, &signature);
    return ORD_OK;
}

bool crypto_verify(const struct crypto_verify_key *key, const struct ord_hash *hash,
                   const struct ord_signature *signature) {
    secp256k1_ecdsa_signature parsed;
    secp256k1_pubkey public_key;
    /* The parser refuses r and s that are not below the group order. The verifier refuses zero and high s. */
    if (secp256k1_ecdsa_signature_parse_compact(secp256k1_context_static, &parsed, signature->bytes) != 1)
        return false;
    memcpy(public_key.data, key->opaque, sizeof(public_key.data));
    return secp256k1_ecdsa_verify(secp256k1_context_static, &parsed, hash->bytes, &public_key) == 1;
}

enum ord_err crypto_ecdh(struct ord_hash *out, const struct crypto_private_key *key,
                         const struct ord_public_key *peer) {
    ORD_ASSERT(secret_context != NULL);
    secp256k1_pubkey parsed;
    if (secp256k1_ec_pubkey_parse(secret_context, &parsed, peer->bytes, sizeof(peer->bytes)) != 1 ||
        secp256k1_ecdh(secret_context, out->bytes, &parsed, key->bytes, NULL, NULL) != 1)
        return ORD_ERR_INVALID;
    return ORD_OK;
}

enum ord_err crypto_replica_keys_init(struct crypto_replica_keys *out, const struct ord_public_key *keys,
                                      uint32_t count) {
    if (count > ORD_REPLICA_MAX)
        return ORD_ERR_INVALID;
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < count; i++) {
        enum ord_err err = crypto_verify_key_parse(&out->keys[i], &keys[i]);
        if (err != ORD_OK)
            return err;
    }
    out->count = count;
    return ORD_OK;
}

static bool verify_replica(const void *context, ord_node_id signer, const struct ord_hash *hash,
                           const struct ord_signature *signature) {
    const struct crypto_replica_keys *keys = context;
    return keys != NULL && signer < keys->count && crypto_verify(&keys->keys[signer], hash, signature);
}

void crypto_ops_init(struct ord_crypto_ops *out, const struct crypto_replica_keys *keys) {
    /* The cast away from const is safe: `verify` receives the context as const. */
    *out = (struct ord_crypto_ops) {.context = (void *) keys, .hash = crypto_sha256, .verify = verify_replica};
}

static enum ord_err sign_with_key(void *context, struct ord_signature *out, const struct ord_hash *hash) {
    const struct crypto_private_key *key = context;
    return crypto_sign(out, key, hash);
}

void crypto_signer_init(struct ord_signer *out, const struct crypto_private_key *key) {
    /* The cast away from const is safe: sign_with_key only reads the key. */
    *out = (struct ord_signer) {.context = (void *) key, .sign = sign_with_key};
}
