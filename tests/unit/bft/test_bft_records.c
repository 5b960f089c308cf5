/*
 * START: which records a core accepts as its own statements, and what it does with records that later views made void
 * (docs/protocol.md, rule 13). test_bft_recover.c and test_bft_view_restart.c test what a restart continues with.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_asking.h"

/* A replica that is down, with an empty disk. */
static void prepare_disk(struct bench *bench, const struct ord_core_config *config) {
    memset(bench, 0, sizeof(*bench));
    bench->config = *config;
    bench->now_ms = 1000;
    host_init(&bench->host, &bench->config);
}

/* Appends a record. Records are in the order of table and key, unless a test breaks that order on purpose. */
static void put(struct bench *bench, uint8_t table, uint64_t key, struct ord_span bytes) {
    struct host_records *disk = &bench->host.disk;
    disk->items = realloc(disk->items, (disk->count + 1) * sizeof(*disk->items));
    uint8_t *copy = malloc(bytes.size);
    assert_non_null(disk->items);
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.size);
    disk->items[disk->count++] = (struct host_record) {table, key, copy, bytes.size};
    disk->capacity = disk->count;
}

static void put_log(struct bench *bench, uint64_t view, uint64_t seq, const char *batch) {
    ord_node_id primary = bft_primary(&bench->config, view);
    put(bench, BFT_TABLE_LOG, seq, make_pre_prepare(&bench->config, primary, view, seq, batch));
}

static void put_certificate(struct bench *bench, uint64_t key, uint64_t view, uint64_t seq, const char *batch) {
    uint8_t bytes[4096];
    const struct prepared prepared = {.seq = seq, .view = view, .digest = digest_of(batch)};
    size_t size = make_certificate(bytes, sizeof(bytes), &bench->config, &prepared);
    put(bench, BFT_TABLE_CERTIFICATE, key, ord_span_of(bytes, size));
}

/* Puts the NEW-VIEW of view 2 with this base on the disk; it proposes nothing again. */
static void put_new_view(struct bench *bench, uint64_t base_seq) {
    static struct changes changes;
    for (ord_node_id node = 0; node < 3; node++)
        (void) changes_keep(&changes, node, make_view_change(&bench->config, node, 2, base_seq, NULL, 0));
    put(bench, BFT_TABLE_NEW_VIEW, 1, make_new_view(&bench->config, 2, base_seq, NULL, 0, changes.of));
}

static void assert_start(struct bench *bench, enum ord_err expected) {
    assert_err(host_start(&bench->host, bench->now_ms), expected);
    bench_close(bench);
}

static void records__that_are_no_words_of_its_own_are_corrupt(void **state) {
    (void) state;
    struct bench bench;
    const struct ord_core_config config = test_config(1);
    prepare_disk(&bench, &config);
    put(&bench, 0, 1, ord_span_of("x", 1)); /* no such table */
    assert_start(&bench, ORD_ERR_CORRUPT);
    prepare_disk(&bench, &config);
    put(&bench, BFT_TABLE_SILENCE + 1, 1, ord_span_of("x", 1)); /* nor this one */
    assert_start(&bench, ORD_ERR_CORRUPT);
    prepare_disk(&bench, &config);
    put_log(&bench, 0, 1, "a"); /* the same record twice */
    put_log(&bench, 0, 1, "a");
    assert_start(&bench, ORD_ERR_CORRUPT);
    prepare_disk(&bench, &config);
    bench.host.durable_applied = 4;
    uint8_t stable[STAND_IN_CHECKPOINT_SIZE];
    put(&bench, BFT_TABLE_CHECKPOINT, 1, stand_in_checkpoint(stable, &test_crypto, 4));
    put_log(&bench, 0, 5, "a"); /* its table comes before that of the last record */
    assert_start(&bench, ORD_ERR_CORRUPT);
    prepare_disk(&bench, &config);
    put_log(&bench, 0, 1, "a");
    put_certificate(&bench, 1, 0, 2, "a"); /* its key is another seq */
    assert_start(&bench, ORD_ERR_CORRUPT);
    prepare_disk(&bench, &config);
    put_log(&bench, 0, 1, "a");
    put_certificate(&bench, 1, 1, 1, "a"); /* of a view that this replica was never in */
    assert_start(&bench, ORD_ERR_CORRUPT);
    prepare_disk(&bench, &config);
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE + 1] = {0};
    put(&bench, BFT_TABLE_CHECKPOINT, 1, ord_span_of(checkpoint, sizeof(checkpoint)));
    assert_start(&bench, ORD_ERR_CORRUPT);
    prepare_disk(&bench, &config);
    put(&bench, BFT_TABLE_CHECKPOINT, 1, stand_in_checkpoint(checkpoint, &test_crypto, 4)); /* nothing was executed */
    assert_start(&bench, ORD_ERR_CORRUPT);
}

