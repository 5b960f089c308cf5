/*
 * How fast the channel orders what this replica's pool holds, measured while something waits in it. Admission, forwards
 * and the clock of old work count with this rate, so that waiting in a queue is nobody's fault.
 *
 * Rates are in cost per second (POOL_ENVELOPE_COST in pool.h), which counts bytes and envelopes. Time comes with the
 * turn, so the rate is the same for the same inputs.
 */
#ifndef ORDAIN_REPLICA_PACE_H
#define ORDAIN_REPLICA_PACE_H

#include "core/types.h"

struct replica;

struct pace {
    /* Up to when time was counted. */
    uint64_t counted_ms;
    /* The window under way: when it began, for how long something waited, and what was executed out of the pool. */
    uint64_t begun_ms;
    uint64_t waited_ms;
    uint64_t served_cost;
    /* A window was measured in which something was executed. Before that the rate is the one at the start. */
    bool measured;
    /* The newest window's rate, or the ones before it, a quarter less with each window. */
    uint64_t recent;
    /* The best window's rate in this view. */
    uint64_t own;
    /* The replica that leads, or led last. ORD_NO_NODE: none did. */
    ord_node_id leader;
    /* By replica: the best window's rate in the last view that it led and in which anything was measured. */
    uint64_t led[ORD_REPLICA_MAX];
    /* When an envelope of anybody was last executed. */
    uint64_t progress_ms;
};

/* Cannot fail. To be called after pool_init. */
void pace_init(struct replica *replica);
/* A turn begins: counts the time since the last one, and gives the pool the rate for this turn. */
void pace_turn(struct replica *replica);
/* An envelope of this cost was executed out of the pool. */
void pace_served(struct replica *replica, uint64_t cost);
/* Some envelope was executed. */
void pace_progress(struct replica *replica);
/* Another replica leads; ORD_NO_NODE: none does now. */
void pace_leader(struct replica *replica, ord_node_id leader);
/* Cost per second that may be counted with in this turn. Never 0. */
uint64_t pace_rate(const struct replica *replica);
/* What may wait in the pool before clients are told BUSY, in cost. */
uint64_t pace_budget(const struct replica *replica);
/* A batch below this cost is not full by any bound of an honest leader. */
uint64_t pace_lean_cost(const struct replica *replica);
/* True if the leader serves: something was executed a moment ago. */
bool pace_moves(const struct replica *replica);
/* When a client that was refused may try again, in ms: by then half of what waits here is ordered. */
uint32_t pace_retry_ms(const struct replica *replica);

#endif
