/*
 * A replica that has forgotten its statements, as its operator sees it (row V16). It asks at each start. Its status
 * says that it is silent, and until when. A restart does not make it speak.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bft/bft_internal.h"
#include "tests/support/node_support.h"
#include "tests/support/test_main.h"

static Ordain__V1__Response *status_of(struct node_world *world) {
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__StatusRequest status = ORDAIN__V1__STATUS_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_STATUS;
    request.status = &status;
    return node_world_ask(world, &request);
}

static void expect_status(struct node_world *world, bool asking, bool silent, uint64_t until_seq) {
    Ordain__V1__Response *response = status_of(world);
    assert_int_equal(response->replica->asking, asking);
    assert_int_equal(response->replica->silent, silent);
    assert_int_equal(response->replica->silent_until_seq, until_seq);
    ordain__v1__response__free_unpacked(response, NULL);
}

/* Gives back a PREPARE of our replica that our replica does not hold. The test has its key. */
static void give_back(struct node_world *world, ord_node_id from, uint64_t seq) {
    const struct ord_core_config *config = &world->replica->setup.core_config;
    struct bft_statement statement = {.type = BFT_PREPARE, .seq = seq, .sender = world->self};
    struct ord_hash hash;
    struct ord_signature signature;
    uint8_t word[BFT_SIGNED_VOTE_SIZE_MAX];
    uint8_t bytes[1024];
    bft_statement_hash(&hash, config, &statement);
    assert_ok(crypto_sign(&signature, &world->keys[world->self], &hash));
    const struct bft_proof proof = bft_proof_alone(&signature);
    const struct bft_recall recall = {.sender = from,
                                      .nonce = world->replica->agree.core->silence.nonce,
                                      .reach_seq = seq,
                                      .statement =
                                          ord_span_of(word, bft_signed_encode(word, config, &statement, &proof))};
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_recall_encode(&writer, config, 0, &recall);
    node_world_send(world, from, REPLICA_LINK_CORE, ord_writer_span(&writer));
    node_world_until_idle(world, from);
}

static size_t words_queued(struct node_world *world, enum bft_type type) {
    struct ord_span last;
    size_t count = node_world_queued(world, &last, world->primary, REPLICA_LINK_CORE);
    return count > 0 && last.data[0] == type ? count : 0;
}

static void silence__is_told_and_outlives_a_restart(void **state) {
    (void) state;
    static struct node_world world;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    node_world_write(&world);
    world.asks = true;
    node_world_start(&world);
    expect_status(&world, true, false, 0);
    uint64_t first_nonce = world.replica->agree.core->silence.nonce;
    give_back(&world, node_world_other(&world, 0), 3);
    expect_status(&world, true, true, 3);
    node_world_recall(&world, node_world_other(&world, 1), 5);
    node_world_until_idle(&world, node_world_other(&world, 1));
    expect_status(&world, false, true, 5);

    /* The silent replica does not vote. */
    const struct ord_span registration = node_world_envelope(&world, 0, 0);
    const struct ord_span batch = node_world_batch(&registration, 1, 0);
    node_world_forget_queued(&world);
    node_world_pre_prepare(&world, 1, batch);
    node_world_until_idle(&world, world.primary);
    node_world_turn(&world, 0);
    assert_int_equal(words_queued(&world, BFT_PREPARE), 0);
    free((void *) (uintptr_t) batch.data);
    free((void *) (uintptr_t) registration.data);

    node_world_stop(&world);
    node_world_start(&world);
    /* Answers to its earlier life do not count. */
    assert_int_not_equal(world.replica->agree.core->silence.nonce, first_nonce);
    expect_status(&world, true, true, 5);
    node_world_recall(&world, node_world_other(&world, 0), 0);
    node_world_recall(&world, node_world_other(&world, 1), 0);
    node_world_until_idle(&world, node_world_other(&world, 0));
    node_world_until_idle(&world, node_world_other(&world, 1));
    expect_status(&world, false, true, 5);
    node_world_close(&world);
}

static void silence__is_not_that_of_an_intact_replica(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const struct ord_span registration = node_world_envelope(&world, 0, 0);
    node_world_order(&world, 1, node_world_batch(&registration, 1, 0));
    free((void *) (uintptr_t) registration.data);
    node_world_stop(&world);
    world.asks = true;
    node_world_start(&world);
    expect_status(&world, true, false, 0);
    /* Our replica still holds its statement about seq 1. */
    give_back(&world, node_world_other(&world, 0), 1);
    node_world_recall(&world, node_world_other(&world, 1), 9);
    node_world_until_idle(&world, node_world_other(&world, 1));
    expect_status(&world, false, false, 0);
    node_world_close(&world);
}

static bool has_pooled(struct node_world *world) {
    return world->replica->pool.lists[POOL_PASSED].count + world->replica->pool.lists[POOL_READY].count > 0;
}

/*
 * What another replica forwarded waits for half a timeout before it is passed on. Lets that time be over, and runs a
 * turn.
 */
static void pass_on(struct node_world *world) {
    struct pool_entry *entry = world->replica->pool.lists[POOL_PASSED].head;
    assert_non_null(entry);
    entry->forwarded_ms -= world->plan.config.request_timeout_ms;
    world->replica->turn.housekeeping_ms = 0;
    node_world_turn(world, 0);
}