/* Statements that cannot be remembered could be contradicted, so they are refused. */
static void records__beyond_what_memory_holds_are_refused(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    config.window = 16;
    config.body_bytes_max = 4 * (uint64_t) config.batch_bytes_max;
    char batch[65];
    memset(batch, 'x', 64);
    batch[64] = '\0';
    for (uint64_t count = 8; count <= 9; count++) { /* twice the memory for batches holds 8 */
        struct bench bench;
        prepare_disk(&bench, &config);
        for (uint64_t seq = 1; seq <= count; seq++)
            put_log(&bench, 0, seq, batch);
        assert_start(&bench, count == 8 ? ORD_OK : ORD_ERR_NO_SPACE);
    }
}

/* The VIEW-CHANGE that it makes when two others are ahead. The turn before is over. */
static struct bft_view_change next_change(struct bench *bench) {
    static struct changes changes;
    static struct bft_view_change change_made;
    change(bench, &changes, 0, 5, 0, NULL, 0);
    change(bench, &changes, 1, 5, 0, NULL, 0);
    turn_ends(bench);
    assert_ok(bft_view_change_decode(&change_made, &bench->config, sent_message(bench, BFT_VIEW_CHANGE)));
    return change_made;
}

/*
 * A NEW-VIEW makes nothing void below its base. There, a null batch was prepared in view 1 after a batch had been
 * logged in view 0, and the other way round. The later one counts.
 */
static void records__below_the_base_the_later_view_counts(void **state) {
    (void) state;
    struct bench bench;
    const struct ord_core_config config = test_config(3);
    prepare_disk(&bench, &config);
    put_log(&bench, 0, 3, "a");
    put_certificate(&bench, 3, 1, 3, "");
    put_new_view(&bench, 6);
    assert_ok(host_start(&bench.host, bench.now_ms));
    assert_int_equal(status_of(&bench).body_bytes, 0);
    turn_ends(&bench);
    struct bft_view_change made = next_change(&bench);
    struct bft_statement told;
    struct ord_span certificate;
    assert_int_equal(made.certificate_count, 1);
    assert_true(bft_view_change_next(&told, &certificate, &made.certificates, &config));
    const struct ord_hash null_digest = digest_of("");
    assert_int_equal(told.seq, 3);
    assert_int_equal(told.view, 1);
    assert_true(ord_hash_equal(&told.digest, &null_digest));
    bench_close(&bench);

    prepare_disk(&bench, &config);
    put_log(&bench, 1, 3, "a");
    put_certificate(&bench, 3, 0, 3, "b");
    put_new_view(&bench, 6);
    assert_ok(host_start(&bench.host, bench.now_ms));
    assert_int_equal(status_of(&bench).body_bytes, 1); /* the batch is kept, its certificate is not */
    turn_ends(&bench);
    assert_int_equal(next_change(&bench).certificate_count, 0);
    bench_close(&bench);
}

/* A core that does not start leads nothing, although it is the primary of view 0. */
static void records__that_are_corrupt_leave_nobody_to_lead(void **state) {
    (void) state;
    struct bench bench;
    const struct ord_core_config config = test_config(0);
    prepare_disk(&bench, &config);
    put(&bench, 0, 1, ord_span_of("x", 1));
    assert_err(host_start(&bench.host, bench.now_ms), ORD_ERR_CORRUPT);
    assert_false(status_of(&bench).leading);
    assert_false(status_of(&bench).can_propose);
    bench_close(&bench);
}

