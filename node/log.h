/*
 * Structured logs: one line an event on standard error, key=value. Thread-safe.
 */
#ifndef ORDAIN_NODE_LOG_H
#define ORDAIN_NODE_LOG_H

#include "node/config.h"

void node_log_setup(enum node_log_level level, uint32_t replica);
/* `format` gives further key=value pairs, or is "". */
void node_log(enum node_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* First 8 bytes in hex, for logs. */
const char *node_log_hash(char out[17], const struct ord_hash *hash);

#endif