/* All others are offered what the pool holds, which is this batch, and get it when they ask. */
static void expect_offered(struct node_world *world, struct ord_span batch) {
    for (uint32_t i = 0; i < 3; i++) {
        struct ord_span offer;
        struct ord_span last;
        ord_node_id other = node_world_other(world, i);
        assert_int_equal(node_world_queued(world, &offer, other, REPLICA_LINK_OFFER), 1);
        assert_int_equal(node_world_queued(world, NULL, other, REPLICA_LINK_FORWARD), 0);
        node_world_send(world, other, REPLICA_LINK_WANT, offer);
        node_world_turn(world, 0);
        assert_int_equal(node_world_queued(world, &last, other, REPLICA_LINK_FORWARD), 1);
        assert_true(ord_span_equal(last, batch));
    }
}

/*
 * A silent primary proposes nothing. It forwards its clients' requests to all others, whose clocks then run (row P7).
 */
static void silence__of_a_primary_is_no_grave_for_requests(void **state) {
    (void) state;
    static struct node_world world;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    world.leads = true;
    node_world_write(&world);
    world.asks = true;
    node_world_start(&world);
    give_back(&world, node_world_other(&world, 0), 3);
    node_world_recall(&world, node_world_other(&world, 1), 3);
    node_world_until_idle(&world, node_world_other(&world, 1));
    expect_status(&world, false, true, 3);
    const struct ord_span registration = node_world_envelope(&world, 0, 0);
    const struct ord_span batch = node_world_batch(&registration, 1, 0);
    node_world_forget_queued(&world);
    node_world_send(&world, node_world_other(&world, 2), REPLICA_LINK_FORWARD, batch);
    node_world_until(&world, has_pooled, "the envelope is in the pool");
    node_world_turn(&world, 0);
    pass_on(&world);
    expect_offered(&world, batch);
    free((void *) (uintptr_t) batch.data);
    free((void *) (uintptr_t) registration.data);
    node_world_close(&world);
}

/*
 * A replica that has had no leader for long, for whatever reason, forwards its clients' requests to the others. They
 * may have one.
 */
static void leaderless__replica_keeps_no_request_to_itself(void **state) {
    (void) state;
    static struct node_world world;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    world.leads = true;
    world.plan.config.request_timeout_ms = 3600000; /* the test decides when it ends */
    node_world_write(&world);
    world.asks = true; /* so nobody leads yet */
    node_world_start(&world);
    assert_int_equal(world.replica->agree.leader, ORD_NO_NODE);
    const struct ord_span registration = node_world_envelope(&world, 0, 0);
    const struct ord_span batch = node_world_batch(&registration, 1, 0);
    node_world_send(&world, node_world_other(&world, 2), REPLICA_LINK_FORWARD, batch);
    node_world_until(&world, has_pooled, "the envelope is in the pool");
    node_world_turn(&world, 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(node_world_queued(&world, NULL, node_world_other(&world, i), REPLICA_LINK_FORWARD), 0);
    world.replica->agree.leader_since_ms -= 3600000;
    node_world_turn(&world, 0);
    pass_on(&world);
    expect_offered(&world, batch);
    free((void *) (uintptr_t) batch.data);
    free((void *) (uintptr_t) registration.data);
    node_world_close(&world);
}

/* Another replica is refused on our stopped replica's data folder. */
static void expect_refused(const struct node_world *world, ord_node_id other) {
    char path[192];
    char why[INIT_WHY_MAX] = "";
    char said[64];
    struct node_config config;
    struct node *node = NULL;
    snprintf(path, sizeof(path), "%s/replica%u/node.cfg", world->directory, other);
    assert_ok(node_config_load(&config, path, why, sizeof(why)));
    memcpy(config.data_dir, world->config.data_dir, sizeof(config.data_dir));
    config.log_level = NODE_LOG_ERROR;
    assert_err(node_create(&node, &config, why, sizeof(why)), ORD_ERR_MISMATCH);
    snprintf(said, sizeof(said), "is that of replica %u, and this is replica %u", world->self, other);
    assert_non_null(strstr(why, said));
    assert_non_null(strstr(why, config.data_dir));
}

/* It would find a statement about every seq that it is asked about, and would contradict its own statements. */
static void silence__is_no_matter_of_a_disk_of_another(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const struct ord_span registration = node_world_envelope(&world, 0, 0);
    node_world_order(&world, 1, node_world_batch(&registration, 1, 0));
    free((void *) (uintptr_t) registration.data);
    node_world_stop(&world);
    for (uint32_t i = 0; i < 3; i++)
        expect_refused(&world, node_world_other(&world, i));
    node_world_start(&world);
    node_world_close(&world);
}

/* It is not known whose statements such a ledger has. */
static void silence__disk_without_an_owner_is_refused(void **state) {
    (void) state;
    static struct node_world world;
    struct ledger *ledger;
    struct ledger_options options;
    struct node *node = NULL;
    char why[INIT_WHY_MAX] = "";
    node_world_open(&world);
    node_world_stop(&world);
    ledger_options_defaults(&options);
    assert_ok(ledger_open(&ledger, world.config.data_dir, &options));
    assert_ok(ledger_put_meta(ledger, RECORD_REPLICA, ord_span_of(NULL, 0)));
    assert_ok(ledger_commit(ledger));
    ledger_close(ledger);
    assert_err(node_create(&node, &world.config, why, sizeof(why)), ORD_ERR_CORRUPT);
    assert_non_null(strstr(why, "the replica that this ledger is of"));
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(leaderless__replica_keeps_no_request_to_itself),
    cmocka_unit_test(silence__is_told_and_outlives_a_restart),
    cmocka_unit_test(silence__is_not_that_of_an_intact_replica),
    cmocka_unit_test(silence__of_a_primary_is_no_grave_for_requests),
    cmocka_unit_test(silence__is_no_matter_of_a_disk_of_another),
    cmocka_unit_test(silence__disk_without_an_owner_is_refused),
};
TEST_CASES(cases);
