/*
 * `ordain ledger`: looks at the ledger of a replica on disk, whether the replica is running or not. `verify` trusts the
 * genesis block alone: it checks every record's checksum, then walks the chain as another replica would. `show` is in
 * ledger_show.c, `repair` in ledger_repair.c.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "cli/command.h"
#include "cli/ledger_evidence.h"
#include "cli/ledger_repair.h"
#include "cli/ledger_show.h"
#include "cli/number.h"
#include "cli/options.h"
#include "crypto/hash.h"
#include "ledger/ledger.h"
#include "node/config.h"

#define WHY_MAX           2048
#define GENESIS_BYTES_MAX (CHANNEL_HEADER_SIZE + CHANNEL_CONFIG_BYTES_MAX + 1024)
#define LEAF_MAX          CHANNEL_MESSAGE_COUNT_LIMIT /* a block has at least one transaction per envelope */

static const char usage[] =
    "Usage: ordain ledger verify DIR --genesis FILE [--json]\n"
    "       ordain ledger show DIR [--block HEIGHT] [--json]\n"
    "       ordain ledger repair DIR --genesis FILE --config FILE [--timeout SECONDS] [--json]\n"
    "\n"
    "DIR is the data_dir of a replica (DIR/replica0/data as `ordain init` lays it out). For verify and show the\n"
    "replica may be stopped or running, and nothing is changed; for repair it must be stopped.\n"
    "\n"
    "verify  reads every record and checks its checksum, then walks the chain from the genesis block: links, order,\n"
    "        counts, Merkle roots, the signatures of every certificate, and evidence of replicas that lied.\n"
    "show    the newest block and the evidence that is kept, or the block at HEIGHT and its envelopes.\n"
    "repair  reads every record, and fetches each block or certificate whose checksum does not hold from the other\n"
    "        replicas. It is written when enough replicas have signed it and it fits to the chain in DIR. Then all is\n"
    "        verified. Other records cannot be fetched: it says so, and what to do.\n"
    "\n";

static const char notes[] =
    "\n"
    "Exit codes: 0 all is in order (repair: by now); 1 something is wrong (repair: and stays so); 2 wrong arguments, "
    "no\n"
    "ledger, or repair of a ledger that is in use: nothing was done; 3 repair: no replica gave what is missing; 4 "
    "writing\n"
    "failed.\n";

enum action { LEDGER_VERIFY, LEDGER_SHOW, LEDGER_REPAIR };

struct arguments {
    enum action action;
    const char *directory;
    const char *genesis;
    const char *config; /* for `repair` only */
    uint32_t timeout_ms;
    uint32_t block_said; /* how often --block was given */
    uint64_t block;
    bool json;
};

static int parse_action(struct arguments *out, int count, char **words) {
    static const char *const names[] = {[LEDGER_VERIFY] = "verify", [LEDGER_SHOW] = "show", [LEDGER_REPAIR] = "repair"};
    size_t action = 0;
    while (count == 2 && action < sizeof(names) / sizeof(names[0]) && strcmp(words[0], names[action]) != 0)
        action++;
    if (count != 2 || action == sizeof(names) / sizeof(names[0]))
        return cli_usage("say verify, show or repair, and the data folder");
    out->action = (enum action) action;
    out->directory = words[1];
    const char *missing = NULL;
    if (out->action != LEDGER_SHOW && out->genesis == NULL)
        missing = "--genesis FILE is missing: it is what the chain is checked against";
    else if (out->action == LEDGER_REPAIR && out->config == NULL)
        missing = "--config FILE is missing: the client.cfg that says where the others are";
    if (missing == NULL)
        return CLI_EXIT_OK;
    fprintf(stderr, "ordain ledger %s: %s\n", names[action], missing);
    return CLI_EXIT_USAGE;
}

