/*
 * Random histories, each from a seed. Each compares the channel with a plain reference of the cutter and the replay
 * window that shares no code with it. It also compares the channel's digest with those of channels that restarted from
 * disk or came by state transfer at random points.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/state.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

#define PARTIES       5
#define SEQUENCES_MAX (1u << 20)
#define BATCHES       120
#define BATCH_ITEMS   7
#define SEEDS         24

/* An envelope with facts that the test knows without decoding it. */
struct item {
    struct ord_span bytes;
    bool junk; /* malformed, or not for this channel */
    bool registration;
    uint32_t party;
    uint64_t sequence;
    uint32_t message_count;
};

struct model_client {
    bool registered;
    uint64_t highest;
    uint8_t *seen; /* by sequence number */
};

struct model_block {
    uint32_t item_count;
    uint32_t message_count;
    uint64_t byte_count;
    struct item *items; /* [max_message_count] */
};

/*
 * The reference: the rules of docs/protocol.md ("Cutting", "Admission"), with sets instead
 * of windows and lists instead of buffers.
 */
struct model {
    const struct channel_config *config;
    uint32_t client_count;
    struct model_client clients[PARTIES];
    uint64_t height;
    struct model_block open;
    struct model_block last; /* the block that closed last */
    uint64_t last_seq;
    uint32_t accepted;
    uint32_t dropped;
};

struct run {
    uint64_t seed;
    struct dice dice;
    struct net *net;
    struct party *parties[PARTIES];
    struct model model;
    struct channel *channel;
    struct chain_log *log;
    /* The disk. */
    uint8_t records[PARTIES][CHANNEL_CLIENT_RECORD_MAX];
    size_t record_sizes[PARTIES];
    /* Other channels, which must have the same state. */
    struct channel *restored; /* NULL: none yet */
    struct channel *sleeper;
    struct chain_log *sleeper_log;
    bool awake;
};

#define CHECK(run, condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("seed %llu, seq %llu: %s", (unsigned long long) (run)->seed,                                      \
                     (unsigned long long) channel_applied_seq((run)->channel), #condition);                            \
    } while (0)

static void model_close(struct model *model, uint64_t seq) {
    if (model->open.item_count == 0)
        return;
    struct model_block block = model->open;
    model->open = (struct model_block) {.items = model->last.items};
    model->last = block;
    model->last_seq = seq;
    model->height++;
}

static bool model_accepts(struct model *model, const struct item *item) {
    const struct channel_config *config = model->config;
    if (item->junk || item->bytes.size > config->absolute_max_bytes || item->message_count > config->max_message_count)
        return false;
    struct model_client *client = &model->clients[item->party];
    if (item->registration)
        return !client->registered && model->client_count < config->clients_max;
    if (!client->registered || client->seen[item->sequence])
        return false;
    return item->sequence + CHANNEL_REPLAY_WINDOW > client->highest &&
           item->sequence <= client->highest + CHANNEL_REPLAY_WINDOW;
}

static void model_execute(struct model *model, const struct item *item) {
    struct model_client *client = &model->clients[item->party];
    if (item->registration) {
        client->registered = true;
        model->client_count++;
        return;
    }
    client->seen[item->sequence] = 1;
    if (item->sequence > client->highest)
        client->highest = item->sequence;
}

static void model_apply(struct model *model, uint64_t seq, uint64_t cut, const struct item *items, uint32_t count) {
    const struct channel_config *config = model->config;
    model->accepted = 0;
    model->dropped = 0;
    if (cut != 0 && cut == model->height + 1)
        model_close(model, seq);
    for (uint32_t i = 0; i < count; i++) {
        const struct item *item = &items[i];
        if (!model_accepts(model, item)) {
            model->dropped++;
            continue;
        }
        bool alone = item->bytes.size > config->preferred_max_bytes;
        if (alone || model->open.byte_count + item->bytes.size > config->preferred_max_bytes ||
            model->open.message_count + item->message_count > config->max_message_count)
            model_close(model, seq);
        model_execute(model, item);
        model->accepted++;
        model->open.items[model->open.item_count++] = *item;
        model->open.message_count += item->message_count;
        model->open.byte_count += item->bytes.size;
        if (alone || model->open.message_count == config->max_message_count)
            model_close(model, seq);
    }
    if (config->batch_timeout_ms == 0)
        model_close(model, seq);
}

