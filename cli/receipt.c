/* `ordain receipt`: fetches the proof that an envelope is final, checks it, and saves it in a file. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client_common.h"
#include "cli/input.h"
#include "cli/number.h"

#define TIMEOUT_MS_DEFAULT 10000u

struct receipt_arguments {
    struct cli_connection connection;
    bool by_place;
    uint64_t height;
    uint32_t index;
    bool by_sequence;
    uint64_t sequence;
    /* --client was not given: use the client of client.cfg. */
    bool own_client;
    uint8_t client[ORDAIN_HASH_SIZE];
    const char *out_file;
    uint32_t timeout_ms;
    bool json;
};

static void print_help(void) {
    printf(
        "Usage: ordain receipt --config FILE (--sequence N [--client FINGERPRINT] | --place HEIGHT:INDEX) [OPTIONS]\n"
        "\n"
        "Fetches a receipt: the proof that an envelope is in the chain for good. It holds the envelope, its place in\n"
        "its block (a Merkle path), the block's header, and enough replicas' signatures. It is checked here, and can\n"
        "be checked by anyone later with nothing but the genesis block: see `ordain verify`.\n"
        "\n"
        "  --config FILE        the client.cfg that `ordain init` made\n"
        "  --channel NAME       must be the channel of the genesis block\n"
        "  --sequence N         the client's own number of the envelope, from 1\n"
        "  --client FINGERPRINT whose envelope, as SHA-256 of its certificate in hex; default: client.cfg's own\n"
        "  --place HEIGHT:INDEX the envelope at this index (from 0) of this block\n"
        "  --out FILE           keep the receipt in FILE\n"
        "  --replica N          ask replica N only\n"
        "  --timeout SECONDS    (default 10)\n"
        "  --json               what the receipt says, as a JSON object\n"
        "\n"
        "Examples:\n"
        "  ordain receipt --config try/client/client.cfg --sequence 1 --out first.receipt\n"
        "  ordain receipt --config try/client/client.cfg --place 12:0 --json\n"
        "\n"
        "Exit codes: 0 fetched and verified; 1 there is none, or what came does not verify; 2 wrong arguments or\n"
        "configuration; 3 no replica answers.\n");
}

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {"config", required_argument, NULL, 'c'},
    {"channel", required_argument, NULL, 'C'},
    {"replica", required_argument, NULL, 'r'},
    {"sequence", required_argument, NULL, 's'},
    {"client", required_argument, NULL, 'f'},
    {"place", required_argument, NULL, 'p'},
    {"out", required_argument, NULL, 'o'},
    {"timeout", required_argument, NULL, 't'},
    {"json", no_argument, NULL, 'j'},
    {NULL, 0, NULL, 0},
};

static bool take_place(struct receipt_arguments *out, const char *text) {
    char height[32];
    uint64_t index = 0;
    const char *colon = strchr(text, ':');
    size_t size = colon == NULL ? 0 : (size_t) (colon - text);
    bool ok = size > 0 && size < sizeof(height);
    if (ok) {
        memcpy(height, text, size);
        height[size] = '\0';
        ok = cli_number(&out->height, height, 1, UINT64_MAX) == ORD_OK &&
             cli_number(&index, colon + 1, 0, UINT32_MAX) == ORD_OK;
    }
    if (!ok)
        fprintf(stderr, "ordain receipt: --place wants HEIGHT:INDEX (such as 12:0), found '%s'\n", text);
    out->index = (uint32_t) index;
    out->by_place = true;
    return ok;
}

static bool take_client(struct receipt_arguments *out, const char *text) {
    size_t size = 0;
    out->own_client = false;
    if (strlen(text) == 2 * sizeof(out->client) && cli_unhex(out->client, &size, text, strlen(text)) == ORD_OK)
        return true;
    fprintf(stderr, "ordain receipt: --client wants 64 hex digits, found '%s'\n", text);
    return false;
}

