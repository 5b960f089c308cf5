/*
 * `ordain deliver`: pulls blocks, has libordain prove them against the genesis block alone, and writes them out.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client_common.h"
#include "cli/number.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/codec.h"

#define BYTES_MAX_MIN 4096u
#define BYTES_MAX_MAX (60u << 20)

enum deliver_format { DELIVER_TEXT, DELIVER_HEX, DELIVER_JSON, DELIVER_FILES };

struct deliver_arguments {
    struct cli_connection connection;
    uint64_t from;
    uint64_t to;
    enum deliver_format format;
    const char *raw_folder;
    const char *chain_file;
    uint32_t timeout_ms; /* 0: without limit */
    uint32_t bytes_max;
    bool quiet;
};

struct output {
    const struct deliver_arguments *arguments;
    struct ordain *client;
    FILE *chain;
    bool failed; /* writing failed */
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number) {
    (void) number;
    stop_asked = 1;
}

static const char usage[] =
    "Usage: ordain deliver --config FILE [--from oldest|newest|H] [--to newest|H|forever] [OPTIONS]\n"
    "\n"
    "Pulls blocks from the channel's replicas and proves each before it is given out: the header links to the one\n"
    "before it, data and counts match the header, and a certificate at or above it carries enough signatures.\n"
    "Nothing is trusted but the genesis block. A replica that serves anything else is named, and the next one goes\n"
    "on from the same block. With --from oldest the chain hangs on the genesis block; from a later block on, the\n"
    "first block's own link is taken as it is.\n"
    "\n";

static const char notes[] =
    "\n"
    "Examples:\n"
    "  ordain deliver --config try/client/client.cfg\n"
    "  ordain deliver --config try/client/client.cfg --hex | sort | sha256sum\n"
    "  ordain deliver --config try/client/client.cfg --from newest --to forever --json\n"
    "  for i in 0 1 2 3; do ordain deliver --config try/client/client.cfg --replica $i --chain $i.chain; done\n"
    "  cmp 0.chain 1.chain\n"
    "\n"
    "Exit codes: 0 everything that was asked for verified; 1 something did not (it is named), or what was asked for\n"
    "is not there, or did not come within --timeout, and replicas answer; 2 wrong arguments or configuration; 3 no\n"
    "replica answers; 4 what came could not be written.\n";

static const char *take_from(void *into, const char *text) {
    uint64_t *from = into;
    bool newest = strcmp(text, "newest") == 0;
    *from = newest ? ORDAIN_FROM_NEWEST : 0;
    if (newest || strcmp(text, "oldest") == 0 || cli_number(from, text, 0, ORDAIN_TO_FOREVER - 1) == ORD_OK)
        return NULL;
    return "oldest, newest or a height";
}

static const char *take_to(void *into, const char *text) {
    uint64_t *to = into;
    bool newest = strcmp(text, "newest") == 0;
    *to = newest ? ORDAIN_TO_NEWEST : ORDAIN_TO_FOREVER;
    if (newest || strcmp(text, "forever") == 0 || cli_number(to, text, 0, ORDAIN_TO_FOREVER - 1) == ORD_OK)
        return NULL;
    return "newest, forever or a height";
}

