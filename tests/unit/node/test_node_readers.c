/*
 * What answers cost: each is charged for what it reads, however little it sends, and no connection holds up the others
 * (rows M2, M3).
 */
#include "tests/support/node_support.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "node/answer.h"
#include "tests/support/test_main.h"

/* With the registration these make 700 blocks of two envelopes, and one certificate for all of them. */
enum { BLOCKS = 700, ENVELOPES = 2 * BLOCKS - 1 };

static struct node_world world;
static struct ord_span envelopes[ENVELOPES + 1];

static bool is_certified(struct node_world *of) {
    return service_certified_height(&of->node->service) == BLOCKS;
}

/* Block k + 1 has the sequences k and k + BLOCKS. Sequence 0 is the registration. */
static void order(void) {
    for (uint32_t i = 0; i <= ENVELOPES; i++)
        envelopes[i] = node_world_envelope(&world, i / 2 + (i % 2) * BLOCKS, 10);
    node_world_order(&world, 1, node_world_batch(envelopes, ENVELOPES + 1, 0));
    struct channel_statement statement = attest_find(world.replica, 1)->statement;
    node_world_send_attestation(&world, node_world_other(&world, 0), &statement);
    world.replica->turn.urgent = true;
    node_world_until(&world, is_certified, "a certificate");
}

static void open_world(void) {
    memset(&world, 0, sizeof(world));
    memset(envelopes, 0, sizeof(envelopes));
    node_world_plan(&world, CHANNEL_PBFT, 4);
    world.plan.config.max_message_count = 2;
    node_world_write(&world);
    node_world_start(&world);
}

static void close_world(void) {
    for (uint32_t i = 0; i <= ENVELOPES; i++)
        free((void *) (uintptr_t) envelopes[i].data);
    node_world_close(&world);
}

/* ---- deliveries ---- */

static Ordain__V1__Response *deliver(Ordain__V1__DeliverRequest *ask, uint64_t from) {
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_DELIVER;
    request.deliver = ask;
    ask->from = from;
    ask->to = UINT64_MAX;
    Ordain__V1__Response *response = node_world_ask(&world, &request);
    assert_int_equal(response->status, ORDAIN__V1__STATUS__OK);
    assert_int_equal(response->deliver->newest, BLOCKS);
    return response;
}

static void expect_block(const Ordain__V1__Block *block, uint64_t height, bool with_data) {
    struct ord_bytes whole;
    assert_ok(ledger_get_block(world.node->ledger, &whole, height));
    assert_int_equal(block->header.len, CHANNEL_HEADER_SIZE);
    assert_memory_equal(block->header.data, whole.data, CHANNEL_HEADER_SIZE);
    assert_int_equal(block->data_omitted, !with_data);
    assert_int_equal(block->data.len, with_data ? whole.size - CHANNEL_HEADER_SIZE : 0);
    if (with_data)
        assert_memory_equal(block->data.data, whole.data + CHANNEL_HEADER_SIZE, block->data.len);
    free(whole.data);
}

/*
 * Asks for everything, answer by answer, and goes on where each ends. Each has a proof of its last block and reads no
 * more than it may. Gives the number of answers.
 */
static size_t deliver_all(Ordain__V1__DeliverRequest *ask, bool with_data) {
    size_t answers = 0;
    for (uint64_t height = 0; height <= BLOCKS; answers++) {
        Ordain__V1__Response *response = deliver(ask, height);
        const Ordain__V1__DeliverResponse *said = response->deliver;
        assert_true(said->n_blocks > 0);
        assert_true(world.node->service.read_bytes < ANSWER_READ_MAX + 2 * ANSWER_BLOCK_CHARGE);
        for (size_t i = 0; i < said->n_blocks; i++, height++)
            expect_block(said->blocks[i], height, with_data && height > 0);
        const Ordain__V1__Block *last = said->blocks[said->n_blocks - 1];
        assert_true(last->certificate.len > 0 || said->certificate.len > 0);
        assert_int_equal(said->later_headers.len, (BLOCKS - (height - 1)) * CHANNEL_HEADER_SIZE);
        ordain__v1__response__free_unpacked(response, NULL);
    }
    return answers;
}

static void deliver__of_headers_is_charged_for_what_it_reads(void **state) {
    (void) state;
    Ordain__V1__DeliverRequest ask = ORDAIN__V1__DELIVER_REQUEST__INIT;
    open_world();
    order();
    ask.headers_only = true;
    assert_in_range(deliver_all(&ask, false), 2, 3);
    close_world();
}

