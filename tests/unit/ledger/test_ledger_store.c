/*
 * Committed records are read back in order, also after a restart. Records that were not committed are not there. Errors
 * of a caller or in a file are each reported by their own code.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/codec.h"
#include "ledger/ledger_internal.h"
#include "tests/support/ledger_support.h"

static struct ord_span text(const char *string) {
    return ord_span_of(string, strlen(string));
}

static void assert_bytes(struct ord_bytes *bytes, const char *expected) {
    assert_int_equal(bytes->size, strlen(expected));
    assert_memory_equal(bytes->data, expected, bytes->size);
    free(bytes->data);
}

static void ledger__survives_a_restart(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    struct ord_bytes bytes;
    uint64_t height = 0;
    uint64_t at = 0;
    uint32_t index = 0;
    assert_err(ledger_height(ledger, &height), ORD_ERR_NOT_FOUND);
    assert_false(ledger_dirty(ledger));
    for (uint64_t h = 0; h < 3; h++)
        assert_ok(ledger_test_put_block(ledger, h, 1000 * h));
    assert_ok(ledger_put_index(ledger, 7, 42, 2, 11));
    assert_ok(ledger_put_certificate(ledger, 1, text("certificate of one")));
    assert_ok(ledger_put_client(ledger, 7, text("client seven")));
    assert_ok(ledger_put_meta(ledger, "applied", text("99")));
    assert_ok(ledger_test_put_record(ledger, 3, 17, 500));
    assert_true(ledger_dirty(ledger));
    /* Readers see committed data only, even in the writer's own thread. */
    assert_err(ledger_height(ledger, &height), ORD_ERR_NOT_FOUND);
    assert_err(ledger_get_client(ledger, &bytes, 7), ORD_ERR_NOT_FOUND);
    assert_ok(ledger_commit(ledger));
    assert_false(ledger_dirty(ledger));
    ledger_close(ledger);

    ledger = ledger_test_open(test);
    assert_ok(ledger_height(ledger, &height));
    assert_int_equal(height, 2);
    for (uint64_t h = 0; h < 3; h++)
        assert_ok(ledger_test_check_block(ledger, h, 1000 * h));
    assert_ok(ledger_get_index(ledger, &height, &index, 7, 42));
    assert_int_equal(height, 2);
    assert_int_equal(index, 11);
    assert_ok(ledger_get_certificate(ledger, &bytes, &at, 0));
    assert_int_equal(at, 1);
    assert_bytes(&bytes, "certificate of one");
    assert_ok(ledger_get_client(ledger, &bytes, 7));
    assert_bytes(&bytes, "client seven");
    assert_ok(ledger_get_meta(ledger, &bytes, "applied"));
    assert_bytes(&bytes, "99");
    assert_ok(ledger_get_record(ledger, &bytes, 3, 17));
    assert_int_equal(bytes.size, 500);
    assert_true(ledger_test_filled(bytes.data, bytes.size, 17 * 256 + 3));
    free(bytes.data);
    /* The reopened ledger goes on at the next height. */
    assert_err(ledger_test_put_block(ledger, 2, 10), ORD_ERR_INVALID);
    assert_ok(ledger_test_put_block(ledger, 3, 10));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_test_check_block(ledger, 3, 10));
    ledger_close(ledger);
}

static void ledger__forgets_an_uncommitted_turn(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    struct ord_bytes bytes;
    uint64_t height = 0;
    assert_ok(ledger_test_put_block(ledger, 0, 100));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_test_put_block(ledger, 1, 100000));
    assert_ok(ledger_put_meta(ledger, "applied", text("1")));
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    assert_ok(ledger_height(ledger, &height));
    assert_int_equal(height, 0);
    assert_err(ledger_test_check_block(ledger, 1, 100000), ORD_ERR_NOT_FOUND);
    assert_err(ledger_get_meta(ledger, &bytes, "applied"), ORD_ERR_NOT_FOUND);
    assert_null(bytes.data);
    assert_ok(ledger_test_put_block(ledger, 1, 5));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
}

static void blocks__rise_by_one(void **state) {
    struct ledger *ledger = ledger_test_open(*state);
    assert_err(ledger_test_put_block(ledger, 1, 10), ORD_ERR_INVALID);
    assert_false(ledger_dirty(ledger));
    assert_ok(ledger_test_put_block(ledger, 0, 10));
    assert_err(ledger_test_put_block(ledger, 0, 10), ORD_ERR_INVALID);
    assert_err(ledger_test_put_block(ledger, 2, 10), ORD_ERR_INVALID);
    /* A refusal leaves the turn unchanged. */
    assert_ok(ledger_test_put_block(ledger, 1, 10));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_test_check_block(ledger, 1, 10));
    ledger_close(ledger);
}