static bool parse_arguments(struct deliver_arguments *out, int *exit_code, int argc, char **argv) {
    *out = (struct deliver_arguments) {.connection.replica = ORDAIN_ANY_REPLICA, .to = ORDAIN_TO_NEWEST};
    uint32_t formats = 0;
    bool hex = false;
    bool json = false;
    const struct cli_option list[] = {
        {.help = "Which blocks:"},
        {"from", "oldest",
         "from the genesis block on (block 0, which is at hand); the default\n"
         "  --from newest|H      from the newest block, or from height H",
         .take = take_from, .into = &out->from},
        {"to", "newest",
         "up to what the replicas have now; the default\n"
         "  --to H               up to height H; waits until it is there\n"
         "  --to forever         until interrupted (Ctrl-C)",
         .take = take_to, .into = &out->to},
        {"timeout", "SECONDS", "give up when the next block has not come for so long",
         .milliseconds = &out->timeout_ms},
        {.help = "\nOutput:\n  (default)            a line for each block"},
        {"hex", NULL, "a line for each transaction, in hex; registrations and configurations are left out",
         .flag = &hex, .given = &formats},
        {"json", NULL, "a JSON object for each block, one a line, with its envelopes and transactions", .flag = &json,
         .given = &formats},
        {"raw-dir", "DIR", "a file for each transaction: DIR/BLOCK-ENVELOPE-TRANSACTION", .text = &out->raw_folder,
         .given = &formats},
        {"chain", "FILE",
         "also the chain itself: for each block its header and data, u32 length each; the same\n"
         "                       bytes from every honest replica",
         .text = &out->chain_file},
        {.help = "\nHow:"},
        {"config", "FILE", "the client.cfg that `ordain init` made", .text = &out->connection.config_file},
        {"channel", "NAME", "must be the channel of the genesis block", .text = &out->connection.channel},
        {"replica", "N", "pull from replica N only (from 0)", .replica = &out->connection.replica},
        {"bytes-max", "BYTES", "of one reply, roughly (default 8M)", .number = &out->bytes_max, .suffix = true,
         .min = BYTES_MAX_MIN, .max = BYTES_MAX_MAX, .wants = "4K to 60M"},
        {"quiet", NULL, "no summary on standard error", .flag = &out->quiet},
    };
    const struct cli_options options = {usage, list, sizeof(list) / sizeof(list[0]), .notes = notes};
    if (!cli_options_parse(exit_code, &options, argc, argv))
        return false;
    out->format = out->raw_folder != NULL ? DELIVER_FILES : json ? DELIVER_JSON : hex ? DELIVER_HEX : DELIVER_TEXT;
    if (formats > 1)
        *exit_code = cli_fail(CLI_EXIT_USAGE, "--hex, --json and --raw-dir exclude each other");
    return formats <= 1;
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

static void write_text(const struct ordain_block *block) {
    printf("block %-8" PRIu64 " %s  %" PRIu32 " envelopes  %" PRIu32 " transactions  %" PRIu64 " bytes\n",
           block->height, CLI_HASH(block->hash), block->envelope_count, block->transaction_count, block->byte_count);
}

static void write_hex(const struct ordain_block *block) {
    struct ordain_bytes data = block->data;
    struct ordain_envelope envelope;
    struct ordain_bytes transaction;
    while (ordain_envelope_next(&envelope, &data)) {
        if (envelope.kind != ORDAIN_ENVELOPE_TRANSACTIONS)
            continue;
        while (ordain_transaction_next(&transaction, &envelope.transactions)) {
            cli_print_hex(stdout, transaction.data, transaction.size);
            putchar('\n');
        }
    }
}

static const char *kind_name(enum ordain_envelope_kind kind) {
    static const char *const names[] = {
        [ORDAIN_ENVELOPE_TRANSACTIONS] = "transactions",
        [ORDAIN_ENVELOPE_REGISTER] = "registration",
        [ORDAIN_ENVELOPE_CONFIG] = "configuration",
    };
    return names[kind];
}

static void write_json(const struct ordain_block *block) {
    struct ordain_bytes data = block->data;
    struct ordain_envelope envelope;
    struct ordain_bytes transaction;
    printf("{\"height\":%" PRIu64 ",\"hash\":\"%s\",\"previous\":\"%s\",\"data_root\":\"%s\",\"seq\":%" PRIu64
           ",\"transactions\":%" PRIu32 ",\"bytes\":%" PRIu64 ",\"envelopes\":[",
           block->height, CLI_HASH(block->hash), CLI_HASH(block->previous_hash), CLI_HASH(block->data_root),
           block->last_seq, block->transaction_count, block->byte_count);
    for (bool first = true; ordain_envelope_next(&envelope, &data); first = false) {
        printf("%s{\"kind\":\"%s\",\"id\":\"%s\",\"client\":\"%s\",\"sequence\":%" PRIu64 ",\"transactions\":[",
               first ? "" : ",", kind_name(envelope.kind), CLI_HASH(envelope.id), CLI_HASH(envelope.client),
               envelope.sequence);
        for (bool first_of_all = true; ordain_transaction_next(&transaction, &envelope.transactions);
             first_of_all = false) {
            if (!first_of_all)
                putchar(',');
            cli_json_hex(stdout, transaction.data, transaction.size);
        }
        printf("]}");
    }
    printf("]}\n");
}

static bool write_files(const struct ordain_block *block, const char *folder) {
    struct ordain_bytes data = block->data;
    struct ordain_envelope envelope;
    struct ordain_bytes transaction;
    char path[4096];
    for (unsigned e = 0; ordain_envelope_next(&envelope, &data); e++) {
        if (envelope.kind != ORDAIN_ENVELOPE_TRANSACTIONS)
            continue;
        for (unsigned t = 0; ordain_transaction_next(&transaction, &envelope.transactions); t++) {
            int size = snprintf(path, sizeof(path), "%s/%010" PRIu64 "-%05u-%05u", folder, block->height, e, t);
            if (size < 0 || (size_t) size >= sizeof(path) ||
                cli_write_file(path, transaction.data, transaction.size) != CLI_EXIT_OK)
                return false;
        }
    }
    return true;
}

static bool write_string(FILE *to, struct ordain_bytes bytes) {
    uint8_t length[sizeof(uint32_t)];
    ord_store_u32(length, (uint32_t) bytes.size);
    return fwrite(length, 1, sizeof(length), to) == sizeof(length) &&
           fwrite(bytes.data, 1, bytes.size, to) == bytes.size;
}

static bool on_block(void *context, const struct ordain_block *block) {
    struct output *output = context;
    bool ok = true;
    switch (output->arguments->format) {
    case DELIVER_TEXT:
        write_text(block);
        break;
    case DELIVER_HEX:
        write_hex(block);
        break;
    case DELIVER_JSON:
        write_json(block);
        break;
    case DELIVER_FILES:
        ok = write_files(block, output->arguments->raw_folder);
        break;
    }
    if (output->chain != NULL)
        ok = ok && write_string(output->chain, block->header) && write_string(output->chain, block->data);
    if (output->arguments->to == ORDAIN_TO_FOREVER)
        fflush(stdout);
    if (!ok || ferror(stdout) != 0)
        output->failed = true;
    return !output->failed;
}

static void on_problem(void *context, uint32_t replica, const char *why) {
    const struct output *output = context;
    if (replica == ORDAIN_NO_REPLICA) {
        cli_say("waiting: %s", why);
        cli_say_answers(output->client);
        return;
    }
    cli_say("replica %" PRIu32 " (%s) fails: %s", replica, ordain_replica_address(output->client, replica), why);
}

static bool on_stop(void *context) {
    (void) context;
    return stop_asked != 0;
}

/* ---- The command ------------------------------------------------------------------------------------------------ */

static int report(const struct deliver_arguments *arguments, const struct ordain_channel *channel,
                  const struct ordain_delivered *delivered, enum ordain_error error, const char *why,
                  bool write_failed) {
    char trust[CLI_TRUST_SIZE];
    bool stopped = error == ORDAIN_STOPPED && stop_asked != 0;
    if (write_failed)
        return cli_fail(CLI_EXIT_INTERNAL, "writing failed");
    if (error != ORDAIN_OK && !stopped)
        cli_say("%s: %s", ordain_error_name(error),
                error == ORDAIN_TIMEOUT && why[0] == '\0' ? "the next block did not come in time" : why);
    if (delivered->blocks > 0 && !arguments->quiet)
        fprintf(stderr,
                "verified: blocks %" PRIu64 "..%" PRIu64 ", %" PRIu64 " transactions, %" PRIu64
                " certificates, head %s (%s)\n",
                delivered->first, delivered->last, delivered->transactions, delivered->certificates,
                CLI_HASH(delivered->head_hash),
                cli_trust(trust, channel->consensus, channel->replica_count, channel->liars_max));
    if (error == ORDAIN_TIMEOUT || error == ORDAIN_NOT_READY)
        /* Replicas answer, but do not have what is wanted. */
        return CLI_EXIT_FAILED;
    return stopped ? CLI_EXIT_OK : error == ORDAIN_INVALID ? CLI_EXIT_USAGE : cli_exit_of(error);
}

static int run(const struct deliver_arguments *arguments) {
    struct output output = {.arguments = arguments};
    struct ordain_delivered delivered;
    char why[ORDAIN_TEXT_SIZE] = "";
    if (arguments->raw_folder != NULL && !cli_make_folder(arguments->raw_folder))
        return CLI_EXIT_USAGE;
    int code = cli_connect(&output.client, &arguments->connection, false);
    if (code != CLI_EXIT_OK)
        return code;
    if (arguments->chain_file != NULL) {
        output.chain = fopen(arguments->chain_file, "wb");
        if (output.chain == NULL) {
            code = cli_fail(CLI_EXIT_USAGE, "%s: %s", arguments->chain_file, strerror(errno));
            ordain_close(output.client);
            return code;
        }
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct ordain_deliver deliver = {
        .from = arguments->from,
        .to = arguments->to,
        .wait_ms = arguments->timeout_ms,
        .poll_ms = 1000,
        .bytes_max = arguments->bytes_max,
        .on_block = on_block,
        .on_problem = on_problem,
        .stop = on_stop,
        .context = &output,
    };
    enum ordain_error error = ordain_deliver(output.client, &deliver, &delivered, why, sizeof(why));
    if (output.chain != NULL && fclose(output.chain) != 0)
        output.failed = true;
    if (fflush(stdout) != 0)
        output.failed = true;
    struct ordain_channel channel;
    ordain_channel(output.client, &channel);
    code = report(arguments, &channel, &delivered, error, why, output.failed);
    if (error == ORDAIN_UNREACHABLE || error == ORDAIN_TIMEOUT)
        cli_say_answers(output.client);
    ordain_close(output.client);
    return code;
}

int cli_deliver(int argc, char **argv) {
    struct deliver_arguments arguments;
    int code;
    return parse_arguments(&arguments, &code, argc, argv) ? run(&arguments) : code;
}
