/* The client's engine alone: time, answers and connections are given in, and its calls are looked at. */
#include "client/flow/engine.h"

#include <stdlib.h>
#include <string.h>

#include "client/flow/internal.h"
#include "tests/support/test_main.h"

enum { REPLICAS = 4, ALL = 15, CALLS_MAX = 256, START_US = 1000000, STEP_US = 100000 };

struct bench {
    struct client_trust trust;
    struct client_gate gate;
    struct engine *engine;
    uint64_t now_us;
    ord_replica_set connected;
    struct engine_request *calls[CALLS_MAX];
    uint32_t call_count;
    uint32_t asked[REPLICAS];
    uint32_t copied[REPLICAS];
    /* What the refuser answers instead of a refusal; 0: it refuses. */
    uint32_t busy_ms;
    /* The refuser accepts instead. */
    bool accepts;
    /* It says this instead; 0: it does not. */
    enum engine_status says;
    enum ordain_error error;
    uint32_t failed;
    uint32_t accepted;
};

static enum ord_err on_call(void *context, struct engine_request *request, uint32_t timeout_ms) {
    struct bench *bench = context;
    assert_true(timeout_ms > 0);
    assert_true(bench->call_count < CALLS_MAX);
    assert_true((bench->connected & ord_replica_bit(request->replica)) != 0);
    if (request->kind == ENGINE_REQUEST_SUBMIT)
        bench->asked[request->replica]++;
    if (request->kind == ENGINE_REQUEST_COPY) {
        assert_int_equal(request->count, 1);
        bench->copied[request->replica]++;
    }
    bench->calls[bench->call_count++] = request;
    return ORD_OK;
}

static void on_accuse(void *context, uint32_t replica, const char *what) {
    (void) context;
    fail_msg("replica %u is accused: %s", replica, what);
}

static enum ord_err sign(void *context, struct ord_signature *out, const struct ord_hash *hash) {
    (void) context;
    memcpy(out->bytes, hash->bytes, sizeof(hash->bytes));
    return ORD_OK;
}

static void on_event(void *context, const struct ordain_event *event) {
    struct bench *bench = context;
    bench->failed += event->kind == ORDAIN_EVENT_FAILED;
    bench->error = event->error;
    bench->accepted += event->kind == ORDAIN_EVENT_ACCEPTED;
}

static void begin(struct bench *bench) {
    memset(bench, 0, sizeof(*bench));
    channel_config_defaults(&bench->trust.config, CHANNEL_PBFT);
    bench->trust.config.replica_count = REPLICAS;
    bench->trust.quorum = 2;
    bench->now_us = START_US;
    bench->connected = ALL;
    const struct engine_config config = {.trust = &bench->trust,
                                         .signing = {.signer = {.sign = sign}},
                                         .timeout_ms = 10000,
                                         .in_flight_max = 4,
                                         .envelopes_per_request = 4,
                                         .seed = 1};
    const struct engine_host host = {.context = bench, .call = on_call, .accuse = on_accuse};
    assert_ok(engine_create(&bench->engine, &bench->gate, &config, &host, bench->now_us));
}

static void end(struct bench *bench) {
    for (uint32_t i = 0; i < bench->call_count; i++)
        engine_drop(bench->engine, bench->calls[i]);
    engine_destroy(bench->engine, &bench->gate, bench->now_us);
}

static void submit(struct bench *bench) {
    const struct ord_span transaction = ord_span_of((const uint8_t *) "pay", 3);
    struct client_entry *entry = calloc(1, sizeof(*entry));
    assert_non_null(entry);
    entry->on_event = on_event;
    entry->context = bench;
    entry->submitted_us = bench->now_us;
    client_gate_enter(&bench->gate, entry, channel_envelope_size(&transaction, 1));
    assert_ok(client_entry_sign(entry, engine_signing(bench->engine), &transaction, 1));
    client_gate_hand_over(&bench->gate, entry);
}

static void turn_begin(struct bench *bench) {
    engine_take_inbox(bench->engine, &bench->gate);
    engine_begin(bench->engine, bench->now_us, bench->connected);
}

static void turn_end(struct bench *bench) {
    if (engine_needs_gate(bench->engine))
        engine_number(bench->engine, &bench->gate);
    engine_pump(bench->engine);
    (void) engine_settle(bench->engine, &bench->gate);
    engine_end(bench->engine);
}

