/*
 * Submits to replicas that are busy, gone, silent or lying. Still, every transaction is ordered exactly once, and a
 * transaction is refused only if enough replicas refuse it.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "client/ordain.h"
#include "tests/support/client_world.h"
#include "tests/support/test_main.h"

#define TIMEOUT_MS 30000u
#define COUNT      150u

struct tally {
    atomic_uint accepted;
    atomic_uint final;
    atomic_uint failed;
    _Atomic int error;
    char words[128];
};

static void on_event(void *context, const struct ordain_event *event) {
    struct tally *tally = context;
    switch (event->kind) {
    case ORDAIN_EVENT_ACCEPTED:
        tally->accepted++;
        break;
    case ORDAIN_EVENT_FINAL:
        tally->final++;
        break;
    case ORDAIN_EVENT_FAILED:
        tally->error = (int) event->error;
        snprintf(tally->words, sizeof(tally->words), "%s", event->message);
        tally->failed++;
        break;
    }
}

struct scene {
    struct world *world;
    struct ordain *client;
    struct tally tally;
};

static void open_scene(struct scene *scene, const struct world_options *options, int replica) {
    char why[ORDAIN_TEXT_SIZE] = "";
    struct ordain_options client;
    memset(scene, 0, sizeof(*scene));
    scene->world = world_create(options);
    ordain_options_init(&client);
    client.config_file = world_config_file(scene->world);
    client.replica = replica;
    if (ordain_open(&scene->client, &client, why, sizeof(why)) != ORDAIN_OK)
        fail_msg("%s", why);
}

static void open_four(struct scene *scene) {
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT, .request_timeout_ms = 200};
    open_scene(scene, &options, ORDAIN_ANY_REPLICA);
}

static void close_scene(struct scene *scene) {
    ordain_close(scene->client);
    world_destroy(scene->world);
}

static void submit(struct scene *scene, uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; i++) {
        char text[32];
        struct ordain_bytes transaction = {text, (size_t) snprintf(text, sizeof(text), "tx %u", i)};
        assert_int_equal(ordain_submit(scene->client, &transaction, 1, on_event, &scene->tally, TIMEOUT_MS), ORDAIN_OK);
    }
}

static void check_exactly_once(struct scene *scene, uint32_t count) {
    assert_int_equal(ordain_drain_final(scene->client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(scene->tally.final, count);
    assert_int_equal(scene->tally.failed, 0);
    assert_int_equal(world_transactions(scene->world), count);
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        size_t size = (size_t) snprintf(text, sizeof(text), "tx %u", i);
        assert_int_equal(world_count(scene->world, text, size), 1);
    }
}

static void fault_all(struct scene *scene, const struct world_fault *fault) {
    for (uint32_t i = 0; i < 4; i++)
        world_fault(scene->world, i, fault);
}

static void busy__request_is_sent_again(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.busy_requests = 3, .retry_after_ms = 5};
    struct ordain_statistics statistics;
    open_four(&scene);
    fault_all(&scene, &fault);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    fault_all(&scene, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    ordain_statistics(scene.client, &statistics);
    assert_true(statistics.busy > 0);
    close_scene(&scene);
}

static void busy__envelopes_are_sent_again(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.busy_results = 40, .retry_after_ms = 5};
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    fault_all(&scene, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    close_scene(&scene);
}

static void dead__replica_is_passed_over(void **state) {
    (void) state;
    struct scene scene;
    open_four(&scene);
    submit(&scene, 0, 50);
    assert_int_equal(ordain_drain_final(scene.client, TIMEOUT_MS), ORDAIN_OK);
    world_stop_replica(scene.world, 0);
    submit(&scene, 50, 50);
    assert_int_equal(ordain_drain_final(scene.client, TIMEOUT_MS), ORDAIN_OK);
    world_start_replica(scene.world, 0);
    world_stop_replica(scene.world, 1);
    world_stop_replica(scene.world, 2);
    submit(&scene, 100, 50);
    check_exactly_once(&scene, COUNT);
    close_scene(&scene);
}

static void dead__all_replicas_and_back(void **state) {
    (void) state;
    struct scene scene;
    open_four(&scene);
    submit(&scene, 0, 10);
    assert_int_equal(ordain_drain_final(scene.client, TIMEOUT_MS), ORDAIN_OK);
    for (uint32_t i = 0; i < 4; i++)
        world_stop_replica(scene.world, i);
    submit(&scene, 10, 100);
    assert_int_equal(ordain_drain_accepted(scene.client, 100), ORDAIN_TIMEOUT);
    for (uint32_t i = 0; i < 4; i++)
        world_start_replica(scene.world, i);
    check_exactly_once(&scene, 110);
    close_scene(&scene);
}

/* The liar answers ACCEPTED and orders nothing. */
static void liar__that_drops_is_left(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.drops = true, .leader_hint = 1};
    struct ordain_statistics statistics;
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(scene.world, 0, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    ordain_statistics(scene.client, &statistics);
    assert_true(statistics.resent >= 1);
    close_scene(&scene);
}

