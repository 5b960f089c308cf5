/*
 * The turn's own state: its number, its times, and how far its writes are on their way to the disk.
 *
 * Turns are numbered 1, 2, ... A turn's writes become durable together, and turns in their order. Whatever depends on a
 * write carries its turn's number and leaves when that turn is durable; nothing else in replica/ decides when to send.
 */
#ifndef ORDAIN_REPLICA_TURN_H
#define ORDAIN_REPLICA_TURN_H

#include "core/err.h"
#include "core/types.h"

struct replica;

struct turn {
    /* Of the turn that steps and puts belong to now. It grows when a turn ends. */
    uint64_t number;
    /* Everything up to this turn that something was sent or executed on the strength of is durable. */
    uint64_t durable;
    /* The turn whose commit is under way; 0: none is. */
    uint64_t committing;
    /* Times of the turn under way, as the host gave them. */
    uint64_t now_ms;
    int64_t wall_s;
    uint64_t started_ms;
    uint64_t housekeeping_ms;
    /* What was put since the last commit began cannot wait for a later one. */
    bool urgent;
    /* What can wait (certificates, forgetting) waits until then, or for an urgent commit; UINT64_MAX: nothing waits. */
    uint64_t commit_due_ms;
    /* The turn ended early, for it had written enough: another one is due at once. */
    bool cut_short;
    /* The store can take a whole turn. Without room nothing is admitted, and the core gets neither messages nor verdicts. */
    bool room;
    bool fatal;
    enum ord_err fatal_err;
};

/* The turn has written so much that what is left has to wait for the next, which comes at once. */
bool turn_full(struct replica *replica);

#endif
