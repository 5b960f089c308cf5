/*
 * Bytes that several holders share: a message on its way to many, or a record on a disk and in its images. They do not
 * change once they are shared.
 */
#ifndef ORDAIN_SIM_BUFFER_H
#define ORDAIN_SIM_BUFFER_H

#include "core/codec.h"
#include "core/types.h"

struct sim_buffer {
    uint32_t holders;
    size_t size;
    uint8_t data[];
};

/*
 * Gives zeroed memory. It never fails: without memory the program ends, because such a simulation would show nothing.
 */
void *sim_alloc(size_t size);
/* Gives a writer into uninitialised memory. The caller frees its data. */
struct ord_writer sim_writer(size_t capacity);
/* Makes room for one more item of `size` bytes behind `count`. Gives the items' place. */
void *sim_grow(void *items, size_t *capacity, size_t count, size_t size);

/* The caller holds the new buffer. */
struct sim_buffer *sim_buffer_create(struct ord_span bytes);
struct sim_buffer *sim_buffer_join(const struct ord_span *parts, size_t part_count);
/* What was written into memory of sim_writer, which this frees. */
struct sim_buffer *sim_buffer_written(struct ord_writer *writer);
struct sim_buffer *sim_buffer_hold(struct sim_buffer *buffer);
/* `buffer` may be NULL. */
void sim_buffer_release(struct sim_buffer *buffer);

static inline struct ord_span sim_buffer_span(const struct sim_buffer *buffer) {
    return buffer == NULL ? ord_span_of(NULL, 0) : ord_span_of(buffer->data, buffer->size);
}

/* A fast hash for traces and tables, with no claim to security. */
uint64_t sim_digest(uint64_t seed, struct ord_span bytes);

#endif
