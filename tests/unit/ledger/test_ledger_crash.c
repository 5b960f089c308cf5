/*
 * Processes. A killed writer loses nothing that it has acknowledged (row F1) and leaves no half-written turn. After a
 * failed commit a ledger acknowledges nothing any more. A second writer is kept out. Readers work beside a writer.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/codec.h"
#include "tests/support/ledger_support.h"

enum { DEADLINE_MS = 60000, KILLS = 30 };

/* The steps that a child reports of its turn at a height. */
enum progress { PROGRESS_PUT, PROGRESS_COMMIT, PROGRESS_DONE };

struct child {
    pid_t pid;
    int progress; /* the read end */
    int go;       /* the write end; the child ends when it is closed */
};

static void tell(int fd, enum progress progress, uint64_t height) {
    uint8_t message[9] = {(uint8_t) progress};
    ord_store_u64(message + 1, height);
    if (write(fd, message, sizeof(message)) != sizeof(message))
        _exit(90);
}

/* Reads one report of a child. False at the end of the pipe. */
static bool hear(int fd, enum progress *progress, uint64_t *height) {
    uint8_t message[9];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (size_t got = 0; got < sizeof(message);) {
        assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
        ssize_t size = read(fd, message + got, sizeof(message) - got);
        assert_true(size >= 0);
        if (size == 0)
            return false;
        got += (size_t) size;
    }
    *progress = (enum progress) message[0];
    *height = ord_load_u64(message + 1);
    return true;
}

static struct child start(const struct ledger_test *test,
                          void (*run)(const struct ledger_test *test, int out, int in)) {
    int progress[2];
    int go[2];
    assert_int_equal(pipe(progress), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(progress[0]);
        close(go[1]);
        run(test, progress[1], go[0]);
        _exit(0);
    }
    close(progress[1]);
    close(go[0]);
    return (struct child) {.pid = pid, .progress = progress[0], .go = go[1]};
}

static int finish(struct child *child) {
    int status = 0;
    close(child->go);
    close(child->progress);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return status;
}

static size_t size_of_block(uint64_t height) {
    return 1000 + (size_t) (height * 77777 % 300000);
}

/* Writes a turn like a replica's: block, index, client, consensus records of a moving window, the applied point. */
static enum ord_err put_turn(struct ledger *ledger, uint64_t height, int out) {
    uint8_t value[8];
    ord_store_u64(value, height);
    enum ord_err err = ledger_room(ledger);
    if (err != ORD_OK || (err = ledger_put_meta(ledger, "applied", ord_span_of(value, 8))) != ORD_OK)
        return err;
    tell(out, PROGRESS_PUT, height);
    if ((err = ledger_test_put_record(ledger, 1, height, 40960)) != ORD_OK ||
        (err = ledger_test_put_block(ledger, height, size_of_block(height))) != ORD_OK)
        return err;
    tell(out, PROGRESS_PUT, height);
    if ((err = ledger_put_index(ledger, (uint32_t) (height % 5), height, height, 3)) != ORD_OK ||
        (err = ledger_put_client(ledger, (uint32_t) (height % 5), ord_span_of(value, 8))) != ORD_OK)
        return err;
    if (height >= 20)
        err = ledger_forget(ledger, 1, height - 20);
    return err;
}

static void write_turns(const struct ledger_test *test, int out, int in) {
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    uint64_t height = 0;
    (void) in;
    if (ledger_open(&ledger, test->directory, &options) != ORD_OK)
        _exit(80);
    if (ledger_height(ledger, &height) == ORD_OK)
        height++;
    for (;; height++) {
        if (put_turn(ledger, height, out) != ORD_OK)
            _exit(81);
        tell(out, PROGRESS_COMMIT, height);
        if (ledger_commit(ledger) != ORD_OK)
            _exit(82);
        tell(out, PROGRESS_DONE, height);
    }
}

