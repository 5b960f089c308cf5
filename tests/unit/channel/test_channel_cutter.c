/*
 * The block cutter's four parameters, each by itself. test_channel_history.c checks them together, against a plain
 * reference.
 */
#include <string.h>

#include "channel/state.h"
#include "core/merkle.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

/* One client is registered in a block of its own, so that every test begins with an empty open block of height 2. */
struct fixture {
    struct net *net;
    struct party *party;
    struct channel *channel;
    struct chain_log *log;
    uint64_t sequence;
};

static struct fixture *start(void (*tweak)(struct channel_config *config)) {
    struct net *net = net_create(tweak);
    struct fixture *fixture = net_alloc(net, sizeof(*fixture));
    fixture->net = net;
    fixture->party = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    fixture->channel = net_channel(net);
    fixture->log = net_log(net);
    const struct ord_span registration = net_registration(net, fixture->party);
    (void) net_apply(net, fixture->channel, fixture->log, 0, &registration, 1);
    if (net->config.batch_timeout_ms != 0)
        (void) net_apply(net, fixture->channel, fixture->log, 1, NULL, 0);
    assert_int_equal(channel_height(fixture->channel), 1);
    return fixture;
}

/* Makes an envelope of `size` bytes in all, with `transaction_count` transactions of equal size. */
static struct ord_span envelope(struct fixture *fixture, size_t size, uint32_t transaction_count) {
    size_t rest = size - CHANNEL_ENVELOPE_OVERHEAD - 4 * (size_t) transaction_count;
    assert_int_equal(rest % transaction_count, 0);
    uint64_t sequence = ++fixture->sequence;
    return net_envelope(fixture->net, fixture->party, sequence, transaction_count, rest / transaction_count,
                        (uint8_t) sequence);
}

static struct ord_span messages(struct fixture *fixture, uint32_t transaction_count) {
    return envelope(fixture, CHANNEL_ENVELOPE_OVERHEAD + 9 * (size_t) transaction_count, transaction_count);
}

static struct channel_applied apply(struct fixture *fixture, uint64_t cut, const struct ord_span *envelopes,
                                    uint32_t count) {
    return net_apply(fixture->net, fixture->channel, fixture->log, cut, envelopes, count);
}

static uint32_t open_count(const struct fixture *fixture) {
    struct channel_open_block open;
    channel_open(fixture->channel, &open);
    return open.envelope_count;
}

static const struct channel_block *block(const struct fixture *fixture, uint64_t height) {
    assert_true(height >= 1 && height <= fixture->log->count);
    return &fixture->log->blocks[height - 1];
}

static void small_bytes(struct channel_config *config) {
    config->absolute_max_bytes = 4096;
    config->preferred_max_bytes = 1000;
}

static void cutter__preferred_bytes_closes_before_it_would_be_passed(void **state) {
    (void) state;
    struct fixture *fixture = start(small_bytes);
    const struct ord_span envelopes[] = {envelope(fixture, 400, 1), envelope(fixture, 600, 1),
                                         envelope(fixture, 300, 1)};
    assert_int_equal(apply(fixture, 0, envelopes, 2).blocks, 0); /* 1000 bytes: reached, not exceeded */
    assert_int_equal(open_count(fixture), 2);
    assert_int_equal(apply(fixture, 0, envelopes + 2, 1).blocks, 1);
    assert_int_equal(open_count(fixture), 1);
    assert_int_equal(block(fixture, 2)->header.byte_count, 1000);
    assert_int_equal(block(fixture, 2)->header.envelope_count, 2);
    net_destroy(fixture->net);
}

static void cutter__envelope_over_preferred_is_alone(void **state) {
    (void) state;
    struct fixture *fixture = start(small_bytes);
    const struct ord_span envelopes[] = {envelope(fixture, 300, 1), envelope(fixture, 1001, 1),
                                         envelope(fixture, 300, 1), envelope(fixture, 4096, 1)};
    const struct channel_applied applied = apply(fixture, 0, envelopes, 4);
    assert_int_equal(applied.blocks, 4);
    assert_int_equal(applied.accepted, 4);
    assert_int_equal(open_count(fixture), 0);
    assert_int_equal(block(fixture, 3)->header.envelope_count, 1);
    assert_int_equal(block(fixture, 3)->header.byte_count, 1001);
    assert_int_equal(block(fixture, 5)->header.byte_count, 4096);
    net_destroy(fixture->net);
}

static void small_absolute(struct channel_config *config) {
    config->absolute_max_bytes = 1024; /* less than preferred_max_bytes */
}

