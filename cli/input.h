/*
 * Transactions from a file or from standard input: one a line as it stands, one a line in hex, or the whole file as
 * one.
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
    size_t size_max; /* of a transaction */
    uint64_t line;   /* of what was read last, from 1 */
    bool ended;
    uint8_t *buffer;
    size_t capacity;
};

/* "-" is standard input. NOT_FOUND (a folder, too), FORBIDDEN, IO: `why` has the sentence. */
ORD_MUST_USE enum ord_err cli_input_open(struct cli_input *out, const char *path, enum cli_input_format format,
                                         size_t size_max, char *why, size_t why_size);
/*
 * The next transaction; it lives until the next call. Empty lines are skipped, and so is the newline at a line's end.
 * NOT_FOUND: no more. INVALID: not hex; TOO_LARGE: over size_max; both concern input->line only, the next call goes
 * on behind it. IO.
 */
ORD_MUST_USE enum ord_err cli_input_next(struct cli_input *input, struct ord_span *transaction);
void cli_input_close(struct cli_input *input);

/* Decodes hex digits of either case; out has room for text_size / 2 bytes, and may be `text` itself. INVALID. */
ORD_MUST_USE enum ord_err cli_unhex(uint8_t *out, size_t *size, const char *text, size_t text_size);

#endif
