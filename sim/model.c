/*
 * The model uses sets instead of windows, lists instead of buffers, and recursion instead of levels.
 */
#include "sim/model.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

#define REPLAY_WINDOW 4096

void sim_model_init(struct sim_model *model, const struct channel_config *config, const struct ord_hash *genesis_hash) {
    *model = (struct sim_model) {.config = config, .genesis_hash = *genesis_hash};
    sim_model_state_init(model);
}

void sim_model_deinit(struct sim_model *model) {
    for (size_t i = 0; i < model->block_count; i++) {
        sim_buffer_release(model->blocks[i].data);
        free(model->blocks[i].envelopes);
    }
    sim_map_deinit(&model->made);
    sim_map_deinit(&model->seen);
    free(model->items);
    free(model->seqs);
    free(model->blocks);
    free(model->data);
    free(model->leaves);
    free(model->placed);
    free(model->order);
    for (uint32_t party = 0; party < SIM_PARTIES; party++)
        free(model->ordered[party].sequences);
}

void sim_model_batch_digest(uint64_t out[2], struct ord_span batch) {
    out[0] = sim_digest(1, batch);
    out[1] = sim_digest(2, batch);
}

void sim_model_made(struct sim_model *model, struct ord_span envelope, const struct sim_item *item) {
    bool fresh;
    struct sim_map_entry *entry =
        sim_map_insert(&model->made, &fresh, sim_digest(3, envelope), sim_digest(4, envelope), 0);
    if (!fresh)
        return;
    model->items = sim_grow(model->items, &model->item_capacity, model->item_count, sizeof(*model->items));
    struct sim_item *kept = &model->items[model->item_count++];
    *kept = *item;
    kept->size = envelope.size;
    static const uint8_t tag = 0;
    const struct ord_span parts[] = {ord_span_of(&tag, 1), envelope};
    crypto_sha256(&kept->leaf, parts, 2);
    entry->number = model->item_count;
}

const struct sim_item *sim_model_item(const struct sim_model *model, struct ord_span envelope) {
    const struct sim_map_entry *entry = sim_map_find(&model->made, sim_digest(3, envelope), sim_digest(4, envelope), 0);
    return entry == NULL ? NULL : &model->items[entry->number - 1];
}

/* RFC 6962, section 2.1, to the letter. */
static void root_of(struct ord_hash *out, const struct ord_hash *leaves, size_t count) {
    if (count == 1) {
        *out = leaves[0];
        return;
    }
    size_t left_count = 1;
    while (left_count * 2 < count)
        left_count *= 2;
    struct ord_hash left;
    struct ord_hash right;
    root_of(&left, leaves, left_count);
    root_of(&right, leaves + left_count, count - left_count);
    static const uint8_t tag = 1;
    const struct ord_span parts[] = {ord_span_of(&tag, 1), ord_span_of(left.bytes, 32), ord_span_of(right.bytes, 32)};
    crypto_sha256(out, parts, 3);
}

static void close_block(struct sim_model *model, uint64_t seq) {
    if (model->leaf_count == 0)
        return;
    struct channel_header header = {
        .genesis_hash = model->genesis_hash,
        .height = model->block_count + 1,
        .previous_hash =
            model->block_count == 0 ? model->genesis_hash : model->blocks[model->block_count - 1].header_hash,
        .envelope_count = (uint32_t) model->leaf_count,
        .transaction_count = model->message_count,
        .byte_count = model->byte_count,
        .epoch = model->config->epoch,
        .last_seq = seq,
    };
    root_of(&header.data_root, model->leaves, model->leaf_count);
    model->blocks = sim_grow(model->blocks, &model->block_capacity, model->block_count, sizeof(*model->blocks));
    struct sim_model_block *block = &model->blocks[model->block_count++];
    *block = (struct sim_model_block) {.data = sim_buffer_create(ord_span_of(model->data, model->data_size)),
                                       .envelopes = sim_alloc(model->leaf_count * sizeof(*block->envelopes)),
                                       .envelope_count = model->leaf_count,
                                       .first_seq = model->first_seq,
                                       .last_seq = seq,
                                       .order_end = model->order_count};
    memcpy(block->envelopes, model->placed, model->leaf_count * sizeof(*block->envelopes));
    channel_header_hash(&block->header_hash, &header);
    model->data_size = 0;
    model->leaf_count = 0;
    model->message_count = 0;
    model->byte_count = 0;
}

static bool acceptable(const struct sim_model *model, const struct sim_item *item) {
    const struct channel_config *config = model->config;
    if (item == NULL || item->junk || item->size > config->absolute_max_bytes ||
        item->message_count > config->max_message_count)
        return false;
    if (item->registration)
        return !model->registered[item->party] && model->client_count < config->clients_max;
    uint64_t highest = model->highest[item->party];
    return model->registered[item->party] && sim_map_find(&model->seen, item->party, item->sequence, 0) == NULL &&
           item->sequence + REPLAY_WINDOW > highest && item->sequence <= highest + REPLAY_WINDOW;
}

