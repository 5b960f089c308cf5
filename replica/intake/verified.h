/*
 * Signatures of envelopes that verified here lately. The same envelope comes by several ways: from its client, as other
 * replicas forward it, in a batch, and in a batch again after a view change. Under overload it may have left the pool,
 * or never been in it, when it comes again. Its signature is not checked twice all the same.
 */
#ifndef ORDAIN_REPLICA_VERIFIED_H
#define ORDAIN_REPLICA_VERIFIED_H

#include <stdbool.h>

#include "core/err.h"
#include "core/types.h"
#include "replica/verify.h"

struct replica;

/*
 * Each slot holds the digest of an envelope's id and signature; zeros: none. A newer one takes the place of an older
 * one in its slot, so the memory is bounded, and what was forgotten is checked again.
 */
struct verified {
    struct ord_hash *slots;
};

ORD_MUST_USE enum ord_err verified_init(struct replica *replica);
void verified_deinit(struct replica *replica);
/* Sets item->known if this very signature verified here before. `hash`, `key` and `signature` are set. */
void verified_look(struct replica *replica, struct replica_envelope_check *item);
/*
 * Adds the newcomer to a registration's item, or none if the client is registered. NO_MEMORY. `judged` is what
 * channel_judge says.
 */
ORD_MUST_USE enum ord_err newcomer_look(struct replica *replica, struct replica_envelope_check *item,
                                        const struct channel_judged *judged, const struct ord_hash *client);
/* Frees the newcomers of a check of envelopes. */
void newcomers_destroy(struct replica_check *check);
/*
 * To be called for each item of a check that ran. Counts it, and remembers a signature and a certificate that verified.
 */
void verified_note(struct replica *replica, const struct replica_envelope_check *item);

#endif
