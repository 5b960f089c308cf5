/*
 * A signature that verified is not checked again, by whatever way the same envelope comes again. Another signature of
 * the same envelope is.
 */
#include <string.h>

#include "core/codec.h"
#include "crypto/x509.h"
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
    /* What did not verify is not remembered as good. Who forwarded it is muted for a second. */
    bench->time.now_ms += 1000;
    forward(bench, forged);
    expect_counts(bench, 3, 0, 2);
    bench_destroy(bench);
}

/* The first forgery of a batch ends its check. The signatures behind it are not checked, and not counted. */
static void signature__that_was_not_checked_is_not_counted(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    step(bench, 1, bench_registration(bench), true);
    struct ord_span envelopes[5];
    for (uint8_t i = 0; i < 5; i++)
        envelopes[i] = net_copy(bench->net, net_envelope(bench->net, bench->client, 1 + i, 1, 20, 1));
    ((uint8_t *) (uintptr_t) envelopes[1].data)[envelopes[1].size - 1] ^= 1;
    step(bench, 2, net_batch(bench->net, 0, envelopes, 5), false);
    expect_counts(bench, 2, 0, 1);
    bench_destroy(bench);
}

/* ---- certificates ---- */

/* Every verification of a certificate, and those among them that are outside of checks: the loop would do them. */
static uint32_t verified_in_all;
static bool in_checks;
static uint32_t verified_in_loop;

enum ord_err __real_crypto_identity_verify(struct crypto_identity *out, struct ord_span cert, struct ord_span ca);
enum ord_err __wrap_crypto_identity_verify(struct crypto_identity *out, struct ord_span cert, struct ord_span ca);
enum ord_err __wrap_crypto_identity_verify(struct crypto_identity *out, struct ord_span cert, struct ord_span ca) {
    verified_in_all++;
    verified_in_loop += !in_checks;
    return __real_crypto_identity_verify(out, cert, ca);
}

static void run_checks(struct bench *bench) {
    while (bench->check_count > 0) {
        in_checks = true;
        bench_check_all(bench);
        in_checks = false;
        bench_run(bench);
    }
}

static void expect_verified(uint32_t count) {
    assert_int_equal(verified_in_loop, 0);
    assert_int_equal(verified_in_all, count);
    verified_in_all = 0;
}

/* A registration whose certificate is nobody's: some bytes of its signature are changed. */
static struct ord_span forged_registration(struct bench *bench, uint32_t number) {
    struct channel_envelope envelope;
    struct ord_span certificate;
    struct ord_span good = net_registration(bench->net, bench->client);
    assert_ok(channel_envelope_decode(&envelope, good));
    struct ord_span transactions = envelope.transactions;
    assert_ok(channel_envelope_next(&certificate, &transactions));
    struct ord_span forged = net_copy(bench->net, certificate);
    ord_store_u32((uint8_t *) (uintptr_t) forged.data + forged.size - 8, number);
    crypto_cert_fingerprint(&envelope.client, forged);
    uint8_t bytes[CRYPTO_CERT_DER_MAX + 512];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_envelope_encode(&writer, &envelope, &forged, 1, NULL));
    return net_copy(bench->net, ord_writer_span(&writer));
}

static struct ord_span forged_batch(struct bench *bench, uint32_t count) {
    struct ord_span envelopes[200];
    for (uint32_t i = 0; i < count; i++)
        envelopes[i] = forged_registration(bench, i);
    return net_batch(bench->net, 0, envelopes, count);
}

static void propose(struct bench *bench, uint64_t seq, struct ord_span bytes) {
    batch = bytes;
    batch_seq = seq;
    decided = false;
    bench->on_step = decide_or_judge;
    bench->replica->agree.wake_at_ms = 0;
    bench_run(bench);
    bench->on_step = NULL;
    run_checks(bench);
}