static void deliver__of_one_client_is_charged_for_what_it_reads(void **state) {
    (void) state;
    uint8_t nobody[ORD_HASH_SIZE] = {1};
    Ordain__V1__DeliverRequest ask = ORDAIN__V1__DELIVER_REQUEST__INIT;
    open_world();
    order();
    ask.only_client = (ProtobufCBinaryData) {sizeof(nobody), nobody};
    assert_in_range(deliver_all(&ask, false), 2, 3);
    ask.only_client.data = world.client.bytes;
    assert_in_range(deliver_all(&ask, true), 2, 3);
    close_world();
}

/* ---- waits ---- */

static struct net_message *pack(Ordain__V1__Request *request) {
    struct net_message *message;
    uint8_t *data;
    request->channel = world.node->channel_config->name;
    assert_ok(net_message_create(&message, &data, ordain__v1__request__get_packed_size(request)));
    ordain__v1__request__pack(request, data);
    return message;
}

static struct net_message *pack_wait(uint64_t sequence) {
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
    request.wait = &wait;
    wait.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, world.client.bytes};
    wait.sequences = &sequence;
    wait.n_sequences = 1;
    wait.timeout_ms = 60000;
    return pack(&request);
}

/* In the order of their numbers, these sequences would alternate between far blocks. */
static void wait__reads_each_block_once(void **state) {
    (void) state;
    enum { PAIRS = 200 };
    uint64_t sequences[2 * PAIRS];
    open_world();
    order();
    for (size_t i = 0; i < PAIRS; i++) {
        sequences[i] = i + 1;
        sequences[PAIRS + i] = i + 1 + BLOCKS;
    }
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
    request.wait = &wait;
    wait.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, world.client.bytes};
    wait.sequences = sequences;
    wait.n_sequences = 2 * PAIRS;
    size_t results = 0;
    /* The headers behind each block make 8 MiB of receipts in less than 200. */
    while (results < 2 * PAIRS) {
        Ordain__V1__Response *response = node_world_ask(&world, &request);
        size_t count = response->wait->n_results;
        assert_true(count > 0);
        /* Two results for each block that was read. */
        assert_true(world.node->service.read_bytes <= (count / 2 + 1) * (ANSWER_BLOCK_CHARGE + 4096));
        results += count;
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < wait.n_sequences; k++)
                if (wait.sequences[k] == response->wait->results[i]->sequence)
                    wait.sequences[k] = wait.sequences[--wait.n_sequences];
        assert_int_equal(wait.n_sequences, 2 * PAIRS - results);
        ordain__v1__response__free_unpacked(response, NULL);
    }
    close_world();
}

static atomic_uint answers;
static atomic_uint last_status;

static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    struct node *node = context;
    if (result != ORD_OK)
        return;
    struct ord_span bytes = net_message_bytes(reply);
    Ordain__V1__Response *response = ordain__v1__response__unpack(NULL, bytes.size, bytes.data);
    atomic_store(&last_status, response == NULL ? 0 : response->status);
    atomic_fetch_add(&answers, 1);
    ordain__v1__response__free_unpacked(response, NULL);
    net_message_destroy(reply);
    inbox_wake(&node->inbox);
}

static bool one_parked(struct node_world *of) {
    return atomic_load(&of->node->service.parked_count) == 1;
}

static bool one_answered(struct node_world *of) {
    (void) of;
    return atomic_load(&answers) == 1;
}

static void wait__for_a_client_that_registers_later_is_woken(void **state) {
    (void) state;
    uint64_t sequence = 1;
    open_world();
    atomic_store(&answers, 0);
    struct net_client *connection = node_world_connect(&world);
    assert_ok(net_client_call(connection, pack_wait(sequence), 60000, on_reply, world.node));
    node_world_until(&world, one_parked, "a parked wait");
    order();
    node_world_until(&world, one_answered, "the answer");
    assert_int_equal(atomic_load(&last_status), ORDAIN__V1__STATUS__OK);
    net_client_close(connection);
    close_world();
}

static bool share_parked(struct node_world *of) {
    return atomic_load(&of->node->service.parked_count) == SERVICE_PARKED_SOURCE_MAX;
}

static bool none_parked(struct node_world *of) {
    return atomic_load(&of->node->service.parked_count) == 0;
}

static void wait__ends_with_its_connection(void **state) {
    (void) state;
    uint64_t sequence = 5000;
    open_world();
    struct net_client *connection = node_world_connect(&world);
    for (uint32_t i = 0; i < SERVICE_PARKED_SOURCE_MAX; i++)
        assert_ok(net_client_call(connection, pack_wait(sequence), 60000, on_reply, world.node));
    node_world_until(&world, share_parked, "parked waits");
    net_client_close(connection);
    node_world_until(&world, none_parked, "their end");
    close_world();
}