/*
 * There are so many waits at the same time that their answers come one after another. Only the replica that accepted
 * the envelopes is left, not the one that the client has turned to since.
 */
static void liar__that_drops_is_the_only_one_left(void **state) {
    (void) state;
    enum { MANY = 1500 };
    struct scene scene;
    const struct world_fault fault = {.drops = true};
    /*
     * The client's patience is derived from request_timeout_ms. An honest replica must not exceed it because this
     * machine is busy.
     */
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT, .request_timeout_ms = 4000};
    open_scene(&scene, &options, ORDAIN_ANY_REPLICA);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    uint64_t before = world_envelopes(scene.world, 0);
    world_fault(scene.world, 0, &fault);
    submit(&scene, 0, MANY);
    check_exactly_once(&scene, MANY);
    /* No envelope came back to it. On a busy machine the client may leave it before it has sent them all. */
    assert_true(world_envelopes(scene.world, 0) <= before + MANY);
    close_scene(&scene);
}

static void liar__that_is_mute_is_left(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.mute = true};
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(scene.world, 0, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    close_scene(&scene);
}

/*
 * All replicas are slow. A client that has had no answer yet becomes patient enough after a few answers that came too
 * late.
 */
static void replicas__that_are_slow_are_given_time(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.late_ms = 1200};
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    for (uint32_t i = 0; i < 4; i++)
        world_fault(scene.world, i, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    close_scene(&scene);
}

/* They take longer than a client that knows nothing of them used to wait, but less than the request timeout. */
static void replicas__that_are_slow_get_nothing_twice(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.late_ms = 700};
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT, .request_timeout_ms = 8000};
    struct ordain_statistics statistics;
    open_scene(&scene, &options, ORDAIN_ANY_REPLICA);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    fault_all(&scene, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    ordain_statistics(scene.client, &statistics);
    assert_int_equal(statistics.resent, 0);
    close_scene(&scene);
}

static void liar__with_forged_receipts_is_found_out(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.forges_receipts = true};
    char why[ORDAIN_TEXT_SIZE];
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(scene.world, 0, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    assert_true(ordain_replica_suspect(scene.client, 0, why, sizeof(why)));
    assert_non_null(strstr(why, "does not verify"));
    for (uint32_t i = 1; i < 4; i++)
        assert_false(ordain_replica_suspect(scene.client, i, why, sizeof(why)));
    close_scene(&scene);
}

static void liar__with_forged_certificates_is_found_out(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.forges_certificates = true};
    char why[ORDAIN_TEXT_SIZE];
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(scene.world, 0, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    assert_true(ordain_replica_suspect(scene.client, 0, why, sizeof(why)));
    assert_non_null(strstr(why, "signature"));
    close_scene(&scene);
}

/*
 * Valid receipts of other envelopes must not make the client sign its transactions again, because they would then be
 * ordered twice.
 */
static void liar__with_receipts_of_others_causes_no_double(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.other_receipts = true};
    struct ordain_statistics statistics;
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(scene.world, 0, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    ordain_statistics(scene.client, &statistics);
    assert_int_equal(statistics.renumbered, 0);
    close_scene(&scene);
}

static void liar__with_garbage_is_found_out(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.garbage = true};
    char why[ORDAIN_TEXT_SIZE];
    open_four(&scene);
    world_fault(scene.world, 0, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    assert_true(ordain_replica_suspect(scene.client, 0, why, sizeof(why)));
    close_scene(&scene);
}

