/*
 * Scrub: reads everything back and checks it. Besides the checksum of each record it checks that keys have their
 * table's form, that block heights have no gap, and that a tree holds as many records as it claims. It works in pieces
 * of bounded size, so that it neither pins old pages nor delays the map's growth.
 */
#include <stdio.h>
#include <string.h>

#include "core/codec.h"
#include "ledger/ledger_internal.h"

enum {
    PIECE_RECORDS_MAX = 1024,
    PIECE_BYTES_MAX = 4 << 20,
    ANY_KEY_SIZE_MAX = 511, /* LMDB's own limit */
};

struct scrub {
    struct ledger *ledger;
    struct ledger_scrub *out;
    ledger_problem_fn problem;
    void *context;
    /* The state of the table that is being read. */
    enum ledger_table table;
    uint8_t last[ANY_KEY_SIZE_MAX]; /* the previous record's key */
    size_t last_size;               /* 0: there is none yet */
    uint64_t next_height;
    uint64_t records;
    size_t txn_id;  /* the first piece's transaction */
    bool one_state; /* all pieces saw the same commit */
};

static void report(struct scrub *scrub, enum ledger_problem_kind kind, uint64_t height, const char *what) {
    const struct ledger_problem problem = {kind, height, ledger_table_name(scrub->table), what};
    scrub->out->bad++;
    if (scrub->problem != NULL)
        scrub->problem(scrub->context, &problem);
}

static void bad(struct scrub *scrub, const char *what) {
    report(scrub, LEDGER_PROBLEM_OTHER, 0, what);
}

/*
 * Reports a bad record. Names it for people, by "height 7" or "key 01000000000000000a". `bytes_only`: its key is sound.
 */
static void bad_record(struct scrub *scrub, MDB_val key, bool bytes_only, const char *why) {
    char name[3 * LEDGER_KEY_SIZE_MAX];
    const uint8_t *bytes = key.mv_data;
    size_t size = key.mv_size < LEDGER_KEY_SIZE_MAX ? key.mv_size : LEDGER_KEY_SIZE_MAX;
    enum ledger_problem_kind kind = LEDGER_PROBLEM_OTHER;
    uint64_t height = 0;
    if ((scrub->table == LEDGER_BLOCK || scrub->table == LEDGER_CERTIFICATE) && size == 8) {
        height = ord_load_u64(bytes);
        if (bytes_only)
            kind = scrub->table == LEDGER_BLOCK ? LEDGER_PROBLEM_BLOCK : LEDGER_PROBLEM_CERTIFICATE;
        snprintf(name, sizeof(name), "height %llu", (unsigned long long) height);
    } else {
        size_t at = (size_t) snprintf(name, sizeof(name), "key ");
        for (size_t i = 0; i < size; i++)
            at += (size_t) snprintf(name + at, sizeof(name) - at, "%02x", bytes[i]);
    }
    char what[sizeof(name) + 64];
    snprintf(what, sizeof(what), "%s: %s", name, why);
    report(scrub, kind, height, what);
}

static bool key_fits(enum ledger_table table, size_t size) {
    switch (table) {
    case LEDGER_META:
        return size >= 1 && size <= LEDGER_KEY_SIZE_MAX;
    case LEDGER_BLOCK:
    case LEDGER_CERTIFICATE:
        return size == 8;
    case LEDGER_INDEX:
        return size == 12;
    case LEDGER_CLIENT:
        return size == 4;
    case LEDGER_RECORD:
        return size == 9;
    case LEDGER_TABLE_END:
        break;
    }
    return false;
}

static void check_block(struct scrub *scrub, MDB_val key, struct ord_span payload) {
    struct ord_span header;
    struct ord_span data;
    if (ledger_block_split(&header, &data, key, payload) != ORD_OK)
        bad_record(scrub, key, true, "header checksum does not match");
}

static void check_record(struct scrub *scrub, MDB_val key, MDB_val value) {
    struct ord_span payload;
    scrub->records++;
    scrub->out->records++;
    scrub->out->bytes += key.mv_size + value.mv_size;
    if (!key_fits(scrub->table, key.mv_size)) {
        bad_record(scrub, key, false, "key of a wrong size");
        return;
    }
    if (scrub->table == LEDGER_BLOCK) {
        uint64_t height = ord_load_u64(key.mv_data);
        if (height != scrub->next_height)
            bad_record(scrub, key, false, "the block before it is missing");
        scrub->next_height = height + 1;
    }
    if (ledger_value_check(&payload, scrub->table, key, value) != ORD_OK)
        bad_record(scrub, key, true, "checksum does not match");
    else if (scrub->table == LEDGER_BLOCK)
        check_block(scrub, key, payload);
}

