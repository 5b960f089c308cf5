/*
 * Calls for every part of the process: the clock, and the count of damaged records.
 */
#include <inttypes.h>
#include <time.h>

#include "node/log.h"
#include "node/node_internal.h"

uint64_t node_clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void node_note_damage(struct node *node, const char *what, uint64_t height, enum ord_err err) {
    if (err != ORD_ERR_CORRUPT)
        return;
    uint64_t before = atomic_fetch_add_explicit(&node->counters.damaged_reads, 1, memory_order_relaxed);
    if ((before & (before + 1)) == 0)
        node_log(NODE_LOG_ERROR, "damaged", "what=\"%s\" height=%" PRIu64 " count=%" PRIu64, what, height, before + 1);
}
