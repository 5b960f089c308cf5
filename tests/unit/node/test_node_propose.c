/*
 * Proposing, when our replica leads and something fails.
 */
#include "tests/support/node_support.h"

#include <stdlib.h>
#include <string.h>

#include "bft/wire/message.h"
#include "tests/support/test_main.h"

static void begin(struct node_world *world) {
    node_world_plan(world, CHANNEL_PBFT, 4);
    world->leads = true;
    world->plan.config.batch_timeout_ms = 60000; /* the test makes it overdue */
    node_world_write(world);
    node_world_start(world);
}

/*
 * Another replica forwards the client's registration. `digest` gets the digest of the batch in which it will be
 * proposed.
 */
static void submit(struct node_world *world, struct ord_hash *digest) {
    struct ord_span registration = node_world_envelope(world, 0, 0);
    struct ord_span batch = node_world_batch(&registration, 1, 0);
    node_world_send(world, node_world_other(world, 0), REPLICA_LINK_FORWARD, batch);
    bft_body_digest(digest, world->replica->setup.core_config.crypto, batch);
    free((void *) (uintptr_t) registration.data);
    free((void *) (uintptr_t) batch.data);
}

static bool is_checked(struct node_world *world) {
    return world->replica->counters.client_signatures_checked == 1;
}

static bool is_proposed(struct node_world *world) {
    return world->replica->counters.batches_proposed > 0;
}

static void propose__what_a_failed_step_did_not_take_stays_ready(void **state) {
    (void) state;
    static struct node_world world;
    begin(&world);
    struct crypto_private_key key = world.node->key;
    /* Without a key nothing can be signed. */
    memset(&world.node->key, 0, sizeof(key));
    struct ord_hash digest;
    submit(&world, &digest);
    node_world_until(&world, is_checked, "the envelope is checked");
    assert_int_equal(world.replica->pool.lists[POOL_READY].count, 1);
    assert_int_equal(world.replica->pool.lists[POOL_PROPOSED].count, 0);
    assert_false(is_proposed(&world));
    world.node->key = key;
    node_world_until(&world, is_proposed, "it is proposed");
    assert_int_equal(world.replica->pool.lists[POOL_PROPOSED].count, 1);
    node_world_close(&world);
}

/* The event that lets it propose again wakes the loop by itself. */
static void propose__an_overdue_cut_that_cannot_be_proposed_does_not_wake_the_loop(void **state) {
    (void) state;
    static struct node_world world;
    struct ord_hash digest;
    begin(&world);
    submit(&world, &digest);
    node_world_until(&world, is_proposed, "it is proposed");
    node_world_vote(&world, 1, &digest);
    assert_int_equal(world.replica->execute.open_height, 1);
    world.replica->execute.open_since_ms = 0;
    assert_true(propose_due_ms(world.replica) < UINT64_MAX);
    world.replica->sync.between = true; /* in the middle of a transfer */
    assert_true(propose_due_ms(world.replica) == UINT64_MAX);
    world.replica->sync.between = false;
    assert_true(propose_due_ms(world.replica) < UINT64_MAX);
    node_world_close(&world);
}

/* An envelope that was executed while it came in must not be proposed again. */
static void propose__leaves_out_what_is_executed(void **state) {
    (void) state;
    static struct node_world world;
    struct ord_hash digest;
    struct pool_entry *entry;
    begin(&world);
    submit(&world, &digest);
    node_world_until(&world, is_proposed, "it is proposed");
    node_world_vote(&world, 1, &digest);
    assert_int_equal(world.replica->pool.envelopes, 0);
    world.replica->turn.housekeeping_ms = UINT64_MAX; /* no sweep */
    struct ord_span registration = node_world_envelope(&world, 0, 0);
    const struct pool_key key = {.client_index = UINT32_MAX, .sequence = 1};
    assert_ok(pool_add(&world.replica->pool, &entry, key, 1, registration, world.replica->turn.now_ms));
    assert_ok(pool_settle(&world.replica->pool, entry, world.replica->turn.now_ms));
    node_world_turn(&world, 0);
    assert_int_equal(world.replica->counters.batches_proposed, 1);
    assert_int_equal(world.replica->pool.envelopes, 0);
    free((void *) (uintptr_t) registration.data);
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(propose__what_a_failed_step_did_not_take_stays_ready),
    cmocka_unit_test(propose__an_overdue_cut_that_cannot_be_proposed_does_not_wake_the_loop),
    cmocka_unit_test(propose__leaves_out_what_is_executed),
};
TEST_CASES(cases);
