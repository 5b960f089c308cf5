/*
 * Blocks, receipts and status from replicas, some of which lie. Everything given out is proved, and each liar is named
 * (rows D1, D2, D3).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ordain.h"
#include "tests/support/client_world.h"
#include "tests/support/test_main.h"

#define TIMEOUT_MS 20000u
#define BLOCKS     40u

struct scene {
    struct world *world;
    struct ordain *client;
    char why[ORDAIN_TEXT_SIZE];
};

/* What ordain_deliver gave out. */
struct harvest {
    uint64_t blocks;
    uint64_t first;
    uint64_t last;
    uint64_t transactions;
    uint64_t problems;
    uint32_t problem_replica;
    char problem[ORDAIN_TEXT_SIZE];
    uint64_t stop_after; /* stop after so many blocks; 0: never */
    uint8_t chain[1 << 16];
    size_t chain_size;
};

static struct ordain *open_client(struct world *world, int replica) {
    struct ordain *client = NULL;
    char why[ORDAIN_TEXT_SIZE] = "";
    struct ordain_options options;
    ordain_options_init(&options);
    options.config_file = world_config_file(world);
    options.replica = replica;
    options.receipts = true;
    if (ordain_open(&client, &options, why, sizeof(why)) != ORDAIN_OK)
        fail_msg("%s", why);
    return client;
}

/* Orders a registration and BLOCKS transactions, each in a block of its own. */
static void open_scene(struct scene *scene, int replica) {
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT, .request_timeout_ms = 200};
    memset(scene, 0, sizeof(*scene));
    scene->world = world_create(&options);
    scene->client = open_client(scene->world, ORDAIN_ANY_REPLICA);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        char text[32];
        struct ordain_bytes transaction = {text, (size_t) snprintf(text, sizeof(text), "tx %u", i)};
        assert_int_equal(
            ordain_order(scene->client, transaction, NULL, NULL, TIMEOUT_MS, scene->why, sizeof(scene->why)),
            ORDAIN_OK);
    }
    assert_int_equal(world_height(scene->world), BLOCKS + 1);
    if (replica != ORDAIN_ANY_REPLICA) {
        ordain_close(scene->client);
        scene->client = open_client(scene->world, replica);
    }
}

static void close_scene(struct scene *scene) {
    ordain_close(scene->client);
    world_destroy(scene->world);
}

static bool on_block(void *context, const struct ordain_block *block) {
    struct harvest *harvest = context;
    struct ordain_bytes data = block->data;
    struct ordain_envelope envelope;
    struct ordain_bytes transaction;
    if (harvest->blocks++ == 0)
        harvest->first = block->height;
    else
        assert_int_equal(block->height, harvest->last + 1);
    harvest->last = block->height;
    while (ordain_envelope_next(&envelope, &data))
        while (envelope.kind == ORDAIN_ENVELOPE_TRANSACTIONS &&
               ordain_transaction_next(&transaction, &envelope.transactions))
            harvest->transactions++;
    if (harvest->chain_size + block->header.size + block->data.size <= sizeof(harvest->chain)) {
        memcpy(harvest->chain + harvest->chain_size, block->header.data, block->header.size);
        memcpy(harvest->chain + harvest->chain_size + block->header.size, block->data.data, block->data.size);
        harvest->chain_size += block->header.size + block->data.size;
    }
    return harvest->stop_after == 0 || harvest->blocks < harvest->stop_after;
}

static void on_problem(void *context, uint32_t replica, const char *why) {
    struct harvest *harvest = context;
    harvest->problems++;
    harvest->problem_replica = replica;
    snprintf(harvest->problem, sizeof(harvest->problem), "%s", why);
}

static enum ordain_error pull(struct scene *scene, struct harvest *harvest, struct ordain_delivered *delivered,
                              uint64_t from, uint64_t to) {
    struct ordain_deliver deliver = {
        .from = from,
        .to = to,
        .wait_ms = 300,
        .poll_ms = 100,
        .on_block = on_block,
        .on_problem = on_problem,
        .context = harvest,
    };
    return ordain_deliver(scene->client, &deliver, delivered, scene->why, sizeof(scene->why));
}

