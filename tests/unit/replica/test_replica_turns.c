/*
 * Views that end on schedule: a batch names its view exactly where the core says, and the core learns from what is
 * executed whose turn is passed over (channel/progress.h, bft/view/rotate.c). Row P8 in docs/adversary.md.
 */
#include <string.h>

#include "core/quorum.h"
#include "tests/support/replica_bench.h"
#include "tests/support/test_main.h"

enum { VIEW = 6 };

static void rotating(struct channel_config *config) {
    config->decisions_per_leader = 2;
}

static struct ord_span named_batch(struct bench *bench, bool names, uint64_t view, const struct ord_span *envelope) {
    uint8_t bytes[4096];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    if (names)
        channel_batch_begin_view(&writer, 0, view);
    else
        channel_batch_begin(&writer, 0);
    if (envelope != NULL)
        channel_batch_add(&writer, *envelope);
    assert_ok(channel_batch_end(&writer, envelope != NULL));
    return net_copy(bench->net, ord_writer_span(&writer));
}

/* ---- judging ---- */

static struct ord_span batch;
static uint64_t batch_seq;
static bool names_view;

static void judge_batch(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK)
        return;
    bench_effect(bench, ORD_EFFECT_JUDGE)->judge.view = VIEW;
    struct ord_effect *effect = &bench->effects[bench->effect_count - 1];
    effect->judge.seq = batch_seq;
    effect->judge.names_view = names_view;
    effect->judge.batch = batch;
}

static bool is_admissible(struct bench *bench, bool has_to, bool names, uint64_t view) {
    struct ord_span envelope = net_registration(bench->net, bench->client);
    batch = named_batch(bench, names, view, &envelope);
    names_view = has_to;
    bench->on_step = judge_batch;
    bench->replica->agree.wake_at_ms = 0;
    uint64_t before = bench->stepped[ORD_EVENT_JUDGED];
    batch_seq = before + 1;
    bench_run(bench);
    bench->on_step = NULL;
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], before + 1);
    return bench->last[ORD_EVENT_JUDGED].judged.admissible;
}

static void judge__wants_the_name_of_the_view_in_its_first_batch_alone(void **state) {
    (void) state;
    struct bench *bench = bench_create(rotating);
    assert_true(is_admissible(bench, true, true, VIEW));
    assert_false(is_admissible(bench, true, true, VIEW + 1));
    assert_false(is_admissible(bench, true, true, VIEW - 1));
    assert_false(is_admissible(bench, true, false, 0));
    assert_true(is_admissible(bench, false, false, 0));
    assert_false(is_admissible(bench, false, true, VIEW));
    assert_int_equal(bench->replica->counters.batches_refused, 4);
    bench_destroy(bench);
}

/* ---- proposing ---- */

static struct channel_batch proposed[4];
static uint32_t proposed_count;

static void note_proposed(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_PROPOSE)
        return;
    assert_ok(channel_batch_decode(&proposed[proposed_count++], net_copy(bench->net, event->propose.batch)));
    bench->status.names_view = false;
}

static void proposal__names_the_view_where_the_core_says(void **state) {
    (void) state;
    struct bench *bench = bench_create(rotating);
    proposed_count = 0;
    bench->replica->agree.leader = 0;
    bench->status = (struct ord_status) {.view = VIEW, .leading = true, .can_propose = true, .names_view = true};
    bench->on_step = note_proposed;
    for (uint32_t i = 0; i < 2; i++) {
        struct party *party = net_party(bench->net, 0, CRYPTO_ROLE_CLIENT, i == 0 ? "bea" : "cleo");
        struct ord_span envelope = net_registration(bench->net, party);
        (void) bench_submit(bench, &envelope, 1);
        bench_run(bench);
        bench_check_all(bench);
        bench_run(bench);
    }
    assert_int_equal(proposed_count, 2);
    assert_true(proposed[0].names_view);
    assert_int_equal(proposed[0].view, VIEW);
    assert_int_equal(proposed[0].envelope_count, 1);
    assert_false(proposed[1].names_view);
    bench_destroy(bench);
}

/* ---- what the core learns ---- */

static struct ord_span decided;
static uint64_t decided_seq;

static void decide(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK)
        return;
    bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
        (struct ord_record) {.table = 1, .key = decided_seq, .bytes = decided};
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_DELIVER);
    effect->deliver.seq = decided_seq;
    effect->deliver.batch = decided;
}

/* The next seq has a batch that names the view. */
static void execute_named(struct bench *bench, uint64_t view) {
    decided = named_batch(bench, true, view, NULL);
    decided_seq = channel_applied_seq(replica_channel(bench->replica)) + 1;
    bench->on_step = decide;
    bench->replica->agree.wake_at_ms = 0;
    bench_run(bench);
    bench->on_step = NULL;
    assert_int_equal(channel_applied_seq(replica_channel(bench->replica)), decided_seq);
}

static ord_replica_set leader_of(const struct bench *bench, uint64_t view) {
    return ord_replica_bit(ord_leader_of_view(&bench->net->genesis_hash, 4, view));
}

static void core__learns_whose_turn_is_passed_over(void **state) {
    (void) state;
    struct bench *bench = bench_create(rotating);
    assert_int_equal(bench->last[ORD_EVENT_START].start.pass_over, 0);
    execute_named(bench, 0);
    assert_int_equal(bench->last[ORD_EVENT_APPLIED].applied.seq, 1);
    assert_int_equal(bench->last[ORD_EVENT_APPLIED].applied.pass_over, 0);
    execute_named(bench, 1); /* view 0 ended after one seq of two */
    assert_int_equal(bench->last[ORD_EVENT_APPLIED].applied.pass_over, leader_of(bench, 0));
    /* It is on disk. */
    assert_ok(bench_restart(bench));
    assert_int_equal(bench->last[ORD_EVENT_START].start.applied_seq, 2);
    assert_int_equal(bench->last[ORD_EVENT_START].start.pass_over, leader_of(bench, 0));
    execute_named(bench, 2);
    assert_int_equal(bench->last[ORD_EVENT_APPLIED].applied.pass_over, leader_of(bench, 1));
    bench_destroy(bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(judge__wants_the_name_of_the_view_in_its_first_batch_alone),
    cmocka_unit_test(proposal__names_the_view_where_the_core_says),
    cmocka_unit_test(core__learns_whose_turn_is_passed_over),
};
TEST_CASES(cases);
