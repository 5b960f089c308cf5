/* START: what a disk holds is read back, and records that this code does not write are refused. */
#include <string.h>

#include "tests/support/raft_one.h"

enum { EPOCH = 3, RECORDS_MAX = 20 };

/* The records of a disk. */
struct disk {
    struct ord_record records[RECORDS_MAX];
    size_t count;
    uint8_t bytes[8192];
    size_t used;
};

static uint8_t *add(struct disk *disk, uint8_t table, uint64_t key, struct ord_span bytes) {
    uint8_t *at = disk->bytes + disk->used;
    assert_true(disk->count < RECORDS_MAX && disk->used + bytes.size <= sizeof(disk->bytes));
    memcpy(at, bytes.data, bytes.size);
    disk->used += bytes.size;
    disk->records[disk->count++] = (struct ord_record) {table, key, ord_span_of(at, bytes.size)};
    return at;
}

static uint8_t *add_entry(struct disk *disk, uint64_t seq, uint64_t term, size_t size) {
    uint8_t record[RAFT_ENTRY_HEAD_SIZE + 300] = {0};
    ord_store_u64(record, EPOCH);
    ord_store_u64(record + 8, term);
    return add(disk, RAFT_TABLE_LOG, seq, ord_span_of(record, RAFT_ENTRY_HEAD_SIZE + size));
}

static uint8_t *add_hard(struct disk *disk, const struct raft_hard *hard) {
    uint8_t bytes[RAFT_HARD_SIZE];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    raft_hard_encode(&writer, EPOCH, hard);
    return add(disk, RAFT_TABLE_HARD, 1, ord_writer_span(&writer));
}