static void blocks__may_be_big(void **state) {
    const struct ledger_test *test = *state;
    static const size_t sizes[] = {64u << 20, 0, 1, 3900, 4070, 4096, 65536, 5u << 20};
    size_t count = sizeof(sizes) / sizeof(sizes[0]);
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    options.turn_bytes_max = (uint64_t) 70 << 20;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    for (size_t i = 0; i < count; i++) {
        assert_ok(ledger_room(ledger));
        assert_ok(ledger_test_put_block(ledger, i, sizes[i]));
        assert_ok(ledger_commit(ledger));
    }
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    for (size_t i = 0; i < count; i++)
        assert_ok(ledger_test_check_block(ledger, i, sizes[i]));
    ledger_close(ledger);
}

static void headers__come_without_their_data(void **state) {
    struct ledger *ledger = ledger_test_open(*state);
    struct ord_bytes bytes;
    assert_err(ledger_get_headers(ledger, &bytes, 0, 5, TEST_HEADER_SIZE, 10000), ORD_ERR_NOT_FOUND);
    for (uint64_t h = 0; h < 10; h++)
        assert_ok(ledger_test_put_block(ledger, h, 3000 * (h % 3)));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_get_headers(ledger, &bytes, 2, 6, TEST_HEADER_SIZE, 10000));
    assert_int_equal(bytes.size, 5 * TEST_HEADER_SIZE);
    for (size_t i = 0; i < 5; i++)
        assert_true(ledger_test_filled(bytes.data + i * TEST_HEADER_SIZE, TEST_HEADER_SIZE, 2 * (i + 2)));
    free(bytes.data);
    assert_ok(ledger_get_headers(ledger, &bytes, 8, UINT64_MAX, TEST_HEADER_SIZE, SIZE_MAX));
    assert_int_equal(bytes.size, 2 * TEST_HEADER_SIZE);
    free(bytes.data);
    assert_ok(ledger_get_headers(ledger, &bytes, 0, UINT64_MAX, TEST_HEADER_SIZE, 3 * TEST_HEADER_SIZE + 99));
    assert_int_equal(bytes.size, 3 * TEST_HEADER_SIZE);
    free(bytes.data);
    assert_err(ledger_get_headers(ledger, &bytes, 0, 9, TEST_HEADER_SIZE, TEST_HEADER_SIZE - 1), ORD_ERR_TOO_LARGE);
    assert_err(ledger_get_headers(ledger, &bytes, 3, 2, TEST_HEADER_SIZE, 10000), ORD_ERR_INVALID);
    assert_err(ledger_get_headers(ledger, &bytes, 10, 12, TEST_HEADER_SIZE, 10000), ORD_ERR_NOT_FOUND);
    assert_err(ledger_get_headers(ledger, &bytes, 0, 9, TEST_HEADER_SIZE + 1, 10000), ORD_ERR_MISMATCH);
    assert_null(bytes.data);
    ledger_close(ledger);
}

static void certificate__is_the_next_at_or_above(void **state) {
    struct ledger *ledger = ledger_test_open(*state);
    struct ord_bytes bytes;
    uint64_t at = 0;
    assert_err(ledger_get_certificate(ledger, &bytes, &at, 0), ORD_ERR_NOT_FOUND);
    assert_ok(ledger_put_certificate(ledger, 4, text("four")));
    assert_ok(ledger_put_certificate(ledger, 256, text("many")));
    assert_ok(ledger_put_certificate(ledger, 4, text("four, again")));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_get_certificate(ledger, &bytes, &at, 4));
    assert_int_equal(at, 4);
    assert_bytes(&bytes, "four, again");
    assert_ok(ledger_get_certificate(ledger, &bytes, &at, 5));
    assert_int_equal(at, 256);
    assert_bytes(&bytes, "many");
    assert_err(ledger_get_certificate(ledger, &bytes, &at, 257), ORD_ERR_NOT_FOUND);
    ledger_close(ledger);
}

