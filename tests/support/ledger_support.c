#include "tests/support/ledger_support.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/codec.h"
#include "ledger/ledger_internal.h"

int ledger_test_setup(void **state) {
    struct ledger_test *test = calloc(1, sizeof(*test));
    if (test == NULL)
        return -1;
    snprintf(test->root, sizeof(test->root), "/tmp/ordain-ledger-XXXXXX");
    if (mkdtemp(test->root) == NULL) {
        free(test);
        return -1;
    }
    snprintf(test->directory, sizeof(test->directory), "%s/ledger", test->root);
    *state = test;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    (void) status;
    (void) type;
    (void) ftw;
    return remove(path);
}

int ledger_test_teardown(void **state) {
    struct ledger_test *test = *state;
    if (test->mounted)
        umount2(test->root, MNT_DETACH);
    int rc = nftw(test->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(test);
    return rc;
}

struct ledger_options ledger_test_options(void) {
    struct ledger_options options;
    ledger_options_defaults(&options);
    options.map_bytes_initial = (uint64_t) 2 << 20;
    options.turn_bytes_max = (uint64_t) 256 << 10;
    options.disk_reserve_bytes = 0;
    return options;
}

struct ledger *ledger_test_open(const struct ledger_test *test) {
    struct ledger *ledger = NULL;
    struct ledger_options options = ledger_test_options();
    assert_ok(ledger_open(&ledger, test->directory, &options));
    return ledger;
}

struct ledger *ledger_test_open_reader(const struct ledger_test *test) {
    struct ledger *ledger = NULL;
    struct ledger_options options = ledger_test_options();
    options.read_only = true;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    return ledger;
}

/* splitmix64. It is good enough, because the test's bytes only need to differ. */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint8_t byte_at(uint64_t seed, size_t i) {
    return (uint8_t) (mix(mix(seed) + i / 8) >> (8 * (i % 8)));
}

void ledger_test_fill(uint8_t *data, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(seed, i);
}

bool ledger_test_filled(const uint8_t *data, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size; i++)
        if (data[i] != byte_at(seed, i))
            return false;
    return true;
}

enum ord_err ledger_test_put_block(struct ledger *ledger, uint64_t height, size_t size) {
    uint8_t header[TEST_HEADER_SIZE];
    uint8_t *data = malloc(size + 1);
    if (data == NULL)
        return ORD_ERR_NO_MEMORY;
    ledger_test_fill(header, sizeof(header), 2 * height);
    ledger_test_fill(data, size, 2 * height + 1);
    enum ord_err err = ledger_put_block(ledger, height, ord_span_of(header, sizeof(header)), ord_span_of(data, size));
    free(data);
    return err;
}

enum ord_err ledger_test_check_block(struct ledger *ledger, uint64_t height, size_t size) {
    struct ord_bytes block;
    enum ord_err err = ledger_get_block(ledger, &block, height);
    if (err != ORD_OK)
        return err;
    if (block.size != TEST_HEADER_SIZE + size || !ledger_test_filled(block.data, TEST_HEADER_SIZE, 2 * height) ||
        !ledger_test_filled(block.data + TEST_HEADER_SIZE, size, 2 * height + 1))
        err = ORD_ERR_MISMATCH;
    free(block.data);
    return err;
}

enum ord_err ledger_test_put_record(struct ledger *ledger, uint8_t table, uint64_t key, size_t size) {
    uint8_t *data = malloc(size + 1);
    if (data == NULL)
        return ORD_ERR_NO_MEMORY;
    ledger_test_fill(data, size, key * 256 + table);
    struct ord_record record = {.table = table, .key = key, .bytes = ord_span_of(data, size)};
    enum ord_err err = ledger_put_record(ledger, &record);
    free(data);
    return err;
}

static int open_file(const struct ledger_test *test, int flags) {
    char path[192];
    snprintf(path, sizeof(path), "%s/data.mdb", test->directory);
    int fd = open(path, flags | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

uint8_t *ledger_test_file(const struct ledger_test *test, size_t *size) {
    struct stat status;
    int fd = open_file(test, O_RDONLY);
    assert_int_equal(fstat(fd, &status), 0);
    *size = (size_t) status.st_size;
    uint8_t *data = malloc(*size);
    assert_non_null(data);
    for (size_t at = 0; at < *size;) {
        ssize_t got = pread(fd, data + at, *size - at, (off_t) at);
        assert_true(got > 0);
        at += (size_t) got;
    }
    close(fd);
    return data;
}

void ledger_test_write_file(const struct ledger_test *test, size_t offset, const void *data, size_t size) {
    int fd = open_file(test, O_WRONLY);
    assert_int_equal(pwrite(fd, data, size, (off_t) offset), size);
    close(fd);
}

size_t ledger_test_find(const uint8_t *file, size_t file_size, size_t from, const void *data, size_t size) {
    const uint8_t *at = memmem(file + from, file_size - from, data, size);
    return at == NULL ? file_size : (size_t) (at - file);
}

uint64_t ledger_test_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void ledger_test_write_version(const struct ledger_test *test, uint32_t version, bool sealed) {
    struct ledger_key key;
    size_t size = 0;
    size_t found = 0;
    uint8_t *file = ledger_test_file(test, &size);
    uint8_t value[4 + LEDGER_CHECKSUM_SIZE];
    assert_ok(ledger_key_meta(&key, LEDGER_FORMAT_NAME));
    ord_store_u32(value, version);
    ord_store_u64(value + 4, ledger_checksum(LEDGER_META, ledger_val(&key), value, 4) + (sealed ? 0 : 1));
    for (size_t at = 0; (at = ledger_test_find(file, size, at, key.bytes, key.size)) < size; at += key.size, found++)
        ledger_test_write_file(test, at + key.size, value, sizeof(value));
    assert_true(found > 0);
    free(file);
}
