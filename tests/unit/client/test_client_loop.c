/*
 * Callers that always have more, the gate, the pace, what receipts tell of blocks, and a model of a channel: a queue
 * that is served at a fixed rate, a latency, and the block cutter with its BatchTimeout. Whatever the envelopes' size,
 * the caller gets a good part of what a fixed window as large as allowed gets from the same channel.
 */
#include <string.h>

#include "client/flow/blocks.h"
#include "client/flow/gate.h"
#include "client/flow/pace.h"
#include "tests/support/test_main.h"

enum {
    TIMEOUT_MS = 1000,
    STEP_US = 1000,
    POLL_US = 10000,
    RING = 8192, /* more than a client may have open */
    CLIENTS_MAX = 24,
    QUEUE = CLIENTS_MAX * RING,
};

/* An envelope's way: sent, ordered into a block, and final. */
struct item {
    struct client_entry entry;
    uint64_t height;
    uint64_t block_bytes;
    uint32_t block_transactions;
    uint64_t due_us; /* when the client learns of its block */
};

struct client {
    struct client_gate gate;
    struct client_pace pace;
    struct client_blocks blocks;
    struct client_entries outbox;
    uint64_t entered;
    uint64_t final;
    /* In the order in which they are entered, sent and final. */
    struct item items[RING];
};

static struct model {
    struct channel_config config;
    bool fixed;            /* windows do not change, and are as large as allowed */
    uint32_t size;         /* of an envelope */
    uint32_t transactions; /* in an envelope */
    uint64_t rate;         /* bytes a second */
    uint64_t base_us;
    uint64_t now_us;
    uint64_t budget;
    /* What was sent, in this order. Counts of items: each is sent, ordered, in a closed block, and final. */
    struct item *queue[QUEUE];
    uint64_t sent;
    uint64_t ordered;
    uint64_t closed;
    uint64_t final;
    /* The open block. */
    uint64_t height;
    uint64_t open_bytes;
    uint32_t open_transactions;
    uint64_t open_since_us;
    /* The longest queue since it was last set to 0. */
    uint64_t queue_bytes_max;
    uint32_t count;
    struct client clients[CLIENTS_MAX];
} model;

static struct item *item_at(uint64_t index) {
    return model.queue[index % QUEUE];
}

static void start(uint32_t size, uint32_t transactions, uint64_t rate, uint64_t base_us, uint32_t batch_timeout_ms) {
    memset(&model, 0, sizeof(model));
    channel_config_defaults(&model.config, CHANNEL_PBFT);
    model.config.batch_timeout_ms = batch_timeout_ms;
    model.size = size;
    model.transactions = transactions;
    model.rate = rate;
    model.base_us = base_us;
    model.now_us = 1000000;
}

static void join(uint32_t count) {
    for (; count > 0; count--, model.count++) {
        struct client *client = &model.clients[model.count];
        client_window_init(&client->gate.window, 0);
        client_pace_init(&client->pace, TIMEOUT_MS, model.count, model.now_us);
    }
}

/* ---- The channel ------------------------------------------------------------------------------------------------ */

static void cut(void) {
    model.height++;
    for (; model.closed < model.ordered; model.closed++) {
        struct item *item = item_at(model.closed);
        item->height = model.height;
        item->block_bytes = model.open_bytes;
        item->block_transactions = model.open_transactions;
        /* The client learns of it when it asks next. */
        item->due_us = (model.now_us + model.base_us / 2) / POLL_US * POLL_US + POLL_US;
    }
    model.open_bytes = 0;
    model.open_transactions = 0;
}

static void order_one(void) {
    bool open = model.closed < model.ordered;
    if (open && (model.open_bytes + model.size > model.config.preferred_max_bytes ||
                 model.open_transactions + model.transactions > model.config.max_message_count))
        cut();
    if (model.closed == model.ordered)
        model.open_since_us = model.now_us;
    model.ordered++;
    model.open_bytes += model.size;
    model.open_transactions += model.transactions;
    if (model.open_bytes >= model.config.preferred_max_bytes ||
        model.open_transactions >= model.config.max_message_count)
        cut();
}

static void serve(void) {
    model.budget += model.rate * STEP_US / 1000000u;
    while (model.ordered < model.sent && model.budget >= model.size &&
           model.now_us >= item_at(model.ordered)->entry.sent_us + model.base_us / 2) {
        model.budget -= model.size;
        order_one();
    }
    /* The channel saves up no unused time, except for the part of an envelope. */
    if (model.ordered == model.sent && model.budget > model.rate * STEP_US / 1000000u)
        model.budget = model.rate * STEP_US / 1000000u;
    if (model.closed < model.ordered &&
        model.now_us >= model.open_since_us + UINT64_C(1000) * model.config.batch_timeout_ms)
        cut();
}

/* ---- The client ------------------------------------------------------------------------------------------------- */

