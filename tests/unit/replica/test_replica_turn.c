/*
 * The contract between a turn and its commit: nothing leaves that is not durable, whatever the core does and whenever
 * it does it. The test plays the core, because PBFT does not do everything that the seam allows.
 */
#include <string.h>

#include "tests/support/replica_bench.h"
#include "tests/support/test_main.h"

/* The batches that the played core decides, by seq. */
static struct ord_span batches[16];
static const ord_replica_set all = ~(ord_replica_set) 0;

/* Each batch closes its block, so each makes a point of attestation. */
static void block_a_batch(struct channel_config *config) {
    config->batch_timeout_ms = 0;
}

static void decide(struct bench *bench, uint64_t seq) {
    bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
        (struct ord_record) {.table = 1, .key = seq, .bytes = batches[seq]};
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_DELIVER);
    effect->deliver.seq = seq;
    effect->deliver.batch = batches[seq];
}

static void send_both(struct bench *bench, const struct ord_event *event) {
    static const uint8_t early[] = "early";
    static const uint8_t late[] = "late";
    if (event->type != ORD_EVENT_TICK)
        return;
    bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
        (struct ord_record) {.table = 2, .key = 1, .bytes = ord_span_of(late, 4)};
    bench_effect(bench, ORD_EFFECT_SEND)->send.bytes = ord_span_of(early, 5);
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_SEND);
    effect->send.bytes = ord_span_of(late, 4);
    effect->send.after_persist = true;
    bench->effects[1].send.to = bench->effects[2].send.to = all;
}

static void turn__holds_a_send_until_its_commit(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    bench->on_step = send_both;
    bench_turn(bench);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_CORE), 2);
    assert_int_equal(bench_left(bench, REPLICA_LINK_CORE, NULL), 1);
    uint64_t turn = bench_commit(bench);
    assert_int_not_equal(turn, 0);
    assert_int_equal(bench_left(bench, REPLICA_LINK_CORE, NULL), 1);
    assert_int_equal(bench_disk(bench, "record 2 1").size, 0);
    bench_committed(bench, turn);
    assert_int_equal(bench_left(bench, REPLICA_LINK_CORE, NULL), 2);
    assert_int_equal(bench->last[ORD_EVENT_PERSISTED].persisted.turn, turn);
    bench_destroy(bench);
}

static void deliver_registration(struct bench *bench, const struct ord_event *event) {
    if (event->type == ORD_EVENT_TICK && bench->stepped[ORD_EVENT_TICK] == 1)
        decide(bench, 1);
}

static void turn__attests_after_its_commit(void **state) {
    (void) state;
    struct bench *bench = bench_create(block_a_batch);
    batches[1] = bench_registration(bench);
    bench->on_step = deliver_registration;
    bench_turn(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_APPLIED], 1);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_ATTESTATION), 0);
    uint64_t turn = bench_commit(bench);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_ATTESTATION), 0);
    bench_committed(bench, turn);
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, NULL), 1);
    assert_int_not_equal(bench_disk(bench, "statement").size, 0);
    bench_destroy(bench);
}

/* A core like Raft: what it decides because of PERSISTED belongs to the next turn. */
static void deliver_when_persisted(struct bench *bench, const struct ord_event *event) {
    static const uint8_t word[] = "word";
    if (event->type == ORD_EVENT_TICK && bench->stepped[ORD_EVENT_TICK] == 1)
        bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
            (struct ord_record) {.table = 2, .key = 1, .bytes = ord_span_of(word, 4)};
    if (event->type != ORD_EVENT_PERSISTED || bench->stepped[ORD_EVENT_PERSISTED] != 1)
        return;
    decide(bench, 1);
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_SEND);
    effect->send.bytes = ord_span_of(word, 4);
    effect->send.to = all;
    effect->send.after_persist = true;
}

