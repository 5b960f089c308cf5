/*
 * The ledger, and what the reader thread knows of certificates, as the store of a replica.
 */
#ifndef ORDAIN_NODE_STORE_H
#define ORDAIN_NODE_STORE_H

#include "replica/host.h"

struct node;

/* Both the ledger and the reader thread must be there before the store is used. */
void store_init(struct replica_store *out, struct node *node);
/* `begin_commit` of replica_create; `context` is the node. */
ORD_MUST_USE enum ord_err store_commit(void *context);

#endif