/* True if the encoded data holds exactly these items. */
static bool same_items(const struct model_block *block, struct ord_span data) {
    struct ord_span bytes;
    for (uint32_t i = 0; i < block->item_count; i++)
        if (channel_batch_next(&bytes, &data) != ORD_OK || !ord_span_equal(bytes, block->items[i].bytes))
            return false;
    return data.size == 0;
}

static uint64_t draw_sequence(struct run *run, uint32_t party) {
    uint64_t highest = run->model.clients[party].highest;
    uint64_t sequence;
    switch (dice_below(&run->dice, 12)) {
    case 0:
        return highest + 1 + dice_below(&run->dice, 60);
    case 1:
        return highest + CHANNEL_REPLAY_WINDOW;
    case 2:
        return highest + CHANNEL_REPLAY_WINDOW + 1;
    case 3: /* at the window's far edge */
        sequence = highest - CHANNEL_REPLAY_WINDOW + dice_below(&run->dice, 3);
        return sequence >= 1 && sequence < highest ? sequence : 1;
    case 4:
    case 5: /* somewhere behind the highest: a gap or a duplicate */
        sequence = highest - dice_below(&run->dice, 40);
        return sequence >= 1 && sequence <= highest ? sequence : 1;
    default:
        return highest + 1;
    }
}

static struct item draw_transactions(struct run *run, uint32_t party) {
    const struct channel_config *config = &run->net->config;
    struct item item = {.party = party, .sequence = draw_sequence(run, party)};
    item.message_count = 1 + dice_below(&run->dice, config->max_message_count + (dice_below(&run->dice, 8) == 0));
    size_t size = dice_below(&run->dice, 6) == 0 ? dice_below(&run->dice, config->absolute_max_bytes)
                                                 : dice_below(&run->dice, 120);
    struct ord_span transactions[16];
    uint8_t *bytes = net_alloc(run->net, size + 1);
    bytes[0] = (uint8_t) dice_roll(&run->dice);
    for (uint32_t i = 0; i < item.message_count; i++)
        transactions[i] = ord_span_of(bytes, i == 0 ? size : 1);
    struct channel_envelope header = {
        .kind = CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = run->net->genesis_hash,
        .client = run->parties[party]->fingerprint,
        .sequence = item.sequence,
    };
    if (dice_below(&run->dice, 20) == 0) {
        header.genesis_hash.bytes[0] ^= 1;
        item.junk = true;
    }
    item.bytes = net_envelope_of(run->net, &header, transactions, item.message_count, NULL);
    return item;
}

static struct item draw_item(struct run *run) {
    uint32_t party = dice_below(&run->dice, PARTIES);
    switch (dice_below(&run->dice, 12)) {
    case 0:
        return (struct item) {.bytes = ord_span_of("\1\1malformed", 11), .junk = true};
    case 1:
        return (struct item) {.bytes = net_registration(run->net, run->parties[party]),
                              .registration = true,
                              .party = party,
                              .message_count = 1};
    default:
        return draw_transactions(run, party);
    }
}

static uint64_t draw_cut(struct run *run) {
    switch (dice_below(&run->dice, 8)) {
    case 0:
    case 1:
        return run->model.height + 1;
    case 2:
        return run->model.height + dice_below(&run->dice, 3);
    default:
        return 0;
    }
}

static void expect_same(struct run *run, struct channel *other) {
    struct ord_hash ours;
    struct ord_hash theirs;
    channel_state_digest(run->channel, &ours);
    channel_state_digest(other, &theirs);
    CHECK(run, channel_height(run->channel) == channel_height(other));
    CHECK(run, channel_applied_seq(run->channel) == channel_applied_seq(other));
    CHECK(run, ord_hash_equal(channel_head_hash(run->channel), channel_head_hash(other)));
    CHECK(run, ord_hash_equal(&ours, &theirs));
}