static void turn__delivery_with_persisted_waits_for_the_next_commit(void **state) {
    (void) state;
    struct bench *bench = bench_create(block_a_batch);
    batches[1] = bench_registration(bench);
    bench->on_step = deliver_when_persisted;
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_PERSISTED], 1);
    assert_int_equal(channel_applied_seq(replica_channel(bench->replica)), 1);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_ATTESTATION), 0);
    assert_int_equal(bench_left(bench, REPLICA_LINK_CORE, NULL), 0);
    assert_int_equal(bench_disk(bench, "statement").size, 0);
    bench_turn(bench);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_ATTESTATION), 0);
    assert_int_equal(bench_left(bench, REPLICA_LINK_CORE, NULL), 0);
    uint64_t turn = bench_commit(bench);
    assert_int_not_equal(turn, 0);
    bench_committed(bench, turn);
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, NULL), 1);
    assert_int_equal(bench_left(bench, REPLICA_LINK_CORE, NULL), 1);
    assert_int_not_equal(bench_disk(bench, "statement").size, 0);
    bench_destroy(bench);
}

static void deliver_each_tick(struct bench *bench, const struct ord_event *event) {
    if (event->type == ORD_EVENT_TICK)
        decide(bench, bench->stepped[ORD_EVENT_TICK]);
    if (event->type == ORD_EVENT_FLUSH)
        bench_effect(bench, ORD_EFFECT_WAKE_AT)->wake.at_ms = 0;
}

/*
 * Turn 2 runs while the commit of turn 1 is under way. Its point is not in that commit, and must not be signed with it.
 */
static void turn__during_a_commit_waits_for_its_own(void **state) {
    (void) state;
    struct bench *bench = bench_create(block_a_batch);
    struct ord_span last = ord_span_of(NULL, 0);
    struct channel_attestation attestation;
    batches[1] = bench_registration(bench);
    batches[2] = bench_batch(bench, 1, 3);
    batches[3] = bench_batch(bench, 4, 3);
    bench->on_step = deliver_each_tick;
    bench_turn(bench);
    uint64_t first = bench_commit(bench);
    assert_int_not_equal(first, 0);
    bench_turn(bench);
    assert_int_equal(replica_commit(bench->replica, false), 0);
    bench_turn(bench);
    assert_int_equal(replica_commit(bench->replica, false), 0);
    assert_int_equal(channel_applied_seq(replica_channel(bench->replica)), 3);
    bench->on_step = NULL;
    bench_committed(bench, first);
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, &last), 1);
    assert_ok(channel_attestation_decode(&attestation, last));
    assert_int_equal(attestation.statement.seq, 1);
    assert_true(replica_durable_turn(bench->replica) == first);
    bench_turn(bench);
    uint64_t second = bench_commit(bench);
    assert_true(second > first + 1);
    bench_committed(bench, second);
    assert_true(bench_left(bench, REPLICA_LINK_ATTESTATION, &last) >= 2);
    assert_ok(channel_attestation_decode(&attestation, last));
    assert_int_equal(attestation.statement.seq, 3);
    assert_true(replica_durable_turn(bench->replica) >= second);
    bench_destroy(bench);
}

static void turn__signs_the_same_statement_after_a_restart(void **state) {
    (void) state;
    struct bench *bench = bench_create(block_a_batch);
    struct ord_span before;
    struct ord_span after;
    batches[1] = bench_registration(bench);
    bench->on_step = deliver_registration;
    bench_run(bench);
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, &before), 1);
    bench->on_step = NULL;
    assert_ok(bench_restart(bench));
    bench_run(bench);
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, &after), 1);
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.data, after.data, before.size);
    bench_destroy(bench);
}

