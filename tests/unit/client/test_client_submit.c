/* Submits to replicas that behave correctly: registration, numbers, batches, receipts, room. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/flow/pace.h"
#include "client/ordain.h"
#include "tests/support/client_world.h"
#include "tests/support/test_main.h"

#define TIMEOUT_MS 20000u

struct tally {
    atomic_uint accepted;
    atomic_uint final;
    atomic_uint failed;
    atomic_uint receipts;
    _Atomic uint64_t highest_block;
};

static void on_event(void *context, const struct ordain_event *event) {
    struct tally *tally = context;
    switch (event->kind) {
    case ORDAIN_EVENT_ACCEPTED:
        tally->accepted++;
        break;
    case ORDAIN_EVENT_FINAL:
        tally->final++;
        if (event->receipt.size > 0)
            tally->receipts++;
        if (event->height > tally->highest_block)
            tally->highest_block = event->height;
        break;
    case ORDAIN_EVENT_FAILED:
        tally->failed++;
        break;
    }
}

static struct ordain *open_client(const char *config_file, bool receipts) {
    char why[ORDAIN_TEXT_SIZE] = "";
    struct ordain_options options;
    struct ordain *client = NULL;
    ordain_options_init(&options);
    options.config_file = config_file;
    options.receipts = receipts;
    enum ordain_error error = ordain_open(&client, &options, why, sizeof(why));
    if (error != ORDAIN_OK)
        fail_msg("%s: %s", ordain_error_name(error), why);
    return client;
}

static void submit_many(struct ordain *client, struct tally *tally, const char *prefix, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char text[64];
        int size = snprintf(text, sizeof(text), "%s %u", prefix, i);
        struct ordain_bytes transaction = {text, (size_t) size};
        assert_int_equal(ordain_submit(client, &transaction, 1, on_event, tally, TIMEOUT_MS), ORDAIN_OK);
    }
}

static void solo_world(struct world **world) {
    struct world_options options = {.replica_count = 1, .consensus = CHANNEL_SOLO, .max_message_count = 100};
    *world = world_create(&options);
}

static void submit__makes_a_transaction_final(void **state) {
    (void) state;
    struct world *world;
    struct tally tally = {0};
    solo_world(&world);
    struct ordain *client = open_client(world_config_file(world), false);
    submit_many(client, &tally, "one", 1);
    assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tally.accepted, 1);
    assert_int_equal(tally.final, 1);
    assert_int_equal(tally.failed, 0);
    assert_int_equal(world_count(world, "one 0", 5), 1);
    ordain_close(client);
    world_destroy(world);
}

static void submit__goes_beyond_the_replay_window(void **state) {
    (void) state;
    enum { COUNT = 6000 };
    struct world *world;
    struct tally tally = {0};
    struct ordain_statistics statistics;
    solo_world(&world);
    struct ordain *client = open_client(world_config_file(world), false);
    submit_many(client, &tally, "many", COUNT);
    assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tally.final, COUNT);
    assert_int_equal(world_transactions(world), COUNT);
    ordain_statistics(client, &statistics);
    assert_int_equal(statistics.submitted, COUNT);
    assert_int_equal(statistics.final, COUNT);
    assert_int_equal(statistics.renumbered, 0);
    /* Signatures are checked once per certificate, not once per receipt. */
    assert_true(statistics.certificates < COUNT / 4);
    ordain_close(client);
    world_destroy(world);
}

