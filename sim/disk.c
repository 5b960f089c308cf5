/*
 * Writes, commits and images. A disk and its images share buffers.
 */
#include "sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "channel/block.h"
#include "core/assert.h"
#include "core/codec.h"

/* Bytes that a write counts beside its value. */
enum { WRITE_OVERHEAD = 64 };

struct sim_name sim_name_of(const char *name) {
    uint8_t bytes[SIM_NAME_SIZE] = {0};
    ORD_ASSERT(strlen(name) < SIM_NAME_SIZE);
    for (size_t i = 0; name[i] != '\0'; i++)
        bytes[i] = (uint8_t) name[i];
    return (struct sim_name) {{ord_load_u64(bytes), ord_load_u64(bytes + 8)}};
}

/* ---- writes that gather ---- */

void sim_write(struct sim_writes *writes, const struct sim_write *write) {
    writes->items = sim_grow(writes->items, &writes->capacity, writes->count, sizeof(*writes->items));
    writes->items[writes->count++] = *write;
    writes->bytes += WRITE_OVERHEAD + (write->buffer == NULL ? 0 : write->buffer->size);
}

void sim_writes_deinit(struct sim_writes *writes) {
    for (size_t i = 0; i < writes->count; i++)
        sim_buffer_release(writes->items[i].buffer);
    free(writes->items);
    *writes = (struct sim_writes) {0};
}

/* ---- the parts of a disk ---- */

/* The first position whose key is >= `key`. New records mostly go to the end. */
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

/* Drops the records of [from, to). */
static void drop_records(struct sim_table *table, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        sim_buffer_release(table->records[i].buffer);
    if (to > from)
        memmove(table->records + from, table->records + to, (table->count - to) * sizeof(*table->records));
    table->count -= to - from;
}

static size_t position_after(const struct sim_table *table, uint64_t key) {
    return key == UINT64_MAX ? table->count : position(table, key + 1);
}

static void list_put(struct sim_list *list, size_t index, struct sim_buffer *buffer) {
    while (list->count <= index) {
        list->items = sim_grow(list->items, &list->capacity, list->count, sizeof(struct sim_buffer *));
        list->items[list->count++] = NULL;
    }
    sim_buffer_release(list->items[index]);
    list->items[index] = buffer;
}

static bool name_before(const struct sim_name *a, const struct sim_name *b) {
    return a->words[0] != b->words[0] ? a->words[0] < b->words[0] : a->words[1] < b->words[1];
}

/* The first position whose name is not before `name`. `*there`: it has that very name. */
static size_t meta_position(const struct sim_disk *disk, bool *there, const struct sim_name *name) {
    size_t low = 0;
    size_t high = disk->meta_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (name_before(&disk->meta[middle].name, name))
            low = middle + 1;
        else
            high = middle;
    }
    *there = low < disk->meta_count && !name_before(name, &disk->meta[low].name);
    return low;
}

static void put_meta(struct sim_disk *disk, const struct sim_name *name, struct sim_buffer *buffer) {
    bool there;
    size_t at = meta_position(disk, &there, name);
    if (there) {
        sim_buffer_release(disk->meta[at].buffer);
        disk->meta[at].buffer = buffer;
    } else if (buffer != NULL) {
        disk->meta = sim_grow(disk->meta, &disk->meta_capacity, disk->meta_count, sizeof(*disk->meta));
        memmove(disk->meta + at + 1, disk->meta + at, (disk->meta_count - at) * sizeof(*disk->meta));
        disk->meta[at] = (struct sim_named) {*name, buffer};
        disk->meta_count++;
    }
    if (there && buffer == NULL) {
        memmove(disk->meta + at, disk->meta + at + 1, (disk->meta_count - at - 1) * sizeof(*disk->meta));
        disk->meta_count--;
    }
}

