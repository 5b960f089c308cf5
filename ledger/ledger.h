/*
 * The ledger: one LMDB environment per channel. The only code that calls LMDB.
 *
 * Caveats first:
 * - There is one writer (the replica's loop). The first put opens a write transaction, and further puts gather in it.
 *   ledger_commit makes all of them durable together (default LMDB durability: no NOSYNC, NOMETASYNC, WRITEMAP). After
 *   a failed commit nothing may be acknowledged, every later call fails with WRONG_STATE, and the process must end.
 * - ledger_room says whether the next turn can be written. It grows the map ahead of need. It returns NO_SPACE when the
 *   map is at its maximum or the file system has too little space left; the replica then stops intake until it returns
 *   OK again. LMDB's MAP_FULL therefore cannot happen in the middle of a turn while turns stay under `turn_bytes_max`.
 *   If it happens all the same, it is an error like a failed commit.
 * - Any thread may read. A read copies its result and holds no transaction afterwards. All readers, the writer's thread
 *   included, see committed data only.
 * - Every record carries a checksum (XXH3-64) over key and value. Each read checks
 *   it; CORRUPT means that it does not match.
 *
 * Layout: docs/formats.md.
 */
#ifndef ORDAIN_LEDGER_LEDGER_H
#define ORDAIN_LEDGER_LEDGER_H

#include "core/protocol.h"

struct ledger;

/* The version of the format that this program reads and writes. Each change of the format raises it. */
#define LEDGER_FORMAT_VERSION 2

struct ledger_options {
    /* Rounded up to a page. The map grows by doubling, by at most 1 GiB at a time. */
    uint64_t map_bytes_initial;
    uint64_t map_bytes_max;
    /* Upper limit for the bytes that one turn writes. A record counts as whole pages (4 KiB). */
    uint64_t turn_bytes_max;
    /* ledger_room returns NO_SPACE when the file system has less free space than this. The ledger always reserves space
     * for at least two turns, because a turn that has begun must fit. */
    uint64_t disk_reserve_bytes;
    /* For tools. A read-only ledger works beside a running replica, in another process than the replica's. */
    bool read_only;
    /* With UNSUPPORTED, ledger_open writes the version that it found here. May be NULL. */
    uint32_t *found_version;
};

struct ledger_counters {
    uint64_t commits;
    uint64_t puts;
    uint64_t bytes_put;
    uint64_t map_bytes;
    uint64_t map_bytes_used;
    uint64_t map_growths;
    uint64_t commit_us_total; /* time spent in commits */
    uint64_t commit_us_max;
};

void ledger_options_defaults(struct ledger_options *out);
/*
 * Opens the environment in `directory`, or creates it with mode 0700.
 * BUSY: another ledger has it open for writing, in this or another process. The lock is a file lock, which ends with
 * the process. CORRUPT: it is not a ledger, or its file was cut short. UNSUPPORTED: it has another format version, and
 * is left as it is. NOT_FOUND: `directory` is not a folder and cannot be made; with read_only: there is no ledger.
 * INVALID: the options contradict each other. FORBIDDEN: permission denied. IO, NO_MEMORY, NO_SPACE.
 */
ORD_MUST_USE enum ord_err ledger_open(struct ledger **out, const char *directory, const struct ledger_options *options);
enum { LEDGER_VERSION_TEXT_MAX = 96 };
/* Writes what UNSUPPORTED means, with both versions: "made by version 1 of ..., this program reads version 2". */
void ledger_explain_version(char *out, size_t capacity, uint32_t found_version);
/*
 * Aborts an open turn, so the writer's thread must call this. No other thread
 * may be inside a call. `ledger` may be NULL.
 */
void ledger_close(struct ledger *ledger);

/* The writer's functions. Every put and ledger_forget open the turn's transaction when there is none. */

/* ORD_OK: the next turn can be written. NO_SPACE: it cannot, for now. */
ORD_MUST_USE enum ord_err ledger_room(struct ledger *ledger);
/*
 * Puts a block. `height` must be the newest height + 1, or 0 for the first block.
 * Copies header and data once, into the map.
 */
ORD_MUST_USE enum ord_err ledger_put_block(struct ledger *ledger, uint64_t height, struct ord_span header,
                                           struct ord_span data);
/* Records where a client's envelope is: (client_index, sequence) -> (height, index in block). */
ORD_MUST_USE enum ord_err ledger_put_index(struct ledger *ledger, uint32_t client_index, uint64_t sequence,
                                           uint64_t height, uint32_t envelope_index);
ORD_MUST_USE enum ord_err ledger_put_certificate(struct ledger *ledger, uint64_t height, struct ord_span certificate);
ORD_MUST_USE enum ord_err ledger_put_client(struct ledger *ledger, uint32_t client_index, struct ord_span record);
/* Puts a small named record ("applied", "open", ...). The name has 1 to 32 bytes. An empty value deletes the record. */
ORD_MUST_USE enum ord_err ledger_put_meta(struct ledger *ledger, const char *name, struct ord_span value);
/* Puts a record of the consensus core. */
ORD_MUST_USE enum ord_err ledger_put_record(struct ledger *ledger, const struct ord_record *record);
/*
 * Deletes the core's records of `table` with key <= `key`. The cost is proportional to the number of deleted records.
 */
