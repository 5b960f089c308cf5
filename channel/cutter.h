/*
 * The block cutter: a deterministic function of the ordered envelopes (DESIGN, section 7). An envelope has a message count (its
 * transactions; a registration has one) and a size (its bytes, without the length in front). Private to channel/.
 *
 * The rules, in order, for an envelope that was accepted:
 * 1. Before: an open block that is not empty is closed when the envelope is larger than PreferredMaxBytes, or when adding it
 *    would pass PreferredMaxBytes or MaxMessageCount.
 * 2. The envelope is added.
 * 3. After: the block is closed when the envelope is larger than PreferredMaxBytes (it is alone), or when MaxMessageCount is
 *    reached. A block that reaches PreferredMaxBytes exactly stays open.
 * An envelope with more transactions than MaxMessageCount, or larger than AbsoluteMaxBytes, is never accepted, so no block
 * ever passes MaxMessageCount.
 *
 * Around them, in a batch:
 * - The batch's cut marker is executed first, before its envelopes: it closes block h when the open block has height h and is
 *   not empty. Any other marker is void. So a marker closes what was ordered before it, and nothing that comes with it.
 * - With BatchTimeout 0 the open block is closed at the end of every batch.
 * - header.last_seq of a block is the seq of the batch that closed it; every envelope in it has that seq or a lower one. It is
 *   not the last envelope's own seq, because a replica that got an open block by state transfer cannot know that one.
 *
 * The open block's bytes are gathered in encoded form, and each envelope's Merkle leaf is computed as it is added; closing
 * copies nothing.
 */
#ifndef ORDAIN_CHANNEL_CUTTER_H
#define ORDAIN_CHANNEL_CUTTER_H

#include "channel/block.h"
#include "channel/layout.h"

struct channel_cutter {
    uint32_t preferred_max_bytes;
    uint32_t max_message_count;
    /* the open block */
    uint32_t envelope_count;
    uint32_t transaction_count; /* <= max_message_count */
    uint64_t byte_count;        /* of the envelopes */
    size_t data_size;
    size_t data_capacity;
    uint8_t *data;
    struct ord_hash *leaves;       /* max_message_count; work space of the root when it closes */
    struct channel_entry *entries; /* max_message_count */
};

void channel_cutter_lay_out(struct channel_cutter *cutter, struct layout *layout, const struct channel_config *config);
/* Must the open block be closed before an envelope of this size and message count is added? */
bool channel_cutter_before(const struct channel_cutter *cutter, size_t envelope_size, uint32_t transaction_count);
/* Does an envelope like this fit the open block? (It does when channel_cutter_before says no.) */
bool channel_cutter_fits(const struct channel_cutter *cutter, size_t envelope_size, uint32_t transaction_count);
/* It fits. */
void channel_cutter_add(struct channel_cutter *cutter, struct ord_span envelope, uint32_t transaction_count,
                        const struct channel_entry *entry);
/* Must the open block be closed after what was added? */
bool channel_cutter_after(const struct channel_cutter *cutter);
/* Fills root, counts and bytes of the header of the open block, which is not empty. Destroys the leaves: reset it next. */
void channel_cutter_close(struct channel_cutter *cutter, struct channel_header *header);
/* Empties the open block. */
void channel_cutter_reset(struct channel_cutter *cutter);
/* Digest over the Merkle leaves of the open block, in order. */
void channel_cutter_digest(const struct channel_cutter *cutter, struct ord_hash *out);

#endif
