/*
 * Shared bytes.
 */
#include "sim/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"

void *sim_alloc(size_t size) {
    void *memory = calloc(1, size);
    ORD_ASSERT(memory != NULL);
    return memory;
}

struct ord_writer sim_writer(size_t capacity) {
    void *memory = malloc(capacity);
    ORD_ASSERT(memory != NULL);
    return ord_writer_of(memory, capacity);
}

void *sim_grow(void *items, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    items = realloc(items, *capacity * size);
    ORD_ASSERT(items != NULL);
    return items;
}

struct sim_buffer *sim_buffer_join(const struct ord_span *parts, size_t part_count) {
    size_t size = 0;
    for (size_t i = 0; i < part_count; i++)
        size += parts[i].size;
    struct sim_buffer *buffer = malloc(sizeof(*buffer) + size);
    ORD_ASSERT(buffer != NULL);
    buffer->holders = 1;
    buffer->size = 0;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].size > 0)
            memcpy(buffer->data + buffer->size, parts[i].data, parts[i].size);
        buffer->size += parts[i].size;
    }
    return buffer;
}

struct sim_buffer *sim_buffer_create(struct ord_span bytes) {
    return sim_buffer_join(&bytes, 1);
}

struct sim_buffer *sim_buffer_written(struct ord_writer *writer) {
    ORD_ASSERT(ord_writer_finish(writer) == ORD_OK);
    struct sim_buffer *buffer = sim_buffer_create(ord_writer_span(writer));
    free(writer->data);
    return buffer;
}

struct sim_buffer *sim_buffer_hold(struct sim_buffer *buffer) {
    if (buffer != NULL)
        buffer->holders++;
    return buffer;
}

void sim_buffer_release(struct sim_buffer *buffer) {
    if (buffer != NULL && --buffer->holders == 0)
        free(buffer);
}

uint64_t sim_digest(uint64_t seed, struct ord_span bytes) {
    uint64_t x = seed ^ bytes.size * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = 0;
    for (; i + 8 <= bytes.size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + i, 8);
        x = (x ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
        x ^= x >> 29;
    }
    uint64_t rest = 0;
    if (i < bytes.size)
        memcpy(&rest, bytes.data + i, bytes.size - i);
    x = (x ^ rest) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 32;
}
