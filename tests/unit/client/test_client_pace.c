/*
 * The window of bytes under way, alone and in a closed loop with a model of a channel: one queue that is served at a
 * fixed rate, a latency that does not depend on load, clients that learn of receipts some time later, and replicas that
 * turn away what makes the queue too long.
 */
#include <stdlib.h>
#include <string.h>

#include "client/flow/pace.h"
#include "tests/support/test_main.h"

#define TIMEOUT_MS  1000u
#define TIMEOUT_US  1000000u
#define STEP_US     1000u
#define CLIENTS_MAX 32u
#define QUEUE_MAX   (1u << 18)
#define SERVED_MAX  (1u << 16)

/* ---- The model -------------------------------------------------------------------------------------------------- */

struct item {
    uint32_t client;
    uint32_t size;
    uint64_t sent_us;
    uint64_t due_us; /* when its client learns that it is final */
};

struct member {
    struct client_pace pace;
    bool joined;
    uint32_t size;           /* of each of its envelopes */
    uint64_t bytes_a_second; /* what it has to send; 0: without end */
    uint64_t had_bytes;
    uint64_t last_due_us;
    uint64_t not_before_us;
    uint64_t final_bytes;
    uint64_t busy;
    uint64_t held; /* steps in which it had something to send and might not */
    struct item *served;
    uint32_t served_head;
    uint32_t served_tail;
};

static struct model {
    uint64_t now_us;
    uint64_t rate; /* bytes a second */
    uint64_t base_us;
    uint64_t poll_us; /* it learns of a receipt up to so much later, by chance */
    uint64_t random;
    uint64_t admit_bytes; /* a longer queue is answered BUSY; 0: no bound */
    bool turns_all_away;
    uint32_t retry_after_ms;
    uint64_t budget;
    uint64_t queue_bytes;
    uint32_t head;
    uint32_t tail;
    uint32_t count;
    struct item queue[QUEUE_MAX];
    struct member members[CLIENTS_MAX];
    /* Since measure(). */
    uint64_t since_us;
    uint64_t queue_us_max;
    uint64_t queue_us_sum;
} model;

static void start(uint64_t rate, uint64_t base_us) {
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        free(model.members[i].served);
    memset(&model, 0, sizeof(model));
    model.now_us = 1000000u;
    model.rate = rate;
    model.base_us = base_us;
    model.retry_after_ms = 50;
}

static void join(uint32_t count, uint32_t size) {
    assert_true(model.count + count <= CLIENTS_MAX);
    while (count-- > 0) {
        struct member *member = &model.members[model.count];
        member->joined = true;
        member->size = size;
        member->served = calloc(SERVED_MAX, sizeof(*member->served));
        assert_non_null(member->served);
        client_pace_init(&member->pace, TIMEOUT_MS, model.count, model.now_us);
        model.count++;
    }
}

static void measure(void) {
    model.since_us = model.now_us;
    model.queue_us_max = 0;
    model.queue_us_sum = 0;
    for (uint32_t i = 0; i < model.count; i++) {
        model.members[i].final_bytes = 0;
        model.members[i].busy = 0;
        model.members[i].held = 0;
    }
}

static void give_receipts(struct member *member) {
    while (member->served_head != member->served_tail) {
        const struct item *item = &member->served[member->served_head % SERVED_MAX];
        if (item->due_us > model.now_us)
            return;
        client_pace_final(&member->pace, item->size, item->sent_us, 0, model.now_us);
        member->final_bytes += item->size;
        member->served_head++;
    }
}

static void serve(void) {
    model.budget += model.rate * STEP_US / 1000000u;
    while (model.head != model.tail && model.queue[model.head % QUEUE_MAX].size <= model.budget) {
        struct item item = model.queue[model.head++ % QUEUE_MAX];
        struct member *member = &model.members[item.client];
        model.budget -= item.size;
        model.queue_bytes -= item.size;
        model.random = model.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        item.due_us = model.now_us + model.base_us + (model.random >> 33) % (model.poll_us + 1);
        if (item.due_us < member->last_due_us)
            item.due_us = member->last_due_us;
        member->last_due_us = item.due_us;
        assert_true(member->served_tail - member->served_head < SERVED_MAX);
        member->served[member->served_tail++ % SERVED_MAX] = item;
    }
    if (model.head == model.tail)
        model.budget = 0;
}

static bool has_something(const struct member *member) {
    return member->bytes_a_second == 0 || member->had_bytes >= member->size;
}

