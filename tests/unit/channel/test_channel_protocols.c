/*
 * The protocol orders, and everything behind it is the same: one ordered log gives a pbft channel and a raft channel
 * with the same knobs the same blocks. They differ in what names the network: hashes, clients and signatures.
 */
#include <string.h>

#include "channel/block.h"
#include "channel/envelope.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

enum { BATCHES = 400, ENVELOPES_MAX = 5 };

struct side {
    struct net *net;
    struct channel *channel;
    struct chain_log *log;
    struct party *client;
    uint64_t term; /* 0 in a pbft channel */
};

static void small_blocks(struct channel_config *config) {
    config->preferred_max_bytes = 4096;
    config->absolute_max_bytes = 8192;
    config->max_message_count = 20;
}

static void raft(struct channel_config *config) {
    struct channel_config defaults;
    channel_config_defaults(&defaults, CHANNEL_RAFT);
    small_blocks(config);
    config->consensus = CHANNEL_RAFT;
    config->raft = defaults.raft;
}

static struct channel_applied apply(struct side *side, uint64_t cut_height, const struct ord_span *envelopes,
                                    uint32_t count) {
    const struct channel_sink sink = log_sink(side->log);
    struct channel_applied applied;
    struct ord_span batch =
        count == 0 && cut_height == 0 ? ord_span_of(NULL, 0) : net_batch(side->net, cut_height, envelopes, count);
    assert_ok(channel_apply(side->channel, &applied, channel_applied_seq(side->channel) + 1, side->term, batch, &sink));
    return applied;
}

static struct side open_side(void (*tweak)(struct channel_config *config), uint64_t term) {
    struct side side = {.net = net_create(tweak), .term = term};
    side.channel = net_channel(side.net);
    side.log = net_log(side.net);
    side.client = net_party(side.net, 0, CRYPTO_ROLE_CLIENT, "client");
    struct ord_span registration = net_registration(side.net, side.client);
    assert_int_equal(apply(&side, 0, &registration, 1).accepted, 1);
    assert_int_equal(apply(&side, 1, NULL, 0).blocks, 1); /* certificates differ in length, so its block ends here */
    return side;
}

/* The same batch on both sides: null batches, cut markers that come to nothing and such that do not, duplicates. */
static void order(struct side *side, struct dice *dice, uint64_t *sequence) {
    struct ord_span envelopes[ENVELOPES_MAX];
    uint32_t count = dice_below(dice, ENVELOPES_MAX + 1);
    uint64_t cut_height = dice_below(dice, 8) == 0 ? channel_height(side->channel) + dice_below(dice, 3) : 0;
    for (uint32_t i = 0; i < count; i++) {
        bool again = *sequence > 1 && dice_below(dice, 10) == 0;
        uint64_t number = again ? *sequence - 1 : (*sequence)++;
        uint32_t transactions = 1 + dice_below(dice, 8);
        size_t size = 1 + dice_below(dice, 300);
        envelopes[i] = net_envelope(side->net, side->client, number, transactions, size, (uint8_t) number);
    }
    if (dice_below(dice, 30) == 0)
        side->term += side->term > 0; /* another leader of a raft channel */
    (void) apply(side, cut_height, envelopes, count);
}

static void assert_same_transactions(struct ord_span a, struct ord_span b) {
    struct channel_envelope envelopes[2];
    assert_ok(channel_envelope_decode(&envelopes[0], a));
    assert_ok(channel_envelope_decode(&envelopes[1], b));
    assert_int_equal(envelopes[0].sequence, envelopes[1].sequence);
    assert_int_equal(envelopes[0].transaction_count, envelopes[1].transaction_count);
    assert_true(ord_span_equal(envelopes[0].transactions, envelopes[1].transactions));
}

static struct ord_span next_envelope(struct ord_span *data) {
    struct ord_span envelope;
    assert_ok(channel_envelope_next(&envelope, data));
    return envelope;
}

/* Block 1 holds a registration. */
static void assert_same_block(const struct channel_block *a, const struct channel_block *b) {
    assert_int_equal(a->header.height, b->header.height);
    assert_int_equal(a->header.envelope_count, b->header.envelope_count);
    assert_int_equal(a->header.transaction_count, b->header.transaction_count);
    assert_int_equal(a->header.epoch, b->header.epoch);
    assert_int_equal(a->header.config_height, b->header.config_height);
    assert_int_equal(a->header.last_seq, b->header.last_seq);
    if (a->header.height == 1)
        return;
    assert_int_equal(a->header.byte_count, b->header.byte_count);
    assert_int_equal(a->data.size, b->data.size);
    struct ord_span data[2] = {a->data, b->data};
    for (uint32_t i = 0; i < a->header.envelope_count; i++)
        assert_same_transactions(next_envelope(&data[0]), next_envelope(&data[1]));
    assert_int_equal(data[0].size, 0);
}

static void protocols__cut_one_log_into_the_same_blocks(void **state) {
    (void) state;
    struct side sides[2] = {open_side(small_blocks, 0), open_side(raft, 1)};
    for (uint32_t i = 0; i < 2; i++) {
        struct dice dice = {.state = 7};
        uint64_t sequence = 1;
        for (uint32_t batch = 0; batch < BATCHES; batch++)
            order(&sides[i], &dice, &sequence);
    }
    assert_true(sides[1].term > 1);
    assert_int_equal(channel_progress(sides[1].channel)->term, sides[1].term);
    assert_true(sides[0].log->count > 50);
    assert_int_equal(sides[0].log->count, sides[1].log->count);
    for (uint32_t i = 0; i < sides[0].log->count; i++)
        assert_same_block(&sides[0].log->blocks[i], &sides[1].log->blocks[i]);
    for (uint32_t i = 0; i < 2; i++)
        net_destroy(sides[i].net);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(protocols__cut_one_log_into_the_same_blocks),
};
TEST_CASES(cases);
