#include "replica/intake/large.h"

#include <stdlib.h>
#include <string.h>

#include "replica/replica_internal.h"

enum {
    /* A place is kept for this long, and twice request_timeout_ms more. An honest client asks again sooner. */
    KEPT_MS = 2000,
};

enum ord_err large_init(struct replica *replica) {
    struct large *large = &replica->large;
    large->places_max = replica->setup.options.sources_max;
    large->places = calloc(large->places_max, sizeof(*large->places));
    return large->places == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

void large_deinit(struct replica *replica) {
    free(replica->large.places);
}

static void remove_at(struct large *large, uint32_t index) {
    large->count--;
    memmove(large->places + index, large->places + index + 1, (large->count - index) * sizeof(*large->places));
}

static void remove_stale(struct replica *replica) {
    struct large *large = &replica->large;
    uint64_t kept_ms = KEPT_MS + 2 * (uint64_t) replica_config(replica)->request_timeout_ms;
    for (uint32_t i = large->count; i-- > 0;)
        if (replica->turn.now_ms > large->places[i].asked_ms + kept_ms)
            remove_at(large, i);
}

/* The index of its place; `count`: it has none. */
static uint32_t find(const struct large *large, uint64_t source) {
    uint32_t index = 0;
    while (index < large->count && large->places[index].source != source)
        index++;
    return index;
}

bool large_may(struct replica *replica, uint64_t source) {
    struct large *large = &replica->large;
    uint64_t now_ms = replica->turn.now_ms;
    remove_stale(replica);
    uint32_t index = find(large, source);
    if (index == large->count) {
        if (large->count == large->places_max)
            return false;
        large->places[large->count++] = (struct large_place) {.source = source, .since_ms = now_ms};
    }
    struct large_place *place = &large->places[index];
    place->asked_ms = now_ms;
    if (index > 0 || replica->pool.aged > 0 || now_ms < place->since_ms + replica_config(replica)->request_timeout_ms)
        return false;
    remove_at(large, index);
    return true;
}

void large_leave(struct replica *replica, uint64_t source) {
    struct large *large = &replica->large;
    uint32_t index = find(large, source);
    if (index < large->count)
        remove_at(large, index);
}
