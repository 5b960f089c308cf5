/*
 * A replica's disk, as far as the node's ledger is one: records of the core, blocks and their certificates, clients, and a few
 * values. Writes gather in a turn and become durable together, or are lost together (core/protocol.h).
 */
#ifndef ORDAIN_SIM_DISK_H
#define ORDAIN_SIM_DISK_H

#include "core/protocol.h"
#include "sim/buffer.h"

#define SIM_TABLES 16 /* of the core: 1 .. 15 */

enum sim_meta {
    SIM_META_APPLIED, /* seq that the channel state is at; bytes since the last point of attestation */
    SIM_META_OPEN,    /* the open block: count, entries, data */
    SIM_META_STABLE,  /* newest certificate with a strong quorum that is executed here */
    SIM_META_TARGET,  /* certificate of where a state transfer goes; of use only where one was cut off */
    SIM_META_COUNT,
};

enum sim_write_kind {
    SIM_WRITE_RECORD,
    SIM_WRITE_FORGET,
    SIM_WRITE_FORGET_AFTER,
    SIM_WRITE_BLOCK,
    SIM_WRITE_CERTIFICATE,
    SIM_WRITE_CLIENT,
    SIM_WRITE_POINT,
    SIM_WRITE_META
};

struct sim_write {
    enum sim_write_kind kind;
    uint8_t table;
    uint64_t key; /* of a record; height; client index; slot of a point; enum sim_meta */
    struct sim_buffer *buffer;
};

/* What a turn wrote. */
struct sim_writes {
    struct sim_write *items;
    size_t count;
    size_t capacity;
};

struct sim_record {
    uint64_t key;
    struct sim_buffer *buffer;
};

struct sim_table {
    struct sim_record *records; /* by rising key */
    size_t count;
    size_t capacity;
};

struct sim_list {
    struct sim_buffer **items;
    size_t count;
    size_t capacity;
};

struct sim_disk {
    struct sim_table tables[SIM_TABLES];
    struct sim_list blocks;       /* height - 1; header, then data */
    struct sim_list certificates; /* height - 1; NULL: none for this very height */
    struct sim_list clients;
    struct sim_list points; /* own statements, with what a tail needs; NULL: none in this slot */
    struct sim_buffer *meta[SIM_META_COUNT];
};

void sim_write(struct sim_writes *writes, enum sim_write_kind kind, uint8_t table, uint64_t key, struct ord_span bytes);
void sim_writes_clear(struct sim_writes *writes);
void sim_writes_deinit(struct sim_writes *writes);

/* All of it, in order; `writes` is empty then. */
void sim_disk_commit(struct sim_disk *disk, struct sim_writes *writes);
/* Makes `out`, which is empty, an image of `disk`. */
void sim_disk_copy(struct sim_disk *out, const struct sim_disk *disk);
void sim_disk_wipe(struct sim_disk *disk);
/* malloc'ed; sorted by (table, key). The bytes belong to the disk. */
struct ord_record *sim_disk_records(const struct sim_disk *disk, size_t *count);
/* Empty span: not there. */
struct ord_span sim_disk_record(const struct sim_disk *disk, uint8_t table, uint64_t key);
uint64_t sim_disk_number(const struct sim_disk *disk, enum sim_meta meta);
static inline uint64_t sim_disk_height(const struct sim_disk *disk) {
    return disk->blocks.count;
}
/* The certificate at the lowest height >= `height`; NULL: none. */
const struct sim_buffer *sim_disk_certificate(const struct sim_disk *disk, uint64_t *at, uint64_t height);

#endif
