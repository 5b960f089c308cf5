/*
 * The request pool: a hash table answers "is it here already", and a list for each state gives the order of proposing.
 */
#include "replica/intake/pool.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"

struct pool_key pool_key_of(uint32_t client_index, const struct ord_hash *client, uint64_t sequence) {
    if (client_index == UINT32_MAX)
        return (struct pool_key) {UINT32_MAX, ord_load_u64(client->bytes)};
    return (struct pool_key) {client_index, sequence};
}

/* splitmix64's finaliser, because keys are small and regular. */
static uint32_t bucket_of(const struct pool *pool, struct pool_key key) {
    uint64_t x = key.sequence ^ ((uint64_t) key.client_index << 40 | key.client_index);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t) (x ^ (x >> 31)) & pool->bucket_mask;
}

enum ord_err pool_init(struct pool *pool, uint32_t envelopes_max, uint64_t bytes_max, uint32_t client_envelopes_max,
                       uint32_t clients_max) {
    uint32_t buckets = 1024;
    while (buckets < envelopes_max && buckets < 1u << 30)
        buckets *= 2;
    *pool = (struct pool) {.buckets = calloc(buckets, sizeof(*pool->buckets)),
                           .bucket_mask = buckets - 1,
                           .client_counts = calloc((size_t) clients_max + 1, sizeof(*pool->client_counts)),
                           .client_costs = calloc((size_t) clients_max + 1, sizeof(*pool->client_costs)),
                           .waiting = calloc((size_t) clients_max + 1, sizeof(*pool->waiting)),
                           .clients_max = clients_max,
                           .leaders = 1,
                           .envelopes_max = envelopes_max,
                           .client_envelopes_max = client_envelopes_max,
                           .bytes_max = bytes_max};
    bool whole =
        pool->buckets != NULL && pool->client_counts != NULL && pool->client_costs != NULL && pool->waiting != NULL;
    return whole ? ORD_OK : ORD_ERR_NO_MEMORY;
}

void pool_deinit(struct pool *pool) {
    for (size_t i = 0; pool->buckets != NULL && i <= pool->bucket_mask; i++)
        while (pool->buckets[i] != NULL) {
            struct pool_entry *entry = pool->buckets[i];
            pool->buckets[i] = entry->bucket_next;
            free(entry);
        }
    free(pool->buckets);
    free(pool->client_counts);
    free(pool->client_costs);
    free(pool->waiting);
}

static bool has_key(const struct pool_entry *entry, struct pool_key key) {
    return entry->key.client_index == key.client_index && entry->key.sequence == key.sequence;
}

struct pool_entry *pool_find(const struct pool *pool, struct pool_key key) {
    struct pool_entry *entry = pool->buckets[bucket_of(pool, key)];
    while (entry != NULL && (entry->state == POOL_CHECKING || !has_key(entry, key)))
        entry = entry->bucket_next;
    return entry;
}

static bool is_same(const struct pool_entry *entry, struct ord_span envelope) {
    return ord_span_equal(ord_span_of(entry->bytes, entry->size), envelope);
}

struct pool_entry *pool_find_same(const struct pool *pool, struct pool_key key, struct ord_span envelope) {
    struct pool_entry *entry = pool->buckets[bucket_of(pool, key)];
    while (entry != NULL && (!has_key(entry, key) || !is_same(entry, envelope)))
        entry = entry->bucket_next;
    return entry;
}

/* ORD_OK: this source may have the envelope checked. */
static enum ord_err check_key(const struct pool *pool, struct pool_key key, uint64_t source, struct ord_span envelope) {
    enum ord_err err = ORD_OK;
    for (const struct pool_entry *entry = pool->buckets[bucket_of(pool, key)]; entry != NULL;
         entry = entry->bucket_next) {
        if (!has_key(entry, key))
            continue;
        if (entry->state != POOL_CHECKING)
            return ORD_ERR_EXISTS;
        if (entry->source == source || is_same(entry, envelope))
            err = ORD_ERR_BUSY;
    }
    return err;
}

static bool share_is_taken(const struct pool *pool, struct pool_key key) {
    return key.client_index < pool->clients_max && pool->client_counts[key.client_index] >= pool->client_envelopes_max;
}

bool pool_takes(const struct pool *pool, struct pool_key key, uint64_t source) {
    return pool->envelopes < pool->envelopes_max && pool->bytes < pool->bytes_max && !share_is_taken(pool, key) &&
           check_key(pool, key, source, ord_span_of(NULL, 0)) == ORD_OK;
}

