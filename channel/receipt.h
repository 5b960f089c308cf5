/*
 * Receipts: a proof that an envelope is final, checkable offline against the genesis block alone. And the check of a chain,
 * block by block, as a peer or `ordain deliver` does it.
 */
#ifndef ORDAIN_CHANNEL_RECEIPT_H
#define ORDAIN_CHANNEL_RECEIPT_H

#include "channel/attestation.h"
#include "channel/envelope.h"
#include "core/merkle.h"

#define CHANNEL_RECEIPT_HEADERS_MAX 8192 /* headers from the block up to the certified one */

/* Spans borrow. */
struct channel_receipt {
    struct channel_header header; /* of the envelope's block */
    uint32_t envelope_index;
    uint32_t path_size;
    struct ord_hash path[ORD_MERKLE_PATH_MAX];
    struct ord_hash leaf;        /* Merkle leaf of the envelope's bytes */
    uint32_t later_header_count; /* the headers after it, up to the one that the certificate names; usually 0 */
    struct ord_span later_headers;
    struct channel_certificate certificate;
    struct ord_span envelope; /* may be empty: then only `leaf` speaks of it */
};

size_t channel_receipt_size(const struct channel_receipt *receipt);
ORD_MUST_USE enum ord_err channel_receipt_encode(struct ord_writer *out, const struct channel_receipt *receipt);
ORD_MUST_USE enum ord_err channel_receipt_decode(struct channel_receipt *out, struct ord_span bytes);
/*
 * Full check: leaf of the envelope (when there), inclusion, header chain, certificate with f + 1. `why` (may be NULL) gets a
 * static sentence on failure.
 */
ORD_MUST_USE enum ord_err channel_receipt_verify(const struct channel_receipt *receipt,
                                                 const struct channel_config *config,
                                                 const struct ord_hash *genesis_hash,
                                                 const struct ord_crypto_ops *crypto, const char **why);

/*
 * Chain check. Blocks are fed in order; each must link to the one before. A block is *proved* once a certificate at or above
 * its height was checked. Started at genesis, or at any header that the caller trusts.
 */
struct channel_chain {
    const struct channel_config *config;
    const struct ord_crypto_ops *crypto;
    struct ord_hash genesis_hash;
    uint64_t height;           /* of the last block fed */
    struct ord_hash head_hash; /* its header's hash */
    uint64_t last_seq;
    uint64_t proved_height; /* covered by a certificate */
    uint64_t certificates;  /* checked */
};

void channel_chain_init(struct channel_chain *out, const struct channel_config *config,
                        const struct ord_hash *genesis_hash, const struct ord_crypto_ops *crypto);
/* Checks height, link, genesis hash, epoch, seq order, counts and root. `leaves` is work space. Changes nothing on failure. */
ORD_MUST_USE enum ord_err channel_chain_block(struct channel_chain *chain, const struct channel_header *header,
                                              struct ord_span data, struct ord_hash *leaves, size_t leaf_max,
                                              const char **why);
/* A header alone (its data not at hand): height, link, genesis hash, epoch, seq order. */
ORD_MUST_USE enum ord_err channel_chain_header(struct channel_chain *chain, const struct channel_header *header,
                                               const char **why);
/* A certificate for the last block fed: proves it and all before. `quorum` signers. */
ORD_MUST_USE enum ord_err channel_chain_certificate(struct channel_chain *chain,
                                                    const struct channel_certificate *certificate, uint32_t quorum,
                                                    const char **why);

#endif
