/*
 * A flipped bit on disk (row F3) is found by everyone who reads the record, and by the scrub. A damaged length leads to
 * an error and not to a crash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "tests/support/ledger_support.h"

struct problems {
    size_t count;
    enum ledger_problem_kind kind;
    uint64_t height;
    char table[16];
    char what[160];
};

static void note(void *context, const struct ledger_problem *problem) {
    struct problems *problems = context;
    problems->count++;
    problems->kind = problem->kind;
    problems->height = problem->height;
    snprintf(problems->table, sizeof(problems->table), "%s", problem->table);
    snprintf(problems->what, sizeof(problems->what), "%s", problem->what);
}

static void fill_ledger(const struct ledger_test *test) {
    struct ledger *ledger = ledger_test_open(test);
    for (uint64_t h = 0; h < 5; h++)
        assert_ok(ledger_test_put_block(ledger, h, 20000));
    assert_ok(ledger_put_certificate(ledger, 3, ord_span_of("the certificate", 15)));
    assert_ok(ledger_put_client(ledger, 1, ord_span_of("the client's record", 19)));
    assert_ok(ledger_put_index(ledger, 0x01020304, 0x05060708, 0x1112131415161718, 0x21222324));
    assert_ok(ledger_put_meta(ledger, "applied", ord_span_of("the applied point", 17)));
    assert_ok(ledger_test_put_record(ledger, 2, 9, 3000));
    assert_ok(ledger_test_put_record(ledger, 2, 10, 9000));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
}

/* Flips one bit of the byte `offset` behind each place where `needle` is stored. */
static void flip_behind(const struct ledger_test *test, const void *needle, size_t size, size_t offset) {
    size_t file_size = 0;
    size_t found = 0;
    uint8_t *file = ledger_test_file(test, &file_size);
    for (size_t at = 0; (at = ledger_test_find(file, file_size, at, needle, size)) < file_size; at += size, found++) {
        uint8_t byte = file[at + offset] ^ 0x10;
        ledger_test_write_file(test, at + offset, &byte, 1);
    }
    free(file);
    assert_true(found > 0);
}

static void assert_one_problem(struct ledger *ledger, const char *table, const char *what) {
    struct problems problems = {0};
    struct ledger_scrub scrub;
    assert_err(ledger_scrub(ledger, &scrub, note, &problems), ORD_ERR_CORRUPT);
    assert_int_equal(scrub.bad, 1);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.table, table);
    assert_string_equal(problems.what, what);
    bool block = strcmp(table, "block") == 0;
    assert_int_equal(problems.kind, block ? LEDGER_PROBLEM_BLOCK : LEDGER_PROBLEM_OTHER);
    assert_true(!block || what[strlen("height ")] == (char) ('0' + problems.height));
}

static void scrub__of_a_sound_ledger_is_clean(void **state) {
    const struct ledger_test *test = *state;
    struct problems problems = {0};
    struct ledger_scrub scrub;
    fill_ledger(test);
    struct ledger *ledger = ledger_test_open_reader(test);
    assert_ok(ledger_scrub(ledger, &scrub, note, &problems));
    assert_int_equal(problems.count, 0);
    assert_int_equal(scrub.bad, 0);
    /* The last two are in meta: `applied` and the ledger's format. */
    assert_int_equal(scrub.records, 5 + 1 + 1 + 1 + 2 + 2);
    assert_in_range(scrub.bytes, 5 * 20000, 6 * 20000 + 20000);
    ledger_close(ledger);
}

static void scrub__works_in_pieces(void **state) {
    enum { RECORDS = 5000, BLOCKS = 40 };
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    struct ledger_scrub scrub;
    options.map_bytes_initial = (uint64_t) 32 << 20;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    for (uint64_t i = 0; i < RECORDS; i++)
        assert_ok(ledger_put_index(ledger, (uint32_t) (i % 7), i, i, 0));
    for (uint64_t h = 0; h < BLOCKS; h++)
        assert_ok(ledger_test_put_block(ledger, h, 250000));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_scrub(ledger, &scrub, NULL, NULL));
    assert_int_equal(scrub.records, RECORDS + BLOCKS + 1);
    ledger_close(ledger);
}

