/*
 * Forwarding, while another replica leads: to the leader at once, and to all if that does not help. What is sent again
 * goes by name first (OFFER), and the receiver asks for what it lacks (WANT).
 */
#ifndef ORDAIN_REPLICA_FORWARD_H
#define ORDAIN_REPLICA_FORWARD_H

#include "core/types.h"

struct replica;

/* OFFER and WANT are lists of names (docs/formats.md): client index u32, sequence u64, as in struct pool_key. */
enum { FORWARD_NAME_SIZE = 4 + 8, FORWARD_NAMES_MAX = 4096 };

/* Each has its own part of what repeats may send, so that a flood of one kind does not hold up another. */
enum forward_kind { FORWARD_SENT, FORWARD_SPREAD, FORWARD_PASSED, FORWARD_KINDS };

struct forward {
    /* What repeats of each kind may still offer to each receiver now, in cost. The last envelope may overdraw it. */
    int64_t left[FORWARD_KINDS];
    /* When `left` was last filled up. */
    uint64_t filled_ms;
};

/* Forwards what came in since the last turn. */
void forward_fresh(struct replica *replica);
/* What is passed on to the leader in one request timeout, of all that others forwarded or gave copies of: its cost. */
uint64_t forward_passed_cost(const struct replica *replica);
/* Offers what was forwarded and is not executed yet. To be called several times a second. */
void forward_again(struct replica *replica);
/* Another replica offers these names: asks it for those that are needed here. */
void forward_offered(struct replica *replica, ord_node_id from, struct ord_span names);
/* Another replica asks for these names: gives it those that were offered to it. */
void forward_wanted(struct replica *replica, ord_node_id from, struct ord_span names);

#endif
