/* `ordain verify`: checks receipts offline, against a genesis block alone. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client_common.h"
#include "cli/input.h"

struct verify_arguments {
    const char *genesis;
    const char *transaction; /* NULL: not given */
    bool hex;
    bool json;
    int first; /* argv[first..] are the receipts */
};

static void print_help(void) {
    printf(
        "Usage: ordain verify --genesis FILE [--transaction FILE [--hex]] [--json] RECEIPT...\n"
        "\n"
        "Checks receipts without asking anyone: the envelope is in the block (Merkle path), the signatures are of\n"
        "enough replicas of this genesis block, and they cover the block. Prints who signed, where the envelope is\n"
        "and which it is.\n"
        "\n"
        "  --genesis FILE       the channel's genesis block\n"
        "  --transaction FILE   also check that the bytes of FILE are a transaction of the receipt's envelope\n"
        "  --hex                FILE holds them in hex\n"
        "  --json               one JSON object for each receipt\n"
        "\n"
        "Examples:\n"
        "  ordain verify --genesis try/genesis.block first.receipt\n"
        "  ordain verify --genesis try/genesis.block --transaction payment.bin proofs/*.receipt\n"
        "\n"
        "Exit codes: 0 all of them hold; 1 at least one does not (and why); 2 wrong arguments, a file that cannot be\n"
        "read, or not a genesis block: the rest was not looked at.\n");
}

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'}, {"genesis", required_argument, NULL, 'g'},
    {"hex", no_argument, NULL, 'x'},  {"transaction", required_argument, NULL, 't'},
    {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0},
};

static int parse_arguments(struct verify_arguments *out, bool *help, int argc, char **argv) {
    memset(out, 0, sizeof(*out));
    *help = false;
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (code) {
        case 'h':
            print_help();
            *help = true;
            return CLI_EXIT_OK;
        case 'g':
            out->genesis = optarg;
            break;
        case 't':
            out->transaction = optarg;
            break;
        case 'x':
            out->hex = true;
            break;
        case 'j':
            out->json = true;
            break;
        default:
            return CLI_EXIT_USAGE;
        }
    }
    out->first = optind;
    if (out->genesis == NULL || optind == argc || (out->hex && out->transaction == NULL)) {
        fprintf(stderr, "ordain verify: %s; see `ordain verify --help`\n",
                out->genesis == NULL ? "--genesis FILE is missing"
                : optind == argc     ? "name at least one receipt"
                                     : "--hex is for --transaction");
        return CLI_EXIT_USAGE;
    }
    return CLI_EXIT_OK;
}

/* Loads the transaction's bytes; hex is decoded in place. */
static int load_transaction(struct ordain_bytes *out, uint8_t **data, const struct verify_arguments *arguments) {
    size_t size = 0;
    int code = cli_read_file(data, &size, "verify", arguments->transaction, CLI_FILE_BYTES_MAX, CLI_EXIT_USAGE);
    if (code != CLI_EXIT_OK)
        return code;
    if (arguments->hex) {
        while (size > 0 && strchr(" \t\r\n", (*data)[size - 1]) != NULL)
            size--;
        if (cli_unhex(*data, &size, (const char *) *data, size) != ORD_OK) {
            fprintf(stderr, "ordain verify: %s: not hex digits in pairs\n", arguments->transaction);
            return CLI_EXIT_USAGE;
        }
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
    int code = cli_read_file(&data, &size, "verify", path, CLI_FILE_BYTES_MAX, CLI_EXIT_FAILED);
    if (code != CLI_EXIT_OK)
        return code;
    struct ordain_bytes receipt = {data, size};
    code = CLI_EXIT_FAILED;
    enum ordain_error error = ordain_receipt_verify(&said, genesis, receipt, why, sizeof(why));
    if (error == ORDAIN_INVALID) {
        fprintf(stderr, "ordain verify: %s: %s\n", arguments->genesis, why);
        code = CLI_EXIT_USAGE;
    } else if (error == ORDAIN_UNVERIFIED) {
        fprintf(stderr, "ordain verify: %s does not verify: %s\n", path, why);
    } else if (error != ORDAIN_OK) {
        fprintf(stderr, "ordain verify: %s: %s\n", path, ordain_error_name(error));
        code = cli_exit_of(error);
    } else if (transaction != NULL && ordain_receipt_find(&index, receipt, *transaction) != ORDAIN_OK) {
        fprintf(stderr, "ordain verify: %s: the receipt is good, but %s is not in its envelope\n", path,
                arguments->transaction);
    } else {
        if (!arguments->json)
            printf("%s: verified\n", path);
        cli_print_receipt(&said, arguments->json);
        if (transaction != NULL && !arguments->json)
            printf("%-14s%s is number %u of it\n", "transaction", arguments->transaction, index);
        code = CLI_EXIT_OK;
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
    bool help = false;
    int code = parse_arguments(&arguments, &help, argc, argv);
    if (code != CLI_EXIT_OK || help)
        return code;
    code = cli_read_file(&genesis, &genesis_size, "verify", arguments.genesis, CLI_GENESIS_BYTES_MAX, CLI_EXIT_USAGE);
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
