/*
 * Admission of forgeries: they use up their sender's share, and cost nobody else anything.
 */
#include "tests/support/node_support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/test_main.h"

enum {
    AT_SEQUENCE = 1 + 1 + 32 + 32, /* offset in an envelope */
    /* The sequences that are fresh after the registration alone was ordered. */
    SEQUENCES_MAX = 4096,
};

static void begin(struct node_world *world) {
    node_world_plan(world, CHANNEL_PBFT, 4);
    node_world_write(world);
    world->config.verify_threads = 1;
    node_world_start(world);
    struct ord_span registration = node_world_envelope(world, 0, 0);
    node_world_order(world, 1, node_world_batch(&registration, 1, 0));
    free((void *) (uintptr_t) registration.data);
}

static void forward(struct node_world *world, ord_node_id from, const struct ord_span *envelopes, uint32_t count) {
    struct ord_span batch = node_world_batch(envelopes, count, 0);
    node_world_send(world, from, REPLICA_LINK_FORWARD, batch);
    free((void *) (uintptr_t) batch.data);
    node_world_turn(world, 0);
}

/* An envelope under `sequence` with the signature of another sequence. `variant` makes its bytes different. */
static struct ord_span forgery(const struct node_world *world, uint64_t sequence, uint8_t variant) {
    static struct ord_span model;
    static struct ord_hash model_of;
    if (model.data == NULL || !ord_hash_equal(&model_of, &world->client)) {
        free((void *) (uintptr_t) model.data);
        model = node_world_envelope(world, 9999, 10);
        model_of = world->client;
    }
    uint8_t *bytes = malloc(model.size);
    assert_non_null(bytes);
    memcpy(bytes, model.data, model.size);
    ord_store_u64(bytes + AT_SEQUENCE, sequence);
    bytes[model.size - 1] ^= variant;
    return ord_span_of(bytes, model.size);
}

static bool one_is_ready(struct node_world *world) {
    const struct pool *pool = &world->replica->pool;
    /* It goes on to the leader in the turn that settles it. */
    return pool->lists[POOL_READY].count + pool->lists[POOL_PASSED].count == 1;
}

static void admission__a_forgery_does_not_keep_its_number(void **state) {
    (void) state;
    static struct node_world world;
    begin(&world);
    struct node_plug plug;
    node_plug_in(&plug, world.node->checks.pools[REPLICA_QUEUE_CLIENTS]);
    struct ord_span forged = forgery(&world, 5, 0);
    struct ord_span good = node_world_envelope(&world, 5, 10);
    forward(&world, node_world_other(&world, 0), &forged, 1);
    assert_int_equal(world.replica->pool.envelopes, 1);
    forward(&world, node_world_other(&world, 1), &good, 1);
    node_plug_out(&plug);
    node_world_until(&world, one_is_ready, "the good one is admitted");
    assert_int_equal(world.replica->pool.envelopes, 1);
    const struct pool_entry *entry = world.replica->pool.lists[POOL_PASSED].head;
    assert_non_null(entry);
    assert_true(ord_span_equal(ord_span_of(entry->bytes, entry->size), good));
    free((void *) (uintptr_t) forged.data);
    free((void *) (uintptr_t) good.data);
    node_world_close(&world);
}

static void admission__forgeries_of_some_leave_room_for_others(void **state) {
    (void) state;
    static struct node_world world;
    static struct ord_span forged[SEQUENCES_MAX];
    begin(&world);
    struct node_plug plug;
    node_plug_in(&plug, world.node->checks.pools[REPLICA_QUEUE_CLIENTS]);
    for (uint8_t liar = 0; liar < 2; liar++) {
        for (uint32_t i = 0; i < SEQUENCES_MAX; i++)
            forged[i] = forgery(&world, i + 1, liar);
        for (uint32_t i = 0; i < SEQUENCES_MAX; i += 1024)
            forward(&world, node_world_other(&world, liar), forged + i, 1024);
        for (uint32_t i = 0; i < SEQUENCES_MAX; i++)
            free((void *) (uintptr_t) forged[i].data);
    }
    uint32_t held = world.replica->pool.envelopes;
    assert_true(held >= SEQUENCES_MAX);
    struct ord_span good = node_world_envelope(&world, 77, 10);
    forward(&world, node_world_other(&world, 2), &good, 1);
    assert_int_equal(world.replica->pool.envelopes, held + 1);
    node_plug_out(&plug);
    node_world_until(&world, one_is_ready, "the good one is admitted");
    while (world.replica->pool.envelopes > 1)
        node_world_turn(&world, 10);
    assert_int_equal(world.replica->checks.total, 0);
    free((void *) (uintptr_t) good.data);
    node_world_close(&world);
}