static bool parse_arguments(struct arguments *out, int *exit_code, int argc, char **argv) {
    *out = (struct arguments) {.timeout_ms = 30000};
    const struct cli_option list[] = {
        {"genesis", "FILE", "the channel's genesis block", .text = &out->genesis},
        {"block", "HEIGHT", NULL, .number64 = &out->block, .max = UINT64_MAX, .wants = "a height",
         .given = &out->block_said},
        {"config", "FILE", "repair: the client.cfg that `ordain init` made", .text = &out->config},
        {"timeout", "SECONDS", "repair: how long to wait for each block (default 30)",
         .milliseconds = &out->timeout_ms},
        {"json", NULL, "one JSON object: what was verified or is shown", .flag = &out->json},
    };
    const struct cli_options options = {usage, list, sizeof(list) / sizeof(list[0]), .notes = notes, .operands = true};
    if (!cli_options_parse(exit_code, &options, argc, argv))
        return false;
    *exit_code = parse_action(out, argc - optind, argv + optind);
    return *exit_code == CLI_EXIT_OK;
}

/* A chain being verified. */
struct verification {
    struct ledger *ledger;
    uint8_t *genesis; /* the genesis block file */
    size_t genesis_size;
    struct client_trust trust;
    struct channel_chain chain;
    /* The lowest certificate that the walk has not passed yet. */
    struct channel_certificate certificate;
    /* Height of its block; 0: none read yet; UINT64_MAX: no more certificates. */
    uint64_t certificate_at;
    struct ord_hash leaves[LEAF_MAX];
    struct ledger_scrub scrub;
    uint64_t height;
    uint64_t envelopes;
    uint64_t transactions;
    uint64_t bytes;
    uint32_t evidence; /* pieces of evidence; each was checked */
    char why[WHY_MAX];
};

static void report_bad_record(void *context, const struct ledger_problem *problem) {
    (void) context;
    cli_say("bad record in %s: %s", problem->table, problem->what);
}

static enum ord_err load_genesis(struct verification *v, const char *path) {
    enum ord_err err = node_read_file(&v->genesis, &v->genesis_size, path, GENESIS_BYTES_MAX, v->why, sizeof(v->why));
    if (err != ORD_OK)
        return err;
    err = client_trust_init(&v->trust, ord_span_of(v->genesis, v->genesis_size));
    if (err != ORD_OK)
        snprintf(v->why, sizeof(v->why), "%s: not a genesis block (%s)", path, ord_err_text(err));
    else
        channel_chain_init(&v->chain, &v->trust.config, &v->trust.genesis_hash, &v->trust.crypto);
    return err;
}

static enum ord_err check_genesis(struct verification *v, const struct channel_header *header, struct ord_span data) {
    struct ord_hash hash;
    channel_header_hash(&hash, header);
    if (ord_hash_equal(&hash, &v->trust.genesis_hash) && ord_span_equal(data, v->trust.genesis_data))
        return ORD_OK;
    snprintf(v->why, sizeof(v->why), "block 0: the ledger belongs to another genesis block");
    return ORD_ERR_MISMATCH;
}

static enum ord_err check_block(struct verification *v, uint64_t height) {
    struct ord_bytes bytes;
    struct channel_header header;
    struct ord_span data;
    enum ord_err err = cli_ledger_block(v->ledger, &bytes, &header, &data, height);
    if (err != ORD_OK) {
        snprintf(v->why, sizeof(v->why), "block %" PRIu64 ": %s", height, ord_err_text(err));
        return err;
    }
    if (height == 0) {
        err = check_genesis(v, &header, data);
    } else {
        const char *why = NULL;
        err = channel_chain_block(&v->chain, &header, data, v->leaves, LEAF_MAX, &why);
        if (err != ORD_OK)
            snprintf(v->why, sizeof(v->why), "block %" PRIu64 ": %s", height, why != NULL ? why : ord_err_text(err));
    }
    v->envelopes += header.envelope_count;
    v->transactions += header.transaction_count;
    v->bytes += header.byte_count;
    free(bytes.data);
    return err;
}

