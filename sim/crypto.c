/*
 * Stand-in hash and signatures. The hash mixes words into four lanes. It is not secure, but a run's replicas, liars
 * included, do not look for a weakness.
 */
#include "sim/crypto.h"

#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "crypto/hash.h"

struct mixer {
    uint64_t lanes[4];
    /* Bytes that do not fill a word yet. */
    uint64_t word;
    uint32_t word_size;
    uint64_t size;
};

static uint64_t rotate(uint64_t x, uint32_t by) {
    return x << by | x >> (64 - by);
}

static void mix(struct mixer *mixer, uint64_t word) {
    uint64_t lane = mixer->size / 8 % 4;
    uint64_t x = (mixer->lanes[lane] ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    mixer->lanes[lane] = x ^ x >> 29;
    mixer->lanes[(lane + 1) % 4] += rotate(x, 23);
    mixer->size += 8;
}

static void absorb(struct mixer *mixer, const uint8_t *data, size_t size) {
    size_t i = 0;
    while (i < size) {
        if (mixer->word_size == 0 && size - i >= 8) {
            uint64_t word;
            memcpy(&word, data + i, 8);
            mix(mixer, word);
            i += 8;
            continue;
        }
        mixer->word |= (uint64_t) data[i++] << 8 * mixer->word_size;
        if (++mixer->word_size == 8) {
            mix(mixer, mixer->word);
            mixer->word = 0;
            mixer->word_size = 0;
        }
    }
}

static void finish(struct mixer *mixer, struct ord_hash *out) {
    uint64_t rest = mixer->word_size;
    mix(mixer, mixer->word);
    mix(mixer, mixer->size + rest);
    for (uint32_t i = 0; i < 12; i++) {
        uint64_t x = (mixer->lanes[i % 4] ^ rotate(mixer->lanes[(i + 3) % 4], 31)) * UINT64_C(0xbf58476d1ce4e5b9);
        mixer->lanes[i % 4] = x ^ x >> 31;
    }
    memcpy(out->bytes, mixer->lanes, sizeof(out->bytes));
}

static void quick_hash(struct ord_hash *out, const struct ord_span *parts, size_t part_count) {
    struct mixer mixer = {.lanes = {1, 2, 3, 4}};
    for (size_t i = 0; i < part_count; i++)
        absorb(&mixer, parts[i].data, parts[i].size);
    finish(&mixer, out);
}

static void keyed(struct ord_signature *out, uint64_t secret, struct ord_span signer, const struct ord_hash *hash) {
    struct ord_hash halves[2];
    for (uint64_t i = 0; i < 2; i++) {
        struct mixer mixer = {.lanes = {secret, secret ^ i, 3, 4}};
        absorb(&mixer, signer.data, signer.size);
        absorb(&mixer, hash->bytes, sizeof(hash->bytes));
        finish(&mixer, &halves[i]);
    }
    memcpy(out->bytes, halves, sizeof(out->bytes));
}

static bool is_keyed(const struct ord_signature *signature, uint64_t secret, struct ord_span signer,
                     const struct ord_hash *hash) {
    struct ord_signature expected;
    keyed(&expected, secret, signer, hash);
    return memcmp(expected.bytes, signature->bytes, ORD_SIGNATURE_SIZE) == 0;
}

static uint64_t verified;

uint64_t sim_crypto_verified(void) {
    return verified;
}

static bool stand_in_verify(const void *context, ord_node_id signer, const struct ord_hash *hash,
                            const struct ord_signature *signature) {
    const struct sim_crypto *crypto = context;
    verified++;
    return is_keyed(signature, crypto->secret, ord_span_of(&signer, sizeof(signer)), hash);
}

static enum ord_err sign(void *context, struct ord_signature *out, const struct ord_hash *hash) {
    const struct sim_key *key = context;
    if (key->crypto->real)
        return crypto_sign(out, &sim_identities_get()->replica_keys[key->id], hash);
    keyed(out, key->crypto->secret, ord_span_of(&key->id, sizeof(key->id)), hash);
    return ORD_OK;
}

void sim_crypto_init(struct sim_crypto *out, uint64_t secret, bool real, uint32_t replica_count) {
    out->real = real;
    out->secret = secret;
    if (real) {
        ORD_ASSERT(crypto_replica_keys_init(&out->keys, sim_identities_get()->replica_public, replica_count) == ORD_OK);
        crypto_ops_init(&out->ops, &out->keys);
    } else {
        out->ops = (struct ord_crypto_ops) {.context = out, .hash = quick_hash, .verify = stand_in_verify};
    }
    for (ord_node_id id = 0; id < replica_count; id++)
        out->signers[id] = (struct sim_key) {out, id};
}

struct ord_signer sim_crypto_signer(struct sim_crypto *crypto, ord_node_id id) {
    return (struct ord_signer) {.context = &crypto->signers[id], .sign = sign};
}

void sim_crypto_client_sign(const struct sim_crypto *crypto, struct ord_signature *out,
                            const struct sim_identity *identity, const struct ord_hash *hash) {
    if (crypto->real)
        ORD_ASSERT(crypto_sign(out, &identity->key, hash) == ORD_OK);
    else
        keyed(out, ~crypto->secret, ord_span_of(&identity->verify_key, sizeof(identity->verify_key)), hash);
}

bool sim_crypto_client_verify(const struct sim_crypto *crypto, const struct crypto_verify_key *key,
                              const struct ord_hash *hash, const struct ord_signature *signature) {
    if (crypto->real)
        return crypto_verify(key, hash, signature);
    return is_keyed(signature, ~crypto->secret, ord_span_of(key, sizeof(*key)), hash);
}
