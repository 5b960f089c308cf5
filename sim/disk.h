/*
 * A replica's disk, as the replica sees the ledger of node/: blocks and their index, certificates, clients, records of
 * the core, and small records by name. Writes gather in a transaction. They become durable together, or are lost
 * together.
 */
#ifndef ORDAIN_SIM_DISK_H
#define ORDAIN_SIM_DISK_H

#include "core/protocol.h"
#include "sim/buffer.h"
#include "sim/map.h"

/* The core's tables have the numbers 1 .. 15. */
#define SIM_TABLES 16

/* Small records that the simulator looks into (docs/formats.md, "Ledger"). */
/* The seq that the channel's state is at, u64, and more. */
#define SIM_META_APPLIED "applied"
/* The newest certificate with a strong quorum whose checkpoint is executed here. */
#define SIM_META_STABLE    "stable"
#define SIM_META_STATEMENT "statement" /* newest own statement */
/* The part of the open block that state transfer brought: its height u64, and more. */
#define SIM_META_TAIL "tail"
/* A prefix: an own statement, and what a tail of that moment needs. */
#define SIM_META_POINT "point."
/* A prefix: "evidence.CC.SS" is a piece against replica CC. */
#define SIM_META_EVIDENCE "evidence."

#define SIM_NAME_SIZE 16

/* A name, filled up with zeros, so that names compare as two numbers. */
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
    /* A record's table, or an index entry's client index. */
    uint32_t table;
    /* A record's key, a block's or certificate's height, a client's index, or an index entry's sequence. */
    uint64_t key;
    uint64_t value; /* an index entry's sim_place */
    struct sim_name name;
    /* NULL: none. For a small record, NULL deletes it. */
    struct sim_buffer *buffer;
};

/* Puts that are not durable yet. */
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
    /* By height, from the genesis block on: header, then data. */
    struct sim_list blocks;
    /* By height. NULL: there is none for this very height. */
    struct sim_list certificates;
    struct sim_list clients;
    struct sim_map index;   /* (client index, sequence) -> sim_place */
    struct sim_named *meta; /* by rising name */
    size_t meta_count;
    size_t meta_capacity;
    /* For the checks: the seq up to which the core had forgotten its log when this became durable. */
    uint64_t cut_seq;
};

struct sim_name sim_name_of(const char *name);
/* The place of an envelope, in one number. */
static inline uint64_t sim_place(uint64_t height, uint32_t envelope_index) {
    return height << 20 | envelope_index;
}
static inline uint64_t sim_place_height(uint64_t place) {
    return place >> 20;
}
static inline uint32_t sim_place_index(uint64_t place) {
    return (uint32_t) (place & 0xfffff);
}

/* Takes over the caller's hold of `write->buffer`. */
void sim_write(struct sim_writes *writes, const struct sim_write *write);
void sim_writes_deinit(struct sim_writes *writes);

/* Makes all writes durable, in order. `writes` is empty afterwards. */
void sim_disk_commit(struct sim_disk *disk, struct sim_writes *writes);
/* Makes `out`, which must be empty, an image of `disk`. */
void sim_disk_copy(struct sim_disk *out, const struct sim_disk *disk);
void sim_disk_wipe(struct sim_disk *disk);
/* Both give an empty span for a record that is not there. */
struct ord_span sim_disk_record(const struct sim_disk *disk, uint8_t table, uint64_t key);
struct ord_span sim_disk_meta(const struct sim_disk *disk, const char *name);
/* The seq that the disk's channel state is at. */
uint64_t sim_disk_applied(const struct sim_disk *disk);
/* The height of the newest block. 0: only the genesis block is there, or nothing. */
static inline uint64_t sim_disk_height(const struct sim_disk *disk) {
    return disk->blocks.count == 0 ? 0 : disk->blocks.count - 1;
}
/* Empty: the list has nothing there. */
static inline struct ord_span sim_list_at(const struct sim_list *list, uint64_t index) {
    return sim_buffer_span(index < list->count ? list->items[index] : NULL);
}
/* `height` must be <= sim_disk_height, and there must be a block. */
struct ord_span sim_disk_header(const struct sim_disk *disk, uint64_t height);
struct ord_span sim_disk_data(const struct sim_disk *disk, uint64_t height);
/* The certificate at the lowest height >= `height`; NULL: none. */
struct sim_buffer *sim_disk_certificate(const struct sim_disk *disk, uint64_t *at, uint64_t height);

#endif
