/*
 * The channel's state: its memory, its accessors and its digest.
 */
#include "channel/state.h"

#include <string.h>

#include "channel/state_internal.h"
#include "channel/tags.h"
#include "core/assert.h"
#include "core/codec.h"

enum { NEWCOMERS = 2048 };

/* Lays out the arrays of a channel with this configuration behind struct channel. */
static void lay_out(struct channel_cutter *cutter, struct channel_table *table, struct channel_newcomer **newcomers,
                    struct layout *layout, const struct channel_config *config) {
    layout->offset = sizeof(struct channel);
    channel_cutter_lay_out(cutter, layout, config);
    channel_table_lay_out(table, layout, config->clients_max);
    *newcomers = layout_array(layout, NEWCOMERS, sizeof(**newcomers));
}

size_t channel_memory_size(const struct channel_config *config) {
    struct channel_cutter cutter;
    struct channel_table table;
    struct channel_newcomer *newcomers;
    struct layout layout = {.base = NULL};
    lay_out(&cutter, &table, &newcomers, &layout, config);
    /* channel_init encodes the configuration into the memory behind struct channel. */
    size_t least = sizeof(struct channel) + CHANNEL_CONFIG_BYTES_MAX;
    return layout.offset > least ? layout.offset : least;
}

enum ord_err channel_init(struct channel **out, void *memory, size_t memory_size, const struct channel_config *config,
                          const struct ord_hash *genesis_hash) {
    enum ord_err err = channel_config_check(config, NULL);
    if (err != ORD_OK)
        return err;
    if (memory_size < channel_memory_size(config))
        return ORD_ERR_NO_SPACE;
    uint8_t *base = memory;
    struct ord_writer writer = ord_writer_of(base + sizeof(struct channel), CHANNEL_CONFIG_BYTES_MAX);
    err = channel_config_encode(config, &writer);
    if (err != ORD_OK)
        return err;
    struct channel *channel = memory;
    memset(channel, 0, sizeof(*channel));
    channel_tagged_hash(&channel->config_hash, CHANNEL_TAG_CONFIG, ord_writer_span(&writer));
    channel->config = *config;
    channel->genesis_hash = *genesis_hash;
    channel->head_hash = *genesis_hash;
    struct layout layout = {.base = base};
    lay_out(&channel->cutter, &channel->table, &channel->newcomers, &layout, config);
    ORD_ASSERT(layout.offset <= memory_size);
    channel_cutter_reset(&channel->cutter);
    channel_table_init(&channel->table);
    memset(channel->newcomers, 0, NEWCOMERS * sizeof(*channel->newcomers));
    *out = channel;
    return ORD_OK;
}

size_t channel_clients_dirty(const struct channel *channel, const uint32_t **client_indexes) {
    *client_indexes = channel->table.dirty;
    return channel->table.dirty_count;
}

void channel_clients_clean(struct channel *channel) {
    channel_table_clean(&channel->table);
}

size_t channel_client_record(const struct channel *channel, uint32_t client_index, uint8_t *out) {
    ORD_ASSERT(client_index < channel->table.count);
    return channel_record_encode(out, &channel->table.clients[client_index]);
}

static struct channel_newcomer *slot_of(const struct channel *channel, const struct ord_hash *fingerprint) {
    return &channel->newcomers[ord_load_u32(fingerprint->bytes) % NEWCOMERS];
}

void channel_newcomer_note(struct channel *channel, const struct channel_newcomer *newcomer) {
    *slot_of(channel, &newcomer->fingerprint) = *newcomer;
}

const struct channel_newcomer *channel_newcomer_find(const struct channel *channel,
                                                     const struct ord_hash *fingerprint) {
    const struct channel_newcomer *newcomer = slot_of(channel, fingerprint);
    bool is_there = newcomer->role != CRYPTO_ROLE_NONE && ord_hash_equal(&newcomer->fingerprint, fingerprint);
    return is_there ? newcomer : NULL;
}

const struct channel_client *channel_client_find(const struct channel *channel, uint32_t *client_index,
                                                 const struct ord_hash *fingerprint) {
    return channel_table_find(&channel->table, client_index, fingerprint);
}

const struct channel_client *channel_client_get(const struct channel *channel, uint32_t client_index) {
    return client_index < channel->table.count ? &channel->table.clients[client_index] : NULL;
}

uint32_t channel_client_count(const struct channel *channel) {
    return channel->table.count;
}

uint64_t channel_height(const struct channel *channel) {
    return channel->head_height;
}

const struct ord_hash *channel_head_hash(const struct channel *channel) {
    return &channel->head_hash;
}

const struct channel_progress *channel_progress(const struct channel *channel) {
    return &channel->progress;
}

uint64_t channel_applied_seq(const struct channel *channel) {
    return channel->applied_seq;
}

void channel_open(const struct channel *channel, struct channel_open_block *out) {
    const struct channel_cutter *cutter = &channel->cutter;
    *out = (struct channel_open_block) {
        .height = channel->head_height + 1,
        .first_seq = cutter->envelope_count == 0 ? 0 : cutter->entries[0].seq,
        .envelope_count = cutter->envelope_count,
        .transaction_count = cutter->transaction_count,
        .entries = cutter->entries,
        .data = ord_span_of(cutter->data, cutter->data_size),
    };
}

void channel_digest_of(const struct channel *channel, struct ord_hash *out, const struct ord_hash *clients_root,
                       const struct ord_hash *open_digest, const struct channel_progress *progress) {
    uint8_t bytes[8 + ORD_HASH_SIZE * 4 + 8 + CHANNEL_PROGRESS_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    ord_write_u64(&writer, channel->head_height);
    ord_write_hash(&writer, &channel->head_hash);
    ord_write_hash(&writer, clients_root);
    ord_write_hash(&writer, open_digest);
    ord_write_hash(&writer, &channel->config_hash);
    ord_write_u64(&writer, channel->config.epoch);
    channel_progress_write(&writer, &channel->config, progress);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    channel_tagged_hash(out, CHANNEL_TAG_STATE, ord_writer_span(&writer));
}

void channel_clients_root(struct channel *channel, struct ord_hash *out) {
    channel_table_root(&channel->table, out);
}

void channel_state_digest(struct channel *channel, struct ord_hash *out) {
    struct ord_hash clients_root;
    struct ord_hash open_digest;
    channel_table_root(&channel->table, &clients_root);
    channel_cutter_digest(&channel->cutter, &open_digest);
    channel_digest_of(channel, out, &clients_root, &open_digest, &channel->progress);
}
