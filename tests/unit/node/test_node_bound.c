/*
 * The bound of memory: each term follows the limit that it comes from, and no other.
 */
#include "node/bound.h"

#include <string.h>

#include "node/answer.h"
#include "proto/unpack.h"
#include "replica/intake/pool.h"
#include "tests/support/node_support.h"
#include "tests/support/test_main.h"

static struct node_world world;

static struct node_bound bound(void) {
    struct node_bound now;
    node_bound_of(&now, world.node);
    return now;
}

/* Nothing but this term has changed, by this many bytes. */
#define EXPECT_CHANGE(before, name, bytes)                                                                             \
    do {                                                                                                               \
        struct node_bound expected = (before);                                                                         \
        struct node_bound now = bound();                                                                               \
        expected.name += (uint64_t) (bytes);                                                                           \
        assert_int_equal(now.name, expected.name);                                                                     \
        assert_memory_equal(&now, &expected, sizeof(now));                                                             \
        assert_int_equal(node_bound_total(&now), node_bound_total(&(before)) + (uint64_t) (bytes));                    \
    } while (0)

static void bound__follows_the_settings_of_the_replica(void **state) {
    (void) state;
    node_world_open(&world);
    const struct node_bound before = bound();
    struct node_config *config = &world.node->config;
    config->pool_bytes_max += 4096;
    EXPECT_CHANGE(before, pool, 4096);
    config->pool_bytes_max -= 4096;
    config->pool_envelopes_max += 3;
    EXPECT_CHANGE(before, pool, 3 * sizeof(struct pool_entry));
    config->pool_envelopes_max -= 3;
    world.node->turn_bytes_max += 100;
    EXPECT_CHANGE(before, turn, 100);
    world.node->turn_bytes_max -= 100;
    /* Two more connections may each bring a request, and one more may be in progress. */
    const uint64_t request = requests_bytes_max(world.node);
    config->client_contexts++;
    struct node_bound after = bound();
    assert_int_equal(after.connections - before.connections, 2 * net_connection_bytes());
    assert_int_equal(after.receiving - before.receiving, 2 * request);
    after.connections = before.connections;
    assert_int_equal(after.requests - before.requests, proto_unpack_budget(request, REQUEST_STRUCTURE_BYTES_MAX));
    after.receiving = before.receiving;
    after.requests = before.requests;
    assert_memory_equal(&after, &before, sizeof(before));
    config->client_contexts--;
    /* Each of three peers has its lanes in both directions. */
    world.node->links.lane_bytes_max[LINK_LANE_BULK] += 1000;
    world.node->links.lane_bytes_max[LINK_LANE_VOTES] += 10;
    after = bound();
    assert_int_equal(after.links_out - before.links_out, 3 * 1010);
    assert_int_equal(after.links_in - before.links_in, 3 * 1010);
    after.links_out = before.links_out;
    after.links_in = before.links_in;
    assert_memory_equal(&after, &before, sizeof(before));
    node_world_close(&world);
}

static void bound__follows_the_channel(void **state) {
    (void) state;
    node_world_open(&world);
    const struct node_bound before = bound();
    struct channel_config *channel = world.node->channel_config;
    struct ord_core_config *core = (struct ord_core_config *) (uintptr_t) replica_core_config(world.replica);
    /* A view change can fill twice the bytes. */
    core->body_bytes_max += 4096;
    EXPECT_CHANGE(before, core, world.node->links.protocol->memory_size(core) - before.core);
    assert_in_range(bound().core - before.core, 2 * 4096, 3 * 4096);
    core->body_bytes_max -= 4096;
    /* A larger block makes a larger answer, in the making and unsent. */
    channel->preferred_max_bytes += 100;
    struct node_bound after = bound();
    assert_int_equal(after.reader - before.reader, 3 * 100);
    assert_int_equal(after.unsent - before.unsent, 100);
    channel->preferred_max_bytes -= 100;
    /* Larger envelopes make larger requests. */
    const uint64_t request = requests_bytes_max(world.node);
    channel->absolute_max_bytes += 64;
    after = bound();
    assert_int_equal(requests_bytes_max(world.node), request + 2 * 64);
    assert_int_equal(after.receiving - before.receiving, requests_connections_max(world.node) * 2 * 64);
    channel->absolute_max_bytes -= 64;
    node_world_close(&world);
}

static void bound__has_the_limits_of_answers(void **state) {
    (void) state;
    node_world_open(&world);
    const struct node_bound now = bound();
    assert_true(now.unsent > UNSENT_MAX + ANSWER_BYTES_MAX);
    assert_true(now.reader > 2 * ANSWER_BYTES_MAX);
    assert_true(now.program > 0 && now.checks > 0 && now.sync > 0 && now.channel > 0);
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(bound__follows_the_settings_of_the_replica),
    cmocka_unit_test(bound__follows_the_channel),
    cmocka_unit_test(bound__has_the_limits_of_answers),
};
TEST_CASES(cases);
