/*
 * The request pool: order, states and bounds.
 */
#include "replica/intake/pool.h"

#include <stdlib.h>

#include "tests/support/test_main.h"

static struct pool_entry *add(struct pool *pool, uint32_t client, uint64_t sequence, const char *text, size_t size) {
    struct pool_entry *entry = NULL;
    assert_ok(pool_add(pool, &entry, (struct pool_key) {client, sequence}, 1, ord_span_of(text, size), 5));
    assert_ok(pool_settle(pool, entry, 1));
    return entry;
}

static void pool__keeps_order_within_a_state(void **state) {
    (void) state;
    struct pool pool;
    assert_ok(pool_init(&pool, 100, 1000, 100, 4));
    for (uint64_t i = 1; i <= 5; i++)
        add(&pool, 1, i, "abc", 3);
    assert_int_equal(pool.lists[POOL_READY].count, 5);
    assert_int_equal(pool.lists[POOL_READY].bytes, 15);
    struct pool_entry *third = pool_find(&pool, (struct pool_key) {1, 3});
    assert_non_null(third);
    pool_set_state(&pool, third, POOL_PROPOSED);
    pool_set_state(&pool, third, POOL_READY); /* it goes to the end */
    static const uint64_t order[] = {1, 2, 4, 5, 3};
    struct pool_entry *entry = pool.lists[POOL_READY].head;
    for (size_t i = 0; i < 5; i++, entry = entry->next)
        assert_int_equal(entry->key.sequence, order[i]);
    assert_null(entry);
    pool_remove(&pool, third);
    assert_null(pool_find(&pool, (struct pool_key) {1, 3}));
    assert_int_equal(pool.envelopes, 4);
    assert_int_equal(pool.lists[POOL_READY].count, 4);
    pool_deinit(&pool);
}

static void pool__refuses_at_each_bound_and_frees_room(void **state) {
    (void) state;
    struct pool pool;
    struct pool_entry *entry;
    assert_ok(pool_init(&pool, 3, 10, 2, 4));
    add(&pool, 0, 1, "aaaa", 4);
    add(&pool, 0, 2, "bbbb", 4);
    const struct ord_span one = ord_span_of("c", 1);
    /* The client's share is full. */
    assert_err(pool_add(&pool, &entry, (struct pool_key) {0, 3}, 1, one, 0), ORD_ERR_NO_SPACE);
    /* There is no room for the bytes. */
    assert_err(pool_add(&pool, &entry, (struct pool_key) {1, 1}, 1, ord_span_of("ccc", 3), 0), ORD_ERR_NO_SPACE);
    add(&pool, 1, 1, "c", 1);
    /* There is no room for another envelope. */
    assert_err(pool_add(&pool, &entry, (struct pool_key) {2, 1}, 1, one, 0), ORD_ERR_NO_SPACE);
    pool_remove(&pool, pool_find(&pool, (struct pool_key) {0, 1}));
    add(&pool, 0, 3, "d", 1);
    pool_deinit(&pool);
}

static void pool__one_entry_per_client_and_sequence(void **state) {
    (void) state;
    struct pool pool;
    struct pool_entry *entry;
    assert_ok(pool_init(&pool, 100, 1000, 100, 4));
    add(&pool, 2, 7, "first", 5);
    assert_err(pool_add(&pool, &entry, (struct pool_key) {2, 7}, 1, ord_span_of("other", 5), 0), ORD_ERR_EXISTS);
    add(&pool, 3, 7, "other client", 12);
    add(&pool, UINT32_MAX, 7, "registration", 12); /* counts for no client */
    pool_deinit(&pool);
}

/* An envelope's turn comes when what was settled before it could have been ordered, and never later than the bound. */
static void turns__follow_what_is_ahead(void **state) {
    (void) state;
    struct pool pool;
    assert_ok(pool_init(&pool, 100, 1000, 100, 4));
    pool.turns.rate = (POOL_ENVELOPE_COST + 3) * 1000; /* one a millisecond */
    pool.turns.ahead_ms_max = 5;
    for (uint64_t i = 0; i < 10; i++) /* all at 1 ms */
        assert_int_equal(add(&pool, i % 2, i + 1, "abc", 3)->turn_ms, i < 5 ? i + 1 : 6);
    const struct pool_waiting *longest = pool_waiting_longest(&pool);
    assert_int_equal(longest->since_ms, 1);
    assert_int_equal(longest->turn_ms, 1);
    /* Client 0 is served. Its next envelope may be the last one here. */
    pool_executed(&pool, 0, 3);
    assert_int_equal(pool_waiting_longest(&pool)->turn_ms, 2);
    pool_executed(&pool, 1, 4);
    assert_int_equal(pool_waiting_longest(&pool)->since_ms, 3);
    assert_int_equal(pool_waiting_longest(&pool)->turn_ms, 6);
    /* The next leader has everything before it, up to the bound. */
    pool_leader_changed(&pool, 100);
    assert_int_equal(pool_waiting_longest(&pool)->since_ms, 3);
    assert_int_equal(pool_waiting_longest(&pool)->turn_ms, 105);
    assert_int_equal(pool.lists[POOL_READY].head->turn_ms, 105);
    /* An empty pool holds nothing up. */
    while (pool.lists[POOL_READY].head != NULL)
        pool_remove(&pool, pool.lists[POOL_READY].head);
    assert_null(pool_waiting_longest(&pool));
    assert_int_equal(pool.settled_cost, 0);
    assert_int_equal(add(&pool, 3, 1, "abc", 3)->turn_ms, 1);
    pool_deinit(&pool);
}

