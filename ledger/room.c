/*
 * Finds out whether there is space for the next turn. The map grows here, between turns and ahead of need, so that a
 * turn never meets MDB_MAP_FULL when it is half written. While the file system or the largest map is full, the answer
 * is NO_SPACE, and the replica stops intake.
 *
 * The file is always as long as the map, so that no read of the map goes beyond the end of the file, whatever a damaged
 * page contains. The file is sparse: it takes only as much disk as was written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/codec.h"
#include "ledger/ledger_internal.h"

/* Space that a turn may need besides its records: branch pages of the trees, and LMDB's own lists. */
static const uint64_t tree_bytes = (uint64_t) 1 << 20;
/* Pages that a committed turn is assumed to have used of that: some four levels of six tables and of the free list. */
static const uint64_t tree_pages_per_turn = 32;
static const uint64_t growth_bytes_max = (uint64_t) 1 << 30;
/* The file system is asked for its free space after this time, or when this many bytes were written. */
static const uint64_t disk_interval_us = 20000;
static const uint64_t disk_interval_bytes = (uint64_t) 4 << 20;
/* The free list is read again after this time, or when space is short and a turn's worth of bytes was written. */
static const uint64_t scan_interval_us = 100000;
/* Upper limit for the free pages that one scan of the free list reads: 32 MiB of page numbers. */
static const size_t scan_pages_max = (size_t) 1 << 22;

