/*
 * Which messages between replicas are bulk.
 */
#include "replica/host.h"

/*
 * By kind; false for a kind that does not exist. Whether a message of the core is bulk, the core's protocol says. None
 * of the others needs to come before or after a message of the other lane: an attestation or a certificate that comes
 * before the batches that it is about is kept by the core (docs/protocol.md, rule 10), and SYNC_REQUESTs only ask.
 */
static const bool bulk_kinds[] = {
    [REPLICA_LINK_CORE] = false,     [REPLICA_LINK_ATTESTATION] = false,  [REPLICA_LINK_CERTIFICATE] = false,
    [REPLICA_LINK_FORWARD] = true,   [REPLICA_LINK_SYNC_REQUEST] = false, [REPLICA_LINK_SYNC_BLOCKS] = true,
    [REPLICA_LINK_SYNC_TAIL] = true, [REPLICA_LINK_OFFER] = true,         [REPLICA_LINK_WANT] = true,
};

bool replica_link_bulk(const struct ord_protocol *protocol, enum replica_link kind, struct ord_span begin) {
    if (kind == REPLICA_LINK_CORE)
        return protocol->bulk(begin);
    return (size_t) kind < sizeof(bulk_kinds) / sizeof(bulk_kinds[0]) && bulk_kinds[kind];
}