/* Checks that all of turn `newest` is there, nothing of a later turn, and the whole chain before it. */
static void check_turns(struct ledger *ledger, uint64_t newest) {
    struct ord_bytes bytes;
    struct ledger_scrub scrub;
    struct ord_record *records = NULL;
    size_t count = 0;
    uint64_t height = 0;
    uint32_t index = 0;
    assert_ok(ledger_get_meta(ledger, &bytes, "applied"));
    assert_int_equal(bytes.size, 8);
    assert_int_equal(ord_load_u64(bytes.data), newest);
    free(bytes.data);
    for (uint64_t h = newest > 30 ? newest - 30 : 0; h <= newest; h++) {
        assert_ok(ledger_test_check_block(ledger, h, size_of_block(h)));
        assert_ok(ledger_get_index(ledger, &height, &index, (uint32_t) (h % 5), h));
        assert_int_equal(height, h);
    }
    assert_ok(ledger_get_records(ledger, &records, &count));
    assert_int_equal(count, newest < 20 ? newest + 1 : 20);
    assert_int_equal(records[count - 1].key, newest);
    free(records);
    assert_ok(ledger_get_client(ledger, &bytes, (uint32_t) (newest % 5)));
    assert_int_equal(ord_load_u64(bytes.data), newest);
    free(bytes.data);
    assert_ok(ledger_scrub(ledger, &scrub, NULL, NULL));
}

static void kill__loses_no_acknowledged_turn(void **state) {
    const struct ledger_test *test = *state;
    unsigned seed = (unsigned) getpid();
    bool any = false;
    uint64_t acknowledged = 0;
    size_t in_commit = 0;
    for (int round = 0; round < KILLS; round++) {
        struct child child = start(test, write_turns);
        enum progress progress = PROGRESS_PUT;
        uint64_t height = 0;
        /* The child is killed after a number of its steps, so in the middle of puts, of commits or between them. In
         * every third round it is killed during a commit or right after it. */
        long steps = 1 + rand_r(&seed) % 40;
        for (; steps > 0 || (round % 3 == 0 && progress != PROGRESS_COMMIT); steps--) {
            assert_true(hear(child.progress, &progress, &height));
            if (progress == PROGRESS_DONE) {
                any = true;
                acknowledged = height;
            }
        }
        in_commit += progress == PROGRESS_COMMIT;
        assert_int_equal(kill(child.pid, SIGKILL), 0);
        while (hear(child.progress, &progress, &height)) { /* reports that it sent before it died */
            if (progress == PROGRESS_DONE) {
                any = true;
                acknowledged = height;
            }
        }
        int status = finish(&child);
        assert_true(WIFSIGNALED(status));

        struct ledger *ledger = ledger_test_open(test);
        uint64_t newest = 0;
        enum ord_err err = ledger_height(ledger, &newest);
        if (any || err == ORD_OK) {
            assert_ok(err);
            assert_true(newest >= acknowledged);
            /* A commit may be durable before it was reported. */
            assert_true(newest <= (any ? acknowledged + 1 : 0));
            check_turns(ledger, newest);
            any = true;
            acknowledged = newest;
        }
        ledger_close(ledger);
    }
    assert_true(any);
    assert_true(in_commit >= KILLS / 3);
}

