/* Wire format and records: what is written is read back, and nothing else is taken. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/raft_net.h"
#include "tests/support/test_main.h"

static struct raft_options options;
static struct ord_core_config config;

static void set_up(void) {
    options = raft_net_options();
    config = (struct ord_core_config) {
        .self = 0, .replica_count = 3, .epoch = 9, .batch_bytes_max = 16, .options = &options};
    memset(&config.genesis_hash, 0x31, sizeof(config.genesis_hash));
}

/* One message of each type, with all its fields in use. */
static const struct raft_message samples[] = {
    {.type = RAFT_VOTE_REQUEST,
     .sender = 1,
     .term = 5,
     .pre = true,
     .transfer = true,
     .seq = 9,
     .seq_term = 4,
     .life = 8},
    {.type = RAFT_VOTE_ANSWER, .sender = 1, .term = 5, .granted = true, .asked_term = 6, .asked_life = 8, .life = 77},
    {.type = RAFT_APPEND,
     .sender = 1,
     .term = 5,
     .seq = 9,
     .seq_term = 4,
     .commit_seq = 8,
     .own_seq = 7,
     .has_entry = true,
     .entry_term = 5,
     .body = {(const uint8_t *) "batch", 5}},
    {.type = RAFT_APPEND, .sender = 1, .term = 5, .seq = 9, .seq_term = 4, .commit_seq = 8},
    {.type = RAFT_APPEND_ANSWER, .sender = 2, .term = 5, .silent = true, .seq = 9, .life = 3},
    {.type = RAFT_APPEND_ANSWER,
     .sender = 2,
     .term = 5,
     .rejected = true,
     .seq = 9,
     .hint_seq = 7,
     .seq_term = 2,
     .life = 3},
    {.type = RAFT_SNAPSHOT,
     .sender = 1,
     .term = 5,
     .seq = 8,
     .seq_term = 4,
     .body = {(const uint8_t *) "\0\0\0\0\0\0\0\10", 8}},
    {.type = RAFT_TIMEOUT_NOW, .sender = 1, .term = 5},
    {.type = RAFT_ASK, .sender = 2, .term = 5, .life = 6},
    {.type = RAFT_RECALL,
     .sender = 2,
     .term = 5,
     .silent = true,
     .empty = true,
     .seq = 9,
     .seq_term = 4,
     .life = 6,
     .granted_term = 5,
     .stood_term = 3,
     .acked_term = 4,
     .acked_seq = 7},
};
#define SAMPLE_COUNT (sizeof(samples) / sizeof(samples[0]))

static size_t encode(uint8_t out[256], const struct raft_message *message) {
    struct ord_writer writer = ord_writer_of(out, 256);
    raft_message_encode(&writer, &config, message);
    ord_write_span(&writer, message->body);
    assert_ok(ord_writer_finish(&writer));
    return writer.size;
}

static void message__is_read_back(void **state) {
    (void) state;
    set_up();
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        uint8_t bytes[256];
        size_t size = encode(bytes, &samples[i]);
        struct raft_message read;
        assert_ok(raft_message_decode(&read, &config, ord_span_of(bytes, size)));
        uint8_t again[256];
        assert_int_equal(encode(again, &read), size);
        assert_memory_equal(again, bytes, size);
        assert_true(size <= raft_message_size_max(&config) || samples[i].body.size == 0);
        assert_int_equal(raft_bulk(ord_span_of(bytes, size)), samples[i].has_entry);
    }
}

static void message__of_another_size_is_refused(void **state) {
    (void) state;
    set_up();
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        uint8_t bytes[256] = {0};
        size_t size = encode(bytes, &samples[i]);
        struct raft_message read;
        for (size_t s = 0; s <= size + 1; s++)
            if (s != size)
                assert_err(raft_message_decode(&read, &config, ord_span_of(bytes, s)), ORD_ERR_INVALID);
    }
}

