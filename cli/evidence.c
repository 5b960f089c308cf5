/*
 * `ordain evidence`: proofs that a replica contradicted itself. It fetches them from the replicas that keep them, and
 * checks them offline.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client_common.h"
#include "cli/number.h"
#include "cli/report.h"

#define TIMEOUT_MS_DEFAULT 5000u
#define HASH_SHOWN         16 /* bytes of a digest in a table; enough to tell two digests apart */

struct evidence_arguments {
    struct cli_connection connection;
    int against; /* ORDAIN_ANY_REPLICA: all */
    const char *out;
    const char *genesis;
    uint32_t timeout_ms;
    bool json;
    bool export; /* true: export; false: verify */
    int first;   /* argv[first..] are the files */
};

static void print_help(void) {
    printf("Usage: ordain evidence export --config FILE [--replica N] [--against N] [--out FILE] [--timeout SECONDS]\n"
           "       ordain evidence verify FILE... --genesis GENESIS [--json]\n"
           "\n"
           "An honest replica signs one proposal, one vote and one state for each place in the order. One that signs\n"
           "two which differ has lied, or runs twice, or was set back to an old disk; its two signatures prove it to\n"
           "anyone who has the genesis block. Replicas keep what they notice of that (`ordain status` shows it).\n"
           "\n"
           "export  asks every replica, checks each piece, and writes each contradiction once: to FILE, or what it\n"
           "        found to standard output. Nothing of it rests on the word of the replicas that were asked.\n"
           "verify  asks nobody: both statements are of this network and epoch, about one place, differ, and carry\n"
           "        valid signatures of one replica. Says which, and what it signed. Every piece must hold.\n"
           "\n"
           "  --config FILE        the client.cfg that `ordain init` made\n"
           "  --channel NAME       must be the channel of the genesis block\n"
           "  --replica N          ask only replica N (from 0)\n"
           "  --against N          only evidence against replica N\n"
           "  --out FILE           the file to write (default: the bytes go to standard output)\n"
           "  --timeout SECONDS    how long to wait for answers (default 5)\n"
           "  --genesis GENESIS    the channel's genesis block\n"
           "  --json               one JSON object for each contradiction\n"
           "\n"
           "Examples:\n"
           "  ordain evidence export --config try/client/client.cfg --out lies.evidence\n"
           "  ordain evidence verify lies.evidence --genesis try/genesis.block\n"
           "\n"
           "Exit codes: 0 written, or all of it holds; 1 there is no evidence, or a piece does not hold (and why);\n"
           "2 wrong arguments or configuration, a file that cannot be read, or not a genesis block; 3 no replica\n"
           "answers.\n");
}

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},          {"config", required_argument, NULL, 'c'},
    {"channel", required_argument, NULL, 'C'}, {"replica", required_argument, NULL, 'r'},
    {"against", required_argument, NULL, 'a'}, {"out", required_argument, NULL, 'o'},
    {"timeout", required_argument, NULL, 't'}, {"genesis", required_argument, NULL, 'g'},
    {"json", no_argument, NULL, 'j'},          {NULL, 0, NULL, 0},
};

static bool take_against(struct evidence_arguments *out, const char *text) {
    uint64_t replica = 0;
    if (cli_number(&replica, text, 0, ORDAIN_REPLICA_MAX - 1) != ORD_OK) {
        fprintf(stderr, "ordain evidence: --against wants a replica's number from 0, found '%s'\n", text);
        return false;
    }
    out->against = (int) replica;
    return true;
}

static int parse_options(struct evidence_arguments *out, bool *help, int argc, char **argv) {
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        bool ok = true;
        switch (code) {
        case 'h':
            print_help();
            *help = true;
            return CLI_EXIT_OK;
        case 'c':
            out->connection.config_file = optarg;
            break;
        case 'C':
            out->connection.channel = optarg;
            break;
        case 'r':
            ok = cli_connection_replica(&out->connection, "evidence", optarg);
            break;
        case 'a':
            ok = take_against(out, optarg);
            break;
        case 'o':
            out->out = optarg;
            break;
        case 't':
            ok = cli_seconds(&out->timeout_ms, "evidence", "--timeout", optarg);
            break;
        case 'g':
            out->genesis = optarg;
            break;
        case 'j':
            out->json = true;
            break;
        default:
            ok = false;
            break;
        }
        if (!ok)
            return CLI_EXIT_USAGE;
    }
    return CLI_EXIT_OK;
}

