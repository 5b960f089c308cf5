/*
 * What a client trusts: the genesis block alone. It names the network, the replicas' keys and the quorum. Every
 * receipt, header and certificate is checked against it.
 */
#ifndef ORDAIN_CLIENT_FLOW_PROOF_H
#define ORDAIN_CLIENT_FLOW_PROOF_H

#include "channel/receipt.h"
#include "core/crypto_ops.h"

#define CLIENT_PROOF_CACHE 256

struct client_trust {
    struct channel_config config;
    struct ord_hash genesis_hash;
    struct channel_header genesis_header;
    struct ord_span genesis_data; /* borrowed from the file that client_trust_init got */
    uint32_t quorum;              /* signatures that prove a block */
    struct crypto_replica_keys keys;
    struct ord_crypto_ops crypto; /* points to `keys`, so the struct must not be moved */
};

/*
 * Headers that a certificate proved recently, by the hash of (header, later headers, certificate). So a certificate's
 * signatures are checked once instead of once per receipt. One thread uses it at a time.
 */
struct client_proof_cache {
    struct ord_hash proved[CLIENT_PROOF_CACHE]; /* all zeros: empty */
    uint64_t certificates;                      /* certificates that were checked in full */
};

/*
 * Decodes and checks a receipt. INVALID: malformed. MISMATCH, BAD_SIGNATURE: it proves nothing. `why` gets a static
 * sentence. `cache` may be NULL.
 */
ORD_MUST_USE enum ord_err client_trust_receipt(const struct client_trust *trust, struct client_proof_cache *cache,
                                               struct channel_receipt *out, struct ord_span bytes, const char **why);

#endif
