/* Reads transactions. Memory is bounded however long a line is. */
#include "cli/input.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/path_error.h"

#define CAPACITY_MIN 4096u

enum ord_err cli_input_open(struct cli_input *out, const char *path, enum cli_input_format format, size_t size_max,
                            char *why, size_t why_size) {
    memset(out, 0, sizeof(*out));
    out->format = format;
    out->size_max = size_max;
    struct stat info;
    out->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    int code = out->file == NULL ? errno : 0;
    /* A folder can be opened, but not read. */
    if (code == 0 && fstat(fileno(out->file), &info) == 0 && S_ISDIR(info.st_mode)) {
        cli_input_close(out);
        code = EISDIR;
    }
    if (code == 0)
        return ORD_OK;
    snprintf(why, why_size, "%s: %s", path, strerror(code));
    return cli_path_error(code);
}

void cli_input_close(struct cli_input *input) {
    if (input->file != NULL && input->file != stdin)
        fclose(input->file);
    free(input->buffer);
    memset(input, 0, sizeof(*input));
}

static enum ord_err grow(struct cli_input *input, size_t size, size_t bound) {
    size_t capacity = input->capacity == 0 ? CAPACITY_MIN : input->capacity;
    while (capacity < size)
        capacity *= 2;
    if (capacity > bound && size <= bound)
        capacity = bound;
    uint8_t *buffer = realloc(input->buffer, capacity);
    if (buffer == NULL)
        return ORD_ERR_NO_MEMORY;
    input->buffer = buffer;
    input->capacity = capacity;
    return ORD_OK;
}

/*
 * Reads up to `bound` bytes until a newline (or, with `whole`, until the end). TOO_LARGE: there was more, which is
 * skipped.
 */
static enum ord_err read_item(struct cli_input *input, size_t *size, size_t bound, bool whole) {
    enum ord_err err = ORD_OK;
    int c = EOF;
    *size = 0;
    flockfile(input->file);
    while (err != ORD_ERR_NO_MEMORY && (c = getc_unlocked(input->file)) != EOF && (whole || c != '\n')) {
        if (*size == bound)
            err = ORD_ERR_TOO_LARGE;
        if (err == ORD_OK && *size == input->capacity)
            err = grow(input, *size + 1, bound);
        if (err == ORD_OK)
            input->buffer[(*size)++] = (uint8_t) c;
    }
    bool failed = ferror_unlocked(input->file) != 0;
    funlockfile(input->file);
    if (c == EOF)
        input->ended = true;
    return failed ? ORD_ERR_IO : err;
}

static int nibble(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum ord_err cli_unhex(uint8_t *out, size_t *size, const char *text, size_t text_size) {
    if (text_size % 2 != 0)
        return ORD_ERR_INVALID;
    for (size_t i = 0; i < text_size / 2; i++) {
        int high = nibble(text[2 * i]);
        int low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return ORD_ERR_INVALID;
        out[i] = (uint8_t) (high << 4 | low);
    }
    *size = text_size / 2;
    return ORD_OK;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Decodes the line's hex text in place, without the blanks around it. */
static enum ord_err take_hex(struct cli_input *input, struct ord_span *transaction, size_t size) {
    size_t begin = 0;
    while (begin < size && is_blank(input->buffer[begin]))
        begin++;
    while (size > begin && is_blank(input->buffer[size - 1]))
        size--;
    *transaction = ord_span_of(input->buffer, 0);
    if (size == begin)
        return ORD_OK;
    size_t bytes = 0;
    enum ord_err err = cli_unhex(input->buffer, &bytes, (const char *) input->buffer + begin, size - begin);
    if (err == ORD_OK && bytes > input->size_max)
        err = ORD_ERR_TOO_LARGE;
    *transaction = ord_span_of(input->buffer, bytes);
    return err;
}

enum ord_err cli_input_next(struct cli_input *input, struct ord_span *transaction) {
    size_t bound = input->format == CLI_INPUT_HEX ? 2 * input->size_max + 64 : input->size_max;
    while (!input->ended) {
        size_t size = 0;
        input->line++;
        enum ord_err err = read_item(input, &size, bound, input->format == CLI_INPUT_RAW);
        if (err != ORD_OK)
            return err;
        *transaction = ord_span_of(input->buffer, size);
        if (input->format == CLI_INPUT_HEX)
            err = take_hex(input, transaction, size);
        if (err != ORD_OK || transaction->size > 0)
            return err;
    }
    return ORD_ERR_NOT_FOUND;
}