/* What is taken has one encoding: any bytes that decode are what the decoded message encodes to. */
static void message__has_one_encoding(void **state) {
    (void) state;
    set_up();
    uint32_t taken = 0;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        uint8_t bytes[256];
        size_t size = encode(bytes, &samples[i]);
        for (size_t at = 0; at < size; at++)
            for (uint32_t bit = 0; bit < 8; bit++) {
                bytes[at] ^= (uint8_t) (1U << bit);
                struct raft_message read;
                if (raft_message_decode(&read, &config, ord_span_of(bytes, size)) == ORD_OK) {
                    uint8_t again[256];
                    assert_int_equal(encode(again, &read), size);
                    assert_memory_equal(again, bytes, size);
                    assert_true(read.sender < 3);
                    taken++;
                }
                bytes[at] ^= (uint8_t) (1U << bit);
            }
    }
    assert_true(taken > 100);
}

static void message__of_another_network_or_epoch_is_refused(void **state) {
    (void) state;
    set_up();
    uint8_t bytes[256];
    size_t size = encode(bytes, &samples[0]);
    struct raft_message read;
    config.epoch = 10;
    assert_err(raft_message_decode(&read, &config, ord_span_of(bytes, size)), ORD_ERR_MISMATCH);
    config.epoch = 9;
    config.genesis_hash.bytes[0] ^= 1;
    assert_err(raft_message_decode(&read, &config, ord_span_of(bytes, size)), ORD_ERR_MISMATCH);
}

/* A message that no replica sends: each has one field that contradicts the others. */
static void message__of_nonsense_is_refused(void **state) {
    (void) state;
    set_up();
    static const uint8_t bytes[20];
    const uint64_t high = RAFT_NUMBER_MAX + 1;
    const struct raft_message good[] = {
        {.type = RAFT_VOTE_REQUEST, .term = 5, .seq = 9, .seq_term = 4},
        {.type = RAFT_APPEND, .term = 5, .seq = 9, .seq_term = 4, .commit_seq = 8, .own_seq = 8},
        {.type = RAFT_APPEND, .term = 5, .seq = 9, .seq_term = 4, .has_entry = true, .entry_term = 4},
        {.type = RAFT_APPEND_ANSWER, .term = 5, .seq = 9},
        {.type = RAFT_APPEND_ANSWER, .term = 5, .rejected = true, .seq = 9, .hint_seq = 8, .seq_term = 4},
        {.type = RAFT_SNAPSHOT, .term = 5, .seq = 9, .seq_term = 4, .body = {bytes, 8}},
        {.type = RAFT_RECALL, .term = 5, .seq = 9, .seq_term = 4, .acked_term = 5, .acked_seq = RAFT_NUMBER_MAX},
    };
    const struct raft_message bad[] = {
        {.type = RAFT_VOTE_REQUEST, .term = 0},
        {.type = RAFT_VOTE_REQUEST, .term = 5, .seq = 9, .seq_term = 5}, /* its own term has no entry yet */
        {.type = RAFT_VOTE_REQUEST, .term = high, .seq = 9, .seq_term = 4},
        {.type = RAFT_VOTE_REQUEST, .term = 5, .seq = high, .seq_term = 4},
        {.type = RAFT_VOTE_REQUEST, .term = 5, .seq = 9, .seq_term = 0},
        {.type = RAFT_VOTE_REQUEST, .term = 5, .seq = 0, .seq_term = 4},
        {.type = RAFT_VOTE_REQUEST, .sender = 3, .term = 5, .seq = 9, .seq_term = 4},
        {.type = RAFT_APPEND, .term = 5, .seq = 9, .seq_term = 6},
        {.type = RAFT_APPEND, .term = 5, .seq = 9, .seq_term = 4, .commit_seq = 7, .own_seq = 8},
        {.type = RAFT_APPEND, .term = 5, .seq = 9, .seq_term = 4, .entry_term = 4},
        {.type = RAFT_APPEND, .term = 5, .seq = 9, .seq_term = 4, .body = {bytes, 1}},
        {.type = RAFT_APPEND, .term = 5, .seq = 9, .seq_term = 4, .has_entry = true, .entry_term = 3},
        {.type = RAFT_APPEND, .term = 5, .seq = 9, .seq_term = 4, .has_entry = true, .entry_term = 6},
        {.type = RAFT_APPEND, .term = 5, .has_entry = true, .entry_term = 0},
        {.type = RAFT_APPEND, .term = 5, .has_entry = true, .entry_term = 4, .own_seq = 1},
        {.type = RAFT_APPEND, .term = 5, .has_entry = true, .entry_term = 4, .body = {bytes, 17}},
        {.type = RAFT_APPEND_ANSWER, .term = 5, .seq = 9, .hint_seq = 1},
        {.type = RAFT_APPEND_ANSWER, .term = 5, .seq = 9, .seq_term = 4},
        {.type = RAFT_APPEND_ANSWER, .term = 5, .rejected = true, .seq = 9, .hint_seq = 9, .seq_term = 4},
        {.type = RAFT_APPEND_ANSWER, .term = 5, .rejected = true, .seq = 9, .hint_seq = 8},
        {.type = RAFT_APPEND_ANSWER, .term = 5, .rejected = true, .seq = 9, .seq_term = 4},
        {.type = RAFT_SNAPSHOT, .term = 5, .body = {bytes, 8}},
        {.type = RAFT_SNAPSHOT, .term = 5, .seq = 9, .body = {bytes, 8}},
        {.type = RAFT_SNAPSHOT, .term = 5, .seq = 9, .seq_term = 4},
        {.type = RAFT_SNAPSHOT, .term = 5, .seq = 9, .seq_term = 4, .body = {bytes, 9}},
        {.type = RAFT_RECALL, .term = 5, .granted_term = 6},
        {.type = RAFT_RECALL, .term = 5, .stood_term = 6},
        {.type = RAFT_RECALL, .term = 5, .acked_term = 6},
        {.type = RAFT_RECALL, .term = 5, .acked_term = 5, .acked_seq = high},
    };
    uint8_t encoded[256];
    struct raft_message read;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_ok(raft_message_decode(&read, &config, ord_span_of(encoded, encode(encoded, &good[i]))));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum ord_err err = raft_message_decode(&read, &config, ord_span_of(encoded, encode(encoded, &bad[i])));
        if (err != ORD_ERR_INVALID)
            fail_msg("message %zu: %s", i, ord_err_name(err));
    }
}

