/*
 * A protocol around the replica's own: every event that enters the core and every effect that comes out of it is seen here. The
 * checks look at it; a liar's core gets other batches than its replica proposed (sim/lies_batch.c).
 */
#ifndef ORDAIN_SIM_OBSERVE_H
#define ORDAIN_SIM_OBSERVE_H

#include "core/protocol.h"
#include "sim/buffer.h"

struct sim_process;

/* The observer is the core that the replica sees. Part of the process. */
struct ord_core {
    struct sim_process *process;
    struct ord_core *inner;
    struct ord_status status; /* the core's, after its last step */
    uint64_t wake_at_ms;      /* the core's; UINT64_MAX: none */
    uint64_t work_since_ms;

    /* The last step's effects, which stay valid until the next one. */
    struct ord_effects given;
    /* Of them those before this one were followed: what they decide is in the reference. */
    size_t followed;
    /* By the reference, since the last APPLIED: envelopes that were accepted. */
    uint32_t accepted;
    bool executed; /* in this turn */
    /* The last seq that did anything, by the reference, in this life; 0: none. */
    uint64_t useful_seq;

    /* A liar's: the effects that its replica is given in place of the core's, and bytes that they need. */
    struct ord_effect *effects;
    size_t effect_count;
    size_t effect_capacity;
    struct sim_buffer **kept;
    size_t kept_count;
    size_t kept_capacity;
};

void sim_observe_init(struct sim_process *process);
void sim_observe_deinit(struct sim_process *process);
/* The wrapper of the world's protocol. Its `init` finds the process as the signer's context. */
const struct ord_protocol *sim_observe_protocol(const struct sim_process *process);
/* What was delivered up to `seq` enters the reference, before what executing it did is looked at. */
void sim_observe_follow(struct sim_process *process, uint64_t seq);
/* At the end of a turn. */
void sim_observe_turn(struct sim_process *process);

#endif
