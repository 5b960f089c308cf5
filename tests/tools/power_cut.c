/*
 * A power cut, for an unmodified program: preloaded (LD_PRELOAD), this remembers what was written to files below one
 * folder and is not synced yet. At a chosen write or sync the process is killed, and then some of the unsynced writes
 * are undone, as if they had never reached the disk. A tool of the tests, never installed.
 *
 *     POWER_CUT_FOLDER    the real path of the folder; files outside of it are not affected
 *     POWER_CUT_TRIGGER   a file with one line, NTH SEED, which is removed when everything is done
 *       NTH     the call at which it happens, from 1, counted from the trigger on: write, pwrite, writev, pwritev,
 *               fsync, fdatasync. At that moment a write has been made and is not synced; a sync has not been made
 *       SEED    decides what is lost, one of three: everything unsynced, some of the writes, or some of the sectors.
 *               The loss is reported on standard error
 *
 * Data written through a descriptor with O_DSYNC or O_SYNC counts as on disk, and so do the sizes of files. Pages that
 * are written through a mapping are not seen here and are never lost.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512, DESCRIPTORS_MAX = 65536 };

/* One write, and what it replaced. */
struct unsynced {
    struct unsynced *before; /* the write before this one, to any file */
    dev_t device;
    ino_t inode;
    int fd; /* a descriptor of this process, used to undo the write */
    off_t offset;
    size_t size;
    unsigned char old[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct unsynced *newest;
static unsigned long call_count; /* calls since the trigger */

/*
 * Finds the real function of this name. ISO C does not let a pointer to data become one to a function, but POSIX does
 * here.
 */
#define REAL(function)                                                                                                 \
    static __typeof__(&(function)) real;                                                                               \
    if (real == NULL) {                                                                                                \
        void *found = dlsym(RTLD_NEXT, #function);                                                                     \
        memcpy(&real, &found, sizeof(real));                                                                           \
    }

static ssize_t real_pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    REAL(pwrite);
    return real(fd, bytes, size, offset);
}

static bool below_folder(int fd) {
    const char *folder = getenv("POWER_CUT_FOLDER");
    char link[64];
    char path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (folder == NULL || length < 0)
        return false;
    path[length] = '\0';
    size_t folder_length = strlen(folder);
    return strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
}

static void fail(const char *what) {
    fprintf(stderr, "power_cut: %s\n", what);
    abort();
}

/* Called with the lock, before a write. */
static void remember(int fd, size_t size, off_t offset) {
    struct stat status;
    struct unsynced *write = malloc(sizeof(*write) + size);
    int reader = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (write == NULL || fstat(fd, &status) != 0 || reader < 0)
        fail("no room to remember a write");
    *write = (struct unsynced) {.before = newest,
                                .device = status.st_dev,
                                .inode = status.st_ino,
                                .fd = reader,
                                .offset = offset,
                                .size = size};
    memset(write->old, 0, size); /* there were no bytes beyond the end of the file */
    if (pread(reader, write->old, size, offset) < 0)
        fail("cannot read what was there before a write");
    newest = write;
}

/* Called with the lock. Forgets all writes to a file, or the range that a synchronous write has put on disk. */
static void forget(int fd, off_t begin, off_t end) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        fail("cannot tell what was synced");
    for (struct unsynced **at = &newest; *at != NULL;) {
        struct unsynced *write = *at;
        bool same = write->device == status.st_dev && write->inode == status.st_ino;
        if (same && write->offset >= begin && write->offset + (off_t) write->size <= end) {
            *at = write->before;
            close(write->fd);
            free(write);
        } else {
            at = &write->before;
        }
    }
}

static uint64_t draw(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = (*state ^ *state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Undoes the lost writes, the last one first, so that what was there before the first of them is left. */
static void take_back(uint64_t seed) {
    uint64_t random = seed;
    size_t sectors = 0;
    size_t lost_sectors = 0;
    for (const struct unsynced *write = newest; write != NULL; write = write->before) {
        bool whole = seed % 3 == 0 || (seed % 3 == 1 && draw(&random) % 2 == 0);
        for (size_t at = 0; at < write->size; at += SECTOR) {
            size_t size = write->size - at < SECTOR ? write->size - at : SECTOR;
            bool lost = whole || (seed % 3 == 2 && draw(&random) % 2 == 0);
            sectors++;
            lost_sectors += lost;
            if (lost && real_pwrite(write->fd, write->old + at, size, write->offset + (off_t) at) != (ssize_t) size)
                fail("cannot take a write back");
        }
    }
    fprintf(stderr, "power_cut: %zu of %zu sectors that were not synced are lost\n", lost_sectors, sectors);
}

/*
 * A child undoes the writes once the process is gone, so that the process can neither see nor report what the disk
 * holds after the cut. The child closes everything that it inherited before it reports that it is done.
 */
static void cut(const char *trigger, unsigned long seed) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0)
        fail("cannot fork");
    if (child > 0)
        for (;;)
            pause();
    const struct timespec moment = {.tv_nsec = 1000000};
    kill(parent, SIGKILL);
    while (getppid() == parent)
        nanosleep(&moment, NULL);
    take_back(seed);
    for (int fd = 3; fd < DESCRIPTORS_MAX; fd++)
        close(fd);
    unlink(trigger);
    _exit(0);
}

/* Called with the lock. Cuts the power if this is the chosen call. */
static void judge(void) {
    const char *trigger = getenv("POWER_CUT_TRIGGER");
    FILE *file = trigger == NULL ? NULL : fopen(trigger, "r");
    unsigned long nth = 0;
    unsigned long seed = 0;
    if (file == NULL)
        return;
    int found = fscanf(file, "%lu %lu", &nth, &seed);
    fclose(file);
    if (found == 2 && ++call_count == nth)
        cut(trigger, seed);
}

/* Called with the lock, after a write. */
static void written(int fd, off_t offset, ssize_t size) {
    judge();
    if (size > 0 && (fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC)) != 0)
        forget(fd, offset, offset + size);
}

static bool begin_write(int fd, size_t size, off_t offset) {
    if (!below_folder(fd))
        return false;
    pthread_mutex_lock(&lock);
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR)
        remember(fd, size, offset);
    else if ((fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC)) == 0)
        fail("a write through a descriptor that cannot be read");
    return true;
}

static void end_write(int fd, off_t offset, ssize_t size) {
    written(fd, offset, size);
    pthread_mutex_unlock(&lock);
}

static size_t total(const struct iovec *pieces, int count) {
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    REAL(write);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    bool ours = offset >= 0 && begin_write(fd, size, offset);
    ssize_t result = real(fd, bytes, size);
    if (ours)
        end_write(fd, offset, result);
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    bool ours = begin_write(fd, size, offset);
    ssize_t result = real_pwrite(fd, bytes, size, offset);
    if (ours)
        end_write(fd, offset, result);
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    return pwrite(fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(writev);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    bool ours = offset >= 0 && begin_write(fd, total(pieces, count), offset);
    ssize_t result = real(fd, pieces, count);
    if (ours)
        end_write(fd, offset, result);
    return result;
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset) {
    REAL(pwritev);
    bool ours = begin_write(fd, total(pieces, count), offset);
    ssize_t result = real(fd, pieces, count, offset);
    if (ours)
        end_write(fd, offset, result);
    return result;
}

static int synced(int fd, int (*real)(int)) {
    if (!below_folder(fd))
        return real(fd);
    pthread_mutex_lock(&lock);
    judge();
    int result = real(fd);
    if (result == 0)
        forget(fd, 0, INT64_MAX);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) {
    REAL(fsync);
    return synced(fd, real);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return synced(fd, real);
}