static void meta__is_named_replaced_and_deleted(void **state) {
    struct ledger *ledger = ledger_test_open(*state);
    struct ord_bytes bytes;
    const char *longest = "0123456789abcdef0123456789abcdef";
    assert_ok(ledger_put_meta(ledger, "open", text("a")));
    assert_ok(ledger_put_meta(ledger, longest, text("b")));
    assert_ok(ledger_put_meta(ledger, "open", text("longer than before")));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_get_meta(ledger, &bytes, "open"));
    assert_bytes(&bytes, "longer than before");
    assert_ok(ledger_get_meta(ledger, &bytes, longest));
    assert_bytes(&bytes, "b");
    assert_ok(ledger_put_meta(ledger, "open", ord_span_of(NULL, 0)));
    assert_ok(ledger_commit(ledger));
    assert_err(ledger_get_meta(ledger, &bytes, "open"), ORD_ERR_NOT_FOUND);
    /* Deleting a record that does not exist changes nothing, so there is nothing to commit. */
    assert_ok(ledger_put_meta(ledger, "open", ord_span_of(NULL, 0)));
    assert_false(ledger_dirty(ledger));
    assert_err(ledger_put_meta(ledger, "", text("c")), ORD_ERR_INVALID);
    assert_err(ledger_put_meta(ledger, "0123456789abcdef0123456789abcdef0", text("c")), ORD_ERR_INVALID);
    assert_err(ledger_put_meta(ledger, LEDGER_FORMAT_NAME, text("c")), ORD_ERR_INVALID);
    assert_ok(ledger_get_meta(ledger, &bytes, LEDGER_FORMAT_NAME));
    free(bytes.data);
    ledger_close(ledger);
}

static void records__are_sorted_and_forgotten_by_range(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    struct ord_record *records = NULL;
    size_t count = 1;
    assert_ok(ledger_get_records(ledger, &records, &count));
    assert_int_equal(count, 0);
    free(records);
    /* These keys would sort differently in little-endian order or as text. */
    static const uint64_t keys[] = {300, 2, 256, 1, UINT64_MAX, 255, 65536, 0};
    static const uint64_t sorted[] = {0, 1, 2, 255, 256, 300, 65536, UINT64_MAX};
    for (uint8_t table = 3; table >= 1; table--)
        for (size_t i = 0; i < 8; i++)
            assert_ok(ledger_test_put_record(ledger, table, keys[i], 10 * i * i * i));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_get_records(ledger, &records, &count));
    assert_int_equal(count, 24);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(records[i].table, 1 + i / 8);
        assert_int_equal(records[i].key, sorted[i % 8]);
        assert_true(
            ledger_test_filled(records[i].bytes.data, records[i].bytes.size, records[i].key * 256 + records[i].table));
    }
    free(records);

    /* This record is put and forgotten in the same turn. */
    assert_ok(ledger_test_put_record(ledger, 2, 7, 50));
    assert_ok(ledger_forget(ledger, 2, 256));
    assert_ok(ledger_forget(ledger, 9, UINT64_MAX));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    assert_ok(ledger_get_records(ledger, &records, &count));
    assert_int_equal(count, 8 + 3 + 8);
    assert_int_equal(records[8].table, 2);
    assert_int_equal(records[8].key, 300);
    assert_int_equal(records[10].key, UINT64_MAX);
    assert_int_equal(records[11].table, 3);
    assert_int_equal(records[11].key, 0);
    free(records);
    assert_ok(ledger_forget(ledger, 2, 256)); /* nothing to delete, so nothing to commit */
    assert_false(ledger_dirty(ledger));
    assert_ok(ledger_forget(ledger, 3, UINT64_MAX));
    assert_ok(ledger_forget(ledger, 2, UINT64_MAX));
    assert_ok(ledger_forget(ledger, 1, UINT64_MAX));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_get_records(ledger, &records, &count));
    assert_int_equal(count, 0);
    free(records);
    ledger_close(ledger);
}

/* The keys of a table's records, and that each has the bytes which ledger_test_put_record gave it. */
static void assert_keys(struct ledger *ledger, uint8_t table, const uint64_t *keys, size_t key_count) {
    struct ord_record *records = NULL;
    size_t count = 0;
    size_t found = 0;
    assert_ok(ledger_get_records(ledger, &records, &count));
    for (size_t i = 0; i < count; i++) {
        if (records[i].table != table)
            continue;
        assert_true(found < key_count);
        assert_int_equal(records[i].key, keys[found++]);
        assert_true(
            ledger_test_filled(records[i].bytes.data, records[i].bytes.size, records[i].key * 256 + records[i].table));
    }
    assert_int_equal(found, key_count);
    free(records);
}