static void send(uint32_t client) {
    struct member *member = &model.members[client];
    uint64_t at_us = 0;
    member->had_bytes += member->bytes_a_second * STEP_US / 1000000u;
    while (has_something(member) && model.now_us >= member->not_before_us) {
        if (!client_pace_room(&member->pace, &at_us, member->size, model.now_us)) {
            member->held++;
            return;
        }
        client_pace_sent(&member->pace, member->size, model.now_us);
        if (model.turns_all_away || (model.admit_bytes != 0 && model.queue_bytes + member->size > model.admit_bytes)) {
            client_pace_back(&member->pace, member->size);
            client_pace_busy(&member->pace, model.now_us, model.now_us);
            member->not_before_us = model.now_us + client_pace_retry_us(&member->pace, model.retry_after_ms);
            member->busy++;
            return;
        }
        if (member->bytes_a_second != 0)
            member->had_bytes -= member->size;
        assert_true(model.tail - model.head < QUEUE_MAX);
        model.queue[model.tail++ % QUEUE_MAX] = (struct item) {client, member->size, model.now_us, 0};
        model.queue_bytes += member->size;
    }
}

static void run(double seconds) {
    uint64_t end_us = model.now_us + (uint64_t) (seconds * 1e6);
    while (model.now_us < end_us) {
        model.now_us += STEP_US;
        for (uint32_t i = 0; i < model.count; i++) {
            give_receipts(&model.members[i]);
            client_pace_adapt(&model.members[i].pace, model.now_us);
        }
        serve();
        for (uint32_t i = 0; i < model.count; i++)
            send((uint32_t) (model.now_us / STEP_US + i) % model.count);
        uint64_t queue_us = model.rate == 0 ? 0 : model.queue_bytes * 1000000u / model.rate;
        if (queue_us > model.queue_us_max)
            model.queue_us_max = queue_us;
        model.queue_us_sum += queue_us;
    }
}

/* Percent of the channel's rate that became final since measure(). */
static uint64_t percent(void) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < model.count; i++)
        bytes += model.members[i].final_bytes;
    return bytes * 100u / (model.rate * (model.now_us - model.since_us) / 1000000u);
}

static uint64_t queue_average_us(void) {
    return model.queue_us_sum / ((model.now_us - model.since_us) / STEP_US);
}

/* No client has more than twice what another has. */
static void assert_fair(void) {
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (uint32_t i = 0; i < model.count; i++) {
        uint64_t bytes = model.members[i].final_bytes;
        least = bytes < least ? bytes : least;
        most = bytes > most ? bytes : most;
    }
    assert_in_range(most, 1, 2 * least);
}

/* ---- Alone ------------------------------------------------------------------------------------------------------ */

static void room__for_one_envelope_however_large(void **state) {
    (void) state;
    struct client_pace pace;
    uint64_t at_us = 0;
    client_pace_init(&pace, TIMEOUT_MS, 1, 1000);
    assert_true(client_pace_room(&pace, &at_us, 8u << 20, 1000));
    client_pace_sent(&pace, 8u << 20, 1000);
    assert_false(client_pace_room(&pace, &at_us, 1, 1000));
    assert_int_equal(at_us, UINT64_MAX);
    client_pace_back(&pace, 8u << 20);
    assert_true(client_pace_room(&pace, &at_us, 1, 1000));
    /* As small as it gets. */
    for (uint64_t now_us = 2000; now_us < 100000; now_us += 1000)
        client_pace_lost(&pace, now_us, now_us);
    assert_int_equal(pace.window, CLIENT_PACE_WINDOW_MIN);
    assert_true(client_pace_room(&pace, &at_us, 8u << 20, 100000));
}

/* A full channel sees it no more often than the window allows, and it goes in the end. */
static void room__for_a_large_envelope_in_a_full_channel_comes_with_time(void **state) {
    (void) state;
    struct client_pace pace;
    uint64_t at_us = 0;
    uint64_t now_us = 1000;
    const size_t size = 2 * CLIENT_PACE_WINDOW_FIRST;
    client_pace_init(&pace, TIMEOUT_MS, 1, now_us);
    client_pace_sent(&pace, size, now_us);
    now_us += TIMEOUT_US / 3;
    client_pace_final(&pace, size, 1000, 0, now_us);
    client_pace_adapt(&pace, now_us);
    assert_true(pace.window < size);
    assert_false(client_pace_room(&pace, &at_us, size, now_us));
    assert_in_range(at_us, now_us + 1, now_us + 2 * TIMEOUT_US);
    assert_false(client_pace_room(&pace, &at_us, size, at_us - 1));
    assert_true(client_pace_room(&pace, &at_us, size, at_us));
    /* What fits needs no pause. */
    assert_true(client_pace_room(&pace, &at_us, 1000, now_us));
}