static void liar__without_results_is_found_out(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.empty_results = true};
    char why[ORDAIN_TEXT_SIZE];
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(scene.world, 0, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    assert_true(ordain_replica_suspect(scene.client, 0, why, sizeof(why)));
    close_scene(&scene);
}

static void liar__about_the_position_cannot_push_far_ahead(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.claims_sequence = 1000000};
    struct ordain_statistics statistics;
    open_four(&scene);
    world_fault(scene.world, 2, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    ordain_statistics(scene.client, &statistics);
    assert_int_equal(statistics.renumbered, 0);
    close_scene(&scene);
}

/* One replica stands in the place of all (row M8): only its own answers count, and the others' silence has a reason. */
static void impostor__counts_as_itself_alone(void **state) {
    (void) state;
    struct scene scene;
    char why[ORDAIN_TEXT_SIZE] = "";
    static struct ordain_status list[ORDAIN_REPLICA_MAX];
    uint32_t count;
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT, .with_impostor = true};
    open_scene(&scene, &options, ORDAIN_ANY_REPLICA);
    assert_int_equal(ordain_status(scene.client, list, &count, TIMEOUT_MS), ORDAIN_OK);
    assert_true(list[0].reachable);
    for (uint32_t i = 1; i < 4; i++) {
        assert_false(list[i].reachable);
        assert_non_null(strstr(list[i].why, "another name than the peer that was called"));
    }
    close_scene(&scene);
    open_scene(&scene, &options, 2);
    assert_int_equal(ordain_prepare(scene.client, 1000, why, sizeof(why)), ORDAIN_UNREACHABLE);
    assert_non_null(strstr(why, "another name than the peer that was called"));
    close_scene(&scene);
}

/*
 * The only replica that can be reached at first lies, so the client starts from a wrong position. It notices when the
 * other replicas come.
 */
static void liar__alone_at_the_start_is_corrected_later(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.claims_sequence = 1000000};
    struct world_fault honest = {0};
    struct ordain_statistics statistics;
    open_four(&scene);
    fault_all(&scene, &fault);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    for (uint32_t i = 0; i < 3; i++)
        world_fault(scene.world, i, &honest);
    world_fault(scene.world, 3, &honest);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    ordain_statistics(scene.client, &statistics);
    assert_true(statistics.renumbered > 0);
    close_scene(&scene);
}

static void liar__that_refuses_is_outvoted(void **state) {
    (void) state;
    static const Ordain__V1__Status statuses[] = {ORDAIN__V1__STATUS__FORBIDDEN, ORDAIN__V1__STATUS__TOO_LARGE,
                                                  ORDAIN__V1__STATUS__BAD_REQUEST, ORDAIN__V1__STATUS__NOT_FOUND};
    struct scene scene;
    struct ordain_statistics statistics;
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    for (uint32_t i = 0; i < 4; i++) {
        struct world_fault fault = {.refuses_with = statuses[i]};
        world_fault(scene.world, 0, &fault);
        submit(&scene, i * 20, 20);
        check_exactly_once(&scene, (i + 1) * 20);
    }
    ordain_statistics(scene.client, &statistics);
    assert_int_equal(statistics.failed, 0);
    close_scene(&scene);
}

static void refusal__of_enough_replicas_counts(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.refuses_with = ORDAIN__V1__STATUS__FORBIDDEN};
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(scene.world, 0, &fault);
    world_fault(scene.world, 1, &fault);
    submit(&scene, 0, 1);
    assert_int_equal(ordain_drain_final(scene.client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(scene.tally.failed, 1);
    assert_int_equal(scene.tally.error, ORDAIN_FORBIDDEN);
    assert_non_null(strstr(scene.tally.words, "FORBIDDEN"));
    assert_int_equal(world_transactions(scene.world), 0);
    close_scene(&scene);
}

static void refusal__of_a_pinned_replica_counts(void **state) {
    (void) state;
    struct scene scene;
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT};
    struct world_fault fault = {.refuses_with = ORDAIN__V1__STATUS__TOO_LARGE};
    open_scene(&scene, &options, 3);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    world_fault(scene.world, 3, &fault);
    submit(&scene, 0, 1);
    assert_int_equal(ordain_drain_final(scene.client, TIMEOUT_MS), ORDAIN_OK);
    assert_int_equal(scene.tally.error, ORDAIN_TOO_LARGE);
    assert_int_equal(world_requests(scene.world, 0), 0);
    close_scene(&scene);
}