/* Table 6 has one form, and each of its values has a range. */
static void records__of_a_silence_that_cannot_be_are_corrupt(void **state) {
    (void) state;
    static const struct {
        size_t size;
        uint64_t bound_seq;
        uint64_t floor_view;
        uint8_t kept;
        enum ord_err expected;
    } records[] = {
        {BFT_SILENCE_SIZE, 8, 1, BFT_SILENCE_SILENT, ORD_OK},
        {BFT_SILENCE_SIZE, 0, 0, BFT_SILENCE_EMPTY, ORD_OK},
        {BFT_SILENCE_SIZE, 0, 0, BFT_SILENCE_SPEAKS, ORD_OK},
        {BFT_SILENCE_SIZE, BFT_SEQ_MAX, BFT_SEQ_MAX, BFT_SILENCE_SILENT, ORD_OK},
        {BFT_SILENCE_SIZE - 1, 8, 1, BFT_SILENCE_SILENT, ORD_ERR_CORRUPT},
        {BFT_SILENCE_SIZE + 1, 8, 1, BFT_SILENCE_SILENT, ORD_ERR_CORRUPT},
        {1, 8, 1, BFT_SILENCE_SILENT, ORD_ERR_CORRUPT},
        {BFT_SILENCE_SIZE, BFT_SEQ_MAX + 1, 1, BFT_SILENCE_SILENT, ORD_ERR_CORRUPT},
        {BFT_SILENCE_SIZE, 8, BFT_SEQ_MAX + 1, BFT_SILENCE_SILENT, ORD_ERR_CORRUPT},
        {BFT_SILENCE_SIZE, UINT64_MAX, UINT64_MAX, BFT_SILENCE_SILENT, ORD_ERR_CORRUPT},
        {BFT_SILENCE_SIZE, 0, 0, BFT_SILENCE_NONE, ORD_ERR_CORRUPT},
        {BFT_SILENCE_SIZE, 0, 0, BFT_SILENCE_SPEAKS + 1, ORD_ERR_CORRUPT},
        {BFT_SILENCE_SIZE, 0, 0, UINT8_MAX, ORD_ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        struct bench bench;
        const struct ord_core_config config = test_config(1);
        uint8_t bytes[BFT_SILENCE_SIZE + 1] = {0};
        prepare_disk(&bench, &config);
        ord_store_u64(bytes, records[i].bound_seq);
        ord_store_u64(bytes + 8, records[i].floor_view);
        bytes[16] = records[i].kept;
        put(&bench, BFT_TABLE_SILENCE, 1, ord_span_of(bytes, records[i].size));
        bench.host.asks = true;
        assert_err(host_start(&bench.host, bench.now_ms), records[i].expected);
        if (records[i].expected == ORD_OK) {
            assert_int_equal(status_of(&bench).silent, records[i].kept == BFT_SILENCE_SILENT);
            assert_int_equal(status_of(&bench).silent_until_seq, records[i].bound_seq);
        }
        bench_close(&bench);
    }
}

/*
 * A disk with blocks but without records is not an empty disk, and that others are further is no reason to be silent.
 */
static void records__may_all_be_gone_from_a_disk_that_has_blocks(void **state) {
    (void) state;
    for (uint64_t applied = 0; applied <= 2; applied += 2) {
        struct bench bench;
        const struct ord_core_config config = test_config(1);
        prepare_disk(&bench, &config);
        bench.host.durable_applied = applied;
        bench.host.applied = applied;
        bench.host.asks = true;
        assert_ok(host_start(&bench.host, bench.now_ms));
        assert_ok(recall(&bench, 2, 4, 6, NULL));
        assert_ok(recall(&bench, 3, 4, 4, NULL));
        assert_int_equal(status_of(&bench).silent, applied == 0);
        bench_close(&bench);
    }
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(records__that_are_no_words_of_its_own_are_corrupt),
    cmocka_unit_test(records__beyond_what_memory_holds_are_refused),
    cmocka_unit_test(records__that_are_corrupt_leave_nobody_to_lead),
    cmocka_unit_test(records__of_a_silence_that_cannot_be_are_corrupt),
    cmocka_unit_test(records__may_all_be_gone_from_a_disk_that_has_blocks),
    cmocka_unit_test(records__below_the_base_the_later_view_counts),
};
TEST_CASES(cases);
