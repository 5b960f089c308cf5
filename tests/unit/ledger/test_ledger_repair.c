/*
 * A damaged block or certificate can be written again (row F3); a sound one is left alone. If LMDB's own bytes are
 * damaged as well, nothing is written, because another record could lose its pages.
 */
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "tests/support/ledger_support.h"

enum { BLOCKS = 6, LONG = 20000, SHORT = 300 };

/*
 * LMDB's node of a block: the value's length in two halves, flags, the key's length, the key, and for a long value the
 * number of its first page.
 */
enum { NODE_FLAGS = 4, NODE_KEY = 8, NODE_PAGE = 16, NODE_LONG = 1 };
enum { PAGE_SIZE = 4096, PAGE_FLAGS = 10, PAGE_COUNT = 12, PAGE_HEADER = 16 };

static void fill_ledger(const struct ledger_test *test, size_t size) {
    struct ledger *ledger = ledger_test_open(test);
    for (uint64_t h = 0; h < BLOCKS; h++)
        assert_ok(ledger_test_put_block(ledger, h, size));
    assert_ok(ledger_put_certificate(ledger, 3, ord_span_of("the certificate", 15)));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
}

static void xor_at(const struct ledger_test *test, const uint8_t *file, size_t at, uint8_t bits) {
    uint8_t byte = file[at] ^ bits;
    ledger_test_write_file(test, at, &byte, 1);
}

/* The offset in the file at which a block's data begins. */
static size_t find_data(const uint8_t *file, size_t size, uint64_t height) {
    uint8_t needle[32];
    ledger_test_fill(needle, sizeof(needle), 2 * height + 1);
    size_t at = ledger_test_find(file, size, 0, needle, sizeof(needle));
    assert_true(at < size);
    return at;
}

/* Flips a bit in the middle of a block's data. */
static void damage(const struct ledger_test *test, uint64_t height) {
    size_t size = 0;
    uint8_t *file = ledger_test_file(test, &size);
    xor_at(test, file, find_data(file, size, height) + 100, 0x10);
    free(file);
}

/* The offset in the file of a long block's node. */
static size_t find_node(const uint8_t *file, size_t size, uint64_t height) {
    uint8_t needle[4 + 8] = {NODE_LONG, 0, 8, 0};
    ord_store_u64(needle + 4, height);
    size_t at = ledger_test_find(file, size, 0, needle, sizeof(needle));
    assert_true(at < size);
    assert_true(ledger_test_find(file, size, at + 1, needle, sizeof(needle)) == size);
    return at - NODE_FLAGS;
}

static enum ord_err replace(struct ledger *ledger, uint64_t height, size_t size) {
    uint8_t header[TEST_HEADER_SIZE];
    uint8_t *data = malloc(size);
    assert_non_null(data);
    ledger_test_fill(header, sizeof(header), 2 * height);
    ledger_test_fill(data, size, 2 * height + 1);
    enum ord_err err =
        ledger_replace_block(ledger, height, ord_span_of(header, sizeof(header)), ord_span_of(data, size));
    free(data);
    return err;
}

static void assert_sound(struct ledger *ledger, uint64_t blocks, size_t size) {
    struct ledger_scrub scrub;
    assert_ok(ledger_scrub(ledger, &scrub, NULL, NULL));
    for (uint64_t h = 0; h < blocks; h++)
        assert_ok(ledger_test_check_block(ledger, h, size));
}

/*
 * Repairs blocks 1 and 4. Then writes many turns, which use the pages that are
 * free by then. All records must stay intact.
 */
static void repair_and_go_on(const struct ledger_test *test, size_t size) {
    fill_ledger(test, size);
    damage(test, 1);
    damage(test, 4);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_test_check_block(ledger, 1, size), ORD_ERR_CORRUPT);
    assert_ok(replace(ledger, 1, size));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_test_check_block(ledger, 1, size));
    assert_err(ledger_test_check_block(ledger, 4, size), ORD_ERR_CORRUPT);
    assert_ok(replace(ledger, 4, size));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    assert_sound(ledger, BLOCKS, size);
    for (uint64_t h = BLOCKS; h < 5 * BLOCKS; h++) {
        assert_ok(ledger_test_put_block(ledger, h, size));
        assert_ok(ledger_test_put_record(ledger, 1, h, 9000));
        if (h % 3 == 0)
            assert_ok(ledger_forget(ledger, 1, h - 1));
        assert_ok(ledger_commit(ledger));
    }
    assert_sound(ledger, 5 * BLOCKS, size);
    ledger_close(ledger);
}

