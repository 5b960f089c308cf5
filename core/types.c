/*
 * Comparisons of the shared value types.
 */
#include "core/types.h"

#include <string.h>

bool ord_hash_equal(const struct ord_hash *a, const struct ord_hash *b) {
    return memcmp(a->bytes, b->bytes, ORD_HASH_SIZE) == 0;
}

bool ord_hash_is_zero(const struct ord_hash *hash) {
    static const struct ord_hash zero;
    return ord_hash_equal(hash, &zero);
}

bool ord_span_equal(struct ord_span a, struct ord_span b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
