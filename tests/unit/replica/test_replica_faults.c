/*
 * A replica whose store, memory or sources fail. It gives a named error or a clean refusal, never crashes, and leaves
 * nothing half done. The linker puts our malloc and calloc in place of the real ones (--wrap).
 */
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "tests/support/replica_bench.h"
#include "tests/support/test_main.h"

/* Number of allocations since it was set to 0. */
static uint64_t allocations;
/* Number of the allocation that fails; 0: none does. */
static uint64_t failing;

void *__real_malloc(size_t size);               /* NOLINT: the linker's names */
void *__real_calloc(size_t count, size_t size); /* NOLINT */
void *__wrap_malloc(size_t size);               /* NOLINT */
void *__wrap_calloc(size_t count, size_t size); /* NOLINT */

void *__wrap_malloc(size_t size) { /* NOLINT */
    return ++allocations == failing ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) { /* NOLINT */
    return ++allocations == failing ? NULL : __real_calloc(count, size);
}

/* ---- a replica with a record of every kind on its disk ---- */

enum { SEQS = 6 };

static struct ord_span batches[SEQS + 1];
static uint64_t next_seq;
static uint64_t last_seq;

static void decide_one(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK || next_seq > last_seq)
        return;
    bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
        (struct ord_record) {.table = 1, .key = next_seq, .bytes = batches[next_seq]};
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_DELIVER);
    effect->deliver.seq = next_seq;
    effect->deliver.batch = batches[next_seq++];
    bench_effect(bench, ORD_EFFECT_WAKE_AT);
}

static void blocks_of_four(struct channel_config *config) {
    config->max_message_count = 4;
    config->batch_timeout_ms = 100000;
    config->window = 8;
    config->checkpoint_interval = 2;
}

/*
 * Executes seqs up to `last`. They make a block of the registration and three envelopes, another block of four, and an
 * open block of two.
 */
static void execute(struct bench *bench, uint64_t last) {
    next_seq = channel_applied_seq(replica_channel(bench->replica)) + 1;
    last_seq = last;
    bench->on_step = decide_one;
    while (next_seq <= last) {
        bench->replica->agree.wake_at_ms = 0;
        bench_run(bench);
    }
    bench->on_step = NULL;
}

static void make_batches(struct bench *bench) {
    batches[1] = bench_registration(bench);
    batches[2] = bench_batch(bench, 1, 3);
    batches[3] = bench_batch(bench, 4, 2);
    batches[4] = bench_batch(bench, 6, 2);
    batches[5] = bench_batch(bench, 8, 1);
    batches[6] = bench_batch(bench, 9, 1);
}

static struct ord_span encoded(struct bench *bench, const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    return net_copy(bench->net, ord_span_of(bytes, channel_certificate_encode(bytes, certificate)));
}

/* A certificate by three replicas for the newest own point. */
static struct channel_certificate certificate_of(struct bench *bench) {
    uint64_t seq = channel_applied_seq(replica_channel(bench->replica));
    while (attest_find(bench->replica, seq) == NULL)
        seq--;
    return net_certificate(bench->net, &attest_find(bench->replica, seq)->statement, 3);
}

static void give_certificate(struct bench *bench, const struct channel_certificate *certificate) {
    bench_message(bench, 1, REPLICA_LINK_CERTIFICATE, encoded(bench, certificate));
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
    bench->time.now_ms += 200;
    bench_run(bench);
}

static void attest_twice(struct bench *bench) {
    const uint64_t seq = channel_applied_seq(replica_channel(bench->replica)) + 1;
    for (uint8_t i = 0; i < 2; i++) {
        struct channel_statement statement = {.epoch = bench->net->config.epoch, .seq = seq, .height = 9};
        struct channel_attestation attestation;
        uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
        statement.state_digest.bytes[0] = i;
        assert_ok(channel_attest(&attestation, &bench->net->genesis_hash, &statement, 2, &bench->net->signers[2]));
        channel_attestation_encode(bytes, &attestation);
        bench_message(bench, 2, REPLICA_LINK_ATTESTATION, ord_span_of(bytes, sizeof(bytes)));
        bench_run(bench);
        bench_check_all(bench);
        bench_run(bench);
    }
}

