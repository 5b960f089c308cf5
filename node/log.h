/*
 * Structured logs: each event is one line of key=value pairs on standard error. Thread-safe.
 */
#ifndef ORDAIN_NODE_LOG_H
#define ORDAIN_NODE_LOG_H

#include <stdarg.h>

#include "node/config.h"

void node_log_setup(enum node_log_level level, uint32_t replica);
/* `format` gives further key=value pairs, or is "". */
void node_log(enum node_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void node_log_list(enum node_log_level level, const char *event, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