/* A turn in which `refuser` refuses what it was asked to take, or accepts it. Other calls stay open. */
static void turn(struct bench *bench, uint32_t refuser) {
    const struct engine_result refused = {.status = ENGINE_STATUS_FORBIDDEN, .message = "no"};
    const struct engine_result accepted = {.status = ENGINE_STATUS_ACCEPTED};
    const struct engine_result said = {.status = bench->says};
    const struct engine_result result = bench->says != 0 ? said : bench->accepts ? accepted : refused;
    const struct engine_result results[] = {result, result, result, result};
    turn_begin(bench);
    for (uint32_t i = bench->call_count; i-- > 0;) {
        struct engine_request *request = bench->calls[i];
        if (request->kind != ENGINE_REQUEST_SUBMIT || request->replica != refuser)
            continue;
        const struct engine_answer refusal = {
            .status = ENGINE_STATUS_OK, .result_count = request->count, .results = results};
        const struct engine_answer busy = {.status = ENGINE_STATUS_BUSY, .retry_after_ms = bench->busy_ms};
        const struct engine_answer answer = bench->busy_ms > 0 ? busy : refusal;
        bench->calls[i] = bench->calls[--bench->call_count];
        engine_take_answer(bench->engine, request, ORD_OK, &answer);
    }
    turn_end(bench);
}

static void turns(struct bench *bench, uint32_t refuser, uint64_t us) {
    for (uint64_t until_us = bench->now_us + us; bench->now_us < until_us; bench->now_us += STEP_US)
        turn(bench, refuser);
}

static uint64_t timeout_us(const struct bench *bench) {
    return bench->trust.config.request_timeout_ms * UINT64_C(1000);
}

static void refusal__of_the_only_replica_that_is_connected_does_not_count(void **state) {
    (void) state;
    struct bench bench;
    begin(&bench);
    submit(&bench);
    turn(&bench, REPLICAS);
    assert_int_equal(bench.asked[0], 1);
    bench.connected = 1;
    /* The refusal comes long after the submission, and the liar stays alone. */
    bench.now_us += 5000000;
    turns(&bench, 0, 10000000);
    assert_int_equal(bench.failed, 0);
    /* The others are back: one of them is asked, and its refusal counts together with the first. */
    bench.connected = ALL;
    turns(&bench, 1, 1000000);
    assert_int_equal(bench.asked[1], 1);
    assert_int_equal(bench.failed, 1);
    end(&bench);
}

/* Row M14: who is asked first says again and again that it is busy for long. It costs a second. */
static void busy__for_longer_than_an_honest_replica_is_not_believed(void **state) {
    (void) state;
    struct bench bench;
    begin(&bench);
    bench.busy_ms = 3600000;
    submit(&bench);
    turns(&bench, 0, 900000);
    assert_int_equal(bench.asked[1] + bench.asked[2] + bench.asked[3], 0);
    turns(&bench, 0, 300000);
    assert_int_equal(bench.asked[0], 1);
    assert_int_equal(bench.asked[1] + bench.asked[2] + bench.asked[3], 1);
    end(&bench);
}

/* A turn in which every replica accepts what it is given, and none has a receipt. */
static void turn_without_receipts(struct bench *bench) {
    const struct engine_result accepted = {.status = ENGINE_STATUS_ACCEPTED};
    const struct engine_result results[] = {accepted, accepted, accepted, accepted};
    turn_begin(bench);
    for (uint32_t count = bench->call_count; count > 0; count--) {
        struct engine_request *request = bench->calls[0];
        const struct engine_answer taken = {
            .status = ENGINE_STATUS_OK, .result_count = request->count, .results = results};
        const struct engine_answer nothing = {.status = ENGINE_STATUS_NOT_READY};
        bench->calls[0] = bench->calls[--bench->call_count];
        engine_take_answer(bench->engine, request, ORD_OK, request->kind == ENGINE_REQUEST_SUBMIT ? &taken : &nothing);
    }
    turn_end(bench);
}

/*
 * All replicas may have lost what they accepted. The pauses between submissions grow, but not without bound: so often
 * all replicas may fall together, and the last time the client must come back.
 */
static void envelope__that_is_lost_again_and_again_is_submitted_again(void **state) {
    (void) state;
    struct bench bench;
    begin(&bench);
    submit(&bench);
    uint64_t last_us = bench.now_us;
    uint64_t longest_us = 0;
    uint32_t submissions = 0;
    for (; bench.now_us < START_US + UINT64_C(300) * 1000000; bench.now_us += STEP_US) {
        uint32_t before = bench.asked[0] + bench.asked[1] + bench.asked[2] + bench.asked[3];
        turn_without_receipts(&bench);
        if (bench.asked[0] + bench.asked[1] + bench.asked[2] + bench.asked[3] == before)
            continue;
        longest_us = ord_max(longest_us, bench.now_us - last_us);
        last_us = bench.now_us;
        submissions++;
    }
    assert_in_range(submissions, 300 / 17, 300);
    /* 15 s, and the pauses between two questions for the receipt. */
    assert_in_range(longest_us, 8000000, 16000000);
    end(&bench);
}

