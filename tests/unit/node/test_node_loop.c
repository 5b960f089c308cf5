/*
 * The loop's own duties.
 */
#include "tests/support/node_support.h"

#include <stdlib.h>

#include "tests/support/test_main.h"

/* What may wait for a commit that is needed anyway must not stop the intake meanwhile: the map cannot grow under it. */
static void room__is_made_by_a_commit_where_the_map_has_to_grow(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    enum { RECORD_BYTES = 256 << 10, RECORDS_MAX = 4096 };
    uint8_t *bytes = calloc(1, RECORD_BYTES);
    assert_non_null(bytes);
    struct replica *replica = world.replica;
    node_world_turn(&world, 0);
    /* Lazy writes, a few in each turn, until there is no room beside them. */
    uint64_t key = 0;
    do {
        assert_true(++key < RECORDS_MAX);
        const struct ord_record record = {.table = 9, .key = key, .bytes = ord_span_of(bytes, RECORD_BYTES)};
        assert_ok(ledger_put_record(replica->ledger, &record));
    } while (ledger_room(replica->ledger) == ORD_OK);
    free(bytes);
    assert_true(ledger_dirty(replica->ledger));
    replica->commit_due_ms = UINT64_MAX;
    node_world_turn(&world, 0);
    assert_int_equal(count_get(&replica->counters.intake_stopped), 0);
    assert_true(replica->intake_open);
    assert_ok(ledger_room(replica->ledger));
    node_world_close(&world);
}

enum { ITEM_BYTES = 300000, TURN_BYTES_MAX = 1 << 20 };

/* Work that writes. */
struct item {
    struct work work;
    uint64_t number;
};

static uint64_t handled;

static void handle_item(struct replica *replica, struct work *work) {
    static const uint8_t bytes[ITEM_BYTES];
    const struct item *item = (struct item *) work;
    assert_int_equal(item->number, handled + 1); /* in order */
    handled = item->number;
    const struct ord_record record = {.table = 9, .key = item->number, .bytes = ord_span_of(bytes, sizeof(bytes))};
    assert_ok(ledger_put_record(replica->ledger, &record));
}

static void turn__leaves_work_to_the_next_when_it_has_written_enough(void **state) {
    (void) state;
    static struct node_world world;
    static struct item items[5];
    node_world_open(&world);
    node_world_turn(&world, 0);
    world.replica->turn_bytes_max = TURN_BYTES_MAX;
    for (uint64_t i = 0; i < 5; i++) {
        items[i].number = i + 1;
        assert_true(inbox_post(&world.replica->inbox, &items[i].work, handle_item));
    }
    static const uint64_t after[] = {2, 4, 5};
    for (size_t i = 0; i < 3; i++) {
        node_world_turn(&world, 10000); /* does not wait */
        assert_int_equal(handled, after[i]);
    }
    node_world_close(&world);
}

static void turn__leaves_verdicts_to_the_next_when_it_has_written_enough(void **state) {
    (void) state;
    enum { BATCHES = 5 };
    static struct node_world world;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    node_world_write(&world);
    world.config.verify_threads = 1;
    node_world_start(&world);
    struct ord_span registration = node_world_envelope(&world, 0, 0);
    node_world_order(&world, 1, node_world_batch(&registration, 1, 0));
    free((void *) (uintptr_t) registration.data);
    world.replica->turn_bytes_max = TURN_BYTES_MAX;
    /* All batches are proposed, and then all verdicts are there at once. */
    struct node_plug before;
    struct node_plug behind;
    node_plug_in(&before, world.replica->judge_pool);
    for (uint64_t i = 1; i <= BATCHES; i++) {
        struct ord_span envelope = node_world_envelope(&world, i, ITEM_BYTES);
        struct ord_span batch = node_world_batch(&envelope, 1, 0);
        node_world_pre_prepare(&world, i + 1, batch);
        free((void *) (uintptr_t) envelope.data);
        free((void *) (uintptr_t) batch.data);
    }
    node_world_until_idle(&world, world.primary);
    assert_int_equal(count_get(&world.replica->counters.batches_judged), 1 + BATCHES);
    node_plug_out(&before);
    node_plug_in(&behind, world.replica->judge_pool); /* it runs: so all before it has run */
    struct ledger_counters counters;
    ledger_counters(world.replica->ledger, &counters);
    uint64_t written = counters.bytes_put;
    for (int turn = 0; turn < 3; turn++) {
        node_world_turn(&world, 0);
        ledger_counters(world.replica->ledger, &counters);
        uint64_t of_turn = counters.bytes_put - written;
        written = counters.bytes_put;
        assert_in_range(of_turn, ITEM_BYTES, turn < 2 ? 3 * ITEM_BYTES - 1 : 2 * ITEM_BYTES - 1); /* 2, 2, 1 */
    }
    node_plug_out(&behind);
    node_world_close(&world);
}

