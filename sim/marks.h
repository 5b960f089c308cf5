/*
 * The coverage marks of the simulator itself, and what a swarm met of those of all rooms (core/mark.h). Only a build
 * with ORD_MARKS counts any.
 */
#ifndef ORDAIN_SIM_MARKS_H
#define ORDAIN_SIM_MARKS_H

#include <stdbool.h>

#include "bft/marks.h"
#include "channel/marks.h"
#include "replica/marks.h"

#define SIM_MARKS(X)                                                                                                   \
    X(CRASHED_BEFORE_COMMIT, OFTEN, "a process dies in its commit, nothing of the turn is durable")                    \
    X(CRASHED_BEFORE_SENDS, OFTEN, "a process dies after its commit, nothing of the turn was sent")                    \
    X(INBOX_FULL, RARE, "a peer's frames are dropped because too many of them wait")

SIM_MARKS(ORD_MARK_DECLARE)

/* The rooms whose marks a swarm may meet: another one has its list here, and nothing else is to be done. */
#define SIM_MARKS_OF_ALL(X) BFT_MARKS(X) CHANNEL_MARKS(X) REPLICA_MARKS(X) SIM_MARKS(X)

#define SIM_MARK_ONE(name, often, text) +1
enum { SIM_MARK_COUNT = SIM_MARKS_OF_ALL(SIM_MARK_ONE) };
#undef SIM_MARK_ONE

/* By the position in SIM_MARKS_OF_ALL. */
struct sim_marks {
    uint64_t hits[SIM_MARK_COUNT];
    uint64_t runs[SIM_MARK_COUNT]; /* that met it */
};

/* Does this build count? */
bool sim_marks_count(void);
void sim_marks_after_run(struct sim_marks *marks);
/* The table, what was never met first; or a line of JSON for each. */
void sim_marks_print(const struct sim_marks *marks, bool json);
/* Names those that were never met to standard error: the OFTEN ones, or all. How many? */
uint32_t sim_marks_missing(const struct sim_marks *marks, bool all);

#endif
