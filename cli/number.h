/*
 * Numbers and sizes on the command line, and bytes in hex.
 */
#ifndef ORDAIN_CLI_NUMBER_H
#define ORDAIN_CLI_NUMBER_H

#include "core/err.h"
#include "core/types.h"

/* Parses a whole decimal number from `min` to `max`. INVALID: anything else. */
ORD_MUST_USE enum ord_err cli_number(uint64_t *out, const char *text, uint64_t min, uint64_t max);
/* The same for a number of bytes: a suffix K, M or G multiplies by a power of 1024. */
ORD_MUST_USE enum ord_err cli_size(uint64_t *out, const char *text, uint64_t min, uint64_t max);

/* Writes `size` bytes as hex text; `out` has 2 * size + 1 bytes and is returned. */
static inline char *cli_hex(char *out, const void *data, size_t size) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * size] = '\0';
    return out;
}

/* The first `size` bytes of a hash as hex text, valid to the end of the block. */
#define CLI_HEX(hash, size) cli_hex((char[2 *ORD_HASH_SIZE + 1]) {0}, hash, size)
#define CLI_HASH(hash)      CLI_HEX(hash, ORD_HASH_SIZE)

#endif
