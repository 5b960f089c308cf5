/*
 * Data that a replica refuses from its own disk and from a source of state transfer, and errors after which
 * it stops. These tests cover restore.c, transfer.c, and execute.c when the sink fails.
 * test_channel_state.c has the cases that succeed.
 */
#include <string.h>

#include "channel/state.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

static void small(struct channel_config *config) {
    config->absolute_max_bytes = 4096;
    config->preferred_max_bytes = 2048;
    config->max_message_count = 8;
    config->clients_max = 3;
}

static void small_and_at_once(struct channel_config *config) {
    small(config);
    config->batch_timeout_ms = 0;
}

struct fixture {
    struct net *net;
    struct party *ann; /* registered at seq 1, in the open block */
    struct channel *channel;
    struct chain_log *log;
};

static int setup(void **state) {
    struct net *net = net_create(small);
    struct fixture *fixture = net_alloc(net, sizeof(*fixture));
    fixture->net = net;
    fixture->ann = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    fixture->channel = net_channel(net);
    fixture->log = net_log(net);
    const struct ord_span registration = net_registration(net, fixture->ann);
    (void) net_apply(net, fixture->channel, fixture->log, 0, &registration, 1);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    net_destroy(((struct fixture *) *state)->net);
    return 0;
}

static struct ord_span of_ann(const struct fixture *fixture, uint64_t sequence, uint32_t count, size_t size) {
    return net_envelope(fixture->net, fixture->ann, sequence, count, size, 7);
}

/* Encodes envelopes with their lengths, as in a block's data. */
static struct ord_span data_of(struct net *net, const struct ord_span *envelopes, uint32_t count) {
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += 4 + envelopes[i].size;
    struct ord_writer writer = ord_writer_of(net_alloc(net, size + 1), size);
    for (uint32_t i = 0; i < count; i++)
        ord_write_string(&writer, envelopes[i]);
    return ord_writer_span(&writer);
}

/* ---- the replica's own disk ---- */

enum { ROLE_AT = 1 + 32 + 33 + 4, ORG_AT = 1 + 32 + 33, KEY_AT = 1 + 32, HIGHEST_AT = ROLE_AT + 1 + 8 + 8 };

static void restore__refuses_clients_that_cannot_be(void **state) {
    struct fixture *fixture = *state;
    uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
    size_t size = channel_client_record(fixture->channel, 0, record);
    struct channel *fresh = net_channel(fixture->net);
    const struct ord_span bytes = ord_span_of(record, size);
    record[ROLE_AT] = 99;
    assert_err(channel_restore_client(fresh, 0, bytes), ORD_ERR_CORRUPT);
    record[ROLE_AT] = CRYPTO_ROLE_ADMIN;
    record[KEY_AT] = 9; /* not a point of the curve */
    assert_err(channel_restore_client(fresh, 0, bytes), ORD_ERR_CORRUPT);
    record[KEY_AT] = fixture->ann->cert_size > 0 ? 2 : 0;
    record[ORG_AT + 3] = 2; /* but there are two organisations, 0 and 1 */
    assert_err(channel_restore_client(fresh, 0, bytes), ORD_ERR_CORRUPT);
    record[ORG_AT + 3] = 1;
    ord_store_u64(record + HIGHEST_AT, 5); /* but bit 5 of the window is not set */
    assert_err(channel_restore_client(fresh, 0, bytes), ORD_ERR_CORRUPT);
    ord_store_u64(record + HIGHEST_AT, 0);
    for (uint32_t i = 0; i < 3; i++) {
        record[1] = (uint8_t) i; /* changes the fingerprint */
        assert_ok(channel_restore_client(fresh, i, bytes));
    }
    record[1] = 3;
    assert_err(channel_restore_client(fresh, 3, bytes), ORD_ERR_CORRUPT); /* the table holds three */
    assert_int_equal(channel_client_count(fresh), 3);
}

