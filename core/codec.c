/*
 * The bounded reader and writer.
 */
#include "core/codec.h"

#include <string.h>

uint32_t ord_load_u32(const uint8_t *data) {
    return (uint32_t) data[0] << 24 | (uint32_t) data[1] << 16 | (uint32_t) data[2] << 8 | (uint32_t) data[3];
}

uint64_t ord_load_u64(const uint8_t *data) {
    return (uint64_t) ord_load_u32(data) << 32 | ord_load_u32(data + 4);
}

void ord_store_u32(uint8_t *data, uint32_t value) {
    data[0] = (uint8_t) (value >> 24);
    data[1] = (uint8_t) (value >> 16);
    data[2] = (uint8_t) (value >> 8);
    data[3] = (uint8_t) value;
}

void ord_store_u64(uint8_t *data, uint64_t value) {
    ord_store_u32(data, (uint32_t) (value >> 32));
    ord_store_u32(data + 4, (uint32_t) value);
}

struct ord_reader ord_reader_of(struct ord_span span) {
    return (struct ord_reader) {.data = span.data, .size = span.size};
}

/* Consumes `size` bytes. When fewer are left, marks the reader as failed and returns NULL. */
static const uint8_t *take(struct ord_reader *reader, size_t size) {
    if (reader->failed || size > reader->size - reader->position) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *data = reader->data + reader->position;
    reader->position += size;
    return data;
}

uint8_t ord_read_u8(struct ord_reader *reader) {
    const uint8_t *data = take(reader, 1);
    return data == NULL ? 0 : data[0];
}

uint16_t ord_read_u16(struct ord_reader *reader) {
    const uint8_t *data = take(reader, 2);
    if (data == NULL)
        return 0;
    return (uint16_t) ((uint32_t) data[0] << 8 | (uint32_t) data[1]);
}

uint32_t ord_read_u32(struct ord_reader *reader) {
    const uint8_t *data = take(reader, 4);
    return data == NULL ? 0 : ord_load_u32(data);
}

uint64_t ord_read_u64(struct ord_reader *reader) {
    const uint8_t *data = take(reader, 8);
    return data == NULL ? 0 : ord_load_u64(data);
}

void ord_read_bytes(struct ord_reader *reader, void *out, size_t size) {
    if (size == 0)
        return;
    const uint8_t *data = take(reader, size);
    if (data == NULL)
        memset(out, 0, size);
    else
        memcpy(out, data, size);
}

void ord_read_hash(struct ord_reader *reader, struct ord_hash *out) {
    ord_read_bytes(reader, out->bytes, ORD_HASH_SIZE);
}

void ord_read_signature(struct ord_reader *reader, struct ord_signature *out) {
    ord_read_bytes(reader, out->bytes, ORD_SIGNATURE_SIZE);
}

struct ord_span ord_read_span(struct ord_reader *reader, size_t size) {
    if (size == 0)
        return ord_span_of(NULL, 0);
    const uint8_t *data = take(reader, size);
    return data == NULL ? ord_span_of(NULL, 0) : ord_span_of(data, size);
}

struct ord_span ord_read_string(struct ord_reader *reader, size_t size_max) {
    uint32_t size = ord_read_u32(reader);
    if (size > size_max) {
        reader->failed = true;
        return ord_span_of(NULL, 0);
    }
    return ord_read_span(reader, size);
}

size_t ord_reader_left(const struct ord_reader *reader) {
    return reader->failed ? 0 : reader->size - reader->position;
}

enum ord_err ord_reader_finish(const struct ord_reader *reader) {
    return reader->failed || reader->position != reader->size ? ORD_ERR_INVALID : ORD_OK;
}

struct ord_writer ord_writer_of(void *data, size_t capacity) {
    return (struct ord_writer) {.data = data, .capacity = capacity};
}

/* Reserves `size` bytes. When they do not fit, marks the writer as failed and returns NULL. */
static uint8_t *room(struct ord_writer *writer, size_t size) {
    if (writer->failed || size > writer->capacity - writer->size) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *data = writer->data + writer->size;
    writer->size += size;
    return data;
}

void ord_write_u8(struct ord_writer *writer, uint8_t value) {
    uint8_t *data = room(writer, 1);
    if (data != NULL)
        data[0] = value;
}

void ord_write_u16(struct ord_writer *writer, uint16_t value) {
    uint8_t *data = room(writer, 2);
    if (data == NULL)
        return;
    data[0] = (uint8_t) (value >> 8);
    data[1] = (uint8_t) value;
}

void ord_write_u32(struct ord_writer *writer, uint32_t value) {
    uint8_t *data = room(writer, 4);
    if (data != NULL)
        ord_store_u32(data, value);
}

void ord_write_u64(struct ord_writer *writer, uint64_t value) {
    uint8_t *data = room(writer, 8);
    if (data != NULL)
        ord_store_u64(data, value);
}

void ord_write_bytes(struct ord_writer *writer, const void *data, size_t size) {
    if (size == 0)
        return;
    uint8_t *out = room(writer, size);
    if (out != NULL)
        memcpy(out, data, size);
}

void ord_write_hash(struct ord_writer *writer, const struct ord_hash *hash) {
    ord_write_bytes(writer, hash->bytes, ORD_HASH_SIZE);
}

void ord_write_signature(struct ord_writer *writer, const struct ord_signature *signature) {
    ord_write_bytes(writer, signature->bytes, ORD_SIGNATURE_SIZE);
}

void ord_write_span(struct ord_writer *writer, struct ord_span span) {
    ord_write_bytes(writer, span.data, span.size);
}

void ord_write_string(struct ord_writer *writer, struct ord_span span) {
    if (span.size > UINT32_MAX) {
        writer->failed = true;
        return;
    }
    ord_write_u32(writer, (uint32_t) span.size);
    ord_write_span(writer, span);
}

enum ord_err ord_writer_finish(const struct ord_writer *writer) {
    return writer->failed ? ORD_ERR_NO_SPACE : ORD_OK;
}

struct ord_span ord_writer_span(const struct ord_writer *writer) {
    return ord_span_of(writer->data, writer->size);
}