/* A replica with blocks, certificates, clients, an open block, points and evidence. */
static struct bench *lived_in(void) {
    struct bench *bench = bench_create(blocks_of_four);
    make_batches(bench);
    execute(bench, 4);
    const struct channel_certificate certificate = certificate_of(bench);
    give_certificate(bench, &certificate);
    execute(bench, SEQS);
    attest_twice(bench);
    bench->time.now_ms += 1000;
    bench_run(bench);
    assert_int_not_equal(bench_disk(bench, "stable").size, 0);
    assert_int_not_equal(bench_disk(bench, "evidence.02.00").size, 0);
    struct channel_open_block open;
    channel_open(replica_channel(bench->replica), &open);
    assert_true(open.envelope_count > 0);
    return bench;
}

static void recover__finds_all_of_it_again(void **state) {
    (void) state;
    struct bench *bench = lived_in();
    struct channel *channel = replica_channel(bench->replica);
    struct ord_hash before;
    struct ord_hash after;
    struct replica_status status;
    channel_state_digest(channel, &before);
    assert_ok(bench_restart(bench));
    channel_state_digest(replica_channel(bench->replica), &after);
    assert_memory_equal(before.bytes, after.bytes, sizeof(before.bytes));
    replica_status(bench->replica, &status);
    assert_int_equal(status.evidence[2], 1);
    assert_true(status.certified_height > 0);
    bench_destroy(bench);
}

static void recover__names_a_read_that_fails(void **state) {
    (void) state;
    struct bench *bench = lived_in();
    static const enum ord_err errs[] = {ORD_ERR_IO, ORD_ERR_CORRUPT, ORD_ERR_NOT_FOUND, ORD_ERR_NO_MEMORY};
    for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
        uint32_t failed = 0;
        bench->gets = 0;
        bench->get_fails = 0;
        assert_ok(bench_restart(bench));
        uint64_t count = bench->gets;
        bench->get_err = errs[i];
        for (uint64_t at = 1; at <= count; at++) {
            bench->gets = 0;
            bench->get_fails = at;
            enum ord_err err = bench_restart(bench);
            failed += err != ORD_OK;
            if (err != ORD_OK && errs[i] != ORD_ERR_NOT_FOUND)
                assert_err(err, errs[i]);
        }
        bench->get_fails = 0;
        assert_true(failed > (errs[i] == ORD_ERR_NOT_FOUND ? 2 : 10));
    }
    assert_ok(bench_restart(bench));
    bench_destroy(bench);
}

/*
 * Records that are cut short or changed give an error, or a replica with the state of some whole turn. They never crash
 * it.
 */
static void recover__survives_any_damaged_record(void **state) {
    (void) state;
    struct bench *bench = lived_in();
    uint32_t refused = 0;
    for (uint32_t i = 0; i < bench->disk.count; i++)
        for (uint32_t how = 0; how < 3; how++) {
            const struct bench_record sound = bench->disk.items[i];
            if (sound.gone || sound.bytes.size == 0)
                continue;
            struct ord_span copy = net_copy(bench->net, sound.bytes);
            if (how == 0)
                copy.size--;
            else
                ((uint8_t *) (uintptr_t) copy.data)[how == 1 ? 0 : copy.size - 1] ^= 0x41;
            bench->disk.items[i].bytes = copy;
            refused += bench_restart(bench) != ORD_OK;
            bench->disk.items[i] = sound;
        }
    assert_true(refused > 20);
    assert_ok(bench_restart(bench));
    bench_destroy(bench);
}

static void recover__refuses_another_ledger(void **state) {
    (void) state;
    struct bench *bench = lived_in();
    bench->options.self = 1;
    bench->options.signer = bench->net->signers[1];
    assert_err(bench_restart(bench), ORD_ERR_MISMATCH);
    bench->options.self = 0;
    bench->options.signer = bench->net->signers[0];
    assert_ok(bench_restart(bench));
    bench_destroy(bench);
}

static void recover__without_memory(void **state) {
    (void) state;
    struct bench *bench = lived_in();
    allocations = 0;
    assert_ok(bench_restart(bench));
    uint64_t count = allocations;
    assert_true(count > 20);
    uint32_t refused = 0;
    for (uint64_t at = 1; at <= count; at++) {
        allocations = 0;
        failing = at;
        refused += bench_restart(bench) != ORD_OK;
        failing = 0;
    }
    assert_true(refused > 0);
    assert_ok(bench_restart(bench));
    bench_destroy(bench);
}

