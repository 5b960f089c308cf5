/*
 * Types that every folder shares: spans, hashes, keys, replica sets.
 */
#ifndef ORDAIN_CORE_TYPES_H
#define ORDAIN_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORD_HASH_SIZE       32
#define ORD_SIGNATURE_SIZE  64 /* ECDSA secp256k1, compact r || s, low s */
#define ORD_PUBLIC_KEY_SIZE 33 /* secp256k1, compressed */
/* Upper limit for the replicas of one channel. An ord_replica_set has one bit for each. */
#define ORD_REPLICA_MAX 64
#define ORD_NO_NODE     UINT32_MAX

/* Index of a replica in its channel's configuration: 0 .. replica_count - 1. ORD_NO_NODE names no replica. */
typedef uint32_t ord_node_id;

/* Bit i stands for replica i. */
typedef uint64_t ord_replica_set;

/* Borrowed bytes. `data` may be NULL only when `size` is 0. */
struct ord_span {
    const uint8_t *data;
    size_t size;
};

/* Owned bytes, malloc'ed: whoever gets them frees `data`. */
struct ord_bytes {
    uint8_t *data;
    size_t size;
};

struct ord_hash {
    uint8_t bytes[ORD_HASH_SIZE];
};

struct ord_signature {
    uint8_t bytes[ORD_SIGNATURE_SIZE];
};

struct ord_public_key {
    uint8_t bytes[ORD_PUBLIC_KEY_SIZE];
};

static inline struct ord_span ord_span_of(const void *data, size_t size) {
    return (struct ord_span) {(const uint8_t *) data, size};
}

static inline ord_replica_set ord_replica_bit(ord_node_id node) {
    return (ord_replica_set) 1 << node;
}

static inline uint32_t ord_replica_count(ord_replica_set set) {
    return (uint32_t) __builtin_popcountll(set);
}

static inline uint64_t ord_min(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline uint64_t ord_max(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

bool ord_hash_equal(const struct ord_hash *a, const struct ord_hash *b);
bool ord_hash_is_zero(const struct ord_hash *hash);
bool ord_span_equal(struct ord_span a, struct ord_span b);

#endif
