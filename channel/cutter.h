/*
 * The block cutter: a deterministic function of the ordered envelopes (docs/protocol.md, "Cutting"). An envelope has a
 * message count (its transactions; a registration has one) and a size (its bytes, without
 * the length in front). Private to channel/.
 *
 * The rules for an accepted envelope, in order:
 * 1. Before the envelope is added, an open block that is not empty is closed if the envelope is larger than
 *    PreferredMaxBytes, or if adding it would exceed PreferredMaxBytes or MaxMessageCount.
 * 2. The envelope is added.
 * 3. Then the block is closed if the envelope is larger than PreferredMaxBytes (it is alone in its block), or if
 *    MaxMessageCount is reached. A block that reaches PreferredMaxBytes exactly stays open.
 * An envelope with more transactions than MaxMessageCount, or larger than AbsoluteMaxBytes, is never accepted.
 * Therefore no block ever exceeds MaxMessageCount.
 *
 * The rules for a batch:
 * - The batch's cut marker is executed first, before its envelopes. It closes block h if the open block has
 *   height h and is not empty. Any other marker is void. A marker thus closes envelopes that were ordered
 *   before its batch, and none of its own batch.
 * - With BatchTimeout 0 the open block is closed at the end of every batch.
 * - A block's header.last_seq is the seq of the batch that closed it. Every envelope in it has that seq
 *   or a lower one. The field does not hold the last envelope's own seq, because a replica that got an
 *   open block by state transfer cannot know it.
 *
 * The open block's bytes are gathered in encoded form, and each envelope's Merkle leaf is computed when it is added, so
 * closing a block copies nothing.
 */
#ifndef ORDAIN_CHANNEL_CUTTER_H
#define ORDAIN_CHANNEL_CUTTER_H

#include "channel/block.h"
#include "channel/layout.h"

struct channel_cutter {
    uint32_t preferred_max_bytes;
    uint32_t max_message_count;
    /* The open block. */
    uint32_t envelope_count;
    uint32_t transaction_count; /* <= max_message_count */
    uint64_t byte_count;        /* the envelopes' bytes */
    size_t data_size;
    size_t data_capacity;
    uint8_t *data;
    /* [max_message_count]. Computing the root at the close overwrites them. */
    struct ord_hash *leaves;
    struct channel_entry *entries; /* [max_message_count] */
};

void channel_cutter_lay_out(struct channel_cutter *cutter, struct layout *layout, const struct channel_config *config);
/* True if the open block must be closed before an envelope of this size and message count is added. */
bool channel_cutter_before(const struct channel_cutter *cutter, size_t envelope_size, uint32_t transaction_count);
/* True if such an envelope can be added to the open block: it may be in a block, and channel_cutter_before is false. */
bool channel_cutter_fits(const struct channel_cutter *cutter, size_t envelope_size, uint32_t transaction_count);
/* Adds an envelope to the open block. It must fit. */
void channel_cutter_add(struct channel_cutter *cutter, struct ord_span envelope, uint32_t transaction_count,
                        const struct channel_entry *entry);
/* True if the open block must be closed after the envelope that was just added. */
bool channel_cutter_after(const struct channel_cutter *cutter);
/*
 * Fills in the data root and the counts of the open block's header. The block must not be empty. Destroys the leaves,
 * so channel_cutter_reset must follow.
 */
void channel_cutter_close(struct channel_cutter *cutter, struct channel_header *header);
/* Empties the open block. */
void channel_cutter_reset(struct channel_cutter *cutter);
/* Digest over the Merkle leaves of the open block, in order. */
void channel_cutter_digest(const struct channel_cutter *cutter, struct ord_hash *out);

#endif
