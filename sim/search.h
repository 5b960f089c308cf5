/*
 * A search for the genome that harms service most: hill-climbing with restarts, over two seeds in which the clients
 * want more than the channel can order, all the time. The caller runs what the search asks for, so a violation is found
 * and reported as in any other run.
 */
#ifndef ORDAIN_SIM_SEARCH_H
#define ORDAIN_SIM_SEARCH_H

#include "sim/check_service.h"

/* What a genome did over the seeds. */
struct sim_find {
    struct sim_genome genome;
    /* In a seed: the goodput that was lost, in thousandths of that without liars. The slowest request adds to it. */
    uint64_t harm;  /* sum over the seeds */
    uint64_t ratio; /* goodput: mean over the seeds, in thousandths of that without liars */
    /* The seed with the least goodput, its goodput, its slowest request and the hash of its trace. */
    uint64_t worst_seed;
    uint64_t worst_ratio;
    uint64_t worst_longest_us;
    uint64_t worst_hash;
};

struct sim_search;

/* `options` names the first seed, and what else all runs have in common. */
struct sim_search *sim_search_create(const struct sim_options *options);
void sim_search_destroy(struct sim_search *search);
/* Sets the seed and the genome of the next run. Gives the place of its standard, for sim_service_compare. */
struct sim_service_standard *sim_search_next(struct sim_search *search, struct sim_options *options);
/* That run is over. True: its genome is the worst one so far. */
bool sim_search_took(struct sim_search *search, const struct sim_world *world);
/* The worst genome so far; all zero: none came to its end. */
const struct sim_find *sim_search_worst(const struct sim_search *search);
/* How many genomes were tried, how many of them were fresh, and the median of the latter's goodput (as sim_find). */
uint64_t sim_search_tries(const struct sim_search *search);
uint64_t sim_search_fresh(const struct sim_search *search, uint64_t *median);

#endif