/* A turn in which every replica says that the number is out of its reach, and what the client's position is. */
static void turn_out_of_reach(struct bench *bench, uint64_t position) {
    const struct engine_result bad = {.status = ENGINE_STATUS_BAD_REQUEST, .message = "too far ahead"};
    const struct engine_result results[] = {bad, bad, bad, bad};
    turn_begin(bench);
    for (uint32_t count = bench->call_count; count > 0; count--) {
        struct engine_request *request = bench->calls[0];
        bool submits = request->kind == ENGINE_REQUEST_SUBMIT;
        const struct engine_answer answer = {.status = ENGINE_STATUS_OK,
                                             .position = position,
                                             .result_count = submits ? request->count : 0,
                                             .results = results};
        bench->calls[0] = bench->calls[--bench->call_count];
        engine_take_answer(bench->engine, request, ORD_OK, &answer);
    }
    turn_end(bench);
}

/*
 * Numbers of envelopes that replicas refuse are used up. A client that has had so many that the next one is out of
 * reach must not ask for ever, and must not sign again what may be ordered under its old number.
 */
static void numbers__that_are_out_of_reach_after_refusals_fail(void **state) {
    (void) state;
    struct bench bench;
    begin(&bench);
    bench.engine->statistics.final = 1;
    client_window_skip(&bench.gate.window, 3 * CHANNEL_REPLAY_WINDOW);
    submit(&bench);
    for (uint64_t until_us = bench.now_us + 20000000; bench.now_us < until_us; bench.now_us += STEP_US)
        turn_out_of_reach(&bench, 7);
    assert_int_equal(bench.failed, 1);
    assert_int_equal(bench.engine->statistics.renumbered, 0);
    /* The next one has a number that replicas take. */
    assert_int_equal(bench.gate.window.next, 8);
    end(&bench);
}

static uint32_t copies(const struct bench *bench) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < REPLICAS; i++)
        count += bench->copied[i];
    return count;
}

/* Whatever became of a copy is nobody's fault. */
static void copies_end(struct bench *bench) {
    for (uint32_t i = bench->call_count; i-- > 0;) {
        struct engine_request *request = bench->calls[i];
        if (request->kind != ENGINE_REQUEST_COPY)
            continue;
        assert_int_equal(request->count, 0); /* the entry goes its own way */
        bench->calls[i] = bench->calls[--bench->call_count];
        engine_take_answer(bench->engine, request, ORD_ERR_TIMEOUT, NULL);
    }
}

/* Row P3: others than the leader see how long an envelope waits. Of many envelopes one is enough. */
static void copies__of_some_envelopes_go_to_two_other_replicas(void **state) {
    (void) state;
    struct bench bench;
    begin(&bench);
    bench.accepts = true;
    for (uint32_t i = 0; i < 8; i++)
        submit(&bench);
    turn(&bench, 0);
    assert_int_equal(copies(&bench), 0); /* nobody has accepted it yet */
    turn(&bench, 0);
    assert_int_equal(copies(&bench), 2);
    assert_int_equal(bench.copied[0], 0);
    /* The next is due after three quarters of a request timeout at most. These two have not answered yet. */
    turns(&bench, 0, timeout_us(&bench));
    submit(&bench);
    turn(&bench, 0);
    turn(&bench, 0);
    assert_int_equal(copies(&bench), 3);
    for (uint32_t i = 1; i < REPLICAS; i++)
        assert_int_equal(bench.copied[i], 1);
    copies_end(&bench);
    uint32_t both[REPLICAS] = {0};
    for (uint32_t round = 0; round < 20; round++) {
        turns(&bench, 0, timeout_us(&bench));
        memset(bench.copied, 0, sizeof(bench.copied));
        submit(&bench);
        turn(&bench, 0);
        turn(&bench, 0);
        assert_int_equal(copies(&bench), 2);
        for (uint32_t i = 0; i < REPLICAS; i++)
            both[i] += bench.copied[i];
        copies_end(&bench);
    }
    /* Nobody can know who gets the next one. */
    assert_int_equal(both[0], 0);
    for (uint32_t i = 1; i < REPLICAS; i++)
        assert_in_range(both[i], 5, 19);
    end(&bench);
}

/* A leader that answers late is seen as well. */
static void copies__do_not_wait_for_an_answer_that_does_not_come(void **state) {
    (void) state;
    struct bench bench;
    begin(&bench);
    submit(&bench);
    turns(&bench, REPLICAS, timeout_us(&bench) / 10);
    assert_int_equal(copies(&bench), 0);
    turns(&bench, REPLICAS, timeout_us(&bench) / 5);
    assert_int_equal(copies(&bench), 2);
    assert_int_equal(bench.copied[0], 0);
    end(&bench);
}