/* ---- fairness ---- */

enum { HOG_ASKS = 40 };

static atomic_uint hog_answers_before;
static atomic_bool receipt_came;

static void on_receipt(void *context, enum ord_err result, struct net_message *reply) {
    struct node *node = context;
    if (result != ORD_OK)
        return;
    net_message_destroy(reply);
    atomic_store(&hog_answers_before, atomic_load(&answers));
    atomic_store(&receipt_came, true);
    inbox_wake(&node->inbox);
}

static size_t posted(void) {
    struct inbox *inbox = &world.node->inbox;
    size_t count = 0;
    pthread_mutex_lock(&inbox->mutex);
    for (const struct work *work = inbox->posted.head; work != NULL; work = work->next)
        count += work->type == WORK_REQUEST;
    pthread_mutex_unlock(&inbox->mutex);
    return count;
}

static void until_posted(size_t count) {
    for (uint64_t end_ms = node_clock_ms() + 30000; posted() < count;) {
        assert_true(node_clock_ms() < end_ms);
        sched_yield();
    }
}

static void ask_much(struct net_client *hog) {
    uint8_t nobody[ORD_HASH_SIZE] = {1};
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__DeliverRequest deliver = ORDAIN__V1__DELIVER_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_DELIVER;
    request.deliver = &deliver;
    deliver.to_newest = true;
    deliver.only_client = (ProtobufCBinaryData) {sizeof(nobody), nobody};
    for (uint32_t i = 0; i < HOG_ASKS; i++)
        assert_ok(net_client_call(hog, pack(&request), 60000, on_reply, world.node));
}

static bool has_receipt(struct node_world *of) {
    (void) of;
    return atomic_load(&receipt_came);
}

/* One connection has asked for many blocks, again and again. A receipt that is asked for after that comes soon. */
static void receipt__does_not_wait_for_all_of_another_member(void **state) {
    (void) state;
    open_world();
    order();
    atomic_store(&answers, 0);
    atomic_store(&receipt_came, false);
    struct net_client *hog = node_world_connect(&world);
    struct net_client *other = node_world_connect_as(&world, "client2");
    ask_much(hog);
    until_posted(HOG_ASKS);
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__ReceiptRequest receipt = ORDAIN__V1__RECEIPT_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_RECEIPT;
    request.receipt = &receipt;
    receipt.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, world.client.bytes};
    receipt.sequence = 7;
    assert_ok(net_client_call(other, pack(&request), 60000, on_receipt, world.node));
    until_posted(HOG_ASKS + 1);
    node_world_until(&world, has_receipt, "the receipt");
    assert_in_range(atomic_load(&hog_answers_before), 0, HOG_ASKS / 2);
    net_client_close(hog);
    net_client_close(other);
    close_world();
}

static void receipt__of_a_place_beyond_the_chain_is_not_found(void **state) {
    (void) state;
    static const struct {
        uint64_t height;
        uint32_t index;
    } places[] = {{0, 0}, {BLOCKS, 2}, {BLOCKS + 1, 0}, {UINT64_MAX, UINT32_MAX}};
    open_world();
    order();
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
        Ordain__V1__ReceiptRequest receipt = ORDAIN__V1__RECEIPT_REQUEST__INIT;
        request.kind_case = ORDAIN__V1__REQUEST__KIND_RECEIPT;
        request.receipt = &receipt;
        receipt.by_place = true;
        receipt.height = places[i].height;
        receipt.index = places[i].index;
        Ordain__V1__Response *response = node_world_ask(&world, &request);
        assert_int_equal(response->status, ORDAIN__V1__STATUS__NOT_FOUND);
        assert_string_equal(response->message, "there is no such envelope in the chain");
        ordain__v1__response__free_unpacked(response, NULL);
    }
    close_world();
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(deliver__of_headers_is_charged_for_what_it_reads),
    cmocka_unit_test(deliver__of_one_client_is_charged_for_what_it_reads),
    cmocka_unit_test(wait__reads_each_block_once),
    cmocka_unit_test(wait__for_a_client_that_registers_later_is_woken),
    cmocka_unit_test(wait__ends_with_its_connection),
    cmocka_unit_test(receipt__does_not_wait_for_all_of_another_member),
    cmocka_unit_test(receipt__of_a_place_beyond_the_chain_is_not_found),
};
TEST_CASES(cases);
