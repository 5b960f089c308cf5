/*
 * The replica's store on a simulated disk. Puts gather in the process, and reads see only what is durable. Each put is
 * checked against the reference first.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/check.h"
#include "sim/process.h"

/* The replica knows its store as a ledger. Here it is the process, which has the writes of the turn and the disk. */
static struct sim_process *process_of(const struct ledger *ledger) {
    return (struct sim_process *) (uintptr_t) ledger;
}

/* ---- puts ---- */

static enum ord_err put(struct ledger *ledger, const struct sim_write *write) {
    sim_write(&process_of(ledger)->writes, write);
    return ORD_OK;
}

static enum ord_err put_block(struct ledger *ledger, uint64_t height, struct ord_span header, struct ord_span data) {
    struct sim_process *process = process_of(ledger);
    const struct ord_span parts[] = {header, data};
    struct sim_buffer *block = sim_buffer_join(parts, 2);
    sim_write(&process->writes, &(struct sim_write) {.kind = SIM_WRITE_BLOCK, .key = height, .buffer = block});
    sim_check_block(process->replica, height, header, data);
    sim_intake_block(process->intake, height);
    return ORD_OK;
}

static enum ord_err put_index(struct ledger *ledger, uint32_t client_index, uint64_t sequence, uint64_t height,
                              uint32_t envelope_index) {
    struct sim_process *process = process_of(ledger);
    sim_write(&process->writes, &(struct sim_write) {.kind = SIM_WRITE_INDEX,
                                                     .table = client_index,
                                                     .key = sequence,
                                                     .value = sim_place(height, envelope_index)});
    sim_check_index(process->replica, client_index, sequence, height, envelope_index);
    return ORD_OK;
}

static enum ord_err put_certificate(struct ledger *ledger, uint64_t height, struct ord_span certificate) {
    struct sim_process *process = process_of(ledger);
    struct sim_buffer *buffer = sim_buffer_create(certificate);
    sim_buffer_release(process->last_certificate);
    process->last_certificate = sim_buffer_hold(buffer);
    sim_write(&process->writes, &(struct sim_write) {.kind = SIM_WRITE_CERTIFICATE, .key = height, .buffer = buffer});
    sim_check_kept_certificate(process->replica, height, certificate, false);
    sim_duties_certificate(process->duties, height);
    return ORD_OK;
}

static enum ord_err put_client(struct ledger *ledger, uint32_t client_index, struct ord_span record) {
    return put(ledger, &(struct sim_write) {
                           .kind = SIM_WRITE_CLIENT, .key = client_index, .buffer = sim_buffer_create(record)});
}

static bool begins_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static enum ord_err put_meta(struct ledger *ledger, const char *name, struct ord_span value) {
    struct sim_process *process = process_of(ledger);
    struct sim_buffer *buffer = value.size == 0 ? NULL : sim_buffer_create(value);
    sim_write(&process->writes,
              &(struct sim_write) {.kind = SIM_WRITE_META, .name = sim_name_of(name), .buffer = buffer});
    sim_duties_put(process->duties, name, value);
    if (strcmp(name, SIM_META_STATEMENT) == 0 || begins_with(name, SIM_META_POINT))
        sim_check_kept_statement(process->replica, value);
    else if (strcmp(name, SIM_META_STABLE) == 0)
        sim_check_kept_certificate(process->replica, UINT64_MAX, value, true);
    else if (begins_with(name, SIM_META_EVIDENCE))
        sim_check_kept_evidence(process->replica, name, value);
    return ORD_OK;
}

static enum ord_err put_record(struct ledger *ledger, const struct ord_record *record) {
    ORD_ASSERT(record->table < SIM_TABLES);
    return put(ledger, &(struct sim_write) {.kind = SIM_WRITE_RECORD,
                                            .table = record->table,
                                            .key = record->key,
                                            .buffer = sim_buffer_create(record->bytes)});
}

static enum ord_err forget(struct ledger *ledger, uint8_t table, uint64_t key) {
    ORD_ASSERT(table < SIM_TABLES);
    return put(ledger, &(struct sim_write) {.kind = SIM_WRITE_FORGET, .table = table, .key = key});
}

static enum ord_err forget_after(struct ledger *ledger, uint8_t table, uint64_t key) {
    ORD_ASSERT(table < SIM_TABLES);
    return put(ledger, &(struct sim_write) {.kind = SIM_WRITE_FORGET_AFTER, .table = table, .key = key});
}

static bool dirty(const struct ledger *ledger) {
    return process_of(ledger)->writes.count > 0;
}

static uint64_t turn_bytes(const struct ledger *ledger) {
    return process_of(ledger)->writes.bytes;
}

/* ---- reads ---- */

