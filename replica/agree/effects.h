/*
 * The consensus core as the replica holds it. agree_step alone steps it and carries out its effects.
 */
#ifndef ORDAIN_REPLICA_EFFECTS_H
#define ORDAIN_REPLICA_EFFECTS_H

#include "core/protocol.h"

struct replica;

struct agree {
    struct ord_core *core;
    void *core_memory;
    ord_node_id leader; /* ORD_NO_NODE: none */
    uint64_t leader_since_ms;
    uint64_t wake_at_ms;   /* the core wants a TICK then */
    enum ord_err rejected; /* result of the last proposal */
    /* The values that the core was told last; UINT64_MAX: nothing waits. */
    uint64_t work_since_ms;
    uint64_t work_turn_ms;
    /* The core's silence, as the log shows it so far. */
    bool shown_asking;
    bool shown_silent;
    uint64_t shown_until_seq;
    bool began_empty; /* nothing was on disk at the start */
};

ORD_MUST_USE enum ord_err agree_init(struct replica *replica);
void agree_deinit(struct replica *replica);
/* Steps the core and carries out its effects, in order. False: the core refused the event, and nothing changed. */
bool agree_step(struct replica *replica, struct ord_event *event);
struct ord_status agree_status(const struct replica *replica);
/* True if the core may get messages, verdicts and proposals now. */
bool agree_may_run(const struct replica *replica);
/* Logs when the core begins or ceases to be silent. */
void agree_note_silence(struct replica *replica);

#endif