enum ord_err pool_add(struct pool *pool, struct pool_entry **out, struct pool_key key, uint64_t source,
                      struct ord_span envelope, uint64_t now_ms) {
    enum ord_err err = check_key(pool, key, source, envelope);
    if (err != ORD_OK)
        return err;
    if (pool->envelopes >= pool->envelopes_max || envelope.size > pool->bytes_max - pool->bytes ||
        share_is_taken(pool, key))
        return ORD_ERR_NO_SPACE;
    struct pool_entry *entry = malloc(sizeof(*entry) + envelope.size);
    if (entry == NULL)
        return ORD_ERR_NO_MEMORY;
    struct pool_entry **bucket = &pool->buckets[bucket_of(pool, key)];
    *entry = (struct pool_entry) {.key = key,
                                  .state = POOL_CHECKING,
                                  .source = source,
                                  .since_ms = now_ms,
                                  .turn_ms = now_ms,
                                  .bucket_next = *bucket,
                                  .size = (uint32_t) envelope.size};
    memcpy(entry->bytes, envelope.data, envelope.size);
    *bucket = entry;
    pool->envelopes++;
    pool->bytes += entry->size;
    *out = entry;
    return ORD_OK;
}

static void unlink_entry(struct pool *pool, struct pool_entry *entry) {
    struct pool_list *list = &pool->lists[entry->state];
    if (entry->state == POOL_CHECKING)
        return;
    if (entry->previous == NULL)
        list->head = entry->next;
    else
        entry->previous->next = entry->next;
    if (entry->next == NULL)
        list->tail = entry->previous;
    else
        entry->next->previous = entry->previous;
    list->count--;
    list->bytes -= entry->size;
    entry->previous = NULL;
    entry->next = NULL;
}

void pool_set_state(struct pool *pool, struct pool_entry *entry, enum pool_state state) {
    unlink_entry(pool, entry);
    entry->state = state;
    struct pool_list *list = &pool->lists[state];
    entry->previous = list->tail;
    if (list->tail == NULL)
        list->head = entry;
    else
        list->tail->next = entry;
    list->tail = entry;
    list->count++;
    list->bytes += entry->size;
}

/* ---- clients that wait ---- */

static uint32_t slot_of(const struct pool *pool, uint32_t client_index) {
    return client_index < pool->clients_max ? client_index : pool->clients_max;
}

static uint64_t cost_of(const struct pool_entry *entry) {
    return (uint64_t) entry->size + POOL_ENVELOPE_COST;
}

/* Puts `cost` behind what is ahead. Gives the time when that could have been ordered. Turns never fall. */
static uint64_t take_turn(struct pool_turns *turns, uint64_t cost, uint64_t now_ms) {
    uint64_t begin_us = ord_max(turns->clear_us, now_ms * 1000);
    uint64_t end_us = turns->rate == 0 ? begin_us : begin_us + cost * 1000000 / turns->rate;
    turns->clear_us = ord_min(end_us, (now_ms + turns->ahead_ms_max) * 1000);
    return begin_us / 1000;
}

static void wait_append(struct pool *pool, uint32_t slot, uint64_t turn_ms, uint64_t now_ms) {
    struct pool_waiting *waiting = &pool->waiting[slot];
    *waiting =
        (struct pool_waiting) {.since_ms = now_ms, .turn_ms = turn_ms, .previous = pool->waiting_last, .listed = true};
    if (pool->waiting_last == 0)
        pool->waiting_first = slot + 1;
    else
        pool->waiting[pool->waiting_last - 1].next = slot + 1;
    pool->waiting_last = slot + 1;
}

static void wait_unlink(struct pool *pool, uint32_t slot) {
    struct pool_waiting *waiting = &pool->waiting[slot];
    if (waiting->previous == 0)
        pool->waiting_first = waiting->next;
    else
        pool->waiting[waiting->previous - 1].next = waiting->next;
    if (waiting->next == 0)
        pool->waiting_last = waiting->previous;
    else
        pool->waiting[waiting->next - 1].previous = waiting->previous;
    *waiting = (struct pool_waiting) {.listed = false};
}

void pool_executed(struct pool *pool, uint32_t client_index, uint64_t now_ms) {
    uint32_t slot = slot_of(pool, client_index);
    if (!pool->waiting[slot].listed)
        return;
    wait_unlink(pool, slot);
    /* What it waits for now may be the newest envelope here. */
    wait_append(pool, slot, ord_max(pool->turns.clear_us / 1000, now_ms), now_ms);
}

const struct pool_waiting *pool_waiting_longest(const struct pool *pool) {
    return pool->waiting_first == 0 ? NULL : &pool->waiting[pool->waiting_first - 1];
}

/* ---- what the leader owes ---- */

static void forgive(struct pool *pool, struct pool_entry *entry) {
    if (!entry->owed)
        return;
    *(entry->owed_previous == NULL ? &pool->owed_first : &entry->owed_previous->owed_next) = entry->owed_next;
    *(entry->owed_next == NULL ? &pool->owed_last : &entry->owed_next->owed_previous) = entry->owed_previous;
    entry->owed = false;
}