static void records__are_forgotten_after_a_key(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    static const uint64_t keys[] = {0, 1, 255, 256, 300, UINT64_MAX - 1, UINT64_MAX};
    for (uint8_t table = 1; table <= 3; table++)
        for (size_t i = 0; i < 7; i++)
            assert_ok(ledger_test_put_record(ledger, table, keys[i], 100 * i));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_forget_after(ledger, 2, UINT64_MAX)); /* nothing is above, nothing to commit */
    assert_ok(ledger_forget_after(ledger, 4, 0));
    assert_false(ledger_dirty(ledger));
    assert_ok(ledger_forget_after(ledger, 2, UINT64_MAX - 1));
    assert_true(ledger_dirty(ledger));
    assert_keys(ledger, 2, keys, 7); /* readers see it when it is committed */
    assert_ok(ledger_commit(ledger));
    assert_keys(ledger, 2, keys, 6);
    assert_ok(ledger_forget_after(ledger, 2, 255)); /* a key that is there stays */
    assert_ok(ledger_commit(ledger));
    assert_keys(ledger, 2, keys, 3);
    assert_ok(ledger_forget_after(ledger, 2, 100)); /* one that is not there */
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    assert_keys(ledger, 2, keys, 2);
    assert_ok(ledger_forget_after(ledger, 2, 0));
    assert_ok(ledger_commit(ledger));
    assert_keys(ledger, 2, keys, 1);
    assert_keys(ledger, 1, keys, 7);
    assert_keys(ledger, 3, keys, 7);
    ledger_close(ledger);
}

/* A log is cut and written on in one turn: what was put before the cut goes, what is put after it stays. */
static void records__are_cut_and_put_again_in_one_turn(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    for (uint64_t key = 1; key <= 5; key++)
        assert_ok(ledger_test_put_record(ledger, 2, key, 1000));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_test_put_record(ledger, 2, 6, 50));
    assert_ok(ledger_test_put_record(ledger, 2, 7, 50));
    assert_ok(ledger_forget_after(ledger, 2, 3));
    assert_ok(ledger_test_put_record(ledger, 2, 4, 70));
    assert_ok(ledger_test_put_record(ledger, 2, 6, 80));
    assert_ok(ledger_forget(ledger, 2, 1));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    static const uint64_t left[] = {2, 3, 4, 6};
    assert_keys(ledger, 2, left, 4);
    struct ord_bytes bytes;
    assert_ok(ledger_get_record(ledger, &bytes, 2, 4));
    assert_int_equal(bytes.size, 70);
    free(bytes.data);
    /* Of a turn that is never committed nothing is cut. */
    assert_ok(ledger_forget_after(ledger, 2, 2));
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    assert_keys(ledger, 2, left, 4);
    ledger_close(ledger);
}

static void records__are_replaced(void **state) {
    struct ledger *ledger = ledger_test_open(*state);
    struct ord_bytes bytes;
    static const size_t sizes[] = {0, 40960, 10, 40960, 41000, 1, 200000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_ok(ledger_room(ledger));
        /* When a record is put twice in a turn, the last one counts. */
        assert_ok(ledger_test_put_record(ledger, 1, 5, 100));
        assert_ok(ledger_test_put_record(ledger, 1, 5, sizes[i]));
        assert_ok(ledger_commit(ledger));
        assert_ok(ledger_get_record(ledger, &bytes, 1, 5));
        assert_int_equal(bytes.size, sizes[i]);
        assert_true(ledger_test_filled(bytes.data, bytes.size, 5 * 256 + 1));
        free(bytes.data);
    }
    ledger_close(ledger);
}

/* Uses space as a consensus log does: a window of records moves on, while the blocks written between them stay. */
static void records__of_a_moving_window_reuse_their_space(void **state) {
    enum { WINDOW = 64, CYCLES = 800 };
    struct ledger *ledger = ledger_test_open(*state);
    struct ledger_counters counters;
    uint64_t used_early = 0;
    uint64_t used_in_chain = 0;
    for (uint64_t i = 0; i < CYCLES; i++) {
        assert_ok(ledger_room(ledger));
        assert_ok(ledger_test_put_record(ledger, 1, i, 4096 + (size_t) (i * 7919 % 60000)));
        if (i % 8 == 0) {
            assert_ok(ledger_test_put_block(ledger, i / 8, 6000));
            used_in_chain += 8192;
        }
        if (i >= WINDOW)
            assert_ok(ledger_forget(ledger, 1, i - WINDOW));
        assert_ok(ledger_commit(ledger));
        if (i == 4 * WINDOW) {
            ledger_counters(ledger, &counters);
            used_early = counters.map_bytes_used;
            used_in_chain = 0;
        }
    }
    ledger_counters(ledger, &counters);
    assert_in_range(counters.map_bytes_used, used_early, used_early + used_early / 2 + 2 * used_in_chain);
    assert_int_equal(counters.commits, CYCLES);
    ledger_close(ledger);
}

