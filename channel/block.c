/*
 * Headers and block data: encodings, hashes, and the check that the two belong together.
 */
#include "channel/block.h"

#include <string.h>

#include "channel/envelope.h"
#include "channel/marks.h"
#include "channel/tags.h"
#include "core/assert.h"
#include "core/merkle.h"

#define HEADER_VERSION 1

void channel_header_encode(uint8_t out[CHANNEL_HEADER_SIZE], const struct channel_header *header) {
    struct ord_writer writer = ord_writer_of(out, CHANNEL_HEADER_SIZE);
    ord_write_u8(&writer, HEADER_VERSION);
    ord_write_hash(&writer, &header->genesis_hash);
    ord_write_u64(&writer, header->height);
    ord_write_hash(&writer, &header->previous_hash);
    ord_write_hash(&writer, &header->data_root);
    ord_write_u32(&writer, header->envelope_count);
    ord_write_u32(&writer, header->transaction_count);
    ord_write_u64(&writer, header->byte_count);
    ord_write_u64(&writer, header->epoch);
    ord_write_u64(&writer, header->config_height);
    ord_write_u64(&writer, header->last_seq);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK && writer.size == CHANNEL_HEADER_SIZE);
}

enum ord_err channel_header_decode(struct channel_header *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    memset(out, 0, sizeof(*out));
    uint8_t version = ord_read_u8(&reader);
    ord_read_hash(&reader, &out->genesis_hash);
    out->height = ord_read_u64(&reader);
    ord_read_hash(&reader, &out->previous_hash);
    ord_read_hash(&reader, &out->data_root);
    out->envelope_count = ord_read_u32(&reader);
    out->transaction_count = ord_read_u32(&reader);
    out->byte_count = ord_read_u64(&reader);
    out->epoch = ord_read_u64(&reader);
    out->config_height = ord_read_u64(&reader);
    out->last_seq = ord_read_u64(&reader);
    if (ord_reader_finish(&reader) != ORD_OK || version != HEADER_VERSION)
        return ORD_ERR_INVALID;
    /* No block is empty, and each envelope has at least one transaction. */
    if (out->envelope_count == 0 || out->transaction_count < out->envelope_count)
        return ORD_ERR_INVALID;
    return ORD_OK;
}

void channel_header_hash(struct ord_hash *out, const struct channel_header *header) {
    uint8_t bytes[CHANNEL_HEADER_SIZE];
    channel_header_encode(bytes, header);
    channel_tagged_hash(out, CHANNEL_TAG_HEADER, ord_span_of(bytes, sizeof(bytes)));
}

enum ord_err channel_data_root(struct channel_header *header, struct ord_hash *leaves, size_t leaf_max,
                               struct ord_span data) {
    const struct ord_crypto_ops ops = channel_merkle_ops();
    size_t count = 0;
    uint64_t transactions = 0;
    uint64_t size = 0;
    while (data.size > 0) {
        struct ord_span bytes;
        if (channel_batch_next(&bytes, &data) != ORD_OK)
            return ORD_ERR_INVALID;
        if (count == leaf_max)
            return ORD_ERR_TOO_LARGE;
        struct channel_envelope envelope;
        if (channel_envelope_decode(&envelope, bytes) != ORD_OK)
            return ORD_ERR_INVALID;
        ord_merkle_leaf(&ops, &leaves[count++], bytes);
        transactions += envelope.transaction_count;
        size += bytes.size;
    }
    if (count > UINT32_MAX || transactions > UINT32_MAX)
        return ORD_ERR_TOO_LARGE;
    ord_merkle_root(&ops, &header->data_root, leaves, count);
    header->envelope_count = (uint32_t) count;
    header->transaction_count = (uint32_t) transactions;
    header->byte_count = size;
    return ORD_OK;
}

enum ord_err channel_block_check(const struct channel_header *header, struct ord_span data, struct ord_hash *leaves,
                                 size_t leaf_max) {
    struct channel_header found;
    /* Data with more envelopes than the header claims does not match it,
     * even if there is enough work space for them. */
    if (header->envelope_count < leaf_max)
        leaf_max = header->envelope_count;
    enum ord_err err = channel_data_root(&found, leaves, leaf_max, data);
    if (err == ORD_ERR_TOO_LARGE && header->envelope_count > leaf_max)
        return err;
    if (err != ORD_OK || !ord_hash_equal(&found.data_root, &header->data_root) ||
        found.envelope_count != header->envelope_count || found.transaction_count != header->transaction_count ||
        found.byte_count != header->byte_count) {
        ORD_MARK(BLOCK_OTHER_DATA);
        return ORD_ERR_MISMATCH;
    }
    return ORD_OK;
}
