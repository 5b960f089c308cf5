/*
 * RFC 6962 Merkle trees, computed level by level in place. Pairing hashes from the left and moving an odd last hash up
 * unchanged gives the same tree as the RFC's recursive split at the largest power of two.
 */
#include "core/merkle.h"

#include <string.h>

#include "core/assert.h"

void ord_merkle_leaf(const struct ord_crypto_ops *crypto, struct ord_hash *out, struct ord_span data) {
    static const uint8_t tag = 0x00;
    const struct ord_span parts[] = {{&tag, 1}, data};
    crypto->hash(out, parts, 2);
}

static void node(const struct ord_crypto_ops *crypto, struct ord_hash *out, const struct ord_hash *left,
                 const struct ord_hash *right) {
    uint8_t buffer[1 + 2 * ORD_HASH_SIZE];
    buffer[0] = 0x01;
    memcpy(buffer + 1, left->bytes, ORD_HASH_SIZE);
    memcpy(buffer + 1 + ORD_HASH_SIZE, right->bytes, ORD_HASH_SIZE);
    const struct ord_span part = {buffer, sizeof(buffer)};
    crypto->hash(out, &part, 1);
}

/* Writes the level above `count` hashes, perhaps in their place. Returns how many hashes that level has. */
static size_t level_up(const struct ord_crypto_ops *crypto, struct ord_hash *above, const struct ord_hash *hashes,
                       size_t count) {
    for (size_t i = 0; i + 1 < count; i += 2)
        node(crypto, &above[i / 2], &hashes[i], &hashes[i + 1]);
    if (count % 2 == 1)
        above[count / 2] = hashes[count - 1];
    return (count + 1) / 2;
}

void ord_merkle_root(const struct ord_crypto_ops *crypto, struct ord_hash *out, struct ord_hash *leaves,
                     size_t leaf_count) {
    if (leaf_count == 0) {
        crypto->hash(out, NULL, 0);
        return;
    }
    while (leaf_count > 1)
        leaf_count = level_up(crypto, leaves, leaves, leaf_count);
    *out = leaves[0];
}

void ord_merkle_path(const struct ord_crypto_ops *crypto, struct ord_hash *path, size_t *path_size,
                     struct ord_hash *leaves, size_t leaf_count, size_t index) {
    ORD_ASSERT(index < leaf_count && leaf_count <= UINT32_MAX);
    size_t size = 0;
    for (; leaf_count > 1; index /= 2) {
        size_t sibling = index ^ 1;
        if (sibling < leaf_count)
            path[size++] = leaves[sibling];
        leaf_count = level_up(crypto, leaves, leaves, leaf_count);
    }
    *path_size = size;
}

const struct ord_hash *ord_merkle_tree_build(const struct ord_crypto_ops *crypto, struct ord_hash *tree,
                                             size_t leaf_count) {
    for (size_t count = leaf_count; count > 1;) {
        struct ord_hash *above = tree + count;
        count = level_up(crypto, above, tree, count);
        tree = above;
    }
    return tree;
}

void ord_merkle_tree_path(struct ord_hash *path, size_t *path_size, const struct ord_hash *tree, size_t leaf_count,
                          size_t index) {
    ORD_ASSERT(index < leaf_count && leaf_count <= UINT32_MAX);
    size_t size = 0;
    for (size_t count = leaf_count; count > 1; index /= 2, count = (count + 1) / 2) {
        size_t sibling = index ^ 1;
        if (sibling < count)
            path[size++] = tree[sibling];
        tree += count;
    }
    *path_size = size;
}

bool ord_merkle_climb(const struct ord_crypto_ops *crypto, struct ord_hash *hash, size_t index, size_t leaf_count,
                      const struct ord_hash *path, size_t path_size) {
    if (index >= leaf_count)
        return false;
    size_t used = 0;
    for (; leaf_count > 1; index /= 2, leaf_count = (leaf_count + 1) / 2) {
        if ((index ^ 1) >= leaf_count)
            continue; /* no sibling: an odd last hash moves up unchanged */
        if (used == path_size)
            return false;
        if (index % 2 == 0)
            node(crypto, hash, hash, &path[used]);
        else
            node(crypto, hash, &path[used], hash);
        used++;
    }
    return used == path_size;
}

bool ord_merkle_verify(const struct ord_crypto_ops *crypto, const struct ord_hash *root, const struct ord_hash *leaf,
                       size_t index, size_t leaf_count, const struct ord_hash *path, size_t path_size) {
    struct ord_hash hash = *leaf;
    return ord_merkle_climb(crypto, &hash, index, leaf_count, path, path_size) && ord_hash_equal(&hash, root);
}
