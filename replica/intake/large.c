#include "replica/intake/large.h"

#include <stdlib.h>

#include "replica/replica_internal.h"

enum {
    /* A place is kept for this long, and twice request_timeout_ms more. An honest client asks again sooner. */
    KEPT_MS = 2000,
};

/* ---- places ---- */

enum ord_err large_init(struct replica *replica) {
    struct large *large = &replica->large;
    uint32_t places_max = replica->setup.options.sources_max;
    uint32_t buckets = 1;
    while (buckets < places_max && buckets < 1u << 30)
        buckets *= 2;
    *large = (struct large) {.places = calloc(places_max, sizeof(*large->places)),
                             .places_max = places_max,
                             .buckets = calloc(buckets, sizeof(*large->buckets)),
                             .bucket_mask = buckets - 1};
    if (large->places == NULL || large->buckets == NULL)
        return ORD_ERR_NO_MEMORY;
    for (uint32_t at = places_max; at > 0; at--) {
        large->places[at - 1].next = large->free;
        large->free = at;
    }
    return ORD_OK;
}

void large_deinit(struct replica *replica) {
    free(replica->large.places);
    free(replica->large.buckets);
}

/* Fibonacci hashing. A host numbers its sources, so nobody chooses in which bucket a source is. */
static uint32_t *bucket_of(struct large *large, uint64_t source) {
    return &large->buckets[(uint32_t) (source * UINT64_C(0x9E3779B97F4A7C15) >> 32) & large->bucket_mask];
}

static struct large_place *place_at(struct large *large, uint32_t at) {
    return &large->places[at - 1];
}

/* NULL: the source has no place. */
static struct large_place *find(struct large *large, uint64_t source) {
    uint32_t at = *bucket_of(large, source);
    while (at != 0 && place_at(large, at)->source != source)
        at = place_at(large, at)->next;
    return at == 0 ? NULL : place_at(large, at);
}

static uint32_t index_of(const struct large *large, const struct large_place *place) {
    return (uint32_t) (place - large->places) + 1;
}

/* The link of the place `at`; the list's ends where that is 0, so a list is a ring. */
static struct large_link *link_of(struct large *large, enum large_order order, uint32_t at) {
    return at == 0 ? &large->ends[order] : &place_at(large, at)->links[order];
}

static void list_add(struct large *large, enum large_order order, struct large_place *place) {
    uint32_t last = large->ends[order].before;
    place->links[order] = (struct large_link) {.before = last};
    link_of(large, order, last)->after = index_of(large, place);
    large->ends[order].before = index_of(large, place);
}

static void list_remove(struct large *large, enum large_order order, const struct large_place *place) {
    const struct large_link link = place->links[order];
    link_of(large, order, link.before)->after = link.after;
    link_of(large, order, link.after)->before = link.before;
}

/* NULL: there is no free place. */
static struct large_place *add(struct large *large, uint64_t source, uint64_t now_ms) {
    if (large->free == 0)
        return NULL;
    struct large_place *place = place_at(large, large->free);
    uint32_t *bucket = bucket_of(large, source);
    large->free = place->next;
    *place = (struct large_place) {.source = source, .since_ms = now_ms, .next = *bucket};
    *bucket = index_of(large, place);
    list_add(large, LARGE_QUEUE, place);
    list_add(large, LARGE_ASKED, place);
    large->count++;
    return place;
}

static void remove_place(struct large *large, struct large_place *place) {
    uint32_t *from = bucket_of(large, place->source);
    while (*from != index_of(large, place))
        from = &place_at(large, *from)->next;
    *from = place->next;
    list_remove(large, LARGE_QUEUE, place);
    list_remove(large, LARGE_ASKED, place);
    place->next = large->free;
    large->free = index_of(large, place);
    large->count--;
}

/* ---- asking ---- */

static void remove_stale(struct replica *replica) {
    struct large *large = &replica->large;
    uint64_t kept_ms = KEPT_MS + 2 * (uint64_t) replica_config(replica)->request_timeout_ms;
    for (uint32_t first; (first = large->ends[LARGE_ASKED].after) != 0;) {
        struct large_place *place = place_at(large, first);
        if (replica->turn.now_ms <= place->asked_ms + kept_ms)
            return;
        remove_place(large, place);
    }
}

bool large_may(struct replica *replica, uint64_t source) {
    struct large *large = &replica->large;
    uint64_t now_ms = replica->turn.now_ms;
    remove_stale(replica);
    struct large_place *place = find(large, source);
    if (place == NULL)
        place = add(large, source, now_ms);
    if (place == NULL)
        return false;
    place->asked_ms = now_ms;
    list_remove(large, LARGE_ASKED, place);
    list_add(large, LARGE_ASKED, place);
    bool first = large->ends[LARGE_QUEUE].after == index_of(large, place);
    if (!first || replica->pool.aged > 0 || now_ms < place->since_ms + replica_config(replica)->request_timeout_ms)
        return false;
    remove_place(large, place);
    return true;
}

void large_leave(struct replica *replica, uint64_t source) {
    struct large_place *place = find(&replica->large, source);
    if (place != NULL)
        remove_place(&replica->large, place);
}