/* a - b, or 0 if that is negative. */
static uint64_t minus(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

void ledger_room_spent(struct ledger *ledger, uint64_t bytes) {
    bytes += tree_pages_per_turn * ledger->page_size;
    ledger->room.disk_bytes += bytes;
    ledger->room.scan_bytes += bytes;
    ledger->room.run_bytes = minus(ledger->room.run_bytes, bytes);
}

/* Space for the next turn and one more. */
static uint64_t turn_need(const struct ledger *ledger) {
    return 2 * ledger->options.turn_bytes_max + tree_bytes;
}

enum ord_err ledger_file_size(const struct ledger *ledger, int *fd, uint64_t *size) {
    struct stat status;
    int rc = mdb_env_get_fd(ledger->env, fd);
    if (rc != 0)
        return ledger_err_of(rc);
    if (fstat(*fd, &status) != 0)
        return ledger_err_of(errno);
    *size = (uint64_t) status.st_size;
    return ORD_OK;
}

static enum ord_err extend_file(const struct ledger *ledger, uint64_t bytes) {
    uint64_t size = 0;
    int fd = -1;
    enum ord_err err = ledger_file_size(ledger, &fd, &size);
    /* Never make the file shorter: another process may have a longer map. */
    if (err == ORD_OK && size < bytes && ftruncate(fd, (off_t) bytes) != 0)
        return ledger_err_of(errno);
    return err;
}

enum ord_err ledger_map_grow(struct ledger *ledger, uint64_t map_bytes) {
    ORD_ASSERT(ledger->turn == NULL);
    const MDB_envinfo info = ledger_info(ledger);
    uint64_t page = ledger->page_size;
    uint64_t size = ord_min((map_bytes + page - 1) / page * page, ledger->options.map_bytes_max / page * page);
    size = ord_max(size, info.me_mapsize);
    enum ord_err err = extend_file(ledger, size);
    if (err != ORD_OK || size == info.me_mapsize)
        return err;
    pthread_rwlock_wrlock(&ledger->map_lock);
    int rc = mdb_env_set_mapsize(ledger->env, size);
    if (rc != 0) /* the old map is already gone */
        err = ledger_fail(ledger, ledger_err_of(rc));
    else
        atomic_fetch_add(&ledger->counters.map_growths, 1);
    pthread_rwlock_unlock(&ledger->map_lock);
    return err;
}

enum ord_err ledger_map_adopt(struct ledger *ledger) {
    enum ord_err err = ORD_OK;
    pthread_rwlock_wrlock(&ledger->map_lock);
    int rc = mdb_env_set_mapsize(ledger->env, 0);
    if (rc != 0)
        err = ledger_fail(ledger, ledger_err_of(rc));
    pthread_rwlock_unlock(&ledger->map_lock);
    return err;
}

/*
 * Checks the file system's free space. This is called thousands of times a second, so it asks the file system only now
 * and then and subtracts the bytes that were written since.
 */
static enum ord_err disk_room(struct ledger *ledger) {
    uint64_t now = ledger_now_us();
    if (ledger->room.disk_checked_us == 0 || now - ledger->room.disk_checked_us >= disk_interval_us ||
        ledger->room.disk_bytes >= disk_interval_bytes) {
        struct statvfs status;
        int fd = -1;
        int rc = mdb_env_get_fd(ledger->env, &fd);
        if (rc != 0)
            return ledger_err_of(rc);
        if (fstatvfs(fd, &status) != 0)
            return ledger_err_of(errno);
        ledger->room.disk_checked_us = now;
        ledger->room.disk_free = (uint64_t) status.f_bavail * status.f_frsize;
        ledger->room.disk_bytes = 0;
    }
    uint64_t reserve = ord_max(ledger->options.disk_reserve_bytes, turn_need(ledger));
    uint64_t left = minus(ledger->room.disk_free, ledger->room.disk_bytes + ledger->turn_bytes);
    return left >= reserve ? ORD_OK : ORD_ERR_NO_SPACE;
}

static int compare_pages(const void *a, const void *b) {
    size_t x = *(const size_t *) a;
    size_t y = *(const size_t *) b;
    return (x > y) - (x < y);
}

/* Lists the free pages that LMDB has noted in transactions before `before`. The caller frees `*pages`. */
static enum ord_err free_pages(struct ledger *ledger, size_t **pages, size_t *count, uint64_t before) {
    enum { FREE_DBI = 0 };
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    size_t capacity = 0;
    size_t *list = NULL;
    *count = 0;
    enum ord_err err = ORD_OK;
    int rc = mdb_txn_begin(ledger->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        rc = mdb_cursor_open(txn, FREE_DBI, &cursor);
    MDB_val key;
    MDB_val value;
    while (rc == 0 && *count < scan_pages_max && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t id = 0;
        size_t noted = 0;
        if (key.mv_size != sizeof(id) || value.mv_size < sizeof(noted)) {
            err = ORD_ERR_CORRUPT;
            goto out;
        }
        memcpy(&id, key.mv_data, sizeof(id));
        memcpy(&noted, value.mv_data, sizeof(noted));
        noted = ord_min(noted, value.mv_size / sizeof(noted) - 1);
        if (id >= before)
            break;
        if (*count + noted > capacity) {
            capacity = 2 * (*count + noted);
            size_t *longer = realloc(list, capacity * sizeof(*list));
            if (longer == NULL) {
                err = ORD_ERR_NO_MEMORY;
                goto out;
            }
            list = longer;
        }
        if (noted > 0)
            memcpy(list + *count, (const uint8_t *) value.mv_data + sizeof(noted), noted * sizeof(noted));
        *count += noted;
    }
    if (rc != 0 && rc != MDB_NOTFOUND)
        err = ledger_err_of(rc);
out:
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    if (txn != NULL)
        mdb_txn_abort(txn);
    if (err == ORD_OK) {
        *pages = list;
        return ORD_OK;
    }
    free(list);
    return err;
}

/*
 * The longest run of consecutive pages that the next turn may use, in bytes: free pages noted before transaction
 * `before`, or the unused pages at the end of the map. LMDB gives a long value consecutive pages only, so a turn
 * certainly fits into a run of its own length.
 */
static enum ord_err longest_run(struct ledger *ledger, uint64_t *bytes, uint64_t before) {
    const MDB_envinfo info = ledger_info(ledger);
    size_t *pages = NULL;
    size_t count = 0;
    enum ord_err err = free_pages(ledger, &pages, &count, before);
    if (err != ORD_OK)
        return err;
    if (count > 0)
        qsort(pages, count, sizeof(*pages), compare_pages);
    uint64_t limit = ord_min(info.me_mapsize, ledger->options.map_bytes_max) / ledger->page_size;
    uint64_t longest = minus(limit, info.me_last_pgno + 1);
    uint64_t run = 0;
    for (size_t i = 0; i < count; i++) {
        run = i > 0 && pages[i] == pages[i - 1] + 1 ? run + 1 : 1;
        longest = ord_max(longest, run);
    }
    free(pages);
    *bytes = longest * ledger->page_size;
    return ORD_OK;
}

/* Commits an empty turn. The pages that a commit frees can be used only by the turn after the next one. */
static enum ord_err advance_turn(struct ledger *ledger) {
    uint8_t value[8 + LEDGER_CHECKSUM_SIZE];
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(ledger->env, NULL, 0, &txn);
    if (rc == 0) {
        ord_store_u64(value, mdb_txn_id(txn));
        rc = ledger_txn_end(txn, ledger_put_own(ledger, txn, LEDGER_TURN_NAME, value, 8));
    }
    if (rc != 0)
        return ledger_fail(ledger, ledger_err_of(rc));
    ledger_room_spent(ledger, 0);
    return ORD_OK;
}

/* For a map that has reached its maximum: checks, at a bounded rate, whether earlier turns have left free pages. */
static enum ord_err free_list_room(struct ledger *ledger) {
    uint64_t need = ledger->options.turn_bytes_max + tree_bytes;
    uint64_t now = ledger_now_us();
    if (ledger->room.scanned_us == 0 || now - ledger->room.scanned_us >= scan_interval_us ||
        (ledger->room.run_bytes < need && ledger->room.scan_bytes >= ledger->options.turn_bytes_max)) {
        int dead = 0;
        ledger->room.scanned_us = now;
        ledger->room.run_bytes = 0;
        ledger->room.scan_bytes = 0;
        (void) mdb_reader_check(ledger->env, &dead); /* unpins the pages that killed readers have pinned */
        const MDB_envinfo info = ledger_info(ledger);
        /* While we hold the lock for writing, this process has no reader whose
         * snapshot would keep these pages from us. */
        uint64_t run_then = 0;
        pthread_rwlock_wrlock(&ledger->map_lock);
        enum ord_err err = longest_run(ledger, &ledger->room.run_bytes, info.me_last_txnid);
        if (err == ORD_OK && ledger->room.run_bytes < need)
            err = longest_run(ledger, &run_then, UINT64_MAX);
        pthread_rwlock_unlock(&ledger->map_lock);
        if (err != ORD_OK)
            return err;
        if (run_then >= need && (err = advance_turn(ledger)) != ORD_OK)
            return err;
        /* After an empty turn, the freed pages count when the free list is read next. */
    }
    return ledger->room.run_bytes >= need ? ORD_OK : ORD_ERR_NO_SPACE;
}

static void tail_bytes(const struct ledger *ledger, uint64_t *tail, uint64_t *used, uint64_t *map) {
    const MDB_envinfo info = ledger_info(ledger);
    *map = ord_min(info.me_mapsize, ledger->options.map_bytes_max);
    *used = (info.me_last_pgno + 1) * ledger->page_size;
    *tail = minus(*map, *used + ledger->turn_bytes);
}

enum ord_err ledger_room(struct ledger *ledger) {
    uint64_t tail = 0;
    uint64_t used = 0;
    uint64_t map = 0;
    uint64_t need = turn_need(ledger);
    enum ord_err err = ledger_writable(ledger);
    if (err != ORD_OK || (err = disk_room(ledger)) != ORD_OK)
        return err;
    tail_bytes(ledger, &tail, &used, &map);
    if (tail >= need)
        return ORD_OK;
    if (ledger->turn != NULL) { /* the map cannot grow in the middle of a turn */
        uint64_t run = minus(ledger->room.run_bytes, ledger->turn_bytes);
        return (tail > run ? tail : run) >= ledger->options.turn_bytes_max + tree_bytes ? ORD_OK : ORD_ERR_NO_SPACE;
    }
    if (map + ledger->page_size <= ledger->options.map_bytes_max) {
        int dead = 0;
        uint64_t size = map + ord_min(map, growth_bytes_max);
        (void) mdb_reader_check(ledger->env, &dead);
        err = ledger_map_grow(ledger, size < used + need ? used + need : size);
        if (err != ORD_OK)
            return err;
        tail_bytes(ledger, &tail, &used, &map);
        if (tail >= need)
            return ORD_OK;
    }
    return free_list_room(ledger);
}
