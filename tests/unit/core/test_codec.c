/*
 * The bounded reader and writer.
 */
#include "core/codec.h"

#include <string.h>

#include "tests/support/test_main.h"

static void codec__reads_what_it_wrote(void **state) {
    (void) state;
    uint8_t buffer[128];
    struct ord_writer writer = ord_writer_of(buffer, sizeof(buffer));
    ord_write_u8(&writer, 0xab);
    ord_write_u16(&writer, 0x0102);
    ord_write_u32(&writer, 0x03040506);
    ord_write_u64(&writer, 0x0708090a0b0c0d0e);
    ord_write_string(&writer, ord_span_of("hello", 5));
    ord_write_bytes(&writer, "xy", 2);
    assert_ok(ord_writer_finish(&writer));
    assert_int_equal(writer.size, 1 + 2 + 4 + 8 + 4 + 5 + 2);
    assert_memory_equal(buffer + 1, "\x01\x02\x03\x04\x05\x06", 6); /* big-endian */

    struct ord_reader reader = ord_reader_of(ord_writer_span(&writer));
    assert_int_equal(ord_read_u8(&reader), 0xab);
    assert_int_equal(ord_read_u16(&reader), 0x0102);
    assert_int_equal(ord_read_u32(&reader), 0x03040506);
    assert_true(ord_read_u64(&reader) == 0x0708090a0b0c0d0e);
    struct ord_span string = ord_read_string(&reader, 5);
    assert_true(ord_span_equal(string, ord_span_of("hello", 5)));
    assert_int_equal(ord_reader_left(&reader), 2);
    assert_err(ord_reader_finish(&reader), ORD_ERR_INVALID); /* two bytes are left over */
    (void) ord_read_span(&reader, 2);
    assert_ok(ord_reader_finish(&reader));
}

static void reader__failure_sticks_and_gives_zeros(void **state) {
    (void) state;
    const uint8_t bytes[] = {1, 2, 3};
    struct ord_reader reader = ord_reader_of(ord_span_of(bytes, sizeof(bytes)));
    assert_int_equal(ord_read_u32(&reader), 0);
    /* Three bytes are unread, but the failure sticks. */
    assert_int_equal(ord_read_u8(&reader), 0);
    assert_int_equal(ord_reader_left(&reader), 0);
    struct ord_hash hash;
    memset(&hash, 0xff, sizeof(hash));
    ord_read_hash(&reader, &hash);
    assert_true(ord_hash_is_zero(&hash));
    assert_err(ord_reader_finish(&reader), ORD_ERR_INVALID);
}

/* Row T11: a length of 2^32 - 1 is refused before anything is read. */
static void reader__refuses_a_length_beyond_bound_or_input(void **state) {
    (void) state;
    const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 'a', 'b'};
    struct ord_reader reader = ord_reader_of(ord_span_of(bytes, sizeof(bytes)));
    assert_int_equal(ord_read_string(&reader, SIZE_MAX).size, 0);
    assert_true(reader.failed);
    const uint8_t three[] = {0, 0, 0, 3, 'a', 'b', 'c'};
    reader = ord_reader_of(ord_span_of(three, sizeof(three)));
    assert_int_equal(ord_read_string(&reader, 2).size, 0);
    assert_true(reader.failed);
}

static void reader__empty_input(void **state) {
    (void) state;
    struct ord_reader reader = ord_reader_of(ord_span_of(NULL, 0));
    assert_ok(ord_reader_finish(&reader));
    assert_int_equal(ord_read_u8(&reader), 0);
    assert_err(ord_reader_finish(&reader), ORD_ERR_INVALID);
}

static void writer__stops_at_capacity(void **state) {
    (void) state;
    uint8_t buffer[6] = {0};
    struct ord_writer writer = ord_writer_of(buffer, 5);
    ord_write_u32(&writer, 0x01020304);
    ord_write_u16(&writer, 0x0506);
    /* One byte would fit, but the failure sticks. */
    ord_write_u8(&writer, 7);
    assert_err(ord_writer_finish(&writer), ORD_ERR_NO_SPACE);
    assert_int_equal(writer.size, 4);
    assert_int_equal(buffer[4], 0);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(codec__reads_what_it_wrote),
    cmocka_unit_test(reader__failure_sticks_and_gives_zeros),
    cmocka_unit_test(reader__refuses_a_length_beyond_bound_or_input),
    cmocka_unit_test(reader__empty_input),
    cmocka_unit_test(writer__stops_at_capacity),
};
TEST_CASES(cases);
