/*
 * Space. The map grows while readers run. A full map or disk (row F5) stops intake before a turn is harmed, and intake
 * goes on when there is space again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/ledger_support.h"

enum { DEADLINE_MS = 60000, READERS = 3, BLOCK_BYTES = 50000, RECORD_BYTES = 100000 };

struct reader {
    struct ledger *ledger;
    atomic_bool *stop;
    atomic_uint_fast64_t reads;
    enum ord_err err;
    pthread_t thread;
};

/* A reader must be able to read the whole block at every height that it has seen committed. */
static void *read_blocks(void *argument) {
    struct reader *reader = argument;
    uint64_t height = 0;
    for (uint64_t i = 0; !atomic_load(reader->stop) && reader->err == ORD_OK; i++) {
        struct ord_record *records = NULL;
        size_t count = 0;
        if ((reader->err = ledger_height(reader->ledger, &height)) == ORD_OK &&
            (reader->err = ledger_test_check_block(reader->ledger, i % 4 == 0 ? height : i % (height + 1),
                                                   BLOCK_BYTES)) == ORD_OK &&
            (reader->err = ledger_get_records(reader->ledger, &records, &count)) == ORD_OK) {
            if (count != 1 || records[0].key != 1 || records[0].bytes.size != 777)
                reader->err = ORD_ERR_MISMATCH;
            free(records);
        }
        atomic_fetch_add(&reader->reads, 1);
    }
    return NULL;
}

static void room__grows_the_map_under_readers(void **state) {
    enum { BLOCKS = 400 };
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    struct ledger_counters counters;
    struct reader readers[READERS];
    atomic_bool stop = false;
    uint64_t deadline = ledger_test_now_ms() + DEADLINE_MS;
    options.map_bytes_initial = (uint64_t) 1 << 20;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    assert_ok(ledger_room(ledger));
    assert_ok(ledger_test_put_block(ledger, 0, BLOCK_BYTES));
    assert_ok(ledger_test_put_record(ledger, 1, 1, 777));
    assert_ok(ledger_commit(ledger));
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader) {.ledger = ledger, .stop = &stop};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_blocks, &readers[i]), 0);
    }
    enum ord_err err = ORD_OK;
    bool in_time = true;
    uint64_t growths = 0;
    for (uint64_t h = 1; h < BLOCKS && err == ORD_OK && in_time; h++) {
        if ((err = ledger_room(ledger)) == ORD_OK && (err = ledger_test_put_block(ledger, h, BLOCK_BYTES)) == ORD_OK)
            err = ledger_commit(ledger);
        ledger_counters(ledger, &counters);
        if (counters.map_growths == growths)
            continue;
        growths = counters.map_growths;
        for (size_t i = 0; i < READERS; i++) { /* each reads in the new map before it grows again */
            uint64_t reads = atomic_load(&readers[i].reads);
            while (atomic_load(&readers[i].reads) < reads + 2 && in_time) {
                in_time = ledger_test_now_ms() < deadline;
                sched_yield();
            }
        }
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_ok(readers[i].err);
        assert_true(atomic_load(&readers[i].reads) > 2 * growths);
    }
    assert_ok(err);
    assert_true(in_time);
    assert_true(growths >= 4);
    assert_true(counters.map_bytes >= counters.map_bytes_used);
    assert_true(counters.map_bytes_used > (uint64_t) BLOCKS * BLOCK_BYTES);
    ledger_close(ledger);
}

static void room__keeps_the_map_it_has_grown_to(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    struct ledger_counters before;
    struct ledger_counters after;
    for (uint64_t h = 0; h < 100; h++) {
        assert_ok(ledger_room(ledger));
        assert_ok(ledger_test_put_block(ledger, h, 100000));
        assert_ok(ledger_commit(ledger));
    }
    ledger_counters(ledger, &before);
    ledger_close(ledger);
    ledger = ledger_test_open(test);
    ledger_counters(ledger, &after);
    assert_true(before.map_bytes > (uint64_t) 4 << 20);
    assert_int_equal(after.map_bytes, before.map_bytes);
    for (uint64_t h = 0; h < 100; h++)
        assert_ok(ledger_test_check_block(ledger, h, 100000));
    ledger_close(ledger);
}