static size_t changed_pages(const struct ledger_test *test, const uint8_t *before, size_t before_size) {
    size_t size = 0;
    size_t changed = 0;
    uint8_t *after = ledger_test_file(test, &size);
    assert_int_equal(size, before_size);
    for (size_t at = 0; at + 4096 <= size; at += 4096)
        changed += memcmp(before + at, after + at, 4096) != 0;
    free(after);
    return changed;
}

/*
 * One client's entries are neighbours in the tree. A turn of one busy client therefore writes few
 * pages, however many clients are registered.
 */
static void index__of_one_client_lies_together(void **state) {
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    options.map_bytes_initial = (uint64_t) 32 << 20;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    for (uint32_t client = 0; client < 100; client++)
        for (uint64_t sequence = 1; sequence <= 200; sequence++)
            assert_ok(ledger_put_index(ledger, client, sequence, sequence, client));
    assert_ok(ledger_commit(ledger));

    size_t size = 0;
    uint8_t *before = ledger_test_file(test, &size);
    for (uint64_t sequence = 201; sequence <= 300; sequence++)
        assert_ok(ledger_put_index(ledger, 50, sequence, sequence, 1));
    assert_ok(ledger_commit(ledger));
    size_t together = changed_pages(test, before, size);
    free(before);

    before = ledger_test_file(test, &size);
    for (uint32_t client = 0; client < 100; client++)
        assert_ok(ledger_put_index(ledger, client, 1000, 1000, 1));
    assert_ok(ledger_commit(ledger));
    size_t scattered = changed_pages(test, before, size);
    free(before);
    assert_in_range(together, 1, 16);
    assert_true(scattered > 60); /* shows that the bound above can fail */
    ledger_close(ledger);
}

static void open__creates_a_private_folder(void **state) {
    const struct ledger_test *test = *state;
    struct stat status;
    ledger_close(ledger_test_open(test));
    assert_int_equal(stat(test->directory, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void open__refuses_what_is_not_there(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = NULL;
    struct ledger_options options = ledger_test_options();
    char deep[192];
    char file[192];
    snprintf(deep, sizeof(deep), "%s/not/there", test->root);
    snprintf(file, sizeof(file), "%s/file", test->root);
    assert_err(ledger_open(&ledger, deep, &options), ORD_ERR_NOT_FOUND);
    options.read_only = true;
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_NOT_FOUND);
    assert_null(ledger);
    assert_int_equal(mkdir(test->directory, 0700), 0);
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_NOT_FOUND);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_err(ledger_open(&ledger, file, &options), ORD_ERR_NOT_FOUND);
    options.read_only = false;
    assert_err(ledger_open(&ledger, file, &options), ORD_ERR_NOT_FOUND);
    options = ledger_test_options();
    options.map_bytes_max = options.map_bytes_initial - 1;
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_INVALID);
}

static void open__refuses_another_file(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = NULL;
    struct ledger_options options = ledger_test_options();
    char path[192];
    uint8_t junk[16384];
    assert_int_equal(mkdir(test->directory, 0700), 0);
    snprintf(path, sizeof(path), "%s/data.mdb", test->directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    ledger_test_fill(junk, sizeof(junk), 1);
    ledger_test_write_file(test, 0, junk, sizeof(junk));
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_CORRUPT);
    options.read_only = true;
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_CORRUPT);
}

static void open__refuses_a_file_cut_short(void **state) {
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    char path[192];
    struct ledger *ledger = ledger_test_open(test);
    assert_ok(ledger_test_put_block(ledger, 0, 500000));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    snprintf(path, sizeof(path), "%s/data.mdb", test->directory);
    assert_int_equal(truncate(path, 200000), 0);
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_CORRUPT);
    options.read_only = true;
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_CORRUPT);
}

