/*
 * Counters of the process around a replica, for status. One thread or several write them, and the loop reads them.
 * replica/replica.h has the replica's own counters.
 */
#ifndef ORDAIN_NODE_COUNTERS_H
#define ORDAIN_NODE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

typedef atomic_uint_fast64_t counter;

#define NODE_COUNTERS(X)                                                                                               \
    X(frames_sent)                                                                                                     \
    X(frame_bytes_sent)                                                                                                \
    X(frames_received)                                                                                                 \
    X(frames_refused)                                                                                                  \
    X(frames_late)                                                                                                     \
    X(votes_over_quota)                                                                                                \
    X(bulk_over_quota)                                                                                                 \
    X(link_pieces_dropped)                                                                                             \
    X(link_votes_dropped)                                                                                              \
    X(link_bulk_dropped)                                                                                               \
    X(links_silent)                                                                                                    \
    X(peer_frames_per_turn_max)                                                                                        \
    X(requests)                                                                                                        \
    X(requests_malformed)                                                                                              \
    X(handshakes_failed)

struct node_counters {
#define NODE_COUNTER_FIELD(name) counter name;
    NODE_COUNTERS(NODE_COUNTER_FIELD)
#undef NODE_COUNTER_FIELD
    /* Damaged records that reads of node/ found. Status adds the replica's own count. */
    counter damaged_reads;
};

static inline void count_add(counter *c, uint64_t value) {
    atomic_fetch_add_explicit(c, value, memory_order_relaxed);
}
/* For a counter that is the highest of some values. */
static inline void count_raise(counter *c, uint64_t value) {
    uint_fast64_t seen = atomic_load(c);
    while (seen < value && !atomic_compare_exchange_weak(c, &seen, value)) {
    }
}
static inline uint64_t count_get(counter *c) {
    return atomic_load_explicit(c, memory_order_relaxed);
}

#endif