static enum replica_verdict submit_one(struct bench *bench, struct ord_span envelope) {
    (void) bench_submit(bench, &envelope, 1);
    bench_run(bench);
    run_checks(bench);
    return bench->answered->results[0].verdict;
}

/* Rows K12 and K13: whatever has ended since, an envelope that waits here or was ordered is not refused. */
static void envelope__that_is_here_is_not_refused_when_its_certificate_has_expired(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    step(bench, 1, bench_registration(bench), true);
    struct ord_span waits = net_envelope(bench->net, bench->client, 1, 1, 20, 1);
    struct ord_span other = net_envelope(bench->net, bench->client, 1, 1, 20, 2);
    struct ord_span fresh = net_envelope(bench->net, bench->client, 2, 1, 20, 3);
    assert_int_equal(submit_one(bench, waits), REPLICA_ACCEPTED);
    assert_int_equal(submit_one(bench, other), REPLICA_TAKEN);
    bench->time.wall_s += INT64_C(100) * 365 * 86400;
    bench->time.room = false;
    assert_int_equal(submit_one(bench, waits), REPLICA_ACCEPTED);
    step(bench, 2, net_batch(bench->net, 0, &waits, 1), true);
    assert_int_equal(submit_one(bench, waits), REPLICA_ORDERED);
    assert_true(bench->answered->results[0].ordered);
    assert_int_equal(submit_one(bench, other), REPLICA_ORDERED);
    assert_int_equal(submit_one(bench, net_registration(bench->net, bench->client)), REPLICA_ORDERED);
    bench->time.room = true;
    assert_int_equal(submit_one(bench, fresh), REPLICA_FORBIDDEN);
    bench_destroy(bench);
}

