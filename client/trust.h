/*
 * Makes what a client trusts (client/flow/proof.h) from a genesis block file.
 */
#ifndef ORDAIN_CLIENT_TRUST_H
#define ORDAIN_CLIENT_TRUST_H

#include "client/flow/proof.h"
#include "client/ordain.h"

#define CLIENT_GENESIS_BYTES_MAX (CHANNEL_HEADER_SIZE + CHANNEL_CONFIG_BYTES_MAX + 4096)

/* `file` holds a genesis block file and must outlive `out`. An error: it is not a genesis block. */
ORD_MUST_USE enum ord_err client_trust_init(struct client_trust *out, struct ord_span file);
/*
 * The same for a check without a client. The caller frees *out, also after an error. INVALID: not a genesis block, and
 * `why` gets a sentence. NO_MEMORY, INTERNAL.
 */
ORD_MUST_USE enum ordain_error client_trust_create(struct client_trust **out, struct ordain_bytes genesis, char *why,
                                                   size_t why_size);

#endif
