/*
 * The readers. Each call is one short read transaction that sees the newest commit, checks the records that it finds
 * and copies them. No pointer into the map leaves this file.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "ledger/ledger_internal.h"

enum ord_err ledger_read_begin(struct ledger *ledger, MDB_txn **txn) {
    /* A writer in another process may grow the map several times while we try to follow. */
    enum { ADOPT_MAX = 8 };
    *txn = NULL;
    for (int i = 0; i < ADOPT_MAX; i++) {
        pthread_rwlock_rdlock(&ledger->map_lock);
        int rc = 0;
        enum ord_err err = ORD_ERR_WRONG_STATE;
        if (!atomic_load(&ledger->failed)) {
            rc = mdb_txn_begin(ledger->env, NULL, MDB_RDONLY, txn);
            err = ledger_err_of(rc);
        }
        if (err == ORD_OK)
            return ORD_OK; /* ledger_read_end releases the lock */
        pthread_rwlock_unlock(&ledger->map_lock);
        if (rc != MDB_MAP_RESIZED)
            return err;
        if ((err = ledger_map_adopt(ledger)) != ORD_OK)
            return err;
    }
    return ORD_ERR_BUSY;
}

void ledger_read_end(struct ledger *ledger, MDB_txn *txn) {
    mdb_txn_abort(txn);
    pthread_rwlock_unlock(&ledger->map_lock);
}

enum ord_err ledger_cursor_begin(struct ledger *ledger, MDB_cursor **cursor, enum ledger_table table) {
    MDB_txn *txn = NULL;
    enum ord_err err = ledger_read_begin(ledger, &txn);
    if (err != ORD_OK)
        return err;
    err = ledger_err_of(mdb_cursor_open(txn, ledger->dbis[table], cursor));
    if (err != ORD_OK)
        ledger_read_end(ledger, txn);
    return err;
}

void ledger_cursor_end(struct ledger *ledger, MDB_cursor *cursor) {
    MDB_txn *txn = mdb_cursor_txn(cursor);
    mdb_cursor_close(cursor);
    ledger_read_end(ledger, txn);
}

static enum ord_err allocate(struct ord_bytes *out, size_t size) {
    out->data = malloc(size > 0 ? size : 1);
    if (out->data == NULL)
        return ORD_ERR_NO_MEMORY;
    out->size = size;
    return ORD_OK;
}

static enum ord_err copy_out(struct ord_bytes *out, struct ord_span bytes) {
    enum ord_err err = allocate(out, bytes.size);
    if (err == ORD_OK && bytes.size > 0)
        memcpy(out->data, bytes.data, bytes.size);
    return err;
}

static enum ord_err get(struct ledger *ledger, struct ord_bytes *out, enum ledger_table table,
                        const struct ledger_key *key) {
    MDB_txn *txn = NULL;
    struct ord_span payload;
    *out = (struct ord_bytes) {NULL, 0};
    enum ord_err err = ledger_read_begin(ledger, &txn);
    if (err != ORD_OK)
        return err;
    err = ledger_find(ledger, txn, &payload, table, key);
    if (err == ORD_OK)
        err = copy_out(out, payload);
    ledger_read_end(ledger, txn);
    return err;
}

enum ord_err ledger_get_client(struct ledger *ledger, struct ord_bytes *out, uint32_t client_index) {
    struct ledger_key key = ledger_key_u32(client_index);
    return get(ledger, out, LEDGER_CLIENT, &key);
}

enum ord_err ledger_get_meta(struct ledger *ledger, struct ord_bytes *out, const char *name) {
    struct ledger_key key;
    *out = (struct ord_bytes) {NULL, 0};
    enum ord_err err = ledger_key_meta(&key, name);
    return err != ORD_OK ? err : get(ledger, out, LEDGER_META, &key);
}

enum ord_err ledger_get_record(struct ledger *ledger, struct ord_bytes *out, uint8_t table, uint64_t key) {
    struct ledger_key record_key = ledger_key_record(table, key);
    return get(ledger, out, LEDGER_RECORD, &record_key);
}