/* What is wrong with the arguments; NULL if nothing is. */
static const char *complaint(const struct evidence_arguments *arguments, int argc) {
    if (arguments->export) {
        if (argc > arguments->first)
            return "export takes no file; name the one to write with --out";
        if (arguments->genesis != NULL || arguments->json)
            return "--genesis and --json are for verify";
        return NULL;
    }
    if (arguments->genesis == NULL)
        return "--genesis GENESIS is missing: it is what the evidence is checked against";
    if (arguments->connection.config_file != NULL || arguments->connection.channel != NULL ||
        arguments->connection.replica != ORDAIN_ANY_REPLICA || arguments->against != ORDAIN_ANY_REPLICA ||
        arguments->out != NULL)
        return "verify asks nobody and writes nothing: it takes files, --genesis and --json";
    return argc == arguments->first ? "name at least one file" : NULL;
}

static int parse_arguments(struct evidence_arguments *out, bool *help, int argc, char **argv) {
    memset(out, 0, sizeof(*out));
    cli_connection_init(&out->connection);
    out->against = ORDAIN_ANY_REPLICA;
    out->timeout_ms = TIMEOUT_MS_DEFAULT;
    *help = false;
    int code = parse_options(out, help, argc, argv);
    if (code != CLI_EXIT_OK || *help)
        return code;
    out->export = optind < argc && strcmp(argv[optind], "export") == 0;
    out->first = optind + 1;
    const char *wrong = NULL;
    if (!out->export && (optind == argc || strcmp(argv[optind], "verify") != 0))
        wrong = "say export or verify";
    else
        wrong = complaint(out, argc);
    if (wrong == NULL)
        return CLI_EXIT_OK;
    fprintf(stderr, "ordain evidence: %s; see `ordain evidence --help`\n", wrong);
    return CLI_EXIT_USAGE;
}

static int export_evidence(const struct evidence_arguments *arguments) {
    struct ordain *client = NULL;
    char why[ORDAIN_TEXT_SIZE] = "";
    uint8_t *bytes = NULL;
    size_t size = 0;
    uint32_t count = 0;
    int code = cli_connect(&client, "evidence", &arguments->connection, false);
    if (code != CLI_EXIT_OK)
        return code;
    enum ordain_error error = ordain_evidence_fetch(client, &bytes, &size, &count, arguments->against,
                                                    arguments->timeout_ms, why, sizeof(why));
    cli_warn_of_suspects(client, "evidence");
    code = error == ORDAIN_INVALID ? CLI_EXIT_USAGE : cli_exit_of(error);
    if (error == ORDAIN_NOT_FOUND)
        fprintf(stderr, "ordain evidence: there is none: %s\n", why);
    else if (error != ORDAIN_OK)
        fprintf(stderr, "ordain evidence: %s\n", why);
    else if (arguments->out == NULL)
        code = fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0 ? CLI_EXIT_OK : CLI_EXIT_INTERNAL;
    else if ((code = cli_write_file("evidence", arguments->out, bytes, size)) == CLI_EXIT_OK)
        printf("%s: %" PRIu32 " contradiction%s, %zu bytes; check it with `ordain evidence verify`\n", arguments->out,
               count, count == 1 ? "" : "s", size);
    free(bytes);
    ordain_close(client);
    return code;
}

