/*
 * The loop's own duties: room for a turn, work that a turn leaves to the next, stopping, and unmaking.
 */
#include "tests/support/node_support.h"

#include <stdlib.h>

#include "tests/support/test_main.h"

/* Writes that may wait for a later commit must not stop the intake meanwhile. The map cannot grow under them. */
static void room__is_made_by_a_commit_where_the_map_has_to_grow(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    enum { RECORD_BYTES = 256 << 10, RECORDS_MAX = 4096 };
    uint8_t *bytes = calloc(1, RECORD_BYTES);
    assert_non_null(bytes);
    struct ledger *ledger = world.node->ledger;
    node_world_turn(&world, 0);
    /* Puts lazy writes, a few in each turn, until there is no room for more. */
    uint64_t key = 0;
    do {
        assert_true(++key < RECORDS_MAX);
        const struct ord_record record = {.table = 9, .key = key, .bytes = ord_span_of(bytes, RECORD_BYTES)};
        assert_ok(ledger_put_record(ledger, &record));
    } while (ledger_room(ledger) == ORD_OK);
    free(bytes);
    assert_true(ledger_dirty(ledger));
    world.replica->turn.commit_due_ms = UINT64_MAX;
    node_world_turn(&world, 0);
    assert_int_equal(world.replica->counters.intake_stopped, 0);
    assert_true(world.replica->turn.room);
    assert_ok(ledger_room(ledger));
    node_world_close(&world);
}

enum { ITEM_BYTES = 300000, TURN_BYTES_MAX = 1 << 20 };

static bool (*node_next_input)(void *context, struct replica_input *out);
/* Number of the last message that the replica got. */
static uint8_t handed_out;
/* Messages that it got in this turn. */
static uint8_t in_turn;

/* A message's first byte is its number. */
static bool next_in_order(void *context, struct replica_input *out) {
    if (!node_next_input(context, out))
        return false;
    assert_int_equal(out->type, REPLICA_INPUT_MESSAGE);
    assert_int_equal(out->message.bytes.data[0], handed_out + 1);
    handed_out++;
    in_turn++;
    return true;
}

/* Makes every two messages write as much as a turn may. */
static uint64_t full_after_two(const struct ledger *ledger) {
    (void) ledger;
    return in_turn >= 2 ? UINT64_MAX : 0;
}

