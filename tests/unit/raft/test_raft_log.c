/* The log in memory. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/raft_net.h"
#include "tests/support/test_main.h"

struct bench {
    struct raft_log log;
    struct raft_entry entries[16];
    uint8_t *ring;
};

static void open_log(struct bench *bench) {
    const struct ord_core_config config = {.window = 8, .batch_bytes_max = 100, .body_bytes_max = 400};
    size_t size = raft_ring_size(&config);
    bench->ring = malloc(size);
    assert_non_null(bench->ring);
    raft_log_init(&bench->log, bench->entries, 16, bench->ring, size, 400);
}

static void add(struct bench *bench, uint64_t term, uint64_t turn, size_t size) {
    uint8_t batch[100];
    memset(batch, (int) (bench->log.last_seq + 1), sizeof(batch));
    (void) raft_log_add(&bench->log, 1, term, turn, ord_span_of(batch, size));
}

/* Whatever is added and dropped at both ends, what fits by its bytes fits in one piece, and stays what it was. */
static void log__has_room_for_all_that_its_bytes_allow(void **state) {
    (void) state;
    struct bench bench;
    open_log(&bench);
    uint64_t random = 5;
    for (uint32_t i = 0; i < 20000; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        size_t size = (size_t) (random >> 33) % 101;
        if (raft_log_has_room(&bench.log, size))
            add(&bench, 1, i, size);
        else
            raft_log_rebase(&bench.log, 0, bench.log.base_seq + 1 + (random >> 40) % 3, 1);
        if (random >> 60 == 0)
            raft_log_cut(&bench.log, bench.log.base_seq + (bench.log.last_seq - bench.log.base_seq) / 2);
        for (uint64_t seq = bench.log.base_seq + 1; seq <= bench.log.last_seq; seq++) {
            struct ord_span batch = raft_log_batch(&bench.log, seq);
            assert_true(batch.size == 0 ||
                        (batch.data[0] == (uint8_t) seq && batch.data[batch.size - 1] == (uint8_t) seq));
        }
    }
    free(bench.ring);
}

/* Row R17. */
static void log__forgets_that_a_cut_entry_was_durable(void **state) {
    (void) state;
    struct bench bench;
    open_log(&bench);
    add(&bench, 1, 1, 8);
    add(&bench, 1, 1, 8);
    raft_log_persisted(&bench.log, 1);
    assert_int_equal(bench.log.durable_seq, 2);
    raft_log_cut(&bench.log, 1);
    add(&bench, 2, 3, 8);
    raft_log_persisted(&bench.log, 2);
    assert_int_equal(bench.log.durable_seq, 1);
    raft_log_persisted(&bench.log, 3);
    assert_int_equal(bench.log.durable_seq, 2);
    free(bench.ring);
}

/* Rule 10: what others attest may become the base before this disk holds it, and a leader must not say that it does. */
static void log__is_kept_when_its_base_is_durable(void **state) {
    (void) state;
    struct bench bench;
    open_log(&bench);
    add(&bench, 1, 1, 8);
    add(&bench, 1, 2, 8);
    raft_log_persisted(&bench.log, 1);
    assert_int_equal(bench.log.kept_seq, 1);
    raft_log_rebase(&bench.log, 3, 2, 1);
    assert_int_equal(bench.log.durable_seq, 2);
    assert_int_equal(bench.log.kept_seq, 1);
    raft_log_persisted(&bench.log, 2);
    assert_int_equal(bench.log.kept_seq, 1);
    raft_log_persisted(&bench.log, 3);
    assert_int_equal(bench.log.kept_seq, 2);
    free(bench.ring);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(log__has_room_for_all_that_its_bytes_allow),
    cmocka_unit_test(log__forgets_that_a_cut_entry_was_durable),
    cmocka_unit_test(log__is_kept_when_its_base_is_durable),
};
TEST_CASES(cases);