/* A limit on the file's size makes the kernel fail the commit's write, as a broken disk would. */
static void commit__that_fails_ends_the_ledger(void **state) {
    const struct ledger_test *test = *state;
    struct ledger *ledger = ledger_test_open(test);
    struct ledger_counters counters;
    struct ord_bytes bytes;
    struct ledger_scrub scrub;
    struct ord_record *records = NULL;
    struct rlimit limit;
    uint64_t height = 0;
    size_t count = 0;
    assert_ok(ledger_test_put_block(ledger, 0, 1000));
    assert_ok(ledger_commit(ledger));
    ledger_counters(ledger, &counters);

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {.rlim_cur = counters.map_bytes_used, .rlim_max = limit.rlim_max};
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum ord_err put = ledger_test_put_block(ledger, 1, 100000);
    enum ord_err first = ledger_commit(ledger);
    /* The disk works again, but the ledger must not. */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, before);
    assert_ok(put);
    assert_err(first, ORD_ERR_IO);
    assert_err(ledger_commit(ledger), ORD_ERR_WRONG_STATE);
    assert_err(ledger_room(ledger), ORD_ERR_WRONG_STATE);
    assert_err(ledger_test_put_block(ledger, 1, 10), ORD_ERR_WRONG_STATE);
    assert_err(ledger_test_put_record(ledger, 1, 1, 10), ORD_ERR_WRONG_STATE);
    assert_err(ledger_forget(ledger, 1, 1), ORD_ERR_WRONG_STATE);
    assert_err(ledger_forget_after(ledger, 1, 1), ORD_ERR_WRONG_STATE);
    assert_err(ledger_height(ledger, &height), ORD_ERR_WRONG_STATE);
    assert_err(ledger_get_block(ledger, &bytes, 0), ORD_ERR_WRONG_STATE);
    assert_err(ledger_get_records(ledger, &records, &count), ORD_ERR_WRONG_STATE);
    assert_err(ledger_scrub(ledger, &scrub, NULL, NULL), ORD_ERR_WRONG_STATE);
    ledger_counters(ledger, &counters);
    assert_int_equal(counters.commits, 1);
    ledger_close(ledger);

    ledger = ledger_test_open(test);
    assert_ok(ledger_height(ledger, &height));
    assert_int_equal(height, 0);
    assert_ok(ledger_test_put_block(ledger, 1, 100000));
    assert_ok(ledger_commit(ledger));
    assert_ok(ledger_scrub(ledger, &scrub, NULL, NULL));
    ledger_close(ledger);
}

static void hold_open(const struct ledger_test *test, int out, int in) {
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    char end = 0;
    if (ledger_open(&ledger, test->directory, &options) != ORD_OK)
        _exit(80);
    tell(out, PROGRESS_DONE, 0);
    while (read(in, &end, 1) > 0) {
    }
    ledger_close(ledger);
}

static void open__keeps_a_second_writer_out(void **state) {
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *second = NULL;
    struct ledger *ledger = ledger_test_open(test);
    /* A second writer in this process is refused. */
    assert_err(ledger_open(&second, test->directory, &options), ORD_ERR_BUSY);
    assert_null(second);
    assert_ok(ledger_test_put_block(ledger, 0, 10)); /* the first one still works */
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);

    /* A second writer in another process is refused. */
    struct child child = start(test, hold_open);
    enum progress progress = PROGRESS_PUT;
    uint64_t height = 0;
    assert_true(hear(child.progress, &progress, &height));
    assert_err(ledger_open(&second, test->directory, &options), ORD_ERR_BUSY);
    assert_int_equal(finish(&child), 0);
    ledger_close(ledger_test_open(test));

    /* The kernel drops the lock when the process is killed. */
    child = start(test, hold_open);
    assert_true(hear(child.progress, &progress, &height));
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(finish(&child)));
    ledger_close(ledger_test_open(test));
}

/* Writes a turn for each byte that it receives. */
static void write_when_told(const struct ledger_test *test, int out, int in) {
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    char go = 0;
    options.map_bytes_initial = (uint64_t) 1 << 20;
    if (ledger_open(&ledger, test->directory, &options) != ORD_OK)
        _exit(80);
    for (uint64_t height = 0; read(in, &go, 1) == 1; height++) {
        if (ledger_room(ledger) != ORD_OK || ledger_test_put_block(ledger, height, 200000) != ORD_OK ||
            ledger_commit(ledger) != ORD_OK)
            _exit(81);
        tell(out, PROGRESS_DONE, height);
    }
    ledger_close(ledger);
}

