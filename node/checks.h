/*
 * The pools that run a replica's checks: one for each of the replica's queues, so that no queue waits for another.
 */
#ifndef ORDAIN_NODE_CHECKS_H
#define ORDAIN_NODE_CHECKS_H

#include "crypto/pool.h"
#include "node/inbox.h"
#include "replica/verify.h"

struct node;

/* The node's part of a check (its `host_space`), while the node has the check. */
struct check_job {
    struct work work;
    struct node *node;
};

struct checks {
    struct crypto_pool *pools[REPLICA_QUEUE_COUNT];
};

ORD_MUST_USE enum ord_err checks_open(struct node *node);
/* Ends the pools. Every check that the node still has is then in the inbox, or in the queue of inputs. */
void checks_close(struct node *node);
/* `check` of struct replica_host. */
void checks_begin(void *context, struct replica_check *check);
/* Takes a check out of its work. It belongs to the replica from then on. */
struct replica_check *checks_end(struct node *node, struct work *work);

#endif
