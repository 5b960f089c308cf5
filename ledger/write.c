/*
 * The writer: puts gather in one write transaction, and ledger_commit makes the turn durable. A caller's error is
 * refused before anything is changed. After an error of LMDB in the middle of a turn nobody can tell whether the turn
 * is complete, so the ledger refuses everything from then on.
 */
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "ledger/ledger_internal.h"

static enum ord_err turn_open(struct ledger *ledger) {
    enum ord_err err = ledger_writable(ledger);
    if (err != ORD_OK || ledger->turn != NULL)
        return err;
    int rc = mdb_txn_begin(ledger->env, NULL, 0, &ledger->turn);
    if (rc == 0)
        return ORD_OK;
    ledger->turn = NULL;
    return ledger_fail(ledger, ledger_err_of(rc));
}

static enum ord_err turn_failed(struct ledger *ledger, int rc) {
    mdb_txn_abort(ledger->turn);
    ledger->turn = NULL;
    return ledger_fail(ledger, ledger_err_of(rc));
}

/*
 * Counts the pages that a change costs: the leaf that LMDB copies for it, and the pages of a value that does not fit
 * into a leaf. The result is rather too high than too low, because many changes share a leaf.
 */
static void turn_changed(struct ledger *ledger, size_t value_size) {
    size_t page = ledger->page_size;
    ledger->turn_changes++;
    ledger->turn_bytes += page + (value_size > page / 4 ? (value_size / page + 1) * page : 0);
}

/*
 * Reserves space for a payload of `size` bytes and its checksum in the page that will be written. The caller must fill
 * [0, size) and seal it before the next call. On failure sets `*err` and returns NULL.
 */
static uint8_t *reserve(struct ledger *ledger, enum ord_err *err, enum ledger_table table, const struct ledger_key *key,
                        size_t size, unsigned flags) {
    if (size > LEDGER_VALUE_SIZE_MAX - LEDGER_CHECKSUM_SIZE) {
        *err = ORD_ERR_TOO_LARGE;
        return NULL;
    }
    if ((*err = turn_open(ledger)) != ORD_OK)
        return NULL;
    MDB_val key_val = ledger_val(key);
    MDB_val value = {size + LEDGER_CHECKSUM_SIZE, NULL};
    int rc = mdb_put(ledger->turn, ledger->dbis[table], &key_val, &value, MDB_RESERVE | flags);
    if (rc != 0) {
        *err = turn_failed(ledger, rc);
        return NULL;
    }
    turn_changed(ledger, value.mv_size);
    atomic_fetch_add(&ledger->counters.puts, 1);
    atomic_fetch_add(&ledger->counters.bytes_put, key->size + value.mv_size);
    return value.mv_data;
}

/* Writes the payload's checksum behind it. */
static void seal(uint8_t *payload, enum ledger_table table, const struct ledger_key *key, size_t size) {
    ord_store_u64(payload + size, ledger_checksum(table, ledger_val(key), payload, size));
}

static enum ord_err put(struct ledger *ledger, enum ledger_table table, const struct ledger_key *key,
                        struct ord_span payload) {
    enum ord_err err;
    uint8_t *place = reserve(ledger, &err, table, key, payload.size, 0);
    if (place == NULL)
        return err;
    if (payload.size > 0)
        memcpy(place, payload.data, payload.size);
    seal(place, table, key, payload.size);
    return ORD_OK;
}

/* Puts a block's value into the turn. The caller has checked the sizes of both parts. */
static enum ord_err put_block(struct ledger *ledger, const struct ledger_key *key, struct ord_span header,
                              struct ord_span data, unsigned flags) {
    enum ord_err err;
    size_t size = LEDGER_BLOCK_OVERHEAD + header.size + data.size;
    uint8_t *place = reserve(ledger, &err, LEDGER_BLOCK, key, size, flags);
    if (place == NULL)
        return err;
    ord_store_u32(place, (uint32_t) header.size);
    if (header.size > 0)
        memcpy(place + 4, header.data, header.size);
    /* The header has a checksum of its own, so that headers can be read without the data behind them. */
    seal(place, LEDGER_BLOCK, key, 4 + header.size);
    if (data.size > 0)
        memcpy(place + LEDGER_BLOCK_OVERHEAD + header.size, data.data, data.size);
    seal(place, LEDGER_BLOCK, key, size);
    return ORD_OK;
}

