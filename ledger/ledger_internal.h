/*
 * What the files of this folder share: the open environment, the tables and how a value is laid out. Nothing outside of
 * ledger/ includes this.
 */
#ifndef ORDAIN_LEDGER_INTERNAL_H
#define ORDAIN_LEDGER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <lmdb.h>

#include "ledger/ledger.h"

#define LEDGER_OWN_NAMES      "ledger."       /* meta records with such names are the ledger's own */
#define LEDGER_FORMAT_NAME    "ledger.format" /* which layout this is */
#define LEDGER_TURN_NAME      "ledger.turn"   /* written by advance_turn in room.c */
#define LEDGER_FORMAT_VERSION 1
#define LEDGER_CHECKSUM_SIZE  8
#define LEDGER_KEY_SIZE_MAX   32
#define LEDGER_VALUE_SIZE_MAX ((size_t) 1 << 30)
#define LEDGER_BLOCK_OVERHEAD (4 + LEDGER_CHECKSUM_SIZE) /* header size before, header checksum behind the header */

/* One named LMDB database each. The numbers go into checksums: they are part of the format. */
enum ledger_table {
    LEDGER_META = 1,
    LEDGER_BLOCK,
    LEDGER_INDEX,
    LEDGER_CERTIFICATE,
    LEDGER_CLIENT,
    LEDGER_RECORD,
    LEDGER_TABLE_END,
};

struct ledger {
    MDB_env *env;
    MDB_dbi dbis[LEDGER_TABLE_END]; /* by enum ledger_table; constant once open */
    struct ledger_options options;
    size_t page_size;
    int lock_fd; /* the writer's lock, -1 when read-only */

    /*
     * Read: around every read transaction. Written: around whatever moves the map, which LMDB allows only while this
     * process has no transaction.
     */
    pthread_rwlock_t map_lock;
    /* A commit or a write failed, or the map is lost: nothing may be acknowledged any more. */
    atomic_bool failed;

    /* The open turn; the writer's thread only. */
    MDB_txn *turn; /* NULL: none open */
    uint64_t turn_changes;
    uint64_t turn_bytes; /* rounded up to pages as LMDB will use them, roughly */
    uint64_t next_height;

    /* What ledger_room remembers between turns; the writer's thread only. */
    struct {
        uint64_t disk_checked_us; /* 0: never */
        uint64_t disk_free;       /* then */
        uint64_t disk_bytes;      /* committed since */
        uint64_t scanned_us;      /* free list read; 0: never */
        uint64_t run_bytes;       /* longest run of free pages then, less what was committed since */
        uint64_t scan_bytes;      /* committed since */
    } room;

    struct {
        atomic_uint_fast64_t commits;
        atomic_uint_fast64_t puts;
        atomic_uint_fast64_t bytes_put;
        atomic_uint_fast64_t map_growths;
        atomic_uint_fast64_t commit_us_total;
        atomic_uint_fast64_t commit_us_max;
    } counters;
};

/* ledger.c */
uint64_t ledger_now_us(void);
/* The environment may not be used any more: every later call gives WRONG_STATE. Returns `err`. */
enum ord_err ledger_fail(struct ledger *ledger, enum ord_err err);
/* WRONG_STATE after a failure, FORBIDDEN for a read-only ledger. */
ORD_MUST_USE enum ord_err ledger_writable(const struct ledger *ledger);

/* room.c */
/* Makes the map at least `map_bytes` long (at most the environment's maximum) and the file back all of it. No open turn. */
ORD_MUST_USE enum ord_err ledger_map_grow(struct ledger *ledger, uint64_t map_bytes);
/* A turn of so many bytes was committed. */
void ledger_room_spent(struct ledger *ledger, uint64_t bytes);
/* Takes over the map size that another process has set. */
ORD_MUST_USE enum ord_err ledger_map_adopt(struct ledger *ledger);

/* read.c: a short read transaction, under the map lock. */
ORD_MUST_USE enum ord_err ledger_read_begin(struct ledger *ledger, MDB_txn **txn);
void ledger_read_end(struct ledger *ledger, MDB_txn *txn);

/* place.c: may the damaged record of this key be written again with a payload of `size` bytes? As ledger_replace_block says. */
struct ledger_key;
ORD_MUST_USE enum ord_err ledger_place_check(struct ledger *ledger, enum ledger_table table,
                                             const struct ledger_key *key, size_t size);

/* record.c: keys, values, checksums. */
struct ledger_key {
    uint8_t bytes[LEDGER_KEY_SIZE_MAX];
    size_t size;
};

const char *ledger_table_name(enum ledger_table table);
struct ledger_key ledger_key_u32(uint32_t value);
struct ledger_key ledger_key_u64(uint64_t value);
struct ledger_key ledger_key_index(uint32_t client_index, uint64_t sequence);
struct ledger_key ledger_key_record(uint8_t table, uint64_t key);
/* INVALID: empty or longer than LEDGER_KEY_SIZE_MAX. */
ORD_MUST_USE enum ord_err ledger_key_meta(struct ledger_key *out, const char *name);
MDB_val ledger_val(const struct ledger_key *key);
uint64_t ledger_checksum(enum ledger_table table, MDB_val key, const uint8_t *payload, size_t size);
/* Borrows the payload of a stored value once its checksum held; CORRUPT. */
ORD_MUST_USE enum ord_err ledger_value_check(struct ord_span *payload, enum ledger_table table, MDB_val key,
                                             MDB_val value);
/* Finds and checks. The payload lives as long as the transaction. */
ORD_MUST_USE enum ord_err ledger_find(const struct ledger *ledger, MDB_txn *txn, struct ord_span *payload,
                                      enum ledger_table table, const struct ledger_key *key);
/*
 * A flipped bit in a length may point out of the map, and then reading is a signal, not an error. Is every page of this value
 * mapped?
 */
bool ledger_is_mapped(MDB_val value);
/* Takes a block's value apart; checks the header's checksum and no other. CORRUPT. */
ORD_MUST_USE enum ord_err ledger_block_header(struct ord_span *header, MDB_val key, MDB_val value);
/* Takes a checked block payload apart. CORRUPT. */
ORD_MUST_USE enum ord_err ledger_block_split(struct ord_span *header, struct ord_span *data, MDB_val key,
                                             struct ord_span payload);
ORD_MUST_USE enum ord_err ledger_err_of(int rc);

#endif
