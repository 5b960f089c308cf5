/*
 * Opens and closes a ledger, and reads its counters. Durability is LMDB's default: the data pages are synced, then the
 * meta page. No flag that weakens this is ever set.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/codec.h"
#include "ledger/ledger_internal.h"

enum { READERS_MAX = 256 };

void ledger_options_defaults(struct ledger_options *out) {
    *out = (struct ledger_options) {
        .map_bytes_initial = (uint64_t) 64 << 20,
        .map_bytes_max = (uint64_t) 1 << 40,
        .turn_bytes_max = (uint64_t) 64 << 20,
        .disk_reserve_bytes = (uint64_t) 256 << 20,
    };
}

uint64_t ledger_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

enum ord_err ledger_fail(struct ledger *ledger, enum ord_err err) {
    atomic_store(&ledger->failed, true);
    return err;
}

enum ord_err ledger_writable(const struct ledger *ledger) {
    if (atomic_load(&ledger->failed))
        return ORD_ERR_WRONG_STATE;
    return ledger->options.read_only ? ORD_ERR_FORBIDDEN : ORD_OK;
}

/* A directory entry is durable only once its directory was synced, and LMDB does not sync it. */
static enum ord_err sync_directory(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ledger_err_of(errno);
    int rc = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return ledger_err_of(rc);
}

static enum ord_err make_directory(const char *directory) {
    if (mkdir(directory, 0700) != 0)
        return errno == EEXIST ? ORD_OK : ledger_err_of(errno);
    char *parent = NULL;
    if (asprintf(&parent, "%s/..", directory) < 0)
        return ORD_ERR_NO_MEMORY;
    enum ord_err err = sync_directory(parent);
    free(parent);
    return err;
}

/*
 * A flock belongs to the open file. It therefore also keeps out a second ledger_open in this process, and the kernel
 * drops it when the process ends.
 */
static enum ord_err take_writer_lock(struct ledger *ledger, const char *directory) {
    char *path = NULL;
    if (asprintf(&path, "%s/writer.lock", directory) < 0)
        return ORD_ERR_NO_MEMORY;
    ledger->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = ledger->lock_fd >= 0 ? 0 : errno;
    free(path);
    if (rc != 0)
        return ledger_err_of(rc);
    while (flock(ledger->lock_fd, LOCK_EX | LOCK_NB) != 0)
        if (errno != EINTR)
            return errno == EWOULDBLOCK ? ORD_ERR_BUSY : ledger_err_of(errno);
    return ORD_OK;
}

static int env_open(struct ledger *ledger, const char *directory, unsigned flags) {
    int rc = mdb_env_create(&ledger->env);
    if (rc != 0)
        return rc;
    if ((rc = mdb_env_set_maxdbs(ledger->env, LEDGER_TABLE_END)) != 0 ||
        (rc = mdb_env_set_maxreaders(ledger->env, READERS_MAX)) != 0 ||
        /* NOTLS ties a read transaction to its handle instead of its thread,
         * so that the writer's thread may read too. */
        (rc = mdb_env_open(ledger->env, directory, MDB_NOTLS | flags, 0600)) != 0) {
        mdb_env_close(ledger->env);
        ledger->env = NULL;
    }
    return rc;
}

static enum ord_err open_environment(struct ledger *ledger, const char *directory) {
    if (!ledger->options.read_only)
        return ledger_err_of(env_open(ledger, directory, 0));
    int rc = env_open(ledger, directory, MDB_RDONLY);
    /* LMDB's lock file cannot be written, so read without an entry in the reader table. Beside a writer, such a reader
     * may see pages change while it reads them. Checksums then fail with CORRUPT, and it may try again. */
    if (rc == EACCES || rc == EROFS || rc == EPERM)
        rc = env_open(ledger, directory, MDB_RDONLY | MDB_NOLOCK);
    return ledger_err_of(rc);
}

/* Refuses a file that was cut short. Reading behind its end would raise SIGBUS. */
static enum ord_err check_file_size(const struct ledger *ledger) {
    uint64_t size = 0;
    int fd = -1;
    enum ord_err err = ledger_file_size(ledger, &fd, &size);
    if (err != ORD_OK)
        return err;
    return size / ledger->page_size > ledger_info(ledger).me_last_pgno ? ORD_OK : ORD_ERR_CORRUPT;
}