static void add(struct sim_model *model, const struct sim_item *item, struct ord_span envelope, uint64_t seq) {
    uint8_t length[4] = {(uint8_t) (envelope.size >> 24), (uint8_t) (envelope.size >> 16),
                         (uint8_t) (envelope.size >> 8), (uint8_t) envelope.size};
    if (model->leaf_count == 0)
        model->first_seq = seq;
    while (model->data_capacity < model->data_size + 4 + envelope.size)
        model->data = sim_grow(model->data, &model->data_capacity, model->data_capacity, 1);
    memcpy(model->data + model->data_size, length, 4);
    memcpy(model->data + model->data_size + 4, envelope.data, envelope.size);
    model->data_size += 4 + envelope.size;
    model->leaves = sim_grow(model->leaves, &model->leaf_capacity, model->leaf_count, sizeof(*model->leaves));
    model->placed = sim_grow(model->placed, &model->placed_capacity, model->leaf_count, sizeof(*model->placed));
    model->placed[model->leaf_count] = (struct sim_placed) {item->party, item->registration ? 0 : item->sequence};
    model->leaves[model->leaf_count++] = item->leaf;
    model->message_count += item->message_count;
    model->byte_count += envelope.size;
}

static void execute(struct sim_model *model, struct ord_span envelope, uint64_t seq) {
    const struct channel_config *config = model->config;
    const struct sim_item *item = sim_model_item(model, envelope);
    bool fresh;
    if (!acceptable(model, item))
        return;
    bool alone = envelope.size > config->preferred_max_bytes;
    if (alone || model->byte_count + envelope.size > config->preferred_max_bytes ||
        model->message_count + item->message_count > config->max_message_count)
        close_block(model, seq);
    if (item->registration) {
        model->registered[item->party] = true;
        model->parties[model->client_count++] = item->party;
    } else {
        sim_map_insert(&model->seen, &fresh, item->party, item->sequence, 0)->number = model->order_count + 1;
        struct sim_ordered *ordered = &model->ordered[item->party];
        ordered->sequences =
            sim_grow(ordered->sequences, &ordered->capacity, ordered->count, sizeof(*ordered->sequences));
        ordered->sequences[ordered->count++] = item->sequence;
        if (item->sequence > model->highest[item->party])
            model->highest[item->party] = item->sequence;
    }
    model->order = sim_grow(model->order, &model->order_capacity, model->order_count, sizeof(*model->order));
    model->accepted++;
    model->accepted_bytes += envelope.size;
    add(model, item, envelope, seq);
    model->order[model->order_count++] = model->placed[model->leaf_count - 1];
    if (alone || model->message_count == config->max_message_count)
        close_block(model, seq);
}

static uint64_t number(const uint8_t *bytes, uint32_t size) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

/*
 * A batch has a version, a cut height, in version 2 a view, a count, and then (length, envelope) each. A batch of any
 * other form executes as nothing.
 */
bool sim_model_well_formed(struct ord_span batch) {
    size_t at = batch.size > 0 && batch.data[0] == 2 ? 21 : 13;
    if (batch.size < at || (batch.data[0] != 1 && batch.data[0] != 2))
        return false;
    uint64_t count = number(batch.data + at - 4, 4);
    for (uint64_t i = 0; i < count; i++) {
        if (batch.size - at < 4 || number(batch.data + at, 4) > batch.size - at - 4)
            return false;
        at += 4 + (size_t) number(batch.data + at, 4);
    }
    return at == batch.size;
}

bool sim_model_names(struct ord_span batch, uint64_t *view) {
    if (batch.data[0] != 2)
        return false;
    *view = number(batch.data + 9, 8);
    return true;
}

struct ord_span sim_model_envelopes(struct ord_span batch) {
    size_t at = batch.data[0] == 2 ? 21 : 13;
    return ord_span_of(batch.data + at, batch.size - at);
}

struct ord_span sim_model_next(struct ord_span *rest) {
    if (rest->size == 0)
        return ord_span_of(NULL, 0);
    size_t size = (size_t) number(rest->data, 4);
    struct ord_span envelope = ord_span_of(rest->data + 4, size);
    *rest = ord_span_of(rest->data + 4 + size, rest->size - 4 - size);
    return envelope;
}

void sim_model_apply(struct sim_model *model, uint64_t term, struct ord_span batch) {
    uint64_t seq = model->seq_count + 1;
    model->term = term;
    size_t blocks = model->block_count;
    model->accepted = 0;
    model->accepted_bytes = 0;
    if (sim_model_well_formed(batch)) {
        uint64_t view;
        if (sim_model_names(batch, &view))
            sim_model_turn(model, view, seq);
        uint64_t cut = number(batch.data + 1, 8);
        if (cut != 0 && cut == model->block_count + 1)
            close_block(model, seq);
        struct ord_span rest = sim_model_envelopes(batch);
        while (rest.size > 0)
            execute(model, sim_model_next(&rest), seq);
    }
    if (model->config->batch_timeout_ms == 0)
        close_block(model, seq);
    model->bytes_since_point += batch.size;
    bool point = model->block_count > blocks || seq % model->config->checkpoint_interval == 0 ||
                 model->bytes_since_point >= model->config->body_bytes_max / 4;
    if (point)
        model->bytes_since_point = 0;
    model->seqs = sim_grow(model->seqs, &model->seq_capacity, model->seq_count, sizeof(*model->seqs));
    struct sim_model_seq *after = &model->seqs[model->seq_count++];
    *after = (struct sim_model_seq) {.null_batch = batch.size == 0,
                                     .accepted = model->accepted,
                                     .accepted_bytes = model->accepted_bytes,
                                     .point = point,
                                     .height = model->block_count,
                                     .open_size = model->data_size,
                                     .passes = sim_model_passes(model),
                                     .order_end = model->order_count};
    after->progress_size = sim_model_progress(model, after->progress);
    sim_model_batch_digest(after->batch, batch);
}
