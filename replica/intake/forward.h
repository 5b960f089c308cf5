/*
 * Forwarding, while another replica leads: to the leader at once, and to all if that does not help.
 */
#ifndef ORDAIN_REPLICA_FORWARD_H
#define ORDAIN_REPLICA_FORWARD_H

#include "core/types.h"

struct replica;

/* Each has its own part of what repeats may send, so that a flood of one kind does not hold up another. */
enum forward_kind { FORWARD_SENT, FORWARD_SPREAD, FORWARD_PASSED, FORWARD_KINDS };

struct forward {
    /* What repeats of each kind may still send to each receiver now, in cost. The last envelope may overdraw it. */
    int64_t left[FORWARD_KINDS];
    /* When `left` was last filled up. */
    uint64_t filled_ms;
};

/* Forwards what came in since the last turn. */
void forward_fresh(struct replica *replica);
/* Forwards again what was forwarded and is not executed yet. To be called several times a second. */
void forward_again(struct replica *replica);

#endif
