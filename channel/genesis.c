/*
 * The genesis block: a block of height 0 with one unsigned CONFIG envelope. Its header hash is the network's name, and
 * everything that is signed in the network contains that hash.
 */
#include <string.h>

#include "channel/block.h"
#include "channel/envelope.h"
#include "core/assert.h"

/*
 * Writes the envelope's length, the envelope up to its only transaction, and that transaction's length. Both
 * lengths are 0 for now. The configuration is then written directly behind them, where the finished envelope
 * has it, so that it needs no second buffer.
 */
static void write_front(struct ord_writer *data) {
    uint8_t bytes[CHANNEL_ENVELOPE_OVERHEAD + CHANNEL_LENGTH_SIZE];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    const struct channel_envelope envelope = {.kind = CHANNEL_ENVELOPE_CONFIG};
    const struct ord_span empty = {NULL, 0};
    enum ord_err err = channel_envelope_encode(&writer, &envelope, &empty, 1, NULL);
    ORD_ASSERT(err == ORD_OK && writer.size == sizeof(bytes));
    ord_write_u32(data, 0);
    ord_write_bytes(data, bytes, sizeof(bytes) - ORD_SIGNATURE_SIZE);
}

enum ord_err channel_genesis_create(struct channel_header *header, struct ord_writer *data,
                                    const struct channel_config *config) {
    enum ord_err err = channel_config_check(config, NULL);
    if (err != ORD_OK)
        return err;
    if (config->config_sequence != 0)
        return ORD_ERR_INVALID;
    size_t start = data->size;
    write_front(data);
    size_t config_start = data->size;
    err = channel_config_encode(config, data);
    if (err != ORD_OK)
        return err;
    size_t config_size = data->size - config_start;
    const struct ord_signature none = {{0}};
    ord_write_signature(data, &none);
    err = ord_writer_finish(data);
    if (err != ORD_OK)
        return err;
    ord_store_u32(data->data + start, (uint32_t) (data->size - start - CHANNEL_LENGTH_SIZE));
    ord_store_u32(data->data + config_start - CHANNEL_LENGTH_SIZE, (uint32_t) config_size);

    struct ord_hash leaf;
    *header = (struct channel_header) {.epoch = config->epoch};
    return channel_data_root(header, &leaf, 1, ord_span_of(data->data + start, data->size - start));
}

/* True if the fields that are fixed in a genesis block's header have their values. */
static bool header_is_first(const struct channel_header *header) {
    return ord_hash_is_zero(&header->genesis_hash) && ord_hash_is_zero(&header->previous_hash) && header->height == 0 &&
           header->config_height == 0 && header->last_seq == 0;
}

static bool envelope_is_first(const struct channel_envelope *envelope) {
    static const struct ord_signature none;
    return envelope->kind == CHANNEL_ENVELOPE_CONFIG && ord_hash_is_zero(&envelope->genesis_hash) &&
           ord_hash_is_zero(&envelope->client) && envelope->sequence == 0 && envelope->config_sequence == 0 &&
           memcmp(&envelope->signature, &none, sizeof(none)) == 0;
}

enum ord_err channel_genesis_open(struct channel_config *config, struct ord_hash *genesis_hash,
                                  struct channel_header *header, struct ord_span *data, struct ord_span file) {
    struct ord_reader reader = ord_reader_of(file);
    struct ord_span head = ord_read_span(&reader, CHANNEL_HEADER_SIZE);
    struct ord_span rest = ord_read_span(&reader, ord_reader_left(&reader));
    enum ord_err err = ord_reader_finish(&reader);
    if (err == ORD_OK)
        err = channel_header_decode(header, head);
    if (err != ORD_OK)
        return err;
    struct ord_hash leaf;
    if (!header_is_first(header) || channel_block_check(header, rest, &leaf, 1) != ORD_OK)
        return ORD_ERR_INVALID;

    struct ord_span left = rest;
    struct ord_span bytes;
    struct ord_span encoded;
    struct channel_envelope envelope;
    err = channel_batch_next(&bytes, &left);
    if (err == ORD_OK)
        err = channel_envelope_decode(&envelope, bytes);
    if (err != ORD_OK || left.size != 0 || !envelope_is_first(&envelope))
        return ORD_ERR_INVALID;
    err = channel_envelope_next(&encoded, &envelope.transactions);
    if (err == ORD_OK)
        err = channel_config_decode(config, encoded);
    if (err != ORD_OK)
        return err;
    if (config->config_sequence != 0 || config->epoch != header->epoch)
        return ORD_ERR_INVALID;
    channel_header_hash(genesis_hash, header);
    *data = rest;
    return ORD_OK;
}