/* A crash before the commit: neither the replica nor anybody else knows of the turn. */
static void turn__crash_before_its_commit_takes_it_back(void **state) {
    (void) state;
    struct bench *bench = bench_create(block_a_batch);
    batches[1] = bench_registration(bench);
    bench->on_step = deliver_registration;
    bench_turn(bench);
    assert_int_not_equal(bench_commit(bench), 0);
    assert_int_equal(bench_left(bench, REPLICA_LINK_ATTESTATION, NULL), 0);
    bench->on_step = NULL;
    assert_ok(bench_restart(bench));
    assert_int_equal(channel_applied_seq(replica_channel(bench->replica)), 0);
    bench_run(bench);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_ATTESTATION), 0);
    bench_destroy(bench);
}

static void turn__what_nobody_relies_on_waits_for_a_commit(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    bench_run(bench);
    bench_effect(bench, ORD_EFFECT_FORGET);
    assert_ok(
        replica_store(bench->replica)->put_meta(replica_store(bench->replica)->ledger, "lazy", ord_span_of("x", 1)));
    bench_turn(bench);
    assert_int_equal(bench_commit(bench), 0);
    assert_true(replica_due_ms(bench->replica) <= bench->time.now_ms + 100);
    bench->time.now_ms += 100;
    bench_turn(bench);
    uint64_t turn = bench_commit(bench);
    assert_int_not_equal(turn, 0);
    bench_committed(bench, turn);
    assert_int_equal(bench_disk(bench, "lazy").size, 1);
    bench_destroy(bench);
}

static void turn__a_write_that_fails_ends_the_replica(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    batches[1] = bench_registration(bench);
    bench->on_step = deliver_registration;
    bench->put_err = ORD_ERR_IO;
    bench_turn(bench);
    assert_err(replica_fatal(bench->replica), ORD_ERR_IO);
    assert_int_equal(bench->logged_errors, 1);
    assert_int_equal(replica_commit(bench->replica, true), 0);
    uint64_t steps = bench->stepped[ORD_EVENT_FLUSH];
    bench_turn(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_FLUSH], steps);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_ATTESTATION), 0);
    bench_destroy(bench);
}

static void turn__tells_the_core_of_room_and_of_the_end(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_STORAGE], 0);
    bench->time.room = false;
    bench_run(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_STORAGE], 1);
    assert_false(bench->last[ORD_EVENT_STORAGE].storage.available);
    bench->time.room = true;
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_STORAGE], 2);
    assert_true(bench->last[ORD_EVENT_STORAGE].storage.available);
    bench_input(bench, &(struct replica_input) {.type = REPLICA_INPUT_HAND_OVER});
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_HAND_OVER], 1);
    bench_destroy(bench);
}

static void forget_all(struct bench *bench, const struct ord_event *event) {
    if (event->type == ORD_EVENT_TICK && bench->stepped[ORD_EVENT_TICK] <= 2)
        decide(bench, bench->stepped[ORD_EVENT_TICK]);
    if (event->type == ORD_EVENT_TICK && bench->stepped[ORD_EVENT_TICK] == 3) {
        bench_effect(bench, ORD_EFFECT_FORGET)->forget.table = 1;
        bench->effects[0].forget.key = 2;
    }
    if (event->type == ORD_EVENT_FLUSH)
        bench_effect(bench, ORD_EFFECT_WAKE_AT)->wake.at_ms = 0;
}

static void small_blocks(struct channel_config *config) {
    config->max_message_count = 10;
    config->batch_timeout_ms = 100000;
}

/* A restart finds the open block's envelopes in bodies that the core no longer needs. */
static void turn__keeps_the_open_blocks_bodies(void **state) {
    (void) state;
    struct bench *bench = bench_create(small_blocks);
    struct channel_open_block open;
    batches[1] = bench_registration(bench);
    batches[2] = bench_batch(bench, 1, 3);
    bench->on_step = forget_all;
    for (int i = 0; i < 3; i++)
        bench_run(bench);
    bench->time.now_ms += 1000;
    bench_run(bench);
    channel_open(replica_channel(bench->replica), &open);
    uint32_t count = open.envelope_count;
    assert_true(count >= 3);
    bench->on_step = NULL;
    assert_ok(bench_restart(bench));
    channel_open(replica_channel(bench->replica), &open);
    assert_int_equal(open.envelope_count, count);
    bench_destroy(bench);
}

