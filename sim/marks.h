/*
 * What a swarm met of the coverage marks (core/mark.h). Only a build with ORD_MARKS counts any.
 */
#ifndef ORDAIN_SIM_MARKS_H
#define ORDAIN_SIM_MARKS_H

#include <stdbool.h>

#include "core/mark.h"

struct sim_marks {
    uint64_t hits[ORD_MARK_COUNT];
    uint64_t runs[ORD_MARK_COUNT]; /* that met it */
};

/* Does this build count? */
bool sim_marks_count(void);
void sim_marks_after_run(struct sim_marks *marks);
/* The table, what was never met first; or a line of JSON for each. */
void sim_marks_print(const struct sim_marks *marks, bool json);
/* Names those that were never met to standard error: the OFTEN ones, or all. How many? */
uint32_t sim_marks_missing(const struct sim_marks *marks, bool all);

#endif