static void print_one(const struct ordain_evidence *evidence) {
    bool attestation = evidence->statement == ORDAIN_STATEMENT_ATTESTATION;
    printf("replica %" PRIu32 " signed two %s statements, epoch %" PRIu64, evidence->culprit,
           ordain_statement_name(evidence->statement), evidence->epoch);
    if (!attestation)
        printf(", view %" PRIu64, evidence->view);
    if (evidence->seq > 0)
        printf(", seq %" PRIu64, evidence->seq);
    printf("\n");
    for (int i = 0; i < 2; i++) {
        printf("  %s  %s ", i == 0 ? "one" : "two", attestation ? "state" : "digest");
        cli_print_hex(stdout, evidence->said[i].digest, HASH_SHOWN);
        if (attestation) {
            printf("  height %" PRIu64 "  block ", evidence->said[i].height);
            cli_print_hex(stdout, evidence->said[i].block_hash, HASH_SHOWN);
        }
        printf("\n");
    }
}

static void print_json(const char *path, const struct ordain_evidence *evidence) {
    printf("{\"verified\":true,\"file\":");
    cli_json_text(stdout, path);
    printf(",\"culprit\":%" PRIu32 ",\"statement\":\"%s\",\"epoch\":%" PRIu64 ",\"view\":%" PRIu64 ",\"seq\":%" PRIu64
           ",\"said\":[",
           evidence->culprit, ordain_statement_name(evidence->statement), evidence->epoch, evidence->view,
           evidence->seq);
    for (int i = 0; i < 2; i++) {
        printf("%s{\"digest\":", i == 0 ? "" : ",");
        cli_json_hex(stdout, evidence->said[i].digest, ORDAIN_HASH_SIZE);
        if (evidence->statement == ORDAIN_STATEMENT_ATTESTATION) {
            printf(",\"height\":%" PRIu64 ",\"block\":", evidence->said[i].height);
            cli_json_hex(stdout, evidence->said[i].block_hash, ORDAIN_HASH_SIZE);
        }
        printf("}");
    }
    printf("]}\n");
}

static int verify_one(const struct evidence_arguments *arguments, struct ordain_bytes genesis, const char *path) {
    char why[ORDAIN_TEXT_SIZE] = "";
    struct ordain_evidence *list = NULL;
    uint32_t count = 0;
    uint8_t *data = NULL;
    size_t size = 0;
    int code = cli_read_file(&data, &size, "evidence", path, ORDAIN_EVIDENCE_BYTES_MAX, CLI_EXIT_FAILED);
    if (code != CLI_EXIT_OK)
        return code;
    enum ordain_error error =
        ordain_evidence_verify(&list, &count, genesis, (struct ordain_bytes) {data, size}, why, sizeof(why));
    if (error == ORDAIN_INVALID) {
        fprintf(stderr, "ordain evidence: %s: %s\n", arguments->genesis, why);
        code = CLI_EXIT_USAGE;
    } else if (error == ORDAIN_UNVERIFIED) {
        fprintf(stderr, "ordain evidence: %s does not verify: %s\n", path, why);
        code = CLI_EXIT_FAILED;
    } else if (error != ORDAIN_OK) {
        fprintf(stderr, "ordain evidence: %s: %s\n", path, ordain_error_name(error));
        code = cli_exit_of(error);
    } else {
        if (!arguments->json)
            printf("%s: verified, %" PRIu32 " contradiction%s\n", path, count, count == 1 ? "" : "s");
        for (uint32_t i = 0; i < count; i++) {
            if (arguments->json)
                print_json(path, &list[i]);
            else
                print_one(&list[i]);
        }
    }
    free(list);
    free(data);
    return code;
}

int cli_evidence(int argc, char **argv) {
    struct evidence_arguments arguments;
    uint8_t *genesis = NULL;
    size_t genesis_size = 0;
    bool help = false;
    int code = parse_arguments(&arguments, &help, argc, argv);
    if (code != CLI_EXIT_OK || help)
        return code;
    if (arguments.export)
        return export_evidence(&arguments);
    code = cli_read_file(&genesis, &genesis_size, "evidence", arguments.genesis, CLI_GENESIS_BYTES_MAX, CLI_EXIT_USAGE);
    if (code != CLI_EXIT_OK)
        return code;
    for (int i = arguments.first; i < argc && code != CLI_EXIT_USAGE; i++) {
        int one = verify_one(&arguments, (struct ordain_bytes) {genesis, genesis_size}, argv[i]);
        if (one != CLI_EXIT_OK)
            code = one;
    }
    free(genesis);
    return code;
}