static void reader__works_beside_a_writer_of_another_process(void **state) {
    enum { BLOCKS = 120 };
    const struct ledger_test *test = *state;
    struct child child = start(test, write_when_told);
    struct ledger *reader = NULL;
    struct ledger_counters counters;
    struct ledger_scrub scrub;
    uint64_t map_first = 0;
    for (uint64_t h = 0; h < BLOCKS; h++) {
        enum progress progress = PROGRESS_PUT;
        uint64_t height = 0;
        assert_int_equal(write(child.go, "g", 1), 1);
        assert_true(hear(child.progress, &progress, &height));
        assert_int_equal(height, h);
        if (reader == NULL) {
            reader = ledger_test_open_reader(test);
            ledger_counters(reader, &counters);
            map_first = counters.map_bytes;
        }
        /* The reported block is there, though the map has grown meanwhile. */
        assert_ok(ledger_height(reader, &height));
        assert_int_equal(height, h);
        assert_ok(ledger_test_check_block(reader, h, 200000));
        assert_ok(ledger_test_check_block(reader, h / 2, 200000));
    }
    ledger_counters(reader, &counters);
    assert_true(counters.map_bytes > 4 * map_first);
    assert_ok(ledger_scrub(reader, &scrub, NULL, NULL));
    assert_int_equal(scrub.records, BLOCKS + 1);
    ledger_close(reader);
    assert_int_equal(finish(&child), 0);
}

/* Reads until it is killed. Its entry in the reader table must not pin old pages for ever. */
static void read_for_ever(const struct ledger_test *test, int out, int in) {
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    (void) in;
    options.read_only = true;
    if (ledger_open(&ledger, test->directory, &options) != ORD_OK)
        _exit(80);
    tell(out, PROGRESS_DONE, 0);
    for (;;) {
        struct ord_record *records = NULL;
        size_t count = 0;
        if (ledger_get_records(ledger, &records, &count) != ORD_OK)
            _exit(81);
        free(records);
    }
}

static void reader__that_was_killed_does_not_fill_the_map(void **state) {
    const struct ledger_test *test = *state;
    struct ledger_options options = ledger_test_options();
    struct ledger *ledger = NULL;
    options.map_bytes_initial = (uint64_t) 12 << 20;
    options.map_bytes_max = (uint64_t) 12 << 20;
    assert_ok(ledger_open(&ledger, test->directory, &options));
    for (uint64_t key = 0; key < 8; key++)
        assert_ok(ledger_test_put_record(ledger, 1, key, 200000));
    assert_ok(ledger_commit(ledger));
    for (int i = 0; i < 5; i++) {
        enum progress progress = PROGRESS_PUT;
        uint64_t height = 0;
        struct child child = start(test, read_for_ever);
        assert_true(hear(child.progress, &progress, &height));
        assert_int_equal(kill(child.pid, SIGKILL), 0);
        assert_true(WIFSIGNALED(finish(&child)));
        /* Far more bytes than the map holds pass through a window of eight records. */
        for (uint64_t key = (uint64_t) i * 80 + 8; key < (uint64_t) i * 80 + 88; key++) {
            uint64_t deadline = ledger_test_now_ms() + DEADLINE_MS;
            enum ord_err err = ledger_room(ledger);
            while (err == ORD_ERR_NO_SPACE && ledger_test_now_ms() < deadline)
                err = ledger_room(ledger);
            assert_ok(err);
            assert_ok(ledger_test_put_record(ledger, 1, key, 200000));
            assert_ok(ledger_forget(ledger, 1, key - 8));
            assert_ok(ledger_commit(ledger));
        }
    }
    ledger_close(ledger);
}

static const struct CMUnitTest cases[] = {
    LEDGER_CASE(kill__loses_no_acknowledged_turn),
    LEDGER_CASE(commit__that_fails_ends_the_ledger),
    LEDGER_CASE(open__keeps_a_second_writer_out),
    LEDGER_CASE(reader__works_beside_a_writer_of_another_process),
    LEDGER_CASE(reader__that_was_killed_does_not_fill_the_map),
};

TEST_CASES(cases);