static void flipped_bit__in_a_block_is_found(void **state) {
    const struct ledger_test *test = *state;
    uint8_t needle[32];
    struct ord_bytes bytes;
    fill_ledger(test);
    ledger_test_fill(needle, sizeof(needle), 2 * 3 + 1);
    flip_behind(test, needle, sizeof(needle), 17000);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_get_block(ledger, &bytes, 3), ORD_ERR_CORRUPT);
    assert_null(bytes.data);
    assert_ok(ledger_test_check_block(ledger, 2, 20000));
    assert_ok(ledger_test_check_block(ledger, 4, 20000));
    /* The header has its own checksum and is sound. */
    assert_ok(ledger_get_headers(ledger, &bytes, 0, 4, TEST_HEADER_SIZE, 10000));
    assert_int_equal(bytes.size, 5 * TEST_HEADER_SIZE);
    free(bytes.data);
    assert_one_problem(ledger, "block", "height 3: checksum does not match");
    ledger_close(ledger);
}

static void flipped_bit__in_a_header_is_found(void **state) {
    const struct ledger_test *test = *state;
    uint8_t needle[32];
    struct ord_bytes bytes;
    fill_ledger(test);
    ledger_test_fill(needle, sizeof(needle), 2 * 1);
    flip_behind(test, needle, sizeof(needle), 40);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_get_headers(ledger, &bytes, 0, 4, TEST_HEADER_SIZE, 10000), ORD_ERR_CORRUPT);
    assert_null(bytes.data);
    assert_ok(ledger_get_headers(ledger, &bytes, 2, 4, TEST_HEADER_SIZE, 10000));
    free(bytes.data);
    assert_err(ledger_get_block(ledger, &bytes, 1), ORD_ERR_CORRUPT);
    assert_one_problem(ledger, "block", "height 1: checksum does not match");
    ledger_close(ledger);
}

static void flipped_bit__in_a_header_size_is_found(void **state) {
    const struct ledger_test *test = *state;
    uint8_t needle[4 + 16];
    struct ord_bytes bytes;
    fill_ledger(test);
    ord_store_u32(needle, TEST_HEADER_SIZE);
    ledger_test_fill(needle + 4, sizeof(needle) - 4, 2 * 1);
    flip_behind(test, needle, sizeof(needle), 0);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_get_headers(ledger, &bytes, 1, 1, TEST_HEADER_SIZE, 10000), ORD_ERR_CORRUPT);
    assert_err(ledger_get_block(ledger, &bytes, 1), ORD_ERR_CORRUPT);
    ledger_close(ledger);
}

static void flipped_bit__in_small_records_is_found(void **state) {
    const struct ledger_test *test = *state;
    static const uint8_t index_payload[] = {0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x23, 0x24};
    struct ord_bytes bytes;
    struct ledger_scrub scrub;
    uint64_t height = 0;
    uint32_t index = 0;
    fill_ledger(test);
    flip_behind(test, "the certificate", 15, 3);
    flip_behind(test, "the client's record", 19, 19); /* damages the checksum itself */
    flip_behind(test, "the applied point", 17, 16);
    flip_behind(test, index_payload, sizeof(index_payload), 11);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_get_certificate(ledger, &bytes, &height, 0), ORD_ERR_CORRUPT);
    assert_err(ledger_get_client(ledger, &bytes, 1), ORD_ERR_CORRUPT);
    assert_err(ledger_get_meta(ledger, &bytes, "applied"), ORD_ERR_CORRUPT);
    assert_err(ledger_get_index(ledger, &height, &index, 0x01020304, 0x05060708), ORD_ERR_CORRUPT);
    assert_err(ledger_scrub(ledger, &scrub, NULL, NULL), ORD_ERR_CORRUPT);
    assert_int_equal(scrub.bad, 4);
    ledger_close(ledger);
}

