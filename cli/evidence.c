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
#include "cli/options.h"
#include "cli/report.h"

#define HASH_SHOWN 16 /* bytes of a digest in a table; enough to tell two digests apart */

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

static const char usage[] =
    "Usage: ordain evidence export --config FILE [--replica N] [--against N] [--out FILE] [--timeout SECONDS]\n"
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
    "\n";

static const char notes[] =
    "\n"
    "Examples:\n"
    "  ordain evidence export --config try/client/client.cfg --out lies.evidence\n"
    "  ordain evidence verify lies.evidence --genesis try/genesis.block\n"
    "\n"
    "Exit codes: 0 written, or all of it holds; 1 there is no evidence, or a piece does not hold (and why);\n"
    "2 wrong arguments or configuration, a file that cannot be read, or not a genesis block; 3 no replica\n"
    "answers.\n";

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

static bool parse_arguments(struct evidence_arguments *out, int *exit_code, int argc, char **argv) {
    *out = (struct evidence_arguments) {
        .connection.replica = ORDAIN_ANY_REPLICA,
        .against = ORDAIN_ANY_REPLICA,
        .timeout_ms = 5000,
    };
    const struct cli_option list[] = {
        {"config", "FILE", "the client.cfg that `ordain init` made", .text = &out->connection.config_file},
        {"channel", "NAME", "must be the channel of the genesis block", .text = &out->connection.channel},
        {"replica", "N", "ask only replica N (from 0)", .replica = &out->connection.replica},
        {"against", "N", "only evidence against replica N", .replica = &out->against},
        {"out", "FILE", "the file to write (default: the bytes go to standard output)", .text = &out->out},
        {"timeout", "SECONDS", "how long to wait for answers (default 5)", .milliseconds = &out->timeout_ms},
        {"genesis", "GENESIS", "the channel's genesis block", .text = &out->genesis},
        {"json", NULL, "one JSON object for each contradiction", .flag = &out->json},
    };
    const struct cli_options options = {usage, list, sizeof(list) / sizeof(list[0]), .notes = notes, .operands = true};
    if (!cli_options_parse(exit_code, &options, argc, argv))
        return false;
    out->export = optind < argc && strcmp(argv[optind], "export") == 0;
    out->first = optind + 1;
    bool known = out->export || (optind < argc && strcmp(argv[optind], "verify") == 0);
    return cli_options_accept(exit_code, known ? complaint(out, argc) : "say export or verify");
}

static int export_evidence(const struct evidence_arguments *arguments) {
    struct ordain *client = NULL;
    char why[ORDAIN_TEXT_SIZE] = "";
    uint8_t *bytes = NULL;
    size_t size = 0;
    uint32_t count = 0;
    int code = cli_connect(&client, &arguments->connection, false);
    if (code != CLI_EXIT_OK)
        return code;
    enum ordain_error error = ordain_evidence_fetch(client, &bytes, &size, &count, arguments->against,
                                                    arguments->timeout_ms, why, sizeof(why));
    cli_warn_of_suspects(client);
    code = error == ORDAIN_INVALID ? CLI_EXIT_USAGE : cli_exit_of(error);
    if (error == ORDAIN_NOT_FOUND)
        cli_say("there is none: %s", why);
    else if (error != ORDAIN_OK)
        cli_say("%s", why);
    else if (arguments->out == NULL)
        code = fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0 ? CLI_EXIT_OK : CLI_EXIT_INTERNAL;
    else if ((code = cli_write_file(arguments->out, bytes, size)) == CLI_EXIT_OK)
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
        printf("  %s  %s %s", i == 0 ? "one" : "two", attestation ? "state" : "digest",
               CLI_HEX(evidence->said[i].digest, HASH_SHOWN));
        if (attestation)
            printf("  height %" PRIu64 "  block %s", evidence->said[i].height,
                   CLI_HEX(evidence->said[i].block_hash, HASH_SHOWN));
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
        printf("%s{\"digest\":\"%s\"", i == 0 ? "" : ",", CLI_HASH(evidence->said[i].digest));
        if (evidence->statement == ORDAIN_STATEMENT_ATTESTATION)
            printf(",\"height\":%" PRIu64 ",\"block\":\"%s\"", evidence->said[i].height,
                   CLI_HASH(evidence->said[i].block_hash));
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
    int code = cli_read_file(&data, &size, path, ORDAIN_EVIDENCE_BYTES_MAX, CLI_EXIT_FAILED);
    if (code != CLI_EXIT_OK)
        return code;
    enum ordain_error error =
        ordain_evidence_verify(&list, &count, genesis, (struct ordain_bytes) {data, size}, why, sizeof(why));
    if (error != ORDAIN_OK) {
        code = cli_unverified(error, arguments->genesis, path, why);
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
    int code;
    if (!parse_arguments(&arguments, &code, argc, argv))
        return code;
    if (arguments.export)
        return export_evidence(&arguments);
    code = cli_read_file(&genesis, &genesis_size, arguments.genesis, CLI_GENESIS_BYTES_MAX, CLI_EXIT_USAGE);
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