static void cut_at_the_end(struct bench *bench, const struct ord_event *event) {
    static const uint8_t byte[] = "b";
    if (event->type != ORD_EVENT_TICK)
        return;
    for (uint64_t key = 1; key <= 4; key++)
        bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
            (struct ord_record) {.table = 3, .key = key, .bytes = ord_span_of(byte, 1)};
    bench_effect(bench, ORD_EFFECT_FORGET_AFTER)->forget_after.table = 3;
    bench->effects[4].forget_after.key = 2;
}

static void turn__cuts_a_log_at_its_end(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    bench->on_step = cut_at_the_end;
    bench_run(bench);
    assert_int_equal(bench_disk(bench, "record 3 2").size, 1);
    assert_int_equal(bench_disk(bench, "record 3 3").size, 0);
    assert_int_equal(bench_disk(bench, "record 3 4").size, 0);
    bench_destroy(bench);
}

/* ---- inputs ---- */

static void messages__of_a_sender_with_a_bad_signature_are_ignored(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    uint8_t good[32] = {2};
    uint8_t bad[32] = {1};
    bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(good, sizeof(good)));
    bench_message(bench, 2, REPLICA_LINK_CORE, ord_span_of(bad, sizeof(bad)));
    bench_run(bench);
    assert_int_equal(bench->check_count, 2);
    assert_int_equal(bench->holds, 2);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->holds, 0);
    assert_int_equal(bench->stepped[ORD_EVENT_MESSAGE], 1);
    assert_int_equal(replica_counters(bench->replica)->messages_refused, 1);
    bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(good, sizeof(good)));
    bench_message(bench, 2, REPLICA_LINK_CORE, ord_span_of(good, sizeof(good)));
    bench_run(bench);
    assert_int_equal(bench->check_count, 1);
    assert_int_equal(replica_counters(bench->replica)->link_messages_ignored, 1);
    bench_check_all(bench);
    bench_run(bench);
    bench->time.now_ms += 1000;
    bench_message(bench, 2, REPLICA_LINK_CORE, ord_span_of(good, sizeof(good)));
    bench_run(bench);
    assert_int_equal(bench->check_count, 1);
    bench_destroy(bench); /* drops the check */
}

static void messages__malformed_useless_and_of_no_kind(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    /* It costs 16, and the core does not want it. */
    uint8_t message[32] = {2, 1, 1};
    bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(message, 8));
    bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(message, sizeof(message)));
    bench_message(bench, 1, 99, ord_span_of(message, sizeof(message)));
    bench_message(bench, 1, REPLICA_LINK_ATTESTATION, ord_span_of(message, sizeof(message)));
    bench_message(bench, 1, REPLICA_LINK_CERTIFICATE, ord_span_of(message, sizeof(message)));
    bench_message(bench, 1, REPLICA_LINK_FORWARD, ord_span_of(message, sizeof(message)));
    bench_message(bench, 1, REPLICA_LINK_SYNC_REQUEST, ord_span_of(message, sizeof(message)));
    bench_message(bench, 1, REPLICA_LINK_SYNC_BLOCKS, ord_span_of(message, sizeof(message)));
    bench_message(bench, 1, REPLICA_LINK_SYNC_TAIL, ord_span_of(message, sizeof(message)));
    bench_run(bench);
    assert_int_equal(bench->check_count, 0);
    assert_int_equal(replica_counters(bench->replica)->messages_refused, 6);
    assert_int_equal(replica_counters(bench->replica)->link_messages_useless, 1);
    bench_destroy(bench);
}

