/*
 * State transfer: the source's side.
 */
#ifndef ORDAIN_REPLICA_SERVE_H
#define ORDAIN_REPLICA_SERVE_H

#include "core/types.h"

struct replica;

struct serve {
    /* The bytes that each asker got in this second. */
    uint64_t bytes[ORD_REPLICA_MAX];
    uint64_t second_ms; /* when the second began */
};

void serve_request(struct replica *replica, ord_node_id from, struct ord_span bytes);

#endif
