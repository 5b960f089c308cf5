/*
 * A replica's disk, as far as the node's ledger is one: blocks and what finds them, certificates, clients, records of the core,
 * and small records by name. Writes gather in a transaction and become durable together, or are lost together.
 */
#ifndef ORDAIN_SIM_DISK_H
#define ORDAIN_SIM_DISK_H

#include "core/protocol.h"
#include "sim/buffer.h"
#include "sim/map.h"

#define SIM_TABLES 16 /* of the core: 1 .. 15 */

/* Small records that the simulator looks into (docs/formats.md, "Ledger"). */
#define SIM_META_APPLIED   "applied"   /* seq that the channel's state is at: u64, and more */
#define SIM_META_STABLE    "stable"    /* newest certificate with a strong quorum that is executed here */
#define SIM_META_STATEMENT "statement" /* newest own statement */
#define SIM_META_TAIL      "tail" /* the part of the open block that state transfer brought: its height u64, and more */
#define SIM_META_POINT     "point."    /* an own statement, and what a tail needs of that moment: a prefix */
#define SIM_META_EVIDENCE  "evidence." /* "evidence.CC.SS": a piece against replica CC: a prefix */

#define SIM_NAME_SIZE 16

/* A name and zeros behind it, so that names compare as two numbers. */
struct sim_name {
    uint64_t words[2];
};

enum sim_write_kind {
    SIM_WRITE_RECORD,
    SIM_WRITE_FORGET,
    SIM_WRITE_FORGET_AFTER,
    SIM_WRITE_BLOCK,
    SIM_WRITE_INDEX,
    SIM_WRITE_CERTIFICATE,
    SIM_WRITE_CLIENT,
    SIM_WRITE_META,
};

struct sim_write {
    enum sim_write_kind kind;
    uint32_t table; /* of a record; client index of an index entry */
    uint64_t key;   /* of a record; height; client index; sequence of an index entry */
    uint64_t value; /* of an index entry: sim_place */
    struct sim_name name;
    struct sim_buffer *buffer; /* NULL: none; a small record is deleted */
};

/* What was put and is not durable yet. */
struct sim_writes {
    struct sim_write *items;
    size_t count;
    size_t capacity;
    uint64_t bytes;
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

struct sim_named {
    struct sim_name name;
    struct sim_buffer *buffer;
};

struct sim_disk {
    struct sim_table tables[SIM_TABLES];
    struct sim_list blocks;       /* by height, from the genesis block on: header, then data */
    struct sim_list certificates; /* by height; NULL: none for this very height */
    struct sim_list clients;
    struct sim_map index;   /* (client index, sequence) -> sim_place */
    struct sim_named *meta; /* by rising name */
    size_t meta_count;
    size_t meta_capacity;
    uint64_t cut_seq; /* for the checks: up to which the core had forgotten its log when this became durable */
};

struct sim_name sim_name_of(const char *name);
/* Where an envelope stands, in one number. */
static inline uint64_t sim_place(uint64_t height, uint32_t envelope_index) {
    return height << 20 | envelope_index;
}
static inline uint64_t sim_place_height(uint64_t place) {
    return place >> 20;
}
static inline uint32_t sim_place_index(uint64_t place) {
    return (uint32_t) (place & 0xfffff);
}

/* Takes over the hold of `write->buffer`. */
void sim_write(struct sim_writes *writes, const struct sim_write *write);
void sim_writes_deinit(struct sim_writes *writes);

/* All of it, in order; `writes` is empty then. */
void sim_disk_commit(struct sim_disk *disk, struct sim_writes *writes);
/* Makes `out`, which is empty, an image of `disk`. */
void sim_disk_copy(struct sim_disk *out, const struct sim_disk *disk);
void sim_disk_wipe(struct sim_disk *disk);
/* Empty span: not there. */
struct ord_span sim_disk_record(const struct sim_disk *disk, uint8_t table, uint64_t key);
struct ord_span sim_disk_meta(const struct sim_disk *disk, const char *name);
/* The seq that its channel state is at. */
uint64_t sim_disk_applied(const struct sim_disk *disk);
/* Of the newest block; 0: the genesis block, or nothing. */
static inline uint64_t sim_disk_height(const struct sim_disk *disk) {
    return disk->blocks.count == 0 ? 0 : disk->blocks.count - 1;
}
/* height <= sim_disk_height, and there is something. */
struct ord_span sim_disk_header(const struct sim_disk *disk, uint64_t height);
struct ord_span sim_disk_data(const struct sim_disk *disk, uint64_t height);
/* The certificate at the lowest height >= `height`; NULL: none. */
struct sim_buffer *sim_disk_certificate(const struct sim_disk *disk, uint64_t *at, uint64_t height);

#endif
