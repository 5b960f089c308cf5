/*
 * Stand-in keys for tests of PBFT. A signature is a hash over signer and message, which only tests that know the scheme
 * can make. The core treats these like real signatures.
 */
#ifndef ORDAIN_TESTS_BFT_KEYS_H
#define ORDAIN_TESTS_BFT_KEYS_H

#include <string.h>

#include "core/codec.h"
#include "tests/support/plain_hash.h"

/* A fast hash without any claim to security, for runs over many seeds. */
static inline void quick_hash(struct ord_hash *out, const struct ord_span *parts, size_t part_count) {
    uint64_t lanes[4] = {1, 2, 3, 4};
    size_t position = 0;
    for (size_t i = 0; i < part_count; i++)
        for (size_t j = 0; j < parts[i].size; j++, position++) {
            uint64_t *lane = &lanes[position % 4];
            *lane = (*lane ^ parts[i].data[j]) * UINT64_C(0x9e3779b97f4a7c15);
            *lane ^= *lane >> 29;
        }
    for (size_t round = 0; round < 8; round++) {
        uint64_t mixed = lanes[round % 4] + lanes[(round + 1) % 4] * UINT64_C(0xbf58476d1ce4e5b9) + position;
        lanes[(round + 1) % 4] = mixed ^ mixed >> 31;
    }
    for (size_t i = 0; i < 4; i++)
        ord_store_u64(out->bytes + 8 * i, lanes[i]);
}

static inline void stand_in_sign(const struct ord_crypto_ops *crypto, struct ord_signature *out, ord_node_id signer,
                                 const struct ord_hash *hash) {
    uint8_t id[4];
    ord_store_u32(id, signer);
    const struct ord_span parts[] = {ord_span_of("stand-in", 8), ord_span_of(id, 4), ord_span_of(hash->bytes, 32)};
    struct ord_hash mac;
    crypto->hash(&mac, parts, 3);
    memcpy(out->bytes, mac.bytes, 32);
    memcpy(out->bytes + 32, mac.bytes, 32);
}

/* `context` is the table itself. */
static inline bool stand_in_verify(const void *context, ord_node_id signer, const struct ord_hash *hash,
                                   const struct ord_signature *signature) {
    struct ord_signature expected;
    stand_in_sign(context, &expected, signer, hash);
    return memcmp(expected.bytes, signature->bytes, ORD_SIGNATURE_SIZE) == 0;
}

/* Stands in for the certificate of a stable checkpoint: seq u64, and a hash that only tests know how to make. */
#define STAND_IN_CHECKPOINT_SIZE (8 + 32)

static inline struct ord_span stand_in_checkpoint(uint8_t out[STAND_IN_CHECKPOINT_SIZE],
                                                  const struct ord_crypto_ops *crypto, uint64_t seq) {
    struct ord_hash mac;
    ord_store_u64(out, seq);
    const struct ord_span parts[] = {ord_span_of("checkpoint", 10), ord_span_of(out, 8)};
    crypto->hash(&mac, parts, 2);
    memcpy(out + 8, mac.bytes, 32);
    return ord_span_of(out, STAND_IN_CHECKPOINT_SIZE);
}

static inline enum ord_err stand_in_checkpoint_verify(const void *context, uint64_t *seq, struct ord_span certificate) {
    uint8_t expected[STAND_IN_CHECKPOINT_SIZE];
    if (certificate.size != STAND_IN_CHECKPOINT_SIZE)
        return ORD_ERR_INVALID;
    *seq = ord_load_u64(certificate.data);
    (void) stand_in_checkpoint(expected, context, *seq);
    return memcmp(expected, certificate.data, sizeof(expected)) == 0 ? ORD_OK : ORD_ERR_BAD_SIGNATURE;
}

static inline struct ord_checkpoint_ops stand_in_checkpoints(const struct ord_crypto_ops *crypto) {
    return (struct ord_checkpoint_ops) {
        .context = crypto, .size_max = STAND_IN_CHECKPOINT_SIZE, .verify = stand_in_checkpoint_verify};
}

struct stand_in_signer {
    const struct ord_crypto_ops *crypto;
    ord_node_id self;
    bool broken; /* signing fails from now on */
};

static inline enum ord_err stand_in_signer_sign(void *context, struct ord_signature *out, const struct ord_hash *hash) {
    const struct stand_in_signer *signer = context;
    if (signer->broken)
        return ORD_ERR_CRYPTO;
    stand_in_sign(signer->crypto, out, signer->self, hash);
    return ORD_OK;
}

#endif
