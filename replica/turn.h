/*
 * The turn's own state: its number, its times, and how far its writes are on their way to the disk.
 *
 * Turns are numbered 1, 2, ... The writes of a turn become durable together, and turns become durable in their order. A
 * message that depends on a write carries the turn's number and leaves when that turn is durable. Nothing else in
 * replica/ decides when to send.
 */
#ifndef ORDAIN_REPLICA_TURN_H
#define ORDAIN_REPLICA_TURN_H

#include "core/err.h"
#include "core/types.h"

struct turn {
    /* The turn that steps and puts belong to now. It grows when a turn ends. */
    uint64_t number;
    /* All writes up to this turn that something sent or executed relies on are durable. */
    uint64_t durable;
    /* The turn whose commit is under way; 0: none is. */
    uint64_t committing;
    /* Times of the turn under way, as the host gave them. */
    uint64_t now_ms;
    int64_t wall_s;
    uint64_t started_ms;
    uint64_t housekeeping_ms;
    /* The puts since the last commit began include some that cannot wait for a later commit. */
    bool urgent;
    /*
     * Puts that can wait (certificates, forgetting) wait until this time, or for an urgent commit. UINT64_MAX: nothing
     * waits.
     */
    uint64_t commit_due_ms;
    /* The turn ended early because it had written enough. Another turn is due at once. */
    bool cut_short;
    /*
     * The store can take a whole turn. Without room nothing is admitted, and the core gets neither messages nor
     * verdicts.
     */
    bool room;
    bool fatal;
    enum ord_err fatal_err;
};

#endif