static void costs__are_counted_for_each_client(void **state) {
    (void) state;
    struct pool pool;
    struct pool_entry *entry;
    uint32_t count;
    assert_ok(pool_init(&pool, 10, 1000, 10, 4));
    assert_int_equal(pool_cost_max(&pool), 1000 + 10 * POOL_ENVELOPE_COST);
    add(&pool, 1, 1, "abc", 3);
    add(&pool, 1, 2, "abcd", 4);
    assert_ok(pool_add(&pool, &entry, (struct pool_key) {1, 3}, 1, ord_span_of("x", 1), 0)); /* under check */
    add(&pool, UINT32_MAX, 7, "registration", 12);
    assert_int_equal(pool_client_cost(&pool, 1, &count), 7 + 2 * POOL_ENVELOPE_COST);
    assert_int_equal(count, 2);
    assert_int_equal(pool_client_cost(&pool, UINT32_MAX, &count), 12 + POOL_ENVELOPE_COST);
    assert_int_equal(pool_client_cost(&pool, 0, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(pool_cost(&pool), 20 + 4 * POOL_ENVELOPE_COST);
    pool_remove(&pool, pool_find(&pool, (struct pool_key) {1, 1}));
    assert_int_equal(pool_client_cost(&pool, 1, &count), 4 + POOL_ENVELOPE_COST);
    pool_deinit(&pool);
}

static void pool__finds_many_after_random_changes(void **state) {
    (void) state;
    struct pool pool;
    bool there[64][16] = {{false}};
    uint64_t seed = 42;
    assert_ok(pool_init(&pool, 100000, 1 << 20, 100000, 16));
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t client = (uint32_t) (seed >> 60);
        uint64_t sequence = (seed >> 40) % 64;
        struct pool_key key = {client, sequence};
        struct pool_entry *entry = pool_find(&pool, key);
        assert_true((entry != NULL) == there[sequence][client]);
        if (entry != NULL)
            pool_remove(&pool, entry);
        else
            pool_set_state(&pool, add(&pool, client, sequence, "x", 1), seed & 256 ? POOL_READY : POOL_PROPOSED);
        there[sequence][client] = !there[sequence][client];
        assert_int_equal(pool.envelopes, pool.lists[POOL_READY].count + pool.lists[POOL_PROPOSED].count);
    }
    pool_deinit(&pool);
}

/* Anybody can send a forgery under anybody's key. */
static void pool__a_forgery_under_check_holds_nothing(void **state) {
    (void) state;
    struct pool pool;
    struct pool_entry *forged;
    struct pool_entry *entry;
    struct pool_entry *late;
    const struct pool_key key = {2, 7};
    const struct ord_span good = ord_span_of("good", 4);
    assert_ok(pool_init(&pool, 100, 1000, 1, 4));
    assert_ok(pool_add(&pool, &forged, key, 1, ord_span_of("evil", 4), 0));
    assert_null(pool_find(&pool, key));
    /* The client's share has room for one, and forgeries do not use it. */
    assert_ok(pool_add(&pool, &entry, key, 2, good, 0));
    assert_ok(pool_add(&pool, &late, key, 3, ord_span_of("late", 4), 0));
    assert_ptr_equal(pool_find_same(&pool, key, good), entry);
    /* Each source may have one under check, and no envelope is checked twice. */
    struct pool_entry *none;
    assert_err(pool_add(&pool, &none, key, 1, ord_span_of("vile", 4), 0), ORD_ERR_BUSY);
    assert_err(pool_add(&pool, &none, key, 4, good, 0), ORD_ERR_BUSY);
    assert_ok(pool_settle(&pool, entry, 1));
    assert_ptr_equal(pool_find(&pool, key), entry);
    assert_err(pool_add(&pool, &none, key, 4, good, 0), ORD_ERR_EXISTS);
    assert_err(pool_settle(&pool, late, 1), ORD_ERR_EXISTS);
    pool_remove(&pool, late);
    pool_remove(&pool, forged);
    assert_ptr_equal(pool_find(&pool, key), entry);
    /* Now the share is full. */
    assert_err(pool_add(&pool, &none, (struct pool_key) {2, 8}, 1, good, 0), ORD_ERR_NO_SPACE);
    pool_remove(&pool, entry);
    assert_int_equal(pool.envelopes, 0);
    assert_int_equal(pool.bytes, 0);
    add(&pool, 2, 8, "good", 4);
    pool_deinit(&pool);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(pool__a_forgery_under_check_holds_nothing),
    cmocka_unit_test(pool__keeps_order_within_a_state),
    cmocka_unit_test(pool__refuses_at_each_bound_and_frees_room),
    cmocka_unit_test(pool__one_entry_per_client_and_sequence),
    cmocka_unit_test(pool__finds_many_after_random_changes),
    cmocka_unit_test(turns__follow_what_is_ahead),
    cmocka_unit_test(costs__are_counted_for_each_client),
};
TEST_CASES(cases);