static void restore__head_must_be_of_this_channel(void **state) {
    struct fixture *fixture = *state;
    const struct channel_applied closed = net_apply(fixture->net, fixture->channel, fixture->log, 1, NULL, 0);
    assert_int_equal(closed.blocks, 1);
    struct channel *fresh = net_channel(fixture->net);
    const struct channel_header good = fixture->log->blocks[0].header;
    struct channel_header header = good;
    header.last_seq = 0;
    assert_err(channel_restore_head(fresh, &header, 5, &no_progress), ORD_ERR_MISMATCH);
    header = good;
    header.epoch++;
    assert_err(channel_restore_head(fresh, &header, 5, &no_progress), ORD_ERR_MISMATCH);
    header = good;
    header.config_height++;
    assert_err(channel_restore_head(fresh, &header, 5, &no_progress), ORD_ERR_MISMATCH);
    assert_ok(channel_restore_head(fresh, &good, 5, &no_progress));
    const struct ord_span envelope = of_ann(fixture, 1, 1, 8);
    (void) net_apply(fixture->net, fixture->channel, fixture->log, 0, &envelope, 1);
    assert_err(channel_restore_head(fixture->channel, &good, 5, &no_progress),
               ORD_ERR_WRONG_STATE); /* a block is open */
}

static void restore__open_block_must_be_what_was_executed(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
    struct channel_entry entry = {.sequence = 1, .seq = 2};
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        const struct ord_span one = of_ann(fixture, sequence, 1, 8);
        (void) net_apply(net, fixture->channel, fixture->log, 0, &one, 1);
    }
    size_t size = channel_client_record(fixture->channel, 0, record);
    struct channel *fresh = net_channel(net);
    assert_ok(channel_restore_client(fresh, 0, ord_span_of(record, size)));
    assert_ok(channel_restore_head(fresh, &net->genesis_header, 4, &no_progress));
    struct ord_span ours = of_ann(fixture, 1, 1, 8);
    assert_err(channel_restore_open(fresh, ord_span_of(ours.data, ours.size - 1), &entry), ORD_ERR_CORRUPT);
    const struct party *bob = net_party(net, 1, CRYPTO_ROLE_CLIENT, "bob");
    assert_err(channel_restore_open(fresh, net_envelope(net, bob, 1, 1, 8, 0), &entry), ORD_ERR_CORRUPT);
    struct ord_span foreign = net_copy(net, ours);
    ((uint8_t *) (uintptr_t) foreign.data)[2] ^= 1; /* changes the genesis hash */
    assert_err(channel_restore_open(fresh, foreign, &entry), ORD_ERR_CORRUPT);
    entry.seq = 5; /* not executed yet */
    assert_err(channel_restore_open(fresh, ours, &entry), ORD_ERR_CORRUPT);
    entry.seq = 2;
    const struct ord_span too_many = of_ann(fixture, 1, 9, 8);
    assert_err(channel_restore_open(fresh, too_many, &entry), ORD_ERR_CORRUPT); /* a block has at most eight */
    const struct ord_span too_large = of_ann(fixture, 1, 1, 8192);
    assert_err(channel_restore_open(fresh, too_large, &entry), ORD_ERR_CORRUPT);
    assert_ok(channel_restore_open(fresh, of_ann(fixture, 1, 1, 1500), &entry));
    entry.sequence = 2;
    /* This envelope would have closed the block. */
    assert_err(channel_restore_open(fresh, of_ann(fixture, 2, 1, 1800), &entry), ORD_ERR_CORRUPT);
    assert_ok(channel_restore_open(fresh, of_ann(fixture, 2, 1, 8), &entry));
}

/* ---- a source of state transfer ---- */

/*
 * The header of a block of height 1 and seq 2. Its data root is not set, because channel_apply_block does not check it.
 */
static struct channel_header header_of(const struct fixture *fixture, uint32_t envelope_count) {
    return (struct channel_header) {.genesis_hash = fixture->net->genesis_hash,
                                    .height = 1,
                                    .previous_hash = fixture->net->genesis_hash,
                                    .envelope_count = envelope_count,
                                    .transaction_count = envelope_count,
                                    .epoch = 1,
                                    .last_seq = 2};
}

