/*
 * The coverage marks of the simulator itself, and a swarm's hits of the marks of all rooms (core/mark.h). Only a build
 * with ORD_MARKS counts any.
 */
#ifndef ORDAIN_SIM_MARKS_H
#define ORDAIN_SIM_MARKS_H

#include <stdbool.h>

#include "bft/marks.h"
#include "channel/marks.h"
#include "raft/marks.h"
#include "replica/marks.h"
#include "sim/plan.h"

#define SIM_MARKS(X)                                                                                                   \
    X(CRASHED_BEFORE_COMMIT, OFTEN, "a process dies in its commit, before anything of the turn is durable")            \
    X(CRASHED_BEFORE_SENDS, OFTEN, "a process dies after its commit, before anything of the turn is sent")             \
    X(HONEST_AGAIN, OFTEN, "no doubt is left about a replica that forgot, and it counts as honest again")              \
    X(INBOX_FULL, RARE, "a peer's frames are dropped because too many of them wait")

SIM_MARKS(ORD_MARK_DECLARE)

/* The rooms whose marks a swarm may meet. A further room only has to be added to this list. */
#define SIM_MARKS_OF_ALL(X) BFT_MARKS(X) RAFT_MARKS(X) CHANNEL_MARKS(X) REPLICA_MARKS(X) SIM_MARKS(X)

#define SIM_MARK_ONE(name, often, text) +1
enum { SIM_MARK_COUNT = SIM_MARKS_OF_ALL(SIM_MARK_ONE) };
/* Those of the Raft core are [first, end). */
enum {
    SIM_MARK_RAFT_FIRST = BFT_MARKS(SIM_MARK_ONE),
    SIM_MARK_RAFT_END = SIM_MARK_RAFT_FIRST RAFT_MARKS(SIM_MARK_ONE)
};
#undef SIM_MARK_ONE

/* By the position in SIM_MARKS_OF_ALL. */
struct sim_marks {
    uint64_t hits[SIM_MARK_COUNT];
    uint64_t runs[SIM_MARK_COUNT]; /* runs that met it */
};

/* True if this build counts marks. */
bool sim_marks_count(void);
void sim_marks_after_run(struct sim_marks *marks);
/* Prints the table, with marks that were never met first; or a line of JSON for each mark. */
void sim_marks_print(const struct sim_marks *marks, bool json);
/*
 * Names the marks that were never met on standard error: the OFTEN ones, or all. Gives their number. Where all runs are
 * raft channels, they are those of the Raft core; where none is, the others.
 */
uint32_t sim_marks_missing(const struct sim_marks *marks, bool all, enum sim_consensus consensus);

#endif
