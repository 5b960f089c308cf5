/*
 * A hash table from three numbers to a number and a hash, for the memory of the checks. It grows, and entries are never
 * removed.
 */
#ifndef ORDAIN_SIM_MAP_H
#define ORDAIN_SIM_MAP_H

#include "core/types.h"

struct sim_map_entry {
    uint64_t key[3];
    bool used;
    uint64_t number;
    struct ord_hash hash;
};

struct sim_map {
    struct sim_map_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

/* NULL: the key is not there. The entry is valid until the next insertion. */
struct sim_map_entry *sim_map_find(const struct sim_map *map, uint64_t a, uint64_t b, uint64_t c);
/* Gives the entry of this key. `*fresh`: it was made by this call, with number and hash zero. */
struct sim_map_entry *sim_map_insert(struct sim_map *map, bool *fresh, uint64_t a, uint64_t b, uint64_t c);
/* Makes `out`, which must be empty, a copy of `map`. */
void sim_map_copy(struct sim_map *out, const struct sim_map *map);
void sim_map_deinit(struct sim_map *map);

#endif