/* ---- a transfer from one bench to another ---- */

static uint64_t wanted_seq;
static struct ord_span wanted_certificate;

static void want_sync(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK)
        return;
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_SYNC);
    effect->sync.seq = wanted_seq;
    effect->sync.certificate = wanted_certificate;
}

static void tick(struct bench *bench) {
    bench->replica->agree.wake_at_ms = 0;
    bench_run(bench);
}

/* The source's answer to the newest request of `bench`; size 0: there is none. */
static struct ord_span answered(struct bench *bench, struct bench *source, enum replica_link kind) {
    struct ord_span request = ord_span_of(NULL, 0);
    struct ord_span answer = ord_span_of(NULL, 0);
    if (bench_left(bench, REPLICA_LINK_SYNC_REQUEST, &request) == 0)
        return answer;
    bench_forget_sent(source);
    bench_message(source, bench->options.self, REPLICA_LINK_SYNC_REQUEST, request);
    bench_run(source);
    (void) bench_left(source, kind, &answer);
    return answer;
}

static struct bench *source_of(struct bench *bench) {
    struct bench *source = bench_create_beside(bench, 1);
    make_batches(source);
    execute(source, SEQS);
    struct channel_certificate certificate = certificate_of(source);
    give_certificate(source, &certificate);
    wanted_seq = certificate.statement.seq;
    wanted_certificate = encoded(source, &certificate);
    bench->connected = ord_replica_bit(1);
    return source;
}

static void transfer__of_blocks_and_a_tail(void **state) {
    (void) state;
    struct bench *bench = bench_create(blocks_of_four);
    struct bench *source = source_of(bench);
    struct ord_hash ours;
    struct ord_hash theirs;
    bench->on_step = want_sync;
    tick(bench);
    bench->on_step = NULL;
    assert_true(bench->replica->sync.active);
    struct ord_span piece = answered(bench, source, REPLICA_LINK_SYNC_BLOCKS);
    assert_true(piece.size > SYNC_PIECE_HEADER_SIZE);
    bench_message(bench, 1, REPLICA_LINK_SYNC_BLOCKS, piece);
    bench_forget_sent(bench);
    bench_run(bench);
    assert_true(bench->replica->sync.between);
    /* After a restart between the blocks and the tail, the transfer goes on to its target. */
    assert_ok(bench_restart(bench));
    assert_true(bench->replica->sync.between && bench->replica->sync.active);
    bench_run(bench);
    struct ord_span tail = answered(bench, source, REPLICA_LINK_SYNC_TAIL);
    assert_true(tail.size > 0);
    bench_message(bench, 1, REPLICA_LINK_SYNC_TAIL, tail);
    bench_run(bench);
    assert_false(bench->replica->sync.active);
    assert_int_equal(bench->stepped[ORD_EVENT_SYNCED], 1);
    assert_true(bench->last[ORD_EVENT_SYNCED].synced.seq == wanted_seq);
    assert_false(bench->last[ORD_EVENT_SYNCED].synced.unchanged);
    channel_state_digest(replica_channel(bench->replica), &ours);
    channel_state_digest(replica_channel(source->replica), &theirs);
    assert_true(channel_applied_seq(replica_channel(bench->replica)) == wanted_seq);
    if (channel_applied_seq(replica_channel(source->replica)) == wanted_seq)
        assert_memory_equal(ours.bytes, theirs.bytes, sizeof(ours.bytes));
    assert_ok(bench_restart(bench));
    assert_true(channel_applied_seq(replica_channel(bench->replica)) == wanted_seq);
    bench_destroy(bench);
    bench_destroy(source);
}

/*
 * Two void batches are all that a replica missed. Their transfer says that nothing changed, a restart in it that
 * something may have.
 */