static void flipped_bit__in_a_record_is_found(void **state) {
    const struct ledger_test *test = *state;
    uint8_t needle[32];
    struct ord_bytes bytes;
    struct ord_record *records = NULL;
    size_t count = 0;
    fill_ledger(test);
    ledger_test_fill(needle, sizeof(needle), 10 * 256 + 2);
    flip_behind(test, needle, sizeof(needle), 8999);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_get_record(ledger, &bytes, 2, 10), ORD_ERR_CORRUPT);
    assert_err(ledger_get_records(ledger, &records, &count), ORD_ERR_CORRUPT);
    assert_null(records);
    assert_int_equal(count, 0);
    assert_one_problem(ledger, "record", "key 02000000000000000a: checksum does not match");
    ledger_close(ledger);
}

/* A record under another record's key is refused, because the checksum covers the key. */
static void flipped_bit__in_a_key_is_found(void **state) {
    const struct ledger_test *test = *state;
    static const uint8_t key[] = {2, 0, 0, 0, 0, 0, 0, 0, 10};
    struct ord_bytes bytes;
    fill_ledger(test);
    flip_behind(test, key, sizeof(key), 8);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_get_record(ledger, &bytes, 2, 10), ORD_ERR_NOT_FOUND);
    assert_err(ledger_get_record(ledger, &bytes, 2, 26), ORD_ERR_CORRUPT);
    assert_one_problem(ledger, "record", "key 02000000000000001a: checksum does not match");
    ledger_close(ledger);
}

/*
 * In the eight bytes before its key LMDB keeps a value's length (low half, then high half), flags and the key's size,
 * with two bytes each. A length of gigabytes reaches far beyond the map.
 */
static void damaged_length__is_an_error(void **state) {
    const struct ledger_test *test = *state;
    static const uint8_t key[] = {2, 0, 0, 0, 0, 0, 0, 0, 10};
    static const uint8_t lengths[][4] = {{0xff, 0xff, 0xff, 0x3f}, {0xff, 0xff, 0xff, 0xff}, {3, 0, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        struct ord_bytes bytes;
        struct ord_record *records = NULL;
        size_t count = 0;
        size_t size = 0;
        if (i == 0)
            fill_ledger(test);
        uint8_t *file = ledger_test_file(test, &size);
        size_t at = ledger_test_find(file, size, 0, key, sizeof(key));
        assert_true(at < size);
        /* This is indeed a node as described above. */
        assert_int_equal(file[at - 2] + 256 * file[at - 1], sizeof(key));
        ledger_test_write_file(test, at - 8, lengths[i], 4);
        free(file);
        struct ledger *ledger = ledger_test_open(test);
        assert_err(ledger_get_record(ledger, &bytes, 2, 10), ORD_ERR_CORRUPT);
        assert_err(ledger_get_records(ledger, &records, &count), ORD_ERR_CORRUPT);
        assert_one_problem(ledger, "record", "key 02000000000000000a: checksum does not match");
        ledger_close(ledger);
    }
}

static const struct CMUnitTest cases[] = {
    LEDGER_CASE(scrub__of_a_sound_ledger_is_clean),
    LEDGER_CASE(scrub__works_in_pieces),
    LEDGER_CASE(flipped_bit__in_a_block_is_found),
    LEDGER_CASE(flipped_bit__in_a_header_is_found),
    LEDGER_CASE(flipped_bit__in_a_header_size_is_found),
    LEDGER_CASE(flipped_bit__in_small_records_is_found),
    LEDGER_CASE(flipped_bit__in_a_record_is_found),
    LEDGER_CASE(flipped_bit__in_a_key_is_found),
    LEDGER_CASE(damaged_length__is_an_error),
};

TEST_CASES(cases);