static void take_receipt(struct client *client, const struct item *item) {
    const struct channel_header header = {
        .height = item->height, .transaction_count = item->block_transactions, .byte_count = item->block_bytes};
    client_blocks_seen(&client->blocks, header.height, model.now_us);
    uint64_t idle_us = client_blocks_idle_us(&item->entry.sent_blocks, &model.config, &header, model.now_us);
    client_pace_final(&client->pace, model.size, item->entry.sent_us, idle_us, model.now_us);
    client_window_release(&client->gate.window, item->entry.sequence);
    client->gate.open_count--;
    client->gate.open_bytes -= model.size;
    client->final++;
    model.final++;
}

static void give_receipts(struct client *client) {
    while (client->final < client->entered) {
        const struct item *item = &client->items[client->final % RING];
        if (item->due_us == 0 || item->due_us > model.now_us)
            break;
        take_receipt(client, item);
    }
    client_pace_adapt(&client->pace, model.now_us);
    if (model.fixed)
        client->pace.window = CLIENT_PACE_WINDOW_MAX;
    client->gate.open_bytes_max = client_pace_keep(&client->pace);
}

static void call(struct client *client) {
    while (client_gate_room(&client->gate)) {
        struct item *item = &client->items[client->entered++ % RING];
        *item = (struct item) {.entry = {.size = model.size}};
        client_gate_enter(&client->gate, &item->entry, model.size);
        client_gate_hand_over(&client->gate, &item->entry);
    }
    client_entries_append(&client->outbox, &client->gate.inbox);
}

static void send(struct client *client) {
    uint64_t at_us;
    while (client->outbox.head != NULL && client_pace_room(&client->pace, &at_us, model.size, model.now_us)) {
        struct client_entry *entry = client_entries_pop(&client->outbox);
        entry->sent_us = model.now_us;
        entry->sent_blocks = client->blocks;
        client_pace_sent(&client->pace, model.size, model.now_us);
        /* The entry is the item's first member. */
        model.queue[model.sent++ % QUEUE] = (struct item *) (void *) entry;
    }
}

/* Gives how many envelopes became final. */
static uint64_t run(uint64_t seconds) {
    uint64_t before = model.final;
    uint64_t end_us = model.now_us + seconds * 1000000u;
    while (model.now_us < end_us) {
        model.now_us += STEP_US;
        serve();
        for (uint32_t i = 0; i < model.count; i++) {
            struct client *client = &model.clients[(model.now_us / STEP_US + i) % model.count];
            give_receipts(client);
            call(client);
            send(client);
        }
        uint64_t queue_bytes = (model.sent - model.ordered) * model.size;
        if (queue_bytes > model.queue_bytes_max)
            model.queue_bytes_max = queue_bytes;
    }
    return model.final - before;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------ */

/* Whether one such channel gives at least half of what it gives to the largest window. */
static void assert_half_of_best(uint32_t size, uint32_t transactions, uint64_t rate, uint64_t base_us,
                                uint32_t batch_timeout_ms) {
    enum { SECONDS = 3 };
    uint64_t settles = 4 + batch_timeout_ms / 80;
    start(size, transactions, rate, base_us, batch_timeout_ms);
    join(1);
    model.fixed = true;
    (void) run(2 + 2 * batch_timeout_ms / 1000);
    uint64_t best = run(SECONDS);
    start(size, transactions, rate, base_us, batch_timeout_ms);
    join(1);
    (void) run(settles);
    uint64_t reached = run(SECONDS);
    if (2 * reached < best)
        fail_msg("%u bytes, %u transactions, %lu B/s, %lu us, BatchTimeout %u ms: %lu of %lu, window %lu", size,
                 transactions, (unsigned long) rate, (unsigned long) base_us, batch_timeout_ms, (unsigned long) reached,
                 (unsigned long) best, (unsigned long) model.clients[0].pace.window);
}

static const uint64_t rates[] = {2000000, 20000000};
static const uint64_t bases_us[] = {3000, 30000, 80000};
static const uint32_t batch_timeouts_ms[] = {0, 200, 400, 1000};

/* In every channel whose queue is not made too long by one envelope alone. */
static void assert_everywhere(uint32_t size, uint32_t transactions) {
    for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++)
        for (size_t b = 0; b < sizeof(bases_us) / sizeof(bases_us[0]); b++)
            for (size_t t = 0; t < sizeof(batch_timeouts_ms) / sizeof(batch_timeouts_ms[0]); t++)
                if (size * UINT64_C(1000) / rates[r] <= TIMEOUT_MS / 10)
                    assert_half_of_best(size, transactions, rates[r], bases_us[b], batch_timeouts_ms[t]);
}