static void transfer__tells_whether_anything_changed(void **state) {
    (void) state;
    for (int restarts = 0; restarts < 2; restarts++) {
        struct bench *bench = bench_create(blocks_of_four);
        struct bench *source = bench_create_beside(bench, 1);
        make_batches(source);
        batches[5] = bench_batch(source, 1, 2); /* executed before */
        batches[6] = batches[5];
        execute(source, SEQS);
        const struct channel_certificate certificate = certificate_of(source);
        give_certificate(source, &certificate);
        wanted_seq = certificate.statement.seq;
        wanted_certificate = encoded(source, &certificate);
        assert_int_equal(wanted_seq, SEQS);
        execute(bench, 4);
        bench->connected = ord_replica_bit(1);
        bench->on_step = want_sync;
        tick(bench);
        bench->on_step = NULL;
        if (restarts) {
            assert_ok(bench_restart(bench));
            bench->on_step = want_sync;
            tick(bench);
            bench->on_step = NULL;
        }
        assert_true(bench->replica->sync.active);
        bench_message(bench, 1, REPLICA_LINK_SYNC_TAIL, answered(bench, source, REPLICA_LINK_SYNC_TAIL));
        bench_run(bench);
        assert_int_equal(channel_applied_seq(replica_channel(bench->replica)), SEQS);
        assert_int_equal(bench->stepped[ORD_EVENT_SYNCED], 1);
        assert_int_equal(bench->last[ORD_EVENT_SYNCED].synced.unchanged, !restarts);
        bench_destroy(bench);
        bench_destroy(source);
    }
}

/* Attestations of `statement` by the replicas first .. last. */
static void attest_as(struct bench *bench, ord_node_id first, ord_node_id last,
                      const struct channel_statement *statement) {
    for (ord_node_id node = first; node <= last; node++) {
        struct channel_attestation attestation;
        uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
        assert_ok(channel_attest(&attestation, &bench->net->genesis_hash, statement, node, &bench->net->signers[node]));
        channel_attestation_encode(bytes, &attestation);
        bench_message(bench, node, REPLICA_LINK_ATTESTATION, net_copy(bench->net, ord_span_of(bytes, sizeof(bytes))));
    }
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
}

static uint64_t attested_seq(struct ord_span bytes) {
    struct channel_attestation attestation;
    assert_ok(channel_attestation_decode(&attestation, bytes));
    return attestation.statement.seq;
}

/*
 * L1, L2: two replicas attest a state, a liar attests to nobody, and the third attestation would be our own. We get the
 * state, attest it, and thereby make it stable. Until then the core is told of no stable seq.
 */
static void transfer__to_what_f_plus_1_attest(void **state) {
    (void) state;
    struct bench *bench = bench_create(blocks_of_four);
    struct bench *source = source_of(bench);
    const struct channel_statement target = certificate_of(source).statement;
    attest_as(bench, 2, 2, &target);
    bench->time.now_ms += 100000;
    bench_run(bench);
    assert_false(bench->replica->sync.active); /* one of them may be the liar */
    attest_as(bench, 1, 1, &target);
    const uint64_t wait_ms = 4 * (uint64_t) bench->replica->setup.core_config.retransmit_ms;
    bench->time.now_ms += wait_ms - 1;
    bench_run(bench);
    assert_false(bench->replica->sync.active); /* the log may still bring it */
    bench->time.now_ms += 101;
    bench_run(bench);
    assert_true(bench->replica->sync.active);
    bench_message(bench, 1, REPLICA_LINK_SYNC_BLOCKS, answered(bench, source, REPLICA_LINK_SYNC_BLOCKS));
    bench_forget_sent(bench);
    bench_run(bench);
    assert_true(bench->replica->sync.between);
    assert_ok(bench_restart(bench));
    assert_true(bench->replica->sync.active);
    assert_int_equal(bench->replica->attest.stable.count, 0);
    bench_run(bench);
    bench_message(bench, 1, REPLICA_LINK_SYNC_TAIL, answered(bench, source, REPLICA_LINK_SYNC_TAIL));
    bench_forget_sent(bench);
    bench_run(bench);
    assert_int_equal(channel_applied_seq(replica_channel(bench->replica)), target.seq);
    assert_int_equal(bench->stepped[ORD_EVENT_SYNCED], 1);
    assert_int_equal(bench->last[ORD_EVENT_SYNCED].synced.seq, target.seq);
    assert_int_equal(bench->last[ORD_EVENT_SYNCED].synced.stable_seq, 0);
    assert_int_equal(bench->last[ORD_EVENT_SYNCED].synced.certificate.size, 0);
    struct ord_span own;
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, &own), 1);
    assert_int_equal(attested_seq(own), target.seq);
    attest_as(bench, 1, 2, &target);
    assert_int_equal(bench->replica->attest.stable.statement.seq, target.seq);
    bench_destroy(bench);
    bench_destroy(source);
}

