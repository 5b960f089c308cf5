/*
 * Lays out arrays in one piece of the caller's memory. With a base it returns pointers; without one it only counts
 * bytes. Private to channel/.
 */
#ifndef ORDAIN_CHANNEL_LAYOUT_H
#define ORDAIN_CHANNEL_LAYOUT_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

struct layout {
    uint8_t *base; /* aligned as max_align_t; NULL: only count */
    size_t offset;
};

static inline void *layout_array(struct layout *layout, size_t count, size_t size) {
    const size_t mask = alignof(max_align_t) - 1;
    size_t start = (layout->offset + mask) & ~mask;
    layout->offset = start + count * size;
    return layout->base == NULL ? NULL : layout->base + start;
}

#endif