/* Moves the cursor to the first record behind `last`. */
static int seek(struct scrub *scrub, MDB_cursor *cursor, MDB_val *key, MDB_val *value) {
    if (scrub->last_size == 0)
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    *key = (MDB_val) {scrub->last_size, scrub->last};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (rc == 0 && key->mv_size == scrub->last_size && memcmp(key->mv_data, scrub->last, key->mv_size) == 0)
        rc = mdb_cursor_get(cursor, key, value, MDB_NEXT);
    return rc;
}

/* Makes `key` the last key read. False when it does not rise: a damaged tree with a cycle would be read for ever. */
static bool step(struct scrub *scrub, MDB_val key) {
    if (key.mv_size == 0 || key.mv_size > sizeof(scrub->last))
        return false;
    size_t common = key.mv_size < scrub->last_size ? key.mv_size : scrub->last_size;
    int order = memcmp(key.mv_data, scrub->last, common);
    if (order < 0 || (order == 0 && key.mv_size <= scrub->last_size))
        return false;
    memcpy(scrub->last, key.mv_data, key.mv_size);
    scrub->last_size = key.mv_size;
    return true;
}

static void check_count(struct scrub *scrub, MDB_txn *txn) {
    MDB_stat stat;
    if (!scrub->one_state || mdb_stat(txn, scrub->ledger->dbis[scrub->table], &stat) != 0 ||
        stat.ms_entries == scrub->records)
        return;
    char what[96];
    snprintf(what, sizeof(what), "the tree says %zu records, %llu are there", stat.ms_entries,
             (unsigned long long) scrub->records);
    bad(scrub, what);
}

/* Reads one piece of the table. Sets *done at the table's end. */
static enum ord_err scrub_piece(struct scrub *scrub, bool *done) {
    MDB_cursor *cursor = NULL;
    MDB_val key = {0, NULL};
    MDB_val value = {0, NULL};
    size_t bytes = 0;
    *done = false;
    enum ord_err err = ledger_cursor_begin(scrub->ledger, &cursor, scrub->table);
    if (err != ORD_OK)
        return err;
    MDB_txn *txn = mdb_cursor_txn(cursor);
    if (scrub->last_size == 0)
        scrub->txn_id = mdb_txn_id(txn);
    else if (scrub->txn_id != mdb_txn_id(txn))
        scrub->one_state = false;
    int rc = seek(scrub, cursor, &key, &value);
    for (size_t i = 1; rc == 0; i++) {
        if (!step(scrub, key)) {
            rc = MDB_CORRUPTED;
            break;
        }
        check_record(scrub, key, value);
        bytes += value.mv_size;
        if (i == PIECE_RECORDS_MAX || bytes >= PIECE_BYTES_MAX)
            break;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (rc == MDB_NOTFOUND) {
        *done = true;
        check_count(scrub, txn);
    } else if (rc != 0) {
        err = ledger_err_of(rc);
    }
    ledger_cursor_end(scrub->ledger, cursor);
    return err;
}

enum ord_err ledger_scrub(struct ledger *ledger, struct ledger_scrub *out, ledger_problem_fn problem, void *context) {
    struct scrub scrub = {.ledger = ledger, .out = out, .problem = problem, .context = context};
    *out = (struct ledger_scrub) {0};
    for (enum ledger_table table = LEDGER_META; table < LEDGER_TABLE_END; table++) {
        scrub.table = table;
        scrub.last_size = 0;
        scrub.next_height = 0;
        scrub.records = 0;
        scrub.one_state = true;
        bool done = false;
        while (!done) {
            enum ord_err err = scrub_piece(&scrub, &done);
            if (err == ORD_ERR_CORRUPT) {
                /* The rest of this table cannot be reached. Go on with the next table. */
                bad(&scrub, "the tree is damaged");
                done = true;
            } else if (err != ORD_OK) {
                return err;
            }
        }
    }
    return out->bad == 0 ? ORD_OK : ORD_ERR_CORRUPT;
}
