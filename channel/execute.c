/*
 * Executes ordered batches: judges each envelope against the state at that moment, marks it in the client table, and
 * gives it to the cutter. Every replica drops the same envelopes.
 */
#include "channel/marks.h"
#include "channel/state.h"
#include "channel/state_internal.h"
#include "core/assert.h"

/*
 * A batch stays in the core's memory until a later checkpoint is stable, even if none of its envelopes enters a block.
 * Therefore every quarter of that memory leads to a point of attestation, however few of its envelopes are acceptable.
 */
enum { POINT_BYTES_PART = 4 };

enum ord_err channel_ordered_judge(const struct channel *channel, struct channel_ordered *out, struct ord_span bytes) {
    out->fate = CHANNEL_FATE_REFUSE;
    out->verdict.verified = false;
    if (channel_envelope_decode(&out->envelope, bytes) != ORD_OK)
        return ORD_OK;
    enum ord_err err = channel_consider(channel, &out->verdict, &out->envelope);
    if (err == ORD_ERR_NO_MEMORY)
        return err;
    if (err != ORD_OK)
        return ORD_OK;
    if (out->verdict.client_index == UINT32_MAX) {
        ORD_MARK_IF(out->verdict.again, REGISTERED_AGAIN);
        out->fate = out->verdict.again ? CHANNEL_FATE_DUPLICATE : CHANNEL_FATE_ACCEPT;
        return ORD_OK;
    }
    const struct channel_client *client = &channel->table.clients[out->verdict.client_index];
    switch (channel_sequence_check(client, out->envelope.sequence)) {
    case CHANNEL_SEQUENCE_FRESH:
        out->fate = CHANNEL_FATE_ACCEPT;
        break;
    case CHANNEL_SEQUENCE_SEEN:
        ORD_MARK(SEQUENCE_SEEN);
        out->fate = CHANNEL_FATE_DUPLICATE;
        break;
    case CHANNEL_SEQUENCE_OLD: /* treated as seen, because nobody knows any more */
        ORD_MARK(SEQUENCE_OLD);
        out->fate = CHANNEL_FATE_DUPLICATE;
        break;
    case CHANNEL_SEQUENCE_AHEAD:
        ORD_MARK(SEQUENCE_AHEAD);
        break;
    }
    return ORD_OK;
}

void channel_ordered_commit(struct channel *channel, struct channel_entry *entry, const struct channel_ordered *ordered,
                            uint64_t seq) {
    ORD_ASSERT(ordered->fate == CHANNEL_FATE_ACCEPT);
    entry->client_index = ordered->verdict.client_index;
    entry->sequence = ordered->envelope.sequence;
    if (ordered->verdict.client_index != UINT32_MAX) {
        channel_table_mark(&channel->table, entry->client_index, entry->sequence);
        return;
    }
    const struct channel_newcomer *newcomer = &ordered->verdict.newcomer;
    const struct channel_client client = {
        .fingerprint = newcomer->fingerprint,
        .key = newcomer->key,
        .verify_key = newcomer->verify_key,
        .org_index = newcomer->org_index,
        .role = newcomer->role,
        .not_before_s = newcomer->not_before_s,
        .not_after_s = newcomer->not_after_s,
        .registered_seq = seq,
    };
    enum ord_err err = channel_table_add(&channel->table, &entry->client_index, &client);
    ORD_ASSERT(err == ORD_OK);
}

static enum ord_err close_block(struct channel *channel, struct channel_applied *applied, uint64_t seq,
                                const struct channel_sink *sink) {
    struct channel_cutter *cutter = &channel->cutter;
    struct channel_block block = {
        .header =
            {
                .genesis_hash = channel->genesis_hash,
                .height = channel->head_height + 1,
                .previous_hash = channel->head_hash,
                .epoch = channel->config.epoch,
                .config_height = channel->config_height,
                .last_seq = seq,
            },
        .data = ord_span_of(cutter->data, cutter->data_size),
        .entries = cutter->entries,
    };
    channel_cutter_close(cutter, &block.header);
    channel_header_hash(&block.header_hash, &block.header);
    channel->head_height = block.header.height;
    channel->head_hash = block.header_hash;
    channel->head_last_seq = seq;
    applied->blocks++;
    enum ord_err err = sink->block(sink->context, &block);
    channel_cutter_reset(cutter);
    return err;
}

