/*
 * What clients' engines ask a process: to submit envelopes, for receipts, and for their position. The answers are those
 * of node/: a request for receipts waits until all of them are there, or for ENGINE_WAIT_MS. Questions are answered out
 * of durable data, also while the replica waits for its disk, but not during a pause.
 *
 * A liar that gives false receipts (row D3) also lies in its other answers.
 */
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "core/assert.h"
#include "core/merkle.h"
#include "crypto/hash.h"
#include "sim/call.h"
#include "sim/check.h"
#include "sim/client.h"
#include "sim/liar_internal.h"
#include "sim/process.h"

/* A question that is not answered yet. */
struct sim_ask {
    struct sim_ask *next;
    uint32_t client;
    uint64_t call;
    enum engine_request_kind kind;
    struct sim_buffer *buffer;
    /* A request for receipts is answered at this time at the latest. */
    uint64_t until_us;
};

/* ---- answers ---- */

/* Changes an answer to one that an honest replica would not give. Each lie is one that a client cannot see through. */
static void lie(struct sim_process *process, struct engine_answer *answer, struct engine_result *results) {
    struct sim_replica *liar = process->replica;
    static const enum engine_status statuses[] = {
        ENGINE_STATUS_BUSY,      ENGINE_STATUS_FORBIDDEN, ENGINE_STATUS_BAD_REQUEST, ENGINE_STATUS_UNKNOWN_CLIENT,
        ENGINE_STATUS_DUPLICATE, ENGINE_STATUS_NOT_FOUND, ENGINE_STATUS_ACCEPTED,    ENGINE_STATUS_UNAVAILABLE};
    enum engine_status status = statuses[sim_below(&liar->random, sizeof(statuses) / sizeof(statuses[0]))];
    process->world->lies++;
    switch (sim_below(&liar->random, 5)) {
    case 0: /* the whole request */
        answer->status = status;
        answer->result_count = 0;
        answer->retry_after_ms = (uint32_t) sim_below(&liar->random, 20000);
        break;
    case 1: /* each envelope */
        for (uint32_t i = 0; i < answer->result_count; i++)
            results[i].status = status;
        answer->retry_after_ms = (uint32_t) sim_below(&liar->random, 20000);
        break;
    case 2:
        answer->result_count -= answer->result_count > 0;
        break;
    case 3:
        answer->leader_hint = (uint32_t) sim_below(&liar->random, ORD_REPLICA_MAX);
        break;
    default:
        answer->position = sim_roll(&liar->random) >> sim_below(&liar->random, 64);
        break;
    }
}

/* Takes over the holds of the receipts. */
static void answer(struct sim_process *process, uint32_t client, uint64_t call, struct engine_answer *said,
                   struct engine_result *results, struct sim_buffer **receipts) {
    uint64_t delay_us;
    struct sim_replica *replica = process->replica;
    uint32_t count = said->result_count;
    said->results = results;
    if (sim_liar_has(replica, SIM_LIE_RECEIPT) && sim_liar_lies_now(replica))
        lie(process, said, results);
    if (sim_liar_answers(replica) && sim_network_client_delay(process->world, &delay_us)) {
        const struct sim_event event = {.kind = SIM_ANSWER,
                                        .target = client,
                                        .source = replica->instance,
                                        .a = call,
                                        .buffer = sim_call_answer(said)};
        sim_plan_event(process->world, delay_us, &event);
    }
    for (uint32_t i = 0; receipts != NULL && i < count; i++)
        sim_buffer_release(receipts[i]);
}

/* Puts the receipt into the result, if there is one. */
static bool add_receipt(struct sim_process *process, struct engine_result *result, struct sim_buffer **receipt,
                        uint32_t client, uint64_t sequence, bool with_envelope) {
    uint64_t height;
    *receipt = sim_reader_receipt(process, &height, client, sequence, with_envelope);
    if (*receipt == NULL)
        return false;
    sim_check_acknowledged(process->replica, height);
    result->sequence = sequence;
    result->receipt = sim_buffer_span(*receipt);
    return true;
}

/* ---- submissions ---- */