/* Envelopes that are submitted while requests cannot go out are gathered, up to envelopes_per_request. */
static void submit__gathers_envelopes_into_requests(void **state) {
    (void) state;
    struct world *world;
    struct tally tally = {0};
    struct world_fault fault = {.busy_requests = 2, .retry_after_ms = 500};
    solo_world(&world);
    struct ordain *client = open_client(world_config_file(world), false);
    assert_int_equal(ordain_prepare(client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(world, 0, &fault);
    submit_many(client, &tally, "many", 640);
    assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tally.final, 640);
    assert_int_equal(world_envelopes_max(world), 64);
    ordain_close(client);
    world_destroy(world);
}

/* Nothing is known of the channel's rate yet, so little is sent, and callers wait when some more is ready to follow. */
static void submit__stops_at_the_pace_while_nothing_is_final(void **state) {
    (void) state;
    struct world *world;
    struct tally tally = {0};
    struct ordain_statistics statistics;
    static uint8_t bytes[10000];
    struct ordain_bytes transaction = {bytes, sizeof(bytes)};
    uint32_t count = 0;
    /* So long that nothing is submitted again. */
    struct world_options options = {.replica_count = 1, .consensus = CHANNEL_SOLO, .request_timeout_ms = 60000};
    world = world_create(&options);
    struct ordain *client = open_client(world_config_file(world), false);
    assert_int_equal(ordain_prepare(client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_hold(world, true);
    enum ordain_error error = ORDAIN_OK;
    while (error == ORDAIN_OK && count < CHANNEL_REPLAY_WINDOW) {
        bytes[0] = (uint8_t) count;
        bytes[1] = (uint8_t) (count >> 8);
        error = ordain_submit(client, &transaction, 1, on_event, &tally, 100);
        count += error == ORDAIN_OK;
    }
    assert_int_equal(error, ORDAIN_TIMEOUT);
    assert_in_range(count * sizeof(bytes), CLIENT_PACE_WINDOW_FIRST, 8 * CLIENT_PACE_WINDOW_FIRST);
    assert_true(world_envelopes(world, 0) * sizeof(bytes) <= CLIENT_PACE_WINDOW_FIRST + sizeof(bytes));
    assert_int_equal(tally.final, 0);
    world_hold(world, false);
    assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tally.final, count);
    assert_int_equal(world_transactions(world), count);
    ordain_statistics(client, &statistics);
    assert_int_equal(statistics.failed, 0);
    ordain_close(client);
    world_destroy(world);
}

/* An envelope that is larger than what may be under way goes alone. */
static void submit__of_an_envelope_larger_than_the_pace(void **state) {
    (void) state;
    enum { COUNT = 12 };
    struct world *world;
    struct tally tally = {0};
    static uint8_t bytes[4 * CLIENT_PACE_WINDOW_FIRST];
    struct ordain_bytes transaction = {bytes, sizeof(bytes)};
    solo_world(&world);
    struct ordain *client = open_client(world_config_file(world), false);
    for (uint8_t i = 0; i < COUNT; i++) {
        bytes[0] = i;
        assert_int_equal(ordain_submit(client, &transaction, 1, on_event, &tally, TIMEOUT_MS), ORDAIN_OK);
    }
    assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tally.final, COUNT);
    assert_int_equal(world_transactions(world), COUNT);
    ordain_close(client);
    world_destroy(world);
}

static void submit__keeps_transactions_of_an_envelope_together(void **state) {
    (void) state;
    struct world *world;
    struct tally tally = {0};
    struct ordain_bytes transactions[100];
    char texts[100][16];
    solo_world(&world);
    struct ordain *client = open_client(world_config_file(world), false);
    for (int i = 0; i < 100; i++)
        transactions[i] = (struct ordain_bytes) {texts[i], (size_t) snprintf(texts[i], sizeof(texts[i]), "tx %d", i)};
    assert_int_equal(ordain_submit(client, transactions, 100, on_event, &tally, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tally.final, 1);
    assert_int_equal(world_transactions(world), 100);
    assert_int_equal(world_count(world, "tx 99", 5), 1);
    ordain_close(client);
    world_destroy(world);
}

static void submit__refuses_what_is_over_the_limits(void **state) {
    (void) state;
    struct world *world;
    struct world_options options = {
        .replica_count = 1, .consensus = CHANNEL_SOLO, .max_message_count = 10, .absolute_max_bytes = 4096};
    world = world_create(&options);
    struct ordain *client = open_client(world_config_file(world), false);
    static uint8_t large[4096];
    struct ordain_bytes transactions[11];
    for (int i = 0; i < 11; i++)
        transactions[i] = (struct ordain_bytes) {"x", 1};
    struct ordain_bytes too_large = {large, sizeof(large)};
    assert_int_equal(ordain_submit(client, transactions, 0, NULL, NULL, TIMEOUT_MS), ORDAIN_INVALID);
    assert_int_equal(ordain_submit(client, transactions, 11, NULL, NULL, TIMEOUT_MS), ORDAIN_TOO_LARGE);
    assert_int_equal(ordain_submit(client, &too_large, 1, NULL, NULL, TIMEOUT_MS), ORDAIN_TOO_LARGE);
    assert_int_equal(ordain_submit(client, transactions, 10, NULL, NULL, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(world_transactions(world), 10);
    ordain_close(client);
    world_destroy(world);
}

static void submit__goes_on_with_the_next_number_after_a_restart(void **state) {
    (void) state;
    struct world *world;
    struct tally tally = {0};
    struct ordain_statistics statistics;
    solo_world(&world);
    for (int run = 0; run < 3; run++) {
        struct ordain *client = open_client(world_config_file(world), false);
        submit_many(client, &tally, run == 0 ? "a" : run == 1 ? "b" : "c", 20);
        assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
        ordain_statistics(client, &statistics);
        assert_int_equal(statistics.renumbered, 0);
        ordain_close(client);
    }
    assert_int_equal(tally.final, 60);
    assert_int_equal(world_transactions(world), 60);
    ordain_close(NULL);
    world_destroy(world);
}

/* Two processes with one identity: their numbers collide, and still every transaction is ordered once. */
static void submit__two_clients_of_one_identity_collide_without_loss(void **state) {
    (void) state;
    struct world *world;
    struct tally tallies[2] = {0};
    struct ordain_statistics statistics[2];
    solo_world(&world);
    struct ordain *first = open_client(world_config_file(world), false);
    struct ordain *second = open_client(world_config_file(world), false);
    assert_int_equal(ordain_prepare(first, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    assert_int_equal(ordain_prepare(second, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    submit_many(first, &tallies[0], "first", 200);
    assert_int_equal(ordain_drain_final(first, TIMEOUT_MS), ORDAIN_OK);
    submit_many(second, &tallies[1], "second", 100);
    submit_many(first, &tallies[0], "first again", 100);
    assert_int_equal(ordain_drain_final(first, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(ordain_drain_final(second, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tallies[0].final, 300);
    assert_int_equal(tallies[1].final, 100);
    assert_int_equal(world_transactions(world), 400);
    for (int i = 0; i < 100; i++) {
        char text[32];
        int size = snprintf(text, sizeof(text), "second %d", i);
        assert_int_equal(world_count(world, text, (size_t) size), 1);
    }
    ordain_statistics(first, &statistics[0]);
    ordain_statistics(second, &statistics[1]);
    /*
     * The first number of the second client is certainly taken. How many more it signed before it learned that is a
     * matter of time.
     */
    assert_true(statistics[1].renumbered >= 1);
    ordain_close(first);
    ordain_close(second);
    world_destroy(world);
}

static void submit__what_is_older_than_the_window_gets_a_fresh_number(void **state) {
    (void) state;
    struct world *world;
    struct tally tallies[2] = {0};
    struct ordain_statistics statistics;
    solo_world(&world);
    struct ordain *slow = open_client(world_config_file(world), false);
    struct ordain *fast = open_client(world_config_file(world), false);
    assert_int_equal(ordain_prepare(slow, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    submit_many(fast, &tallies[1], "fast", CHANNEL_REPLAY_WINDOW + 500);
    assert_int_equal(ordain_drain_final(fast, TIMEOUT_MS), ORDAIN_OK);
    submit_many(slow, &tallies[0], "slow", 3);
    assert_int_equal(ordain_drain_final(slow, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tallies[0].final, 3);
    assert_int_equal(world_count(world, "slow 2", 6), 1);
    assert_int_equal(world_transactions(world), CHANNEL_REPLAY_WINDOW + 503);
    ordain_statistics(slow, &statistics);
    /* The first one certainly. The others already have fresh numbers if its answer came before they were submitted. */
    assert_true(statistics.renumbered >= 1 && statistics.renumbered <= 60);
    ordain_close(fast);
    ordain_close(slow);
    world_destroy(world);
}

struct thread_work {
    struct ordain *client;
    struct tally *tally;
    const char *prefix;
};

static void *submit_in_thread(void *argument) {
    struct thread_work *work = argument;
    submit_many(work->client, work->tally, work->prefix, 500);
    return NULL;
}

static void submit__from_many_threads(void **state) {
    (void) state;
    static const char *const prefixes[] = {"north", "south", "east", "west"};
    struct world *world;
    struct tally tally = {0};
    pthread_t threads[4];
    struct thread_work work[4];
    solo_world(&world);
    struct ordain *client = open_client(world_config_file(world), false);
    for (int i = 0; i < 4; i++) {
        work[i] = (struct thread_work) {client, &tally, prefixes[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, submit_in_thread, &work[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(ordain_drain_final(client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(tally.final, 2000);
    assert_int_equal(world_transactions(world), 2000);
    ordain_close(client);
    world_destroy(world);
}

static void close__tells_of_what_is_not_final(void **state) {
    (void) state;
    struct world *world;
    struct tally tally = {0};
    solo_world(&world);
    struct ordain *client = open_client(world_config_file(world), false);
    assert_int_equal(ordain_prepare(client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_hold(world, true);
    submit_many(client, &tally, "open", 300);
    ordain_close(client);
    assert_int_equal(tally.failed, 300);
    assert_int_equal(tally.final, 0);
    world_destroy(world);
}

static void order__gives_a_receipt_that_verifies_offline(void **state) {
    (void) state;
    struct world *world;
    uint8_t *receipt = NULL;
    size_t size = 0;
    char why[ORDAIN_TEXT_SIZE] = "";
    uint32_t index = 0;
    uint8_t fingerprint[ORDAIN_HASH_SIZE];
    struct ordain_receipt info;
    static uint8_t genesis[1u << 20];
    solo_world(&world);
    struct ordain *client = open_client(world_config_file(world), true);
    struct ordain_bytes transaction = {"pay 5", 5};
    assert_int_equal(ordain_order(client, transaction, &receipt, &size, TIMEOUT_MS, why, sizeof(why)), ORDAIN_OK);
    FILE *file = fopen(world_genesis_file(world), "rb");
    assert_non_null(file);
    size_t genesis_size = fread(genesis, 1, sizeof(genesis), file);
    fclose(file);
    struct ordain_bytes genesis_bytes = {genesis, genesis_size};
    struct ordain_bytes receipt_bytes = {receipt, size};
    assert_int_equal(ordain_receipt_verify(&info, genesis_bytes, receipt_bytes, why, sizeof(why)), ORDAIN_OK);
    ordain_fingerprint(client, fingerprint);
    assert_true(info.has_envelope);
    assert_memory_equal(info.client, fingerprint, sizeof(fingerprint));
    assert_int_equal(info.sequence, 1);
    assert_int_equal(info.transaction_count, 1);
    assert_int_equal(ordain_receipt_find(&index, receipt_bytes, transaction), ORDAIN_OK);
    struct ordain_bytes another = {"pay 6", 5};
    assert_int_equal(ordain_receipt_find(&index, receipt_bytes, another), ORDAIN_NOT_FOUND);
    for (size_t i = 0; i < size; i++) { /* any bit matters */
        receipt[i] ^= 0x10;
        if (ordain_receipt_verify(&info, genesis_bytes, receipt_bytes, why, sizeof(why)) == ORDAIN_OK)
            fail_msg("byte %zu of %zu can be changed", i, size);
        receipt[i] ^= 0x10;
    }
    free(receipt);
    ordain_close(client);
    world_destroy(world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(submit__makes_a_transaction_final),
    cmocka_unit_test(submit__goes_beyond_the_replay_window),
    cmocka_unit_test(submit__gathers_envelopes_into_requests),
    cmocka_unit_test(submit__stops_at_the_pace_while_nothing_is_final),
    cmocka_unit_test(submit__of_an_envelope_larger_than_the_pace),
    cmocka_unit_test(submit__keeps_transactions_of_an_envelope_together),
    cmocka_unit_test(submit__refuses_what_is_over_the_limits),
    cmocka_unit_test(submit__goes_on_with_the_next_number_after_a_restart),
    cmocka_unit_test(submit__two_clients_of_one_identity_collide_without_loss),
    cmocka_unit_test(submit__what_is_older_than_the_window_gets_a_fresh_number),
    cmocka_unit_test(submit__from_many_threads),
    cmocka_unit_test(close__tells_of_what_is_not_final),
    cmocka_unit_test(order__gives_a_receipt_that_verifies_offline),
};
TEST_CASES(cases);
