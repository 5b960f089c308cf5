/* What the commands that talk to replicas share. */
#ifndef ORDAIN_CLI_CLIENT_COMMON_H
#define ORDAIN_CLI_CLIENT_COMMON_H

#include "cli/command.h"
#include "client/ordain.h"
#include "core/types.h"

#define CLI_GENESIS_BYTES_MAX (4u << 20)
#define CLI_FILE_BYTES_MAX    (128u << 20)

/* The values of --config, --channel and --replica. */
struct cli_connection {
    const char *config_file; /* NULL: not given */
    const char *channel;
    int replica;
};

/* Opens the client. On failure prints the reason on standard error and returns an exit code. */
int cli_connect(struct ordain **out, const struct cli_connection *connection, bool receipts);

/* The exit code for a library error that occurs after the client was opened. */
int cli_exit_of(enum ordain_error error);

/* Reports that what `path` holds does not verify against the genesis block; returns the exit code. */
int cli_unverified(enum ordain_error error, const char *genesis, const char *path, const char *why);

/* Warns on standard error about each replica that gave something that does not verify. */
void cli_warn_of_suspects(struct ordain *client);

/* Says on standard error what each replica last answered: why a command gives up. */
void cli_say_answers(struct ordain *client);

/*
 * Reads a whole file; *out is malloc'ed. On failure prints the reason on standard error and returns an exit code:
 * `too_large` if the file has more than size_max bytes, CLI_EXIT_INTERNAL if there is no memory, otherwise
 * CLI_EXIT_USAGE.
 */
int cli_read_file(uint8_t **out, size_t *size, const char *path, size_t size_max, int too_large);
/*
 * Writes a whole file by way of a temporary file beside it. On failure prints the reason and returns an exit code:
 * CLI_EXIT_USAGE if no file can be made at this path, otherwise CLI_EXIT_INTERNAL.
 */
int cli_write_file(const char *path, const void *data, size_t size);
/* Makes a folder unless it exists. On failure prints the reason. */
bool cli_make_folder(const char *path);

/* Prints what a verified receipt says. */
#define CLI_TRUST_SIZE 96
/* Writes on whose honesty rests what a channel proves, for people. Returns `out`. */
const char *cli_trust(char out[CLI_TRUST_SIZE], const char *consensus, uint32_t replica_count, uint32_t liars_max);
void cli_print_receipt(const struct ordain_receipt *receipt, bool json);

#endif
