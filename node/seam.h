/*
 * Hooks for test programs between a replica and the world: a consensus other than the channel's, and a look at every
 * message before it is sealed. Only the programs of the tests (tests/faulty) use them. `ordain` has none, and
 * tests/lint/arrows.sh keeps it so.
 */
#ifndef ORDAIN_NODE_SEAM_H
#define ORDAIN_NODE_SEAM_H

#include "core/protocol.h"
#include "node/node.h"

struct node_seam {
    const struct ord_protocol *protocol; /* NULL: the channel's */
    /*
     * Gets each message to another replica, in the loop thread, and may change it in place and make it shorter. `kind`
     * is one of enum replica_link; it may become another. False: the message is not sent. NULL: every message is sent
     * as it is.
     */
    bool (*outgoing)(void *context, ord_node_id to, uint8_t *kind, uint8_t *bytes, size_t *size);
    void *context;
};

/* Like node_create. The seam is copied. */
ORD_MUST_USE enum ord_err node_create_with(struct node **out, const struct node_config *config,
                                           const struct node_seam *seam, char *why, size_t why_size);

#endif
