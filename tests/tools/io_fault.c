/*
 * A disk that fails, for an unmodified program: preloaded (LD_PRELOAD), this makes writes and syncs of files below one
 * folder fail as soon as a trigger file exists. A tool of the tests, never installed.
 *
 *     IO_FAULT_FOLDER    the real path of the folder; files outside of it are not affected
 *     IO_FAULT_TRIGGER   the trigger file, with one line:  CALLS ERROR NTH HOW
 *       CALLS   write (write, writev, pwrite, pwritev), sync (fsync, fdatasync, msync with MS_SYNC),
 *               or any
 *       ERROR   EIO, ENOSPC: nothing is written or synced; short: a write writes half and reports that; kill: the
 *               process is killed (SIGKILL) in place of the call; stall: the call does what it should once the trigger
 *               file is gone
 *       NTH     the first such call that fails, from 1, counted from the trigger on
 *       HOW     once: the disk works again afterwards, so a program that overlooks the failure goes on; forever: no
 *               such call succeeds any more
 *
 * Each failure is reported on standard error: "io_fault: CALL FILE ERROR".
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum verdict { GO_ON, FAIL, SHORT };

static atomic_ulong call_count; /* matching calls since the trigger */

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

static bool below_folder(int fd, char path[PATH_MAX]) {
    const char *folder = getenv("IO_FAULT_FOLDER");
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (folder == NULL || length < 0)
        return false;
    path[length] = '\0';
    size_t folder_length = strlen(folder);
    return strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
}

static void wait_while_there(const char *trigger) {
    const struct timespec moment = {.tv_nsec = 5000000};
    while (access(trigger, F_OK) == 0)
        nanosleep(&moment, NULL);
}

/* Decides what happens to a call. Sets errno if the result is FAIL. `path` is used in the report. */
static enum verdict judge(bool sync, const char *name, const char *path) {
    const char *trigger = getenv("IO_FAULT_TRIGGER");
    FILE *file = trigger == NULL ? NULL : fopen(trigger, "r");
    if (file == NULL)
        return GO_ON;
    char calls[8] = "";
    char error[8] = "";
    char how[8] = "";
    unsigned long nth = 0;
    int found = fscanf(file, "%7s %7s %lu %7s", calls, error, &nth, how);
    fclose(file);
    if (found != 4 || (strcmp(calls, "any") != 0 && strcmp(calls, sync ? "sync" : "write") != 0))
        return GO_ON;
    unsigned long call = atomic_fetch_add(&call_count, 1) + 1;
    if (call < nth || (call > nth && strcmp(how, "once") == 0))
        return GO_ON;
    fprintf(stderr, "io_fault: %s %s %s\n", name, path, error);
    if (strcmp(error, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(error, "stall") == 0) {
        wait_while_there(trigger);
        return GO_ON;
    }
    if (strcmp(error, "short") == 0)
        return SHORT;
    errno = strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
    return FAIL;
}

static enum verdict judge_fd(int fd, bool sync, const char *name) {
    char path[PATH_MAX];
    return below_folder(fd, path) ? judge(sync, name, path) : GO_ON;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    REAL(write);
    enum verdict verdict = judge_fd(fd, false, "write");
    return verdict == FAIL ? -1 : real(fd, bytes, verdict == SHORT ? size / 2 : size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    REAL(pwrite);
    enum verdict verdict = judge_fd(fd, false, "pwrite");
    return verdict == FAIL ? -1 : real(fd, bytes, verdict == SHORT ? size / 2 : size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    REAL(pwrite64);
    enum verdict verdict = judge_fd(fd, false, "pwrite");
    return verdict == FAIL ? -1 : real(fd, bytes, verdict == SHORT ? size / 2 : size, offset);
}

/* Writes the first of several pieces, or half of a single one. */
static ssize_t write_half(int fd, const struct iovec *pieces, int count) {
    return count > 1 ? writev(fd, pieces, 1) : write(fd, pieces[0].iov_base, pieces[0].iov_len / 2);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(writev);
    enum verdict verdict = judge_fd(fd, false, "writev");
    if (verdict == SHORT)
        return write_half(fd, pieces, count);
    return verdict == FAIL ? -1 : real(fd, pieces, count);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset) {
    REAL(pwritev);
    enum verdict verdict = judge_fd(fd, false, "pwritev");
    if (verdict == SHORT)
        return real(fd, pieces, 1, offset);
    return verdict == FAIL ? -1 : real(fd, pieces, count, offset);
}

int fsync(int fd) {
    REAL(fsync);
    return judge_fd(fd, true, "fsync") == GO_ON ? real(fd) : -1;
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return judge_fd(fd, true, "fdatasync") == GO_ON ? real(fd) : -1;
}

/* The file behind mapped memory is not known here. MS_ASYNC writes nothing, so no disk can make it fail. */
int msync(void *address, size_t size, int flags) {
    REAL(msync);
    return (flags & MS_SYNC) == 0 || judge(true, "msync", "memory") == GO_ON ? real(address, size, flags) : -1;
}