/* Each attestation is sent once, and only the newest is repeated. Who repeats an old one lacks ours of that seq. */
static void attestation__that_is_old_is_answered(void **state) {
    (void) state;
    struct bench *bench = bench_create(blocks_of_four);
    make_batches(bench);
    execute(bench, SEQS);
    struct ord_span answer;
    attest_as(bench, 2, 2, &attest_find(bench->replica, 6)->statement);
    bench_forget_sent(bench);
    attest_as(bench, 2, 2, &attest_find(bench->replica, 4)->statement);
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, &answer), 1);
    assert_int_equal(attested_seq(answer), 4);
    assert_int_equal(bench->sent[bench->sent_count - 1].to, ord_replica_bit(2));
    bench_forget_sent(bench);
    attest_as(bench, 2, 2, &attest_find(bench->replica, 4)->statement); /* at once again: once a second is enough */
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, NULL), 0);
    /* This replica has that attestation, so it answers without a check. */
    uint64_t checked = replica_counters(bench->replica)->attestations_checked;
    bench->time.now_ms += 1000;
    attest_as(bench, 2, 2, &attest_find(bench->replica, 4)->statement);
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, &answer), 2); /* and the newest goes to all */
    assert_int_equal(replica_counters(bench->replica)->attestations_checked, checked);
    bench_destroy(bench);
}

/* Having attested a seq does not mean that one holds its certificate, so all get it again. */
static void certificate__of_the_stable_checkpoint_goes_to_all(void **state) {
    (void) state;
    struct bench *bench = bench_create(blocks_of_four);
    make_batches(bench);
    execute(bench, SEQS);
    struct channel_certificate certificate = certificate_of(bench);
    give_certificate(bench, &certificate);
    for (uint32_t i = 0; i < 3; i++) {
        bench_forget_sent(bench);
        bench->time.now_ms += 1000;
        bench_run(bench);
        struct ord_span bytes;
        assert_int_equal(bench_left(bench, REPLICA_LINK_CERTIFICATE, &bytes), 1);
        assert_true(ord_span_equal(bytes, encoded(bench, &certificate)));
    }
    bench_destroy(bench);
}

/*
 * Replica 1 attested and has the blocks, replica 2 attested and lost its disk, and replica 1 never heard of that. So it
 * cannot prove its blocks. Who asks for them sends what proves them, again and again, and the source takes it.
 */
static void certificate__of_what_f_plus_1_attest_goes_to_the_source(void **state) {
    (void) state;
    struct bench *bench = bench_create(blocks_of_four);
    struct bench *source = bench_create_beside(bench, 1);
    make_batches(source);
    execute(source, SEQS);
    const struct channel_statement target = certificate_of(source).statement;
    bench->connected = ord_replica_bit(1);
    attest_as(bench, 2, 2, &target);
    attest_as(bench, 1, 1, &target);
    bench->time.now_ms += 100000;
    bench_run(bench);
    assert_true(bench->replica->sync.active);
    struct ord_span bytes;
    for (uint32_t i = 0; i < 3; i++) {
        bench_forget_sent(bench);
        bench->time.now_ms += 1000;
        bench_run(bench);
        assert_int_equal(bench_left(bench, REPLICA_LINK_CERTIFICATE, &bytes), 1);
    }
    assert_int_equal(source->replica->attest.weak_seq, 0);
    bench_message(source, 3, REPLICA_LINK_CERTIFICATE, bytes);
    bench_run(source);
    bench_check_all(source);
    bench_run(source);
    assert_int_equal(source->replica->attest.weak_seq, target.seq);
    assert_int_equal(source->replica->attest.stable.count, 0);
    bench_destroy(bench);
    bench_destroy(source);
}