/* True if ledger_room returns NO_SPACE for longer than the ledger's interval between two measurements. */
static bool room_is_full(struct ledger *ledger) {
    uint64_t until = ledger_test_now_ms() + 300;
    do {
        enum ord_err err = ledger_room(ledger);
        if (err == ORD_OK)
            return false;
        assert_err(err, ORD_ERR_NO_SPACE);
        sched_yield();
    } while (ledger_test_now_ms() < until);
    return true;
}

/*
 * Puts records of `table` until there is no space left, and returns their number. Each
 * turn that ledger_room allowed must succeed.
 */
static uint64_t fill_map(struct ledger *ledger, uint8_t table) {
    uint64_t key = 0;
    for (; !room_is_full(ledger); key++) {
        assert_ok(ledger_test_put_record(ledger, table, key, RECORD_BYTES));
        assert_ok(ledger_commit(ledger));
        assert_true(key < 100000);
    }
    return key;
}

static bool room_comes_back(struct ledger *ledger) {
    uint64_t deadline = ledger_test_now_ms() + DEADLINE_MS;
    while (ledger_test_now_ms() < deadline) {
        enum ord_err err = ledger_room(ledger);
        if (err == ORD_OK)
            return true;
        assert_err(err, ORD_ERR_NO_SPACE);
        sched_yield();
    }
    return false;
}

static void room__says_when_the_map_is_full_and_when_not_any_more(void **state) {
    enum { ROUNDS = 4 };
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    struct ledger_counters counters;
    options.map_bytes_max = (uint64_t) 16 << 20;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    assert_ok(ledger_test_put_block(ledger, 0, 1000));
    assert_ok(ledger_commit(ledger));
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t count = fill_map(ledger, 1);
        /* Much of the map can be used in every round. */
        assert_in_range(count, 70, 16 * 1024 * 1024 / RECORD_BYTES);
        assert_err(ledger_room(ledger), ORD_ERR_NO_SPACE);
        ledger_counters(ledger, &counters);
        assert_int_equal(counters.map_bytes, options.map_bytes_max);
        struct ord_bytes bytes;
        assert_ok(ledger_get_record(ledger, &bytes, 1, count - 1));
        assert_int_equal(bytes.size, RECORD_BYTES);
        free(bytes.data);
        if (round % 2 == 1) { /* a restart changes nothing */
            ledger_close(ledger);
            assert_ok(ledger_open(&ledger, test->directory, &options));
            assert_err(ledger_room(ledger), ORD_ERR_NO_SPACE);
        }
        assert_ok(ledger_forget(ledger, 1, count));
        assert_ok(ledger_commit(ledger));
        assert_true(room_comes_back(ledger));
    }
    assert_ok(ledger_test_check_block(ledger, 0, 1000));
    ledger_close(ledger);
}

/* Free space in scattered pieces does not count, because a turn may need it in one piece. */
static void room__does_not_count_scattered_pages(void **state) {
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    options.map_bytes_max = (uint64_t) 16 << 20;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    uint64_t count = 0;
    for (; !room_is_full(ledger); count++) { /* alternates between two tables */
        assert_ok(ledger_test_put_record(ledger, (uint8_t) (1 + count % 2), count, RECORD_BYTES));
        assert_ok(ledger_commit(ledger));
    }
    assert_ok(ledger_forget(ledger, 1, UINT64_MAX));
    assert_ok(ledger_commit(ledger));
    assert_true(room_is_full(ledger));
    assert_ok(ledger_forget(ledger, 2, UINT64_MAX));
    assert_ok(ledger_commit(ledger));
    assert_true(room_comes_back(ledger));
    assert_true(fill_map(ledger, 3) >= count / 8);
    ledger_close(ledger);
}

/* A turn that is larger than turn_bytes_max reaches the end of the map. That is as bad as a failed commit. */
static void put__into_a_full_map_ends_the_ledger(void **state) {
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    uint64_t height = 0;
    options.map_bytes_max = options.map_bytes_initial;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    assert_ok(ledger_test_put_block(ledger, 0, 1000));
    assert_ok(ledger_commit(ledger));
    assert_err(ledger_test_put_block(ledger, 1, 3u << 20), ORD_ERR_NO_SPACE);
    assert_err(ledger_commit(ledger), ORD_ERR_WRONG_STATE);
    assert_err(ledger_height(ledger, &height), ORD_ERR_WRONG_STATE);
    ledger_close(ledger);
    assert_ok(ledger_open(&ledger, test->directory, &options));
    assert_ok(ledger_test_check_block(ledger, 0, 1000));
    assert_ok(ledger_test_put_block(ledger, 1, 10));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
}

