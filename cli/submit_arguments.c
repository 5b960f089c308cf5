/*
 * The command line of `ordain submit`.
 */
#include <getopt.h>

#include "channel/config.h"
#include "cli/options.h"
#include "cli/submit.h"

#define GENERATE_MAX      1000000000u
#define GENERATE_SIZE_MIN 16u
#define RATE_MAX          100000000u

static const char usage[] =
    "Usage: ordain submit --config FILE [OPTIONS] [FILE|-]\n"
    "\n"
    "Submits every transaction of FILE (or of standard input) to the channel. Each goes into an envelope that this\n"
    "client signs; many are under way at once. What a replica is too busy for, or loses, is submitted again, here\n"
    "or elsewhere; the channel orders an envelope once, however often it is submitted. A client that the channel\n"
    "does not know yet is registered first.\n"
    "\n"
    "ACCEPTED means that one replica holds the envelope in its memory, and no more. FINAL means that there is a\n"
    "receipt: enough replicas have signed a block with the envelope in it, and this command has checked that.\n"
    "\n";

static const char notes[] =
    "\n"
    "Examples:\n"
    "  printf 'hello\\nworld\\n' | ordain submit --config try/client/client.cfg -\n"
    "  ordain submit --config try/client/client.cfg --hex --receipts proofs block.hex\n"
    "  ordain submit --config try/client/client.cfg --generate 100000 --per-envelope 100\n"
    "  ordain submit --config try/client/client.cfg --generate 500 --rate 50 --json   # latency at low load\n"
    "\n"
    "Exit codes: 0 all final (with --no-wait: accepted), also where there were no lines; 1 some were refused, each is\n"
    "named with its line, or the file of --raw is empty; 2 wrong arguments or configuration; 3 no replica answers,\n"
    "or nothing moved until the timeout: then each replica is named with what it last answered.\n";

/* What is wrong with the arguments; NULL if nothing is. */
static const char *complaint(const struct submit_arguments *arguments, uint32_t formats, uint32_t sizes, int files) {
    if (files > 1)
        return "one file at a time";
    if (formats > 1)
        return "--lines, --hex and --raw exclude each other";
    if (arguments->generate != 0)
        return files > 0 || formats > 0 ? "--generate needs no file" : NULL;
    if (sizes > 0)
        return "--size is for --generate";
    return files == 0 ? "name a file, or - for standard input" : NULL;
}

bool submit_arguments_parse(struct submit_arguments *out, int *exit_code, int argc, char **argv) {
    *out = (struct submit_arguments) {
        .connection.replica = ORDAIN_ANY_REPLICA,
        .per_envelope = 1,
        .generate_size = 256,
        .timeout_ms = 60000,
    };
    uint32_t formats = 0;
    uint32_t sizes = 0;
    bool hex = false;
    bool raw = false;
    bool wait = false;
    bool no_wait = false;
    const struct cli_option list[] = {
        {.help = "What to submit:"},
        {"lines", NULL, "one transaction a line, as it stands (the default); empty lines are skipped",
         .given = &formats},
        {"hex", NULL, "one transaction a line, in hex", .flag = &hex, .given = &formats},
        {"raw", NULL, "the whole file is one transaction", .flag = &raw, .given = &formats},
        {"generate", "COUNT", "no file: COUNT random transactions", .number64 = &out->generate, .min = 1,
         .max = GENERATE_MAX},
        {"size", "BYTES", "of each of them (default 256, at least 16)", .number64 = &out->generate_size,
         .min = GENERATE_SIZE_MIN, .max = CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT, .given = &sizes},
        {"per-envelope", "N",
         "transactions in one signed envelope (default 1). One signature costs about as much\n"
         "                       as hashing 100 KB, so many transactions an envelope are much faster.",
         .number = &out->per_envelope, .min = 1, .max = CHANNEL_MESSAGE_COUNT_LIMIT},
        {.help = "\nHow:"},
        {"config", "FILE", "the client.cfg that `ordain init` made", .text = &out->connection.config_file},
        {"channel", "NAME", "must be the channel of the genesis block; the default is client.cfg's",
         .text = &out->connection.channel},
        {"wait", NULL, "until there is a verified receipt for every envelope (the default)", .flag = &wait},
        {"no-wait", NULL, "end when every envelope is accepted; it may still be lost", .flag = &no_wait},
        {"receipts", "DIR", "keep the receipts there, as SEQUENCE.receipt (see `ordain verify`)",
         .text = &out->receipts_folder},
        {"rate", "N", "N transactions a second, evenly. Latencies count from when each was due", .number64 = &out->rate,
         .min = 1, .max = RATE_MAX},
        {"replica", "N", "talk to replica N only (from 0)", .replica = &out->connection.replica},
        {"timeout", "SECONDS", "give up when nothing has moved for so long (default 60)",
         .milliseconds = &out->timeout_ms},
        {"json", NULL, "the summary as one JSON object", .flag = &out->json},
        {"quiet", NULL, "no progress", .flag = &out->quiet},
    };
    const struct cli_options options = {usage, list, sizeof(list) / sizeof(list[0]), .notes = notes, .operands = true};
    if (!cli_options_parse(exit_code, &options, argc, argv))
        return false;
    out->format = hex ? CLI_INPUT_HEX : raw ? CLI_INPUT_RAW : CLI_INPUT_LINES;
    out->wait = !no_wait;
    out->path = argv[optind];
    const char *wrong = complaint(out, formats, sizes, argc - optind);
    if (no_wait && wait)
        wrong = "--wait and --no-wait exclude each other";
    else if (no_wait && out->receipts_folder != NULL)
        wrong = "--receipts needs the receipts, so it cannot go with --no-wait";
    return cli_options_accept(exit_code, wrong);
}