/* One sender has a limited number of signatures under check at a time. The others have their own. */
static void messages__of_one_sender_have_a_share(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    uint8_t costly[32] = {2, 64}; /* 1024 signatures */
    for (uint8_t i = 0; i < 4; i++) {
        costly[3] = i;
        bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(costly, sizeof(costly)));
    }
    bench_message(bench, 2, REPLICA_LINK_CORE, ord_span_of(costly, sizeof(costly)));
    bench_run(bench);
    /* The first sender's second message waits for its first. */
    assert_int_equal(bench->check_count, 2);
    assert_int_equal(bench->checks[0]->queue, REPLICA_QUEUE_VIEWS);
    assert_int_equal(replica_waiting(bench->replica, 1).checks, 1);
    assert_int_equal(replica_waiting(bench->replica, 1).cost, 1024);
    assert_int_equal(replica_counters(bench->replica)->link_jobs_over_share, 2);
    bench_check_all(bench);
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_MESSAGE], 3);
    assert_int_equal(replica_waiting(bench->replica, 1).cost, 0);
    /* Its debt is paid in time, and it is forgiven when a view is installed. */
    for (int i = 0; i < 20; i++) {
        bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(costly, sizeof(costly)));
        bench_run(bench);
        bench_check_all(bench);
        bench_run(bench);
    }
    uint64_t taken = bench->stepped[ORD_EVENT_MESSAGE];
    assert_true(taken < 23);
    bench->time.now_ms += 3600000;
    bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(costly, sizeof(costly)));
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_MESSAGE], taken + 1);
    bench_destroy(bench);
}

/* Sends a message whose signatures cost nothing; `tag` tells it from others. */
static void send_vote(struct bench *bench, ord_node_id from, uint8_t tag) {
    uint8_t vote[32] = {2, 0, 0, tag};
    bench_message(bench, from, REPLICA_LINK_CORE, ord_span_of(vote, sizeof(vote)));
}

/* The host has a few of a sender's checks at a time, so that the others' do not queue behind the rest. */
static void messages__wait_behind_their_own_senders(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    for (uint8_t i = 0; i < MESSAGES_LOAD_MAX + 10; i++)
        send_vote(bench, 1, i);
    send_vote(bench, 2, 0);
    bench_run(bench);
    assert_int_equal(bench->check_count, MESSAGES_LOAD_MAX + 1);
    assert_int_equal(bench->checks[MESSAGES_LOAD_MAX]->from, 2);
    assert_int_equal(replica_waiting(bench->replica, 1).checks, 10);
    /* The rest follows in order, and what comes meanwhile comes last. */
    send_vote(bench, 1, 200);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->check_count, 11);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(bench->checks[i]->bytes.data[3], MESSAGES_LOAD_MAX + i);
    assert_int_equal(bench->checks[10]->bytes.data[3], 200);
    assert_int_equal(replica_waiting(bench->replica, 1).checks, 0);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_MESSAGE], MESSAGES_LOAD_MAX + 12);
    bench_destroy(bench);
}

/* What is being checked is not checked again, and what waited is asked about again. A replica that ends drops it. */
static void messages__that_repeat_others_are_not_checked(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    const struct replica_counters *counters = replica_counters(bench->replica);
    for (int i = 0; i < 13; i++)
        send_vote(bench, 1, 0);
    send_vote(bench, 2, 0);
    bench_run(bench);
    assert_int_equal(bench->check_count, 2);
    assert_int_equal(counters->link_messages_useless, 12);
    for (uint8_t i = 1; i < MESSAGES_LOAD_MAX + 4; i++)
        send_vote(bench, 1, i);
    bench_run(bench);
    assert_int_equal(replica_waiting(bench->replica, 1).checks, 4);
    /* The core has what these would bring. */
    bench->wants_nothing = true;
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->check_count, 0);
    assert_int_equal(counters->link_messages_useless, 16);
    bench->wants_nothing = false;
    /* Nothing is remembered of what is done: the core may need it now. */
    for (uint8_t i = 0; i < MESSAGES_LOAD_MAX + 4; i++)
        send_vote(bench, 1, i);
    bench_run(bench);
    assert_int_equal(bench->check_count, MESSAGES_LOAD_MAX);
    bench_destroy(bench);
}

