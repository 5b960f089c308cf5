/*
 * One buffer for the bodies of all instances in flight. A body goes into the first gap that is large enough. If there
 * is none, the bodies are moved together, except those that are lent out. So fragmentation never keeps a body out. In a
 * ring, one body at the tail that waits for an earlier seq could keep that very seq out for ever.
 */
#ifndef ORDAIN_BFT_BODY_STORE_H
#define ORDAIN_BFT_BODY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bft_body {
    size_t offset;
    size_t size;
    /* The owner's pointer to the body. It is updated when the body moves. */
    uint8_t **handle;
    /* The node holds the body's address, so the body stays where it is. */
    bool lent;
};

struct bft_body_store {
    uint8_t *data;
    size_t capacity;
    struct bft_body *bodies; /* by rising offset */
    size_t count;
    size_t count_max;
};

void bft_bodies_init(struct bft_body_store *store, void *memory, size_t capacity, struct bft_body *bodies,
                     size_t count_max);
/*
 * Makes room for `size` bytes; `*handle` points to it until bft_bodies_free. May move other bodies and updates their
 * handles. False: there is no room. Certain to succeed if nothing is lent, there are fewer than count_max bodies, and
 * the sizes of all bodies with this one are at most the capacity.
 */
bool bft_bodies_alloc(struct bft_body_store *store, uint8_t **handle, size_t size);
/* The body's bytes stay as they are until the next bft_bodies_alloc. */
void bft_bodies_free(struct bft_body_store *store, const uint8_t *data);
void bft_bodies_lend(struct bft_body_store *store, const uint8_t *data, bool lent);

#endif
