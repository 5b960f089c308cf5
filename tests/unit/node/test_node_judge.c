/*
 * Judging when memory runs out gives no verdict. The linker puts our calloc and malloc in place of the real ones
 * (--wrap).
 */
#include "tests/support/node_support.h"

#include <stdlib.h>

#include "tests/support/test_main.h"

/* The number of this thread's allocations until one fails, that one included; 0: none fails. */
static _Thread_local int fail_in;

void *__real_calloc(size_t count, size_t size); /* NOLINT: the linker's names */
void *__wrap_calloc(size_t count, size_t size); /* NOLINT */
void *__real_malloc(size_t size);               /* NOLINT */
void *__wrap_malloc(size_t size);               /* NOLINT */

void *__wrap_calloc(size_t count, size_t size) { /* NOLINT */
    if (fail_in > 0 && --fail_in == 0)
        return NULL;
    return __real_calloc(count, size);
}

void *__wrap_malloc(size_t size) { /* NOLINT */
    if (fail_in > 0 && --fail_in == 0)
        return NULL;
    return __real_malloc(size);
}

/* Allocation number `allocation` fails while a good batch is judged. */
static void judge_without(int allocation) {
    static struct node_world world;
    node_world_open(&world);
    struct ord_span registration = node_world_envelope(&world, 0, 0);
    struct ord_span envelope = node_world_envelope(&world, 1, 10);
    node_world_order(&world, 1, node_world_batch(&registration, 1, 0));
    struct ord_span batch = node_world_batch(&envelope, 1, 0);
    const struct ord_effect effect = {.type = ORD_EFFECT_JUDGE, .judge = {.seq = 2, .batch = batch}};
    struct ord_event event;
    fail_in = allocation;
    judge_begin(world.replica, &effect);
    assert_false(judge_next(world.replica, &event));
    fail_in = 0;
    assert_err(replica_fatal(world.replica), ORD_ERR_NO_MEMORY);
    for (const struct judgement *judgement = world.replica->judge.first; judgement != NULL; judgement = judgement->next)
        assert_false(judgement->bad || judgement->done);
    assert_int_equal(world.replica->counters.batches_refused, 0);
    node_world_close(&world);
    free((void *) (uintptr_t) registration.data);
    free((void *) (uintptr_t) envelope.data);
    free((void *) (uintptr_t) batch.data);
}

static void judge__without_memory_to_begin_the_replica_stops(void **state) {
    (void) state;
    judge_without(1);
}

static void judge__without_memory_for_a_check_the_replica_stops(void **state) {
    (void) state;
    judge_without(2);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(judge__without_memory_to_begin_the_replica_stops),
    cmocka_unit_test(judge__without_memory_for_a_check_the_replica_stops),
};
TEST_CASES(cases);
