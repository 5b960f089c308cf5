/*
 * All domain tags of this room, and the one way to hash with them. docs/formats.md lists them. A tag's terminating NUL
 * is hashed too, so no tag is the beginning of another. No tag begins with 0x00 or 0x01, which the Merkle trees use.
 */
#ifndef ORDAIN_CHANNEL_TAGS_H
#define ORDAIN_CHANNEL_TAGS_H

#include "crypto/hash.h"

#define CHANNEL_TAG_CONFIG    "ordain/config/v1"
#define CHANNEL_TAG_ENVELOPE  "ordain/envelope/v1"
#define CHANNEL_TAG_HEADER    "ordain/header/v1"
#define CHANNEL_TAG_STATEMENT "ordain/statement/v1"
#define CHANNEL_TAG_CLIENT    "ordain/client/v1"
#define CHANNEL_TAG_OPEN      "ordain/open/v1"
#define CHANNEL_TAG_STATE     "ordain/state/v1"

/* H(tag, NUL, bytes). `tag` must be a string literal. */
#define channel_tagged_hash(out, tag, bytes) channel_tagged_hash_of((out), ord_span_of((tag), sizeof(tag)), (bytes))

static inline void channel_tagged_hash_of(struct ord_hash *out, struct ord_span tag, struct ord_span bytes) {
    const struct ord_span parts[] = {tag, bytes};
    crypto_sha256(out, parts, 2);
}

/* The crypto operations that core/merkle.h needs. */
static inline struct ord_crypto_ops channel_merkle_ops(void) {
    return (struct ord_crypto_ops) {.hash = crypto_sha256};
}

#endif
