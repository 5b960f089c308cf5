/*
 * The solo core, called through the seam.
 */
#include "solo/solo.h"

#include <stdlib.h>

#include "tests/support/plain_hash.h"
#include "tests/support/test_main.h"

static const struct ord_core_config config = {
    .replica_count = 1,
    .epoch = 1,
    .window = 256,
    .checkpoint_interval = 64,
    .batch_bytes_max = 16,
    .body_bytes_max = 64,
    .crypto = &plain_crypto,
};

static struct ord_core *started(uint64_t applied_seq) {
    struct ord_core *core;
    struct ord_effects effects;
    size_t size = solo_protocol.memory_size(&config);
    void *memory = malloc(size);
    assert_non_null(memory);
    assert_ok(solo_protocol.init(&core, memory, size, &config, NULL, 1));
    struct ord_event event = {.type = ORD_EVENT_START, .start = {.applied_seq = applied_seq}};
    assert_ok(solo_protocol.step(core, &effects, &event));
    assert_int_equal(effects.count, 1);
    assert_int_equal(effects.items[0].type, ORD_EFFECT_LEADER);
    return core;
}

static void solo__persists_before_it_delivers_in_order(void **state) {
    (void) state;
    struct ord_core *core = started(7);
    struct ord_effects effects;
    for (uint64_t seq = 8; seq < 11; seq++) {
        struct ord_event event = {.type = ORD_EVENT_PROPOSE, .propose = {.batch = {(const uint8_t *) "batch", 5}}};
        assert_ok(solo_protocol.step(core, &effects, &event));
        assert_int_equal(effects.count, 2);
        assert_int_equal(effects.items[0].type, ORD_EFFECT_PERSIST);
        assert_int_equal(effects.items[0].persist.table, solo_protocol.body_table);
        assert_int_equal(effects.items[0].persist.key, seq);
        assert_int_equal(effects.items[1].type, ORD_EFFECT_DELIVER);
        assert_int_equal(effects.items[1].deliver.seq, seq);
    }
    free(core);
}

static void solo__refuses_a_batch_over_the_bound(void **state) {
    (void) state;
    struct ord_core *core = started(0);
    struct ord_effects effects;
    struct ord_event event = {.type = ORD_EVENT_PROPOSE,
                              .propose = {.batch = {(const uint8_t *) "0123456789abcdefg", 17}}};
    assert_ok(solo_protocol.step(core, &effects, &event));
    assert_int_equal(effects.items[0].type, ORD_EFFECT_REJECT);
    struct ord_status status;
    solo_protocol.status(core, &status);
    assert_int_equal(status.delivered_seq, 0);
    free(core);
}

static void solo__forgets_up_to_the_attested_seq(void **state) {
    (void) state;
    struct ord_core *core = started(5);
    struct ord_effects effects;
    struct ord_event event = {.type = ORD_EVENT_ATTESTED, .attested = {.seq = 5}};
    assert_ok(solo_protocol.step(core, &effects, &event));
    assert_int_equal(effects.count, 1);
    assert_int_equal(effects.items[0].forget.key, 5);
    event.attested.seq = 6; /* was never delivered */
    assert_err(solo_protocol.step(core, &effects, &event), ORD_ERR_INVALID);
    free(core);
}

static void solo__refuses_everything_before_start_and_other_replicas(void **state) {
    (void) state;
    struct ord_core_config four = config;
    four.replica_count = 4;
    assert_int_equal(solo_protocol.memory_size(&four), 0);
    struct ord_core *core;
    size_t size = solo_protocol.memory_size(&config);
    void *memory = malloc(size);
    assert_non_null(memory);
    assert_ok(solo_protocol.init(&core, memory, size, &config, NULL, 1));
    struct ord_effects effects;
    struct ord_event event = {.type = ORD_EVENT_TICK};
    assert_err(solo_protocol.step(core, &effects, &event), ORD_ERR_WRONG_STATE);
    struct ord_verified verified;
    assert_err(solo_protocol.authenticate(&verified, &config, 0, ord_span_of("x", 1)), ORD_ERR_FORBIDDEN);
    free(memory);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(solo__persists_before_it_delivers_in_order),
    cmocka_unit_test(solo__refuses_a_batch_over_the_bound),
    cmocka_unit_test(solo__forgets_up_to_the_attested_seq),
    cmocka_unit_test(solo__refuses_everything_before_start_and_other_replicas),
};
TEST_CASES(cases);