static void replace_block__repairs_a_long_one(void **state) {
    repair_and_go_on(*state, LONG);
}

static void replace_block__repairs_a_short_one(void **state) {
    repair_and_go_on(*state, SHORT);
}

static void replace_certificate__repairs_it(void **state) {
    const struct ledger_test *test = *state;
    struct ord_bytes bytes;
    uint64_t at = 0;
    size_t size = 0;
    fill_ledger(test, LONG);
    uint8_t *file = ledger_test_file(test, &size);
    xor_at(test, file, ledger_test_find(file, size, 0, "the certificate", 15) + 3, 1);
    free(file);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_get_certificate(ledger, &bytes, &at, 1), ORD_ERR_CORRUPT);
    assert_int_equal(at, 3);
    assert_err(ledger_get_certificate(ledger, &bytes, &at, 4), ORD_ERR_NOT_FOUND);
    assert_err(ledger_replace_certificate(ledger, 2, ord_span_of("the certificate", 15)), ORD_ERR_NOT_FOUND);
    assert_err(ledger_replace_certificate(ledger, 3, ord_span_of("a certificate", 13)), ORD_ERR_MISMATCH);
    assert_ok(ledger_replace_certificate(ledger, 3, ord_span_of("the Certificate", 15)));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_get_certificate(ledger, &bytes, &at, 1));
    assert_int_equal(at, 3);
    assert_memory_equal(bytes.data, "the Certificate", 15);
    free(bytes.data);
    assert_sound(ledger, BLOCKS, LONG);
    ledger_close(ledger);
}

static void replace__leaves_what_is_sound(void **state) {
    const struct ledger_test *test = *state;
    fill_ledger(test, LONG);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(replace(ledger, 2, LONG), ORD_ERR_EXISTS);
    assert_err(replace(ledger, BLOCKS, LONG), ORD_ERR_NOT_FOUND);
    assert_err(ledger_replace_certificate(ledger, 3, ord_span_of("the Certificate", 15)), ORD_ERR_EXISTS);
    assert_false(ledger_dirty(ledger));
    assert_sound(ledger, BLOCKS, LONG);
    ledger_close(ledger);
}

static void replace__is_a_turn_of_its_own_for_the_writer(void **state) {
    const struct ledger_test *test = *state;
    fill_ledger(test, LONG);
    damage(test, 2);
    struct ledger *ledger = ledger_test_open_reader(test);
    assert_err(replace(ledger, 2, LONG), ORD_ERR_FORBIDDEN);
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    assert_ok(ledger_test_put_record(ledger, 1, 1, 100));
    assert_err(replace(ledger, 2, LONG), ORD_ERR_WRONG_STATE);
    assert_ok(ledger_commit(ledger));
    assert_ok(replace(ledger, 2, LONG));
    ledger_close(ledger); /* without a commit the repair has no effect */
    ledger = ledger_test_open(test);
    assert_err(ledger_test_check_block(ledger, 2, LONG), ORD_ERR_CORRUPT);
    ledger_close(ledger);
}

static void replace_block__of_another_length_is_refused(void **state) {
    const struct ledger_test *test = *state;
    size_t size = 0;
    fill_ledger(test, LONG);
    damage(test, 2);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(replace(ledger, 2, LONG - 1), ORD_ERR_MISMATCH);
    assert_err(replace(ledger, 2, SHORT), ORD_ERR_MISMATCH);
    ledger_close(ledger);
    /* Damage the length itself. */
    uint8_t *file = ledger_test_file(test, &size);
    xor_at(test, file, find_node(file, size, 3), 0x01);
    free(file);
    ledger = ledger_test_open(test);
    assert_err(replace(ledger, 3, LONG), ORD_ERR_MISMATCH);
    assert_false(ledger_dirty(ledger));
    ledger_close(ledger);
}