/* Loads into `certificate` the lowest one at or above `height`. */
static enum ord_err fetch_certificate(struct verification *v, uint64_t height) {
    struct ord_bytes bytes;
    enum ord_err err = ledger_get_certificate(v->ledger, &bytes, &v->certificate_at, height);
    if (err == ORD_ERR_NOT_FOUND) {
        v->certificate_at = UINT64_MAX;
        return ORD_OK;
    }
    if (err != ORD_OK)
        return err;
    err = channel_certificate_decode(&v->certificate, ord_span_of(bytes.data, bytes.size));
    free(bytes.data);
    return err;
}

/* If there is a certificate of exactly the block at `height`, it must hold. */
static enum ord_err check_certificate(struct verification *v, uint64_t height) {
    const char *why = NULL;
    enum ord_err err = v->certificate_at < height ? fetch_certificate(v, height) : ORD_OK;
    if (err == ORD_OK && v->certificate_at == height)
        err = channel_chain_certificate(&v->chain, &v->certificate, v->trust.quorum, &why);
    if (err != ORD_OK)
        snprintf(v->why, sizeof(v->why), "certificate of block %" PRIu64 ": %s", height,
                 why != NULL ? why : ord_err_text(err));
    return err;
}

static enum ord_err walk(struct verification *v) {
    enum ord_err err = ledger_height(v->ledger, &v->height);
    if (err != ORD_OK) {
        snprintf(v->why, sizeof(v->why), "%s", err == ORD_ERR_NOT_FOUND ? "no block yet" : ord_err_text(err));
        return err;
    }
    for (uint64_t height = 0; height <= v->height && err == ORD_OK; height++) {
        err = check_block(v, height);
        if (err == ORD_OK && height > 0)
            err = check_certificate(v, height);
    }
    return err;
}

static void print_verification(const struct verification *v, bool json, bool good) {
    const char *head = CLI_HASH(v->chain.head_hash.bytes);
    const char *genesis = CLI_HASH(v->trust.genesis_hash.bytes);
    if (json) {
        printf("{\"ok\":%s,\"channel\":\"%s\",\"genesis_hash\":\"%s\",\"height\":%" PRIu64 ",\"head_hash\":\"%s\","
               "\"proved_height\":%" PRIu64 ",\"certificates\":%" PRIu64 ",\"envelopes\":%" PRIu64
               ",\"transactions\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"evidence\":%" PRIu32 ",\"records\":%" PRIu64
               ",\"bad_records\":%" PRIu64 "}\n",
               good ? "true" : "false", v->trust.config.name, genesis, v->chain.height, head, v->chain.proved_height,
               v->chain.certificates, v->envelopes, v->transactions, v->bytes, v->evidence, v->scrub.records,
               v->scrub.bad);
        return;
    }
    printf("channel %s, genesis block %s\n", v->trust.config.name, genesis);
    printf("%" PRIu64 " records, %" PRIu64 " bytes, %" PRIu64 " bad\n", v->scrub.records, v->scrub.bytes, v->scrub.bad);
    printf("chain to height %" PRIu64 ": %" PRIu64 " envelopes, %" PRIu64 " transactions, %" PRIu64 " bytes\n",
           v->chain.height, v->envelopes, v->transactions, v->bytes);
    printf("newest block %s\n", head);
    printf("%" PRIu64 " certificates verified", v->chain.certificates);
    if (v->chain.proved_height > 0)
        printf("; they prove every block to height %" PRIu64, v->chain.proved_height);
    if (v->chain.proved_height < v->chain.height)
        printf("; %" PRIu64 " newer blocks have none yet", v->chain.height - v->chain.proved_height);
    printf("\n");
    if (v->evidence > 0)
        printf("%" PRIu32 " contradictions of replicas are kept, each proved\n", v->evidence);
    printf("%s\n", good ? "ledger verified" : "LEDGER NOT GOOD");
}

