/*
 * The ledger: one LMDB environment per channel. The only code that calls LMDB.
 *
 * Caveats first:
 * - One writer (the replica's loop). Puts gather in one write transaction that the first put opens; ledger_commit makes all
 *   of them durable together (default LMDB durability: no NOSYNC, NOMETASYNC, WRITEMAP), or the process must end: after
 *   a failed commit nothing may be acknowledged, and every later call fails with WRONG_STATE.
 * - ledger_room says whether the next turn can be written: it grows the map ahead of need, and gives NO_SPACE when the map is
 *   at its maximum or the file system has too little left; then the replica stops intake until it says OK again. So MAP_FULL
 *   in the middle of a turn does not happen while turns stay under `turn_bytes_max`; if it does all the same, it is an
 *   error like a failed commit.
 * - Readers may be any thread; a read copies out, and holds no transaction afterwards. Readers see committed data only.
 *   The writer thread may read too, and sees committed data only.
 * - Every record carries a checksum (XXH3-64) over key and value, checked at each read: CORRUPT.
 *
 * Layout: docs/formats.md.
 */
#ifndef ORDAIN_LEDGER_LEDGER_H
#define ORDAIN_LEDGER_LEDGER_H

#include "core/protocol.h"

struct ledger;

struct ledger_options {
    uint64_t map_bytes_initial; /* rounded up to a page; the map grows by doubling, at most by 1 GiB a time */
    uint64_t map_bytes_max;
    uint64_t turn_bytes_max;     /* the most that one turn writes; a record counts as whole pages (4 KiB) */
    uint64_t disk_reserve_bytes; /* free space of the file system under which ledger_room says NO_SPACE; never less
                                    than two turns, for a turn that was begun must fit */
    bool read_only;              /* for tools: works beside a running replica, in another process than the replica's */
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
 * Opens or creates (mode 0700) the environment in `directory`. BUSY: another process has it open for writing (a lock file
 * that the kernel drops with the process). CORRUPT: not a ledger, cut short, or another format version. NOT_FOUND:
 * `directory` is no folder and none can be made there; read_only: there is no ledger. INVALID: options that contradict each other. IO, PERMISSION as FORBIDDEN.
 */
ORD_MUST_USE enum ord_err ledger_open(struct ledger **out, const char *directory, const struct ledger_options *options);
/* Aborts an open write transaction, so the writer's thread calls it. No reader may be in a call. NULL is fine. */
void ledger_close(struct ledger *ledger);

/* Writer. Each opens the turn's transaction when there is none. */
ORD_MUST_USE enum ord_err ledger_room(struct ledger *ledger);
/* A block: header, data (scattered into the map, no copy before). Height must be last + 1 (or 0 first). */
ORD_MUST_USE enum ord_err ledger_put_block(struct ledger *ledger, uint64_t height, struct ord_span header,
                                           struct ord_span data);
/* Where a client's envelope went: (client_index, sequence) -> (height, index in block). */
ORD_MUST_USE enum ord_err ledger_put_index(struct ledger *ledger, uint32_t client_index, uint64_t sequence,
                                           uint64_t height, uint32_t envelope_index);
ORD_MUST_USE enum ord_err ledger_put_certificate(struct ledger *ledger, uint64_t height, struct ord_span certificate);
ORD_MUST_USE enum ord_err ledger_put_client(struct ledger *ledger, uint32_t client_index, struct ord_span record);
/* Small named records ("applied", "open", ...): name of at most 32 bytes. An empty value deletes. */
ORD_MUST_USE enum ord_err ledger_put_meta(struct ledger *ledger, const char *name, struct ord_span value);
/* Records of the consensus core. */
ORD_MUST_USE enum ord_err ledger_put_record(struct ledger *ledger, const struct ord_record *record);
/* Drops the records of `table` with key <= `key`. Costs as much as there is to drop. */
ORD_MUST_USE enum ord_err ledger_forget(struct ledger *ledger, uint8_t table, uint64_t key);
/* Drops the records of `table` with key > `key`, those put in this turn included. Costs as much as there is to drop. */
ORD_MUST_USE enum ord_err ledger_forget_after(struct ledger *ledger, uint8_t table, uint64_t key);
/* Is there anything to commit? */
bool ledger_dirty(const struct ledger *ledger);
/* How much of turn_bytes_max that is, in whole pages. */
uint64_t ledger_turn_bytes(const struct ledger *ledger);
/* Durable when it returns ORD_OK. Nothing to commit: ORD_OK at once. Blocks on the disk. */
ORD_MUST_USE enum ord_err ledger_commit(struct ledger *ledger);

/*
 * Readers. `*out` gets malloc'ed memory that the caller frees; NOT_FOUND, CORRUPT, NO_MEMORY, IO, TOO_LARGE.
 */
struct ledger_bytes {
    uint8_t *data;
    size_t size;
};
/* Header and data of a block, end to end: the first `header_size` bytes are the header. */
ORD_MUST_USE enum ord_err ledger_get_block(struct ledger *ledger, struct ledger_bytes *out, uint64_t height);
/* Headers of [from, to] end to end; stops early at `bytes_max` or at the newest. */
ORD_MUST_USE enum ord_err ledger_get_headers(struct ledger *ledger, struct ledger_bytes *out, uint64_t from,
                                             uint64_t to, size_t header_size, size_t bytes_max);
/*
 * The certificate at the lowest height >= `height`; `*at` gets that height. NOT_FOUND: none. CORRUPT with `*at` above 0: that one is
 * damaged, and the next may be sound.
 */
ORD_MUST_USE enum ord_err ledger_get_certificate(struct ledger *ledger, struct ledger_bytes *out, uint64_t *at,
                                                 uint64_t height);
ORD_MUST_USE enum ord_err ledger_get_index(struct ledger *ledger, uint64_t *height, uint32_t *envelope_index,
                                           uint32_t client_index, uint64_t sequence);
ORD_MUST_USE enum ord_err ledger_get_client(struct ledger *ledger, struct ledger_bytes *out, uint32_t client_index);
ORD_MUST_USE enum ord_err ledger_get_meta(struct ledger *ledger, struct ledger_bytes *out, const char *name);
/* One record of the consensus core. */
ORD_MUST_USE enum ord_err ledger_get_record(struct ledger *ledger, struct ledger_bytes *out, uint8_t table,
                                            uint64_t key);
/* All records of the consensus core, sorted by (table, key). One block of memory: free(*records). */
ORD_MUST_USE enum ord_err ledger_get_records(struct ledger *ledger, struct ord_record **records, size_t *count);
/* Height of the newest block; NOT_FOUND: none. */
ORD_MUST_USE enum ord_err ledger_height(struct ledger *ledger, uint64_t *height);
void ledger_counters(struct ledger *ledger, struct ledger_counters *out);

/*
 * Scrub: reads every record of every table and checks its checksum; calls `problem` (may be NULL) for each bad one. Works in
 * short read transactions, so it may run beside a writer. CORRUPT when anything was bad.
 */
struct ledger_scrub {
    uint64_t records;
    uint64_t bytes;
    uint64_t bad;
};
enum ledger_problem_kind {
    LEDGER_PROBLEM_BLOCK,       /* the bytes of the block at `height` */
    LEDGER_PROBLEM_CERTIFICATE, /* the bytes of the certificate at `height` */
    LEDGER_PROBLEM_OTHER,       /* any other record, a key, a gap, the tree */
};
/* Valid until the call returns. */
struct ledger_problem {
    enum ledger_problem_kind kind;
    uint64_t height;
    const char *table;
    const char *what; /* for people */
};
typedef void (*ledger_problem_fn)(void *context, const struct ledger_problem *problem);
ORD_MUST_USE enum ord_err ledger_scrub(struct ledger *ledger, struct ledger_scrub *out, ledger_problem_fn problem,
                                       void *context);

/*
 * Repair: writes a damaged record again. That these are the right bytes is the caller's to know. Opens a turn of its own:
 * WRONG_STATE when one is open. NOT_FOUND: there is no such record. EXISTS: it is sound, and stays. MISMATCH: the one that is
 * there has another length. CORRUPT: not only its bytes are damaged but also what leads to them, and writing there might
 * free what belongs to others. Looks at every key of the ledger.
 */
ORD_MUST_USE enum ord_err ledger_replace_block(struct ledger *ledger, uint64_t height, struct ord_span header,
                                               struct ord_span data);
ORD_MUST_USE enum ord_err ledger_replace_certificate(struct ledger *ledger, uint64_t height,
                                                     struct ord_span certificate);

#endif