/* Every answer that is cut short, changed or empty is refused before any of it is kept. */
static void transfer__takes_nothing_that_does_not_verify(void **state) {
    (void) state;
    struct bench *bench = bench_create(blocks_of_four);
    struct bench *source = source_of(bench);
    bench->on_step = want_sync;
    tick(bench);
    bench->on_step = NULL;
    struct ord_span piece = answered(bench, source, REPLICA_LINK_SYNC_BLOCKS);
    uint64_t before = replica_counters(bench->replica)->sync_refused;
    for (size_t at = 0; at < piece.size; at += 7) {
        struct ord_span copy = net_copy(bench->net, piece);
        if (at % 3 == 0)
            copy.size = at;
        else
            ((uint8_t *) (uintptr_t) copy.data)[at] ^= 1;
        bench_message(bench, 1, REPLICA_LINK_SYNC_BLOCKS, copy);
        bench_run(bench);
        bench->time.now_ms += 600;
        bench_run(bench);
        bench_forget_sent(bench);
        if (channel_height(replica_channel(bench->replica)) > 0)
            break;
    }
    assert_int_equal(channel_height(replica_channel(bench->replica)), 0);
    assert_true(replica_counters(bench->replica)->sync_refused > before + 20);
    bench_message(bench, 1, REPLICA_LINK_SYNC_BLOCKS, piece);
    bench_run(bench);
    assert_true(channel_height(replica_channel(bench->replica)) > 0);
    bench->time.now_ms += 200; /* the only source has lied, and rests */
    bench_run(bench);
    struct ord_span tail = answered(bench, source, REPLICA_LINK_SYNC_TAIL);
    for (size_t at = 0; at < tail.size; at++) {
        struct ord_span copy = net_copy(bench->net, tail);
        ((uint8_t *) (uintptr_t) copy.data)[at] ^= 1;
        bench_message(bench, 1, REPLICA_LINK_SYNC_TAIL, copy);
        bench_run(bench);
        bench->time.now_ms += 600;
        bench_run(bench);
        bench_forget_sent(bench);
        assert_true(bench->replica->sync.active);
    }
    bench_message(bench, 1, REPLICA_LINK_SYNC_TAIL, tail);
    bench_run(bench);
    assert_false(bench->replica->sync.active);
    bench_destroy(bench);
    bench_destroy(source);
}

static void transfer__of_what_a_source_has_not(void **state) {
    (void) state;
    struct bench *bench = bench_create(blocks_of_four);
    struct bench *source = source_of(bench);
    struct bench *empty = bench_create_beside(bench, 2);
    bench->connected = ord_replica_bit(2);
    bench->on_step = want_sync;
    tick(bench);
    bench->on_step = NULL;
    bench->connected = ord_replica_bit(1) | ord_replica_bit(2);
    bench_message(bench, 2, REPLICA_LINK_SYNC_BLOCKS, answered(bench, empty, REPLICA_LINK_SYNC_BLOCKS));
    bench_forget_sent(bench);
    bench_run(bench);
    assert_int_equal(replica_counters(bench->replica)->sync_refused, 1);
    bench->time.now_ms += 200;
    bench_run(bench);
    assert_int_equal(bench_left(bench, REPLICA_LINK_SYNC_REQUEST, NULL), 1);
    assert_int_equal(bench->sent[bench->sent_count - 1].to, ord_replica_bit(1));
    bench_destroy(empty);
    bench_destroy(bench);
    bench_destroy(source);
}

/* How many of 600 requests, which all come at the same time, are answered. */
static uint32_t answered_at_once(struct bench *source, ord_node_id asker) {
    uint8_t request[1 + 8 + 8 + 8] = {SYNC_BLOCKS};
    ord_store_u64(request + 1, 1);
    ord_store_u64(request + 9, 100);
    uint32_t answers = 0;
    for (int i = 0; i < 600; i++) {
        bench_message(source, asker, REPLICA_LINK_SYNC_REQUEST, ord_span_of(request, sizeof(request)));
        bench_turn(source);
        answers += bench_sent(source, REPLICA_LINK_SYNC_BLOCKS);
        bench_forget_sent(source);
    }
    return answers;
}

/* How many are answered in this time, although none comes. */
static uint32_t answered_later(struct bench *source, uint64_t ms) {
    uint32_t answers = 0;
    for (uint64_t i = 0; i < ms; i++) {
        source->time.now_ms++;
        bench_turn(source);
        answers += bench_sent(source, REPLICA_LINK_SYNC_BLOCKS);
        bench_forget_sent(source);
    }
    return answers;
}