void pool_owe(struct pool *pool, struct pool_entry *entry) {
    forgive(pool, entry);
    if (entry->proposed_to == pool->leaders)
        return;
    entry->owed = true;
    entry->owed_previous = pool->owed_last;
    entry->owed_next = NULL;
    *(pool->owed_last == NULL ? &pool->owed_first : &pool->owed_last->owed_next) = entry;
    pool->owed_last = entry;
}

void pool_proposed(struct pool *pool, struct pool_entry *entry) {
    forgive(pool, entry);
    entry->proposed_to = pool->leaders;
}

bool pool_owed(struct pool *pool, uint64_t before_ms, uint64_t lost_ms) {
    while (pool->owed_first != NULL && pool->owed_first->forwarded_ms < lost_ms)
        forgive(pool, pool->owed_first);
    return pool->owed_first != NULL && pool->owed_first->forwarded_ms < before_ms;
}

static void ready_again(struct pool *pool, int first, int last) {
    for (int state = first; state <= last; state++)
        while (pool->lists[state].head != NULL)
            pool_set_state(pool, pool->lists[state].head, POOL_READY);
}

void pool_leader_changed(struct pool *pool, uint64_t now_ms) {
    pool->leaders++;
    ready_again(pool, POOL_PROPOSED, POOL_PROPOSED);
    ready_again(pool, POOL_SPREAD, POOL_SPREAD_LAST);
    ready_again(pool, POOL_SENT, POOL_SENT);
    ready_again(pool, POOL_PASSED, POOL_PASSED_LAST);
    pool->turns.clear_us = 0;
    (void) take_turn(&pool->turns, pool->settled_cost, now_ms);
    uint64_t clear_ms = pool->turns.clear_us / 1000;
    for (struct pool_entry *entry = pool->lists[POOL_READY].head; entry != NULL; entry = entry->next) {
        forgive(pool, entry);
        entry->offered_to = 0;
        entry->turn_ms = clear_ms;
    }
    for (uint32_t next = pool->waiting_first; next != 0; next = pool->waiting[next - 1].next)
        pool->waiting[next - 1].turn_ms = clear_ms;
}

uint64_t pool_cost(const struct pool *pool) {
    return pool->bytes + (uint64_t) pool->envelopes * POOL_ENVELOPE_COST;
}

uint64_t pool_copies_cost(const struct pool *pool) {
    return pool->copies_cost;
}

void pool_set_copy(struct pool *pool, struct pool_entry *entry, bool copy) {
    if (copy && !entry->copy)
        pool->copies_cost += cost_of(entry);
    if (!copy && entry->copy)
        pool->copies_cost -= cost_of(entry);
    entry->copy = copy;
}

void pool_set_aged(struct pool *pool, struct pool_entry *entry) {
    pool->aged += !entry->aged;
    entry->aged = true;
}

uint64_t pool_cost_max(const struct pool *pool) {
    return pool->bytes_max + (uint64_t) pool->envelopes_max * POOL_ENVELOPE_COST;
}

uint64_t pool_client_cost(const struct pool *pool, uint32_t client_index, uint32_t *count) {
    uint32_t slot = slot_of(pool, client_index);
    *count = pool->client_counts[slot];
    return pool->client_costs[slot];
}

/* ---- settled entries ---- */

enum ord_err pool_settle(struct pool *pool, struct pool_entry *entry, uint64_t now_ms) {
    ORD_ASSERT(entry->state == POOL_CHECKING);
    if (pool_find(pool, entry->key) != NULL)
        return ORD_ERR_EXISTS;
    if (share_is_taken(pool, entry->key))
        return ORD_ERR_NO_SPACE;
    uint32_t slot = slot_of(pool, entry->key.client_index);
    if (pool->settled++ == 0)
        pool->turns.clear_us = 0;
    entry->turn_ms = take_turn(&pool->turns, cost_of(entry), now_ms);
    pool->settled_cost += cost_of(entry);
    pool->client_costs[slot] += cost_of(entry);
    if (pool->client_counts[slot]++ == 0)
        wait_append(pool, slot, entry->turn_ms, now_ms);
    pool_set_state(pool, entry, POOL_READY);
    return ORD_OK;
}

void pool_remove(struct pool *pool, struct pool_entry *entry) {
    forgive(pool, entry);
    pool_set_copy(pool, entry, false);
    pool->aged -= entry->aged;
    unlink_entry(pool, entry);
    struct pool_entry **slot = &pool->buckets[bucket_of(pool, entry->key)];
    while (*slot != entry) {
        ORD_ASSERT(*slot != NULL);
        slot = &(*slot)->bucket_next;
    }
    *slot = entry->bucket_next;
    pool->envelopes--;
    pool->bytes -= entry->size;
    uint32_t client_slot = slot_of(pool, entry->key.client_index);
    if (entry->state != POOL_CHECKING) {
        pool->settled--;
        pool->settled_cost -= cost_of(entry);
        pool->client_costs[client_slot] -= cost_of(entry);
        if (--pool->client_counts[client_slot] == 0)
            wait_unlink(pool, client_slot);
    }
    free(entry);
}
