/*
 * The body store against a plain model. Bodies in use never overlap and keep their bytes wherever they are moved; lent
 * bodies never move; a body is never refused if there is room for it.
 */
#include "bft/body_store.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test_main.h"

#define BODY_MAX 32

struct model_body {
    uint8_t *data; /* the handle; NULL: not in use */
    uint8_t *lent_at;
    size_t size;
    uint8_t fill;
};

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void check(const struct model_body *bodies, const uint8_t *memory, size_t capacity) {
    for (size_t i = 0; i < BODY_MAX; i++) {
        const struct model_body *body = &bodies[i];
        if (body->data == NULL)
            continue;
        assert_true(body->data >= memory && body->data + body->size <= memory + capacity);
        assert_true(body->lent_at == NULL || body->lent_at == body->data);
        /* The body still has its own bytes, which also proves that no other body overlaps it. */
        for (size_t j = 0; j < body->size; j++)
            assert_int_equal(body->data[j], body->fill);
    }
}

/* Allocates and frees in any order; lends `lend_percent` of the bodies for a while. */
static void run(uint64_t seed, uint64_t lend_percent) {
    static uint8_t memory[4096];
    uint64_t random = seed;
    size_t capacity = 1 + next_random(&random) % sizeof(memory);
    struct bft_body table[BODY_MAX];
    struct bft_body_store store;
    bft_bodies_init(&store, memory, capacity, table, BODY_MAX);
    static struct model_body bodies[BODY_MAX];
    memset(bodies, 0, sizeof(bodies));
    size_t used = 0;
    size_t lent = 0;
    for (int i = 0; i < 600; i++) {
        struct model_body *body = &bodies[next_random(&random) % BODY_MAX];
        size_t size = 1 + next_random(&random) % (capacity / 4 + 1);
        if (body->data == NULL) {
            bool done = bft_bodies_alloc(&store, &body->data, size);
            assert_true(done || lent > 0 || used + size > capacity);
            assert_true(!done || used + size <= capacity);
            if (!done)
                continue;
            *body = (struct model_body) {.data = body->data, .size = size, .fill = (uint8_t) i};
            memset(body->data, i, size);
            used += size;
        } else if (body->lent_at == NULL && next_random(&random) % 100 < lend_percent) {
            bft_bodies_lend(&store, body->data, true);
            body->lent_at = body->data;
            lent++;
        } else if (body->lent_at != NULL && next_random(&random) % 2 == 0) {
            bft_bodies_lend(&store, body->data, false);
            body->lent_at = NULL;
            lent--;
        } else {
            bft_bodies_free(&store, body->data);
            lent -= body->lent_at != NULL;
            used -= body->size;
            body->data = NULL;
            body->lent_at = NULL;
        }
        check(bodies, memory, capacity);
    }
}

static void body_store__never_refuses_what_it_has_room_for(void **state) {
    (void) state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        run(seed, 0);
}

static void body_store__never_moves_what_is_lent(void **state) {
    (void) state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        run(seed, 30);
}

static void body_store__refuses_what_is_too_large_or_too_many(void **state) {
    (void) state;
    static uint8_t memory[64];
    struct bft_body table[2];
    struct bft_body_store store;
    uint8_t *handles[3];
    bft_bodies_init(&store, memory, sizeof(memory), table, 2);
    assert_false(bft_bodies_alloc(&store, &handles[0], SIZE_MAX));
    assert_false(bft_bodies_alloc(&store, &handles[0], 65));
    assert_false(bft_bodies_alloc(&store, &handles[0], 0));
    assert_true(bft_bodies_alloc(&store, &handles[0], 1));
    assert_true(bft_bodies_alloc(&store, &handles[1], 1));
    assert_false(bft_bodies_alloc(&store, &handles[2], 1));
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(body_store__never_refuses_what_it_has_room_for),
    cmocka_unit_test(body_store__never_moves_what_is_lent),
    cmocka_unit_test(body_store__refuses_what_is_too_large_or_too_many),
};
TEST_CASES(cases);