static void deliver__gives_the_whole_chain(void **state) {
    (void) state;
    static struct harvest harvest;
    struct scene scene;
    struct ordain_delivered delivered;
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    memset(&harvest, 0, sizeof(harvest));
    assert_int_equal(pull(&scene, &harvest, &delivered, 0, ORDAIN_TO_NEWEST), ORDAIN_OK);
    assert_int_equal(harvest.first, 0);
    assert_int_equal(harvest.last, BLOCKS + 1);
    assert_int_equal(harvest.transactions, BLOCKS);
    assert_int_equal(delivered.transactions, BLOCKS);
    assert_int_equal(delivered.certificates, BLOCKS + 1);
    assert_int_equal(harvest.problems, 0);
    close_scene(&scene);
}

static void deliver__gives_ranges(void **state) {
    (void) state;
    static struct harvest harvest;
    struct scene scene;
    struct ordain_delivered delivered;
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    static const uint64_t ranges[][4] = {{0, 0, 0, 0},
                                         {1, 1, 1, 1},
                                         {0, 5, 0, 5},
                                         {17, 30, 17, 30},
                                         {BLOCKS, ORDAIN_TO_NEWEST, BLOCKS, BLOCKS + 1},
                                         {ORDAIN_FROM_NEWEST, ORDAIN_TO_NEWEST, BLOCKS + 1, BLOCKS + 1}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        memset(&harvest, 0, sizeof(harvest));
        assert_int_equal(pull(&scene, &harvest, &delivered, ranges[i][0], ranges[i][1]), ORDAIN_OK);
        assert_int_equal(harvest.first, ranges[i][2]);
        assert_int_equal(harvest.last, ranges[i][3]);
    }
    assert_int_equal(pull(&scene, &harvest, &delivered, 5, 4), ORDAIN_INVALID);
    memset(&harvest, 0, sizeof(harvest));
    assert_int_equal(pull(&scene, &harvest, &delivered, BLOCKS + 2, ORDAIN_TO_NEWEST), ORDAIN_NOT_READY);
    assert_int_equal(pull(&scene, &harvest, &delivered, BLOCKS, BLOCKS + 9), ORDAIN_TIMEOUT);
    assert_int_equal(harvest.last, BLOCKS + 1);
    close_scene(&scene);
}

static void deliver__gives_the_same_bytes_from_every_replica(void **state) {
    (void) state;
    static struct harvest harvests[4];
    struct scene scene;
    struct ordain_delivered delivered;
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    /* Later headers and one certificate prove as much as a certificate for each block. */
    struct world_fault rare = {.certifies_rarely = true};
    world_fault(scene.world, 3, &rare);
    for (int i = 0; i < 4; i++) {
        ordain_close(scene.client);
        scene.client = open_client(scene.world, i);
        memset(&harvests[i], 0, sizeof(harvests[i]));
        assert_int_equal(pull(&scene, &harvests[i], &delivered, 0, ORDAIN_TO_NEWEST), ORDAIN_OK);
        assert_int_equal(harvests[i].blocks, BLOCKS + 2);
        assert_int_equal(harvests[i].chain_size, harvests[0].chain_size);
        assert_memory_equal(harvests[i].chain, harvests[0].chain, harvests[0].chain_size);
    }
    close_scene(&scene);
}

static void deliver__stops_when_told(void **state) {
    (void) state;
    static struct harvest harvest;
    struct scene scene;
    struct ordain_delivered delivered;
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    memset(&harvest, 0, sizeof(harvest));
    harvest.stop_after = 7;
    assert_int_equal(pull(&scene, &harvest, &delivered, 0, ORDAIN_TO_FOREVER), ORDAIN_STOPPED);
    assert_int_equal(harvest.blocks, 7);
    close_scene(&scene);
}

static void fault_all(struct scene *scene, const struct world_fault *fault) {
    for (uint32_t i = 0; i < 4; i++)
        world_fault(scene->world, i, fault);
}

static void deliver__waits_for_replicas_that_are_busy(void **state) {
    (void) state;
    static struct harvest harvest;
    const struct world_fault fault = {.busy_delivers = 2};
    struct scene scene;
    struct ordain_delivered delivered;
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    memset(&harvest, 0, sizeof(harvest));
    fault_all(&scene, &fault);
    struct ordain_deliver deliver = {
        .from = 1, .to = ORDAIN_TO_NEWEST, .on_block = on_block, .on_problem = on_problem, .context = &harvest};
    assert_int_equal(ordain_deliver(scene.client, &deliver, &delivered, scene.why, sizeof(scene.why)), ORDAIN_OK);
    assert_int_equal(harvest.last, BLOCKS + 1);
    close_scene(&scene);
}

