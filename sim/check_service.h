/*
 * The invariants of service, in the runs that are drawn for it (plan.service): at most f replicas lie or fail,
 * loads from idle to overload. What is ordered has to keep flowing. Each bound is derived in check_service.c.
 */
#ifndef ORDAIN_SIM_CHECK_SERVICE_H
#define ORDAIN_SIM_CHECK_SERVICE_H

#include "sim/world.h"

/* From the end of the grace period to the end of the load. */
struct sim_service_totals {
    uint64_t receipts;
    uint64_t batches;
    uint64_t blocks;
    uint64_t messages; /* of the honest replicas */
    uint64_t bytes;
};

struct sim_service;

/* Does nothing if service is not measured in this run. The same holds for the others. */
void sim_service_create(struct sim_world *world);
void sim_service_destroy(struct sim_world *world);
/* What the same seed did without liars. All zero: nobody ran it yet. */
struct sim_service_standard {
    bool known;
    bool compares; /* it came to its end, and `totals` are what it did */
    struct sim_service_totals totals;
    /* The longest time that an honest client waited for a receipt. */
    uint64_t longest_us;
};

/*
 * If the run has liars: compares it with the same seed without them, which is run first. `standard`: NULL, or where
 * that is kept for further runs of this seed.
 */
void sim_service_compare(struct sim_world *world, struct sim_service_standard *standard);
/* After each event. */
void sim_service_step(struct sim_world *world);
/* At the end of a run in which nothing was violated. */
void sim_service_end(struct sim_world *world);
/* Goodput in thousandths of that without liars; UINT64_MAX: it was not compared. */
uint64_t sim_service_ratio(const struct sim_world *world);

#endif