static void serve__has_a_quota_for_each(void **state) {
    (void) state;
    struct bench *source = bench_create(blocks_of_four);
    make_batches(source);
    execute(source, SEQS);
    /* 32 MiB a second, half a second ahead, and each request counts 64 KiB. */
    assert_int_equal(answered_at_once(source, 1), 257);
    /* The newest of the others waits; the quota of another asker is its own. */
    assert_in_range(replica_due_ms(source->replica), source->time.now_ms + 1, source->time.now_ms + 3);
    assert_int_equal(answered_at_once(source, 3), 257);
    assert_int_equal(answered_later(source, 100), 2);
    bench_destroy(source);
}

/* While something waits to be ordered, an asker without end takes a part only. */
static void serve__gives_less_while_work_waits(void **state) {
    (void) state;
    struct bench *source = bench_create(blocks_of_four);
    make_batches(source);
    execute(source, SEQS);
    struct ord_span envelope = net_envelope(source->net, source->client, 40, 1, 20, 1);
    (void) bench_submit(source, &envelope, 1);
    bench_run(source);
    assert_int_equal(source->replica->pool.envelopes, 1);
    source->replica->pace.measured = true; /* and nothing is ordered */
    bench_turn(source);
    uint32_t answers = answered_at_once(source, 1);
    assert_in_range(answers, 32, 128);
    bench_destroy(source);
}

/* ---- memory in turns ---- */

static struct ord_span judged;

static void judge_then(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK)
        return;
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_JUDGE);
    effect->judge.seq = 100;
    effect->judge.batch = judged;
}

/*
 * A shortage of memory is answered BUSY, dropped for the sender to repeat, or ends the replica. It is never a verdict.
 */
static void turns__without_memory(void **state) {
    (void) state;
    for (uint64_t at = 1; at <= 24; at++) {
        struct bench *bench = bench_create(blocks_of_four);
        make_batches(bench);
        execute(bench, 2);
        struct ord_span envelope = net_envelope(bench->net, bench->client, 40, 1, 20, 1);
        const struct ord_span forwarded = net_batch(bench->net, 0, &envelope, 1);
        const struct channel_certificate certificate = certificate_of(bench);
        judged = bench_batch(bench, 50, 3);
        (void) bench_submit(bench, &envelope, 1);
        bench_message(bench, 1, REPLICA_LINK_FORWARD, forwarded);
        bench_message(bench, 2, REPLICA_LINK_CERTIFICATE, encoded(bench, &certificate));
        uint8_t message[32] = {2};
        bench_message(bench, 3, REPLICA_LINK_CORE, ord_span_of(message, sizeof(message)));
        bench->on_step = judge_then;
        bench->replica->agree.wake_at_ms = 0;
        allocations = 0;
        failing = at;
        bench_turn(bench);
        failing = 0;
        if (replica_fatal(bench->replica) != ORD_OK)
            assert_err(replica_fatal(bench->replica), ORD_ERR_NO_MEMORY);
        assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 0);
        bench_destroy(bench);
    }
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(recover__finds_all_of_it_again),
    cmocka_unit_test(recover__names_a_read_that_fails),
    cmocka_unit_test(recover__survives_any_damaged_record),
    cmocka_unit_test(recover__refuses_another_ledger),
    cmocka_unit_test(recover__without_memory),
    cmocka_unit_test(transfer__of_blocks_and_a_tail),
    cmocka_unit_test(transfer__tells_whether_anything_changed),
    cmocka_unit_test(transfer__to_what_f_plus_1_attest),
    cmocka_unit_test(attestation__that_is_old_is_answered),
    cmocka_unit_test(certificate__of_the_stable_checkpoint_goes_to_all),
    cmocka_unit_test(certificate__of_what_f_plus_1_attest_goes_to_the_source),
    cmocka_unit_test(transfer__takes_nothing_that_does_not_verify),
    cmocka_unit_test(transfer__of_what_a_source_has_not),
    cmocka_unit_test(serve__has_a_quota_for_each),
    cmocka_unit_test(serve__gives_less_while_work_waits),
    cmocka_unit_test(turns__without_memory),
};
TEST_CASES(cases);