/* CORRUPT: there is no such table, so the environment belongs to some other program. */
static enum ord_err open_table(struct ledger *ledger, MDB_txn *txn, enum ledger_table table) {
    int rc = mdb_dbi_open(txn, ledger_table_name(table), 0, &ledger->dbis[table]);
    return rc == MDB_NOTFOUND ? ORD_ERR_CORRUPT : ledger_err_of(rc);
}

/* Every version keeps its number in the same record. */
static enum ord_err check_version(struct ledger *ledger, MDB_txn *txn) {
    struct ledger_key key;
    struct ord_span version;
    enum ord_err err = ledger_key_meta(&key, LEDGER_FORMAT_NAME);
    if (err == ORD_OK)
        err = ledger_find(ledger, txn, &version, LEDGER_META, &key);
    if (err != ORD_OK)
        return err == ORD_ERR_NOT_FOUND ? ORD_ERR_CORRUPT : err;
    if (version.size != 4)
        return ORD_ERR_CORRUPT;
    uint32_t found = ord_load_u32(version.data);
    if (found == LEDGER_FORMAT_VERSION)
        return ORD_OK;
    if (ledger->options.found_version != NULL)
        *ledger->options.found_version = found;
    return ORD_ERR_UNSUPPORTED;
}

void ledger_explain_version(char *out, size_t capacity, uint32_t found_version) {
    snprintf(out, capacity, "made by version %" PRIu32 " of the ledger's format, this program reads version %d",
             found_version, LEDGER_FORMAT_VERSION);
}

/* Opens the tables in `txn`. NOT_FOUND: this environment is empty. */
static enum ord_err open_tables(struct ledger *ledger, MDB_txn *txn) {
    MDB_dbi main_dbi;
    MDB_stat stat;
    int rc = mdb_dbi_open(txn, NULL, 0, &main_dbi);
    if (rc == 0)
        rc = mdb_stat(txn, main_dbi, &stat);
    if (rc != 0)
        return ledger_err_of(rc);
    if (stat.ms_entries == 0)
        return ORD_ERR_NOT_FOUND;
    /* Other versions may have other tables, so the version comes first. */
    enum ord_err err = open_table(ledger, txn, LEDGER_META);
    if (err == ORD_OK)
        err = check_version(ledger, txn);
    for (enum ledger_table table = LEDGER_META + 1; table < LEDGER_TABLE_END && err == ORD_OK; table++)
        err = open_table(ledger, txn, table);
    return err;
}

static enum ord_err create_tables(struct ledger *ledger) {
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(ledger->env, NULL, 0, &txn);
    if (rc != 0)
        return ledger_err_of(rc);
    for (enum ledger_table table = LEDGER_META; table < LEDGER_TABLE_END && rc == 0; table++)
        rc = mdb_dbi_open(txn, ledger_table_name(table), MDB_CREATE, &ledger->dbis[table]);
    uint8_t version[4 + LEDGER_CHECKSUM_SIZE];
    ord_store_u32(version, LEDGER_FORMAT_VERSION);
    if (rc == 0)
        rc = ledger_put_own(ledger, txn, LEDGER_FORMAT_NAME, version, 4);
    return ledger_err_of(ledger_txn_end(txn, rc));
}

static enum ord_err open_layout(struct ledger *ledger) {
    MDB_txn *txn = NULL;
    MDB_stat stat;
    int rc = mdb_env_stat(ledger->env, &stat);
    if (rc != 0)
        return ledger_err_of(rc);
    ledger->page_size = stat.ms_psize;
    enum ord_err err = check_file_size(ledger);
    if (err != ORD_OK)
        return err;
    if ((rc = mdb_txn_begin(ledger->env, NULL, MDB_RDONLY, &txn)) != 0)
        return ledger_err_of(rc);
    err = open_tables(ledger, txn);
    if (err == ORD_OK)
        err = ledger_err_of(mdb_txn_commit(txn)); /* aborting would close the tables again */
    else
        mdb_txn_abort(txn);
    if (ledger->options.read_only || (err != ORD_OK && err != ORD_ERR_NOT_FOUND))
        return err;
    bool fresh = err == ORD_ERR_NOT_FOUND;
    err = ledger_map_grow(ledger, ledger->options.map_bytes_initial);
    if (err == ORD_OK && fresh)
        err = create_tables(ledger);
    return err;
}

