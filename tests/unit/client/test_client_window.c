/* Sequence numbers: never too far ahead, never twice, and which replicas to believe about where to start. */
#include "client/flow/window.h"
#include "tests/support/test_main.h"

static int owners[2 * CHANNEL_REPLAY_WINDOW];

static void window__gives_out_numbers_in_order(void **state) {
    (void) state;
    static struct client_window window;
    client_window_init(&window, 41);
    assert_true(client_window_empty(&window));
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t sequence = 0;
        assert_ok(client_window_take(&window, &sequence, &owners[i]));
        assert_int_equal(sequence, 42 + i);
        assert_ptr_equal(client_window_owner(&window, sequence), &owners[i]);
    }
    assert_null(client_window_owner(&window, 41));
    assert_null(client_window_owner(&window, 52));
}

static void window__stays_within_the_replay_window(void **state) {
    (void) state;
    static struct client_window window;
    uint64_t sequence = 0;
    client_window_init(&window, 0);
    for (uint64_t i = 0; i < CHANNEL_REPLAY_WINDOW; i++)
        assert_ok(client_window_take(&window, &sequence, &owners[i]));
    assert_int_equal(sequence, CHANNEL_REPLAY_WINDOW);
    assert_err(client_window_take(&window, &sequence, &owners[0]), ORD_ERR_NO_SPACE);
    /*
     * A number that becomes final in the middle makes no room. The lowest one does, together with all final ones right
     * after it.
     */
    client_window_release(&window, 2);
    client_window_release(&window, 3);
    assert_true(client_window_full(&window));
    client_window_release(&window, 1);
    assert_int_equal(window.lowest, 4);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_ok(client_window_take(&window, &sequence, &owners[i]));
        assert_int_equal(sequence, CHANNEL_REPLAY_WINDOW + i);
    }
    assert_true(client_window_full(&window));
}

static void window__is_empty_when_all_is_final(void **state) {
    (void) state;
    static struct client_window window;
    uint64_t sequence = 0;
    client_window_init(&window, 7);
    for (int i = 0; i < 100; i++)
        assert_ok(client_window_take(&window, &sequence, &owners[i]));
    for (uint64_t s = 107; s > 7; s--)
        client_window_release(&window, s);
    assert_true(client_window_empty(&window));
    assert_int_equal(window.lowest, 108);
}

static void window__skips_ahead_but_not_out_of_reach(void **state) {
    (void) state;
    static struct client_window window;
    uint64_t sequence = 0;
    client_window_init(&window, 0);
    client_window_skip(&window, 1000000);
    assert_ok(client_window_take(&window, &sequence, &owners[0]));
    assert_int_equal(sequence, 1000000);
    client_window_skip(&window, 5); /* it never goes back */
    assert_ok(client_window_take(&window, &sequence, &owners[1]));
    assert_int_equal(sequence, 1000001);
    client_window_skip(&window, 9000000); /* 1000000 is still open */
    assert_ok(client_window_take(&window, &sequence, &owners[2]));
    assert_int_equal(sequence, 1000000 + CHANNEL_REPLAY_WINDOW - 1);
    assert_null(client_window_owner(&window, 1000002));
    client_window_release(&window, 1000000);
    client_window_release(&window, 1000001);
    assert_int_equal(window.lowest, 1000000 + CHANNEL_REPLAY_WINDOW - 1);
}

static void window__does_not_wrap_around(void **state) {
    (void) state;
    static struct client_window window;
    uint64_t sequence = 0;
    client_window_init(&window, UINT64_MAX);
    assert_ok(client_window_take(&window, &sequence, &owners[0]));
    assert_int_equal(sequence, 1);
    client_window_skip(&window, UINT64_MAX - 1);
    assert_ok(client_window_take(&window, &sequence, &owners[1]));
    assert_int_equal(sequence, 2);
    client_window_init(&window, UINT64_MAX - CHANNEL_REPLAY_WINDOW - 3);
    assert_ok(client_window_take(&window, &sequence, &owners[0]));
    assert_ok(client_window_take(&window, &sequence, &owners[0]));
    assert_err(client_window_take(&window, &sequence, &owners[0]), ORD_ERR_NO_SPACE);
}

static void position__is_one_that_an_honest_replica_vouches_for(void **state) {
    (void) state;
    uint64_t honest[] = {10, 10, 10, 10};
    uint64_t high_liar[] = {10, UINT64_MAX, 9, 10};
    uint64_t low_liar[] = {10, 0, 10, 10};
    uint64_t lagging[] = {10, 4, 9, 7};
    uint64_t few[] = {5};
    uint64_t seven[] = {1, UINT64_MAX, UINT64_MAX, 20, 21, 22, 23};
    assert_int_equal(client_position(honest, 4, 1), 10);
    assert_int_equal(client_position(high_liar, 4, 1), 10);
    assert_int_equal(client_position(low_liar, 4, 1), 10);
    assert_int_equal(client_position(lagging, 4, 1), 9);
    assert_int_equal(client_position(few, 1, 1), 5);
    assert_int_equal(client_position(seven, 7, 2), 23);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(window__gives_out_numbers_in_order),
    cmocka_unit_test(window__stays_within_the_replay_window),
    cmocka_unit_test(window__is_empty_when_all_is_final),
    cmocka_unit_test(window__skips_ahead_but_not_out_of_reach),
    cmocka_unit_test(window__does_not_wrap_around),
    cmocka_unit_test(position__is_one_that_an_honest_replica_vouches_for),
};
TEST_CASES(cases);
