/*
 * The reader thread's limits: a client gets no more than the limit at once, and everything in the end.
 */
#include "tests/support/node_support.h"

#include <stdlib.h>
#include <string.h>

#include "node/answer.h"
#include "tests/support/test_main.h"

/* With the registration these make 600 blocks of two envelopes, and one certificate for all of them. */
enum { ENVELOPES = 1199 };

static bool is_certified(struct node_world *world) {
    return service_certified_height(&world->node->service) == (ENVELOPES + 1) / 2;
}

static void begin(struct node_world *world, struct ord_span *envelopes) {
    node_world_plan(world, CHANNEL_PBFT, 4);
    world->plan.config.max_message_count = 2;
    node_world_write(world);
    node_world_start(world);
    for (uint32_t i = 0; i <= ENVELOPES; i++)
        envelopes[i] = node_world_envelope(world, i, 10);
    node_world_order(world, 1, node_world_batch(envelopes, ENVELOPES + 1, 0));
    struct channel_statement statement = attest_find(world->replica, 1)->statement;
    node_world_send_attestation(world, node_world_other(world, 0), &statement);
    world->replica->turn.urgent = true;
    node_world_until(world, is_certified, "a certificate");
}

static void end(struct node_world *world, struct ord_span *envelopes) {
    for (uint32_t i = 0; i <= ENVELOPES; i++)
        free((void *) (uintptr_t) envelopes[i].data);
    node_world_close(world);
}

static Ordain__V1__Response *wait_for(struct node_world *world, uint64_t *sequences, size_t count) {
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
    request.wait = &wait;
    wait.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, world->client.bytes};
    wait.sequences = sequences;
    wait.n_sequences = count;
    Ordain__V1__Response *response = node_world_ask(world, &request);
    assert_int_equal(response->kind_case, ORDAIN__V1__RESPONSE__KIND_WAIT);
    return response;
}

static void wait__answers_up_to_a_limit_and_the_rest_when_asked_again(void **state) {
    (void) state;
    static struct node_world world;
    static struct ord_span envelopes[ENVELOPES + 1];
    static bool got[ENVELOPES + 1];
    static uint64_t sequences[ENVELOPES + 1];
    begin(&world, envelopes);
    size_t left = ENVELOPES;
    size_t largest = 0;
    while (left > 0) {
        size_t count = 0;
        for (uint64_t i = 1; i <= ENVELOPES; i++)
            if (!got[i])
                sequences[count++] = i;
        Ordain__V1__Response *response = wait_for(&world, sequences, count);
        size_t bytes = 0;
        assert_true(response->wait->n_results > 0);
        for (size_t i = 0; i < response->wait->n_results; i++) {
            const Ordain__V1__WaitResult *result = response->wait->results[i];
            assert_in_range(result->sequence, 1, ENVELOPES);
            assert_false(got[result->sequence]);
            got[result->sequence] = true;
            bytes += result->receipt.len;
            if (result->receipt.len > largest)
                largest = result->receipt.len;
        }
        assert_true(bytes < ANSWER_BYTES_MAX + largest);
        left -= response->wait->n_results;
        assert_int_equal(response->status, left == 0 ? ORDAIN__V1__STATUS__OK : ORDAIN__V1__STATUS__NOT_READY);
        ordain__v1__response__free_unpacked(response, NULL);
    }
    end(&world, envelopes);
}

static void wait__answers_a_sequence_once_however_often_it_is_named(void **state) {
    (void) state;
    static struct node_world world;
    static struct ord_span envelopes[ENVELOPES + 1];
    uint64_t sequences[300];
    begin(&world, envelopes);
    for (size_t i = 0; i < 300; i++)
        sequences[i] = ENVELOPES - i % 3;
    Ordain__V1__Response *response = wait_for(&world, sequences, 300);
    assert_int_equal(response->wait->n_results, 3);
    assert_int_equal(response->status, ORDAIN__V1__STATUS__OK);
    ordain__v1__response__free_unpacked(response, NULL);
    end(&world, envelopes);
}

