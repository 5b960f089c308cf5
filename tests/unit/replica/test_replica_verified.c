/*
 * A signature that verified is not checked again, by whatever way the same envelope comes again. Another signature of
 * the same envelope is.
 */
#include <string.h>

#include "tests/support/replica_bench.h"
#include "tests/support/test_main.h"

static struct ord_span batch;
static uint64_t batch_seq;
static bool decided;

static void decide_or_judge(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK)
        return;
    if (decided) {
        bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
            (struct ord_record) {.table = 1, .key = batch_seq, .bytes = batch};
        struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_DELIVER);
        effect->deliver.seq = batch_seq;
        effect->deliver.batch = batch;
    } else {
        struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_JUDGE);
        effect->judge.view = 1;
        effect->judge.seq = batch_seq;
        effect->judge.batch = batch;
    }
}

static void step(struct bench *bench, uint64_t seq, struct ord_span bytes, bool decide) {
    batch = bytes;
    batch_seq = seq;
    decided = decide;
    bench->on_step = decide_or_judge;
    bench->replica->agree.wake_at_ms = 0;
    bench_run(bench);
    bench->on_step = NULL;
    bench_check_all(bench);
    bench_run(bench);
}

static void forward(struct bench *bench, struct ord_span envelope) {
    struct ord_span bytes = net_batch(bench->net, 0, &envelope, 1);
    bench_message(bench, 2, REPLICA_LINK_FORWARD, bytes);
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
}

static void expect_counts(const struct bench *bench, uint64_t checked, uint64_t skipped, uint64_t bad) {
    assert_int_equal(replica_counters(bench->replica)->client_signatures_checked, checked);
    assert_int_equal(replica_counters(bench->replica)->client_signatures_skipped, skipped);
    assert_int_equal(replica_counters(bench->replica)->client_signatures_bad, bad);
}

static void signature__is_checked_once_by_any_way(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    step(bench, 1, bench_registration(bench), true);
    struct ord_span envelope = net_envelope(bench->net, bench->client, 1, 1, 20, 1);
    struct ord_span proposed = net_batch(bench->net, 0, &envelope, 1);
    step(bench, 2, proposed, false);
    expect_counts(bench, 1, 0, 0);
    /* It comes after the batch that has it. */
    forward(bench, envelope);
    expect_counts(bench, 1, 1, 0);
    /* A view change: it is proposed again, and stands in the pool. */
    step(bench, 3, proposed, false);
    expect_counts(bench, 1, 2, 0);
    /* It was ordered, and left the pool. */
    step(bench, 2, proposed, true);
    step(bench, 4, proposed, false);
    expect_counts(bench, 1, 3, 0);
    bench_destroy(bench);
}

static void signature__that_is_another_is_checked(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    step(bench, 1, bench_registration(bench), true);
    struct ord_span envelope = net_envelope(bench->net, bench->client, 1, 1, 20, 1);
    struct ord_span forged = net_copy(bench->net, envelope);
    ((uint8_t *) (uintptr_t) forged.data)[forged.size - 1] ^= 1;
    step(bench, 2, net_batch(bench->net, 0, &envelope, 1), false);
    forward(bench, forged);
    expect_counts(bench, 2, 0, 1);
    /* What did not verify is not remembered as good. */
    forward(bench, forged);
    expect_counts(bench, 3, 0, 2);
    bench_destroy(bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(signature__is_checked_once_by_any_way),
    cmocka_unit_test(signature__that_is_another_is_checked),
};

TEST_CASES(cases);
