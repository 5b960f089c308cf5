/*
 * The pools that run a replica's checks, one for each of its queues, so that none waits for another.
 */
#ifndef ORDAIN_NODE_CHECKS_H
#define ORDAIN_NODE_CHECKS_H

#include "crypto/pool.h"
#include "node/inbox.h"
#include "replica/verify.h"

struct node;

/* In host_space of a check that the node has. */
struct check_job {
    struct work work;
    struct node *node;
};

struct checks {
    struct crypto_pool *pools[REPLICA_QUEUE_COUNT];
};

ORD_MUST_USE enum ord_err checks_open(struct node *node);
/* Every check that the node has is in the inbox, or in its queue of inputs, when this returns. */
void checks_close(struct node *node);
/* `check` of struct replica_host. */
void checks_begin(void *context, struct replica_check *check);
/* A check that the replica gets back: the node's no more. */
struct replica_check *checks_end(struct node *node, struct work *work);

#endif