static bool stop_at_silence(void *context) {
    const struct harvest *harvest = context;
    return harvest->problems > 0 && harvest->problem_replica == ORDAIN_NO_REPLICA;
}

/* Whoever waits for ever is told that nobody serves, and what each replica last said. */
static void deliver__to_forever_says_that_nobody_serves(void **state) {
    (void) state;
    static struct harvest harvest;
    static const struct {
        struct world_fault fault;
        const char *says;
    } faults[] = {{{.busy_delivers = UINT32_MAX}, "BUSY: too much is unread, "},
                  {{.mute = true}, "no answer in time, "}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct scene scene;
        struct ordain_delivered delivered;
        char says[ORDAIN_TEXT_SIZE];
        /* Pinned: then a mute replica is asked for blocks, too. */
        open_scene(&scene, 2);
        memset(&harvest, 0, sizeof(harvest));
        fault_all(&scene, &faults[i].fault);
        struct ordain_deliver deliver = {.from = 1,
                                         .to = ORDAIN_TO_FOREVER,
                                         .poll_ms = 100,
                                         .on_block = on_block,
                                         .on_problem = on_problem,
                                         .stop = stop_at_silence,
                                         .context = &harvest};
        assert_int_equal(ordain_deliver(scene.client, &deliver, &delivered, scene.why, sizeof(scene.why)),
                         ORDAIN_STOPPED);
        ordain_replica_says(scene.client, 2, says, sizeof(says));
        if (strstr(says, faults[i].says) != says)
            fail_msg("%s", says);
        ordain_replica_says(scene.client, 0, says, sizeof(says));
        assert_string_equal(says, "not asked");
        close_scene(&scene);
    }
}

/* Nothing that the liar serves is given out. The liar is named, and another replica continues. */
static void check_liar(const struct world_fault *fault, const char *expected, bool accused) {
    static struct harvest harvest;
    struct scene scene;
    struct ordain_delivered delivered;
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    world_fault(scene.world, 0, fault);
    memset(&harvest, 0, sizeof(harvest));
    assert_int_equal(pull(&scene, &harvest, &delivered, 0, ORDAIN_TO_NEWEST), ORDAIN_OK);
    assert_int_equal(harvest.transactions, BLOCKS);
    assert_int_equal(harvest.last, BLOCKS + 1);
    assert_int_equal(harvest.problems, 1);
    assert_int_equal(harvest.problem_replica, 0);
    if (strstr(harvest.problem, expected) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", expected, harvest.problem);
    assert_int_equal(ordain_replica_suspect(scene.client, 0, NULL, 0), accused);
    ordain_close(scene.client);
    scene.client = open_client(scene.world, 0);
    memset(&harvest, 0, sizeof(harvest));
    enum ordain_error error = pull(&scene, &harvest, &delivered, 1, ORDAIN_TO_NEWEST);
    if (accused) {
        assert_int_equal(error, ORDAIN_UNVERIFIED);
        assert_int_equal(harvest.blocks, 0);
        assert_non_null(strstr(scene.why, expected));
    }
    close_scene(&scene);
}

static void liar__with_other_data_is_named(void **state) {
    (void) state;
    struct world_fault fault = {.forges_data = true};
    check_liar(&fault, "data does not match its header", true);
}

static void liar__with_a_certificate_of_its_own_is_named(void **state) {
    (void) state;
    struct world_fault fault = {.forges_certificates = true};
    check_liar(&fault, "signature of the certificate does not verify", true);
}

static void liar__that_withholds_is_named(void **state) {
    (void) state;
    struct world_fault fault = {.withholds = true};
    check_liar(&fault, "which it claims to have", false);
}

static void receipts__are_fetched_by_number_and_place(void **state) {
    (void) state;
    struct scene scene;
    uint8_t *receipt = NULL;
    size_t size = 0;
    uint32_t index = 0;
    uint8_t fingerprint[ORDAIN_HASH_SIZE];
    struct ordain_receipt info;
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    ordain_fingerprint(scene.client, fingerprint);
    assert_int_equal(ordain_receipt_by_sequence(scene.client, &receipt, &size, fingerprint, 5, TIMEOUT_MS, scene.why,
                                                sizeof(scene.why)),
                     ORDAIN_OK);
    struct ordain_bytes bytes = {receipt, size};
    assert_int_equal(ordain_receipt_check(scene.client, &info, bytes, scene.why, sizeof(scene.why)), ORDAIN_OK);
    assert_int_equal(info.sequence, 5);
    assert_int_equal(info.height, 6);
    assert_int_equal(info.signer_count, 2);
    struct ordain_bytes transaction = {"tx 4", 4};
    assert_int_equal(ordain_receipt_find(&index, bytes, transaction), ORDAIN_OK);
    free(receipt);
    assert_int_equal(
        ordain_receipt_by_place(scene.client, &receipt, &size, 6, 0, TIMEOUT_MS, scene.why, sizeof(scene.why)),
        ORDAIN_OK);
    bytes = (struct ordain_bytes) {receipt, size};
    assert_int_equal(ordain_receipt_check(scene.client, &info, bytes, scene.why, sizeof(scene.why)), ORDAIN_OK);
    assert_int_equal(info.sequence, 5);
    free(receipt);
    assert_int_equal(ordain_receipt_by_sequence(scene.client, &receipt, &size, fingerprint, 5000, TIMEOUT_MS, scene.why,
                                                sizeof(scene.why)),
                     ORDAIN_NOT_FOUND);
    close_scene(&scene);
}

static void receipts__of_liars_are_not_taken(void **state) {
    (void) state;
    static const struct world_fault faults[] = {
        {.forges_receipts = true}, {.forges_certificates = true}, {.other_receipts = true}};
    uint8_t *receipt = NULL;
    size_t size = 0;
    uint8_t fingerprint[ORDAIN_HASH_SIZE];
    struct scene scene;
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    ordain_fingerprint(scene.client, fingerprint);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        for (uint32_t replica = 0; replica < 3; replica++)
            world_fault(scene.world, replica, &faults[i]);
        /* One honest replica is enough. */
        assert_int_equal(ordain_receipt_by_sequence(scene.client, &receipt, &size, fingerprint, 3, TIMEOUT_MS,
                                                    scene.why, sizeof(scene.why)),
                         ORDAIN_OK);
        free(receipt);
        /* Without an honest replica the fetch fails. */
        world_fault(scene.world, 3, &faults[i]);
        assert_int_equal(ordain_receipt_by_sequence(scene.client, &receipt, &size, fingerprint, 3, TIMEOUT_MS,
                                                    scene.why, sizeof(scene.why)),
                         ORDAIN_UNVERIFIED);
        struct world_fault honest = {0};
        world_fault(scene.world, 3, &honest);
    }
    close_scene(&scene);
}

