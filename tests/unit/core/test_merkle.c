/*
 * Compares Merkle trees with the definition in RFC 6962, section 2.1, which is written recursively here.
 */
#include "core/merkle.h"

#include <string.h>

#include "tests/support/plain_hash.h"
#include "tests/support/test_main.h"

enum { LEAVES_MAX = 70 };

static void make_leaves(struct ord_hash *leaves, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t) i;
        ord_merkle_leaf(&plain_crypto, &leaves[i], ord_span_of(&byte, 1));
    }
}

static void reference_root(struct ord_hash *out, const struct ord_hash *leaves, size_t count) {
    if (count == 1) {
        *out = leaves[0];
        return;
    }
    size_t split = 1;
    while (split * 2 < count)
        split *= 2;
    struct ord_hash pair[2];
    reference_root(&pair[0], leaves, split);
    reference_root(&pair[1], leaves + split, count - split);
    const uint8_t tag = 1;
    const struct ord_span parts[] = {{&tag, 1}, {pair[0].bytes, 32}, {pair[1].bytes, 32}};
    plain_hash(out, parts, 3);
}

static void merkle__root_is_the_rfc_definition(void **state) {
    (void) state;
    for (size_t count = 1; count <= LEAVES_MAX; count++) {
        struct ord_hash leaves[LEAVES_MAX];
        struct ord_hash expected;
        struct ord_hash actual;
        make_leaves(leaves, count);
        reference_root(&expected, leaves, count);
        ord_merkle_root(&plain_crypto, &actual, leaves, count);
        assert_true(ord_hash_equal(&expected, &actual));
    }
}

static void merkle__root_of_nothing_is_the_empty_hash(void **state) {
    (void) state;
    struct ord_hash root;
    ord_merkle_root(&plain_crypto, &root, NULL, 0);
    assert_memory_equal(root.bytes, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14", 8);
}

static void merkle__every_path_verifies_and_no_other(void **state) {
    (void) state;
    for (size_t count = 1; count <= LEAVES_MAX; count++) {
        struct ord_hash original[LEAVES_MAX];
        struct ord_hash work[LEAVES_MAX];
        struct ord_hash root;
        make_leaves(original, count);
        memcpy(work, original, sizeof(work));
        ord_merkle_root(&plain_crypto, &root, work, count);
        for (size_t index = 0; index < count; index++) {
            struct ord_hash path[ORD_MERKLE_PATH_MAX + 1];
            size_t path_size;
            memcpy(work, original, sizeof(work));
            ord_merkle_path(&plain_crypto, path, &path_size, work, count, index);
            const struct ord_hash *leaf = &original[index];
            struct ord_hash tree[ORD_MERKLE_TREE_SIZE(LEAVES_MAX)];
            struct ord_hash tree_path[ORD_MERKLE_PATH_MAX];
            size_t tree_path_size;
            memcpy(tree, original, sizeof(original));
            ord_merkle_tree_build(&plain_crypto, tree, count);
            ord_merkle_tree_path(tree_path, &tree_path_size, tree, count, index);
            assert_int_equal(tree_path_size, path_size);
            assert_memory_equal(tree_path, path, path_size * sizeof(path[0]));
            assert_true(ord_merkle_verify(&plain_crypto, &root, leaf, index, count, path, path_size));
            assert_false(ord_merkle_verify(&plain_crypto, &root, leaf, count, count, path, path_size));
            if (count > 1) {
                assert_false(ord_merkle_verify(&plain_crypto, &root, leaf, index ^ 1, count, path, path_size));
                assert_false(ord_merkle_verify(&plain_crypto, &root, leaf, index, count, path, path_size - 1));
                path[path_size] = path[0];
                assert_false(ord_merkle_verify(&plain_crypto, &root, leaf, index, count, path, path_size + 1));
                path[0].bytes[5] ^= 1;
                assert_false(ord_merkle_verify(&plain_crypto, &root, leaf, index, count, path, path_size));
            }
        }
    }
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(merkle__root_is_the_rfc_definition),
    cmocka_unit_test(merkle__root_of_nothing_is_the_empty_hash),
    cmocka_unit_test(merkle__every_path_verifies_and_no_other),
};
TEST_CASES(cases);
