/*
 * Where a test program stands between a replica and the world: another consensus than the channel's, and a look at
 * every message before it is sealed. For programs of the tests (tests/faulty); `ordain` has none, and
 * tests/lint/arrows.sh keeps it so.
 */
#ifndef ORDAIN_NODE_SEAM_H
#define ORDAIN_NODE_SEAM_H

#include "core/protocol.h"
#include "node/node.h"

struct node_seam {
    const struct ord_protocol *protocol; /* NULL: the channel's */
    /*
     * Each message to another replica, in the loop thread, where it may be changed in place and made shorter. `kind` is
     * one of enum replica_link, and may become another. False: it is not sent. NULL: nobody looks.
     */
    bool (*outgoing)(void *context, ord_node_id to, uint8_t *kind, uint8_t *bytes, size_t *size);
    void *context;
};

/* As node_create; the seam is copied. */
ORD_MUST_USE enum ord_err node_create_with(struct node **out, const struct node_config *config,
                                           const struct node_seam *seam, char *why, size_t why_size);

#endif