/* The leader has no room for an envelope that it refuses as BUSY, so the others must not wait for it. */
static void copies__are_made_of_nothing_that_was_not_accepted(void **state) {
    (void) state;
    struct bench bench;
    begin(&bench);
    bench.busy_ms = 50;
    for (uint32_t i = 0; i < 8; i++)
        submit(&bench);
    turns(&bench, 0, 2 * STEP_US);
    assert_true(bench.asked[0] > 1);
    assert_int_equal(copies(&bench), 0);
    end(&bench);
}

static void engine__has_a_turn_due_only_while_something_is_open(void **state) {
    (void) state;
    struct bench bench;
    begin(&bench);
    turn(&bench, REPLICAS);
    assert_true(engine_timer_at(bench.engine, &bench.gate) == UINT64_MAX);
    submit(&bench);
    assert_true(engine_wake_count(bench.engine) <= bench.gate.inbox.count);
    turn(&bench, REPLICAS);
    assert_true(engine_timer_at(bench.engine, &bench.gate) > bench.now_us);
    assert_true(engine_timer_at(bench.engine, &bench.gate) <= bench.now_us + STEP_US);
    end(&bench);
    assert_int_equal(bench.failed, 1); /* it was open at the end */
    assert_int_equal(bench.accepted, 0);
}

/* Row K12: two processes with one key and one number. The second is told of no success, while it goes on trying. */
static void number__that_another_envelope_has_is_not_accepted(void **state) {
    (void) state;
    static const enum engine_status statuses[] = {ENGINE_STATUS_SEQUENCE_TAKEN, ENGINE_STATUS_SEQUENCE_USED};
    for (size_t i = 0; i < 2; i++) {
        struct bench bench;
        begin(&bench);
        submit(&bench);
        bench.says = statuses[i];
        turns(&bench, 0, 1000000);
        assert_int_equal(bench.asked[0], 1);
        assert_int_equal(bench.accepted, 0);
        assert_int_equal(bench.gate.unaccepted_count, 1);
        end(&bench);
        assert_int_equal(bench.failed, 1);
        assert_int_equal(bench.error, i == 0 ? ORDAIN_SEQUENCE_TAKEN : ORDAIN_STOPPED);
    }
}

/* Row K13: refusals after one replica has accepted the envelope do not say that it will not be ordered. */
static void refusal__of_what_was_accepted_before_leaves_the_outcome_open(void **state) {
    (void) state;
    const struct engine_answer none = {.status = ENGINE_STATUS_NOT_READY};
    struct bench bench;
    begin(&bench);
    submit(&bench);
    bench.accepts = true;
    turns(&bench, 0, 200000);
    assert_int_equal(bench.accepted, 1);
    bench.accepts = false;
    bench.connected = 14;
    bench.now_us += 5 * timeout_us(&bench);
    for (uint32_t i = 0; i < 200 && bench.failed == 0; i++) {
        for (uint32_t call = bench.call_count; call-- > 0;)
            if (bench.calls[call]->kind == ENGINE_REQUEST_WAIT) {
                struct engine_request *request = bench.calls[call];
                bench.calls[call] = bench.calls[--bench.call_count];
                turn_begin(&bench);
                engine_take_answer(bench.engine, request, ORD_OK, &none);
                turn_end(&bench);
            }
        turn(&bench, 1 + i % 3);
        bench.now_us += STEP_US;
    }
    assert_int_equal(bench.failed, 1);
    assert_int_equal(bench.error, ORDAIN_TIMEOUT);
    end(&bench);
}

static void inputs__that_are_the_same_give_the_same_calls(void **state) {
    (void) state;
    uint32_t asked[2][REPLICAS];
    for (uint32_t run = 0; run < 2; run++) {
        struct bench bench;
        begin(&bench);
        for (uint32_t i = 0; i < 3; i++)
            submit(&bench);
        turns(&bench, 0, 3000000);
        memcpy(asked[run], bench.asked, sizeof(asked[run]));
        end(&bench);
    }
    assert_memory_equal(asked[0], asked[1], sizeof(asked[0]));
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(refusal__of_the_only_replica_that_is_connected_does_not_count),
    cmocka_unit_test(envelope__that_is_lost_again_and_again_is_submitted_again),
    cmocka_unit_test(busy__for_longer_than_an_honest_replica_is_not_believed),
    cmocka_unit_test(numbers__that_are_out_of_reach_after_refusals_fail),
    cmocka_unit_test(copies__of_some_envelopes_go_to_two_other_replicas),
    cmocka_unit_test(copies__do_not_wait_for_an_answer_that_does_not_come),
    cmocka_unit_test(copies__are_made_of_nothing_that_was_not_accepted),
    cmocka_unit_test(engine__has_a_turn_due_only_while_something_is_open),
    cmocka_unit_test(number__that_another_envelope_has_is_not_accepted),
    cmocka_unit_test(refusal__of_what_was_accepted_before_leaves_the_outcome_open),
    cmocka_unit_test(inputs__that_are_the_same_give_the_same_calls),
};
TEST_CASES(cases);