static void cutter__envelope_over_absolute_changes_nothing(void **state) {
    (void) state;
    struct fixture *fixture = start(small_absolute);
    const struct ord_span envelopes[] = {envelope(fixture, 1025, 1), envelope(fixture, 1024, 1)};
    const struct channel_applied applied = apply(fixture, 0, envelopes, 2);
    assert_int_equal(applied.refused, 1);
    assert_int_equal(applied.accepted, 1);
    assert_int_equal(open_count(fixture), 1);
    const struct channel_client *client = channel_client_get(fixture->channel, 0);
    assert_int_equal(channel_sequence_check(client, 1), CHANNEL_SEQUENCE_FRESH);
    net_destroy(fixture->net);
}

static void ten_messages(struct channel_config *config) {
    config->max_message_count = 10;
}

static void cutter__message_count_closes_when_reached(void **state) {
    (void) state;
    struct fixture *fixture = start(ten_messages);
    const struct ord_span envelopes[] = {messages(fixture, 4), messages(fixture, 6)};
    assert_int_equal(apply(fixture, 0, envelopes, 1).blocks, 0);
    assert_int_equal(apply(fixture, 0, envelopes + 1, 1).blocks, 1);
    assert_int_equal(block(fixture, 2)->header.transaction_count, 10);
    assert_int_equal(open_count(fixture), 0);
    net_destroy(fixture->net);
}

static void cutter__message_count_closes_before_it_would_be_passed(void **state) {
    (void) state;
    struct fixture *fixture = start(ten_messages);
    const struct ord_span envelopes[] = {messages(fixture, 6), messages(fixture, 5), messages(fixture, 10)};
    const struct channel_applied applied = apply(fixture, 0, envelopes, 3);
    assert_int_equal(applied.blocks, 3);
    assert_int_equal(block(fixture, 2)->header.transaction_count, 6);
    assert_int_equal(block(fixture, 3)->header.transaction_count, 5);
    assert_int_equal(block(fixture, 4)->header.transaction_count, 10);
    net_destroy(fixture->net);
}

static void cutter__more_messages_than_a_block_holds_are_dropped(void **state) {
    (void) state;
    struct fixture *fixture = start(ten_messages);
    const struct ord_span large = messages(fixture, 11);
    const struct channel_applied applied = apply(fixture, 0, &large, 1);
    assert_int_equal(applied.refused, 1);
    assert_int_equal(open_count(fixture), 0);
    net_destroy(fixture->net);
}

static void no_timeout(struct channel_config *config) {
    config->batch_timeout_ms = 0;
}

static void cutter__timeout_zero_closes_at_the_end_of_every_batch(void **state) {
    (void) state;
    struct fixture *fixture = start(no_timeout);
    const struct ord_span envelopes[] = {envelope(fixture, 200, 1), envelope(fixture, 200, 1)};
    assert_int_equal(apply(fixture, 0, envelopes, 2).blocks, 1);
    assert_int_equal(block(fixture, 2)->header.envelope_count, 2);
    const struct channel_applied none = apply(fixture, 0, NULL, 0);
    assert_int_equal(none.blocks, 0); /* there are no empty blocks */
    assert_false(none.attest);
    net_destroy(fixture->net);
}

static void cutter__marker_closes_the_open_block_once(void **state) {
    (void) state;
    struct fixture *fixture = start(NULL);
    const struct ord_span one = envelope(fixture, 200, 1);
    (void) apply(fixture, 0, &one, 1);
    assert_true(apply(fixture, 1, NULL, 0).cut_void); /* a marker for an old block */
    assert_true(apply(fixture, 3, NULL, 0).cut_void); /* a marker for a later block */
    struct channel_applied applied = apply(fixture, 2, NULL, 0);
    assert_false(applied.cut_void);
    assert_true(applied.attest);
    assert_int_equal(applied.blocks, 1);
    assert_true(apply(fixture, 2, NULL, 0).cut_void); /* the same marker again */
    assert_true(apply(fixture, 3, NULL, 0).cut_void); /* the open block is empty */
    assert_int_equal(channel_height(fixture->channel), 2);
    net_destroy(fixture->net);
}