static void expect_model(struct run *run, const struct channel_applied *applied, uint32_t blocks) {
    const struct model *model = &run->model;
    CHECK(run, applied->accepted == model->accepted);
    CHECK(run, applied->duplicates + applied->refused == model->dropped);
    CHECK(run, channel_height(run->channel) == model->height);
    CHECK(run, run->log->count == model->height);
    CHECK(run, applied->blocks == blocks);
    CHECK(run, applied->attest == (blocks > 0 || channel_applied_seq(run->channel) % 64 == 0));
    struct channel_open_block open;
    channel_open(run->channel, &open);
    CHECK(run, open.envelope_count == model->open.item_count);
    CHECK(run, open.transaction_count == model->open.message_count);
    CHECK(run, same_items(&model->open, open.data));
    if (blocks == 0)
        return;
    const struct channel_block *block = &run->log->blocks[run->log->count - 1];
    struct ord_hash leaves[16];
    CHECK(run, block->header.envelope_count == model->last.item_count);
    CHECK(run, block->header.transaction_count == model->last.message_count);
    CHECK(run, block->header.transaction_count <= run->net->config.max_message_count);
    CHECK(run, block->header.byte_count == model->last.byte_count);
    CHECK(run, block->header.last_seq == model->last_seq);
    CHECK(run, same_items(&model->last, block->data));
    CHECK(run, channel_block_check(&block->header, block->data, leaves, 16) == ORD_OK);
}

/* Saves the records that a replica would write to its disk. */
static void save(struct run *run) {
    const uint32_t *indexes;
    size_t count = channel_clients_dirty(run->channel, &indexes);
    for (size_t i = 0; i < count; i++)
        run->record_sizes[indexes[i]] = channel_client_record(run->channel, indexes[i], run->records[indexes[i]]);
    channel_clients_clean(run->channel);
}

static struct channel *restore(struct run *run) {
    struct channel *channel = net_channel(run->net);
    for (uint32_t i = 0; i < channel_client_count(run->channel); i++)
        CHECK(run, channel_restore_client(channel, i, ord_span_of(run->records[i], run->record_sizes[i])) == ORD_OK);
    const struct channel_header *head =
        run->log->count == 0 ? &run->net->genesis_header : &run->log->blocks[run->log->count - 1].header;
    CHECK(run, channel_restore_head(channel, head, channel_applied_seq(run->channel), channel_progress(run->channel)) ==
                   ORD_OK);
    struct channel_open_block open;
    channel_open(run->channel, &open);
    struct ord_span bytes;
    for (uint32_t i = 0; i < open.envelope_count; i++) {
        CHECK(run, channel_batch_next(&bytes, &open.data) == ORD_OK);
        CHECK(run, channel_restore_open(channel, bytes, &open.entries[i]) == ORD_OK);
    }
    const uint32_t *indexes;
    CHECK(run, channel_clients_dirty(channel, &indexes) == 0);
    return channel;
}

/* Brings the sleeper to the channel's state by blocks and tail. */
static void catch_up(struct run *run) {
    const struct channel_sink sink = log_sink(run->sleeper_log);
    for (uint64_t height = channel_height(run->sleeper) + 1; height <= run->log->count; height++) {
        const struct channel_block *block = &run->log->blocks[height - 1];
        CHECK(run, channel_apply_block(run->sleeper, &block->header, block->data, &sink) == ORD_OK);
        const struct channel_block *got = &run->sleeper_log->blocks[height - 1];
        CHECK(run, ord_hash_equal(&got->header_hash, &block->header_hash));
        for (uint32_t i = 0; i < block->header.envelope_count; i++) {
            CHECK(run, got->entries[i].client_index == block->entries[i].client_index);
            CHECK(run, got->entries[i].sequence == block->entries[i].sequence);
            CHECK(run, got->entries[i].seq == block->header.last_seq);
        }
    }
    struct channel_open_block open;
    struct ord_hash root;
    struct ord_hash digest;
    channel_open(run->channel, &open);
    channel_clients_root(run->channel, &root);
    channel_state_digest(run->channel, &digest);
    const struct channel_progress *progress = channel_progress(run->channel);
    CHECK(run, channel_tail_check(run->sleeper, open.data, &root, progress, &digest) == ORD_OK);
    CHECK(run, channel_apply_tail(run->sleeper, channel_applied_seq(run->channel), progress, open.data) == ORD_OK);
}

