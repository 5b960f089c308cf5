/*
 * Open addressing with linear probing. The table is at most two thirds full.
 */
#include "sim/map.h"

#include <stdlib.h>
#include <string.h>

#include "sim/buffer.h"

static size_t slot_of(const struct sim_map *map, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ b * UINT64_C(0xbf58476d1ce4e5b9) ^ c * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    x *= UINT64_C(0xd6e8feb86659fd93);
    size_t slot = (size_t) (x ^ x >> 32) & (map->capacity - 1);
    for (;; slot = (slot + 1) & (map->capacity - 1)) {
        const struct sim_map_entry *entry = &map->entries[slot];
        if (!entry->used || (entry->key[0] == a && entry->key[1] == b && entry->key[2] == c))
            return slot;
    }
}

struct sim_map_entry *sim_map_find(const struct sim_map *map, uint64_t a, uint64_t b, uint64_t c) {
    if (map->capacity == 0)
        return NULL;
    struct sim_map_entry *entry = &map->entries[slot_of(map, a, b, c)];
    return entry->used ? entry : NULL;
}

static void widen(struct sim_map *map) {
    struct sim_map old = *map;
    map->capacity = old.capacity == 0 ? 64 : old.capacity * 2;
    map->entries = sim_alloc(map->capacity * sizeof(*map->entries));
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].used) {
            const uint64_t *key = old.entries[i].key;
            map->entries[slot_of(map, key[0], key[1], key[2])] = old.entries[i];
        }
    free(old.entries);
}

struct sim_map_entry *sim_map_insert(struct sim_map *map, bool *fresh, uint64_t a, uint64_t b, uint64_t c) {
    if (map->capacity == 0 || map->count * 3 >= map->capacity * 2)
        widen(map);
    struct sim_map_entry *entry = &map->entries[slot_of(map, a, b, c)];
    *fresh = !entry->used;
    if (*fresh) {
        *entry = (struct sim_map_entry) {.key = {a, b, c}, .used = true};
        map->count++;
    }
    return entry;
}

void sim_map_copy(struct sim_map *out, const struct sim_map *map) {
    *out = *map;
    if (map->capacity == 0)
        return;
    out->entries = sim_alloc(map->capacity * sizeof(*out->entries));
    memcpy(out->entries, map->entries, map->capacity * sizeof(*out->entries));
}

void sim_map_deinit(struct sim_map *map) {
    free(map->entries);
    *map = (struct sim_map) {0};
}
