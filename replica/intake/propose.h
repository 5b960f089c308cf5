/*
 * Batches out of the pool, and cut markers, when this replica leads.
 */
#ifndef ORDAIN_REPLICA_PROPOSE_H
#define ORDAIN_REPLICA_PROPOSE_H

#include "core/protocol.h"
#include "replica/intake/pool.h"

struct replica;

struct propose {
    struct pool_entry **entries; /* of the batch at hand; CHANNEL_BATCH_ENVELOPES_MAX */
    uint32_t count;
    uint64_t offered_cut; /* height that the batch at hand cuts; 0: none */
    bool refused;         /* the core took none of this turn's batches: no further one in this turn */
    uint64_t cut_height;  /* highest height that a cut was proposed for, under this leader */
    uint64_t cut_ms;      /* when */
};

ORD_MUST_USE enum ord_err propose_init(struct replica *replica);
void propose_deinit(struct replica *replica);
/* The next PROPOSE, if one is due; its batch is valid until the step that gets it returns. Then propose_done. */
bool propose_next(struct replica *replica, struct ord_event *out);
/* Whether the core took the batch of the last propose_next. */
void propose_done(struct replica *replica, bool taken);
/* When propose_next has something although no input came; UINT64_MAX: never. */
uint64_t propose_due_ms(const struct replica *replica);
/* When the open block is, or will be, overdue; UINT64_MAX: never. */
uint64_t propose_cut_ms(const struct replica *replica);

#endif