enum ord_err ledger_put_block(struct ledger *ledger, uint64_t height, struct ord_span header, struct ord_span data) {
    enum ord_err err = ledger_writable(ledger);
    if (err != ORD_OK)
        return err;
    if (height != ledger->next_height)
        return ORD_ERR_INVALID;
    if (header.size > LEDGER_VALUE_SIZE_MAX || data.size > LEDGER_VALUE_SIZE_MAX)
        return ORD_ERR_TOO_LARGE;
    struct ledger_key key = ledger_key_u64(height);
    err = put_block(ledger, &key, header, data, MDB_APPEND);
    if (err == ORD_OK)
        ledger->next_height = height + 1;
    return err;
}

static enum ord_err replaceable(struct ledger *ledger, enum ledger_table table, const struct ledger_key *key,
                                size_t size) {
    enum ord_err err = ledger_writable(ledger);
    if (err == ORD_OK && ledger->turn != NULL)
        err = ORD_ERR_WRONG_STATE;
    return err != ORD_OK ? err : ledger_place_check(ledger, table, key, size);
}

enum ord_err ledger_replace_block(struct ledger *ledger, uint64_t height, struct ord_span header,
                                  struct ord_span data) {
    if (header.size > LEDGER_VALUE_SIZE_MAX || data.size > LEDGER_VALUE_SIZE_MAX)
        return ORD_ERR_TOO_LARGE;
    struct ledger_key key = ledger_key_u64(height);
    enum ord_err err = replaceable(ledger, LEDGER_BLOCK, &key, LEDGER_BLOCK_OVERHEAD + header.size + data.size);
    return err != ORD_OK ? err : put_block(ledger, &key, header, data, 0);
}

enum ord_err ledger_replace_certificate(struct ledger *ledger, uint64_t height, struct ord_span certificate) {
    struct ledger_key key = ledger_key_u64(height);
    enum ord_err err = replaceable(ledger, LEDGER_CERTIFICATE, &key, certificate.size);
    return err != ORD_OK ? err : put(ledger, LEDGER_CERTIFICATE, &key, certificate);
}

enum ord_err ledger_put_index(struct ledger *ledger, uint32_t client_index, uint64_t sequence, uint64_t height,
                              uint32_t envelope_index) {
    struct ledger_key key = ledger_key_index(client_index, sequence);
    uint8_t payload[12];
    ord_store_u64(payload, height);
    ord_store_u32(payload + 8, envelope_index);
    return put(ledger, LEDGER_INDEX, &key, ord_span_of(payload, sizeof(payload)));
}

enum ord_err ledger_put_certificate(struct ledger *ledger, uint64_t height, struct ord_span certificate) {
    struct ledger_key key = ledger_key_u64(height);
    return put(ledger, LEDGER_CERTIFICATE, &key, certificate);
}

enum ord_err ledger_put_client(struct ledger *ledger, uint32_t client_index, struct ord_span record) {
    struct ledger_key key = ledger_key_u32(client_index);
    return put(ledger, LEDGER_CLIENT, &key, record);
}

enum ord_err ledger_put_record(struct ledger *ledger, const struct ord_record *record) {
    struct ledger_key key = ledger_key_record(record->table, record->key);
    return put(ledger, LEDGER_RECORD, &key, record->bytes);
}

/* Ends a turn that has changed nothing. It has nothing to commit and must not keep its transaction open. */
static void turn_end_unchanged(struct ledger *ledger) {
    if (ledger->turn != NULL && ledger->turn_changes == 0) {
        mdb_txn_abort(ledger->turn);
        ledger->turn = NULL;
    }
}