/* Row K12: one of them is another body under a number that was ordered, and is told so. */
static void submit__gives_receipts_of_duplicates_up_to_a_limit(void **state) {
    (void) state;
    static struct node_world world;
    static struct ord_span envelopes[ENVELOPES + 1];
    static ProtobufCBinaryData submitted[ENVELOPES];
    begin(&world, envelopes);
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
    request.submit = &submit;
    for (size_t i = 0; i < ENVELOPES; i++)
        submitted[i] = (ProtobufCBinaryData) {envelopes[i + 1].size, (uint8_t *) (uintptr_t) envelopes[i + 1].data};
    struct ord_span other = node_world_envelope(&world, 2, 17);
    submitted[1] = (ProtobufCBinaryData) {other.size, (uint8_t *) (uintptr_t) other.data};
    submit.n_envelopes = ENVELOPES;
    submit.envelopes = submitted;
    Ordain__V1__Response *response = node_world_ask(&world, &request);
    assert_int_equal(response->submit->n_results, ENVELOPES);
    size_t bytes = 0;
    size_t largest = 0;
    for (size_t i = 0; i < ENVELOPES; i++) {
        const Ordain__V1__SubmitResult *result = response->submit->results[i];
        if (result->receipt.len == 0) {
            assert_int_equal(result->status, ORDAIN__V1__STATUS__SEQUENCE_USED);
        } else {
            assert_int_equal(result->status,
                             i == 1 ? ORDAIN__V1__STATUS__SEQUENCE_TAKEN : ORDAIN__V1__STATUS__DUPLICATE);
            assert_true(result->height > 0);
        }
        bytes += result->receipt.len;
        if (result->receipt.len > largest)
            largest = result->receipt.len;
    }
    assert_true(bytes > 0 && bytes < ANSWER_BYTES_MAX + largest);
    ordain__v1__response__free_unpacked(response, NULL);
    free((void *) (uintptr_t) other.data);
    end(&world, envelopes);
}

static atomic_uint answered;

static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    struct node *node = context;
    if (result != ORD_OK)
        return;
    struct ord_span bytes = net_message_bytes(reply);
    Ordain__V1__Response *response = ordain__v1__response__unpack(NULL, bytes.size, bytes.data);
    atomic_fetch_add(&answered, response != NULL && response->status == ORDAIN__V1__STATUS__NOT_READY &&
                                    response->retry_after_ms > 0);
    ordain__v1__response__free_unpacked(response, NULL);
    net_message_destroy(reply);
    inbox_wake(&node->inbox);
}

/* Begins waits for something that never comes. They last longer than the test. */
static void begin_waits(struct node_world *world, struct net_client *connection, uint32_t count) {
    uint64_t sequence = 1000;
    for (uint32_t i = 0; i < count; i++) {
        Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
        Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
        struct net_message *message;
        uint8_t *data;
        request.channel = world->node->channel_config->name;
        request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
        request.wait = &wait;
        wait.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, world->client.bytes};
        wait.sequences = &sequence;
        wait.n_sequences = 1;
        wait.timeout_ms = 60000;
        assert_ok(net_message_create(&message, &data, ordain__v1__request__get_packed_size(&request)));
        ordain__v1__request__pack(&request, data);
        assert_ok(net_client_call(connection, message, 60000, on_reply, world->node));
    }
}

static bool are_answered(struct node_world *world) {
    (void) world;
    return atomic_load(&answered) == 2 * 12;
}

static void wait__one_member_has_a_share_of_those_that_may_wait(void **state) {
    (void) state;
    static const char *const members[] = {"client", "client2"};
    static struct node_world world;
    node_world_open(&world);
    struct net_client *connections[2];
    for (size_t i = 0; i < 2; i++) {
        connections[i] = node_world_connect_as(&world, members[i]);
        /* 48 wait. The others are answered at once. */
        begin_waits(&world, connections[i], 60);
    }
    node_world_until(&world, are_answered, "the answers that need not wait");
    for (size_t i = 0; i < 2; i++)
        net_client_close(connections[i]);
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(wait__one_member_has_a_share_of_those_that_may_wait),
    cmocka_unit_test(wait__answers_up_to_a_limit_and_the_rest_when_asked_again),
    cmocka_unit_test(wait__answers_a_sequence_once_however_often_it_is_named),
    cmocka_unit_test(submit__gives_receipts_of_duplicates_up_to_a_limit),
};
TEST_CASES(cases);
