/*
 * Checks the quorum arithmetic against the properties that define it.
 */
#include "core/quorum.h"

#include "core/types.h"
#include "tests/support/test_main.h"

static void quorum__known_sizes(void **state) {
    (void) state;
    static const uint32_t rows[][4] = {{1, 0, 1, 1}, {4, 1, 3, 2}, {5, 1, 4, 2},
                                       {6, 1, 4, 2}, {7, 2, 5, 3}, {10, 3, 7, 4}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ord_bft_faulty_max(rows[i][0]), rows[i][1]);
        assert_int_equal(ord_bft_quorum(rows[i][0]), rows[i][2]);
        assert_int_equal(ord_bft_weak_quorum(rows[i][0]), rows[i][3]);
    }
}

static void quorum__two_share_an_honest_replica_and_liars_cannot_block(void **state) {
    (void) state;
    for (uint32_t n = 1; n <= ORD_REPLICA_MAX; n++) {
        uint32_t f = ord_bft_faulty_max(n);
        uint32_t q = ord_bft_quorum(n);
        assert_true(n >= 3 * f + 1);
        assert_true(2 * q > n + f);        /* safety */
        assert_true(2 * (q - 1) <= n + f); /* the smallest such q */
        assert_true(q <= n - f);           /* liveness with f dead */
        assert_true(2 * ord_majority(n) > n);
    }
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(quorum__known_sizes),
    cmocka_unit_test(quorum__two_share_an_honest_replica_and_liars_cannot_block),
};
TEST_CASES(cases);