/* Mounts a small file system that only this process sees. It is gone when the process ends, at the latest. */
static void mount_small_disk(struct ledger_test *test, const char *options) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", test->root, "tmpfs", 0, options) != 0)
        fail_msg("cannot mount a file system, which this test needs (root may): %s", strerror(errno));
    test->mounted = true;
}

/* Writes a file that takes all free space of the disk except `left` bytes. */
static void put_ballast(const struct ledger_test *test, uint64_t left) {
    char path[128];
    static const uint8_t zeros[4096];
    snprintf(path, sizeof(path), "%s/ballast", test->root);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    uint64_t size = 0;
    ssize_t written = 0;
    while ((written = write(fd, zeros, sizeof(zeros))) > 0)
        size += (uint64_t) written;
    assert_true(size > left);
    assert_int_equal(ftruncate(fd, (off_t) (size - left)), 0);
    close(fd);
}

static void remove_ballast(const struct ledger_test *test) {
    char path[128];
    snprintf(path, sizeof(path), "%s/ballast", test->root);
    assert_int_equal(unlink(path), 0);
}

static bool room_ends(struct ledger *ledger) {
    uint64_t deadline = ledger_test_now_ms() + DEADLINE_MS;
    while (ledger_test_now_ms() < deadline) {
        enum ord_err err = ledger_room(ledger);
        if (err == ORD_ERR_NO_SPACE)
            return true;
        assert_ok(err);
        sched_yield();
    }
    return false;
}

static void room__follows_the_free_space_of_the_disk(void **state) {
    struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    mount_small_disk(test, "size=32m");
    options.disk_reserve_bytes = (uint64_t) 4 << 20;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    assert_ok(ledger_room(ledger));
    for (uint64_t h = 0; h < 3; h++) {
        put_ballast(test, (uint64_t) 3 << 20);
        assert_true(room_ends(ledger));
        assert_err(ledger_room(ledger), ORD_ERR_NO_SPACE);
        /* A turn can still be finished, and its block can be read. */
        assert_ok(ledger_test_put_block(ledger, h, 200000));
        assert_ok(ledger_commit(ledger));
        assert_ok(ledger_test_check_block(ledger, h, 200000));
        remove_ballast(test);
        assert_true(room_comes_back(ledger));
    }
    /* The ledger's own writes use the disk up to the reserve, and no further. */
    uint64_t count = fill_map(ledger, 1);
    assert_in_range(count, 150, 32 * 1024 * 1024 / RECORD_BYTES);
    put_ballast(test, 0); /* the disk still had some space left */
    ledger_close(ledger);
}

static void commit__on_a_full_disk_ends_the_ledger(void **state) {
    struct ledger_test *test = *state;
    uint64_t height = 0;
    mount_small_disk(test, "size=16m");
    struct ledger *ledger = ledger_test_open(test);
    assert_ok(ledger_test_put_block(ledger, 0, 1000));
    assert_ok(ledger_commit(ledger));
    put_ballast(test, 0);
    assert_ok(ledger_test_put_block(ledger, 1, 200000));
    assert_err(ledger_commit(ledger), ORD_ERR_NO_SPACE);
    assert_err(ledger_commit(ledger), ORD_ERR_WRONG_STATE);
    assert_err(ledger_test_put_block(ledger, 1, 10), ORD_ERR_WRONG_STATE);
    assert_err(ledger_height(ledger, &height), ORD_ERR_WRONG_STATE);
    ledger_close(ledger);
    remove_ballast(test);
    ledger = ledger_test_open(test);
    assert_ok(ledger_height(ledger, &height));
    assert_int_equal(height, 0);
    assert_ok(ledger_test_check_block(ledger, 0, 1000));
    assert_ok(ledger_test_put_block(ledger, 1, 200000));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_test_check_block(ledger, 1, 200000));
    ledger_close(ledger);
}

static const struct CMUnitTest cases[] = {
    LEDGER_CASE(room__grows_the_map_under_readers),
    LEDGER_CASE(room__keeps_the_map_it_has_grown_to),
    LEDGER_CASE(room__says_when_the_map_is_full_and_when_not_any_more),
    LEDGER_CASE(room__does_not_count_scattered_pages),
    LEDGER_CASE(put__into_a_full_map_ends_the_ledger),
    LEDGER_CASE(room__follows_the_free_space_of_the_disk),
    LEDGER_CASE(commit__on_a_full_disk_ends_the_ledger),
};

TEST_CASES(cases);