/* Flags that have no meaning, and types. */
static void message__with_unknown_bits_is_refused(void **state) {
    (void) state;
    set_up();
    static const size_t flags_at[] = {[RAFT_VOTE_REQUEST] = 29,
                                      [RAFT_VOTE_ANSWER] = 29,
                                      [RAFT_APPEND] = 61,
                                      [RAFT_APPEND_ANSWER] = 29,
                                      [RAFT_RECALL] = 37};
    uint8_t bytes[256];
    struct raft_message read;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        size_t size = encode(bytes, &samples[i]);
        size_t at = samples[i].type <= RAFT_RECALL ? flags_at[samples[i].type] : 0;
        for (uint32_t bit = samples[i].type == RAFT_APPEND ? 1 : 2; bit < 8 && at > 0; bit++) {
            bytes[at] ^= (uint8_t) (1U << bit);
            assert_err(raft_message_decode(&read, &config, ord_span_of(bytes, size)), ORD_ERR_INVALID);
            bytes[at] ^= (uint8_t) (1U << bit);
        }
        bytes[0] = 0;
        assert_err(raft_message_decode(&read, &config, ord_span_of(bytes, size)), ORD_ERR_INVALID);
        bytes[0] = RAFT_RECALL + 1;
        assert_err(raft_message_decode(&read, &config, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    }
}

static void door__takes_a_message_from_its_sender_alone(void **state) {
    (void) state;
    set_up();
    uint8_t bytes[256];
    size_t size = encode(bytes, &samples[0]);
    struct ord_verified verified;
    assert_ok(raft_authenticate(&verified, &config, 1, ord_span_of(bytes, size)));
    assert_int_equal(verified.type, RAFT_VOTE_REQUEST);
    assert_err(raft_authenticate(&verified, &config, 2, ord_span_of(bytes, size)), ORD_ERR_FORBIDDEN);
    assert_err(raft_authenticate(&verified, &config, 1, ord_span_of(bytes, size - 1)), ORD_ERR_INVALID);
    config.self = 1; /* a link to itself */
    assert_err(raft_authenticate(&verified, &config, 1, ord_span_of(bytes, size)), ORD_ERR_FORBIDDEN);
}

static void door__checks_the_certificate_of_a_point(void **state) {
    (void) state;
    set_up();
    uint8_t bytes[256];
    struct ord_verified verified;
    struct raft_message message = samples[6];
    size_t size = encode(bytes, &message);
    assert_ok(raft_authenticate(&verified, &config, 1, ord_span_of(bytes, size)));
    message.seq = 7;
    size = encode(bytes, &message);
    assert_err(raft_authenticate(&verified, &config, 1, ord_span_of(bytes, size)), ORD_ERR_MISMATCH);
    message.body.size = 7; /* no certificate */
    size = encode(bytes, &message);
    assert_err(raft_authenticate(&verified, &config, 1, ord_span_of(bytes, size)), ORD_ERR_INVALID);
}

/* Only a point has signatures: one for each that its bytes have room for, at most. */
static void cost__is_that_of_a_certificate(void **state) {
    (void) state;
    set_up();
    uint8_t bytes[256] = {0};
    assert_int_equal(raft_cost(ord_span_of(bytes, 0)), 0);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        size_t size = encode(bytes, &samples[i]);
        assert_int_equal(raft_cost(ord_span_of(bytes, size)), samples[i].type == RAFT_SNAPSHOT ? 1 : 0);
    }
    bytes[0] = RAFT_SNAPSHOT;
    assert_int_equal(raft_cost(ord_span_of(bytes, 3 * ORD_SIGNATURE_SIZE)), 4);
    bytes[0] = RAFT_APPEND;
    assert_false(raft_bulk(ord_span_of(bytes, RAFT_HEADER_SIZE + 32))); /* too short to have an entry */
}