static bool take_sequence(struct receipt_arguments *out, const char *text) {
    out->by_sequence = true;
    if (cli_number(&out->sequence, text, 1, UINT64_MAX) == ORD_OK)
        return true;
    fprintf(stderr, "ordain receipt: --sequence wants a number from 1, found '%s'\n", text);
    return false;
}

static bool take_option(struct receipt_arguments *out, int code) {
    switch (code) {
    case 'c':
        out->connection.config_file = optarg;
        return true;
    case 'C':
        out->connection.channel = optarg;
        return true;
    case 'r':
        return cli_connection_replica(&out->connection, "receipt", optarg);
    case 's':
        return take_sequence(out, optarg);
    case 'f':
        return take_client(out, optarg);
    case 'p':
        return take_place(out, optarg);
    case 'o':
        out->out_file = optarg;
        return true;
    case 't':
        return cli_seconds(&out->timeout_ms, "receipt", "--timeout", optarg);
    case 'j':
        out->json = true;
        return true;
    default:
        return false;
    }
}

static int parse_arguments(struct receipt_arguments *out, bool *help, int argc, char **argv) {
    memset(out, 0, sizeof(*out));
    cli_connection_init(&out->connection);
    out->own_client = true;
    out->timeout_ms = TIMEOUT_MS_DEFAULT;
    *help = false;
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (code == 'h') {
            print_help();
            *help = true;
            return CLI_EXIT_OK;
        }
        if (!take_option(out, code))
            return CLI_EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "ordain receipt: what is '%s'? See `ordain receipt --help`\n", argv[optind]);
        return CLI_EXIT_USAGE;
    }
    if (out->by_place == out->by_sequence || (out->by_place && !out->own_client)) {
        fprintf(stderr, "ordain receipt: say either --sequence N (and perhaps --client), or --place HEIGHT:INDEX\n");
        return CLI_EXIT_USAGE;
    }
    return CLI_EXIT_OK;
}

/* Prints what the receipt says. It was already verified against the client's own genesis block when it was fetched. */
static int show(const struct receipt_arguments *arguments, struct ordain *client, struct ordain_bytes receipt) {
    struct ordain_receipt said;
    char why[ORDAIN_TEXT_SIZE] = "";
    enum ordain_error error = ordain_receipt_check(client, &said, receipt, why, sizeof(why));
    if (error != ORDAIN_OK) {
        fprintf(stderr, "ordain receipt: %s\n", why);
        return cli_exit_of(error);
    }
    int code = CLI_EXIT_OK;
    if (arguments->out_file != NULL)
        code = cli_write_file("receipt", arguments->out_file, receipt.data, receipt.size);
    if (code != CLI_EXIT_OK)
        return code;
    cli_print_receipt(&said, arguments->json);
    return CLI_EXIT_OK;
}

int cli_receipt(int argc, char **argv) {
    struct receipt_arguments arguments;
    struct ordain *client = NULL;
    uint8_t *receipt = NULL;
    size_t size = 0;
    char why[ORDAIN_TEXT_SIZE] = "";
    bool help = false;
    int code = parse_arguments(&arguments, &help, argc, argv);
    if (code != CLI_EXIT_OK || help)
        return code;
    code = cli_connect(&client, "receipt", &arguments.connection, false);
    if (code != CLI_EXIT_OK)
        return code;
    if (arguments.own_client)
        ordain_fingerprint(client, arguments.client);
    enum ordain_error error =
        arguments.by_place ? ordain_receipt_by_place(client, &receipt, &size, arguments.height, arguments.index,
                                                     arguments.timeout_ms, why, sizeof(why))
                           : ordain_receipt_by_sequence(client, &receipt, &size, arguments.client, arguments.sequence,
                                                        arguments.timeout_ms, why, sizeof(why));
    if (error == ORDAIN_OK) {
        code = show(&arguments, client, (struct ordain_bytes) {receipt, size});
    } else {
        fprintf(stderr, "ordain receipt: %s\n", why);
        code = cli_exit_of(error);
    }
    cli_warn_of_suspects(client, "receipt");
    free(receipt);
    ordain_close(client);
    return code;
}