/* Many envelopes that were ordered long ago are sent again, one after the other, and tell nothing of the channel. */
static void room__after_what_was_sent_again_is_there_at_once(void **state) {
    (void) state;
    struct client_pace pace;
    uint64_t at_us = 0;
    uint64_t now_us = 100 * TIMEOUT_US;
    client_pace_init(&pace, TIMEOUT_MS, 1, now_us);
    for (; now_us < 101 * TIMEOUT_US; now_us += STEP_US)
        client_pace_lost(&pace, now_us, now_us);
    client_pace_sent(&pace, 1 << 20, now_us);
    now_us += TIMEOUT_US;
    client_pace_final(&pace, 1 << 20, now_us - TIMEOUT_US, 0, now_us);
    client_pace_adapt(&pace, now_us);
    assert_int_equal(pace.window, CLIENT_PACE_WINDOW_MIN);
    client_pace_sent(&pace, 1 << 20, now_us);
    client_pace_back(&pace, 1 << 20);
    assert_false(client_pace_room(&pace, &at_us, 1 << 20, now_us));
    for (int i = 0; i < 100; i++) {
        client_pace_sent(&pace, 1 << 20, now_us);
        now_us += STEP_US;
        client_pace_final_again(&pace, 1 << 20);
        assert_true(client_pace_room(&pace, &at_us, 1 << 20, now_us));
    }
}

static void flight__shrinks_the_window_once(void **state) {
    (void) state;
    struct client_pace pace;
    client_pace_init(&pace, TIMEOUT_MS, 1, 0);
    for (uint64_t sent_us = 1000; sent_us < 1100; sent_us++)
        client_pace_busy(&pace, sent_us, 5000 + sent_us);
    uint64_t once = pace.window;
    assert_in_range(once, CLIENT_PACE_WINDOW_FIRST / 2, CLIENT_PACE_WINDOW_FIRST - 1);
    for (uint64_t sent_us = 1000; sent_us < 1100; sent_us++)
        client_pace_lost(&pace, sent_us, 7000);
    assert_int_equal(pace.window, once);
    client_pace_lost(&pace, 8000, 9000);
    assert_int_equal(pace.window, once / 2);
}

static void retry__is_never_early_and_spread(void **state) {
    (void) state;
    struct client_pace a;
    struct client_pace b;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    uint32_t equal = 0;
    client_pace_init(&a, TIMEOUT_MS, 1, 0);
    client_pace_init(&b, TIMEOUT_MS, 2, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t us = client_pace_retry_us(&a, 200);
        equal += us == client_pace_retry_us(&b, 200);
        least = us < least ? us : least;
        most = us > most ? us : most;
    }
    assert_in_range(least, 200000, 210000);
    assert_in_range(most, 290000, 300000);
    assert_true(equal < 10);
    assert_int_equal(client_pace_retry_us(&a, 0), 0);
}

/* ---- In the loop ------------------------------------------------------------------------------------------------ */

static void one_client__reaches_the_rate_and_keeps_the_queue_short(void **state) {
    (void) state;
    static const uint64_t rates[] = {300000, 3000000, 20000000};
    static const uint64_t bases_us[] = {3000, 20000, 80000};
    static const uint32_t sizes[] = {400, 27000, 1000000};
    static const uint64_t polls_us[] = {0, 20000};
    for (size_t r = 0; r < 3; r++)
        for (size_t b = 0; b < 3; b++)
            for (size_t s = 0; s < 3; s++)
                for (size_t p = 0; p < 2; p++) {
                    uint64_t one_us = sizes[s] * UINT64_C(1000000) / rates[r];
                    if (one_us > TIMEOUT_US / 4)
                        continue; /* a single envelope is more than the queue that is aimed at */
                    start(rates[r], bases_us[b]);
                    model.poll_us = polls_us[p];
                    join(1, sizes[s]);
                    run(3);
                    measure();
                    run(5);
                    assert_true(percent() >= 90);
                    assert_in_range(queue_average_us(), 0, TIMEOUT_US * 3 / 10 + one_us);
                    assert_in_range(model.queue_us_max, 0, TIMEOUT_US / 2 + one_us);
                }
}

static void low_load__is_never_held(void **state) {
    (void) state;
    start(10000000, 5000);
    join(1, 500);
    model.members[0].bytes_a_second = 50 * 500;
    run(1);
    measure();
    run(10);
    assert_int_equal(model.members[0].held, 0);
    assert_in_range(model.members[0].final_bytes, 495 * 500, 505 * 500);
    /* Beside a client that sends as much as it can. */
    join(1, 27000);
    run(5);
    measure();
    run(10);
    assert_int_equal(model.members[0].held, 0);
    assert_in_range(model.members[0].final_bytes, 490 * 500, 510 * 500);
}

static void clients__that_start_at_once_share(void **state) {
    (void) state;
    static const uint32_t counts[] = {2, 8, 32};
    static const uint64_t rates[] = {2000000, 15000000};
    for (size_t c = 0; c < 3; c++)
        for (size_t r = 0; r < 2; r++) {
            start(rates[r], 20000);
            join(counts[c], 27000);
            model.poll_us = 20000;
            run(5);
            measure();
            run(15);
            assert_true(percent() >= 90);
            assert_in_range(model.queue_us_max, 0, TIMEOUT_US / 2 + counts[c] * UINT64_C(27000) * 1000000u / rates[r]);
            assert_fair();
        }
}