static void transfer__header_must_be_of_this_channel(void **state) {
    struct fixture *fixture = *state;
    const struct channel_sink sink = log_sink(fixture->log);
    const struct ord_span envelopes[] = {net_registration(fixture->net, fixture->ann), of_ann(fixture, 1, 1, 8)};
    const struct ord_span data = data_of(fixture->net, envelopes, 2);
    const struct channel_header good = header_of(fixture, 2);
    struct channel_header header = good;
    header.genesis_hash.bytes[0] ^= 1;
    assert_err(channel_apply_block(fixture->channel, &header, data, &sink), ORD_ERR_INVALID);
    header = good;
    header.config_height = 1;
    assert_err(channel_apply_block(fixture->channel, &header, data, &sink), ORD_ERR_INVALID);
    header = good;
    header.last_seq = 1; /* seq 1 was executed already */
    assert_err(channel_apply_block(fixture->channel, &header, data, &sink), ORD_ERR_INVALID);
    assert_ok(channel_apply_block(fixture->channel, &good, data, &sink));
    assert_int_equal(channel_height(fixture->channel), 1);
}

static enum ord_err failing_block(void *context, const struct channel_block *block) {
    (void) context;
    (void) block;
    return ORD_ERR_IO;
}

static const struct channel_sink failing = {.block = failing_block};

/* After a block was executed only in part, every later call must fail. */
static void expect_stopped(const struct fixture *fixture) {
    const struct channel_sink sink = log_sink(fixture->log);
    const struct ord_hash none = {{0}};
    struct channel_applied applied;
    const struct channel_header header = header_of(fixture, 1);
    struct channel *channel = fixture->channel;
    assert_err(channel_apply(channel, &applied, channel_applied_seq(channel) + 1, 0, ord_span_of(NULL, 0), &sink),
               ORD_ERR_WRONG_STATE);
    assert_err(channel_apply_block(channel, &header, ord_span_of(NULL, 0), &sink), ORD_ERR_WRONG_STATE);
    assert_err(channel_tail_check(channel, ord_span_of(NULL, 0), &none, &no_progress, &none), ORD_ERR_WRONG_STATE);
    assert_err(channel_apply_tail(channel, 9, &no_progress, ord_span_of(NULL, 0)), ORD_ERR_WRONG_STATE);
}

static void transfer__stops_on_a_block_that_cannot_be_executed(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span envelopes[] = {net_registration(fixture->net, fixture->ann), of_ann(fixture, 1, 1, 8)};
    struct ord_span data = data_of(fixture->net, envelopes, 2);
    const struct channel_header header = header_of(fixture, 2);
    data.size++; /* one byte more than the envelopes have */
    assert_err(channel_apply_block(fixture->channel, &header, data, &(struct channel_sink) {0}), ORD_ERR_INVALID);
    expect_stopped(fixture);
}

static void transfer__stops_on_more_envelopes_than_a_block_may_have(void **state) {
    struct fixture *fixture = *state;
    struct ord_span envelopes[9] = {net_registration(fixture->net, fixture->ann)};
    for (uint64_t i = 1; i < 9; i++)
        envelopes[i] = of_ann(fixture, i, 1, 8);
    const struct channel_header header = header_of(fixture, 9);
    const struct ord_span data = data_of(fixture->net, envelopes, 9);
    struct ord_hash digest = {{0}};
    assert_err(channel_tail_check(fixture->channel, data, &digest, &no_progress, &digest), ORD_ERR_MISMATCH);
    const struct channel_sink sink = log_sink(fixture->log);
    assert_err(channel_apply_block(fixture->channel, &header, data, &sink), ORD_ERR_INVALID);
    expect_stopped(fixture);
}

static void transfer__stops_when_the_sink_fails(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span envelopes[] = {net_registration(fixture->net, fixture->ann), of_ann(fixture, 1, 1, 8)};
    const struct channel_header header = header_of(fixture, 2);
    const struct ord_span data = data_of(fixture->net, envelopes, 2);
    assert_err(channel_apply_block(fixture->channel, &header, data, &failing), ORD_ERR_IO);
    expect_stopped(fixture);
}