static void status__tells_who_answers(void **state) {
    (void) state;
    static struct ordain_status list[ORDAIN_REPLICA_MAX];
    uint32_t count = 0;
    struct scene scene;
    struct world_fault garbage = {.garbage = true};
    open_scene(&scene, ORDAIN_ANY_REPLICA);
    world_stop_replica(scene.world, 1);
    world_fault(scene.world, 2, &garbage);
    assert_int_equal(ordain_status(scene.client, list, &count, 1000), ORDAIN_OK);
    assert_int_equal(count, 4);
    assert_true(list[0].reachable && list[3].reachable);
    assert_false(list[1].reachable || list[2].reachable);
    assert_string_equal(list[2].why, "malformed reply");
    assert_string_equal(list[0].why, "");
    assert_int_equal(list[0].height, BLOCKS + 1);
    assert_int_equal(list[0].counter_count, 1);
    assert_string_equal(list[0].counters[0].name, "client_signatures_checked");
    for (uint32_t i = 0; i < 4; i++)
        world_stop_replica(scene.world, i);
    assert_int_equal(ordain_status(scene.client, list, &count, 200), ORDAIN_UNREACHABLE);
    close_scene(&scene);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(deliver__gives_the_whole_chain),
    cmocka_unit_test(deliver__gives_ranges),
    cmocka_unit_test(deliver__gives_the_same_bytes_from_every_replica),
    cmocka_unit_test(deliver__stops_when_told),
    cmocka_unit_test(deliver__waits_for_replicas_that_are_busy),
    cmocka_unit_test(deliver__to_forever_says_that_nobody_serves),
    cmocka_unit_test(liar__with_other_data_is_named),
    cmocka_unit_test(liar__with_a_certificate_of_its_own_is_named),
    cmocka_unit_test(liar__that_withholds_is_named),
    cmocka_unit_test(receipts__are_fetched_by_number_and_place),
    cmocka_unit_test(receipts__of_liars_are_not_taken),
    cmocka_unit_test(status__tells_who_answers),
};
TEST_CASES(cases);
