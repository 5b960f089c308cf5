/*
 * The replica's small records survive a round trip, and anything else fails to decode.
 */
#include "replica/records.h"

#include <string.h>

#include "tests/support/test_main.h"

static void records__open_block_round_trip(void **state) {
    (void) state;
    const struct channel_entry entries[] = {{1, 2, 3, 4}, {5, 6, UINT64_MAX, 8}};
    const struct channel_open_block open = {.height = 9, .envelope_count = 2, .entries = entries};
    uint8_t bytes[RECORD_OPEN_SIZE(2)];
    assert_int_equal(record_open_encode(bytes, &open), sizeof(bytes));
    struct record_open decoded;
    assert_ok(record_open_decode(&decoded, ord_span_of(bytes, sizeof(bytes))));
    assert_int_equal(decoded.height, 9);
    assert_int_equal(decoded.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct channel_entry entry;
        record_open_entry(&decoded, &entry, i);
        assert_int_equal(entry.client_index, entries[i].client_index);
        assert_int_equal(entry.batch_index, entries[i].batch_index);
        assert_true(entry.sequence == entries[i].sequence);
        assert_int_equal(entry.seq, entries[i].seq);
    }
    for (size_t size = 0; size < sizeof(bytes); size++)
        assert_err(record_open_decode(&decoded, ord_span_of(bytes, size)), ORD_ERR_CORRUPT);
}

static void records__statement_and_tail_round_trip(void **state) {
    (void) state;
    struct channel_statement statement = {.epoch = 1, .seq = 2, .height = 3};
    memset(statement.header_hash.bytes, 4, 32);
    memset(statement.state_digest.bytes, 5, 32);
    uint8_t bytes[RECORD_STATEMENT_SIZE];
    record_statement_encode(bytes, &statement);
    struct channel_statement decoded;
    assert_ok(record_statement_decode(&decoded, ord_span_of(bytes, sizeof(bytes))));
    assert_true(channel_statement_equal(&statement, &decoded));
    assert_err(record_statement_decode(&decoded, ord_span_of(bytes, sizeof(bytes) - 1)), ORD_ERR_CORRUPT);

    uint8_t tail[RECORD_TAIL_HEADER + 4];
    struct record_open open;
    record_tail_encode(tail, 7, 1, ord_span_of("data", 4));
    assert_ok(record_tail_decode(&open, ord_span_of(tail, sizeof(tail))));
    assert_int_equal(open.height, 7);
    assert_int_equal(open.count, 1);
    assert_true(ord_span_equal(open.rest, ord_span_of("data", 4)));
    assert_err(record_tail_decode(&open, ord_span_of(tail, 11)), ORD_ERR_CORRUPT);
}

static void records__owner_round_trip(void **state) {
    (void) state;
    uint8_t bytes[RECORD_REPLICA_SIZE + 1] = {0};
    ord_node_id owner = 0;
    record_replica_encode(bytes, 0x01020304);
    assert_memory_equal(bytes, "\x01\x02\x03\x04", 4);
    assert_ok(record_replica_decode(&owner, ord_span_of(bytes, RECORD_REPLICA_SIZE)));
    assert_int_equal(owner, 0x01020304);
    assert_err(record_replica_decode(&owner, ord_span_of(bytes, RECORD_REPLICA_SIZE - 1)), ORD_ERR_CORRUPT);
    assert_err(record_replica_decode(&owner, ord_span_of(bytes, RECORD_REPLICA_SIZE + 1)), ORD_ERR_CORRUPT);
}

/* Views may end on schedule or not: a point comes back, and a byte less or more is refused. */
static void records__point_round_trip(void **state) {
    (void) state;
    for (uint32_t decisions = 0; decisions < 2; decisions++) {
        const struct channel_config config = {.replica_count = 4, .decisions_per_leader = decisions};
        struct attest_point point = {.statement = {.epoch = 1, .seq = 21, .height = 3},
                                     .tail_size = (uint64_t) 1 << 40,
                                     .progress = {.bytes_since_point = 77}};
        if (decisions > 0) {
            point.progress.view = 9;
            point.progress.first_seq = 20;
            point.progress.failed_count = 1;
            point.progress.failed[0] = (struct channel_failed) {.node = 3, .failures = 2, .terms = 1, .passes = 2};
        }
        struct attest_point decoded;
        memset(point.clients_root.bytes, 6, 32);
        memset(point.statement.state_digest.bytes, 7, 32);
        uint8_t bytes[2 * RECORD_POINT_MAX] = {0};
        size_t point_size = record_point_encode(bytes, &config, &point);
        assert_int_equal(point_size, decisions == 0 ? 136 : 136 + 17 + 7);
        assert_ok(record_point_decode(&decoded, &config, ord_span_of(bytes, point_size)));
        assert_true(channel_statement_equal(&decoded.statement, &point.statement));
        assert_true(decoded.tail_size == point.tail_size);
        assert_true(decoded.progress.bytes_since_point == 77);
        assert_int_equal(decoded.progress.view, decisions == 0 ? 0 : 9);
        assert_int_equal(channel_progress_passes(&decoded.progress), decisions == 0 ? 0 : ord_replica_bit(3));
        assert_true(ord_hash_equal(&decoded.clients_root, &point.clients_root));
        for (size_t size = 0; size <= sizeof(bytes); size++)
            if (size != point_size)
                assert_err(record_point_decode(&decoded, &config, ord_span_of(bytes, size)), ORD_ERR_CORRUPT);
        point.statement.seq = 0;
        point_size = record_point_encode(bytes, &config, &point);
        assert_err(record_point_decode(&decoded, &config, ord_span_of(bytes, point_size)), ORD_ERR_CORRUPT);
    }

    char name[RECORD_POINT_NAME_SIZE];
    record_point_name(name, 0);
    assert_string_equal(name, "point.00000");
    record_point_name(name, RECORD_POINT_SLOTS_MAX - 1);
    assert_string_equal(name, "point.65536");
    assert_int_equal(record_point_slots(256), 257);
}

static void records__evidence_has_room_for_everybody(void **state) {
    (void) state;
    char name[RECORD_EVIDENCE_SIZE];
    assert_int_equal(record_evidence_slots(1), RECORD_EVIDENCE_SLOTS);
    for (uint32_t n = 1; n <= ORD_REPLICA_MAX; n++) {
        assert_in_range(record_evidence_slots(n), 4, RECORD_EVIDENCE_SLOTS);
        assert_in_range(n * record_evidence_slots(n), 1, RECORD_EVIDENCE_TOTAL);
    }
    record_evidence_name(name, 0, 0);
    assert_string_equal(name, "evidence.00.00");
    record_evidence_name(name, 63, 15);
    assert_string_equal(name, "evidence.63.15");
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(records__point_round_trip),
    cmocka_unit_test(records__owner_round_trip),
    cmocka_unit_test(records__open_block_round_trip),
    cmocka_unit_test(records__statement_and_tail_round_trip),
    cmocka_unit_test(records__evidence_has_room_for_everybody),
};
TEST_CASES(cases);
