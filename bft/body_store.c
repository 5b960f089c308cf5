/*
 * The allocator of batch bodies: a table of the bodies in use, by offset. There are at most as many bodies as the
 * window has seqs, so a scan is cheap compared with hashing a body.
 */
#include "bft/body_store.h"

#include <string.h>

#include "core/assert.h"

void bft_bodies_init(struct bft_body_store *store, void *memory, size_t capacity, struct bft_body *bodies,
                     size_t count_max) {
    *store = (struct bft_body_store) {.data = memory, .capacity = capacity, .bodies = bodies, .count_max = count_max};
}

/* Finds the first gap of at least `size` bytes: its offset, and the index of the body behind it. */
static bool find_gap(const struct bft_body_store *store, size_t size, size_t *offset, size_t *index) {
    size_t end = 0;
    for (size_t i = 0; i <= store->count; i++) {
        size_t limit = i < store->count ? store->bodies[i].offset : store->capacity;
        if (size <= limit - end) {
            *offset = end;
            *index = i;
            return true;
        }
        if (i < store->count)
            end = store->bodies[i].offset + store->bodies[i].size;
    }
    return false;
}

static void compact(struct bft_body_store *store) {
    size_t end = 0;
    for (size_t i = 0; i < store->count; i++) {
        struct bft_body *body = &store->bodies[i];
        if (!body->lent && body->offset > end) {
            memmove(store->data + end, store->data + body->offset, body->size);
            body->offset = end;
            *body->handle = store->data + end;
        }
        end = body->offset + body->size;
    }
}

bool bft_bodies_alloc(struct bft_body_store *store, uint8_t **handle, size_t size) {
    size_t offset;
    size_t index;
    if (store->count == store->count_max || size == 0 || size > store->capacity)
        return false;
    if (!find_gap(store, size, &offset, &index)) {
        compact(store);
        if (!find_gap(store, size, &offset, &index))
            return false;
    }
    struct bft_body *body = &store->bodies[index];
    memmove(body + 1, body, (store->count - index) * sizeof(*body));
    *body = (struct bft_body) {.offset = offset, .size = size, .handle = handle};
    store->count++;
    *handle = store->data + offset;
    return true;
}

static size_t index_of(const struct bft_body_store *store, const uint8_t *data) {
    size_t offset = (size_t) (data - store->data);
    size_t low = 0;
    size_t high = store->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (store->bodies[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    ORD_ASSERT(low < store->count && store->bodies[low].offset == offset);
    return low;
}

void bft_bodies_free(struct bft_body_store *store, const uint8_t *data) {
    size_t index = index_of(store, data);
    store->count--;
    memmove(&store->bodies[index], &store->bodies[index + 1], (store->count - index) * sizeof(*store->bodies));
}

void bft_bodies_lend(struct bft_body_store *store, const uint8_t *data, bool lent) {
    store->bodies[index_of(store, data)].lent = lent;
}
