/*
 * Blocks: a fixed-width header and data. The data of a block is its envelopes, each with its u32 length in front. The
 * data root is the RFC 6962 Merkle root with the envelopes' bytes as leaves. Signatures over a header (certificates)
 * are not part of the block.
 */
#ifndef ORDAIN_CHANNEL_BLOCK_H
#define ORDAIN_CHANNEL_BLOCK_H

#include "channel/config.h"

#define CHANNEL_HEADER_SIZE (1 + 32 + 8 + 32 + 32 + 4 + 4 + 8 + 8 + 8 + 8)

struct channel_header {
    struct ord_hash genesis_hash; /* zeros in the genesis block itself */
    uint64_t height;
    struct ord_hash previous_hash; /* zeros in the genesis block */
    struct ord_hash data_root;
    uint32_t envelope_count;
    uint32_t transaction_count;
    /* The envelopes' bytes, without their length fields. */
    uint64_t byte_count;
    uint64_t epoch;
    uint64_t config_height; /* the block that holds the configuration in force */
    /* Seq of the batch that closed the block. Its envelopes have this seq or lower ones. */
    uint64_t last_seq;
};

/* One envelope of a closed or open block: its client and its origin. */
struct channel_entry {
    uint32_t client_index; /* UINT32_MAX in the genesis block */
    uint32_t batch_index;  /* position in its batch */
    uint64_t sequence;     /* the client's sequence number */
    uint64_t seq;          /* the instance that decided it */
};

/* A block as the state machine gives it out. The function that gives it says how long the spans are valid. */
struct channel_block {
    struct channel_header header;
    struct ord_hash header_hash;
    struct ord_span data;
    /* header.envelope_count entries. NULL if the block was not executed here. */
    const struct channel_entry *entries;
};

void channel_header_encode(uint8_t out[CHANNEL_HEADER_SIZE], const struct channel_header *header);
ORD_MUST_USE enum ord_err channel_header_decode(struct channel_header *out, struct ord_span bytes);
/* Tagged hash of the encoded header. It names the block. */
void channel_header_hash(struct ord_hash *out, const struct channel_header *header);
/*
 * Fills in the data root and the counts of a header from block data. `leaves` is work space for `leaf_max` hashes.
 * TOO_LARGE: there are more envelopes. INVALID: an envelope does not decode.
 */
ORD_MUST_USE enum ord_err channel_data_root(struct channel_header *header, struct ord_hash *leaves, size_t leaf_max,
                                            struct ord_span data);
/*
 * Checks that data and header belong together (root and counts). `leaves` is work space for `leaf_max` hashes.
 * MISMATCH: they do not. TOO_LARGE: the header claims more than `leaf_max` envelopes, and so does the data.
 */
ORD_MUST_USE enum ord_err channel_block_check(const struct channel_header *header, struct ord_span data,
                                              struct ord_hash *leaves, size_t leaf_max);
/*
 * Makes the genesis block of a configuration. Appends its data to `data`, which needs space for
 * CHANNEL_CONFIG_BYTES_MAX + 1024 bytes.
 */
ORD_MUST_USE enum ord_err channel_genesis_create(struct channel_header *header, struct ord_writer *data,
                                                 const struct channel_config *config);
/*
 * Opens and checks a genesis block file, which is the header's bytes, then the data. `genesis_hash` gets the header's
 * hash, which is the network's name. `data` borrows from `file`.
 */
ORD_MUST_USE enum ord_err channel_genesis_open(struct channel_config *config, struct ord_hash *genesis_hash,
                                               struct channel_header *header, struct ord_span *data,
                                               struct ord_span file);

#endif
