/* A primary that endlessly orders useless batches: bft/view/useless.c. Row P18 in docs/adversary.md. */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

/* Everything up to `seq` was executed; the last useful seq is `useful_seq`. */
static void applied(struct bench *bench, uint64_t seq, uint64_t useful_seq) {
    struct ord_event event = {.type = ORD_EVENT_APPLIED, .now_ms = bench->now_ms};
    event.applied.seq = seq;
    event.applied.useful_seq = useful_seq;
    assert_ok(host_step(&bench->host, &event));
    turn_ends(bench);
}

static bool suspects(const struct bench *bench) {
    return bench->host.core->detail.suspecting;
}

/* The window has eight seqs. */
static void batches__of_no_use_are_too_many_beyond_a_window(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    applied(&bench, 8, 0);
    assert_false(suspects(&bench));
    applied(&bench, 9, 0); /* nothing waits, and no clock runs */
    assert_true(suspects(&bench));
    applied(&bench, 10, 10);
    assert_false(suspects(&bench));
    applied(&bench, 18, 10);
    assert_false(suspects(&bench));
    applied(&bench, 19, 11); /* several in one step, one of them useful */
    assert_false(suspects(&bench));
    applied(&bench, 20, 11);
    assert_true(suspects(&bench));
    assert_int_equal(status_of(&bench).view, 0);
    all_suspect(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

/*
 * A NEW-VIEW may contain null batches and batches that are ordered twice. The new primary is not to blame for them, nor
 * for its predecessor.
 */
static void batches__of_a_new_view_do_not_count(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    applied(&bench, 7, 0);
    time_out(&bench, &changes);
    const struct prepared prepared = {.seq = 8, .digest = digest_of("b")};
    struct ord_hash digests[8];
    for (int i = 0; i < 8; i++)
        digests[i] = digest_of(i == 7 ? "b" : "");
    change(&bench, &changes, 1, 1, 0, &prepared, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, digests, 8);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    applied(&bench, 16, 0);
    assert_false(suspects(&bench));
    applied(&bench, 17, 0);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/* Batches that came by state transfer, or were executed before a restart, do not count. */
static void batches__before_this_core_knew_do_not_count(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    bench_open(&bench, 2);
    bench_open(&source, 3);
    source.host.durable_applied = 100;
    applied(&bench, 9, 0);
    assert_true(suspects(&bench));
    host_attested(&bench.host, 100, bench.now_ms);
    host_sync_from(&bench.host, &source.host, 100, bench.now_ms);
    turn_ends(&bench);
    assert_false(suspects(&bench));
    applied(&bench, 108, 0);
    assert_false(suspects(&bench));
    applied(&bench, 109, 0);
    assert_true(suspects(&bench));
    bench_close(&source);
    bench_close(&bench);
    bench_open(&bench, 1);
    decide(&bench, 1, "x");
    decide(&bench, 2, "x");
    host_crash(&bench.host);
    assert_ok(host_start(&bench.host, bench.now_ms));
    applied(&bench, 10, 0);
    assert_false(suspects(&bench));
    applied(&bench, 11, 0);
    assert_true(suspects(&bench));
    bench_close(&bench);
}

/*
 * A transfer that changed nothing hides useless batches only, and they count. Otherwise a primary could make a backup
 * fall behind in each window, and order void batches for ever.
 */
static void batches__that_a_transfer_hid_count_if_it_changed_nothing(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    applied(&bench, 3, 1);
    struct ord_event event = {.type = ORD_EVENT_SYNCED, .now_ms = bench.now_ms, .synced = {.unchanged = true}};
    uint8_t certificate[STAND_IN_CHECKPOINT_SIZE];
    const struct {
        uint64_t seq;
        bool unchanged;
        bool suspects;
    } transfers[] = {{8, true, false}, {10, true, true}, {16, false, false}, {24, true, false}, {25, true, true}};
    for (size_t i = 0; i < sizeof(transfers) / sizeof(transfers[0]); i++) {
        const uint64_t seq = transfers[i].seq;
        host_attested(&bench.host, seq, bench.now_ms);
        event.synced.seq = seq;
        event.synced.stable_seq = seq;
        event.synced.certificate = stand_in_checkpoint(certificate, bench.config.crypto, seq);
        event.synced.unchanged = transfers[i].unchanged;
        bench.host.applied = seq;
        bench.host.told_applied = seq;
        bench.host.sync_seq = 0;
        assert_ok(host_step(&bench.host, &event));
        turn_ends(&bench);
        assert_int_equal(suspects(&bench), transfers[i].suspects);
    }
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(batches__of_no_use_are_too_many_beyond_a_window),
    cmocka_unit_test(batches__of_a_new_view_do_not_count),
    cmocka_unit_test(batches__that_a_transfer_hid_count_if_it_changed_nothing),
    cmocka_unit_test(batches__before_this_core_knew_do_not_count),
};
TEST_CASES(cases);