static void client__that_comes_later_gets_its_share(void **state) {
    (void) state;
    start(10000000, 20000);
    model.poll_us = 20000;
    join(1, 27000);
    run(10);
    join(1, 27000);
    measure();
    run(15);
    assert_true(percent() >= 90);
    assert_in_range(model.queue_us_max, 0, TIMEOUT_US / 2);
    measure();
    run(10);
    assert_fair();
}

static void sizes__of_envelopes_do_not_matter_to_the_share(void **state) {
    (void) state;
    start(10000000, 20000);
    join(2, 400);
    join(2, 27000);
    run(10);
    measure();
    run(15);
    assert_true(percent() >= 90);
    assert_fair();
}

static void rate__that_falls_tenfold_and_comes_back_is_followed(void **state) {
    (void) state;
    static const uint32_t counts[] = {1, 8};
    for (size_t c = 0; c < 2; c++) {
        start(20000000, 20000);
        model.poll_us = 20000;
        join(counts[c], 27000);
        run(5);
        model.rate = 2000000;
        /* What was under way needs ten times as long now. */
        run(4);
        measure();
        run(10);
        assert_true(percent() >= 90);
        assert_in_range(model.queue_us_max, 0, TIMEOUT_US / 2);
        model.rate = 20000000;
        run(3);
        measure();
        run(5);
        assert_true(percent() >= 90);
    }
}

/* As while a leader is replaced. */
static void channel__that_stands_still_goes_on_at_full_rate(void **state) {
    (void) state;
    start(10000000, 20000);
    join(4, 27000);
    run(5);
    model.rate = 0;
    run(2);
    model.rate = 10000000;
    run(2);
    measure();
    run(5);
    assert_true(percent() >= 90);
}

/* Replicas admit what they order in a tenth of the timeout, less than the clients would have under way. */
static void busy__bounds_the_queue_and_not_the_rate(void **state) {
    (void) state;
    static const uint32_t counts[] = {1, 32};
    for (size_t c = 0; c < 2; c++) {
        start(10000000, 20000);
        model.admit_bytes = model.rate / 10;
        join(counts[c], 10000);
        run(5);
        measure();
        run(15);
        assert_true(percent() >= 90);
        assert_in_range(model.queue_us_max, 0, TIMEOUT_US / 10);
    }
}

static void busy__for_long_does_not_stop_a_client_for_ever(void **state) {
    (void) state;
    start(10000000, 20000);
    join(8, 27000);
    run(2);
    model.turns_all_away = true;
    model.retry_after_ms = 100;
    measure();
    run(20);
    for (uint32_t i = 0; i < model.count; i++) {
        /* It asks again and again, and no more often than it was told. */
        assert_in_range(model.members[i].busy, 20 * 1000 / 160, 20 * 1000 / 100 + 1);
    }
    model.turns_all_away = false;
    run(3);
    measure();
    run(5);
    assert_true(percent() >= 90);
}

static void window__ages_while_it_is_not_used(void **state) {
    (void) state;
    start(10000000, 20000);
    join(1, 400);
    run(5);
    uint64_t used = model.members[0].pace.window;
    assert_true(used > 4 * CLIENT_PACE_WINDOW_FIRST);
    model.members[0].bytes_a_second = 20000;
    run(60);
    assert_int_equal(model.members[0].pace.window, CLIENT_PACE_WINDOW_FIRST);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(room__for_one_envelope_however_large),
    cmocka_unit_test(room__for_a_large_envelope_in_a_full_channel_comes_with_time),
    cmocka_unit_test(room__after_what_was_sent_again_is_there_at_once),
    cmocka_unit_test(flight__shrinks_the_window_once),
    cmocka_unit_test(retry__is_never_early_and_spread),
    cmocka_unit_test(one_client__reaches_the_rate_and_keeps_the_queue_short),
    cmocka_unit_test(low_load__is_never_held),
    cmocka_unit_test(clients__that_start_at_once_share),
    cmocka_unit_test(client__that_comes_later_gets_its_share),
    cmocka_unit_test(sizes__of_envelopes_do_not_matter_to_the_share),
    cmocka_unit_test(rate__that_falls_tenfold_and_comes_back_is_followed),
    cmocka_unit_test(channel__that_stands_still_goes_on_at_full_rate),
    cmocka_unit_test(busy__bounds_the_queue_and_not_the_rate),
    cmocka_unit_test(busy__for_long_does_not_stop_a_client_for_ever),
    cmocka_unit_test(window__ages_while_it_is_not_used),
};
TEST_CASES(cases);
