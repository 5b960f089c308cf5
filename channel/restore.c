/*
 * Restores clients, head and open block from the replica's own disk. They were executed once and are not executed
 * again, but each is checked for the form that an executed state must have.
 */
#include "channel/marks.h"
#include "channel/state.h"
#include "channel/state_internal.h"

enum ord_err channel_restore_client(struct channel *channel, uint32_t client_index, struct ord_span record) {
    struct channel_client client;
    enum ord_err err = channel_record_decode(&client, record);
    if (err != ORD_OK)
        return err;
    if (client_index != channel->table.count || client.org_index >= channel->config.org_count)
        return ORD_ERR_CORRUPT;
    uint32_t added;
    if (channel_table_add(&channel->table, &added, &client) != ORD_OK)
        return ORD_ERR_CORRUPT;
    /* The record comes from the disk, so it need not be written. */
    channel_table_clean(&channel->table);
    return ORD_OK;
}

enum ord_err channel_restore_head(struct channel *channel, const struct channel_header *head, uint64_t applied_seq,
                                  const struct channel_progress *progress) {
    if (channel->cutter.envelope_count > 0)
        return ORD_ERR_WRONG_STATE;
    struct ord_hash hash;
    channel_header_hash(&hash, head);
    bool ours = head->height == 0
                    ? ord_hash_equal(&hash, &channel->genesis_hash)
                    : ord_hash_equal(&head->genesis_hash, &channel->genesis_hash) && head->last_seq >= 1 &&
                          head->epoch == channel->config.epoch && head->config_height == channel->config_height;
    if (!ours)
        return ORD_ERR_MISMATCH;
    /* When applied_seq is one less than the head's last seq, a transfer was interrupted and has to go on. */
    if (head->last_seq > 0 && applied_seq < head->last_seq - 1)
        return ORD_ERR_CORRUPT;
    ORD_MARK_IF(applied_seq < head->last_seq, RESTORE_IN_TRANSFER);
    channel->head_height = head->height;
    channel->head_hash = hash;
    channel->head_last_seq = head->last_seq;
    channel->applied_seq = applied_seq;
    channel->progress = *progress;
    return ORD_OK;
}

enum ord_err channel_restore_open(struct channel *channel, struct ord_span envelope,
                                  const struct channel_entry *entry) {
    struct channel_envelope decoded;
    const struct channel_client *client = channel_client_get(channel, entry->client_index);
    if (client == NULL || channel_envelope_decode(&decoded, envelope) != ORD_OK)
        return ORD_ERR_CORRUPT;
    if (!ord_hash_equal(&decoded.client, &client->fingerprint) ||
        !ord_hash_equal(&decoded.genesis_hash, &channel->genesis_hash) || decoded.sequence != entry->sequence ||
        entry->seq > channel->applied_seq)
        return ORD_ERR_CORRUPT;
    /* The envelope was executed, so the client's window must have its sequence number. */
    bool marked = decoded.kind == CHANNEL_ENVELOPE_REGISTER;
    if (decoded.kind == CHANNEL_ENVELOPE_TRANSACTIONS) {
        enum channel_sequence state = channel_sequence_check(client, decoded.sequence);
        marked = state == CHANNEL_SEQUENCE_SEEN || state == CHANNEL_SEQUENCE_OLD;
    }
    struct channel_cutter *cutter = &channel->cutter;
    if (!marked || !channel_cutter_fits(cutter, envelope.size, decoded.transaction_count))
        return ORD_ERR_CORRUPT;
    ORD_MARK(RESTORE_OPEN_BLOCK);
    channel_cutter_add(cutter, envelope, decoded.transaction_count, entry);
    return ORD_OK;
}