static void record__is_read_back_and_bound_to_its_epoch(void **state) {
    (void) state;
    uint8_t bytes[RAFT_BINDINGS_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    const struct raft_hard hard = {
        .term = 5, .vote = 2, .spent = true, .silent = true, .bound_term = 6, .end_term = 4, .end_seq = 90};
    raft_hard_encode(&writer, 3, &hard);
    assert_int_equal(writer.size, RAFT_HARD_SIZE);
    struct raft_hard read;
    assert_ok(raft_hard_decode(&read, 3, 3, ord_writer_span(&writer)));
    assert_true(read.term == 5 && read.vote == 2 && read.spent && read.silent && read.bound_term == 6 &&
                read.end_term == 4 && read.end_seq == 90);
    assert_err(raft_hard_decode(&read, 4, 3, ord_writer_span(&writer)), ORD_ERR_CORRUPT);
    assert_err(raft_hard_decode(&read, 3, 2, ord_writer_span(&writer)), ORD_ERR_CORRUPT);
    writer = ord_writer_of(bytes, sizeof(bytes));
    struct raft_bindings bindings = {.of = {[1] = {.granted_term = 5, .acked_term = 4, .acked_seq = 80}}};
    raft_bindings_encode(&writer, 3, 3, &bindings);
    struct raft_bindings out;
    assert_ok(raft_bindings_decode(&out, 3, 3, ord_writer_span(&writer)));
    assert_memory_equal(&out, &bindings, sizeof(out));
    assert_err(raft_bindings_decode(&out, 3, 5, ord_writer_span(&writer)), ORD_ERR_CORRUPT);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(message__is_read_back),
    cmocka_unit_test(message__of_another_size_is_refused),
    cmocka_unit_test(message__has_one_encoding),
    cmocka_unit_test(message__of_another_network_or_epoch_is_refused),
    cmocka_unit_test(message__of_nonsense_is_refused),
    cmocka_unit_test(message__with_unknown_bits_is_refused),
    cmocka_unit_test(door__takes_a_message_from_its_sender_alone),
    cmocka_unit_test(door__checks_the_certificate_of_a_point),
    cmocka_unit_test(cost__is_that_of_a_certificate),
    cmocka_unit_test(record__is_read_back_and_bound_to_its_epoch),
};
TEST_CASES(cases);
