/*
 * What the ledger's tests share: a folder of their own that goes away, bytes that can be known again, and the file itself.
 */
#ifndef ORDAIN_TESTS_LEDGER_SUPPORT_H
#define ORDAIN_TESTS_LEDGER_SUPPORT_H

#include "ledger/ledger.h"
#include "tests/support/test_main.h"

#define TEST_HEADER_SIZE 100

struct ledger_test {
    char root[64];       /* made by the setup, removed by the teardown */
    char directory[128]; /* of the ledger, in root; not made yet */
    bool mounted;        /* root is a file system of its own */
};

/* cmocka setup and teardown: *state is a struct ledger_test. */
int ledger_test_setup(void **state);
int ledger_test_teardown(void **state);
/* A case with both. */
#define LEDGER_CASE(function) cmocka_unit_test_setup_teardown(function, ledger_test_setup, ledger_test_teardown)

/* A small map, small turns, no disk reserve of its own. */
struct ledger_options ledger_test_options(void);
struct ledger *ledger_test_open(const struct ledger_test *test);
struct ledger *ledger_test_open_reader(const struct ledger_test *test);

/* Fills `data` with bytes that follow from `seed`. */
void ledger_test_fill(uint8_t *data, size_t size, uint64_t seed);
bool ledger_test_filled(const uint8_t *data, size_t size, uint64_t seed);
/* Puts block `height` with a header of TEST_HEADER_SIZE and `size` bytes of data, both made from `height`. */
ORD_MUST_USE enum ord_err ledger_test_put_block(struct ledger *ledger, uint64_t height, size_t size);
/* Reads it back and compares. */
ORD_MUST_USE enum ord_err ledger_test_check_block(struct ledger *ledger, uint64_t height, size_t size);
ORD_MUST_USE enum ord_err ledger_test_put_record(struct ledger *ledger, uint8_t table, uint64_t key, size_t size);

/* The bytes of data.mdb. */
uint8_t *ledger_test_file(const struct ledger_test *test, size_t *size);
void ledger_test_write_file(const struct ledger_test *test, size_t offset, const void *data, size_t size);
/* Offset of the first `size` bytes equal to `data` at or behind `from`; `file_size` when there are none. */
size_t ledger_test_find(const uint8_t *file, size_t file_size, size_t from, const void *data, size_t size);

uint64_t ledger_test_now_ms(void);

#endif