/* A bad signature costs its sender what waits, too. */
static void messages__that_wait_are_ignored_with_their_sender(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    for (uint8_t i = 0; i < MESSAGES_LOAD_MAX + 10; i++)
        send_vote(bench, 1, i);
    bench_run(bench);
    bench->checks[0]->bad = true;
    for (uint32_t i = 0; i < bench->check_count; i++)
        bench->checks[i]->ignored = true;
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->check_count, 0);
    assert_int_equal(replica_waiting(bench->replica, 1).checks, 0);
    assert_int_equal(replica_counters(bench->replica)->link_messages_ignored, MESSAGES_LOAD_MAX + 10);
    bench_destroy(bench);
}

/* The allowance pays for what is checked. A repeat is not, and neither is what an ignored sender sends. */
static void messages__that_are_not_checked_cost_nothing(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    uint8_t costly[32] = {2, 60};
    const struct account *account = &bench->replica->accounts[1];
    for (int i = 0; i < 2; i++)
        bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(costly, sizeof(costly)));
    bench_run(bench);
    uint64_t once = bench->checks[0]->message.cost;
    assert_int_equal(bench->check_count, 1);
    assert_int_equal(account->debt, once);
    bench->checks[0]->ignored = true;
    bench->checks[0]->bad = true;
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(account->debt, once);
    bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(costly, sizeof(costly)));
    bench_run(bench);
    assert_int_equal(account->debt, once);
    bench_destroy(bench);
}

static void submissions__are_answered_when_all_is_checked(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    batches[1] = bench_registration(bench);
    bench->on_step = deliver_registration;
    bench_run(bench);
    bench->on_step = NULL;
    struct ord_span envelopes[5];
    envelopes[0] = net_envelope(bench->net, bench->client, 1, 1, 20, 1);
    envelopes[1] = net_envelope(bench->net, bench->client, 2, 1, 20, 2);
    envelopes[2] = net_copy(bench->net, net_envelope(bench->net, bench->client, 3, 1, 20, 3));
    ((uint8_t *) (uintptr_t) envelopes[2].data)[envelopes[2].size - 1] ^= 1;
    envelopes[3] = ord_span_of("nonsense", 8);
    envelopes[4] = net_envelope(bench->net, bench->client, 1u << 20, 1, 20, 4);
    struct replica_submission *submission = bench_submit(bench, envelopes, 5);
    bench_run(bench);
    assert_int_equal(bench->answer_count, 0);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->answer_count, 1);
    assert_ptr_equal(bench->answered, submission);
    assert_int_equal(submission->results[0].verdict, REPLICA_ACCEPTED);
    assert_int_equal(submission->results[1].verdict, REPLICA_ACCEPTED);
    assert_int_equal(submission->results[2].verdict, REPLICA_FORBIDDEN);
    assert_int_equal(submission->results[3].verdict, REPLICA_BAD_REQUEST);
    assert_int_equal(submission->results[4].verdict, REPLICA_BAD_REQUEST);
    /* The same one again, another body under its number, and the registration that was ordered. */
    envelopes[1] = net_envelope(bench->net, bench->client, 2, 1, 21, 9);
    envelopes[2] = net_registration(bench->net, bench->client);
    submission = bench_submit(bench, envelopes, 3);
    bench_run(bench);
    assert_int_equal(bench->answer_count, 2);
    assert_int_equal(submission->results[0].verdict, REPLICA_ACCEPTED);
    assert_int_equal(submission->results[1].verdict, REPLICA_TAKEN);
    assert_false(submission->results[1].ordered);
    assert_int_equal(submission->results[2].verdict, REPLICA_ORDERED);
    assert_true(submission->results[2].ordered);
    bench_destroy(bench);
}

