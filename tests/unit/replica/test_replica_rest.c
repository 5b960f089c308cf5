/*
 * Attestations at rest. Nothing follows the newest executed seq, so it is attested although it is no point of
 * attestation. The next points fall where they would have fallen, also at replicas that came there by state transfer.
 */
#include "tests/support/replica_bench.h"
#include "tests/support/test_main.h"

enum { SEQS = 9, REST_SEQ = 4, EACH = 15 };

static struct ord_span batches[SEQS + 1];
static uint64_t last_seq;

static void decide(struct bench *bench, const struct ord_event *event) {
    uint64_t seq = channel_applied_seq(replica_channel(bench->replica)) + 1;
    if (event->type != ORD_EVENT_TICK || seq > last_seq)
        return;
    bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
        (struct ord_record) {.table = 1, .key = seq, .bytes = batches[seq]};
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_DELIVER);
    effect->deliver.seq = seq;
    effect->deliver.batch = batches[seq];
    bench_effect(bench, ORD_EFFECT_WAKE_AT);
}

static void execute(struct bench *bench, uint64_t last) {
    last_seq = last;
    bench->on_step = decide;
    while (channel_applied_seq(replica_channel(bench->replica)) < last) {
        bench->replica->agree.wake_at_ms = 0;
        bench_run(bench);
    }
    bench->on_step = NULL;
}

/* Two batches or three make a quarter of body_bytes_max, and there is no other reason for a point. */
static void points_by_few_bytes(struct channel_config *config) {
    config->max_message_count = 1000;
    config->batch_timeout_ms = 100000;
    config->window = 32;
    config->checkpoint_interval = 16;
    config->absolute_max_bytes = 2048;
    config->preferred_max_bytes = 20000;
    config->batch_bytes_max = 4000;
    config->body_bytes_max = 48000;
}

static void make_batches(struct bench *bench) {
    batches[1] = bench_registration(bench);
    for (uint64_t seq = 2; seq <= SEQS; seq++)
        batches[seq] = bench_batch(bench, (seq - 2) * EACH + 1, EACH);
}

/* Nothing happens for a second and the housekeeping after it. */
static void rest(struct bench *bench) {
    for (uint32_t i = 0; i < 12; i++) {
        bench->time.now_ms += 100;
        bench_run(bench);
    }
}

static uint64_t attested_seq(const struct bench *bench) {
    struct channel_attestation attestation;
    struct ord_span bytes;
    assert_true(bench_left(bench, REPLICA_LINK_ATTESTATION, &bytes) > 0);
    assert_ok(channel_attestation_decode(&attestation, bytes));
    return attestation.statement.seq;
}

static struct ord_hash digest_of(const struct bench *bench) {
    struct ord_hash digest;
    channel_state_digest(replica_channel(bench->replica), &digest);
    return digest;
}

/* Both executed the same, and only `rested` attested at REST_SEQ. All other points must be the same. */
static void expect_same_points(const struct bench *rested, const struct bench *other) {
    uint32_t points = 0;
    for (uint64_t seq = REST_SEQ + 1; seq <= SEQS; seq++) {
        const struct attest_point *ours = attest_find(rested->replica, seq);
        const struct attest_point *theirs = attest_find(other->replica, seq);
        assert_true((ours == NULL) == (theirs == NULL));
        points += ours != NULL;
        if (ours != NULL)
            assert_true(channel_statement_equal(&ours->statement, &theirs->statement));
    }
    assert_in_range(points, 1, SEQS - REST_SEQ - 1);
    const struct ord_hash ours = digest_of(rested);
    const struct ord_hash theirs = digest_of(other);
    assert_true(ord_hash_equal(&ours, &theirs));
}

