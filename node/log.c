/*
 * Logs: a line is built in one buffer and written with one call, so that lines of different threads do not mix.
 */
#include "node/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_int level_max = NODE_LOG_INFO;
static atomic_uint replica_id;

void node_log_setup(enum node_log_level level, uint32_t replica) {
    atomic_store(&level_max, (int) level);
    atomic_store(&replica_id, replica);
}

void node_log(enum node_log_level level, const char *event, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    node_log_list(level, event, format, arguments);
    va_end(arguments);
}

void node_log_list(enum node_log_level level, const char *event, const char *format, va_list arguments) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    if ((int) level > atomic_load(&level_max))
        return;
    char line[1024];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    int size = snprintf(line, sizeof(line), "time=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ level=%s replica=%u event=%s ",
                        parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                        parts.tm_sec, now.tv_nsec / 1000000, names[level], atomic_load(&replica_id), event);
    int more = vsnprintf(line + size, sizeof(line) - (size_t) size - 1, format, arguments);
    size_t total = (size_t) size + (more < 0 ? 0 : (size_t) more);
    if (total > sizeof(line) - 2)
        total = sizeof(line) - 2;
    while (total > 0 && line[total - 1] == ' ')
        total--;
    line[total++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, total);
    (void) written;
}
