/*
 * Shares: a source that takes all it can get leaves the others theirs.
 */
#include "replica/intake/shares.h"

#include "tests/support/test_main.h"

static const struct share_limits limits = {.at_any_time = 2, .most = 8};

static void begin(struct shares *shares) {
    assert_ok(shares_init(shares, 4));
    shares->total_max = 10;
    shares->source_bytes_max = 100;
}

static uint32_t take_all(struct shares *shares, uint64_t source, uint64_t bytes) {
    uint32_t count = 0;
    while (count < 1000 && shares_take(shares, source, &limits, bytes))
        count++;
    return count;
}

static void shares__everybody_has_some_at_any_time(void **state) {
    (void) state;
    struct shares shares;
    begin(&shares);
    /* The upper limit of one source. */
    assert_int_equal(take_all(&shares, 7, 1), 8);
    /* The rest of the total, which is also its guaranteed share. */
    assert_int_equal(take_all(&shares, 8, 1), 2);
    /* Its guaranteed share, although the total is used up. */
    assert_int_equal(take_all(&shares, 9, 1), 2);
    assert_int_equal(take_all(&shares, 7, 1), 0);
    shares_give_back(&shares, 9, 1);
    assert_true(shares_take(&shares, 9, &limits, 1));
    for (int i = 0; i < 8; i++)
        shares_give_back(&shares, 7, 1);
    /* The total of 10 is used up. */
    assert_int_equal(take_all(&shares, 9, 1), 6);
    shares_deinit(&shares);
}

static void shares__bytes_are_bounded_too_but_one_always_fits(void **state) {
    (void) state;
    struct shares shares;
    begin(&shares);
    assert_int_equal(take_all(&shares, 1, 30), 3);
    assert_int_equal(take_all(&shares, 2, 1000), 1);
    assert_false(shares_take(&shares, 2, &limits, 1));
    assert_true(shares_take(&shares, 1, &limits, 10));
    uint32_t count;
    uint64_t bytes;
    shares_of(&shares, 1, &count, &bytes);
    assert_int_equal(count, 4);
    assert_int_equal(bytes, 100);
    shares_of(&shares, 3, &count, &bytes);
    assert_int_equal(count + bytes, 0);
    shares_give_back(&shares, 2, 1000);
    assert_true(shares_take(&shares, 2, &limits, 1));
    shares_deinit(&shares);
}

static void shares__who_has_nothing_takes_no_place(void **state) {
    (void) state;
    struct shares shares;
    begin(&shares);
    for (uint64_t source = 0; source < 100; source++) {
        assert_true(shares_take(&shares, source, &limits, 1));
        assert_true(shares_take(&shares, 1000, &limits, 1));
        shares_give_back(&shares, source, 1);
        shares_give_back(&shares, 1000, 1);
    }
    for (uint64_t source = 0; source < 4; source++)
        assert_true(shares_take(&shares, source, &limits, 1));
    /* There are as many sources as there may be. */
    assert_false(shares_take(&shares, 4, &limits, 1));
    for (uint64_t source = 4; source-- > 0;)
        shares_give_back(&shares, source, 1);
    assert_int_equal(shares.total, 0);
    shares_deinit(&shares);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(shares__everybody_has_some_at_any_time),
    cmocka_unit_test(shares__bytes_are_bounded_too_but_one_always_fits),
    cmocka_unit_test(shares__who_has_nothing_takes_no_place),
};
TEST_CASES(cases);
