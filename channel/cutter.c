/*
 * The block cutter and the open block's buffers. channel/cutter.h states the rules.
 */
#include "channel/cutter.h"

#include <string.h>

#include "channel/envelope.h"
#include "channel/tags.h"
#include "core/assert.h"
#include "core/merkle.h"

void channel_cutter_lay_out(struct channel_cutter *cutter, struct layout *layout, const struct channel_config *config) {
    /* Several envelopes have at most PreferredMaxBytes together; a single one has at most AbsoluteMaxBytes. */
    size_t envelopes = config->preferred_max_bytes > config->absolute_max_bytes ? config->preferred_max_bytes
                                                                                : config->absolute_max_bytes;
    cutter->preferred_max_bytes = config->preferred_max_bytes;
    cutter->max_message_count = config->max_message_count;
    cutter->data_capacity = envelopes + (size_t) config->max_message_count * CHANNEL_LENGTH_SIZE;
    cutter->data = layout_array(layout, cutter->data_capacity, 1);
    cutter->leaves = layout_array(layout, config->max_message_count, sizeof(*cutter->leaves));
    cutter->entries = layout_array(layout, config->max_message_count, sizeof(*cutter->entries));
}

bool channel_cutter_before(const struct channel_cutter *cutter, size_t envelope_size, uint32_t transaction_count) {
    if (cutter->envelope_count == 0)
        return false;
    return envelope_size > cutter->preferred_max_bytes ||
           cutter->byte_count + envelope_size > cutter->preferred_max_bytes ||
           (uint64_t) cutter->transaction_count + transaction_count > cutter->max_message_count;
}

bool channel_cutter_fits(const struct channel_cutter *cutter, size_t envelope_size, uint32_t transaction_count) {
    return transaction_count >= 1 && transaction_count <= cutter->max_message_count &&
           envelope_size <= cutter->data_capacity - CHANNEL_LENGTH_SIZE &&
           !channel_cutter_before(cutter, envelope_size, transaction_count);
}

void channel_cutter_add(struct channel_cutter *cutter, struct ord_span envelope, uint32_t transaction_count,
                        const struct channel_entry *entry) {
    ORD_ASSERT(cutter->envelope_count < cutter->max_message_count &&
               transaction_count <= cutter->max_message_count - cutter->transaction_count);
    ORD_ASSERT(envelope.size + CHANNEL_LENGTH_SIZE <= cutter->data_capacity - cutter->data_size);
    const struct ord_crypto_ops ops = channel_merkle_ops();
    uint8_t *to = cutter->data + cutter->data_size;
    ord_store_u32(to, (uint32_t) envelope.size);
    memcpy(to + CHANNEL_LENGTH_SIZE, envelope.data, envelope.size);
    ord_merkle_leaf(&ops, &cutter->leaves[cutter->envelope_count], envelope);
    cutter->entries[cutter->envelope_count] = *entry;
    cutter->envelope_count++;
    cutter->transaction_count += transaction_count;
    cutter->byte_count += envelope.size;
    cutter->data_size += CHANNEL_LENGTH_SIZE + envelope.size;
}

bool channel_cutter_after(const struct channel_cutter *cutter) {
    /* Only a single large envelope can bring a block over PreferredMaxBytes. */
    return cutter->byte_count > cutter->preferred_max_bytes || cutter->transaction_count >= cutter->max_message_count;
}

void channel_cutter_close(struct channel_cutter *cutter, struct channel_header *header) {
    ORD_ASSERT(cutter->envelope_count > 0);
    const struct ord_crypto_ops ops = channel_merkle_ops();
    ord_merkle_root(&ops, &header->data_root, cutter->leaves, cutter->envelope_count);
    header->envelope_count = cutter->envelope_count;
    header->transaction_count = cutter->transaction_count;
    header->byte_count = cutter->byte_count;
}

void channel_cutter_reset(struct channel_cutter *cutter) {
    cutter->envelope_count = 0;
    cutter->transaction_count = 0;
    cutter->byte_count = 0;
    cutter->data_size = 0;
}

void channel_cutter_digest(const struct channel_cutter *cutter, struct ord_hash *out) {
    channel_tagged_hash(out, CHANNEL_TAG_OPEN,
                        ord_span_of(cutter->leaves, (size_t) cutter->envelope_count * ORD_HASH_SIZE));
}