static void transfer__tail_check_refuses_what_is_no_tail(void **state) {
    struct fixture *fixture = *state;
    struct channel *channel = fixture->channel;
    struct ord_hash root;
    struct ord_hash digest;
    channel_state_digest(channel, &digest);
    channel_clients_root(channel, &root);
    const struct channel_progress since = *channel_progress(channel);
    struct channel_open_block open;
    channel_open(channel, &open);
    struct ord_span tail = net_copy(fixture->net, open.data);
    assert_ok(channel_tail_check(channel, tail, &root, &since, &digest));
    assert_err(channel_tail_check(channel, ord_span_of(tail.data, tail.size - 1), &root, &since, &digest),
               ORD_ERR_MISMATCH);
    /* The tail does not begin with the open block any more. */
    ((uint8_t *) (uintptr_t) tail.data)[tail.size - 1] ^= 1;
    assert_err(channel_tail_check(channel, tail, &root, &since, &digest), ORD_ERR_MISMATCH);
    const struct ord_span envelopes[] = {net_registration(fixture->net, fixture->ann), of_ann(fixture, 1, 1, 8)};
    struct ord_span longer = data_of(fixture->net, envelopes, 2);
    longer.size--; /* its second envelope is cut short */
    assert_err(channel_tail_check(channel, longer, &root, &since, &digest), ORD_ERR_MISMATCH);
}

/* Applies a tail of seq 3 that holds the registration, then the envelopes `more`, and lacks its last `cut` bytes. */
static enum ord_err apply_tail(const struct fixture *fixture, const struct ord_span *more, uint32_t count, size_t cut) {
    struct ord_span envelopes[9] = {net_registration(fixture->net, fixture->ann)};
    memcpy(&envelopes[1], more, count * sizeof(*more));
    struct ord_span data = data_of(fixture->net, envelopes, count + 1);
    data.size -= cut;
    return channel_apply_tail(fixture->channel, 3, &no_progress, data);
}

static void transfer__tail_goes_on_from_here(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span more[] = {of_ann(fixture, 1, 1, 8), of_ann(fixture, 2, 1, 8)};
    struct channel_open_block open;
    channel_open(fixture->channel, &open);
    assert_err(channel_apply_tail(fixture->channel, 0, &no_progress, open.data),
               ORD_ERR_WRONG_STATE); /* we are at seq 1 */
    assert_ok(apply_tail(fixture, more, 2, 0));
    channel_open(fixture->channel, &open);
    assert_int_equal(open.envelope_count, 3);
    assert_int_equal(channel_applied_seq(fixture->channel), 3);
}

static void transfer__stops_on_a_tail_that_is_cut(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span more = of_ann(fixture, 1, 1, 8);
    assert_err(apply_tail(fixture, &more, 1, 1), ORD_ERR_INVALID);
    expect_stopped(fixture);
}

static void transfer__stops_on_a_tail_with_an_envelope_twice(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span more[] = {of_ann(fixture, 1, 1, 8), of_ann(fixture, 1, 1, 8)};
    assert_err(apply_tail(fixture, more, 2, 0), ORD_ERR_INVALID);
    expect_stopped(fixture);
}

/* An open block cannot hold envelopes that would have closed it earlier. */
static void transfer__stops_on_a_tail_that_would_have_closed_its_block_before(void **state) {
    struct fixture *fixture = *state;
    /* Together with the registration these are ten transactions. */
    const struct ord_span more[] = {of_ann(fixture, 1, 6, 8), of_ann(fixture, 2, 3, 8)};
    assert_err(apply_tail(fixture, more, 2, 0), ORD_ERR_INVALID);
    expect_stopped(fixture);
}

static void transfer__stops_on_a_tail_that_is_a_whole_block(void **state) {
    struct fixture *fixture = *state;
    /* Together with the registration these are eight transactions, which is MaxMessageCount. */
    const struct ord_span more = of_ann(fixture, 1, 7, 8);
    assert_err(apply_tail(fixture, &more, 1, 0), ORD_ERR_INVALID);
    expect_stopped(fixture);
}

static void transfer__no_tail_where_every_batch_closes_its_block(void **state) {
    (void) state;
    struct net *net = net_create(small_and_at_once);
    struct party *ann = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    struct channel *channel = net_channel(net);
    const struct ord_span registration = net_registration(net, ann);
    assert_err(channel_apply_tail(channel, 3, &no_progress, data_of(net, &registration, 1)), ORD_ERR_INVALID);
    assert_ok(channel_apply_tail(channel, 3, &no_progress, ord_span_of(NULL, 0)));
    assert_int_equal(channel_applied_seq(channel), 3);
    net_destroy(net);
}

