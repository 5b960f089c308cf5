/* `ordain receipt`: fetches the proof that an envelope is final, checks it, and saves it in a file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client_common.h"
#include "cli/input.h"
#include "cli/number.h"
#include "cli/options.h"

struct receipt_arguments {
    struct cli_connection connection;
    uint32_t by_place; /* how often --place was given */
    uint64_t height;
    uint32_t index;
    uint32_t by_sequence;
    uint64_t sequence;
    /* 0: --client was not given; use the client of client.cfg. */
    uint32_t other_client;
    uint8_t client[ORDAIN_HASH_SIZE];
    const char *out_file;
    uint32_t timeout_ms;
    bool json;
};

static const char usage[] =
    "Usage: ordain receipt --config FILE (--sequence N [--client FINGERPRINT] | --place HEIGHT:INDEX) [OPTIONS]\n"
    "\n"
    "Fetches a receipt: the proof that an envelope is in the chain for good. It holds the envelope, its place in\n"
    "its block (a Merkle path), the block's header, and enough replicas' signatures. It is checked here, and can\n"
    "be checked by anyone later with nothing but the genesis block: see `ordain verify`.\n"
    "\n";

static const char notes[] =
    "\n"
    "Examples:\n"
    "  ordain receipt --config try/client/client.cfg --sequence 1 --out first.receipt\n"
    "  ordain receipt --config try/client/client.cfg --place 12:0 --json\n"
    "\n"
    "Exit codes: 0 fetched and verified; 1 there is none, or what came does not verify; 2 wrong arguments or\n"
    "configuration; 3 no replica answers.\n";

static const char *take_place(void *into, const char *text) {
    struct receipt_arguments *out = into;
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
    out->index = (uint32_t) index;
    return ok ? NULL : "HEIGHT:INDEX (such as 12:0)";
}

static const char *take_client(void *into, const char *text) {
    size_t size = 0;
    bool ok = strlen(text) == 2 * ORDAIN_HASH_SIZE && cli_unhex(into, &size, text, strlen(text)) == ORD_OK;
    return ok ? NULL : "64 hex digits";
}

static bool parse_arguments(struct receipt_arguments *out, int *exit_code, int argc, char **argv) {
    *out = (struct receipt_arguments) {.connection.replica = ORDAIN_ANY_REPLICA, .timeout_ms = 10000};
    const struct cli_option list[] = {
        {"config", "FILE", "the client.cfg that `ordain init` made", .text = &out->connection.config_file},
        {"channel", "NAME", "must be the channel of the genesis block", .text = &out->connection.channel},
        {"sequence", "N", "the client's own number of the envelope, from 1", .number64 = &out->sequence, .min = 1,
         .max = UINT64_MAX, .wants = "a number from 1", .given = &out->by_sequence},
        {"client", "FINGERPRINT", "whose envelope, as SHA-256 of its certificate in hex; default: client.cfg's own",
         .take = take_client, .into = out->client, .given = &out->other_client},
        {"place", "HEIGHT:INDEX", "the envelope at this index (from 0) of this block", .take = take_place, .into = out,
         .given = &out->by_place},
        {"out", "FILE", "keep the receipt in FILE", .text = &out->out_file},
        {"replica", "N", "ask replica N only", .replica = &out->connection.replica},
        {"timeout", "SECONDS", "(default 10)", .milliseconds = &out->timeout_ms},
        {"json", NULL, "what the receipt says, as a JSON object", .flag = &out->json},
    };
    const struct cli_options options = {usage, list, sizeof(list) / sizeof(list[0]), .notes = notes};
    if (!cli_options_parse(exit_code, &options, argc, argv))
        return false;
    bool place = out->by_place > 0;
    bool clear = place != (out->by_sequence > 0) && !(place && out->other_client > 0);
    if (!clear)
        *exit_code =
            cli_fail(CLI_EXIT_USAGE, "say either --sequence N (and perhaps --client), or --place HEIGHT:INDEX");
    return clear;
}

/* Prints what the receipt says. It was already verified against the client's own genesis block when it was fetched. */
static int show(const struct receipt_arguments *arguments, struct ordain *client, struct ordain_bytes receipt) {
    struct ordain_receipt said;
    char why[ORDAIN_TEXT_SIZE] = "";
    enum ordain_error error = ordain_receipt_check(client, &said, receipt, why, sizeof(why));
    if (error != ORDAIN_OK)
        return cli_fail(cli_exit_of(error), "%s", why);
    int code = CLI_EXIT_OK;
    if (arguments->out_file != NULL)
        code = cli_write_file(arguments->out_file, receipt.data, receipt.size);
    if (code == CLI_EXIT_OK)
        cli_print_receipt(&said, arguments->json);
    return code;
}

int cli_receipt(int argc, char **argv) {
    struct receipt_arguments arguments;
    struct ordain *client = NULL;
    uint8_t *receipt = NULL;
    size_t size = 0;
    char why[ORDAIN_TEXT_SIZE] = "";
    int code;
    if (!parse_arguments(&arguments, &code, argc, argv))
        return code;
    code = cli_connect(&client, &arguments.connection, false);
    if (code != CLI_EXIT_OK)
        return code;
    if (arguments.other_client == 0)
        ordain_fingerprint(client, arguments.client);
    enum ordain_error error =
        arguments.by_place > 0 ? ordain_receipt_by_place(client, &receipt, &size, arguments.height, arguments.index,
                                                         arguments.timeout_ms, why, sizeof(why))
                               : ordain_receipt_by_sequence(client, &receipt, &size, arguments.client,
                                                            arguments.sequence, arguments.timeout_ms, why, sizeof(why));
    code = error == ORDAIN_OK ? show(&arguments, client, (struct ordain_bytes) {receipt, size})
                              : cli_fail(cli_exit_of(error), "%s", why);
    if (error == ORDAIN_UNREACHABLE || error == ORDAIN_TIMEOUT)
        cli_say_answers(client);
    cli_warn_of_suspects(client);
    free(receipt);
    ordain_close(client);
    return code;
}
