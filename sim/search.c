/*
 * A climb begins with a few fresh genomes and goes on from the worst of them: a mutation that does at least as much
 * harm takes its place. After many that do no more harm, another climb begins. A mutation that falls far behind with
 * its first seeds does not get the others.
 */
#include "sim/search.h"

#include <stdlib.h>
#include <string.h>

#include "sim/client.h"

enum { SEEDS = 2, FRESH = 4, STALE_MAX = 30, BEHIND_MAX = 50 };
/* So many thousandths of the goodput each timeout is worth that the slowest request waits longer, and all of them. */
enum { WAITED_EACH = 2, WAITED_MAX = 100 };

struct sim_search {
    struct sim_options options;
    struct sim_random random;
    uint64_t next_seed;
    uint64_t seeds[SEEDS];
    struct sim_service_standard standards[SEEDS];
    struct sim_find candidate;
    uint32_t at; /* the seed that it runs with */
    uint64_t harms[SEEDS];
    /* The climb: its worst genome, the harm that this did, candidates so far, and those since it did more harm. */
    struct sim_find current;
    uint64_t current_harms[SEEDS];
    uint32_t climbed;
    uint32_t stale;
    struct sim_find worst;
    uint64_t tries;
    uint64_t *fresh; /* goodput of each fresh genome */
    size_t fresh_count;
    size_t fresh_capacity;
};

/*
 * The next seed with an overload: otherwise the clients just ask later for what was not ordered in time. `lead`: the
 * liars are the first primaries.
 */
static uint64_t next_seed(struct sim_search *search, bool lead) {
    struct sim_options options = search->options;
    struct sim_plan plan;
    /* Any genome: the plan depends only on whether there is one. */
    options.genome = &search->current.genome;
    do {
        search->options.seed = search->next_seed++;
        options.seed = search->options.seed;
        sim_plan_draw(&plan, &options);
    } while (!plan.service || plan.modest_clients == 0 || plan.liars_lead != lead);
    return search->options.seed;
}

static bool is_fresh(const struct sim_search *search) {
    return search->climbed < FRESH;
}

static void make_candidate(struct sim_search *search) {
    struct sim_genome genome = search->current.genome;
    if (is_fresh(search))
        sim_genome_draw(&genome, &search->random);
    else
        sim_genome_mutate(&genome, &search->random);
    search->candidate = (struct sim_find) {.genome = genome, .worst_ratio = UINT64_MAX};
    search->at = 0;
}

struct sim_search *sim_search_create(const struct sim_options *options) {
    struct sim_search *search = sim_alloc(sizeof(*search));
    search->options = *options;
    search->random = sim_random_of(options->seed, 15);
    search->next_seed = options->seed;
    for (uint32_t i = 0; i < SEEDS; i++)
        search->seeds[i] = next_seed(search, i % 2 == 0);
    make_candidate(search);
    return search;
}

void sim_search_destroy(struct sim_search *search) {
    free(search->fresh);
    free(search);
}

struct sim_service_standard *sim_search_next(struct sim_search *search, struct sim_options *options) {
    options->seed = search->seeds[search->at];
    options->genome = &search->candidate.genome;
    return &search->standards[search->at];
}

static uint64_t harm_of(const struct sim_world *world, const struct sim_service_standard *standard, uint64_t ratio) {
    uint64_t longest_us = sim_clients_longest_us(world);
    uint64_t more_us = longest_us > standard->longest_us ? longest_us - standard->longest_us : 0;
    uint64_t waited = WAITED_EACH * (more_us / 1000) / world->plan.request_timeout_ms;
    return (ratio < 1000 ? 1000 - ratio : 0) + (waited < WAITED_MAX ? waited : WAITED_MAX);
}

/* The candidate has run with all seeds. */
static bool judge(struct sim_search *search) {
    struct sim_find *find = &search->candidate;
    find->ratio /= SEEDS;
    if (is_fresh(search)) {
        search->fresh = sim_grow(search->fresh, &search->fresh_capacity, search->fresh_count, sizeof(*search->fresh));
        search->fresh[search->fresh_count++] = find->ratio;
    }
    search->stale = find->harm > search->current.harm ? 0 : search->stale + 1;
    if (search->climbed == 0 || find->harm >= search->current.harm) {
        search->current = *find;
        memcpy(search->current_harms, search->harms, sizeof(search->harms));
    }
    if (find->harm <= search->worst.harm)
        return false;
    search->worst = *find;
    return true;
}

static void next_candidate(struct sim_search *search) {
    search->tries++;
    search->climbed++;
    if (search->climbed <= FRESH)
        search->stale = 0;
    if (search->stale >= STALE_MAX) {
        search->climbed = 0;
        search->current = (struct sim_find) {0};
    }
    make_candidate(search);
}

static bool falls_behind(const struct sim_search *search) {
    uint64_t own = BEHIND_MAX;
    uint64_t current = 0;
    for (uint32_t i = 0; i < search->at; i++) {
        own += search->harms[i];
        current += search->current_harms[i];
    }
    return !is_fresh(search) && own < current;
}

bool sim_search_took(struct sim_search *search, const struct sim_world *world) {
    struct sim_service_standard *standard = &search->standards[search->at];
    struct sim_find *find = &search->candidate;
    uint64_t ratio = sim_service_ratio(world);
    if (ratio == UINT64_MAX && (!world->failed || !standard->compares)) {
        /* With this seed nothing can be compared. */
        search->seeds[search->at] = next_seed(search, search->at % 2 == 0);
        *standard = (struct sim_service_standard) {0};
        return false;
    }
    if (ratio == UINT64_MAX) {
        /* A violation ended the run. It is reported, and there are others to find. */
        search->stale++;
        next_candidate(search);
        return false;
    }
    search->harms[search->at] = harm_of(world, standard, ratio);
    find->harm += search->harms[search->at];
    find->ratio += ratio;
    if (ratio < find->worst_ratio) {
        find->worst_seed = world->options.seed;
        find->worst_ratio = ratio;
        find->worst_longest_us = sim_clients_longest_us(world);
        find->worst_hash = world->trace_hash;
    }
    search->at++;
    bool worst = false;
    if (search->at == SEEDS)
        worst = judge(search);
    else if (falls_behind(search))
        search->stale++;
    else
        return false;
    next_candidate(search);
    return worst;
}

const struct sim_find *sim_search_worst(const struct sim_search *search) {
    return &search->worst;
}

uint64_t sim_search_tries(const struct sim_search *search) {
    return search->tries;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a;
    uint64_t y = *(const uint64_t *) b;
    return x < y ? -1 : x > y;
}

uint64_t sim_search_fresh(const struct sim_search *search, uint64_t *median) {
    uint64_t *sorted = sim_alloc((search->fresh_count + 1) * sizeof(*sorted));
    for (size_t i = 0; i < search->fresh_count; i++)
        sorted[i] = search->fresh[i];
    qsort(sorted, search->fresh_count, sizeof(*sorted), compare);
    *median = sorted[search->fresh_count / 2];
    free(sorted);
    return search->fresh_count;
}
