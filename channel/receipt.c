/*
 * Receipts: their encoding and the offline check.
 */
#include "channel/receipt.h"

#include <string.h>

#include "channel/tags.h"
#include "core/assert.h"

#define RECEIPT_VERSION 1
size_t channel_receipt_size(const struct channel_receipt *receipt) {
    return 1 + CHANNEL_HEADER_SIZE + 4 + 4 + (size_t) receipt->path_size * ORD_HASH_SIZE + ORD_HASH_SIZE + 4 +
           receipt->later_headers.size + CHANNEL_LENGTH_SIZE + CHANNEL_CERTIFICATE_SIZE(receipt->certificate.count) +
           CHANNEL_LENGTH_SIZE + receipt->envelope.size;
}

static bool sizes_are_sane(const struct channel_receipt *receipt) {
    return receipt->path_size <= ORD_MERKLE_PATH_MAX && receipt->later_header_count <= CHANNEL_RECEIPT_HEADERS_MAX &&
           receipt->later_headers.size == (size_t) receipt->later_header_count * CHANNEL_HEADER_SIZE &&
           receipt->certificate.count >= 1 && receipt->certificate.count <= ORD_REPLICA_MAX;
}

enum ord_err channel_receipt_encode(struct ord_writer *out, const struct channel_receipt *receipt) {
    if (!sizes_are_sane(receipt))
        return ORD_ERR_INVALID;
    size_t start = out->size;
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, &receipt->header);
    ord_write_u8(out, RECEIPT_VERSION);
    ord_write_bytes(out, header, sizeof(header));
    ord_write_u32(out, receipt->envelope_index);
    ord_write_u32(out, receipt->path_size);
    for (uint32_t i = 0; i < receipt->path_size; i++)
        ord_write_hash(out, &receipt->path[i]);
    ord_write_hash(out, &receipt->leaf);
    ord_write_u32(out, receipt->later_header_count);
    ord_write_span(out, receipt->later_headers);
    uint8_t certificate[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t certificate_size = channel_certificate_encode(certificate, &receipt->certificate);
    ord_write_string(out, ord_span_of(certificate, certificate_size));
    ord_write_string(out, receipt->envelope);
    enum ord_err err = ord_writer_finish(out);
    ORD_ASSERT(err != ORD_OK || out->size - start == channel_receipt_size(receipt));
    return err;
}

enum ord_err channel_receipt_decode(struct channel_receipt *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    memset(out, 0, sizeof(*out));
    uint8_t version = ord_read_u8(&reader);
    struct ord_span header = ord_read_span(&reader, CHANNEL_HEADER_SIZE);
    out->envelope_index = ord_read_u32(&reader);
    out->path_size = ord_read_u32(&reader);
    if (reader.failed || version != RECEIPT_VERSION || out->path_size > ORD_MERKLE_PATH_MAX)
        return ORD_ERR_INVALID;
    for (uint32_t i = 0; i < out->path_size; i++)
        ord_read_hash(&reader, &out->path[i]);
    ord_read_hash(&reader, &out->leaf);
    out->later_header_count = ord_read_u32(&reader);
    if (out->later_header_count > CHANNEL_RECEIPT_HEADERS_MAX)
        return ORD_ERR_INVALID;
    out->later_headers = ord_read_span(&reader, (size_t) out->later_header_count * CHANNEL_HEADER_SIZE);
    struct ord_span certificate = ord_read_string(&reader, CHANNEL_CERTIFICATE_SIZE_MAX);
    out->envelope = ord_read_string(&reader, CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT);
    enum ord_err err = ord_reader_finish(&reader);
    if (err == ORD_OK)
        err = channel_header_decode(&out->header, header);
    if (err == ORD_OK)
        err = channel_certificate_decode(&out->certificate, certificate);
    return err;
}

static enum ord_err refuse(const char **why, enum ord_err err, const char *sentence) {
    if (why != NULL)
        *why = sentence;
    return err;
}

/* Checks that the envelope, if it is there, has this leaf and is of this network, and that the leaf is in the block. */
static enum ord_err check_inclusion(const struct channel_receipt *receipt, const struct ord_hash *genesis_hash,
                                    const char **why) {
    const struct ord_crypto_ops ops = channel_merkle_ops();
    if (receipt->envelope.size > 0) {
        struct ord_hash leaf;
        ord_merkle_leaf(&ops, &leaf, receipt->envelope);
        if (!ord_hash_equal(&leaf, &receipt->leaf))
            return refuse(why, ORD_ERR_MISMATCH, "the envelope is not the one that the receipt is for");
        struct channel_envelope envelope;
        if (channel_envelope_decode(&envelope, receipt->envelope) != ORD_OK)
            return refuse(why, ORD_ERR_INVALID, "the envelope is malformed");
        if (!ord_hash_equal(&envelope.genesis_hash, genesis_hash))
            return refuse(why, ORD_ERR_MISMATCH, "the envelope is for another network");
    }
    if (receipt->path_size > ORD_MERKLE_PATH_MAX ||
        !ord_merkle_verify(&ops, &receipt->header.data_root, &receipt->leaf, receipt->envelope_index,
                           receipt->header.envelope_count, receipt->path, receipt->path_size))
        return refuse(why, ORD_ERR_MISMATCH, "the envelope is not in the block");
    return ORD_OK;
}

enum ord_err channel_receipt_verify(const struct channel_receipt *receipt, const struct channel_config *config,
                                    const struct ord_hash *genesis_hash, const struct ord_crypto_ops *crypto,
                                    const char **why) {
    if (why != NULL)
        *why = "";
    if (!sizes_are_sane(receipt))
        return refuse(why, ORD_ERR_INVALID, "the receipt is malformed");
    if (receipt->header.height == 0 || !ord_hash_equal(&receipt->header.genesis_hash, genesis_hash))
        return refuse(why, ORD_ERR_MISMATCH, "the block is of another network");
    enum ord_err err = check_inclusion(receipt, genesis_hash, why);
    if (err != ORD_OK)
        return err;

    /* The blocks before this one do not matter here: its own certificate, or a later block's, proves it. */
    struct channel_chain chain;
    channel_chain_init(&chain, config, genesis_hash, crypto);
    chain.height = receipt->header.height - 1;
    chain.head_hash = receipt->header.previous_hash;
    err = channel_chain_header(&chain, &receipt->header, why);
    struct ord_reader reader = ord_reader_of(receipt->later_headers);
    for (uint32_t i = 0; err == ORD_OK && i < receipt->later_header_count; i++) {
        struct channel_header header;
        err = channel_header_decode(&header, ord_read_span(&reader, CHANNEL_HEADER_SIZE));
        if (err != ORD_OK)
            return refuse(why, err, "a later header is malformed");
        err = channel_chain_header(&chain, &header, why);
    }
    if (err != ORD_OK)
        return err;
    return channel_chain_certificate(&chain, &receipt->certificate, channel_weak_quorum(config), why);
}
