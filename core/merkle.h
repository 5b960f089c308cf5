/*
 * Merkle trees as in RFC 6962, section 2.1: leaf = H(0x00 || data), node = H(0x01 || left || right), the left subtree is
 * the largest power of two smaller than the leaf count. Used for block data roots, for batches of signed statements and
 * for inclusion proofs. Pure: the hash function comes in.
 */
#ifndef ORDAIN_CORE_MERKLE_H
#define ORDAIN_CORE_MERKLE_H

#include "core/crypto_ops.h"

#define ORD_MERKLE_PATH_MAX 32 /* hashes in an inclusion path; enough for 2^32 leaves */

/* H(0x00 || data). */
void ord_merkle_leaf(const struct ord_crypto_ops *crypto, struct ord_hash *out, struct ord_span data);

/*
 * Root over `leaf_count` leaf hashes. Overwrites `leaves` (it is the work space). No leaves: H of the empty string.
 */
void ord_merkle_root(const struct ord_crypto_ops *crypto, struct ord_hash *out, struct ord_hash *leaves,
                     size_t leaf_count);

/*
 * Inclusion path of leaf `index`, nearest sibling first; at most ORD_MERKLE_PATH_MAX. Overwrites `leaves`.
 * index < leaf_count.
 */
void ord_merkle_path(const struct ord_crypto_ops *crypto, struct ord_hash *path, size_t *path_size,
                     struct ord_hash *leaves, size_t leaf_count, size_t index);

/*
 * A whole tree, for many paths: leaf hashes first, then level above level. `tree` has ORD_MERKLE_TREE_SIZE(leaf_count) hashes, of
 * which the caller fills the first leaf_count. Then every path is a look-up.
 */
#define ORD_MERKLE_TREE_SIZE(leaf_count) (2 * (size_t) (leaf_count) + ORD_MERKLE_PATH_MAX)
void ord_merkle_tree_build(const struct ord_crypto_ops *crypto, struct ord_hash *tree, size_t leaf_count);
void ord_merkle_tree_path(struct ord_hash *path, size_t *path_size, const struct ord_hash *tree, size_t leaf_count,
                          size_t index);

/* Does `leaf` stand at `index` of a tree of `leaf_count` leaves with this root? False for a path of the wrong length. */
bool ord_merkle_verify(const struct ord_crypto_ops *crypto, const struct ord_hash *root, const struct ord_hash *leaf,
                       size_t index, size_t leaf_count, const struct ord_hash *path, size_t path_size);

#endif