static const struct sim_disk *disk_of(struct ledger *ledger) {
    return &process_of(ledger)->replica->disk;
}

/* If `bytes` is empty, the record is not there. */
static enum ord_err give(struct ord_bytes *out, struct ord_span bytes) {
    *out = (struct ord_bytes) {0};
    if (bytes.size == 0)
        return ORD_ERR_NOT_FOUND;
    *out = (struct ord_bytes) {.data = sim_alloc(bytes.size), .size = bytes.size};
    memcpy(out->data, bytes.data, bytes.size);
    return ORD_OK;
}

static enum ord_err get_block(struct ledger *ledger, struct ord_bytes *out, uint64_t height) {
    return give(out, sim_list_at(&disk_of(ledger)->blocks, height));
}

static enum ord_err get_headers(struct ledger *ledger, struct ord_bytes *out, uint64_t from, uint64_t to,
                                size_t header_size, size_t bytes_max) {
    ORD_ASSERT(header_size == CHANNEL_HEADER_SIZE);
    const struct sim_disk *disk = disk_of(ledger);
    uint64_t count = from < disk->blocks.count && from <= to ? disk->blocks.count - from : 0;
    if (count > 0 && count - 1 > to - from)
        count = to - from + 1;
    if (count > bytes_max / CHANNEL_HEADER_SIZE)
        count = bytes_max / CHANNEL_HEADER_SIZE;
    out->size = (size_t) count * CHANNEL_HEADER_SIZE;
    out->data = sim_alloc(out->size + 1);
    for (uint64_t i = 0; i < count; i++)
        memcpy(out->data + i * CHANNEL_HEADER_SIZE, sim_disk_header(disk, from + i).data, CHANNEL_HEADER_SIZE);
    return ORD_OK;
}

enum ord_err sim_store_certificate(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height) {
    return give(out, sim_buffer_span(sim_serve_certificate(context, at, height)));
}

static enum ord_err commit(struct ledger *ledger) {
    sim_disk_commit(&process_of(ledger)->replica->disk, &process_of(ledger)->writes);
    return ORD_OK;
}

static enum ord_err get_client(struct ledger *ledger, struct ord_bytes *out, uint32_t client_index) {
    return give(out, sim_list_at(&disk_of(ledger)->clients, client_index));
}

static enum ord_err get_meta(struct ledger *ledger, struct ord_bytes *out, const char *name) {
    return give(out, sim_disk_meta(disk_of(ledger), name));
}

static enum ord_err get_record(struct ledger *ledger, struct ord_bytes *out, uint8_t table, uint64_t key) {
    return give(out, sim_disk_record(disk_of(ledger), table, key));
}

static enum ord_err get_records(struct ledger *ledger, struct ord_record **records, size_t *count) {
    const struct sim_disk *disk = disk_of(ledger);
    size_t bytes = 0;
    *count = 0;
    for (uint32_t i = 0; i < SIM_TABLES; i++)
        for (size_t j = 0; j < disk->tables[i].count; j++) {
            bytes += disk->tables[i].records[j].buffer->size;
            (*count)++;
        }
    *records = sim_alloc(*count * sizeof(**records) + bytes + 1);
    uint8_t *space = (uint8_t *) (*records + *count);
    struct ord_record *out = *records;
    for (uint32_t i = 0; i < SIM_TABLES; i++)
        for (size_t j = 0; j < disk->tables[i].count; j++) {
            const struct sim_record *record = &disk->tables[i].records[j];
            memcpy(space, record->buffer->data, record->buffer->size);
            *out++ = (struct ord_record) {(uint8_t) i, record->key, ord_span_of(space, record->buffer->size)};
            space += record->buffer->size;
        }
    return ORD_OK;
}

static enum ord_err height(struct ledger *ledger, uint64_t *out) {
    const struct sim_disk *disk = disk_of(ledger);
    *out = sim_disk_height(disk);
    return disk->blocks.count == 0 ? ORD_ERR_NOT_FOUND : ORD_OK;
}

void sim_store_init(struct replica_store *out, struct sim_process *process) {
    *out = (struct replica_store) {
        .ledger = (struct ledger *) (void *) process,
        .put_block = put_block,
        .put_index = put_index,
        .put_certificate = put_certificate,
        .put_client = put_client,
        .put_meta = put_meta,
        .put_record = put_record,
        .forget = forget,
        .forget_after = forget_after,
        .dirty = dirty,
        .turn_bytes = turn_bytes,
        .commit = commit,
        .get_block = get_block,
        .get_headers = get_headers,
        .get_client = get_client,
        .get_meta = get_meta,
        .get_record = get_record,
        .get_records = get_records,
        .height = height,
    };
}

void sim_store_deinit(struct sim_process *process) {
    sim_buffer_release(process->last_certificate);
}
