/*
 * Declarations that the files of this folder share: the open environment, the tables and the layout of values. Only
 * ledger/ and its tests include this file.
 */
#ifndef ORDAIN_LEDGER_INTERNAL_H
#define ORDAIN_LEDGER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <lmdb.h>

#include "ledger/ledger.h"

/* The ledger's own meta records have names that begin like this. */
#define LEDGER_OWN_NAMES      "ledger."
#define LEDGER_FORMAT_NAME    "ledger.format" /* holds LEDGER_FORMAT_VERSION */
#define LEDGER_TURN_NAME      "ledger.turn"   /* written by advance_turn in room.c */
#define LEDGER_CHECKSUM_SIZE  8
#define LEDGER_KEY_SIZE_MAX   32
#define LEDGER_VALUE_SIZE_MAX ((size_t) 1 << 30)
/* In a block's value: the header size (u32) before the header, and the header's checksum behind it. */
#define LEDGER_BLOCK_OVERHEAD (4 + LEDGER_CHECKSUM_SIZE)

/* Each table is one named LMDB database. The numbers go into checksums, so they are part of the format. */
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
    int lock_fd; /* the writer's lock; -1: not taken */

    /*
     * Every read transaction holds the lock for reading. Operations that move the map hold it for writing, because LMDB
     * allows them only while this process has no transaction.
     */
    pthread_rwlock_t map_lock;
    /* A commit or a write has failed, or the map is lost. Nothing may be acknowledged any more. */
    atomic_bool failed;

    /* The open turn. Only the writer's thread uses these fields. */
    MDB_txn *turn; /* NULL: no turn is open */
    uint64_t turn_changes;
    /* An estimate in whole pages, rather too high than too low. */
    uint64_t turn_bytes;
    uint64_t next_height;

    /* Measurements that ledger_room keeps between turns. Only the writer's thread uses them. */
    struct {
        /* When the file system was last asked for its free space. 0: never. */
        uint64_t disk_checked_us;
        uint64_t disk_free;  /* its answer then, in bytes */
        uint64_t disk_bytes; /* bytes committed since then */
        /* When LMDB's free list was last read. 0: never. */
        uint64_t scanned_us;
        /* The longest run of free pages found then, in bytes, less the bytes committed since. */
        uint64_t run_bytes;
        uint64_t scan_bytes; /* bytes committed since then */
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
/* Marks the ledger as failed, so that every later call returns WRONG_STATE. Returns `err`. */
enum ord_err ledger_fail(struct ledger *ledger, enum ord_err err);
/* ORD_OK if writing is allowed. WRONG_STATE: the ledger has failed. FORBIDDEN: it is read-only. */
ORD_MUST_USE enum ord_err ledger_writable(const struct ledger *ledger);

/* room.c */
/* LMDB's file and its length. */
ORD_MUST_USE enum ord_err ledger_file_size(const struct ledger *ledger, int *fd, uint64_t *size);
/*
 * Makes the map at least `map_bytes` long, up to map_bytes_max, and the file as long
 * as the map. Requires that no turn is open.
 */
ORD_MUST_USE enum ord_err ledger_map_grow(struct ledger *ledger, uint64_t map_bytes);
/* Tells the measurements that a turn of `bytes` was committed. */
void ledger_room_spent(struct ledger *ledger, uint64_t bytes);
/* Adopts the map size that another process has set. */
ORD_MUST_USE enum ord_err ledger_map_adopt(struct ledger *ledger);

/* read.c: begins and ends a short read transaction. It holds the map lock for reading in between. */
ORD_MUST_USE enum ord_err ledger_read_begin(struct ledger *ledger, MDB_txn **txn);
void ledger_read_end(struct ledger *ledger, MDB_txn *txn);
/* The same with a cursor on a table. On failure there is nothing to end. */
ORD_MUST_USE enum ord_err ledger_cursor_begin(struct ledger *ledger, MDB_cursor **cursor, enum ledger_table table);
void ledger_cursor_end(struct ledger *ledger, MDB_cursor *cursor);

/*
 * place.c: checks that the damaged record of this key can be written again with a payload of `size`
 * bytes. Errors as in ledger_replace_block.
 */
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
/* Checks a stored value's checksum and borrows its payload. CORRUPT. */
ORD_MUST_USE enum ord_err ledger_value_check(struct ord_span *payload, enum ledger_table table, MDB_val key,
                                             MDB_val value);
/* Finds a record and checks its checksum. The payload is valid until the transaction ends. */
ORD_MUST_USE enum ord_err ledger_find(const struct ledger *ledger, MDB_txn *txn, struct ord_span *payload,
                                      enum ledger_table table, const struct ledger_key *key);
/*
 * True if every page of this value is mapped. A flipped bit in a length can make a value reach beyond the map, and
 * reading there raises a signal instead of returning an error.
 */
bool ledger_is_mapped(MDB_val value);
/* Borrows the header from a block's stored value. Checks the header's checksum only. CORRUPT. */
ORD_MUST_USE enum ord_err ledger_block_header(struct ord_span *header, MDB_val key, MDB_val value);
/*
 * Splits a block's payload, whose own checksum was checked, into header and
 * data. Checks the header's checksum. CORRUPT.
 */
ORD_MUST_USE enum ord_err ledger_block_split(struct ord_span *header, struct ord_span *data, MDB_val key,
                                             struct ord_span payload);
/* Puts an own meta record into a transaction. `value` has room for the checksum behind its `size` bytes. */
int ledger_put_own(const struct ledger *ledger, MDB_txn *txn, const char *name, uint8_t *value, size_t size);
/* Commits the transaction if `rc` is 0, otherwise aborts it. Returns the first error code. */
int ledger_txn_end(MDB_txn *txn, int rc);
/* What LMDB knows of the map. Reads the map itself, so it needs the map's lock in other threads than the writer's. */
MDB_envinfo ledger_info(const struct ledger *ledger);
/* Translates an error code of LMDB or errno. */
ORD_MUST_USE enum ord_err ledger_err_of(int rc);

#endif
