/*
 * Merkle trees as in RFC 6962, section 2.1: leaf = H(0x00 || data), node = H(0x01 || left || right). The left subtree
 * has as many leaves as the largest power of two smaller than the leaf count. Block data roots, lists of signed
 * statements and inclusion proofs use these trees. The code is pure: the caller passes the hash function in.
 */
#ifndef ORDAIN_CORE_MERKLE_H
#define ORDAIN_CORE_MERKLE_H

#include "core/crypto_ops.h"

#define ORD_MERKLE_PATH_MAX 32 /* hashes in an inclusion path; enough for 2^32 leaves */

/* Writes the leaf hash of `data`: H(0x00 || data). */
void ord_merkle_leaf(const struct ord_crypto_ops *crypto, struct ord_hash *out, struct ord_span data);

/*
 * Root over `leaf_count` leaf hashes. Overwrites `leaves`, which serves as work space. Without leaves the root is the
 * hash of the empty string.
 */
void ord_merkle_root(const struct ord_crypto_ops *crypto, struct ord_hash *out, struct ord_hash *leaves,
                     size_t leaf_count);

/*
 * Inclusion path of leaf `index`, nearest sibling first, at most ORD_MERKLE_PATH_MAX hashes. Overwrites `leaves`.
 * Requires index < leaf_count <= UINT32_MAX.
 */
void ord_merkle_path(const struct ord_crypto_ops *crypto, struct ord_hash *path, size_t *path_size,
                     struct ord_hash *leaves, size_t leaf_count, size_t index);

/*
 * A whole tree, for callers that need many paths: once it is built, each path is a look-up. `tree` holds the leaf
 * hashes first, then level above level. It has space for ORD_MERKLE_TREE_SIZE(leaf_count) hashes, and the caller fills
 * in the first leaf_count. With at least one leaf, ord_merkle_tree_build returns the root, which is in `tree`.
 */
#define ORD_MERKLE_TREE_SIZE(leaf_count) (2 * (size_t) (leaf_count) + ORD_MERKLE_PATH_MAX)
const struct ord_hash *ord_merkle_tree_build(const struct ord_crypto_ops *crypto, struct ord_hash *tree,
                                             size_t leaf_count);
void ord_merkle_tree_path(struct ord_hash *path, size_t *path_size, const struct ord_hash *tree, size_t leaf_count,
                          size_t index);

/*
 * Replaces a leaf at `index` in a tree of `leaf_count` leaves by the root that the path leads to. False for a path of
 * the wrong length; `hash` then means nothing.
 */
bool ord_merkle_climb(const struct ord_crypto_ops *crypto, struct ord_hash *hash, size_t index, size_t leaf_count,
                      const struct ord_hash *path, size_t path_size);

/*
 * True if `leaf` stands at `index` in the tree of `leaf_count` leaves with this root. False for a path of the wrong
 * length.
 */
bool ord_merkle_verify(const struct ord_crypto_ops *crypto, const struct ord_hash *root, const struct ord_hash *leaf,
                       size_t index, size_t leaf_count, const struct ord_hash *path, size_t path_size);

#endif