/* Each way of a registration into a block: the certificate is verified once, and never outside of a check. */
static void certificate__is_verified_once_and_not_in_the_loop(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    struct ord_span registration = net_registration(bench->net, bench->client);
    verified_in_loop = verified_in_all = 0;
    (void) bench_submit(bench, &registration, 1);
    bench_run(bench);
    run_checks(bench);
    assert_int_equal(bench->answered->results[0].verdict, REPLICA_ACCEPTED);
    expect_verified(1);
    propose(bench, 1, net_batch(bench->net, 0, &registration, 1));
    assert_true(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    step(bench, 1, net_batch(bench->net, 0, &registration, 1), true);
    assert_int_equal(channel_client_count(bench->replica->execute.channel), 1);
    /* It is registered: a primary that repeats it, and a client, cost nothing. */
    propose(bench, 2, net_batch(bench->net, 0, &registration, 1));
    assert_true(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    step(bench, 2, net_batch(bench->net, 0, &registration, 1), true);
    (void) bench_submit(bench, &registration, 1);
    bench_run(bench);
    assert_int_equal(bench->answered->results[0].verdict, REPLICA_ORDERED);
    expect_verified(0);
    bench_destroy(bench);
}

/* A batch that this replica meets for the first time is judged in checks. */
static void certificate__of_a_batch_is_verified_in_a_check(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    struct ord_span registration = net_registration(bench->net, bench->client);
    verified_in_loop = verified_in_all = 0;
    propose(bench, 1, net_batch(bench->net, 0, &registration, 1));
    assert_true(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    step(bench, 1, net_batch(bench->net, 0, &registration, 1), true);
    assert_int_equal(channel_client_count(bench->replica->execute.channel), 1);
    expect_verified(1);
    bench_destroy(bench);
}

/* A primary's batch of forged registrations is refused after the first of them. */
static void certificate__a_forged_one_ends_the_checks_of_its_batch(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    verified_in_loop = verified_in_all = 0;
    propose(bench, 1, forged_batch(bench, 100));
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 1);
    assert_false(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    expect_verified(1);
    bench_destroy(bench);
}

/* A replica that forwards a forged certificate is not listened to for a second. */
static void certificate__a_forged_one_mutes_who_forwards_it(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    verified_in_loop = verified_in_all = 0;
    struct ord_span bytes = forged_batch(bench, 200);
    bench_message(bench, 2, REPLICA_LINK_FORWARD, bytes);
    bench_run(bench);
    /* 64 at any time, and more while there are few in all. */
    assert_in_range(bench->check_count, 16, 50);
    for (uint32_t i = 0; i < bench->check_count; i++) {
        assert_int_equal(bench->checks[i]->queue, REPLICA_QUEUE_NEWCOMERS);
        assert_int_equal(bench->checks[i]->from, 2);
        bench->checks[i]->ignored = i > 0; /* as the host does after the first */
    }
    run_checks(bench);
    assert_int_equal(verified_in_loop, 0);
    assert_in_range(verified_in_all, 1, 4);
    assert_int_equal(bench->replica->newcomers.total, 0);
    bench_message(bench, 2, REPLICA_LINK_FORWARD, bytes);
    bench_run(bench);
    assert_int_equal(bench->check_count, 0);
    /* Another replica is not concerned. */
    struct ord_span registration = net_registration(bench->net, bench->client);
    bench_message(bench, 1, REPLICA_LINK_FORWARD, net_batch(bench->net, 0, &registration, 1));
    bench_run(bench);
    assert_int_equal(bench->check_count, 1);
    run_checks(bench);
    assert_int_equal(bench->replica->pool.envelopes, 1);
    bench->time.now_ms += 1000;
    bench_message(bench, 2, REPLICA_LINK_FORWARD, bytes);
    bench_run(bench);
    assert_true(bench->check_count > 0);
    bench_destroy(bench);
}

/* A client has a share of the checks of certificates until they are back. */
static void certificate__a_client_has_a_share_of_their_checks(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    verified_in_loop = verified_in_all = 0;
    struct ord_span envelopes[200];
    for (uint32_t i = 0; i < 200; i++)
        envelopes[i] = forged_registration(bench, i);
    struct replica_submission *submission = bench_submit(bench, envelopes, 200);
    bench_run(bench);
    uint32_t taken = bench->replica->newcomers.total;
    assert_in_range(taken, 8, 128);
    assert_int_equal(submission->results[taken].verdict, REPLICA_BUSY);
    assert_int_equal(submission->results[199].verdict, REPLICA_BUSY);
    run_checks(bench);
    assert_int_equal(bench->replica->newcomers.total, 0);
    assert_int_equal(bench->answered->results[0].verdict, REPLICA_FORBIDDEN);
    assert_int_equal(bench->answered->results[taken - 1].verdict, REPLICA_FORBIDDEN);
    expect_verified(taken);
    bench_destroy(bench);
}

/* Puts an envelope into the pool as if it had been checked. */
static struct pool_entry *settle(struct bench *bench, uint32_t client_index, struct ord_span bytes) {
    struct channel_envelope envelope;
    struct pool_entry *entry;
    assert_ok(channel_envelope_decode(&envelope, bytes));
    struct pool_key key = pool_key_of(client_index, &envelope.client, envelope.sequence);
    assert_ok(pool_add(&bench->replica->pool, &entry, key, 2, bytes, bench->time.now_ms));
    assert_ok(pool_settle(&bench->replica->pool, entry, bench->time.now_ms));
    return entry;
}

static uint32_t in_last_batch;

static void note_batch(struct bench *bench, const struct ord_event *event) {
    struct channel_batch proposed;
    if (event->type != ORD_EVENT_PROPOSE)
        return;
    assert_ok(channel_batch_decode(&proposed, event->propose.batch));
    in_last_batch = proposed.envelope_count;
    bench->status.in_flight = 1;
}

/* Registrations are costly to judge. A batch has a limited number of them, whatever else waits behind them. */
static void certificate__a_batch_has_a_number_of_them(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    step(bench, 1, bench_registration(bench), true);
    bench->replica->pool.envelopes_max = bench->replica->pool.client_envelopes_max = 1000;
    bench->replica->pool.bytes_max = 1u << 20;
    for (uint32_t i = 0; i < PROPOSE_NEWCOMERS_MAX + 10; i++)
        settle(bench, UINT32_MAX, forged_registration(bench, i));
    settle(bench, 0, net_envelope(bench->net, bench->client, 1, 1, 20, 1));
    bench->replica->pace.measured = true;
    bench->replica->pace.own = 1000000000;
    bench->replica->agree.leader = 0;
    bench->status.leading = bench->status.can_propose = true;
    bench->on_step = note_batch;
    bench_run(bench);
    assert_int_equal(in_last_batch, PROPOSE_NEWCOMERS_MAX + 1);
    bench->status.in_flight = 0;
    bench_run(bench);
    assert_int_equal(in_last_batch, 10);
    bench_destroy(bench);
}

/* The options may say another number. What is left over comes with the next batch. */
static void certificate__a_batch_has_as_many_of_them_as_the_options_say(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    bench->replica->setup.options.batch_newcomers_max = 3;
    propose_deinit(bench->replica);
    assert_ok(propose_init(bench->replica));
    for (uint32_t i = 0; i < 5; i++)
        settle(bench, UINT32_MAX, forged_registration(bench, i));
    bench->replica->pace.measured = true;
    bench->replica->pace.own = 1000000000;
    bench->replica->agree.leader = 0;
    bench->status.leading = bench->status.can_propose = true;
    bench->on_step = note_batch;
    bench_run(bench);
    assert_int_equal(in_last_batch, 3);
    bench->status.in_flight = 0;
    bench_run(bench);
    assert_int_equal(in_last_batch, 2);
    bench_destroy(bench);
}

/* Such a batch is full, also where the channel could order much more. */
static void certificate__a_batch_that_is_full_of_them_is_not_lean(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    step(bench, 1, bench_registration(bench), true);
    bench->replica->pool.bytes_max = 1u << 30;
    bench->replica->agree.leader = 1;
    struct pool_entry *owed = settle(bench, 0, net_envelope(bench->net, bench->client, 1, 1, 20, 1));
    owed->forwarded_ms = bench->time.now_ms;
    pool_set_state(&bench->replica->pool, owed, POOL_SENT);
    pool_owe(&bench->replica->pool, owed);
    bench->time.now_ms += replica_config(bench->replica)->request_timeout_ms / 2;
    bench->replica->turn.housekeeping_ms = UINT64_MAX; /* it is not sent again */
    propose(bench, 2, forged_batch(bench, PROPOSE_NEWCOMERS_MAX - 1));
    assert_true(bench->last[ORD_EVENT_JUDGED].judged.lean);
    propose(bench, 3, forged_batch(bench, PROPOSE_NEWCOMERS_MAX));
    assert_false(bench->last[ORD_EVENT_JUDGED].judged.lean);
    bench_destroy(bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(envelope__that_is_here_is_not_refused_when_its_certificate_has_expired),
    cmocka_unit_test(certificate__is_verified_once_and_not_in_the_loop),
    cmocka_unit_test(certificate__of_a_batch_is_verified_in_a_check),
    cmocka_unit_test(certificate__a_forged_one_ends_the_checks_of_its_batch),
    cmocka_unit_test(certificate__a_forged_one_mutes_who_forwards_it),
    cmocka_unit_test(certificate__a_client_has_a_share_of_their_checks),
    cmocka_unit_test(certificate__a_batch_has_a_number_of_them),
    cmocka_unit_test(certificate__a_batch_has_as_many_of_them_as_the_options_say),
    cmocka_unit_test(certificate__a_batch_that_is_full_of_them_is_not_lean),
    cmocka_unit_test(signature__is_checked_once_by_any_way),
    cmocka_unit_test(signature__that_is_another_is_checked),
    cmocka_unit_test(signature__that_was_not_checked_is_not_counted),
};

TEST_CASES(cases);
