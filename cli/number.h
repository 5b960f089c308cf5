/*
 * Numbers and sizes on the command line.
 */
#ifndef ORDAIN_CLI_NUMBER_H
#define ORDAIN_CLI_NUMBER_H

#include "core/err.h"
#include "core/types.h"

/* Parses a whole decimal number from `min` to `max`. INVALID: anything else. */
ORD_MUST_USE enum ord_err cli_number(uint64_t *out, const char *text, uint64_t min, uint64_t max);
/* The same for a number of bytes: a suffix K, M or G multiplies by a power of 1024. */
ORD_MUST_USE enum ord_err cli_size(uint64_t *out, const char *text, uint64_t min, uint64_t max);
/* Writes `size` bytes as hex text; `out` has 2 * size + 1 bytes. */
void cli_hex(char *out, const void *data, size_t size);

#endif
