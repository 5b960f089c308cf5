/*
 * Every unit test file defines `test_cases` and gets its main function from test_main.c. Without arguments all cases
 * run; with one argument only the case of that name runs (each case is a ctest of its own).
 */
#ifndef ORDAIN_TESTS_TEST_MAIN_H
#define ORDAIN_TESTS_TEST_MAIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/err.h"

struct test_list {
    const struct CMUnitTest *cases;
    size_t count;
};

/* Defined by the test file, with TEST_CASES. */
extern const struct test_list test_cases;

#define TEST_CASES(array) const struct test_list test_cases = {(array), sizeof(array) / sizeof((array)[0])}

/* Compares error codes by name, so that a failure reads well. */
#define assert_err(actual, expected) assert_string_equal(ord_err_name(actual), ord_err_name(expected))
#define assert_ok(actual)            assert_err(actual, ORD_OK)

#endif
