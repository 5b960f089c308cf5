/*
 * Writes, commits and images. Buffers are shared between a disk and its images.
 */
#include "sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"

void sim_write(struct sim_writes *writes, enum sim_write_kind kind, uint8_t table, uint64_t key,
               struct ord_span bytes) {
    writes->items = sim_grow(writes->items, &writes->capacity, writes->count, sizeof(*writes->items));
    bool forgets = kind == SIM_WRITE_FORGET || kind == SIM_WRITE_FORGET_AFTER;
    struct sim_buffer *buffer = forgets ? NULL : sim_buffer_create(bytes);
    writes->items[writes->count++] = (struct sim_write) {kind, table, key, buffer};
}

void sim_writes_clear(struct sim_writes *writes) {
    for (size_t i = 0; i < writes->count; i++)
        sim_buffer_release(writes->items[i].buffer);
    writes->count = 0;
}

void sim_writes_deinit(struct sim_writes *writes) {
    sim_writes_clear(writes);
    free(writes->items);
    *writes = (struct sim_writes) {0};
}

/* First position whose key is >= `key`. New records mostly go to the end. */
static size_t position(const struct sim_table *table, uint64_t key) {
    size_t low = 0;
    size_t high = table->count;
    if (high > 0 && table->records[high - 1].key < key)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->records[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put_record(struct sim_table *table, uint64_t key, struct sim_buffer *buffer) {
    size_t at = position(table, key);
    if (at < table->count && table->records[at].key == key) {
        sim_buffer_release(table->records[at].buffer);
        table->records[at].buffer = buffer;
        return;
    }
    table->records = sim_grow(table->records, &table->capacity, table->count, sizeof(*table->records));
    memmove(table->records + at + 1, table->records + at, (table->count - at) * sizeof(*table->records));
    table->records[at] = (struct sim_record) {key, buffer};
    table->count++;
}

static void forget(struct sim_table *table, uint64_t key) {
    size_t drop = position(table, key);
    while (drop < table->count && table->records[drop].key <= key)
        drop++;
    for (size_t i = 0; i < drop; i++)
        sim_buffer_release(table->records[i].buffer);
    if (drop > 0)
        memmove(table->records, table->records + drop, (table->count - drop) * sizeof(*table->records));
    table->count -= drop;
}

static void forget_after(struct sim_table *table, uint64_t key) {
    while (table->count > 0 && table->records[table->count - 1].key > key)
        sim_buffer_release(table->records[--table->count].buffer);
}

static void list_put(struct sim_list *list, size_t index, struct sim_buffer *buffer) {
    while (list->count <= index) {
        list->items = sim_grow(list->items, &list->capacity, list->count, sizeof(struct sim_buffer *));
        list->items[list->count++] = NULL;
    }
    sim_buffer_release(list->items[index]);
    list->items[index] = buffer;
}

void sim_disk_commit(struct sim_disk *disk, struct sim_writes *writes) {
    for (size_t i = 0; i < writes->count; i++) {
        struct sim_write *write = &writes->items[i];
        switch (write->kind) {
        case SIM_WRITE_RECORD:
            ORD_ASSERT(write->table < SIM_TABLES);
            put_record(&disk->tables[write->table], write->key, write->buffer);
            break;
        case SIM_WRITE_FORGET:
            ORD_ASSERT(write->table < SIM_TABLES);
            forget(&disk->tables[write->table], write->key);
            break;
        case SIM_WRITE_FORGET_AFTER:
            ORD_ASSERT(write->table < SIM_TABLES);
            forget_after(&disk->tables[write->table], write->key);
            break;
        case SIM_WRITE_BLOCK:
            ORD_ASSERT(write->key == disk->blocks.count + 1);
            list_put(&disk->blocks, write->key - 1, write->buffer);
            break;
        case SIM_WRITE_CERTIFICATE:
            list_put(&disk->certificates, write->key - 1, write->buffer);
            break;
        case SIM_WRITE_CLIENT:
            list_put(&disk->clients, write->key, write->buffer);
            break;
        case SIM_WRITE_POINT:
            list_put(&disk->points, write->key, write->buffer);
            break;
        case SIM_WRITE_META:
            sim_buffer_release(disk->meta[write->key]);
            disk->meta[write->key] = write->buffer;
            break;
        }
    }
    writes->count = 0;
}

static void list_copy(struct sim_list *out, const struct sim_list *list) {
    for (size_t i = 0; i < list->count; i++)
        list_put(out, i, sim_buffer_hold(list->items[i]));
}

void sim_disk_copy(struct sim_disk *out, const struct sim_disk *disk) {
    for (size_t i = 0; i < SIM_TABLES; i++)
        for (size_t j = 0; j < disk->tables[i].count; j++)
            put_record(&out->tables[i], disk->tables[i].records[j].key,
                       sim_buffer_hold(disk->tables[i].records[j].buffer));
    list_copy(&out->blocks, &disk->blocks);
    list_copy(&out->certificates, &disk->certificates);
    list_copy(&out->clients, &disk->clients);
    list_copy(&out->points, &disk->points);
    for (size_t i = 0; i < SIM_META_COUNT; i++)
        out->meta[i] = sim_buffer_hold(disk->meta[i]);
}

static void list_wipe(struct sim_list *list) {
    for (size_t i = 0; i < list->count; i++)
        sim_buffer_release(list->items[i]);
    free(list->items);
}

void sim_disk_wipe(struct sim_disk *disk) {
    for (size_t i = 0; i < SIM_TABLES; i++) {
        for (size_t j = 0; j < disk->tables[i].count; j++)
            sim_buffer_release(disk->tables[i].records[j].buffer);
        free(disk->tables[i].records);
    }
    list_wipe(&disk->blocks);
    list_wipe(&disk->certificates);
    list_wipe(&disk->clients);
    list_wipe(&disk->points);
    for (size_t i = 0; i < SIM_META_COUNT; i++)
        sim_buffer_release(disk->meta[i]);
    *disk = (struct sim_disk) {0};
}

struct ord_record *sim_disk_records(const struct sim_disk *disk, size_t *count) {
    size_t total = 0;
    for (size_t i = 0; i < SIM_TABLES; i++)
        total += disk->tables[i].count;
    struct ord_record *records = sim_alloc((total + 1) * sizeof(*records));
    *count = 0;
    for (size_t i = 0; i < SIM_TABLES; i++)
        for (size_t j = 0; j < disk->tables[i].count; j++)
            records[(*count)++] = (struct ord_record) {(uint8_t) i, disk->tables[i].records[j].key,
                                                       sim_buffer_span(disk->tables[i].records[j].buffer)};
    return records;
}

struct ord_span sim_disk_record(const struct sim_disk *disk, uint8_t table, uint64_t key) {
    const struct sim_table *from = &disk->tables[table];
    size_t at = position(from, key);
    if (at == from->count || from->records[at].key != key)
        return ord_span_of(NULL, 0);
    return sim_buffer_span(from->records[at].buffer);
}

uint64_t sim_disk_number(const struct sim_disk *disk, enum sim_meta meta) {
    return disk->meta[meta] == NULL ? 0 : ord_load_u64(disk->meta[meta]->data);
}

const struct sim_buffer *sim_disk_certificate(const struct sim_disk *disk, uint64_t *at, uint64_t height) {
    for (size_t i = height == 0 ? 0 : height - 1; i < disk->certificates.count; i++)
        if (disk->certificates.items[i] != NULL) {
            *at = i + 1;
            return disk->certificates.items[i];
        }
    return NULL;
}
