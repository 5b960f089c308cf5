/*
 * The arguments of `ordain submit`.
 */
#ifndef ORDAIN_CLI_SUBMIT_H
#define ORDAIN_CLI_SUBMIT_H

#include "cli/client_common.h"
#include "cli/input.h"

struct submit_arguments {
    struct cli_connection connection;
    const char *path; /* NULL: generate transactions */
    enum cli_input_format format;
    uint32_t per_envelope;
    bool wait;
    const char *receipts_folder; /* NULL: receipts are not wanted */
    bool json;
    bool quiet;
    uint64_t rate;     /* transactions a second; 0: as fast as possible */
    uint64_t generate; /* number of transactions to generate; 0: read them */
    uint64_t generate_size;
    uint32_t timeout_ms; /* longest time without any progress */
};

/* False: the command ends with *exit_code. The help was asked for, or an argument is wrong; either was printed. */
bool submit_arguments_parse(struct submit_arguments *out, int *exit_code, int argc, char **argv);

#endif
