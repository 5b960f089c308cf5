/*
 * The process that hosts a replica (replica/replica.h): one channel, one loop thread, and around it the check pools,
 * the links, the public endpoint and the reader thread that serves it.
 */
#ifndef ORDAIN_NODE_NODE_H
#define ORDAIN_NODE_NODE_H

#include "node/config.h"

struct node;

/*
 * Loads keys, genesis block and ledger, recovers the replica, opens the listeners and starts. On failure `why` gets a
 * sentence. MISMATCH: the ledger does not belong to the genesis block, or the key does not belong to the replica.
 * IN_USE: a port or the ledger is taken.
 */
ORD_MUST_USE enum ord_err node_create(struct node **out, const struct node_config *config, char *why, size_t why_size);
uint16_t node_port(const struct node *node);
uint16_t node_client_port(const struct node *node);
/* Runs the loop in this thread until node_stop. An error means that the process must end (disk, broken invariant). */
ORD_MUST_USE enum ord_err node_run(struct node *node);
/*
 * Async-signal-safe. Submissions are refused from now on. A replica that leads first lets another one take over; it
 * goes on until that one leads, for the channel's request timeout at most. A second call ends the loop at once.
 */
void node_stop(struct node *node);
void node_destroy(struct node *node);

#endif