enum ord_err ledger_get_index(struct ledger *ledger, uint64_t *height, uint32_t *envelope_index, uint32_t client_index,
                              uint64_t sequence) {
    struct ledger_key key = ledger_key_index(client_index, sequence);
    MDB_txn *txn = NULL;
    struct ord_span payload;
    enum ord_err err = ledger_read_begin(ledger, &txn);
    if (err != ORD_OK)
        return err;
    err = ledger_find(ledger, txn, &payload, LEDGER_INDEX, &key);
    if (err == ORD_OK && payload.size != 12)
        err = ORD_ERR_CORRUPT;
    if (err == ORD_OK) {
        *height = ord_load_u64(payload.data);
        *envelope_index = ord_load_u32(payload.data + 8);
    }
    ledger_read_end(ledger, txn);
    return err;
}

enum ord_err ledger_get_block(struct ledger *ledger, struct ord_bytes *out, uint64_t height) {
    struct ledger_key key = ledger_key_u64(height);
    MDB_txn *txn = NULL;
    struct ord_span payload;
    struct ord_span header;
    struct ord_span data;
    *out = (struct ord_bytes) {NULL, 0};
    enum ord_err err = ledger_read_begin(ledger, &txn);
    if (err != ORD_OK)
        return err;
    if ((err = ledger_find(ledger, txn, &payload, LEDGER_BLOCK, &key)) == ORD_OK &&
        (err = ledger_block_split(&header, &data, ledger_val(&key), payload)) == ORD_OK &&
        (err = allocate(out, header.size + data.size)) == ORD_OK) {
        memcpy(out->data, header.data, header.size);
        memcpy(out->data + header.size, data.data, data.size);
    }
    ledger_read_end(ledger, txn);
    return err;
}

/* The newest height that a cursor on the blocks sees. */
static enum ord_err newest_height(MDB_cursor *cursor, uint64_t *height) {
    MDB_val key;
    enum ord_err err = ledger_err_of(mdb_cursor_get(cursor, &key, NULL, MDB_LAST));
    if (err == ORD_OK && key.mv_size != 8)
        err = ORD_ERR_CORRUPT;
    if (err == ORD_OK)
        *height = ord_load_u64(key.mv_data);
    return err;
}

enum ord_err ledger_height(struct ledger *ledger, uint64_t *height) {
    MDB_cursor *cursor = NULL;
    enum ord_err err = ledger_cursor_begin(ledger, &cursor, LEDGER_BLOCK);
    if (err != ORD_OK)
        return err;
    err = newest_height(cursor, height);
    ledger_cursor_end(ledger, cursor);
    return err;
}

/* Copies the headers of the heights [from, from + count) to `out`. Each must exist and have the size `header_size`. */
static enum ord_err copy_headers(MDB_cursor *cursor, uint8_t *out, uint64_t from, size_t count, size_t header_size) {
    const struct ledger_key first = ledger_key_u64(from);
    MDB_val key = ledger_val(&first);
    MDB_val value;
    enum ord_err err = ORD_OK;
    for (size_t i = 0; i < count && err == ORD_OK; i++) {
        struct ord_span header;
        int rc = mdb_cursor_get(cursor, &key, &value, i == 0 ? MDB_SET_KEY : MDB_NEXT);
        if (rc != 0) {
            err = rc == MDB_NOTFOUND && i > 0 ? ORD_ERR_CORRUPT : ledger_err_of(rc);
        } else if (key.mv_size != 8 || ord_load_u64(key.mv_data) != from + i) {
            err = ORD_ERR_CORRUPT;
        } else if ((err = ledger_block_header(&header, key, value)) == ORD_OK) {
            if (header.size != header_size)
                err = ORD_ERR_MISMATCH;
            else
                memcpy(out + i * header_size, header.data, header_size);
        }
    }
    return err;
}

