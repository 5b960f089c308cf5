/* The queue that is fair between connections. */
#include "node/fair.h"

#include <stddef.h>

#include "tests/support/test_main.h"

static void push(struct fair_queue *queue, struct fair_item *item, uint64_t source) {
    item->source = source;
    fair_push(queue, item);
}

static void fair__gives_each_source_its_turn(void **state) {
    (void) state;
    struct fair_queue queue = {0};
    struct fair_item hog[5];
    struct fair_item other[2];
    struct fair_item late;
    for (size_t i = 0; i < 5; i++)
        push(&queue, &hog[i], 7);
    for (size_t i = 0; i < 2; i++)
        push(&queue, &other[i], 8);
    assert_ptr_equal(fair_pop(&queue), &hog[0]);
    assert_ptr_equal(fair_pop(&queue), &other[0]);
    push(&queue, &late, 9);
    assert_ptr_equal(fair_pop(&queue), &hog[1]);
    assert_ptr_equal(fair_pop(&queue), &other[1]);
    assert_ptr_equal(fair_pop(&queue), &late);
    for (size_t i = 2; i < 5; i++)
        assert_ptr_equal(fair_pop(&queue), &hog[i]);
    assert_null(fair_pop(&queue));
    /* It is as good as new. */
    push(&queue, &late, 7);
    assert_ptr_equal(fair_pop(&queue), &late);
    assert_null(fair_pop(&queue));
}

/* Whoever comes last waits for one item of each other source, however many of them they have. */
static void fair__makes_a_newcomer_wait_for_one_item_of_each(void **state) {
    (void) state;
    enum { SOURCES = 20, ITEMS = 50 };
    static struct fair_item items[SOURCES][ITEMS];
    struct fair_queue queue = {0};
    struct fair_item newcomer;
    for (size_t source = 0; source < SOURCES; source++)
        for (size_t i = 0; i < ITEMS; i++)
            push(&queue, &items[source][i], source);
    push(&queue, &newcomer, SOURCES);
    size_t before = 0;
    while (fair_pop(&queue) != &newcomer)
        before++;
    assert_int_equal(before, SOURCES);
    size_t left = 0;
    while (fair_pop(&queue) != NULL)
        left++;
    assert_int_equal(left, SOURCES * (ITEMS - 1));
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(fair__gives_each_source_its_turn),
    cmocka_unit_test(fair__makes_a_newcomer_wait_for_one_item_of_each),
};
TEST_CASES(cases);