/* Damages one byte in the header of block 2's pages, besides its data. Then nothing may be written. */
static void refused_with(const struct ledger_test *test, size_t offset, uint8_t bits) {
    size_t size = 0;
    uint8_t *file = ledger_test_file(test, &size);
    size_t page = find_data(file, size, 2) / PAGE_SIZE * PAGE_SIZE;
    assert_int_equal(file[page + PAGE_FLAGS], 4); /* this is indeed the page's header */
    xor_at(test, file, page + offset, bits);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(replace(ledger, 2, LONG), ORD_ERR_CORRUPT);
    assert_false(ledger_dirty(ledger));
    ledger_close(ledger);
    ledger_test_write_file(test, page + offset, file + page + offset, 1);
    free(file);
}

static void replace_block__with_a_damaged_page_head_is_refused(void **state) {
    const struct ledger_test *test = *state;
    fill_ledger(test, LONG);
    damage(test, 2);
    refused_with(test, 0, 0x04);
    /* This flag means that the page was written in this transaction. LMDB would write into the map. */
    refused_with(test, PAGE_FLAGS, 0x10);
    refused_with(test, PAGE_COUNT, 0x01);
    refused_with(test, PAGE_COUNT, 0x08);
    struct ledger *ledger = ledger_test_open(test);
    assert_ok(replace(ledger, 2, LONG));
    assert_ok(ledger_commit(ledger));
    assert_sound(ledger, BLOCKS, LONG);
    ledger_close(ledger);
}

/* The number of the first page is damaged and names a page of another block. That block must not lose its pages. */
static void replace_block__in_anothers_pages_is_refused(void **state) {
    const struct ledger_test *test = *state;
    size_t size = 0;
    fill_ledger(test, LONG);
    uint8_t *file = ledger_test_file(test, &size);
    ledger_test_write_file(test, find_node(file, size, 2) + NODE_PAGE, file + find_node(file, size, 4) + NODE_PAGE, 8);
    free(file);
    struct ledger *ledger = ledger_test_open(test);
    assert_err(ledger_test_check_block(ledger, 2, LONG), ORD_ERR_CORRUPT);
    assert_err(replace(ledger, 2, LONG), ORD_ERR_CORRUPT);
    assert_ok(ledger_test_check_block(ledger, 4, LONG));
    ledger_close(ledger);
}

/* The same, but the pages belonged to a record that was deleted. They are free already and would be freed twice. */
static void replace_block__in_free_pages_is_refused(void **state) {
    const struct ledger_test *test = *state;
    size_t size = 0;
    uint8_t needle[32];
    size_t record_size = TEST_HEADER_SIZE + LONG + 4 + 8; /* gives a value as long as a block's */
    struct ledger *ledger = ledger_test_open(test);
    assert_ok(ledger_test_put_record(ledger, 1, 7, record_size));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    fill_ledger(test, LONG);
    ledger = ledger_test_open(test);
    assert_ok(ledger_forget(ledger, 1, 7));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    uint8_t *file = ledger_test_file(test, &size);
    ledger_test_fill(needle, sizeof(needle), 7 * 256 + 1);
    size_t gone = ledger_test_find(file, size, 0, needle, sizeof(needle));
    assert_true(gone < size);
    assert_int_equal(gone % PAGE_SIZE, PAGE_HEADER);
    ledger_test_write_file(test, find_node(file, size, 2) + NODE_PAGE, file + gone - PAGE_HEADER, 8);
    free(file);
    ledger = ledger_test_open(test);
    assert_err(ledger_test_check_block(ledger, 2, LONG), ORD_ERR_CORRUPT);
    assert_err(replace(ledger, 2, LONG), ORD_ERR_CORRUPT);
    assert_false(ledger_dirty(ledger));
    ledger_close(ledger);
}

static const struct CMUnitTest cases[] = {
    LEDGER_CASE(replace_block__repairs_a_long_one),
    LEDGER_CASE(replace_block__repairs_a_short_one),
    LEDGER_CASE(replace_certificate__repairs_it),
    LEDGER_CASE(replace__leaves_what_is_sound),
    LEDGER_CASE(replace__is_a_turn_of_its_own_for_the_writer),
    LEDGER_CASE(replace_block__of_another_length_is_refused),
    LEDGER_CASE(replace_block__with_a_damaged_page_head_is_refused),
    LEDGER_CASE(replace_block__in_anothers_pages_is_refused),
    LEDGER_CASE(replace_block__in_free_pages_is_refused),
};

TEST_CASES(cases);
