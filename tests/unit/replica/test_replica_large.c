/* The queue of sources whose large envelopes were refused: replica/intake/large.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/replica_bench.h"
#include "tests/support/test_main.h"

enum { PLACES = 24, SOURCES = 40, STEPS = 40000, KEPT_MS = 2000 };

/* The same as a list that is searched from its beginning. */
struct reference {
    struct {
        uint64_t source;
        uint64_t since_ms;
        uint64_t asked_ms;
    } places[PLACES];
    uint32_t count;
};

static uint64_t roll(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void reference_remove(struct reference *reference, uint32_t index) {
    reference->count--;
    memmove(reference->places + index, reference->places + index + 1,
            (reference->count - index) * sizeof(reference->places[0]));
}

static uint32_t reference_find(const struct reference *reference, uint64_t source) {
    uint32_t index = 0;
    while (index < reference->count && reference->places[index].source != source)
        index++;
    return index;
}

static bool reference_may(struct reference *reference, const struct replica *replica, uint64_t source) {
    uint64_t now_ms = replica->turn.now_ms;
    uint64_t timeout_ms = replica_config(replica)->request_timeout_ms;
    for (uint32_t i = reference->count; i-- > 0;)
        if (now_ms > reference->places[i].asked_ms + KEPT_MS + 2 * timeout_ms)
            reference_remove(reference, i);
    uint32_t index = reference_find(reference, source);
    if (index == PLACES)
        return false;
    if (index == reference->count) {
        reference->places[index].source = source;
        reference->places[index].since_ms = now_ms;
        reference->count++;
    }
    reference->places[index].asked_ms = now_ms;
    if (index > 0 || replica->pool.aged > 0 || now_ms < reference->places[index].since_ms + timeout_ms)
        return false;
    reference_remove(reference, index);
    return true;
}

static void reference_leave(struct reference *reference, uint64_t source) {
    uint32_t index = reference_find(reference, source);
    if (index < reference->count)
        reference_remove(reference, index);
}

static void expect_queue(const struct large *large, const struct reference *reference) {
    uint32_t at = large->ends[LARGE_QUEUE].after;
    assert_int_equal(large->count, reference->count);
    for (uint32_t i = 0; i < reference->count; i++) {
        assert_int_not_equal(at, 0);
        assert_int_equal(large->places[at - 1].source, reference->places[i].source);
        at = large->places[at - 1].links[LARGE_QUEUE].after;
    }
    assert_int_equal(at, 0);
}

static void queue__is_that_of_a_plain_list(void **state) {
    (void) state;
    struct bench *bench = bench_create(NULL);
    struct replica *replica = bench->replica;
    struct reference reference = {.count = 0};
    uint64_t random = 88172645463325252;
    uint32_t let_in = 0;
    uint32_t most = 0;
    replica->setup.options.sources_max = PLACES;
    large_deinit(replica);
    assert_ok(large_init(replica));
    for (int i = 0; i < STEPS; i++) {
        /* Few ask at first, and then more than there are places. */
        uint64_t source = 100 + roll(&random) % (i < STEPS / 2 ? 6 : SOURCES);
        replica->turn.now_ms += roll(&random) % 1000 == 0 ? 5000 : roll(&random) % 40;
        replica->pool.aged = roll(&random) % 8 == 0;
        if (roll(&random) % 16 == 0) {
            large_leave(replica, source);
            reference_leave(&reference, source);
        } else {
            bool may = reference_may(&reference, replica, source);
            assert_int_equal(large_may(replica, source), may);
            let_in += may;
        }
        expect_queue(&replica->large, &reference);
        most = (uint32_t) ord_max(most, reference.count);
    }
    replica->pool.aged = 0;
    assert_true(let_in > 10);
    assert_int_equal(most, PLACES);
    bench_destroy(bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(queue__is_that_of_a_plain_list),
};
TEST_CASES(cases);