static int verify(struct ledger *ledger, const struct arguments *arguments) {
    struct verification *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return cli_no_memory();
    v->ledger = ledger;
    int exit_code;
    enum ord_err err = load_genesis(v, arguments->genesis);
    if (err != ORD_OK) {
        exit_code = cli_fail(err == ORD_ERR_NO_MEMORY ? CLI_EXIT_INTERNAL : CLI_EXIT_USAGE, "%s", v->why);
        goto out;
    }
    enum ord_err scrub = ledger_scrub(ledger, &v->scrub, report_bad_record, NULL);
    err = walk(v);
    if (err == ORD_OK)
        err = cli_ledger_evidence(&v->evidence, ledger, &v->trust, NULL, NULL, v->why, sizeof(v->why));
    if (scrub != ORD_OK && scrub != ORD_ERR_CORRUPT)
        cli_say("scrub: %s", ord_err_text(scrub));
    if (err != ORD_OK)
        cli_say("%s", v->why);
    if (scrub == ORD_ERR_NO_MEMORY || err == ORD_ERR_NO_MEMORY) {
        exit_code = CLI_EXIT_INTERNAL; /* this says nothing about the ledger */
        goto out;
    }
    bool good = scrub == ORD_OK && err == ORD_OK;
    print_verification(v, arguments->json, good);
    exit_code = good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
out:
    free(v->genesis);
    free(v);
    return exit_code;
}

/* Opens the ledger to read. On failure standard error gives the reason. */
static int open_ledger(struct ledger **out, const struct arguments *arguments) {
    struct ledger_options options;
    ledger_options_defaults(&options);
    options.read_only = true;
    uint32_t version = 0;
    char text[LEDGER_VERSION_TEXT_MAX];
    options.found_version = &version;
    enum ord_err err = ledger_open(out, arguments->directory, &options);
    if (err == ORD_OK)
        return CLI_EXIT_OK;
    ledger_explain_version(text, sizeof(text), version);
    cli_say("%s: %s", arguments->directory,
            err == ORD_ERR_NOT_FOUND     ? "there is no ledger"
            : err == ORD_ERR_UNSUPPORTED ? text
                                         : ord_err_text(err));
    if (err == ORD_ERR_CORRUPT && arguments->action == LEDGER_REPAIR)
        cli_ledger_repair_advice(arguments->directory);
    return err == ORD_ERR_CORRUPT || err == ORD_ERR_NO_MEMORY ? cli_ledger_exit_of(err) : CLI_EXIT_USAGE;
}

/*
 * Repairs what can be repaired, then verifies the ledger as it is. The exit code is that of the repair, or if the
 * repair succeeded that of the verification.
 */
static int repair(const struct arguments *arguments) {
    struct cli_ledger_repair repair = {
        .directory = arguments->directory,
        .genesis = arguments->genesis,
        .connection = {.config_file = arguments->config, .replica = ORDAIN_ANY_REPLICA},
        .timeout_ms = arguments->timeout_ms,
        .quiet = arguments->json,
    };
    struct ledger *ledger = NULL;
    int code = cli_ledger_repair(&repair);
    if (code == CLI_EXIT_USAGE || code == CLI_EXIT_INTERNAL)
        return code;
    int opened = open_ledger(&ledger, arguments);
    if (opened != CLI_EXIT_OK)
        return code != CLI_EXIT_OK ? code : opened;
    int verified = verify(ledger, arguments);
    ledger_close(ledger);
    return code != CLI_EXIT_OK ? code : verified;
}

int cli_ledger(int argc, char **argv) {
    struct arguments arguments;
    struct ledger *ledger = NULL;
    int exit_code;
    if (!parse_arguments(&arguments, &exit_code, argc, argv))
        return exit_code;
    if (crypto_init() != ORD_OK)
        return cli_fail(CLI_EXIT_INTERNAL, "cryptography does not start");
    exit_code = open_ledger(&ledger, &arguments);
    if (exit_code != CLI_EXIT_OK)
        return exit_code;
    /* The ledger exists. It is opened again, to write. */
    if (arguments.action == LEDGER_REPAIR) {
        ledger_close(ledger);
        return repair(&arguments);
    }
    exit_code = arguments.action == LEDGER_VERIFY
                    ? verify(ledger, &arguments)
                    : cli_ledger_show(ledger, arguments.block_said > 0 ? &arguments.block : NULL, arguments.json);
    ledger_close(ledger);
    return exit_code;
}