enum ord_err ledger_put_meta(struct ledger *ledger, const char *name, struct ord_span value) {
    struct ledger_key key;
    enum ord_err err = ledger_key_meta(&key, name);
    if (err != ORD_OK)
        return err;
    if (strncmp(name, LEDGER_OWN_NAMES, strlen(LEDGER_OWN_NAMES)) == 0)
        return ORD_ERR_INVALID;
    if (value.size > 0)
        return put(ledger, LEDGER_META, &key, value);
    if ((err = turn_open(ledger)) != ORD_OK)
        return err;
    MDB_val key_val = ledger_val(&key);
    int rc = mdb_del(ledger->turn, ledger->dbis[LEDGER_META], &key_val, NULL);
    if (rc == 0)
        turn_changed(ledger, 0);
    else if (rc != MDB_NOTFOUND)
        return turn_failed(ledger, rc);
    turn_end_unchanged(ledger);
    return ORD_OK;
}

/*
 * Drops the records from `first` to `last`. Seeks the first record again after each deletion instead of stepping to the
 * next one. A seek costs a microsecond, and LMDB 0.9 has had bugs in stepping after a deletion.
 */
static enum ord_err forget(struct ledger *ledger, const struct ledger_key *first, const struct ledger_key *last) {
    enum ord_err err = turn_open(ledger);
    if (err != ORD_OK)
        return err;
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(ledger->turn, ledger->dbis[LEDGER_RECORD], &cursor);
    if (rc != 0)
        return turn_failed(ledger, rc);
    for (;;) {
        MDB_val at = ledger_val(first);
        MDB_val value;
        if ((rc = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE)) != 0)
            break;
        if (at.mv_size != last->size || memcmp(at.mv_data, last->bytes, last->size) > 0)
            break;
        if ((rc = mdb_cursor_del(cursor, 0)) != 0)
            break;
        turn_changed(ledger, 0);
    }
    mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return turn_failed(ledger, rc);
    turn_end_unchanged(ledger);
    return ORD_OK;
}

enum ord_err ledger_forget(struct ledger *ledger, uint8_t table, uint64_t key) {
    const struct ledger_key first = ledger_key_record(table, 0);
    const struct ledger_key last = ledger_key_record(table, key);
    return forget(ledger, &first, &last);
}

enum ord_err ledger_forget_after(struct ledger *ledger, uint8_t table, uint64_t key) {
    if (key == UINT64_MAX) /* no key is above */
        return ledger_writable(ledger);
    const struct ledger_key first = ledger_key_record(table, key + 1);
    const struct ledger_key last = ledger_key_record(table, UINT64_MAX);
    return forget(ledger, &first, &last);
}

uint64_t ledger_turn_bytes(const struct ledger *ledger) {
    return ledger->turn_bytes;
}

bool ledger_dirty(const struct ledger *ledger) {
    return ledger->turn_changes > 0;
}

enum ord_err ledger_commit(struct ledger *ledger) {
    if (atomic_load(&ledger->failed))
        return ORD_ERR_WRONG_STATE;
    if (ledger->turn == NULL)
        return ORD_OK;
    ORD_ASSERT(ledger->turn_changes > 0);
    MDB_txn *turn = ledger->turn;
    ledger->turn = NULL; /* LMDB frees it whatever the result */
    uint64_t start = ledger_now_us();
    int rc = mdb_txn_commit(turn);
    if (rc != 0)
        return ledger_fail(ledger, ledger_err_of(rc));
    uint64_t took = ledger_now_us() - start;
    ledger_room_spent(ledger, ledger->turn_bytes);
    ledger->turn_bytes = 0;
    ledger->turn_changes = 0;
    atomic_fetch_add(&ledger->counters.commits, 1);
    atomic_fetch_add(&ledger->counters.commit_us_total, took);
    if (took > atomic_load(&ledger->counters.commit_us_max))
        atomic_store(&ledger->counters.commit_us_max, took);
    return ORD_OK;
}
