/*
 * The command line of `ordain submit`.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "channel/config.h"
#include "cli/number.h"
#include "cli/submit.h"

#define TIMEOUT_MS_DEFAULT   60000u
#define GENERATE_MAX         1000000000u
#define GENERATE_SIZE        256u
#define GENERATE_SIZE_MIN    16u
#define RATE_MAX             100000000u
#define PER_ENVELOPE_DEFAULT 1u

static void print_help(void) {
    printf(
        "Usage: ordain submit --config FILE [OPTIONS] [FILE|-]\n"
        "\n"
        "Submits every transaction of FILE (or of standard input) to the channel. Each goes into an envelope that "
        "this\n"
        "client signs; many are under way at once. What a replica is too busy for, or loses, is submitted again, here\n"
        "or elsewhere; the channel orders an envelope once, however often it is submitted. A client that the channel\n"
        "does not know yet is registered first.\n"
        "\n"
        "ACCEPTED means that one replica holds the envelope in its memory, and no more. FINAL means that there is a\n"
        "receipt: enough replicas have signed a block with the envelope in it, and this command has checked that.\n"
        "\n"
        "What to submit:\n"
        "  --lines              one transaction a line, as it stands (the default); empty lines are skipped\n"
        "  --hex                one transaction a line, in hex\n"
        "  --raw                the whole file is one transaction\n"
        "  --generate COUNT     no file: COUNT random transactions\n"
        "  --size BYTES         of each of them (default 256, at least 16)\n"
        "  --per-envelope N     transactions in one signed envelope (default 1). One signature costs about as much\n"
        "                       as hashing 100 KB, so many transactions an envelope are much faster.\n"
        "\n"
        "How:\n"
        "  --config FILE        the client.cfg that `ordain init` made\n"
        "  --channel NAME       must be the channel of the genesis block; the default is client.cfg's\n"
        "  --wait               until there is a verified receipt for every envelope\n"
        "  --receipts DIR       keep the receipts there, as SEQUENCE.receipt (see `ordain verify`); waits, too\n"
        "  --rate N             N transactions a second, evenly, rather than as fast as it goes\n"
        "  --replica N          talk to replica N only (from 0)\n"
        "  --timeout SECONDS    give up when nothing has moved for so long (default 60)\n"
        "  --json               the summary as one JSON object\n"
        "  --quiet              no progress\n"
        "\n"
        "Examples:\n"
        "  printf 'hello\\nworld\\n' | ordain submit --config try/client/client.cfg --wait -\n"
        "  ordain submit --config try/client/client.cfg --hex --wait --receipts proofs block.hex\n"
        "  ordain submit --config try/client/client.cfg --generate 100000 --per-envelope 100 --wait\n"
        "  ordain submit --config try/client/client.cfg --generate 500 --rate 50 --wait --json   # latency at low "
        "load\n"
        "\n"
        "Exit codes: 0 all accepted (with --wait: final), also where there were no lines; 1 some were refused, each "
        "is\n"
        "named with its line, or the file of --raw is empty; 2 wrong arguments or configuration; 3 no replica "
        "answers,\n"
        "or nothing moved until the timeout.\n");
}

static bool take_number(uint64_t *out, const char *option, const char *text, uint64_t min, uint64_t max) {
    if (cli_number(out, text, min, max) == ORD_OK)
        return true;
    fprintf(stderr, "ordain submit: %s wants a number from %llu to %llu, found '%s'\n", option,
            (unsigned long long) min, (unsigned long long) max, text);
    return false;
}

enum { OPTION_LINES = 256, OPTION_HEX, OPTION_RAW, OPTION_GENERATE, OPTION_SIZE, OPTION_PER_ENVELOPE, OPTION_CONFIG };
enum { OPTION_CHANNEL = 512, OPTION_WAIT, OPTION_RECEIPTS, OPTION_RATE, OPTION_REPLICA, OPTION_TIMEOUT, OPTION_JSON };
enum { OPTION_QUIET = 768 };

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {"lines", no_argument, NULL, OPTION_LINES},
    {"hex", no_argument, NULL, OPTION_HEX},
    {"raw", no_argument, NULL, OPTION_RAW},
    {"generate", required_argument, NULL, OPTION_GENERATE},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"per-envelope", required_argument, NULL, OPTION_PER_ENVELOPE},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"channel", required_argument, NULL, OPTION_CHANNEL},
    {"wait", no_argument, NULL, OPTION_WAIT},
    {"receipts", required_argument, NULL, OPTION_RECEIPTS},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"replica", required_argument, NULL, OPTION_REPLICA},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {NULL, 0, NULL, 0},
};

/* Which of --lines, --hex, --raw and --size were given, to find combinations that are not allowed. */
struct seen {
    int formats;
    bool size;
};

