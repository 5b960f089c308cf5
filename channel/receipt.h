/*
 * Receipts: a receipt proves that an envelope is final, and can be checked offline with the genesis block alone. This
 * header also has the check of a chain, block by block, as a peer or `ordain deliver` does it.
 */
#ifndef ORDAIN_CHANNEL_RECEIPT_H
#define ORDAIN_CHANNEL_RECEIPT_H

#include "channel/attestation.h"
#include "channel/envelope.h"
#include "core/merkle.h"

/* Upper limit for the later headers of a receipt. */
#define CHANNEL_RECEIPT_HEADERS_MAX 8192

/* The spans borrow their bytes. */
struct channel_receipt {
    struct channel_header header; /* the header of the envelope's block */
    uint32_t envelope_index;
    uint32_t path_size;
    struct ord_hash path[ORD_MERKLE_PATH_MAX];
    struct ord_hash leaf; /* Merkle leaf of the envelope's bytes */
    /* The headers after `header`, up to the one that the certificate names. Usually there are none. */
    uint32_t later_header_count;
    struct ord_span later_headers;
    struct channel_certificate certificate;
    /* May be empty. The receipt then proves `leaf` only. */
    struct ord_span envelope;
};

size_t channel_receipt_size(const struct channel_receipt *receipt);
ORD_MUST_USE enum ord_err channel_receipt_encode(struct ord_writer *out, const struct channel_receipt *receipt);
ORD_MUST_USE enum ord_err channel_receipt_decode(struct channel_receipt *out, struct ord_span bytes);
/*
 * Checks all of a receipt: the envelope's leaf (if the envelope is there), its inclusion in the block, the chain of
 * headers, and the certificate with f + 1 signatures. On failure `why` (may be NULL) gets a static sentence.
 */
ORD_MUST_USE enum ord_err channel_receipt_verify(const struct channel_receipt *receipt,
                                                 const struct channel_config *config,
                                                 const struct ord_hash *genesis_hash,
                                                 const struct ord_crypto_ops *crypto, const char **why);

/*
 * Chain check. The caller feeds blocks in order, and each must link to the one before. A block is *proved* once a
 * certificate at or above its height was checked. A check begins at the genesis block, or at any header that the caller
 * trusts.
 */
struct channel_chain {
    const struct channel_config *config;
    const struct ord_crypto_ops *crypto;
    struct ord_hash genesis_hash;
    uint64_t height;           /* the last block that was fed */
    struct ord_hash head_hash; /* the hash of its header */
    uint64_t last_seq;
    uint64_t proved_height; /* blocks up to here are proved */
    uint64_t certificates;  /* number of certificates checked */
};

void channel_chain_init(struct channel_chain *out, const struct channel_config *config,
                        const struct ord_hash *genesis_hash, const struct ord_crypto_ops *crypto);
/*
 * Feeds a block. Checks height, link, genesis hash, epoch, order of seqs, counts and root. `leaves` is work space for
 * `leaf_max` hashes. On failure `chain` is unchanged, and `why` (may be NULL) gets a static sentence.
 */
ORD_MUST_USE enum ord_err channel_chain_block(struct channel_chain *chain, const struct channel_header *header,
                                              struct ord_span data, struct ord_hash *leaves, size_t leaf_max,
                                              const char **why);
/* Feeds a header without its data. Checks height, link, genesis hash, epoch and order of seqs. Failures as above. */
ORD_MUST_USE enum ord_err channel_chain_header(struct channel_chain *chain, const struct channel_header *header,
                                               const char **why);
/*
 * Checks a certificate of at least `quorum` signers for the last block that was fed. It proves that block and all
 * before it. Failures as above.
 */
ORD_MUST_USE enum ord_err channel_chain_certificate(struct channel_chain *chain,
                                                    const struct channel_certificate *certificate, uint32_t quorum,
                                                    const char **why);

#endif