static void submissions__that_will_not_be_checked_are_answered_busy(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    batches[1] = bench_registration(bench);
    bench->on_step = deliver_registration;
    bench_run(bench);
    bench->on_step = NULL;
    struct ord_span envelope = net_envelope(bench->net, bench->client, 1, 1, 20, 1);
    struct replica_submission *submission = bench_submit(bench, &envelope, 1);
    bench_run(bench);
    assert_int_equal(bench->check_count, 1);
    bench->check_count = 0;
    replica_check_drop(bench->replica, bench->checks[0]);
    assert_int_equal(bench->answer_count, 1);
    assert_int_equal(submission->results[0].verdict, REPLICA_BUSY);
    assert_int_equal(bench->replica->pool.envelopes, 0);
    assert_int_equal(bench->replica->checks.total, 0);
    bench_destroy(bench);
}

/* ---- judgements ---- */

static struct ord_span judged;
static uint64_t judged_seq;

static void judge_and_lead(struct bench *bench, const struct ord_event *event) {
    if (event->type == ORD_EVENT_TICK) {
        struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_JUDGE);
        effect->judge.view = 1;
        effect->judge.seq = judged_seq;
        effect->judge.batch = judged;
    }
    if (event->type == ORD_EVENT_HAND_OVER) /* stands for a view that is left */
        bench_effect(bench, ORD_EFFECT_LEADER)->leader.leader = ORD_NO_NODE;
}

static void judge(struct bench *bench, uint64_t seq, struct ord_span batch) {
    judged = batch;
    judged_seq = seq;
    bench->on_step = judge_and_lead;
    bench->replica->agree.wake_at_ms = 0;
    bench_run(bench);
}

static struct bench *bench_with_client(void) {
    struct bench *bench = bench_create(block_a_batch);
    batches[1] = bench_registration(bench);
    bench->on_step = deliver_registration;
    bench_run(bench);
    return bench;
}

static void judgement__needs_every_signature(void **state) {
    (void) state;
    struct bench *bench = bench_with_client();
    struct ord_span bad = net_copy(bench->net, bench_batch(bench, 1, 3));
    judge(bench, 2, bench_batch(bench, 1, 3));
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 0);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 1);
    assert_true(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    ((uint8_t *) (uintptr_t) bad.data)[bad.size - 1] ^= 1;
    judge(bench, 3, bad);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 2);
    assert_false(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    judge(bench, 4, ord_span_of("nonsense", 8));
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 3);
    assert_false(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    bench_destroy(bench);
}

/* A verdict for a view that was left is not given, though its checks come back later. */
static void judgement__of_a_view_that_was_left_is_dropped(void **state) {
    (void) state;
    struct bench *bench = bench_with_client();
    judge(bench, 2, bench_batch(bench, 1, 3));
    bench_input(bench, &(struct replica_input) {.type = REPLICA_INPUT_HAND_OVER});
    bench_run(bench);
    assert_int_equal(bench->replica->agree.leader, ORD_NO_NODE);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 0);
    assert_null(bench->replica->judge.first);
    bench_destroy(bench);
}

/* A client that is not registered yet may be by then; after that its batch is inadmissible. */
static void judgement__waits_for_what_comes_before(void **state) {
    (void) state;
    struct bench *bench = bench_create(block_a_batch);
    batches[1] = bench_registration(bench);
    judge(bench, 2, bench_batch(bench, 1, 3));
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 0);
    assert_int_equal(bench->check_count, 0);
    memset(bench->stepped, 0, sizeof(bench->stepped));
    bench->on_step = deliver_registration;
    bench->replica->agree.wake_at_ms = 0;
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 1);
    assert_true(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    bench_destroy(bench);
    bench = bench_create(block_a_batch);
    judge(bench, 1, bench_batch(bench, 1, 3));
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], 1);
    assert_false(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    bench_destroy(bench);
}

/* ---- finality ---- */