static Ordain__V1__Status submitted_as(struct node_world *world, uint64_t sequence, bool copy) {
    struct ord_span envelope = node_world_envelope(world, sequence, 10);
    ProtobufCBinaryData bytes = {envelope.size, (uint8_t *) (uintptr_t) envelope.data};
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
    request.submit = &submit;
    submit.n_envelopes = 1;
    submit.copy = copy;
    submit.envelopes = &bytes;
    Ordain__V1__Response *response = node_world_ask(world, &request);
    assert_int_equal(response->submit->n_results, 1);
    Ordain__V1__Status status = response->submit->results[0]->status;
    ordain__v1__response__free_unpacked(response, NULL);
    free((void *) (uintptr_t) envelope.data);
    return status;
}

static Ordain__V1__Status submitted(struct node_world *world, uint64_t sequence) {
    return submitted_as(world, sequence, false);
}

static uint32_t in_state(const struct node_world *world, enum pool_state state) {
    return world->replica->pool.lists[state].count;
}

/* A replica has a copy to see how long it waits. The leader must not learn of it soon. */
static void admission__of_a_copy_tells_the_leader_only_when_it_stays(void **state) {
    (void) state;
    static struct node_world world;
    begin(&world);
    assert_int_not_equal(world.replica->agree.leader, world.node->config.replica);
    assert_int_equal(submitted_as(&world, 1, true), ORDAIN__V1__STATUS__ACCEPTED);
    assert_int_equal(submitted_as(&world, 2, false), ORDAIN__V1__STATUS__ACCEPTED);
    while (in_state(&world, POOL_READY) > 0)
        node_world_turn(&world, 10);
    assert_int_equal(in_state(&world, POOL_PASSED), 1);
    assert_int_equal(in_state(&world, POOL_SENT), 1);
    assert_int_equal(world.replica->pool.lists[POOL_PASSED].head->key.sequence, 1);
    /* Another copy changes nothing; its client's own submission does. */
    assert_int_equal(submitted_as(&world, 1, true), ORDAIN__V1__STATUS__ACCEPTED);
    assert_true(world.replica->pool.lists[POOL_PASSED].head->foreign);
    assert_int_equal(submitted_as(&world, 1, false), ORDAIN__V1__STATUS__ACCEPTED);
    while (in_state(&world, POOL_READY) > 0)
        node_world_turn(&world, 10);
    assert_int_equal(in_state(&world, POOL_PASSED), 0);
    node_world_close(&world);
}

/* Row K8: a client registers while its certificate is valid, and later the certificate expires. */
static void admission__forbids_whose_certificate_has_expired_since(void **state) {
    (void) state;
    static struct node_world world;
    begin(&world);
    assert_int_equal(submitted(&world, 1), ORDAIN__V1__STATUS__ACCEPTED);
    uint32_t index;
    const struct channel_client *found = channel_client_find(world.replica->execute.channel, &index, &world.client);
    assert_non_null(found);
    /* Changes the client, because the test cannot change the machine's clock. */
    struct channel_client *client = (struct channel_client *) (uintptr_t) found;
    const int64_t not_before_s = client->not_before_s;
    const int64_t now_s = (int64_t) time(NULL);
    client->not_after_s = now_s - 1;
    assert_int_equal(submitted(&world, 2), ORDAIN__V1__STATUS__FORBIDDEN);
    client->not_after_s = now_s + 3600;
    client->not_before_s = now_s + 1800;
    assert_int_equal(submitted(&world, 2), ORDAIN__V1__STATUS__FORBIDDEN);
    assert_int_equal(world.replica->pool.envelopes, 1);
    client->not_before_s = not_before_s;
    assert_int_equal(submitted(&world, 2), ORDAIN__V1__STATUS__ACCEPTED);
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(admission__a_forgery_does_not_keep_its_number),
    cmocka_unit_test(admission__forgeries_of_some_leave_room_for_others),
    cmocka_unit_test(admission__of_a_copy_tells_the_leader_only_when_it_stays),
    cmocka_unit_test(admission__forbids_whose_certificate_has_expired_since),
};
TEST_CASES(cases);
