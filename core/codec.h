/*
 * Bounded reader and writer for the fixed-width encodings of Ordain: big-endian integers, raw bytes, and byte strings
 * with a 32-bit length. Errors stick: after the first failure every read gives zeros and every write does nothing. A
 * codec therefore needs only one check, at its end.
 */
#ifndef ORDAIN_CORE_CODEC_H
#define ORDAIN_CORE_CODEC_H

#include "core/err.h"
#include "core/types.h"

struct ord_reader {
    const uint8_t *data;
    size_t size;
    size_t position; /* <= size */
    bool failed;
};

struct ord_writer {
    uint8_t *data;
    size_t capacity;
    size_t size; /* <= capacity */
    bool failed;
};

struct ord_reader ord_reader_of(struct ord_span span);
uint8_t ord_read_u8(struct ord_reader *reader);
uint16_t ord_read_u16(struct ord_reader *reader);
uint32_t ord_read_u32(struct ord_reader *reader);
uint64_t ord_read_u64(struct ord_reader *reader);
/* Copies `size` bytes to `out`. On failure `out` is filled with zeros. */
void ord_read_bytes(struct ord_reader *reader, void *out, size_t size);
void ord_read_hash(struct ord_reader *reader, struct ord_hash *out);
void ord_read_signature(struct ord_reader *reader, struct ord_signature *out);
/* Borrows `size` bytes of the input. On failure the span is empty. */
struct ord_span ord_read_span(struct ord_reader *reader, size_t size);
/* Reads a u32 length and borrows that many bytes of the input. Fails when the length is over `size_max`. */
struct ord_span ord_read_string(struct ord_reader *reader, size_t size_max);
/* Bytes that are not read yet; 0 after a failure. */
size_t ord_reader_left(const struct ord_reader *reader);
/*
 * INVALID when a read failed or bytes are left over. Trailing bytes are an error because each meaning has exactly one
 * encoding.
 */
ORD_MUST_USE enum ord_err ord_reader_finish(const struct ord_reader *reader);

struct ord_writer ord_writer_of(void *data, size_t capacity);
void ord_write_u8(struct ord_writer *writer, uint8_t value);
void ord_write_u16(struct ord_writer *writer, uint16_t value);
void ord_write_u32(struct ord_writer *writer, uint32_t value);
void ord_write_u64(struct ord_writer *writer, uint64_t value);
void ord_write_bytes(struct ord_writer *writer, const void *data, size_t size);
void ord_write_hash(struct ord_writer *writer, const struct ord_hash *hash);
void ord_write_signature(struct ord_writer *writer, const struct ord_signature *signature);
void ord_write_span(struct ord_writer *writer, struct ord_span span);
void ord_write_string(struct ord_writer *writer, struct ord_span span);
/* NO_SPACE when something did not fit. */
ORD_MUST_USE enum ord_err ord_writer_finish(const struct ord_writer *writer);
struct ord_span ord_writer_span(const struct ord_writer *writer);

/* Big-endian loads and stores on raw bytes, for fixed offsets. */
uint32_t ord_load_u32(const uint8_t *data);
uint64_t ord_load_u64(const uint8_t *data);
void ord_store_u32(uint8_t *data, uint32_t value);
void ord_store_u64(uint8_t *data, uint64_t value);

#endif