static enum ord_err read_next_height(struct ledger *ledger) {
    uint64_t newest = 0;
    enum ord_err err = ledger_height(ledger, &newest);
    if (err == ORD_ERR_NOT_FOUND) {
        ledger->next_height = 0;
        return ORD_OK;
    }
    ledger->next_height = newest + 1;
    return err;
}

static enum ord_err init_map_lock(struct ledger *ledger) {
    pthread_rwlockattr_t attributes;
    if (pthread_rwlockattr_init(&attributes) != 0)
        return ORD_ERR_NO_MEMORY;
    /* The default kind lets a steady stream of readers starve the writer.
     * Non-recursive is safe: no reader takes it twice. */
    int rc = pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    if (rc == 0)
        rc = pthread_rwlock_init(&ledger->map_lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return ledger_err_of(rc);
}

static bool options_valid(const struct ledger_options *options) {
    return options->read_only || (options->map_bytes_initial <= options->map_bytes_max &&
                                  options->map_bytes_max <= INT64_MAX && options->turn_bytes_max <= INT64_MAX / 4);
}

enum ord_err ledger_open(struct ledger **out, const char *directory, const struct ledger_options *options) {
    *out = NULL;
    if (!options_valid(options))
        return ORD_ERR_INVALID;
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    if (ledger == NULL)
        return ORD_ERR_NO_MEMORY;
    ledger->options = *options;
    ledger->lock_fd = -1;
    enum ord_err err = init_map_lock(ledger);
    if (err != ORD_OK) {
        free(ledger);
        return err;
    }
    if (!options->read_only) {
        if ((err = make_directory(directory)) != ORD_OK || (err = take_writer_lock(ledger, directory)) != ORD_OK)
            goto out;
    }
    if ((err = open_environment(ledger, directory)) != ORD_OK || (err = open_layout(ledger)) != ORD_OK)
        goto out;
    if (!options->read_only) {
        int dead = 0;
        if ((err = sync_directory(directory)) != ORD_OK)
            goto out;
        /* A reader that was killed still pins old pages. If removing it fails, that costs only space. */
        (void) mdb_reader_check(ledger->env, &dead);
    }
    err = read_next_height(ledger);
out:
    if (err != ORD_OK) {
        ledger_close(ledger);
        return err;
    }
    *out = ledger;
    return ORD_OK;
}

void ledger_close(struct ledger *ledger) {
    if (ledger == NULL)
        return;
    if (ledger->turn != NULL)
        mdb_txn_abort(ledger->turn);
    if (ledger->env != NULL)
        mdb_env_close(ledger->env);
    if (ledger->lock_fd >= 0)
        close(ledger->lock_fd);
    pthread_rwlock_destroy(&ledger->map_lock);
    free(ledger);
}

void ledger_counters(struct ledger *ledger, struct ledger_counters *out) {
    *out = (struct ledger_counters) {
        .commits = atomic_load(&ledger->counters.commits),
        .puts = atomic_load(&ledger->counters.puts),
        .bytes_put = atomic_load(&ledger->counters.bytes_put),
        .map_growths = atomic_load(&ledger->counters.map_growths),
        .commit_us_total = atomic_load(&ledger->counters.commit_us_total),
        .commit_us_max = atomic_load(&ledger->counters.commit_us_max),
    };
    pthread_rwlock_rdlock(&ledger->map_lock);
    if (!atomic_load(&ledger->failed)) {
        const MDB_envinfo info = ledger_info(ledger);
        out->map_bytes = info.me_mapsize;
        out->map_bytes_used = (info.me_last_pgno + 1) * ledger->page_size;
    }
    pthread_rwlock_unlock(&ledger->map_lock);
}
