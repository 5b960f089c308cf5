/*
 * Blocks: a fixed-width header and the envelopes. The data of a block is its envelopes, u32 length each; the data root is
 * the RFC 6962 Merkle root with the envelopes' bytes as leaves. Signatures over a header (certificates) stay outside.
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
    uint64_t byte_count; /* of the envelopes, without their length fields */
    uint64_t epoch;
    uint64_t config_height; /* block that holds the configuration in force */
    uint64_t last_seq;      /* seq of the batch that closed it; its envelopes have that seq or lower ones */
};

/* One envelope of a closed or open block: whose it is and where it came from. */
struct channel_entry {
    uint32_t client_index; /* UINT32_MAX in the genesis block */
    uint32_t batch_index;  /* position in its batch */
    uint64_t sequence;     /* the client's */
    uint64_t seq;          /* instance that decided it */
};

/* A block as the state machine gives it out; spans live as long as whoever gives it says. */
struct channel_block {
    struct channel_header header;
    struct ord_hash header_hash;
    struct ord_span data;
    const struct channel_entry *entries; /* header.envelope_count; NULL where the block was not executed */
};

void channel_header_encode(uint8_t out[CHANNEL_HEADER_SIZE], const struct channel_header *header);
ORD_MUST_USE enum ord_err channel_header_decode(struct channel_header *out, struct ord_span bytes);
/* Tagged hash of the encoded header: the block's name. */
void channel_header_hash(struct ord_hash *out, const struct channel_header *header);
/*
 * Merkle root and counts of block data. `leaves` has room for `leaf_max` hashes (work space). TOO_LARGE: more envelopes.
 * INVALID: an envelope does not decode.
 */
ORD_MUST_USE enum ord_err channel_data_root(struct ord_hash *root, uint32_t *envelope_count,
                                            uint32_t *transaction_count, uint64_t *byte_count, struct ord_hash *leaves,
                                            size_t leaf_max, struct ord_span data);
/* Do data and header belong together (root, counts)? MISMATCH. `leaves` as above. */
ORD_MUST_USE enum ord_err channel_block_check(const struct channel_header *header, struct ord_span data,
                                              struct ord_hash *leaves, size_t leaf_max);
/* Encodes the genesis block of a configuration; `data` (capacity CHANNEL_CONFIG_BYTES_MAX + 1024) gets its data. */
ORD_MUST_USE enum ord_err channel_genesis_create(struct channel_header *header, struct ord_writer *data,
                                                 const struct channel_config *config);
/*
 * A genesis block file is: header bytes, then data. Checks it and gives header, hash (the network's name), data and config.
 */
ORD_MUST_USE enum ord_err channel_genesis_open(struct channel_config *config, struct ord_hash *genesis_hash,
                                               struct channel_header *header, struct ord_span *data,
                                               struct ord_span file);

#endif