static void submit(struct sim_process *process, struct sim_event *event) {
    struct ord_span envelopes[SIM_RESULTS_MAX];
    struct engine_result results[SIM_RESULTS_MAX];
    struct sim_buffer *lie_receipt = NULL;
    uint32_t count = 0;
    struct ord_reader reader = ord_reader_of(sim_buffer_span(event->buffer));
    if (event->b == ENGINE_REQUEST_REGISTER)
        envelopes[count++] = sim_buffer_span(event->buffer);
    while (event->b != ENGINE_REQUEST_REGISTER && ord_reader_left(&reader) > 0) {
        ORD_ASSERT(count < SIM_RESULTS_MAX);
        results[count] = (struct engine_result) {.status = ENGINE_STATUS_ACCEPTED};
        envelopes[count++] = ord_read_string(&reader, SIZE_MAX);
    }
    ORD_ASSERT(count > 0);
    if (event->b == ENGINE_REQUEST_SUBMIT)
        lie_receipt = sim_liar_receipt(process->replica, envelopes[0]);
    if (lie_receipt != NULL) {
        /* This answer is the first, and the client takes no second one. */
        struct engine_answer said = {.status = ENGINE_STATUS_OK, .result_count = count};
        results[0].status = ENGINE_STATUS_DUPLICATE;
        results[0].receipt = sim_buffer_span(lie_receipt);
        answer(process, event->source, event->a, &said, results, NULL);
        sim_buffer_release(lie_receipt);
    }
    const struct sim_submission form = {.given = {.copy = event->b == ENGINE_REQUEST_COPY},
                                        .client = event->source,
                                        .call = event->a,
                                        .buffer = event->buffer};
    sim_serve_submit(process, &form, envelopes, count);
}

static bool is_receipt_of(struct ord_span bytes, struct ord_span envelope) {
    const struct ord_crypto_ops merkle = {.hash = crypto_sha256};
    struct channel_receipt receipt;
    struct ord_hash leaf;
    ord_merkle_leaf(&merkle, &leaf, envelope);
    return channel_receipt_decode(&receipt, bytes) == ORD_OK && ord_hash_equal(&receipt.leaf, &leaf);
}

void sim_asks_submitted(struct sim_process *process, const struct sim_submission *submission) {
    static const enum engine_status statuses[] = {
        [REPLICA_ACCEPTED] = ENGINE_STATUS_ACCEPTED,    [REPLICA_ORDERED] = ENGINE_STATUS_SEQUENCE_USED,
        [REPLICA_TAKEN] = ENGINE_STATUS_SEQUENCE_TAKEN, [REPLICA_BUSY] = ENGINE_STATUS_BUSY,
        [REPLICA_TOO_LARGE] = ENGINE_STATUS_TOO_LARGE,  [REPLICA_BAD_REQUEST] = ENGINE_STATUS_BAD_REQUEST,
        [REPLICA_FORBIDDEN] = ENGINE_STATUS_FORBIDDEN,  [REPLICA_UNKNOWN_CLIENT] = ENGINE_STATUS_UNKNOWN_CLIENT,
    };
    const struct replica_submission *given = &submission->given;
    struct engine_result results[SIM_RESULTS_MAX];
    struct sim_buffer *receipts[SIM_RESULTS_MAX] = {NULL};
    struct engine_answer said = {.status = ENGINE_STATUS_OK,
                                 .leader_hint = given->leader == ORD_NO_NODE ? 0 : given->leader + 1,
                                 .retry_after_ms = given->retry_after_ms,
                                 .result_count = given->count};
    ORD_ASSERT(given->count <= SIM_RESULTS_MAX);
    for (uint32_t i = 0; i < given->count; i++) {
        results[i] = (struct engine_result) {.status = statuses[given->results[i].verdict]};
        if (given->results[i].ordered &&
            add_receipt(process, &results[i], &receipts[i], submission->client, given->results[i].sequence, false))
            results[i].status = is_receipt_of(results[i].receipt, given->envelopes[i]) ? ENGINE_STATUS_DUPLICATE
                                                                                       : ENGINE_STATUS_SEQUENCE_TAKEN;
    }
    answer(process, submission->client, submission->call, &said, results, receipts);
}

/* ---- questions ---- */