static void apply(struct sim_disk *disk, const struct sim_write *write) {
    struct sim_table *table = &disk->tables[write->table % SIM_TABLES];
    bool fresh;
    switch (write->kind) {
    case SIM_WRITE_RECORD:
        put_record(table, write->key, write->buffer);
        break;
    case SIM_WRITE_FORGET:
        drop_records(table, 0, position_after(table, write->key));
        break;
    case SIM_WRITE_FORGET_AFTER:
        drop_records(table, position_after(table, write->key), table->count);
        break;
    case SIM_WRITE_BLOCK:
        ORD_ASSERT(write->key == disk->blocks.count);
        list_put(&disk->blocks, write->key, write->buffer);
        break;
    case SIM_WRITE_INDEX:
        sim_map_insert(&disk->index, &fresh, write->table, write->key, 0)->number = write->value;
        break;
    case SIM_WRITE_CERTIFICATE:
        list_put(&disk->certificates, write->key, write->buffer);
        break;
    case SIM_WRITE_CLIENT:
        list_put(&disk->clients, write->key, write->buffer);
        break;
    case SIM_WRITE_META:
        put_meta(disk, &write->name, write->buffer);
        break;
    }
}

void sim_disk_commit(struct sim_disk *disk, struct sim_writes *writes) {
    for (size_t i = 0; i < writes->count; i++)
        apply(disk, &writes->items[i]);
    writes->count = 0;
    writes->bytes = 0;
}

/* ---- images ---- */

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
    sim_map_copy(&out->index, &disk->index);
    out->cut_seq = disk->cut_seq;
    for (size_t i = 0; i < disk->meta_count; i++)
        put_meta(out, &disk->meta[i].name, sim_buffer_hold(disk->meta[i].buffer));
}

static void list_wipe(struct sim_list *list) {
    for (size_t i = 0; i < list->count; i++)
        sim_buffer_release(list->items[i]);
    free(list->items);
}

void sim_disk_wipe(struct sim_disk *disk) {
    for (size_t i = 0; i < SIM_TABLES; i++) {
        drop_records(&disk->tables[i], 0, disk->tables[i].count);
        free(disk->tables[i].records);
    }
    list_wipe(&disk->blocks);
    list_wipe(&disk->certificates);
    list_wipe(&disk->clients);
    sim_map_deinit(&disk->index);
    for (size_t i = 0; i < disk->meta_count; i++)
        sim_buffer_release(disk->meta[i].buffer);
    free(disk->meta);
    *disk = (struct sim_disk) {0};
}

/* ---- reading ---- */

struct ord_span sim_disk_record(const struct sim_disk *disk, uint8_t table, uint64_t key) {
    const struct sim_table *from = &disk->tables[table];
    size_t at = position(from, key);
    if (at == from->count || from->records[at].key != key)
        return ord_span_of(NULL, 0);
    return sim_buffer_span(from->records[at].buffer);
}

struct ord_span sim_disk_meta(const struct sim_disk *disk, const char *name) {
    const struct sim_name wanted = sim_name_of(name);
    bool there;
    size_t at = meta_position(disk, &there, &wanted);
    return there ? sim_buffer_span(disk->meta[at].buffer) : ord_span_of(NULL, 0);
}

uint64_t sim_disk_applied(const struct sim_disk *disk) {
    struct ord_span applied = sim_disk_meta(disk, SIM_META_APPLIED);
    return applied.size < 8 ? 0 : ord_load_u64(applied.data);
}

struct ord_span sim_disk_header(const struct sim_disk *disk, uint64_t height) {
    return ord_span_of(disk->blocks.items[height]->data, CHANNEL_HEADER_SIZE);
}

struct ord_span sim_disk_data(const struct sim_disk *disk, uint64_t height) {
    const struct sim_buffer *block = disk->blocks.items[height];
    return ord_span_of(block->data + CHANNEL_HEADER_SIZE, block->size - CHANNEL_HEADER_SIZE);
}

struct sim_buffer *sim_disk_certificate(const struct sim_disk *disk, uint64_t *at, uint64_t height) {
    for (size_t i = height; i < disk->certificates.count; i++)
        if (disk->certificates.items[i] != NULL) {
            *at = i;
            return disk->certificates.items[i];
        }
    return NULL;
}