static enum ord_err apply_envelope(struct channel *channel, struct channel_applied *applied, struct ord_span bytes,
                                   uint64_t seq, uint32_t batch_index, const struct channel_sink *sink) {
    struct channel_ordered ordered;
    enum ord_err err = channel_ordered_judge(channel, &ordered, bytes);
    applied->verified += ordered.verdict.verified;
    if (err != ORD_OK)
        return err;
    if (ordered.fate != CHANNEL_FATE_ACCEPT) {
        if (ordered.fate == CHANNEL_FATE_DUPLICATE)
            applied->duplicates++;
        else
            applied->refused++;
        return ORD_OK;
    }
    uint32_t count = ordered.envelope.transaction_count;
    if (channel_cutter_before(&channel->cutter, bytes.size, count)) {
        ORD_MARK_IF(bytes.size > channel->config.preferred_max_bytes, CUT_BEFORE_LARGE);
        ORD_MARK_IF(channel->cutter.byte_count + bytes.size > channel->config.preferred_max_bytes, CUT_BY_BYTES);
        ORD_MARK_IF(channel->cutter.transaction_count + count > channel->config.max_message_count, CUT_BY_COUNT);
        err = close_block(channel, applied, seq, sink);
        if (err != ORD_OK)
            return err;
    }
    struct channel_entry entry = {.batch_index = batch_index, .seq = seq};
    channel_ordered_commit(channel, &entry, &ordered, seq);
    channel_cutter_add(&channel->cutter, bytes, count, &entry);
    applied->accepted++;
    ORD_MARK_IF(channel->cutter.byte_count > channel->config.preferred_max_bytes, CUT_LARGE_ALONE);
    ORD_MARK_IF(channel->cutter.transaction_count == channel->config.max_message_count, CUT_FULL);
    return channel_cutter_after(&channel->cutter) ? close_block(channel, applied, seq, sink) : ORD_OK;
}

static enum ord_err apply_batch(struct channel *channel, struct channel_applied *applied, uint64_t seq,
                                struct ord_span bytes, const struct channel_sink *sink) {
    struct channel_batch batch;
    if (channel_batch_decode(&batch, bytes) != ORD_OK && bytes.size > 0)
        applied->refused++; /* a malformed batch is executed as the null batch */
    if (batch.names_view)
        channel_progress_named(&channel->progress, &channel->config, &channel->genesis_hash, batch.view, seq);
    if (batch.cut_height != 0) {
        applied->cut_void = batch.cut_height != channel->head_height + 1 || channel->cutter.envelope_count == 0;
        ORD_MARK_IF(!applied->cut_void, CUT_BY_MARKER);
        ORD_MARK_IF(batch.cut_height <= channel->head_height, MARKER_LATE);
        ORD_MARK_IF(batch.cut_height > channel->head_height + 1, MARKER_EARLY);
        ORD_MARK_IF(batch.cut_height == channel->head_height + 1 && applied->cut_void, MARKER_OF_NOTHING);
        enum ord_err err = applied->cut_void ? ORD_OK : close_block(channel, applied, seq, sink);
        if (err != ORD_OK)
            return err;
    }
    struct ord_span envelope;
    for (uint32_t i = 0; channel_batch_next(&envelope, &batch.envelopes) == ORD_OK; i++) {
        enum ord_err err = apply_envelope(channel, applied, envelope, seq, i, sink);
        if (err != ORD_OK)
            return err;
    }
    if (channel->config.batch_timeout_ms == 0 && channel->cutter.envelope_count > 0) {
        ORD_MARK(CUT_AT_BATCH_END);
        return close_block(channel, applied, seq, sink);
    }
    return ORD_OK;
}

enum ord_err channel_apply(struct channel *channel, struct channel_applied *out, uint64_t seq, uint64_t term,
                           struct ord_span batch, const struct channel_sink *sink) {
    *out = (struct channel_applied) {0};
    bool in_transfer = channel->applied_seq < channel->head_last_seq;
    if (channel->broken || in_transfer || seq != channel->applied_seq + 1)
        return ORD_ERR_WRONG_STATE;
    enum ord_err err = apply_batch(channel, out, seq, batch, sink);
    if (err != ORD_OK) {
        channel->broken = true;
        return err;
    }
    channel->applied_seq = seq;
    channel->progress.term = term;
    channel->progress.bytes_since_point += batch.size;
    out->attest = out->blocks > 0 || seq % channel->config.checkpoint_interval == 0 ||
                  channel->progress.bytes_since_point >= channel->config.body_bytes_max / POINT_BYTES_PART;
    ORD_MARK_IF(out->attest && out->blocks == 0 && seq % channel->config.checkpoint_interval != 0, POINT_BY_BYTES);
    if (out->attest)
        channel->progress.bytes_since_point = 0;
    return ORD_OK;
}
