/*
 * Large envelopes that were refused by rate. Small ones may keep more than half of the bound in use for ever, so a
 * large one would never find room. Therefore the sources of large envelopes have places in a queue: the first of them
 * gets one envelope in, whatever else is here, once it has asked for request_timeout_ms and none is here that came in
 * this way.
 *
 * A source, not a client, has the place, because anybody can send a forgery under a client's name. A source that does
 * not ask again in time loses its place. One whose envelope came in goes to the end of the queue. So a source that
 * repeats its request waits for at most one envelope of each source before it.
 *
 * What a refusal costs does not depend on how many sources wait: a place is found by its source, and the places that
 * are lost are the first of those sorted by when they were last asked for.
 */
#ifndef ORDAIN_REPLICA_LARGE_H
#define ORDAIN_REPLICA_LARGE_H

#include "core/err.h"
#include "core/types.h"

struct replica;

/* The lists in which each place stands. */
enum large_order {
    LARGE_QUEUE, /* by when the sources first asked */
    LARGE_ASKED, /* by when they last asked */
    LARGE_ORDERS
};

/* Indexes of places + 1; 0: none. */
struct large_link {
    uint32_t before;
    uint32_t after;
};

struct large_place {
    uint64_t source;
    /* When it first asked. */
    uint64_t since_ms;
    /* When it last asked. */
    uint64_t asked_ms;
    struct large_link links[LARGE_ORDERS];
    /* The next place of its bucket, or the next free one. Index + 1; 0: none. */
    uint32_t next;
};

struct large {
    struct large_place *places;
    uint32_t places_max;
    uint32_t count;
    /* By the hash of the source: the first place. Index + 1; 0: none. */
    uint32_t *buckets;
    uint32_t bucket_mask;
    /* The first free place. Index + 1; 0: none. */
    uint32_t free;
    /* The last place (`before`) and the first (`after`) of each list. */
    struct large_link ends[LARGE_ORDERS];
};

ORD_MUST_USE enum ord_err large_init(struct replica *replica);
void large_deinit(struct replica *replica);
/*
 * `source` asks for a large envelope that was refused by rate. True: it may come in now, and the source has no place
 * any more.
 */
ORD_MUST_USE bool large_may(struct replica *replica, uint64_t source);
/* A large envelope of this source came in without its place. */
void large_leave(struct replica *replica, uint64_t source);

#endif
