/*
 * The bound of a replica's memory, as its configuration implies it. Each term comes from the limit that the program
 * itself keeps. Pages of the ledger's map that nothing has written are the page cache's, and do not count.
 */
#ifndef ORDAIN_NODE_BOUND_H
#define ORDAIN_NODE_BOUND_H

#include <stdint.h>

struct node;

#define NODE_BOUND_TERMS(X)                                                                                            \
    X(core)        /* the core: its window, batch bodies, and the view changes of all replicas */                      \
    X(channel)     /* the client table and the open block */                                                           \
    X(pool)        /* requests that wait to be ordered */                                                              \
    X(links_out)   /* what waits to be sent to the other replicas, in both lanes */                                    \
    X(links_in)    /* what came from them and is not done with */                                                      \
    X(checks)      /* their checks that are open or wait */                                                            \
    X(connections) /* connections on both ports, without messages */                                                   \
    X(receiving)   /* requests of clients as they come: one for each connection to the clients' port */                \
    X(requests)    /* unpacked requests in progress */                                                                 \
    X(reader)      /* the answer that the reader thread makes, and the block that it looked at last */                 \
    X(unsent)      /* answers that readers have not taken yet */                                                       \
    X(sync)        /* pieces of a state transfer that are not taken yet, with certificates, and one that is served */  \
    X(turn)        /* LMDB's dirty pages of one turn */                                                                \
    X(program)     /* stacks, libraries, buffers of OpenSSL and nng, and what malloc leaves unused */

struct node_bound {
    /* Bytes */
#define NODE_BOUND_FIELD(name) uint64_t name;
    NODE_BOUND_TERMS(NODE_BOUND_FIELD)
#undef NODE_BOUND_FIELD
};

/* `node` has its parts: call it after they are made. */
void node_bound_of(struct node_bound *out, const struct node *node);
uint64_t node_bound_total(const struct node_bound *bound);
/* Writes one line to the log: the total and each term. */
void node_bound_log(const struct node_bound *bound);

#endif