ORD_MUST_USE enum ord_err ledger_forget(struct ledger *ledger, uint8_t table, uint64_t key);
/* Drops the records of `table` with key > `key`, also those put in this turn. Costs as much as there is to drop. */
ORD_MUST_USE enum ord_err ledger_forget_after(struct ledger *ledger, uint8_t table, uint64_t key);
/* True if there are changes to commit. */
bool ledger_dirty(const struct ledger *ledger);
/* Bytes of turn_bytes_max that the open turn has used, in whole pages. */
uint64_t ledger_turn_bytes(const struct ledger *ledger);
/*
 * Commits the open turn. On ORD_OK all its changes are durable. Returns ORD_OK at once when there
 * is nothing to commit. Blocks on the disk.
 */
ORD_MUST_USE enum ord_err ledger_commit(struct ledger *ledger);

/*
 * The readers' functions. `*out` gets malloc'ed memory that the caller frees; after an error it is empty. NOT_FOUND,
 * CORRUPT, NO_MEMORY, IO, BUSY, TOO_LARGE.
 */

/* Header and data of a block, concatenated. */
ORD_MUST_USE enum ord_err ledger_get_block(struct ledger *ledger, struct ord_bytes *out, uint64_t height);
/*
 * Headers of the heights [from, to], concatenated. Stops early at `bytes_max` or at the newest block. MISMATCH: a
 * header has another size than `header_size`. TOO_LARGE: `bytes_max` is less than one header.
 */
ORD_MUST_USE enum ord_err ledger_get_headers(struct ledger *ledger, struct ord_bytes *out, uint64_t from, uint64_t to,
                                             size_t header_size, size_t bytes_max);
/*
 * The certificate at the lowest height >= `height`. `*at` gets that height. NOT_FOUND: there is none. CORRUPT with
 * `*at` above 0: the certificate at that height is damaged; the next one may be sound.
 */
ORD_MUST_USE enum ord_err ledger_get_certificate(struct ledger *ledger, struct ord_bytes *out, uint64_t *at,
                                                 uint64_t height);
ORD_MUST_USE enum ord_err ledger_get_index(struct ledger *ledger, uint64_t *height, uint32_t *envelope_index,
                                           uint32_t client_index, uint64_t sequence);
ORD_MUST_USE enum ord_err ledger_get_client(struct ledger *ledger, struct ord_bytes *out, uint32_t client_index);
ORD_MUST_USE enum ord_err ledger_get_meta(struct ledger *ledger, struct ord_bytes *out, const char *name);
/* One record of the consensus core. */
ORD_MUST_USE enum ord_err ledger_get_record(struct ledger *ledger, struct ord_bytes *out, uint8_t table, uint64_t key);
/*
 * All records of the consensus core, sorted by (table, key). They are one allocation: the caller calls free(*records).
 */
ORD_MUST_USE enum ord_err ledger_get_records(struct ledger *ledger, struct ord_record **records, size_t *count);
/* Height of the newest block. NOT_FOUND: there is no block. */
ORD_MUST_USE enum ord_err ledger_height(struct ledger *ledger, uint64_t *height);
void ledger_counters(struct ledger *ledger, struct ledger_counters *out);

/*
 * Scrub: reads every record of every table, checks its checksum, and calls `problem` (may be NULL) for each bad one.
 * Works in short read transactions, so it may run beside a writer. CORRUPT: there were problems.
 */
struct ledger_scrub {
    uint64_t records;
    uint64_t bytes;
    uint64_t bad;
};
enum ledger_problem_kind {
    /* The bytes of the block at `height` are damaged. */
    LEDGER_PROBLEM_BLOCK,
    /* The bytes of the certificate at `height` are damaged. */
    LEDGER_PROBLEM_CERTIFICATE,
    /* Another record or a key is damaged, there is a gap in the heights, or the tree is damaged. */
    LEDGER_PROBLEM_OTHER,
};
/* Valid until `problem` returns. */
struct ledger_problem {
    enum ledger_problem_kind kind;
    uint64_t height;
    const char *table;
    const char *what; /* a description for people */
};
typedef void (*ledger_problem_fn)(void *context, const struct ledger_problem *problem);
ORD_MUST_USE enum ord_err ledger_scrub(struct ledger *ledger, struct ledger_scrub *out, ledger_problem_fn problem,
                                       void *context);

/*
 * Repair: writes a damaged record again. The caller must know that the bytes are the right ones, and commits
 * afterwards. May read every key of the ledger.
 * WRONG_STATE: a turn is open already; a repair needs a turn of its own. NOT_FOUND: there is no such record. EXISTS:
 * the record is sound, and was left unchanged. MISMATCH: the stored record has another length. CORRUPT: LMDB's own
 * bytes that lead to the record are damaged as well, so writing it might free the pages of other records.
 */
ORD_MUST_USE enum ord_err ledger_replace_block(struct ledger *ledger, uint64_t height, struct ord_span header,
                                               struct ord_span data);
ORD_MUST_USE enum ord_err ledger_replace_certificate(struct ledger *ledger, uint64_t height,
                                                     struct ord_span certificate);

#endif
