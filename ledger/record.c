/*
 * Keys, values and checksums of the ledger's records, and the translation of LMDB's error codes. LMDB 0.9 keeps no
 * checksums, so neither the length nor the bytes of a value from the map are trusted.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xxhash.h>

#include "core/assert.h"
#include "core/codec.h"
#include "ledger/ledger_internal.h"

const char *ledger_table_name(enum ledger_table table) {
    switch (table) {
    case LEDGER_META:
        return "meta";
    case LEDGER_BLOCK:
        return "block";
    case LEDGER_INDEX:
        return "index";
    case LEDGER_CERTIFICATE:
        return "cert";
    case LEDGER_CLIENT:
        return "client";
    case LEDGER_RECORD:
        return "record";
    case LEDGER_TABLE_END:
        break;
    }
    return "";
}

struct ledger_key ledger_key_u32(uint32_t value) {
    struct ledger_key key = {.size = 4};
    ord_store_u32(key.bytes, value);
    return key;
}

struct ledger_key ledger_key_u64(uint64_t value) {
    struct ledger_key key = {.size = 8};
    ord_store_u64(key.bytes, value);
    return key;
}

struct ledger_key ledger_key_index(uint32_t client_index, uint64_t sequence) {
    struct ledger_key key = {.size = 12};
    ord_store_u32(key.bytes, client_index);
    ord_store_u64(key.bytes + 4, sequence);
    return key;
}

struct ledger_key ledger_key_record(uint8_t table, uint64_t key) {
    struct ledger_key out = {.size = 9};
    out.bytes[0] = table;
    ord_store_u64(out.bytes + 1, key);
    return out;
}

enum ord_err ledger_key_meta(struct ledger_key *out, const char *name) {
    size_t size = strnlen(name, LEDGER_KEY_SIZE_MAX + 1);
    if (size == 0 || size > LEDGER_KEY_SIZE_MAX)
        return ORD_ERR_INVALID;
    *out = (struct ledger_key) {.size = size};
    memcpy(out->bytes, name, size);
    return ORD_OK;
}

MDB_val ledger_val(const struct ledger_key *key) {
    /* LMDB uses one type for keys and for the values that it returns. It
     * does not write to keys, so the cast is safe. */
    return (MDB_val) {key->size, (void *) key->bytes};
}

/* Hashes key and payload in two calls, so that the payload need not be copied. */
uint64_t ledger_checksum(enum ledger_table table, MDB_val key, const uint8_t *payload, size_t size) {
    uint8_t place[1 + LEDGER_KEY_SIZE_MAX];
    size_t key_size = key.mv_size < LEDGER_KEY_SIZE_MAX ? key.mv_size : LEDGER_KEY_SIZE_MAX;
    place[0] = (uint8_t) table;
    memcpy(place + 1, key.mv_data, key_size);
    return XXH3_64bits_withSeed(payload, size, XXH3_64bits(place, 1 + key_size));
}

/*
 * msync with MS_ASYNC does nothing except report whether every page of a range is mapped. Every mapped page can be
 * read, because the file is as long as the map (room.c).
 */
bool ledger_is_mapped(MDB_val value) {
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    size_t offset = (uintptr_t) value.mv_data & (page - 1);
    if (offset + value.mv_size <= page)
        return true; /* within the page that LMDB has read already */
    return msync((uint8_t *) value.mv_data - offset, offset + value.mv_size, MS_ASYNC) == 0;
}

enum ord_err ledger_value_check(struct ord_span *payload, enum ledger_table table, MDB_val key, MDB_val value) {
    *payload = ord_span_of(NULL, 0);
    if (value.mv_size < LEDGER_CHECKSUM_SIZE || value.mv_size > LEDGER_VALUE_SIZE_MAX || !ledger_is_mapped(value))
        return ORD_ERR_CORRUPT;
    const uint8_t *data = value.mv_data;
    size_t size = value.mv_size - LEDGER_CHECKSUM_SIZE;
    if (ledger_checksum(table, key, data, size) != ord_load_u64(data + size))
        return ORD_ERR_CORRUPT;
    *payload = ord_span_of(data, size);
    return ORD_OK;
}

enum ord_err ledger_find(const struct ledger *ledger, MDB_txn *txn, struct ord_span *payload, enum ledger_table table,
                         const struct ledger_key *key) {
    MDB_val key_val = ledger_val(key);
    MDB_val value = {0, NULL};
    int rc = mdb_get(txn, ledger->dbis[table], &key_val, &value);
    return rc != 0 ? ledger_err_of(rc) : ledger_value_check(payload, table, key_val, value);
}

int ledger_put_own(const struct ledger *ledger, MDB_txn *txn, const char *name, uint8_t *value, size_t size) {
    struct ledger_key key;
    if (ledger_key_meta(&key, name) != ORD_OK)
        return EINVAL;
    MDB_val key_val = ledger_val(&key);
    MDB_val val = {size + LEDGER_CHECKSUM_SIZE, value};
    ord_store_u64(value + size, ledger_checksum(LEDGER_META, key_val, value, size));
    return mdb_put(txn, ledger->dbis[LEDGER_META], &key_val, &val, 0);
}

int ledger_txn_end(MDB_txn *txn, int rc) {
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

enum ord_err ledger_block_split(struct ord_span *header, struct ord_span *data, MDB_val key, struct ord_span payload) {
    if (payload.size < LEDGER_BLOCK_OVERHEAD)
        return ORD_ERR_CORRUPT;
    size_t header_size = ord_load_u32(payload.data);
    if (header_size > payload.size - LEDGER_BLOCK_OVERHEAD)
        return ORD_ERR_CORRUPT;
    size_t hashed = 4 + header_size;
    if (ledger_checksum(LEDGER_BLOCK, key, payload.data, hashed) != ord_load_u64(payload.data + hashed))
        return ORD_ERR_CORRUPT;
    *header = ord_span_of(payload.data + 4, header_size);
    *data = ord_span_of(payload.data + hashed + LEDGER_CHECKSUM_SIZE, payload.size - hashed - LEDGER_CHECKSUM_SIZE);
    return ORD_OK;
}

enum ord_err ledger_block_header(struct ord_span *header, MDB_val key, MDB_val value) {
    struct ord_span data;
    if (value.mv_size < LEDGER_CHECKSUM_SIZE || value.mv_size > LEDGER_VALUE_SIZE_MAX || !ledger_is_mapped(value))
        return ORD_ERR_CORRUPT;
    return ledger_block_split(header, &data, key, ord_span_of(value.mv_data, value.mv_size - LEDGER_CHECKSUM_SIZE));
}

MDB_envinfo ledger_info(const struct ledger *ledger) {
    MDB_envinfo info;
    int rc = mdb_env_info(ledger->env, &info);
    ORD_ASSERT(rc == 0); /* it fails only without an environment */
    return info;
}

enum ord_err ledger_err_of(int rc) {
    switch (rc) {
    case 0:
        return ORD_OK;
    case MDB_NOTFOUND:
    case ENOENT:
    case ENOTDIR:
        return ORD_ERR_NOT_FOUND;
    case MDB_KEYEXIST:
        return ORD_ERR_EXISTS;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
        return ORD_ERR_NO_SPACE;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_VALSIZE:
        return ORD_ERR_CORRUPT;
    case MDB_READERS_FULL:
    case EAGAIN:
    case EBUSY:
        return ORD_ERR_BUSY;
    case ENOMEM:
        return ORD_ERR_NO_MEMORY;
    case EACCES:
    case EPERM:
    case EROFS:
        return ORD_ERR_FORBIDDEN;
    default:
        return ORD_ERR_IO;
    }
}
