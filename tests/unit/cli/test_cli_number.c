/*
 * Numbers and sizes on the command line.
 */
#include "tests/support/test_main.h"

#include "cli/number.h"

static void number__takes_what_is_in_range(void **state) {
    (void) state;
    uint64_t value = 7;
    assert_ok(cli_number(&value, "0", 0, 10));
    assert_true(value == 0);
    assert_ok(cli_number(&value, "10", 0, 10));
    assert_true(value == 10);
    assert_ok(cli_number(&value, "18446744073709551615", 0, UINT64_MAX));
    assert_true(value == UINT64_MAX);
}

static void number__refuses_all_else(void **state) {
    (void) state;
    static const char *const bad[] = {"", "11", "-1", "+1", " 1", "1 ", "1K", "0x1", "1.0", "ten"};
    uint64_t value = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_err(cli_number(&value, bad[i], 0, 10), ORD_ERR_INVALID);
    assert_err(cli_number(&value, "0", 1, 10), ORD_ERR_INVALID);
    assert_err(cli_number(&value, "18446744073709551616", 0, UINT64_MAX), ORD_ERR_INVALID);
    assert_err(cli_number(&value, "99999999999999999999999", 0, UINT64_MAX), ORD_ERR_INVALID);
    assert_true(value == 7);
}

static void size__takes_suffixes(void **state) {
    (void) state;
    uint64_t value = 0;
    assert_ok(cli_size(&value, "64K", 0, UINT64_MAX));
    assert_true(value == 65536);
    assert_ok(cli_size(&value, "3m", 0, UINT64_MAX));
    assert_true(value == 3145728);
    assert_ok(cli_size(&value, "4G", 0, UINT64_MAX));
    assert_true(value == 4294967296);
    assert_ok(cli_size(&value, "12", 0, UINT64_MAX));
    assert_true(value == 12);
}

static void size__refuses_what_does_not_fit(void **state) {
    (void) state;
    uint64_t value = 7;
    assert_err(cli_size(&value, "17179869184G", 0, UINT64_MAX), ORD_ERR_INVALID);
    assert_err(cli_size(&value, "1T", 0, UINT64_MAX), ORD_ERR_INVALID);
    assert_err(cli_size(&value, "1KB", 0, UINT64_MAX), ORD_ERR_INVALID);
    assert_err(cli_size(&value, "K", 0, UINT64_MAX), ORD_ERR_INVALID);
    assert_err(cli_size(&value, "2K", 0, 2047), ORD_ERR_INVALID);
    assert_true(value == 7);
}

static void hex__is_lower_case(void **state) {
    (void) state;
    char out[7];
    cli_hex(out, "\x00\x9f\xff", 3);
    assert_string_equal(out, "009fff");
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(number__takes_what_is_in_range),
    cmocka_unit_test(number__refuses_all_else),
    cmocka_unit_test(size__takes_suffixes),
    cmocka_unit_test(size__refuses_what_does_not_fit),
    cmocka_unit_test(hex__is_lower_case),
};
TEST_CASES(cases);
