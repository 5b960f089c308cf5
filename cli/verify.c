/* `ordain verify`: checks receipts offline, against a genesis block alone. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client_common.h"
#include "cli/input.h"
#include "cli/options.h"

struct verify_arguments {
    const char *genesis;
    const char *transaction; /* NULL: not given */
    bool hex;
    bool json;
    int first; /* argv[first..] are the receipts */
};

static const char usage[] =
    "Usage: ordain verify --genesis FILE [--transaction FILE [--hex]] [--json] RECEIPT...\n"
    "\n"
    "Checks receipts without asking anyone: the envelope is in the block (Merkle path), the signatures are of\n"
    "enough replicas of this genesis block, and they cover the block. Prints who signed, where the envelope is\n"
    "and which it is.\n"
    "\n";

static const char notes[] =
    "\n"
    "Examples:\n"
    "  ordain verify --genesis try/genesis.block first.receipt\n"
    "  ordain verify --genesis try/genesis.block --transaction payment.bin proofs/*.receipt\n"
    "\n"
    "Exit codes: 0 all of them hold; 1 at least one does not (and why); 2 wrong arguments, a file that cannot be\n"
    "read, or not a genesis block: the rest was not looked at.\n";

static bool parse_arguments(struct verify_arguments *out, int *exit_code, int argc, char **argv) {
    *out = (struct verify_arguments) {0};
    const struct cli_option list[] = {
        {"genesis", "FILE", "the channel's genesis block", .text = &out->genesis},
        {"transaction", "FILE", "also check that the bytes of FILE are a transaction of the receipt's envelope",
         .text = &out->transaction},
        {"hex", NULL, "FILE holds them in hex", .flag = &out->hex},
        {"json", NULL, "one JSON object for each receipt", .flag = &out->json},
    };
    const struct cli_options options = {usage, list, sizeof(list) / sizeof(list[0]), .notes = notes, .operands = true};
    if (!cli_options_parse(exit_code, &options, argc, argv))
        return false;
    out->first = optind;
    const char *wrong = out->genesis == NULL                   ? "--genesis FILE is missing"
                        : optind == argc                       ? "name at least one receipt"
                        : out->hex && out->transaction == NULL ? "--hex is for --transaction"
                                                               : NULL;
    return cli_options_accept(exit_code, wrong);
}

/* Loads the transaction's bytes; hex is decoded in place. */
static int load_transaction(struct ordain_bytes *out, uint8_t **data, const struct verify_arguments *arguments) {
    size_t size = 0;
    int code = cli_read_file(data, &size, arguments->transaction, CLI_FILE_BYTES_MAX, CLI_EXIT_USAGE);
    if (code != CLI_EXIT_OK)
        return code;
    if (arguments->hex) {
        while (size > 0 && strchr(" \t\r\n", (*data)[size - 1]) != NULL)
            size--;
        if (cli_unhex(*data, &size, (const char *) *data, size) != ORD_OK)
            return cli_fail(CLI_EXIT_USAGE, "%s: not hex digits in pairs", arguments->transaction);
    }
    *out = (struct ordain_bytes) {*data, size};
    return CLI_EXIT_OK;
}

static int verify_one(const struct verify_arguments *arguments, struct ordain_bytes genesis,
                      const struct ordain_bytes *transaction, const char *path) {
    struct ordain_receipt said;
    char why[ORDAIN_TEXT_SIZE] = "";
    uint8_t *data = NULL;
    size_t size = 0;
    uint32_t index = 0;
    int code = cli_read_file(&data, &size, path, CLI_FILE_BYTES_MAX, CLI_EXIT_FAILED);
    if (code != CLI_EXIT_OK)
        return code;
    struct ordain_bytes receipt = {data, size};
    enum ordain_error error = ordain_receipt_verify(&said, genesis, receipt, why, sizeof(why));
    if (error != ORDAIN_OK) {
        code = cli_unverified(error, arguments->genesis, path, why);
    } else if (transaction != NULL && ordain_receipt_find(&index, receipt, *transaction) != ORDAIN_OK) {
        code = cli_fail(CLI_EXIT_FAILED, "%s: the receipt is good, but %s is not in its envelope", path,
                        arguments->transaction);
    } else {
        if (!arguments->json)
            printf("%s: verified\n", path);
        cli_print_receipt(&said, arguments->json);
        if (transaction != NULL && !arguments->json)
            printf("%-14s%s is number %u of it\n", "transaction", arguments->transaction, index);
    }
    free(data);
    return code;
}

int cli_verify(int argc, char **argv) {
    struct verify_arguments arguments;
    struct ordain_bytes transaction = {NULL, 0};
    uint8_t *genesis = NULL;
    uint8_t *transaction_data = NULL;
    size_t genesis_size = 0;
    int code;
    if (!parse_arguments(&arguments, &code, argc, argv))
        return code;
    code = cli_read_file(&genesis, &genesis_size, arguments.genesis, CLI_GENESIS_BYTES_MAX, CLI_EXIT_USAGE);
    if (code == CLI_EXIT_OK && arguments.transaction != NULL)
        code = load_transaction(&transaction, &transaction_data, &arguments);
    bool ready = code == CLI_EXIT_OK;
    for (int i = arguments.first; ready && i < argc && code != CLI_EXIT_USAGE; i++) {
        int one = verify_one(&arguments, (struct ordain_bytes) {genesis, genesis_size},
                             arguments.transaction != NULL ? &transaction : NULL, argv[i]);
        if (one != CLI_EXIT_OK)
            code = one;
    }
    free(genesis);
    free(transaction_data);
    return code;
}