/* Row F8. */
static void open__refuses_another_version(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = NULL;
    struct ledger_options options = ledger_test_options();
    uint32_t found = 0;
    char text[LEDGER_VERSION_TEXT_MAX];
    ledger_close(ledger_test_open(test));
    ledger_test_write_version(test, 3, true);
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_UNSUPPORTED);
    options.found_version = &found;
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_UNSUPPORTED);
    assert_int_equal(found, 3);
    ledger_explain_version(text, sizeof(text), found);
    assert_string_equal(text, "made by version 3 of the ledger's format, this program reads version 2");
    options.read_only = true;
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_UNSUPPORTED);
    options.read_only = false;
    ledger_test_write_version(test, 2, false);
    assert_err(ledger_open(&ledger, test->directory, &options), ORD_ERR_CORRUPT);
    ledger_test_write_version(test, 2, true);
    assert_ok(ledger_open(&ledger, test->directory, &options));
    ledger_close(ledger);
}

static void open__read_only_refuses_to_write(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    assert_ok(ledger_test_put_block(ledger, 0, 10));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    ledger = ledger_test_open_reader(test);
    assert_ok(ledger_test_check_block(ledger, 0, 10));
    assert_err(ledger_test_put_block(ledger, 1, 10), ORD_ERR_FORBIDDEN);
    assert_err(ledger_put_meta(ledger, "a", text("b")), ORD_ERR_FORBIDDEN);
    assert_err(ledger_forget(ledger, 1, 1), ORD_ERR_FORBIDDEN);
    assert_err(ledger_forget_after(ledger, 1, 1), ORD_ERR_FORBIDDEN);
    assert_err(ledger_forget_after(ledger, 1, UINT64_MAX), ORD_ERR_FORBIDDEN);
    assert_err(ledger_room(ledger), ORD_ERR_FORBIDDEN);
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
}

/* A tool runs as another user, who may read everything but cannot write, not even LMDB's lock file. */
static void open__reads_without_write_permission(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    assert_ok(ledger_test_put_block(ledger, 0, 10));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    assert_int_equal(chmod(test->root, 0755), 0);
    assert_int_equal(chmod(test->directory, 0755), 0);
    for (size_t i = 0; i < 2; i++) {
        char path[192];
        snprintf(path, sizeof(path), "%s/%s", test->directory, files[i]);
        assert_int_equal(chmod(path, 0644), 0);
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ledger_options options = ledger_test_options();
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(100);
        if (ledger_open(&ledger, test->directory, &options) != ORD_ERR_FORBIDDEN)
            _exit(101);
        options.read_only = true;
        if (ledger_open(&ledger, test->directory, &options) != ORD_OK)
            _exit(102);
        enum ord_err err = ledger_test_check_block(ledger, 0, 10);
        ledger_close(ledger);
        _exit(err == ORD_OK ? 0 : 103);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The expected bytes are those in docs/formats.md. */
static void checksum__is_the_documented_one(void **state) {
    (void) state;
    struct ledger_key key = ledger_key_index(7, 42);
    uint8_t payload[12];
    ord_store_u64(payload, 2);
    ord_store_u32(payload + 8, 11);
    assert_int_equal(ledger_checksum(LEDGER_INDEX, ledger_val(&key), payload, sizeof(payload)), 0x18a9d51044629aefu);
}

static const struct CMUnitTest cases[] = {
    LEDGER_CASE(ledger__survives_a_restart),
    LEDGER_CASE(ledger__forgets_an_uncommitted_turn),
    LEDGER_CASE(blocks__rise_by_one),
    LEDGER_CASE(blocks__may_be_big),
    LEDGER_CASE(headers__come_without_their_data),
    LEDGER_CASE(certificate__is_the_next_at_or_above),
    LEDGER_CASE(meta__is_named_replaced_and_deleted),
    LEDGER_CASE(records__are_sorted_and_forgotten_by_range),
    LEDGER_CASE(records__are_forgotten_after_a_key),
    LEDGER_CASE(records__are_cut_and_put_again_in_one_turn),
    LEDGER_CASE(records__are_replaced),
    LEDGER_CASE(records__of_a_moving_window_reuse_their_space),
    LEDGER_CASE(index__of_one_client_lies_together),
    LEDGER_CASE(open__creates_a_private_folder),
    LEDGER_CASE(open__refuses_what_is_not_there),
    LEDGER_CASE(open__refuses_another_file),
    LEDGER_CASE(open__refuses_a_file_cut_short),
    LEDGER_CASE(open__refuses_another_version),
    LEDGER_CASE(open__read_only_refuses_to_write),
    LEDGER_CASE(open__reads_without_write_permission),
    cmocka_unit_test(checksum__is_the_documented_one),
};

TEST_CASES(cases);