static void cutter__marker_goes_before_the_envelopes_of_its_batch(void **state) {
    (void) state;
    struct fixture *fixture = start(NULL);
    const struct ord_span envelopes[] = {envelope(fixture, 200, 1), envelope(fixture, 200, 1)};
    /* The open block is still empty when the marker is executed. */
    struct channel_applied applied = apply(fixture, 2, envelopes, 1);
    assert_true(applied.cut_void);
    assert_int_equal(open_count(fixture), 1);
    applied = apply(fixture, 2, envelopes + 1, 1);
    assert_false(applied.cut_void);
    assert_int_equal(block(fixture, 2)->header.envelope_count, 1);
    assert_int_equal(open_count(fixture), 1);
    net_destroy(fixture->net);
}

static void cutter__last_seq_is_that_of_the_closing_batch(void **state) {
    (void) state;
    struct fixture *fixture = start(NULL);
    const struct ord_span one = envelope(fixture, 200, 1);
    (void) apply(fixture, 0, &one, 1);
    uint64_t ordered = channel_applied_seq(fixture->channel);
    (void) apply(fixture, 0, NULL, 0);
    (void) apply(fixture, 2, NULL, 0);
    assert_int_equal(block(fixture, 2)->entries[0].seq, ordered);
    assert_int_equal(block(fixture, 2)->header.last_seq, ordered + 2);
    net_destroy(fixture->net);
}

static void cutter__block_is_complete(void **state) {
    (void) state;
    struct fixture *fixture = start(NULL);
    const struct ord_span envelopes[] = {envelope(fixture, 200, 1), envelope(fixture, 201, 1),
                                         envelope(fixture, 202, 2)};
    (void) apply(fixture, 0, envelopes, 3);
    struct channel_open_block open;
    channel_open(fixture->channel, &open);
    assert_int_equal(open.height, 2);
    assert_int_equal(open.transaction_count, 4);
    assert_int_equal(open.first_seq, channel_applied_seq(fixture->channel));
    struct ord_span open_data = net_copy(fixture->net, open.data);
    (void) apply(fixture, 2, NULL, 0);
    const struct channel_block *cut = block(fixture, 2);
    assert_true(ord_span_equal(cut->data, open_data));
    struct ord_hash leaves[3];
    assert_ok(channel_block_check(&cut->header, cut->data, leaves, 3));
    assert_int_equal(cut->header.transaction_count, 4);
    assert_int_equal(cut->header.byte_count, 603);
    assert_int_equal(cut->header.epoch, 1);
    assert_int_equal(cut->header.config_height, 0);
    assert_true(ord_hash_equal(&cut->header.genesis_hash, &fixture->net->genesis_hash));
    assert_true(ord_hash_equal(&cut->header.previous_hash, &block(fixture, 1)->header_hash));
    assert_true(ord_hash_equal(&cut->header_hash, channel_head_hash(fixture->channel)));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(cut->entries[i].client_index, 0);
        assert_int_equal(cut->entries[i].batch_index, i);
        assert_int_equal(cut->entries[i].sequence, i + 1);
    }
    net_destroy(fixture->net);
}

static void eight_checkpoint(struct channel_config *config) {
    config->checkpoint_interval = 8;
    config->window = 16;
}

static void cutter__attests_blocks_and_checkpoints_only(void **state) {
    (void) state;
    struct fixture *fixture = start(eight_checkpoint);
    for (uint64_t seq = channel_applied_seq(fixture->channel) + 1; seq <= 24; seq++) {
        const struct channel_sink sink = log_sink(fixture->log);
        struct channel_applied applied;
        assert_ok(channel_apply(fixture->channel, &applied, seq, 0, ord_span_of(NULL, 0), &sink));
        assert_int_equal(applied.attest, seq % 8 == 0);
        assert_int_equal(channel_applied_seq(fixture->channel), seq);
    }
    net_destroy(fixture->net);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(cutter__preferred_bytes_closes_before_it_would_be_passed),
    cmocka_unit_test(cutter__envelope_over_preferred_is_alone),
    cmocka_unit_test(cutter__envelope_over_absolute_changes_nothing),
    cmocka_unit_test(cutter__message_count_closes_when_reached),
    cmocka_unit_test(cutter__message_count_closes_before_it_would_be_passed),
    cmocka_unit_test(cutter__more_messages_than_a_block_holds_are_dropped),
    cmocka_unit_test(cutter__timeout_zero_closes_at_the_end_of_every_batch),
    cmocka_unit_test(cutter__marker_closes_the_open_block_once),
    cmocka_unit_test(cutter__marker_goes_before_the_envelopes_of_its_batch),
    cmocka_unit_test(cutter__last_seq_is_that_of_the_closing_batch),
    cmocka_unit_test(cutter__block_is_complete),
    cmocka_unit_test(cutter__attests_blocks_and_checkpoints_only),
};
TEST_CASES(cases);