/* ---- executing batches ---- */

/* A sink that fails leaves a batch executed only in part, whatever closed the block. */
static void apply__stops_wherever_the_sink_fails(void **state) {
    (void) state;
    for (int why = 0; why < 4; why++) {
        struct fixture *fixture;
        assert_int_equal(setup((void **) &fixture), 0);
        const struct ord_span large = of_ann(fixture, 1, 1, 3000);   /* closes the block before it */
        const struct ord_span full = of_ann(fixture, 1, 7, 8);       /* fills the block and closes it */
        struct ord_span batch = net_batch(fixture->net, 1, NULL, 0); /* closes it by its marker */
        if (why == 1)
            batch = net_batch(fixture->net, 0, &large, 1);
        if (why == 2)
            batch = net_batch(fixture->net, 0, &full, 1);
        struct channel_applied applied;
        const struct channel_sink sink = why == 3 ? log_sink(fixture->log) : failing;
        assert_err(channel_apply(fixture->channel, &applied, 2, 0, batch, &sink), why == 3 ? ORD_OK : ORD_ERR_IO);
        if (why < 3)
            expect_stopped(fixture);
        teardown((void **) &fixture);
    }
}

static void large_blocks_little_memory(struct channel_config *config) {
    config->absolute_max_bytes = 4096;
    config->preferred_max_bytes = 8192;
    config->max_message_count = 64;
    config->batch_bytes_max = 4200;
    config->body_bytes_max = 24784; /* a quarter of it is 6,196 */
}

/*
 * Batches stay in the core's memory until a point of attestation is certified,
 * so points must come even without a block.
 */
static void apply__a_quarter_of_the_memory_for_batches_makes_a_point(void **state) {
    (void) state;
    struct net *net = net_create(large_blocks_little_memory);
    struct party *ann = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    struct channel *channel = net_channel(net);
    struct chain_log *log = net_log(net);
    const struct ord_span registration = net_registration(net, ann);
    assert_false(net_apply(net, channel, log, 0, &registration, 1).attest);
    const struct ord_span large = net_envelope(net, ann, 1, 1, 3000, 7);
    assert_false(net_apply(net, channel, log, 0, &large, 1).attest);
    /* The same envelope again is dropped as a duplicate, but its bytes count. */
    const struct channel_applied applied = net_apply(net, channel, log, 0, &large, 1);
    assert_true(applied.attest);
    assert_int_equal(applied.duplicates, 1);
    assert_int_equal(applied.blocks, 0);
    assert_false(net_apply(net, channel, log, 0, &large, 1).attest); /* the count begins again at the point */
    assert_true(net_apply(net, channel, log, 0, &large, 1).attest);
    net_destroy(net);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest cases[] = {
    CASE(restore__refuses_clients_that_cannot_be),
    CASE(restore__head_must_be_of_this_channel),
    CASE(restore__open_block_must_be_what_was_executed),
    CASE(transfer__header_must_be_of_this_channel),
    CASE(transfer__stops_on_a_block_that_cannot_be_executed),
    CASE(transfer__stops_on_more_envelopes_than_a_block_may_have),
    CASE(transfer__stops_when_the_sink_fails),
    CASE(transfer__tail_check_refuses_what_is_no_tail),
    CASE(transfer__tail_goes_on_from_here),
    CASE(transfer__stops_on_a_tail_that_is_cut),
    CASE(transfer__stops_on_a_tail_with_an_envelope_twice),
    CASE(transfer__stops_on_a_tail_that_would_have_closed_its_block_before),
    CASE(transfer__stops_on_a_tail_that_is_a_whole_block),
    cmocka_unit_test(transfer__no_tail_where_every_batch_closes_its_block),
    cmocka_unit_test(apply__stops_wherever_the_sink_fails),
    cmocka_unit_test(apply__a_quarter_of_the_memory_for_batches_makes_a_point),
};
TEST_CASES(cases);
