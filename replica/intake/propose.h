/*
 * What becomes of the pool's envelopes. A replica that leads proposes them in batches, and proposes cut markers.
 * Another one forwards them (forward.c): to the leader at once, and to all if they wait.
 */
#ifndef ORDAIN_REPLICA_PROPOSE_H
#define ORDAIN_REPLICA_PROPOSE_H

#include "core/protocol.h"
#include "replica/intake/pool.h"

struct replica;

/*
 * How many registrations an honest primary puts into a batch, unless the options say otherwise. Each costs a backup
 * that did not see it before a certificate and a signature, 1 to 4 ms, so the batch takes at most a quarter of a second
 * to judge.
 */
enum { PROPOSE_NEWCOMERS_MAX = 64 };

struct propose {
    /* The envelopes of the batch at hand; room for CHANNEL_BATCH_ENVELOPES_MAX. */
    struct pool_entry **entries;
    uint32_t count;
    /* Limit of registrations in a batch. */
    uint32_t newcomers_max;
    /* The height that the batch at hand cuts; 0: none. */
    uint64_t offered_cut;
    /* The core refused a batch of this turn, so this turn proposes no further one. */
    bool refused;
    /* The highest height for which a cut was proposed under this leader, and when. */
    uint64_t cut_height;
    uint64_t cut_ms;
};

ORD_MUST_USE enum ord_err propose_init(struct replica *replica);
void propose_deinit(struct replica *replica);
/*
 * Gives the next PROPOSE, if one is due. Its batch is valid until the step that gets it returns. Then propose_done
 * follows.
 */
bool propose_next(struct replica *replica, struct ord_event *out);
/* `taken`: the core took the batch of the last propose_next. */
void propose_done(struct replica *replica, bool taken);
/* When propose_next gives something although no input came; UINT64_MAX: never. */
uint64_t propose_due_ms(const struct replica *replica);
/* When the open block becomes overdue; it may be so already. UINT64_MAX: never. */
uint64_t propose_cut_ms(const struct replica *replica);

#endif
