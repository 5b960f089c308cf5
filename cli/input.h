/*
 * Transactions from a file or from standard input: each line as it stands, each line in hex, or the whole file as one
 * transaction.
 */
#ifndef ORDAIN_CLI_INPUT_H
#define ORDAIN_CLI_INPUT_H

#include <stdio.h>

#include "core/err.h"
#include "core/types.h"

enum cli_input_format { CLI_INPUT_LINES, CLI_INPUT_HEX, CLI_INPUT_RAW };

struct cli_input {
    FILE *file;
    enum cli_input_format format;
    size_t size_max; /* largest transaction */
    uint64_t line;   /* number of the line that was read last, from 1 */
    bool ended;
    uint8_t *buffer;
    size_t capacity;
};

/* "-" is standard input. NOT_FOUND (also for a folder), FORBIDDEN, IO; `why` gets a sentence. */
ORD_MUST_USE enum ord_err cli_input_open(struct cli_input *out, const char *path, enum cli_input_format format,
                                         size_t size_max, char *why, size_t why_size);
/*
 * Reads the next transaction, which is valid until the next call. Empty lines are skipped, and the newline at the end
 * of a line is removed. NOT_FOUND: no more. INVALID: the line is not hex. TOO_LARGE: more than size_max bytes. The last
 * two concern only line input->line, and the next call continues after it. IO.
 */
ORD_MUST_USE enum ord_err cli_input_next(struct cli_input *input, struct ord_span *transaction);
void cli_input_close(struct cli_input *input);

/*
 * Decodes hex digits of either case. `out` must have room for text_size / 2 bytes, and may be `text` itself. INVALID.
 */
ORD_MUST_USE enum ord_err cli_unhex(uint8_t *out, size_t *size, const char *text, size_t text_size);

#endif