static void pinned__replica_gets_everything(void **state) {
    (void) state;
    struct scene scene;
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT};
    struct world_fault fault = {.leader_hint = 1};
    open_scene(&scene, &options, 2);
    world_fault(scene.world, 2, &fault);
    submit(&scene, 0, COUNT);
    check_exactly_once(&scene, COUNT);
    assert_int_equal(world_requests(scene.world, 0), 0);
    assert_true(world_envelopes(scene.world, 2) >= COUNT);
    close_scene(&scene);
}

static void hint__is_followed(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.leader_hint = 4};
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    fault_all(&scene, &fault);
    uint64_t before = world_envelopes(scene.world, 3);
    submit(&scene, 0, 1);
    assert_int_equal(ordain_drain_final(scene.client, TIMEOUT_MS), ORDAIN_OK);
    submit(&scene, 1, 99);
    check_exactly_once(&scene, 100);
    assert_true(world_envelopes(scene.world, 3) >= before + 50);
    close_scene(&scene);
}

static void unknown_client__is_registered_where_it_is_not_known(void **state) {
    (void) state;
    struct scene scene;
    struct world_fault fault = {.unknown_client = true};
    open_four(&scene);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, NULL, 0), ORDAIN_OK);
    fault_all(&scene, &fault);
    submit(&scene, 0, 20);
    check_exactly_once(&scene, 20);
    close_scene(&scene);
}

static void registration__of_a_stranger_is_refused(void **state) {
    (void) state;
    struct scene scene;
    struct world_options options = {.replica_count = 4, .consensus = CHANNEL_PBFT, .with_foreign_client = true};
    char why[ORDAIN_TEXT_SIZE] = "";
    open_scene(&scene, &options, ORDAIN_ANY_REPLICA);
    assert_int_equal(ordain_prepare(scene.client, TIMEOUT_MS, why, sizeof(why)), ORDAIN_FORBIDDEN);
    assert_non_null(strstr(why, "registration is refused"));
    close_scene(&scene);
}

static void prepare__without_replicas_is_unreachable(void **state) {
    (void) state;
    struct scene scene;
    char why[ORDAIN_TEXT_SIZE] = "";
    open_four(&scene);
    for (uint32_t i = 0; i < 4; i++)
        world_stop_replica(scene.world, i);
    assert_int_equal(ordain_prepare(scene.client, 300, why, sizeof(why)), ORDAIN_UNREACHABLE);
    assert_non_null(strstr(why, "none of the 4 replicas answers"));
    close_scene(&scene);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(busy__request_is_sent_again),
    cmocka_unit_test(busy__envelopes_are_sent_again),
    cmocka_unit_test(dead__replica_is_passed_over),
    cmocka_unit_test(dead__all_replicas_and_back),
    cmocka_unit_test(liar__that_drops_is_left),
    cmocka_unit_test(liar__that_drops_is_the_only_one_left),
    cmocka_unit_test(liar__that_is_mute_is_left),
    cmocka_unit_test(replicas__that_are_slow_are_given_time),
    cmocka_unit_test(replicas__that_are_slow_get_nothing_twice),
    cmocka_unit_test(liar__with_forged_receipts_is_found_out),
    cmocka_unit_test(liar__with_forged_certificates_is_found_out),
    cmocka_unit_test(liar__with_receipts_of_others_causes_no_double),
    cmocka_unit_test(liar__with_garbage_is_found_out),
    cmocka_unit_test(liar__without_results_is_found_out),
    cmocka_unit_test(liar__about_the_position_cannot_push_far_ahead),
    cmocka_unit_test(impostor__counts_as_itself_alone),
    cmocka_unit_test(liar__alone_at_the_start_is_corrected_later),
    cmocka_unit_test(liar__that_refuses_is_outvoted),
    cmocka_unit_test(refusal__of_enough_replicas_counts),
    cmocka_unit_test(refusal__of_a_pinned_replica_counts),
    cmocka_unit_test(pinned__replica_gets_everything),
    cmocka_unit_test(hint__is_followed),
    cmocka_unit_test(unknown_client__is_registered_where_it_is_not_known),
    cmocka_unit_test(registration__of_a_stranger_is_refused),
    cmocka_unit_test(prepare__without_replicas_is_unreachable),
};
TEST_CASES(cases);