/* Row C1: a replica that differs from f + 1 others has lost its state, and ends before it does harm. */
static void finality__ends_where_others_attest_another_state(void **state) {
    (void) state;
    struct bench *bench = bench_with_client();
    struct channel_statement statement = attest_find(bench->replica, 1)->statement;
    statement.state_digest.bytes[0] ^= 1;
    const struct channel_certificate certificate = net_certificate(bench->net, &statement, 3);
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    bench_message(bench, 1, REPLICA_LINK_CERTIFICATE,
                  ord_span_of(bytes, channel_certificate_encode(bytes, &certificate)));
    bench_run(bench);
    bench_check_all(bench);
    bench_turn(bench);
    assert_err(replica_fatal(bench->replica), ORD_ERR_MISMATCH);
    bench_destroy(bench);
}

/* Finality does not wait for its sender's view changes, neither those that are checked nor those that wait. */
static void messages__hold_up_no_attestation(void **state) {
    (void) state;
    struct bench *bench = bench_with_client();
    struct channel_statement statement = attest_find(bench->replica, 1)->statement;
    uint8_t costly[32] = {2, 60};
    for (uint8_t i = 0; i < 2; i++) {
        costly[3] = i;
        bench_message(bench, 1, REPLICA_LINK_CORE, ord_span_of(costly, sizeof(costly)));
    }
    for (uint64_t seq = 2; seq <= 3; seq++) {
        uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
        statement.seq = seq;
        const struct channel_certificate certificate = net_certificate(bench->net, &statement, 3);
        bench_message(bench, 1, REPLICA_LINK_CERTIFICATE,
                      ord_span_of(bytes, channel_certificate_encode(bytes, &certificate)));
    }
    bench_run(bench);
    assert_int_equal(bench->check_count, 3);
    assert_int_equal(bench->checks[0]->queue, REPLICA_QUEUE_VIEWS);
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(bench->checks[i]->type, REPLICA_CHECK_CERTIFICATE);
        assert_int_equal(bench->checks[i]->queue, REPLICA_QUEUE_VOTES);
    }
    assert_int_equal(replica_waiting(bench->replica, 1).checks, 1);
    bench_destroy(bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(turn__holds_a_send_until_its_commit),
    cmocka_unit_test(turn__attests_after_its_commit),
    cmocka_unit_test(turn__delivery_with_persisted_waits_for_the_next_commit),
    cmocka_unit_test(turn__during_a_commit_waits_for_its_own),
    cmocka_unit_test(turn__signs_the_same_statement_after_a_restart),
    cmocka_unit_test(turn__crash_before_its_commit_takes_it_back),
    cmocka_unit_test(turn__what_nobody_relies_on_waits_for_a_commit),
    cmocka_unit_test(turn__a_write_that_fails_ends_the_replica),
    cmocka_unit_test(turn__tells_the_core_of_room_and_of_the_end),
    cmocka_unit_test(turn__keeps_the_open_blocks_bodies),
    cmocka_unit_test(turn__cuts_a_log_at_its_end),
    cmocka_unit_test(messages__of_a_sender_with_a_bad_signature_are_ignored),
    cmocka_unit_test(messages__malformed_useless_and_of_no_kind),
    cmocka_unit_test(messages__of_one_sender_have_a_share),
    cmocka_unit_test(messages__wait_behind_their_own_senders),
    cmocka_unit_test(messages__that_repeat_others_are_not_checked),
    cmocka_unit_test(messages__that_wait_are_ignored_with_their_sender),
    cmocka_unit_test(messages__hold_up_no_attestation),
    cmocka_unit_test(messages__that_are_not_checked_cost_nothing),
    cmocka_unit_test(submissions__are_answered_when_all_is_checked),
    cmocka_unit_test(submissions__that_will_not_be_checked_are_answered_busy),
    cmocka_unit_test(judgement__needs_every_signature),
    cmocka_unit_test(judgement__of_a_view_that_was_left_is_dropped),
    cmocka_unit_test(judgement__waits_for_what_comes_before),
    cmocka_unit_test(finality__ends_where_others_attest_another_state),
};
TEST_CASES(cases);
