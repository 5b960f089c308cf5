/*
 * What a process writes of the channel's state, and how it finds itself again.
 */
#include <stdlib.h>

#include "core/assert.h"
#include "core/codec.h"
#include "sim/process.h"

enum { ENTRY_SIZE = 4 + 4 + 8 + 8 };

void sim_index_block(struct sim_process *process, uint64_t height, struct ord_span data) {
    struct ord_span bytes;
    while (channel_batch_next(&bytes, &data) == ORD_OK) {
        struct channel_envelope envelope;
        bool fresh;
        if (channel_envelope_decode(&envelope, bytes) == ORD_OK)
            sim_map_insert(&process->index, &fresh, ord_load_u64(envelope.client.bytes), envelope.sequence, 0)->number =
                height;
    }
}

static void write_applied(struct sim_process *process) {
    uint8_t bytes[16];
    ord_store_u64(bytes, channel_applied_seq(process->channel));
    ord_store_u64(bytes + 8, channel_bytes_since_point(process->channel));
    sim_process_write(process, SIM_WRITE_META, SIM_META_APPLIED, ord_span_of(bytes, sizeof(bytes)));
}

static void write_open(struct sim_process *process) {
    struct channel_open_block open;
    channel_open(process->channel, &open);
    size_t capacity = 16 + (size_t) open.envelope_count * ENTRY_SIZE + open.data.size;
    struct ord_writer writer = sim_writer(capacity);
    ord_write_u64(&writer, open.height);
    ord_write_u32(&writer, open.envelope_count);
    for (uint32_t i = 0; i < open.envelope_count; i++) {
        ord_write_u32(&writer, open.entries[i].client_index);
        ord_write_u32(&writer, open.entries[i].batch_index);
        ord_write_u64(&writer, open.entries[i].sequence);
        ord_write_u64(&writer, open.entries[i].seq);
    }
    ord_write_span(&writer, open.data);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    sim_process_write(process, SIM_WRITE_META, SIM_META_OPEN, ord_writer_span(&writer));
    free(writer.data);
}

void sim_state_write(struct sim_process *process) {
    const uint32_t *dirty;
    size_t dirty_count = channel_clients_dirty(process->channel, &dirty);
    for (size_t i = 0; i < dirty_count; i++) {
        uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
        size_t size = channel_client_record(process->channel, dirty[i], record);
        sim_process_write(process, SIM_WRITE_CLIENT, dirty[i], ord_span_of(record, size));
    }
    channel_clients_clean(process->channel);
    write_applied(process);
    write_open(process);
    process->state_changed = false;
}

static enum ord_err restore_open(struct sim_process *process, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    uint64_t height = ord_read_u64(&reader);
    uint32_t count = ord_read_u32(&reader);
    struct ord_span entries = ord_read_span(&reader, (size_t) count * ENTRY_SIZE);
    struct ord_span data = ord_read_span(&reader, ord_reader_left(&reader));
    enum ord_err err = ord_reader_finish(&reader);
    if (err != ORD_OK || height != channel_height(process->channel) + 1)
        return err;
    struct ord_reader left = ord_reader_of(entries);
    for (uint32_t i = 0; err == ORD_OK && i < count; i++) {
        struct channel_entry entry = {.client_index = ord_read_u32(&left)};
        struct ord_span envelope;
        entry.batch_index = ord_read_u32(&left);
        entry.sequence = ord_read_u64(&left);
        entry.seq = ord_read_u64(&left);
        err = channel_batch_next(&envelope, &data);
        if (err == ORD_OK)
            err = channel_restore_open(process->channel, envelope, &entry);
    }
    process->open_height = height;
    process->open_since_ms = process->now_ms;
    return err;
}

static enum ord_err restore_channel(struct sim_process *process) {
    const struct sim_disk *disk = &process->replica->disk;
    enum ord_err err = ORD_OK;
    for (size_t i = 0; err == ORD_OK && i < disk->clients.count; i++)
        err = channel_restore_client(process->channel, (uint32_t) i, sim_buffer_span(disk->clients.items[i]));
    if (err != ORD_OK || disk->meta[SIM_META_APPLIED] == NULL)
        return err;
    struct channel_header header = process->world->genesis_header;
    uint64_t height = sim_disk_height(disk);
    uint64_t applied_seq = sim_disk_number(disk, SIM_META_APPLIED);
    if (height > 0)
        err = channel_header_decode(&header, ord_span_of(disk->blocks.items[height - 1]->data, CHANNEL_HEADER_SIZE));
    if (err == ORD_OK)
        err = channel_restore_head(process->channel, &header, applied_seq,
                                   ord_load_u64(disk->meta[SIM_META_APPLIED]->data + 8));
    /* A transfer was cut off behind a block: it has to go on before the core may deliver. */
    process->sync.between = applied_seq < header.last_seq;
    if (err == ORD_OK && disk->meta[SIM_META_OPEN] != NULL)
        err = restore_open(process, sim_buffer_span(disk->meta[SIM_META_OPEN]));
    channel_clients_clean(process->channel);
    for (uint64_t h = 1; h <= height; h++) {
        struct ord_span block = sim_buffer_span(disk->blocks.items[h - 1]);
        sim_index_block(process, h, ord_span_of(block.data + CHANNEL_HEADER_SIZE, block.size - CHANNEL_HEADER_SIZE));
    }
    return err;
}

enum ord_err sim_recover(struct sim_process *process) {
    const struct sim_disk *disk = &process->replica->disk;
    struct sim_attest *attest = &process->attest;
    enum ord_err err = restore_channel(process);
    if (err == ORD_OK && disk->meta[SIM_META_STABLE] != NULL) {
        err = channel_certificate_decode(&attest->stable, sim_buffer_span(disk->meta[SIM_META_STABLE]));
        attest->stable_settled = false; /* the core's log may have to be cut yet */
        attest->low = attest->stable;
        attest->weak = attest->stable;
    }
    if (err == ORD_OK && process->sync.between && disk->meta[SIM_META_TARGET] != NULL) {
        struct channel_certificate target;
        err = channel_certificate_decode(&target, sim_buffer_span(disk->meta[SIM_META_TARGET]));
        if (err == ORD_OK && (attest->stable.count == 0 || target.statement.seq > attest->stable.statement.seq))
            attest->stable = target;
    }
    if (err == ORD_OK)
        err = sim_attest_recover(process);
    return err == ORD_OK ? sim_process_core_start(process) : err;
}