enum ord_err ledger_get_headers(struct ledger *ledger, struct ord_bytes *out, uint64_t from, uint64_t to,
                                size_t header_size, size_t bytes_max) {
    MDB_cursor *cursor = NULL;
    uint64_t newest = 0;
    *out = (struct ord_bytes) {NULL, 0};
    if (from > to || header_size == 0)
        return ORD_ERR_INVALID;
    if (bytes_max < header_size)
        return ORD_ERR_TOO_LARGE;
    enum ord_err err = ledger_cursor_begin(ledger, &cursor, LEDGER_BLOCK);
    if (err != ORD_OK)
        return err;
    if ((err = newest_height(cursor, &newest)) == ORD_OK && from > newest)
        err = ORD_ERR_NOT_FOUND;
    if (err != ORD_OK)
        goto out;
    uint64_t last = to < newest ? to : newest;
    size_t count = bytes_max / header_size;
    if (last - from < count)
        count = (size_t) (last - from) + 1;
    if ((err = allocate(out, count * header_size)) != ORD_OK)
        goto out;
    err = copy_headers(cursor, out->data, from, count, header_size);
    if (err != ORD_OK) {
        free(out->data);
        *out = (struct ord_bytes) {NULL, 0};
    }
out:
    ledger_cursor_end(ledger, cursor);
    return err;
}

enum ord_err ledger_get_certificate(struct ledger *ledger, struct ord_bytes *out, uint64_t *at, uint64_t height) {
    const struct ledger_key first = ledger_key_u64(height);
    MDB_cursor *cursor = NULL;
    MDB_val key = ledger_val(&first);
    MDB_val value;
    struct ord_span payload;
    *out = (struct ord_bytes) {NULL, 0};
    *at = 0;
    enum ord_err err = ledger_cursor_begin(ledger, &cursor, LEDGER_CERTIFICATE);
    if (err != ORD_OK)
        return err;
    err = ledger_err_of(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    if (err == ORD_OK && key.mv_size != 8)
        err = ORD_ERR_CORRUPT;
    if (err == ORD_OK) {
        *at = ord_load_u64(key.mv_data);
        err = ledger_value_check(&payload, LEDGER_CERTIFICATE, key, value);
    }
    if (err == ORD_OK)
        err = copy_out(out, payload);
    ledger_cursor_end(ledger, cursor);
    return err;
}

/*
 * Makes one pass over all records: checks them and counts them and their bytes. When `records` is
 * not NULL, also fills it and copies the records' bytes to `bytes`. A second pass in the same
 * transaction sees the same records as the first.
 */
static enum ord_err walk_records(MDB_cursor *cursor, struct ord_record *records, uint8_t *bytes, size_t *count,
                                 size_t *size) {
    MDB_val key;
    MDB_val value;
    *count = 0;
    *size = 0;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct ord_span payload;
        if (key.mv_size != 9)
            return ORD_ERR_CORRUPT;
        enum ord_err err = ledger_value_check(&payload, LEDGER_RECORD, key, value);
        if (err != ORD_OK)
            return err;
        if (records != NULL) {
            const uint8_t *at = key.mv_data;
            memcpy(bytes + *size, payload.data, payload.size);
            records[*count] = (struct ord_record) {
                .table = at[0], .key = ord_load_u64(at + 1), .bytes = ord_span_of(bytes + *size, payload.size)};
        }
        *count += 1;
        *size += payload.size;
    }
    return rc == MDB_NOTFOUND ? ORD_OK : ledger_err_of(rc);
}

enum ord_err ledger_get_records(struct ledger *ledger, struct ord_record **records, size_t *count) {
    MDB_cursor *cursor = NULL;
    struct ord_record *list = NULL;
    size_t size = 0;
    size_t counted = 0;
    size_t sized = 0;
    *records = NULL;
    *count = 0;
    enum ord_err err = ledger_cursor_begin(ledger, &cursor, LEDGER_RECORD);
    if (err != ORD_OK)
        return err;
    if ((err = walk_records(cursor, NULL, NULL, &counted, &sized)) != ORD_OK)
        goto out;
    list = malloc(counted * sizeof(*list) + sized + 1);
    if (list == NULL) {
        err = ORD_ERR_NO_MEMORY;
        goto out;
    }
    err = walk_records(cursor, list, (uint8_t *) (list + counted), count, &size);
    if (err == ORD_OK)
        ORD_ASSERT(*count == counted && size == sized);
out:
    ledger_cursor_end(ledger, cursor);
    if (err != ORD_OK) {
        free(list);
        *count = 0;
        return err;
    }
    *records = list;
    return ORD_OK;
}
