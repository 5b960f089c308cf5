/*
 * State transfer: executes closed blocks of others, and then the tail, the open block's envelopes behind the last
 * block. Afterwards a replica has the same state as one that executed the batches.
 *
 * The envelopes of our own open block are executed already. A block or tail of the others must begin with them, unless
 * our state differs. Therefore they are compared and not executed again.
 */
#include <string.h>

#include "channel/marks.h"
#include "channel/state.h"
#include "channel/state_internal.h"
#include "channel/tags.h"
#include "core/merkle.h"

/* Skips the open block's data at the beginning of `data`. False: `data` does not begin with it. */
static bool skip_open(const struct channel *channel, struct ord_span *data) {
    size_t size = channel->cutter.data_size;
    if (size == 0)
        return true;
    if (data->size < size || memcmp(data->data, channel->cutter.data, size) != 0)
        return false;
    *data = ord_span_of(data->data + size, data->size - size);
    return true;
}

static bool header_follows(const struct channel *channel, const struct channel_header *header) {
    return ord_hash_equal(&header->genesis_hash, &channel->genesis_hash) &&
           ord_hash_equal(&header->previous_hash, &channel->head_hash) && header->epoch == channel->config.epoch &&
           header->config_height == channel->config_height && header->last_seq > channel->applied_seq;
}

/* Executes one envelope that the others accepted. INVALID: we would not accept it. */
static enum ord_err execute(struct channel *channel, struct channel_entry *entry, uint32_t *transaction_count,
                            struct ord_span bytes) {
    struct channel_ordered ordered;
    enum ord_err err = channel_ordered_judge(channel, &ordered, bytes);
    if (err != ORD_OK)
        return err;
    if (ordered.fate != CHANNEL_FATE_ACCEPT)
        return ORD_ERR_INVALID;
    *transaction_count = ordered.envelope.transaction_count;
    channel_ordered_commit(channel, entry, &ordered, entry->seq);
    return ORD_OK;
}

/* Executes the envelopes of a block that are not executed yet, and gives the sink the whole block. */
static enum ord_err execute_block(struct channel *channel, const struct channel_block *block, struct ord_span rest,
                                  const struct channel_sink *sink) {
    struct channel_cutter *cutter = &channel->cutter;
    const uint64_t seq = block->header.last_seq;
    uint32_t count = cutter->envelope_count;
    for (uint32_t i = 0; i < count; i++) {
        cutter->entries[i].seq = seq;
        cutter->entries[i].batch_index = 0;
    }
    while (rest.size > 0) {
        struct ord_span bytes;
        enum ord_err err = channel_batch_next(&bytes, &rest);
        if (err != ORD_OK || count == cutter->max_message_count)
            return ORD_ERR_INVALID;
        struct channel_entry *entry = &cutter->entries[count++];
        uint32_t transaction_count;
        *entry = (struct channel_entry) {.seq = seq};
        err = execute(channel, entry, &transaction_count, bytes);
        if (err != ORD_OK)
            return err;
    }
    if (count != block->header.envelope_count)
        return ORD_ERR_INVALID;
    channel->head_height = block->header.height;
    channel->head_hash = block->header_hash;
    channel->head_last_seq = seq;
    ORD_MARK_IF(cutter->envelope_count > 0, TRANSFER_IN_OPEN_BLOCK);
    /* The next block or the tail may hold more envelopes of `seq`. */
    channel->applied_seq = seq - 1;
    enum ord_err err = sink->block(sink->context, block);
    channel_cutter_reset(cutter);
    return err;
}

enum ord_err channel_apply_block(struct channel *channel, const struct channel_header *header, struct ord_span data,
                                 const struct channel_sink *sink) {
    if (channel->broken || header->height != channel->head_height + 1)
        return ORD_ERR_WRONG_STATE;
    struct ord_span rest = data;
    if (!header_follows(channel, header) || !skip_open(channel, &rest))
        return ORD_ERR_INVALID;
    struct channel_block block = {.header = *header, .data = data, .entries = channel->cutter.entries};
    channel_header_hash(&block.header_hash, header);
    enum ord_err err = execute_block(channel, &block, rest, sink);
    channel->broken = err != ORD_OK;
    return err;
}

enum ord_err channel_tail_check(struct channel *channel, struct ord_span data, const struct ord_hash *clients_root,
                                const struct channel_progress *progress, const struct ord_hash *state_digest) {
    const struct ord_crypto_ops ops = channel_merkle_ops();
    struct channel_cutter *cutter = &channel->cutter;
    if (channel->broken)
        return ORD_ERR_WRONG_STATE;
    if (!skip_open(channel, &data))
        return ORD_ERR_MISMATCH;
    /* The space behind the open block's leaves is free. Executing the tail writes the same leaves there again. */
    uint32_t count = cutter->envelope_count;
    while (data.size > 0) {
        struct ord_span bytes;
        if (channel_batch_next(&bytes, &data) != ORD_OK || count == cutter->max_message_count)
            return ORD_ERR_MISMATCH;
        ord_merkle_leaf(&ops, &cutter->leaves[count++], bytes);
    }
    struct ord_hash open_digest;
    struct ord_hash digest;
    channel_tagged_hash(&open_digest, CHANNEL_TAG_OPEN, ord_span_of(cutter->leaves, (size_t) count * ORD_HASH_SIZE));
    channel_digest_of(channel, &digest, clients_root, &open_digest, progress);
    ORD_MARK_IF(!ord_hash_equal(&digest, state_digest), TRANSFER_TAIL_FORGED);
    return ord_hash_equal(&digest, state_digest) ? ORD_OK : ORD_ERR_MISMATCH;
}

static enum ord_err execute_tail(struct channel *channel, uint64_t seq, const struct channel_progress *progress,
                                 struct ord_span rest) {
    struct channel_cutter *cutter = &channel->cutter;
    while (rest.size > 0) {
        struct ord_span bytes;
        if (channel_batch_next(&bytes, &rest) != ORD_OK)
            return ORD_ERR_INVALID;
        struct channel_entry entry = {.seq = seq, .batch_index = CHANNEL_NO_BATCH_INDEX};
        uint32_t transaction_count;
        enum ord_err err = execute(channel, &entry, &transaction_count, bytes);
        if (err != ORD_OK)
            return err;
        if (!channel_cutter_fits(cutter, bytes.size, transaction_count))
            return ORD_ERR_INVALID;
        channel_cutter_add(cutter, bytes, transaction_count, &entry);
        if (channel_cutter_after(cutter))
            return ORD_ERR_INVALID; /* the block would have been closed */
    }
    ORD_MARK_IF(cutter->envelope_count > 0, TRANSFER_TAIL);
    channel->applied_seq = seq;
    channel->progress = *progress;
    return ORD_OK;
}

enum ord_err channel_apply_tail(struct channel *channel, uint64_t seq, const struct channel_progress *progress,
                                struct ord_span data) {
    if (channel->broken || seq < channel->applied_seq || seq < channel->head_last_seq)
        return ORD_ERR_WRONG_STATE;
    struct ord_span rest = data;
    bool never_open = channel->config.batch_timeout_ms == 0;
    if (!skip_open(channel, &rest) || (never_open && data.size > 0))
        return ORD_ERR_INVALID;
    enum ord_err err = execute_tail(channel, seq, progress, rest);
    channel->broken = err != ORD_OK;
    return err;
}