static bool take_option(struct submit_arguments *out, struct seen *seen, int code) {
    uint64_t number = 0;
    bool ok = true;
    switch (code) {
    case OPTION_LINES:
    case OPTION_HEX:
    case OPTION_RAW:
        out->format = code == OPTION_HEX ? CLI_INPUT_HEX : code == OPTION_RAW ? CLI_INPUT_RAW : CLI_INPUT_LINES;
        seen->formats++;
        break;
    case OPTION_GENERATE:
        ok = take_number(&out->generate, "--generate", optarg, 1, GENERATE_MAX);
        break;
    case OPTION_SIZE:
        ok = take_number(&number, "--size", optarg, GENERATE_SIZE_MIN, CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT);
        out->generate_size = (size_t) number;
        seen->size = true;
        break;
    case OPTION_PER_ENVELOPE:
        ok = take_number(&number, "--per-envelope", optarg, 1, CHANNEL_MESSAGE_COUNT_LIMIT);
        out->per_envelope = (uint32_t) number;
        break;
    case OPTION_CONFIG:
        out->connection.config_file = optarg;
        break;
    case OPTION_CHANNEL:
        out->connection.channel = optarg;
        break;
    case OPTION_WAIT:
        out->wait = true;
        break;
    case OPTION_RECEIPTS:
        out->receipts_folder = optarg;
        out->wait = true;
        break;
    case OPTION_RATE:
        ok = take_number(&out->rate, "--rate", optarg, 1, RATE_MAX);
        break;
    case OPTION_REPLICA:
        ok = cli_connection_replica(&out->connection, "submit", optarg);
        break;
    case OPTION_TIMEOUT:
        ok = cli_seconds(&out->timeout_ms, "submit", "--timeout", optarg);
        break;
    case OPTION_JSON:
        out->json = true;
        break;
    case OPTION_QUIET:
        out->quiet = true;
        break;
    default:
        ok = false;
        break;
    }
    return ok;
}

static int usage(const char *sentence) {
    fprintf(stderr, "ordain submit: %s; see `ordain submit --help`\n", sentence);
    return CLI_EXIT_USAGE;
}

int submit_arguments_parse(struct submit_arguments *out, bool *help, int argc, char **argv) {
    struct seen seen = {0};
    memset(out, 0, sizeof(*out));
    cli_connection_init(&out->connection);
    out->per_envelope = PER_ENVELOPE_DEFAULT;
    out->generate_size = GENERATE_SIZE;
    out->timeout_ms = TIMEOUT_MS_DEFAULT;
    *help = false;
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (code == 'h') {
            print_help();
            *help = true;
            return CLI_EXIT_OK;
        }
        if (!take_option(out, &seen, code))
            return CLI_EXIT_USAGE;
    }
    if (argc - optind > 1)
        return usage("one file at a time");
    if (seen.formats > 1)
        return usage("--lines, --hex and --raw exclude each other");
    if (optind < argc)
        out->path = argv[optind];
    if (out->generate != 0 && (out->path != NULL || seen.formats > 0))
        return usage("--generate needs no file");
    if (out->generate == 0 && seen.size)
        return usage("--size is for --generate");
    if (out->generate == 0 && out->path == NULL)
        return usage("name a file, or - for standard input");
    return CLI_EXIT_OK;
}