static void turn__leaves_messages_to_the_next_when_it_has_written_enough(void **state) {
    (void) state;
    static struct node_world world;
    static const uint8_t numbers[] = {1, 2, 3, 4, 5, 6, 7};
    node_world_open(&world);
    node_world_turn(&world, 0);
    struct replica_host *host = &world.replica->setup.options.host;
    node_next_input = host->next;
    host->next = next_in_order;
    host->store.turn_bytes = full_after_two;
    const ord_node_id other = node_world_other(&world, 0);
    /* Messages of a kind that does not exist. */
    node_world_send_many(&world, other, (enum replica_link) 99, numbers, 1, 3);
    node_world_send_many(&world, node_world_other(&world, 1), (enum replica_link) 99, numbers + 3, 1, 2);
    static const uint8_t after[] = {2, 4, 6, 7};
    for (size_t i = 0; i < 4; i++) {
        /* The new messages come after those that were left. */
        if (i == 2)
            node_world_send_many(&world, other, (enum replica_link) 99, numbers + 5, 1, 2);
        in_turn = 0;
        node_world_turn(&world, i == 0 ? 0 : 10000); /* it does not wait */
        assert_int_equal(handed_out, after[i]);
    }
    in_turn = 0;
    node_world_turn(&world, 0);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(links_inbound_bytes(&world.node->links.peers[node_world_other(&world, i)]), 0);
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
    world.replica->setup.options.turn_bytes_max = TURN_BYTES_MAX;
    /* All batches are proposed first, and then all verdicts are there at once. */
    struct node_plug before;
    struct node_plug behind;
    node_plug_in(&before, world.node->checks.pools[REPLICA_QUEUE_PROPOSALS]);
    for (uint64_t i = 1; i <= BATCHES; i++) {
        struct ord_span envelope = node_world_envelope(&world, i, ITEM_BYTES);
        struct ord_span batch = node_world_batch(&envelope, 1, 0);
        node_world_pre_prepare(&world, i + 1, batch);
        free((void *) (uintptr_t) envelope.data);
        free((void *) (uintptr_t) batch.data);
    }
    node_world_until_idle(&world, world.primary);
    assert_int_equal(world.replica->counters.batches_judged, 1 + BATCHES);
    node_plug_out(&before);
    /* It runs, so everything before it has run. */
    node_plug_in(&behind, world.node->checks.pools[REPLICA_QUEUE_PROPOSALS]);
    struct ledger_counters counters;
    ledger_counters(world.node->ledger, &counters);
    uint64_t written = counters.bytes_put;
    for (int turn = 0; turn < 3; turn++) {
        node_world_turn(&world, 0);
        ledger_counters(world.node->ledger, &counters);
        uint64_t of_turn = counters.bytes_put - written;
        written = counters.bytes_put;
        /* 2, 2 and 1 batches. */
        assert_in_range(of_turn, ITEM_BYTES, turn < 2 ? 3 * ITEM_BYTES - 1 : 2 * ITEM_BYTES - 1);
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

/* The i-th request comes in. The loop has taken it, but has not handled it yet. */
static void ask(struct node_world *world, struct net_client *connection, sem_t *done, size_t i) {
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__StatusRequest status = ORDAIN__V1__STATUS_REQUEST__INIT;
    Ordain__V1__ClientRequest client = ORDAIN__V1__CLIENT_REQUEST__INIT;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    struct net_message *message;
    uint8_t *data;
    request.channel = world->node->channel_config->name;
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
    struct work *work;
    uint64_t deadline_ms = node_clock_ms() + 20000;
    while ((work = inbox_take(&world->node->inbox, 100)) == NULL)
        assert_true(node_clock_ms() < deadline_ms);
    assert_null(work->next);
    work_queue_push(&world->node->inputs, work);
}

/*
 * A turn that fails (row F6) leaves the work that it took, and more comes until the endpoint closes. By then the parts
 * that a status reports on are gone.
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
    node_destroy(world.node);
    world.node = NULL;
    for (size_t i = 0; i < ASKED; i++)
        sem_wait(&done); /* each call has a deadline */
    for (size_t i = 0; i < ASKED; i++)
        assert_int_equal(sem_trywait(&refused), 0);
    net_client_close(connection);
    sem_destroy(&done);
    sem_destroy(&refused);
    node_world_close(&world);
}

/* ---- stopping ---- */

static uint32_t handed_over;

static bool next_counted(void *context, struct replica_input *out) {
    bool more = node_next_input(context, out);
    handed_over += more && out->type == REPLICA_INPUT_HAND_OVER;
    return more;
}

/* Gives how long the loop still runs after `stops` calls of node_stop. */
static uint64_t stop(struct node_world *world, bool leads, uint32_t request_timeout_ms, uint32_t stops) {
    node_world_plan(world, CHANNEL_PBFT, 4);
    world->plan.config.request_timeout_ms = request_timeout_ms;
    world->leads = leads;
    node_world_write(world);
    node_world_start(world);
    assert_int_equal(world->replica->agree.leader == world->self, leads);
    struct replica_host *host = &world->replica->setup.options.host;
    node_next_input = host->next;
    host->next = next_counted;
    handed_over = 0;
    for (uint32_t i = 0; i < stops; i++)
        node_stop(world->node);
    uint64_t began_ms = node_clock_ms();
    assert_ok(node_run(world->node));
    uint64_t ran_ms = node_clock_ms() - began_ms;
    node_world_close(world);
    return ran_ms;
}

static void stop__of_a_backup_hands_nothing_over(void **state) {
    (void) state;
    static struct node_world world;
    assert_true(stop(&world, false, 3600000, 1) < 3600000);
    assert_int_equal(handed_over, 0);
}

/* The others do not answer. The replica is told once, and ends all the same. */
static void stop__of_a_primary_waits_for_another_leader_as_long_as_the_request_timeout(void **state) {
    (void) state;
    static struct node_world world;
    assert_true(stop(&world, true, 500, 1) >= 500);
    assert_int_equal(handed_over, 1);
}

static void stop__asked_for_again_is_at_once(void **state) {
    (void) state;
    static struct node_world world;
    assert_true(stop(&world, true, 3600000, 2) < 3600000);
    assert_int_equal(handed_over, 0);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(stop__of_a_backup_hands_nothing_over),
    cmocka_unit_test(stop__of_a_primary_waits_for_another_leader_as_long_as_the_request_timeout),
    cmocka_unit_test(stop__asked_for_again_is_at_once),
    cmocka_unit_test(turn__leaves_messages_to_the_next_when_it_has_written_enough),
    cmocka_unit_test(turn__leaves_verdicts_to_the_next_when_it_has_written_enough),
    cmocka_unit_test(destroy__refuses_what_was_asked_and_not_answered),
    cmocka_unit_test(room__is_made_by_a_commit_where_the_map_has_to_grow),
};
TEST_CASES(cases);