static void follow(struct run *run, struct channel *other, struct chain_log *log, struct ord_span batch) {
    const struct channel_sink sink = log_sink(log);
    struct channel_applied applied;
    CHECK(run, channel_apply(other, &applied, channel_applied_seq(other) + 1, 0, batch, &sink) == ORD_OK);
    expect_same(run, other);
}

static void one_batch(struct run *run) {
    struct item items[BATCH_ITEMS];
    struct ord_span envelopes[BATCH_ITEMS];
    uint32_t count = dice_below(&run->dice, BATCH_ITEMS + 1);
    uint64_t cut = draw_cut(run);
    for (uint32_t i = 0; i < count; i++) {
        items[i] = draw_item(run);
        if (i > 0 && dice_below(&run->dice, 8) == 0)
            items[i] = items[i - 1]; /* the same envelope twice in a batch */
        envelopes[i] = items[i].bytes;
    }
    bool null_batch = dice_below(&run->dice, 10) == 0;
    struct ord_span batch = null_batch ? ord_span_of(NULL, 0) : net_batch(run->net, cut, envelopes, count);
    uint64_t seq = channel_applied_seq(run->channel) + 1;
    uint64_t height = run->model.height;
    model_apply(&run->model, seq, null_batch ? 0 : cut, items, null_batch ? 0 : count);

    const struct channel_sink sink = log_sink(run->log);
    struct channel_applied applied;
    CHECK(run, channel_apply(run->channel, &applied, seq, 0, batch, &sink) == ORD_OK);
    expect_model(run, &applied, (uint32_t) (run->model.height - height));
    save(run);

    if (run->restored != NULL)
        follow(run, run->restored, net_log(run->net), batch);
    if (run->awake)
        follow(run, run->sleeper, run->sleeper_log, batch);
    if (dice_below(&run->dice, 6) == 0) {
        run->restored = restore(run);
        expect_same(run, run->restored);
    }
    if (!run->awake && dice_below(&run->dice, 6) == 0) {
        catch_up(run);
        expect_same(run, run->sleeper);
        run->awake = true;
    } else if (run->awake && dice_below(&run->dice, 4) == 0) {
        run->awake = false;
    }
}

static uint64_t current_seed;

static void random_knobs(struct channel_config *config) {
    struct dice dice = {.state = current_seed * 77 + 1};
    (void) dice_roll(&dice);
    config->preferred_max_bytes = 200 + dice_below(&dice, 3000);
    config->absolute_max_bytes = 1024 + dice_below(&dice, 2000);
    config->max_message_count = 1 + dice_below(&dice, 12);
    config->batch_timeout_ms = dice_below(&dice, 4) == 0 ? 0 : 100;
    config->clients_max = 3 + dice_below(&dice, 3);
}

static void one_history(uint64_t seed) {
    current_seed = seed;
    struct net *net = net_create(random_knobs);
    struct run *run = net_alloc(net, sizeof(*run));
    run->seed = seed;
    run->net = net;
    run->dice.state = seed;
    run->model.config = &net->config;
    run->model.open.items = net_alloc(net, net->config.max_message_count * sizeof(struct item));
    run->model.last.items = net_alloc(net, net->config.max_message_count * sizeof(struct item));
    for (uint32_t i = 0; i < PARTIES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "client%u", i);
        run->parties[i] = net_party(net, i % 2, i == 3 ? CRYPTO_ROLE_ADMIN : CRYPTO_ROLE_CLIENT, name);
        run->model.clients[i].seen = net_alloc(net, SEQUENCES_MAX);
    }
    run->channel = net_channel(net);
    run->log = net_log(net);
    run->sleeper = net_channel(net);
    run->sleeper_log = net_log(net);
    for (uint32_t i = 0; i < BATCHES; i++)
        one_batch(run);
    CHECK(run, run->model.height > 0);
    net_destroy(net);
}

static void history__equals_the_reference_and_every_way_to_come_there(void **state) {
    (void) state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        one_history(seed);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(history__equals_the_reference_and_every_way_to_come_there),
};
TEST_CASES(cases);