static void rest__newest_seq_is_attested_once(void **state) {
    (void) state;
    struct bench *bench = bench_create(points_by_few_bytes);
    make_batches(bench);
    execute(bench, REST_SEQ);
    assert_null(attest_find(bench->replica, REST_SEQ));
    bench->time.now_ms += 200;
    bench_run(bench);
    bench->time.now_ms += 900;
    bench_run(bench);
    assert_null(attest_find(bench->replica, REST_SEQ)); /* not yet */
    rest(bench);
    assert_non_null(attest_find(bench->replica, REST_SEQ));
    assert_int_equal(attested_seq(bench), REST_SEQ);
    uint64_t made = replica_counters(bench->replica)->attestations_made;
    rest(bench);
    assert_int_equal(replica_counters(bench->replica)->attestations_made, made);
    /* A restart signs the same statement again, and makes no other one. */
    const struct channel_statement statement = attest_find(bench->replica, REST_SEQ)->statement;
    assert_ok(bench_restart(bench));
    bench_run(bench);
    rest(bench);
    assert_true(channel_statement_equal(&bench->replica->attest.newest.statement, &statement));
    bench_destroy(bench);
}

static void rest__moves_no_point(void **state) {
    (void) state;
    struct bench *rested = bench_create(points_by_few_bytes);
    struct bench *busy = bench_create_beside(rested, 1);
    make_batches(rested);
    execute(rested, REST_SEQ);
    rest(rested);
    assert_non_null(attest_find(rested->replica, REST_SEQ));
    assert_true(channel_progress(replica_channel(rested->replica))->bytes_since_point > 0);
    assert_ok(bench_restart(rested)); /* the count of bytes is on disk */
    execute(rested, SEQS);
    execute(busy, SEQS);
    assert_null(attest_find(busy->replica, REST_SEQ));
    expect_same_points(rested, busy);
    bench_destroy(busy);
    bench_destroy(rested);
}

/*
 * Row L2: a replica is alone in a later view, and the others are at rest. f + 1 attest the newest seq, and the replica
 * comes there by state transfer, with the bytes since the last point.
 */
static void rest__target_of_a_transfer_brings_the_count(void **state) {
    (void) state;
    struct bench *bench = bench_create(points_by_few_bytes);
    struct bench *source = bench_create_beside(bench, 1);
    struct bench *busy = bench_create_beside(bench, 2);
    make_batches(bench);
    execute(source, REST_SEQ);
    rest(source);
    bench->connected = ord_replica_bit(1);
    for (ord_node_id node = 1; node <= 2; node++) {
        struct channel_attestation attestation;
        uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
        const struct channel_statement *target = &attest_find(source->replica, REST_SEQ)->statement;
        assert_ok(channel_attest(&attestation, &bench->net->genesis_hash, target, node, &bench->net->signers[node]));
        channel_attestation_encode(bytes, &attestation);
        bench_message(bench, node, REPLICA_LINK_ATTESTATION, net_copy(bench->net, ord_span_of(bytes, sizeof(bytes))));
    }
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
    bench->time.now_ms += 10 * (uint64_t) bench->replica->setup.core_config.retransmit_ms;
    bench_run(bench);
    assert_true(bench->replica->sync.active);
    struct ord_span request;
    struct ord_span tail;
    assert_int_equal(bench_left(bench, REPLICA_LINK_SYNC_REQUEST, &request), 1);
    bench_message(source, 0, REPLICA_LINK_SYNC_REQUEST, request);
    bench_run(source);
    assert_int_equal(bench_left(source, REPLICA_LINK_SYNC_TAIL, &tail), 1);
    bench_message(bench, 1, REPLICA_LINK_SYNC_TAIL, tail);
    bench_run(bench);
    assert_int_equal(channel_applied_seq(replica_channel(bench->replica)), REST_SEQ);
    assert_int_equal(attested_seq(bench), REST_SEQ);
    execute(bench, SEQS);
    execute(busy, SEQS);
    expect_same_points(bench, busy);
    bench_destroy(busy);
    bench_destroy(source);
    bench_destroy(bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(rest__newest_seq_is_attested_once),
    cmocka_unit_test(rest__moves_no_point),
    cmocka_unit_test(rest__target_of_a_transfer_brings_the_count),
};

TEST_CASES(cases);