static void answer_receipt(struct sim_process *process, const struct sim_ask *ask) {
    struct engine_result results[1] = {{0}};
    struct sim_buffer *receipt = NULL;
    struct ord_reader reader = ord_reader_of(sim_buffer_span(ask->buffer));
    uint64_t sequence = ord_read_u64(&reader);
    struct engine_answer said = {.status = ENGINE_STATUS_NOT_FOUND};
    if (add_receipt(process, &results[0], &receipt, ask->client, sequence, true)) {
        said.status = ENGINE_STATUS_OK;
        said.result_count = 1;
    } else if (sim_reader_ordered(process, ask->client, sequence)) {
        said.status = ENGINE_STATUS_NOT_READY;
    }
    answer(process, ask->client, ask->call, &said, results, NULL);
    sim_buffer_release(receipt);
}

static void answer_position(struct sim_process *process, const struct sim_ask *ask) {
    uint32_t index;
    const struct channel_client *client =
        channel_client_find(replica_channel(process->program), &index, sim_client_fingerprint(ask->client));
    struct engine_answer said = {.status = ENGINE_STATUS_OK, .position = client == NULL ? 0 : client->highest_sequence};
    answer(process, ask->client, ask->call, &said, NULL, NULL);
}

/* False: not all receipts are there, and there is time left. */
static bool answer_wait(struct sim_process *process, const struct sim_ask *ask) {
    struct engine_result results[SIM_RESULTS_MAX];
    struct sim_buffer *receipts[SIM_RESULTS_MAX] = {NULL};
    struct engine_answer said = {.status = ENGINE_STATUS_OK};
    struct ord_reader reader = ord_reader_of(sim_buffer_span(ask->buffer));
    bool over = process->world->now_us >= ask->until_us;
    while (!over && ord_reader_left(&reader) > 0)
        if (!sim_reader_final(process, ask->client, ord_read_u64(&reader)))
            return false;
    reader = ord_reader_of(sim_buffer_span(ask->buffer));
    while (ord_reader_left(&reader) > 0) {
        uint32_t i = said.result_count;
        results[i] = (struct engine_result) {0};
        if (add_receipt(process, &results[i], &receipts[i], ask->client, ord_read_u64(&reader), false))
            said.result_count++;
        else
            said.status = ENGINE_STATUS_NOT_READY;
    }
    answer(process, ask->client, ask->call, &said, results, receipts);
    return true;
}

static bool answer_ask(struct sim_process *process, const struct sim_ask *ask) {
    if (ask->kind == ENGINE_REQUEST_WAIT)
        return answer_wait(process, ask);
    if (ask->kind == ENGINE_REQUEST_PROBE)
        answer_receipt(process, ask);
    else
        answer_position(process, ask);
    return true;
}

static void ask_free(struct sim_ask *ask) {
    sim_buffer_release(ask->buffer);
    free(ask);
}

void sim_asks_serve(struct sim_process *process) {
    struct sim_ask **place = &process->asks;
    while (*place != NULL) {
        struct sim_ask *ask = *place;
        if (!answer_ask(process, ask)) {
            place = &ask->next;
            continue;
        }
        *place = ask->next;
        ask_free(ask);
    }
}

bool sim_asks_event(struct sim_process *process, struct sim_event *event) {
    bool submits = event->b == ENGINE_REQUEST_SUBMIT || event->b == ENGINE_REQUEST_COPY;
    if (event->kind == SIM_ASK && (submits || event->b == ENGINE_REQUEST_REGISTER)) {
        submit(process, event);
        return true;
    }
    if (event->kind == SIM_ASK) {
        struct sim_ask *ask = sim_alloc(sizeof(*ask));
        *ask = (struct sim_ask) {.next = process->asks,
                                 .client = event->source,
                                 .call = event->a,
                                 .kind = (enum engine_request_kind) event->b,
                                 .buffer = event->buffer,
                                 .until_us = process->world->now_us + ENGINE_WAIT_MS * 1000u};
        process->asks = ask;
        if (ask->kind == ENGINE_REQUEST_WAIT)
            sim_process_plan(process, SIM_WAITED, ENGINE_WAIT_MS * 1000u, 0, 0);
    }
    if (process->replica->paused)
        process->waits_due = true;
    else
        sim_asks_serve(process);
    return false;
}

void sim_asks_deinit(struct sim_process *process) {
    while (process->asks != NULL) {
        struct sim_ask *ask = process->asks;
        process->asks = ask->next;
        ask_free(ask);
    }
}
