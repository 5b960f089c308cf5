/*
 * The replica daemon: one channel, one loop thread, and around it the verify pool, the links, the public endpoint and the
 * reader thread that serves them.
 */
#ifndef ORDAIN_NODE_REPLICA_H
#define ORDAIN_NODE_REPLICA_H

#include "node/config.h"

struct replica;

/*
 * Loads keys, genesis block and ledger, recovers the core, opens the listeners and starts. On failure `why` gets a sentence.
 * MISMATCH: genesis block and ledger, or key and replica, do not belong together. IN_USE: a port or the ledger is taken.
 */
ORD_MUST_USE enum ord_err replica_create(struct replica **out, const struct node_config *config, char *why,
                                         size_t why_size);
uint16_t replica_port(const struct replica *replica);
uint16_t replica_client_port(const struct replica *replica);
/* Runs the loop in this thread until replica_stop. An error means that the process must end (disk, broken invariant). */
ORD_MUST_USE enum ord_err replica_run(struct replica *replica);
/* Async-signal-safe. */
void replica_stop(struct replica *replica);
void replica_destroy(struct replica *replica);

#endif
