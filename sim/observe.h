/*
 * A protocol around the replica's own. It sees every event that enters the core, and every effect that comes out of it.
 * The checks look at them. A liar's core gets other batches than its replica proposed (sim/lies_batch.c).
 */
#ifndef ORDAIN_SIM_OBSERVE_H
#define ORDAIN_SIM_OBSERVE_H

#include "core/protocol.h"
#include "sim/buffer.h"

struct sim_process;

/* The observer, which is the core that the replica sees. Part of the process. */
struct ord_core {
    struct sim_process *process;
    struct ord_core *inner;
    /* The core's status after its last step. */
    struct ord_status status;
    /* When the core wants to be woken; UINT64_MAX: never. */
    uint64_t wake_at_ms;
    uint64_t work_since_ms;
    uint64_t work_turn_ms;

    /* The last step's effects, which stay valid until the next one. */
    struct ord_effects given;
    /* The effects before this one were followed: the reference has what they decide. */
    size_t followed;
    /* Envelopes that the reference accepted since the last APPLIED, and their bytes. */
    uint32_t accepted;
    uint64_t accepted_bytes;
    bool executed; /* in this turn */
    /* The last seq in this life that had an effect, by the reference; 0: none. */
    uint64_t useful_seq;
    /* The last seq in this life that is a point of attestation, by the reference; 0: none. */
    uint64_t point_seq;

    /* For a liar: the effects that its replica gets instead of the core's, and the bytes that they need. */
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
/*
 * Everything delivered up to `seq` enters the reference. This happens before the results of its execution are checked.
 */
void sim_observe_follow(struct sim_process *process, uint64_t seq);
/* Called at the end of a turn. */
void sim_observe_turn(struct sim_process *process);

#endif
