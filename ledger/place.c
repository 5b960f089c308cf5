/*
 * Decides whether a damaged record can be written again in its place. LMDB frees the pages of a replaced value, and it
 * believes the tree about which pages these are. A flipped bit there would free the pages of another record, and
 * destroy that record later. Therefore the data that leads to the record must be sound, and no other record may use its
 * pages. This code knows how LMDB 0.9 lays out a page and a leaf's node.
 */
#include <string.h>

#include "ledger/ledger_internal.h"

enum {
    FREE_DBI = 0,
    /* The key follows the header, then the value or the number of its first page. */
    NODE_HEADER_SIZE = 8,
    /* Page number u64, two unused bytes, flags u16, page count u32. */
    PAGE_HEADER_SIZE = 16,
    PAGE_FLAGS_AT = 10,
    PAGE_COUNT_AT = 12,
    PAGE_OVERFLOW = 4, /* the flags of a value's pages */
};

/* The pages of a value, as bytes in the map and by page number. */
struct run {
    const uint8_t *begin;
    size_t bytes;
    size_t first;
    size_t count;
};

/* True if a value of this length has pages of its own. */
static bool is_long(const struct ledger *ledger, size_t key_size, size_t value_size) {
    size_t node_max = (((ledger->page_size - PAGE_HEADER_SIZE) / 2) & ~(size_t) 1) - sizeof(uint16_t);
    return NODE_HEADER_SIZE + key_size + value_size > node_max;
}

/*
 * Finds the pages of a long value. Checks that there are as many as it needs and that the
 * first page's header agrees with the node.
 */
static enum ord_err find_run(struct ledger *ledger, struct run *out, MDB_val key, MDB_val value) {
    uint16_t flags;
    uint32_t count;
    size_t number;
    if (((uintptr_t) value.mv_data & (ledger->page_size - 1)) != PAGE_HEADER_SIZE)
        return ORD_ERR_CORRUPT;
    out->begin = (const uint8_t *) value.mv_data - PAGE_HEADER_SIZE;
    out->count = (PAGE_HEADER_SIZE - 1 + value.mv_size) / ledger->page_size + 1;
    out->bytes = out->count * ledger->page_size;
    memcpy(&out->first, (const uint8_t *) key.mv_data + key.mv_size, sizeof(out->first));
    memcpy(&number, out->begin, sizeof(number));
    memcpy(&flags, out->begin + PAGE_FLAGS_AT, sizeof(flags));
    memcpy(&count, out->begin + PAGE_COUNT_AT, sizeof(count));
    const MDB_envinfo info = ledger_info(ledger);
    bool sound = number == out->first && flags == PAGE_OVERFLOW && count == out->count &&
                 out->first <= info.me_last_pgno && out->count <= info.me_last_pgno - out->first + 1;
    return sound ? ORD_OK : ORD_ERR_CORRUPT;
}

static bool overlaps(const struct run *run, const void *data, size_t size) {
    uintptr_t begin = (uintptr_t) data;
    uintptr_t own = (uintptr_t) run->begin;
    return begin < own + run->bytes && (own <= begin || size > own - begin);
}

/* Checks that no other record lies in the run, neither with its key nor with its value. CORRUPT: one does. */
static enum ord_err nobody_elses(struct ledger *ledger, MDB_txn *txn, const struct run *run, enum ledger_table table,
                                 const struct ledger_key *own) {
    enum ord_err err = ORD_OK;
    for (enum ledger_table other = LEDGER_META; other < LEDGER_TABLE_END && err == ORD_OK; other++) {
        MDB_cursor *cursor = NULL;
        MDB_val key = {0, NULL};
        MDB_val value = {0, NULL};
        int rc = mdb_cursor_open(txn, ledger->dbis[other], &cursor);
        while (rc == 0 && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
            bool self = other == table && key.mv_size == own->size && memcmp(key.mv_data, own->bytes, own->size) == 0;
            if (overlaps(run, key.mv_data, key.mv_size) || (!self && overlaps(run, value.mv_data, value.mv_size))) {
                rc = MDB_CORRUPTED;
                break;
            }
        }
        if (cursor != NULL)
            mdb_cursor_close(cursor);
        if (rc != MDB_NOTFOUND)
            err = ledger_err_of(rc);
    }
    return err;
}

/* Checks that none of the run's pages is noted as free. CORRUPT: one is, so another record may soon use it. */
static enum ord_err not_free(MDB_txn *txn, const struct run *run) {
    MDB_cursor *cursor = NULL;
    MDB_val key = {0, NULL};
    MDB_val value = {0, NULL};
    int rc = mdb_cursor_open(txn, FREE_DBI, &cursor);
    while (rc == 0 && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        /* The value is the number of pages, then the page numbers. */
        size_t noted = 0;
        if (value.mv_size < sizeof(noted) || !ledger_is_mapped(value)) {
            rc = MDB_CORRUPTED;
            break;
        }
        memcpy(&noted, value.mv_data, sizeof(noted));
        if (noted > value.mv_size / sizeof(noted) - 1)
            rc = MDB_CORRUPTED;
        for (size_t i = 1; rc == 0 && i <= noted; i++) {
            size_t page;
            memcpy(&page, (const uint8_t *) value.mv_data + i * sizeof(page), sizeof(page));
            if (page >= run->first && page - run->first < run->count)
                rc = MDB_CORRUPTED;
        }
    }
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? ORD_OK : ledger_err_of(rc);
}

static bool is_sound(enum ledger_table table, MDB_val key, MDB_val value) {
    struct ord_span payload;
    struct ord_span header;
    struct ord_span data;
    return ledger_value_check(&payload, table, key, value) == ORD_OK &&
           (table != LEDGER_BLOCK || ledger_block_split(&header, &data, key, payload) == ORD_OK);
}

/* Does the work of ledger_place_check with an open cursor. */
static enum ord_err check(struct ledger *ledger, MDB_txn *txn, MDB_cursor *cursor, enum ledger_table table,
                          const struct ledger_key *own, size_t size) {
    MDB_val key = ledger_val(own);
    MDB_val value = {0, NULL};
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY);
    if (rc != 0)
        return ledger_err_of(rc);
    if (is_sound(table, key, value))
        return ORD_ERR_EXISTS;
    if (value.mv_size != size + LEDGER_CHECKSUM_SIZE)
        return ORD_ERR_MISMATCH;
    /* LMDB overwrites a short value of the same length in place, and frees nothing. */
    if (!is_long(ledger, key.mv_size, value.mv_size))
        return (const uint8_t *) key.mv_data + key.mv_size == value.mv_data ? ORD_OK : ORD_ERR_CORRUPT;
    struct run run;
    enum ord_err err = find_run(ledger, &run, key, value);
    if (err == ORD_OK)
        err = nobody_elses(ledger, txn, &run, table, own);
    return err == ORD_OK ? not_free(txn, &run) : err;
}

enum ord_err ledger_place_check(struct ledger *ledger, enum ledger_table table, const struct ledger_key *key,
                                size_t size) {
    MDB_cursor *cursor = NULL;
    enum ord_err err = ledger_cursor_begin(ledger, &cursor, table);
    if (err != ORD_OK)
        return err;
    err = check(ledger, mdb_cursor_txn(cursor), cursor, table, key, size);
    ledger_cursor_end(ledger, cursor);
    return err;
}
