/*
 * Helpers that the ledger's tests share: a temporary folder, bytes that can be
 * recognised, and access to the file itself.
 */
#ifndef ORDAIN_TESTS_LEDGER_SUPPORT_H
#define ORDAIN_TESTS_LEDGER_SUPPORT_H

#include "ledger/ledger.h"
#include "tests/support/test_main.h"

#define TEST_HEADER_SIZE 100

struct ledger_test {
    /* A folder that the setup creates and the teardown removes. */
    char root[64];
    /* The ledger's folder, inside root. The setup does not create it. */
    char directory[128];
    bool mounted; /* root is a file system of its own */
};

/* cmocka setup and teardown: *state is a struct ledger_test. */
int ledger_test_setup(void **state);
int ledger_test_teardown(void **state);
/* A test case with this setup and teardown. */
#define LEDGER_CASE(function) cmocka_unit_test_setup_teardown(function, ledger_test_setup, ledger_test_teardown)

/* Options for a small map and small turns, without an additional disk reserve. */
struct ledger_options ledger_test_options(void);
struct ledger *ledger_test_open(const struct ledger_test *test);
struct ledger *ledger_test_open_reader(const struct ledger_test *test);

/* Fills `data` with bytes that follow from `seed`. */
void ledger_test_fill(uint8_t *data, size_t size, uint64_t seed);
bool ledger_test_filled(const uint8_t *data, size_t size, uint64_t seed);
/* Puts block `height` with a header of TEST_HEADER_SIZE bytes and `size` bytes of data, both derived from `height`. */
ORD_MUST_USE enum ord_err ledger_test_put_block(struct ledger *ledger, uint64_t height, size_t size);
/* Reads such a block back and compares it. */
ORD_MUST_USE enum ord_err ledger_test_check_block(struct ledger *ledger, uint64_t height, size_t size);
ORD_MUST_USE enum ord_err ledger_test_put_record(struct ledger *ledger, uint8_t table, uint64_t key, size_t size);

/* Reads the bytes of data.mdb. The caller frees them. */
uint8_t *ledger_test_file(const struct ledger_test *test, size_t *size);
void ledger_test_write_file(const struct ledger_test *test, size_t offset, const void *data, size_t size);
/* Offset of the first `size` bytes at or behind `from` that equal `data`. `file_size` when there are none. */
size_t ledger_test_find(const uint8_t *file, size_t file_size, size_t from, const void *data, size_t size);
/* Writes the version into every copy of the format record, with a checksum that fits it (`sealed`) or not. */
void ledger_test_write_version(const struct ledger_test *test, uint32_t version, bool sealed);

uint64_t ledger_test_now_ms(void);

#endif
