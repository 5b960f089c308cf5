/*
 * A replica's store: the ledger, and the certificates that the reader thread knows.
 */
#ifndef ORDAIN_NODE_STORE_H
#define ORDAIN_NODE_STORE_H

#include "replica/host.h"

struct node;

/* The store may be used once the ledger is open and the reader thread runs. */
void store_init(struct replica_store *out, struct node *node);
/* `begin_commit` of replica_create; `context` is the node. */
ORD_MUST_USE enum ord_err store_commit(void *context);

#endif