enum { ASKED = 3 };

static sem_t refused;

static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    (void) context;
    if (result == ORD_OK) {
        struct ord_span bytes = net_message_bytes(reply);
        Ordain__V1__Response *response = ordain__v1__response__unpack(NULL, bytes.size, bytes.data);
        if (response != NULL && response->status == ORDAIN__V1__STATUS__UNAVAILABLE)
            sem_post(&refused);
        ordain__v1__response__free_unpacked(response, NULL);
        net_message_destroy(reply);
    }
    sem_post(context);
}

/* The i-th request comes in; the loop has taken it, and not come to it. */
static void ask(struct node_world *world, struct net_client *connection, sem_t *done, size_t i) {
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__StatusRequest status = ORDAIN__V1__STATUS_REQUEST__INIT;
    Ordain__V1__ClientRequest client = ORDAIN__V1__CLIENT_REQUEST__INIT;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    struct net_message *message;
    uint8_t *data;
    request.channel = world->replica->channel_config->name;
    if (i == 0) {
        request.kind_case = ORDAIN__V1__REQUEST__KIND_STATUS;
        request.status = &status;
    } else if (i == 1) {
        request.kind_case = ORDAIN__V1__REQUEST__KIND_CLIENT;
        client.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, world->client.bytes};
        request.client = &client;
    } else {
        request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
        request.submit = &submit;
    }
    assert_ok(net_message_create(&message, &data, ordain__v1__request__get_packed_size(&request)));
    ordain__v1__request__pack(&request, data);
    assert_ok(net_client_call(connection, message, 20000, on_reply, done));
    struct work **last = &world->replica->deferred;
    while (*last != NULL)
        last = &(*last)->next;
    uint64_t deadline_ms = node_clock_ms() + 20000;
    while ((*last = inbox_take(&world->replica->inbox, 100)) == NULL)
        assert_true(node_clock_ms() < deadline_ms);
}

/*
 * A turn that fails (row F6) leaves what it took, and more comes until the endpoint closes, while what a status tells of is
 * gone already.
 */
static void destroy__refuses_what_was_asked_and_not_answered(void **state) {
    (void) state;
    static struct node_world world;
    sem_t done;
    sem_init(&done, 0, 0);
    sem_init(&refused, 0, 0);
    node_world_open(&world);
    node_world_turn(&world, 0);
    struct net_client *connection = node_world_connect(&world);
    for (size_t i = 0; i < ASKED; i++)
        ask(&world, connection, &done, i);
    replica_destroy(world.replica);
    world.replica = NULL;
    for (size_t i = 0; i < ASKED; i++)
        sem_wait(&done); /* each call has a deadline */
    for (size_t i = 0; i < ASKED; i++)
        assert_int_equal(sem_trywait(&refused), 0);
    net_client_close(connection);
    sem_destroy(&done);
    sem_destroy(&refused);
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(turn__leaves_work_to_the_next_when_it_has_written_enough),
    cmocka_unit_test(turn__leaves_verdicts_to_the_next_when_it_has_written_enough),
    cmocka_unit_test(destroy__refuses_what_was_asked_and_not_answered),
    cmocka_unit_test(room__is_made_by_a_commit_where_the_map_has_to_grow),
};
TEST_CASES(cases);