static uint8_t *add_bindings(struct disk *disk) {
    static const struct raft_bindings bindings = {.of = {[1] = {.acked_term = 2, .acked_seq = 5}}};
    uint8_t bytes[RAFT_BINDINGS_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    raft_bindings_encode(&writer, EPOCH, 3, &bindings);
    return add(disk, RAFT_TABLE_BINDINGS, 1, ord_writer_span(&writer));
}

static uint8_t *add_point(struct disk *disk, uint64_t seq, uint64_t term, size_t certificate_size) {
    uint8_t certificate[16] = {0};
    uint8_t bytes[RAFT_POINT_HEAD_SIZE + sizeof(certificate)];
    ord_store_u64(certificate, seq);
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    raft_point_encode(&writer, EPOCH, seq, term, ord_span_of(certificate, certificate_size));
    return add(disk, RAFT_TABLE_POINT, 1, ord_writer_span(&writer));
}

/* A replica that has executed 5 of 6 seqs in terms 2 and 3, and cut its log at 4. */
static void fill(struct disk *disk) {
    memset(disk, 0, sizeof(*disk));
    (void) add_entry(disk, 5, 2, 8);
    (void) add_entry(disk, 6, 3, 0);
    (void) add_hard(disk, &(struct raft_hard) {.term = 4, .vote = 2});
    (void) add_bindings(disk);
    (void) add_point(disk, 4, 2, RAFT_NET_POINT);
}

/* Which of the records of `fill` is which. */
enum { ENTRY, LAST_ENTRY, HARD, BINDINGS, POINT };

/* Starts replica 0 of `count`. The caller frees the core. */
static enum ord_err start(struct ord_core **core, struct disk *disk, uint32_t count, uint64_t applied_seq) {
    options = raft_net_options();
    const struct ord_core_config config = {.replica_count = count,
                                           .epoch = EPOCH,
                                           .window = 16,
                                           .checkpoint_interval = 4,
                                           .batch_bytes_max = 256,
                                           .body_bytes_max = 2048,
                                           .retransmit_ms = 50,
                                           .options = &options};
    const size_t size = raft_protocol.memory_size(&config);
    void *memory = malloc(size);
    assert_non_null(memory);
    assert_ok(raft_protocol.init(core, memory, size, &config, NULL, 1));
    const struct ord_event event = {
        .type = ORD_EVENT_START,
        .turn = 1,
        .start = {.records = disk->records, .record_count = disk->count, .applied_seq = applied_seq}};
    struct ord_effects effects;
    enum ord_err err = raft_protocol.step(*core, &effects, &event);
    assert_true(err == ORD_OK || effects.count == 0);
    return err;
}

static void expect(struct disk *disk, uint32_t count, uint64_t applied_seq, enum ord_err err) {
    struct ord_core *core;
    assert_err(start(&core, disk, count, applied_seq), err);
    free(core);
}

static void start__reads_back_what_was_kept(void **state) {
    (void) state;
    struct disk disk;
    struct ord_core *core;
    fill(&disk);
    assert_ok(start(&core, &disk, 3, 5));
    struct ord_status status;
    raft_protocol.status(core, &status);
    assert_true(status.view == 4 && status.delivered_seq == 5 && status.proposed_seq == 6 && status.stable_seq == 4);
    assert_true(status.asking && !status.silent && status.stable_certificate.size == RAFT_NET_POINT);
    assert_int_equal(core->hard.vote, 2);
    assert_int_equal(core->bindings.of[1].acked_seq, 5);
    assert_true(core->log.base_seq == 4 && core->log.base_term == 2 && raft_log_last_term(&core->log) == 3);
    assert_true(core->log.durable_seq == 6 && core->log.kept_seq == 6);
    free(core);
}

/* A transfer may have ended where no certificate was yet. */
static void start__at_a_point_without_certificate_has_nothing_stable(void **state) {
    (void) state;
    struct disk disk;
    struct ord_core *core;
    memset(&disk, 0, sizeof(disk));
    (void) add_hard(&disk, &(struct raft_hard) {.term = 4, .vote = ORD_NO_NODE});
    (void) add_point(&disk, 4, 2, 0);
    assert_ok(start(&core, &disk, 3, 4));
    struct ord_status status;
    raft_protocol.status(core, &status);
    assert_true(status.stable_seq == 0 && status.delivered_seq == 4 && status.proposed_seq == 4);
    free(core);
}

/* One byte of one record is another one. */
static void start__refuses_a_record_with_another_field(void **state) {
    (void) state;
    static const struct {
        size_t record;
        size_t at;
        uint8_t value;
    } changes[] = {
        {ENTRY, 7, EPOCH + 1},    /* epoch */
        {ENTRY, 15, 0},           /* term 0 */
        {LAST_ENTRY, 15, 1},      /* terms fall */
        {LAST_ENTRY, 15, 5},      /* above the replica's own term */
        {HARD, 7, EPOCH + 1},     /* epoch */
        {HARD, 19, 3},            /* voted for replica 3 of three */
        {HARD, 20, 8},            /* a flag without meaning */
        {HARD, 15, 2},            /* the log ends in term 3 */
        {BINDINGS, 7, EPOCH + 1}, /* epoch */
        {BINDINGS, 8, 4},         /* of four replicas */
        {POINT, 7, EPOCH + 1},    /* epoch */
        {POINT, 15, 0},           /* seq 0 */
        {POINT, 8, 0x40},         /* too high a seq */
        {POINT, 23, 0},           /* term 0 */
        {POINT, 16, 0x40},        /* too high a term */
        {POINT, 27, 7},           /* another size of the certificate */
        {POINT, 15, 3},           /* the log leaves a seq out behind it */
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct disk disk;
        fill(&disk);
        disk.bytes[(size_t) (disk.records[changes[i].record].bytes.data - disk.bytes) + changes[i].at] =
            changes[i].value;
        struct ord_core *core;
        enum ord_err err = start(&core, &disk, 3, 5);
        free(core);
        if (err != ORD_ERR_CORRUPT)
            fail_msg("change %zu: %s", i, ord_err_name(err));
    }
}

static void start__refuses_a_record_of_another_size(void **state) {
    (void) state;
    for (size_t record = HARD; record <= POINT; record++)
        for (int more = -1; more <= 1; more += 2) {
            struct disk disk;
            fill(&disk);
            disk.records[record].bytes.size += (size_t) more;
            expect(&disk, 3, 5, ORD_ERR_CORRUPT);
        }
    for (size_t size = 0; size < RAFT_ENTRY_HEAD_SIZE; size++) {
        struct disk disk;
        fill(&disk);
        disk.records[LAST_ENTRY].bytes.size = size;
        expect(&disk, 3, 5, ORD_ERR_CORRUPT);
    }
}

static void start__refuses_a_table_without_meaning(void **state) {
    (void) state;
    static const uint8_t tables[] = {0, 5, 255};
    for (size_t i = 0; i < sizeof(tables); i++) {
        struct disk disk;
        fill(&disk);
        disk.records[POINT].table = tables[i];
        expect(&disk, 3, 5, ORD_ERR_CORRUPT);
    }
}

static void start__refuses_more_than_a_log_can_hold(void **state) {
    (void) state;
    struct disk disk;
    for (uint32_t count = 8; count <= 9; count++) {
        memset(&disk, 0, sizeof(disk));
        for (uint64_t seq = 1; seq <= count; seq++)
            (void) add_entry(&disk, seq, 1, 256); /* 2048 bytes fit */
        (void) add_hard(&disk, &(struct raft_hard) {.term = 1, .vote = ORD_NO_NODE});
        expect(&disk, 3, 0, count == 8 ? ORD_OK : ORD_ERR_CORRUPT);
    }
    memset(&disk, 0, sizeof(disk));
    (void) add_entry(&disk, 1, 1, 257);
    (void) add_hard(&disk, &(struct raft_hard) {.term = 1, .vote = ORD_NO_NODE});
    expect(&disk, 3, 0, ORD_ERR_CORRUPT);
}

/* What is executed lies within the log, or a transfer was cut off. */
static void start__compares_what_is_executed_with_the_log(void **state) {
    (void) state;
    struct disk disk;
    fill(&disk);
    expect(&disk, 3, 3, ORD_ERR_CORRUPT); /* the base is 4 */
    fill(&disk);
    expect(&disk, 3, 4, ORD_OK);
    fill(&disk);
    struct ord_core *core;
    assert_ok(start(&core, &disk, 3, 9));
    assert_int_equal(core->commit_seq, 6);
    free(core);
    memset(&disk, 0, sizeof(disk));
    expect(&disk, 3, 1, ORD_ERR_CORRUPT); /* nothing is on disk but the ledger */
    expect(&disk, 3, 0, ORD_OK);
}

/* Rule 12: a channel of one has nobody to contradict, and nobody who could end its silence. */
static void start__alone_is_not_silent(void **state) {
    (void) state;
    struct disk disk;
    struct ord_core *core;
    memset(&disk, 0, sizeof(disk));
    assert_ok(start(&core, &disk, 1, 0));
    assert_true(raft_speaks(core));
    free(core);
    memset(&disk, 0, sizeof(disk));
    assert_ok(start(&core, &disk, 3, 0));
    assert_true(core->hard.silent && !raft_speaks(core));
    free(core);
    (void) add_hard(&disk, &(struct raft_hard) {.term = 1, .vote = ORD_NO_NODE, .silent = true});
    expect(&disk, 3, 0, ORD_OK);
    expect(&disk, 1, 0, ORD_ERR_CORRUPT);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(start__reads_back_what_was_kept),
    cmocka_unit_test(start__at_a_point_without_certificate_has_nothing_stable),
    cmocka_unit_test(start__refuses_a_record_with_another_field),
    cmocka_unit_test(start__refuses_a_record_of_another_size),
    cmocka_unit_test(start__refuses_a_table_without_meaning),
    cmocka_unit_test(start__refuses_more_than_a_log_can_hold),
    cmocka_unit_test(start__compares_what_is_executed_with_the_log),
    cmocka_unit_test(start__alone_is_not_silent),
};
TEST_CASES(cases);
