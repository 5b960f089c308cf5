/*
 * The envelope's encoding, its id, and its signature.
 */
#include "channel/envelope.h"

#include <string.h>

#include "channel/tags.h"

#define ENVELOPE_VERSION 1
/* True if the other fields have values that the envelope's kind allows. */
static bool kind_fits(const struct channel_envelope *envelope) {
    switch (envelope->kind) {
    case CHANNEL_ENVELOPE_TRANSACTIONS:
        return envelope->sequence >= 1 && envelope->transaction_count >= 1;
    case CHANNEL_ENVELOPE_REGISTER:
        return envelope->sequence == 0 && envelope->transaction_count == 1;
    case CHANNEL_ENVELOPE_CONFIG:
        return envelope->transaction_count == 1;
    }
    return false;
}

enum ord_err channel_envelope_decode(struct channel_envelope *out, struct ord_span bytes) {
    if (bytes.size < CHANNEL_ENVELOPE_OVERHEAD)
        return ORD_ERR_INVALID;
    struct ord_reader reader = ord_reader_of(bytes);
    memset(out, 0, sizeof(*out));
    out->bytes = bytes;
    out->body = ord_span_of(bytes.data, bytes.size - ORD_SIGNATURE_SIZE);
    if (ord_read_u8(&reader) != ENVELOPE_VERSION)
        return ORD_ERR_INVALID;
    uint8_t kind = ord_read_u8(&reader);
    if (kind < CHANNEL_ENVELOPE_TRANSACTIONS || kind > CHANNEL_ENVELOPE_CONFIG)
        return ORD_ERR_INVALID;
    out->kind = (enum channel_envelope_kind) kind;
    ord_read_hash(&reader, &out->genesis_hash);
    ord_read_hash(&reader, &out->client);
    out->sequence = ord_read_u64(&reader);
    out->config_sequence = ord_read_u64(&reader);
    out->transaction_count = ord_read_u32(&reader);
    out->transactions = ord_read_span(&reader, bytes.size - CHANNEL_ENVELOPE_OVERHEAD);
    ord_read_signature(&reader, &out->signature);
    if (ord_reader_finish(&reader) != ORD_OK || !kind_fits(out) ||
        !channel_items_fill(out->transactions, out->transaction_count))
        return ORD_ERR_INVALID;
    return ORD_OK;
}

void channel_envelope_id(struct ord_hash *out, struct ord_span body) {
    channel_tagged_hash(out, CHANNEL_TAG_ENVELOPE, body);
}

enum ord_err channel_envelope_next(struct ord_span *transaction, struct ord_span *transactions) {
    return channel_batch_next(transaction, transactions);
}

size_t channel_envelope_size(const struct ord_span *transactions, uint32_t transaction_count) {
    size_t size = CHANNEL_ENVELOPE_OVERHEAD;
    for (uint32_t i = 0; i < transaction_count; i++)
        size += CHANNEL_LENGTH_SIZE + transactions[i].size;
    return size;
}

enum ord_err channel_envelope_encode(struct ord_writer *out, const struct channel_envelope *header,
                                     const struct ord_span *transactions, uint32_t transaction_count,
                                     const struct crypto_private_key *key) {
    struct channel_envelope form = *header;
    form.transaction_count = transaction_count;
    if (!kind_fits(&form))
        return ORD_ERR_INVALID;
    size_t start = out->size;
    ord_write_u8(out, ENVELOPE_VERSION);
    ord_write_u8(out, (uint8_t) header->kind);
    ord_write_hash(out, &header->genesis_hash);
    ord_write_hash(out, &header->client);
    ord_write_u64(out, header->sequence);
    ord_write_u64(out, header->config_sequence);
    ord_write_u32(out, transaction_count);
    for (uint32_t i = 0; i < transaction_count; i++)
        ord_write_string(out, transactions[i]);
    enum ord_err err = ord_writer_finish(out);
    if (err != ORD_OK)
        return err;
    struct ord_signature signature = {{0}};
    if (key != NULL) {
        struct ord_hash id;
        channel_envelope_id(&id, ord_span_of(out->data + start, out->size - start));
        err = crypto_sign(&signature, key, &id);
        if (err != ORD_OK)
            return err;
    }
    ord_write_signature(out, &signature);
    return ord_writer_finish(out);
}
