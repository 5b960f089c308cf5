/*
 * What the commands that talk to replicas have in common.
 */
#ifndef ORDAIN_CLI_CLIENT_COMMON_H
#define ORDAIN_CLI_CLIENT_COMMON_H

#include "cli/command.h"
#include "client/ordain.h"
#include "core/types.h"

#define CLI_GENESIS_BYTES_MAX (4u << 20)
#define CLI_FILE_BYTES_MAX    (128u << 20)

/* --config, --channel, --replica, as they were given. */
struct cli_connection {
    const char *config_file; /* NULL: not given */
    const char *channel;
    int replica;
};

void cli_connection_init(struct cli_connection *connection);
/* Takes --replica's argument. False: it is not a number, and `command` said so. */
bool cli_connection_replica(struct cli_connection *connection, const char *command, const char *text);

/* Opens the client; on failure says why on standard error and gives an exit code. */
int cli_connect(struct ordain **out, const char *command, const struct cli_connection *connection, bool receipts);

/* The exit code of a library's error, after the client was opened. */
int cli_exit_of(enum ordain_error error);

/* A time in seconds, with a fraction, to milliseconds; up to 100 days. False: it is not one, and `command` said so. */
bool cli_seconds(uint32_t *out_ms, const char *command, const char *option, const char *text);

/* Warns on standard error of each replica that gave something that does not verify. */
void cli_warn_of_suspects(struct ordain *client, const char *command);

/*
 * Reads a whole file (malloc'ed); on failure says why on standard error, and gives an exit code: `too_large` where there are more
 * than size_max bytes, CLI_EXIT_INTERNAL where there is no memory, CLI_EXIT_USAGE for all else.
 */
int cli_read_file(uint8_t **out, size_t *size, const char *command, const char *path, size_t size_max, int too_large);
/*
 * Writes a file whole, by way of a temporary one beside it; on failure says why, and gives an exit code: CLI_EXIT_USAGE where no file
 * can be made at this path, else CLI_EXIT_INTERNAL.
 */
int cli_write_file(const char *command, const char *path, const void *data, size_t size);
/* Makes a folder unless it is there; on failure says why. */
bool cli_make_folder(const char *command, const char *path);

/* Prints what a verified receipt says. */
void cli_print_receipt(const struct ordain_receipt *receipt, bool json);

#endif