static void caller__gets_the_rate_with_envelopes_of_any_size(void **state) {
    (void) state;
    for (uint32_t size = 200; size <= 1000000; size += size / 3)
        assert_everywhere(size, 1);
    static const uint32_t sizes[] = {90000, 262144, 300000, 390000, 450000, 524288, 524289, 600000, 1000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_everywhere(sizes[i], 1);
}

static void caller__gets_the_rate_with_any_number_of_transactions_in_an_envelope(void **state) {
    (void) state;
    static const uint32_t counts[] = {2, 10, 100, 249, 250, 251, 300, 375, 380, 400, 499, 500};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        assert_everywhere(250 + 260 * counts[i], counts[i]);
}

/*
 * Many clients, also such as come later, whose blocks are closed with a quarter of them empty or more. What waits in
 * the channel is a queue, and none of them takes it for a wait in an open block.
 */
static void queue__of_many_clients_stays_short(void **state) {
    (void) state;
    static const uint32_t sizes[] = {2000, 27000, 90000, 300000, 390000, 450000};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (size_t t = 0; t < sizeof(batch_timeouts_ms) / sizeof(batch_timeouts_ms[0]); t++) {
            const uint64_t rate = 20000000;
            start(sizes[s], 1, rate, 20000, batch_timeouts_ms[t]);
            join(2);
            (void) run(10);
            join(6);
            (void) run(10);
            model.queue_bytes_max = 0;
            uint64_t bytes = run(10) * sizes[s];
            assert_in_range(bytes, 9 * rate, 11 * rate);
            assert_in_range(model.queue_bytes_max * 1000 / rate, 0, TIMEOUT_MS * 4 / 10);
        }
}

static void gate__leaves_it_to_the_window_to_hold_back(void **state) {
    (void) state;
    for (uint32_t size = 200; size <= 1000000; size += size / 7) {
        start(size, 1, 1, 0, 200);
        join(1);
        struct client *client = &model.clients[0];
        client->gate.open_bytes_max = client_pace_keep(&client->pace);
        call(client);
        send(client);
        assert_true(client->outbox.head != NULL || client->pace.under_way > client->pace.window);
        assert_true(client->pace.round_limited);
        assert_in_range(client->gate.open_bytes, 0, client_pace_keep(&client->pace) + size);
    }
}

static uint64_t idle_us(uint64_t blocks, uint64_t passed_us, uint32_t transactions, uint64_t bytes) {
    const struct client_blocks sent = {.height = 100, .since_us = 5000000};
    const struct channel_header header = {
        .height = 100 + blocks, .transaction_count = transactions, .byte_count = bytes};
    struct channel_config config;
    channel_config_defaults(&config, CHANNEL_PBFT);
    config.batch_timeout_ms = 200;
    config.max_message_count = 500;
    config.preferred_max_bytes = 512 << 10;
    return client_blocks_idle_us(&sent, &config, &header, sent.since_us + passed_us);
}

static void wait__in_a_block_is_as_long_as_blocks_are_open(void **state) {
    (void) state;
    /* One block in so long a time: BatchTimeout closed it, however full it is. */
    assert_int_equal(idle_us(1, 230000, 1, 450000), 200000);
    assert_int_equal(idle_us(1, 230000, 499, 130000), 200000);
    assert_int_equal(idle_us(1, 60000000, 1, 300), 200000);
    assert_int_equal(idle_us(3, 630000, 1, 300), 200000);
    /* Many blocks: BatchTimeout closed few of them, however empty. */
    assert_int_equal(idle_us(20, 400000, 1, 300000), 20000);
    assert_int_equal(idle_us(20, 400000, 500, 300000), 10000);
    assert_int_equal(idle_us(20, 400000, 18, 480000), 10000);
    /* It was not in a later block than what was known. */
    assert_int_equal(idle_us(0, 400000, 1, 300000), 0);
    /* Nothing is known yet. */
    const struct client_blocks none = {0};
    const struct channel_header header = {.height = 7, .transaction_count = 1};
    const struct channel_config config = {.batch_timeout_ms = 300};
    assert_int_equal(client_blocks_idle_us(&none, &config, &header, 9000000), 300000);
}

static void blocks__know_the_newest(void **state) {
    (void) state;
    struct client_blocks blocks = {0};
    client_blocks_seen(&blocks, 5, 1000);
    client_blocks_seen(&blocks, 5, 2000);
    client_blocks_seen(&blocks, 4, 3000);
    assert_int_equal(blocks.height, 5);
    assert_int_equal(blocks.since_us, 1000);
    client_blocks_seen(&blocks, 6, 4000);
    assert_int_equal(blocks.height, 6);
    assert_int_equal(blocks.since_us, 4000);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(caller__gets_the_rate_with_envelopes_of_any_size),
    cmocka_unit_test(caller__gets_the_rate_with_any_number_of_transactions_in_an_envelope),
    cmocka_unit_test(queue__of_many_clients_stays_short),
    cmocka_unit_test(gate__leaves_it_to_the_window_to_hold_back),
    cmocka_unit_test(wait__in_a_block_is_as_long_as_blocks_are_open),
    cmocka_unit_test(blocks__know_the_newest),
};
TEST_CASES(cases);
