/*
 * `ordain ledger`: looks at the ledger of a stopped or running replica, on disk. `verify` trusts nothing but the genesis block:
 * it scrubs every record's checksum and then walks the chain as a peer would.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "cli/command.h"
#include "cli/ledger_evidence.h"
#include "cli/number.h"
#include "crypto/hash.h"
#include "ledger/ledger.h"
#include "node/config.h"

#define WHY_MAX           2048
#define GENESIS_BYTES_MAX (CHANNEL_HEADER_SIZE + CHANNEL_CONFIG_BYTES_MAX + 1024)
#define HEX_HASH_SIZE     (2 * ORD_HASH_SIZE + 1)
#define LEAF_MAX          CHANNEL_MESSAGE_COUNT_LIMIT /* a block has no more envelopes than transactions */

static void print_help(void) {
    printf(
        "Usage: ordain ledger verify DIR --genesis FILE [--json]\n"
        "       ordain ledger show DIR [--block HEIGHT] [--json]\n"
        "\n"
        "DIR is the data_dir of a replica (DIR/replica0/data as `ordain init` lays it out). The replica may be "
        "stopped\n"
        "or running; nothing is changed.\n"
        "\n"
        "verify  reads every record and checks its checksum, then walks the chain from the genesis block: links, "
        "order,\n"
        "        counts, Merkle roots, the signatures of every certificate, and evidence of replicas that lied. Exit\n"
        "        code 1 when anything is wrong.\n"
        "show    the newest block and the evidence that is kept, or the block at HEIGHT and its envelopes.\n");
}

struct arguments {
    bool verify; /* else show */
    const char *directory;
    const char *genesis;
    bool block_said;
    uint64_t block;
    bool json;
};

/* CLI_EXIT_OK with directory NULL: help was asked for and given. */
static int parse_arguments(struct arguments *out, int argc, char **argv) {
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"genesis", required_argument, NULL, 'g'},
        {"block", required_argument, NULL, 'b'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    *out = (struct arguments) {0};
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (code) {
        case 'h':
            print_help();
            return CLI_EXIT_OK;
        case 'g':
            out->genesis = optarg;
            break;
        case 'b':
            if (cli_number(&out->block, optarg, 0, UINT64_MAX) != ORD_OK) {
                fprintf(stderr, "ordain ledger: --block wants a height, found '%s'\n", optarg);
                return CLI_EXIT_USAGE;
            }
            out->block_said = true;
            break;
        case 'j':
            out->json = true;
            break;
        default:
            return CLI_EXIT_USAGE;
        }
    }
    bool verify = optind < argc && strcmp(argv[optind], "verify") == 0;
    bool show = optind < argc && strcmp(argv[optind], "show") == 0;
    if (argc - optind != 2 || (!verify && !show)) {
        fprintf(stderr, "ordain ledger: say verify or show, and the data folder; see `ordain ledger --help`\n");
        return CLI_EXIT_USAGE;
    }
    if (verify && out->genesis == NULL) {
        fprintf(stderr, "ordain ledger verify: --genesis FILE is missing: it is what the chain is checked against\n");
        return CLI_EXIT_USAGE;
    }
    out->verify = verify;
    out->directory = argv[optind + 1];
    return CLI_EXIT_OK;
}

/* A chain being verified. */
struct verification {
    struct ledger *ledger;
    uint8_t *genesis; /* the genesis block file */
    size_t genesis_size;
    struct channel_config config;
    struct ord_hash genesis_hash;
    struct channel_header genesis_header;
    struct ord_span genesis_data;
    struct crypto_replica_keys keys;
    struct ord_crypto_ops crypto;
    struct channel_chain chain;
    struct channel_certificate certificate; /* the lowest one that was not left behind, of block ... */
    uint64_t certificate_at;                /* 0: none read yet; UINT64_MAX: no more */
    struct ord_hash leaves[LEAF_MAX];
    struct ledger_scrub scrub;
    uint64_t height;
    uint64_t envelopes;
    uint64_t transactions;
    uint64_t bytes;
    uint32_t evidence; /* pieces, each checked */
    char why[WHY_MAX];
};

static void report_bad_record(void *context, const char *table, const char *what) {
    (void) context;
    fprintf(stderr, "ordain ledger: bad record in %s: %s\n", table, what);
}

static enum ord_err load_genesis(struct verification *v, const char *path) {
    enum ord_err err = node_read_file(&v->genesis, &v->genesis_size, path, GENESIS_BYTES_MAX, v->why, sizeof(v->why));
    if (err != ORD_OK)
        return err;
    err = channel_genesis_open(&v->config, &v->genesis_hash, &v->genesis_header, &v->genesis_data,
                               ord_span_of(v->genesis, v->genesis_size));
    if (err == ORD_OK)
        err = channel_replica_keys(&v->keys, &v->config);
    if (err != ORD_OK) {
        snprintf(v->why, sizeof(v->why), "%s: not a genesis block (%s)", path, ord_err_text(err));
        return err;
    }
    crypto_ops_init(&v->crypto, &v->keys);
    channel_chain_init(&v->chain, &v->config, &v->genesis_hash, &v->crypto);
    return ORD_OK;
}

/* Reads a block and takes it apart; free(bytes->data). */
static enum ord_err read_block(struct ledger *ledger, struct ledger_bytes *bytes, struct channel_header *header,
                               struct ord_span *data, uint64_t height) {
    enum ord_err err = ledger_get_block(ledger, bytes, height);
    if (err != ORD_OK)
        return err;
    if (bytes->size < CHANNEL_HEADER_SIZE) {
        free(bytes->data);
        return ORD_ERR_CORRUPT;
    }
    err = channel_header_decode(header, ord_span_of(bytes->data, CHANNEL_HEADER_SIZE));
    if (err != ORD_OK) {
        free(bytes->data);
        return err;
    }
    *data = ord_span_of(bytes->data + CHANNEL_HEADER_SIZE, bytes->size - CHANNEL_HEADER_SIZE);
    return ORD_OK;
}

static enum ord_err check_genesis(struct verification *v, const struct channel_header *header, struct ord_span data) {
    struct ord_hash hash;
    channel_header_hash(&hash, header);
    if (ord_hash_equal(&hash, &v->genesis_hash) && ord_span_equal(data, v->genesis_data))
        return ORD_OK;
    snprintf(v->why, sizeof(v->why), "block 0: the ledger belongs to another genesis block");
    return ORD_ERR_MISMATCH;
}

static enum ord_err check_block(struct verification *v, uint64_t height) {
    struct ledger_bytes bytes;
    struct channel_header header;
    struct ord_span data;
    enum ord_err err = read_block(v->ledger, &bytes, &header, &data, height);
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

/* Keeps in `certificate` the lowest one at or above `height`. */
static enum ord_err fetch_certificate(struct verification *v, uint64_t height) {
    struct ledger_bytes bytes;
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

/* Is there a certificate of the block at `height`, then it must hold. */
static enum ord_err check_certificate(struct verification *v, uint64_t height) {
    const char *why = NULL;
    enum ord_err err = v->certificate_at < height ? fetch_certificate(v, height) : ORD_OK;
    if (err == ORD_OK && v->certificate_at == height)
        err = channel_chain_certificate(&v->chain, &v->certificate, channel_weak_quorum(&v->config), &why);
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
    char head[HEX_HASH_SIZE];
    char genesis[HEX_HASH_SIZE];
    cli_hex(head, v->chain.head_hash.bytes, ORD_HASH_SIZE);
    cli_hex(genesis, v->genesis_hash.bytes, ORD_HASH_SIZE);
    if (json) {
        printf("{\"ok\":%s,\"channel\":\"%s\",\"genesis_hash\":\"%s\",\"height\":%" PRIu64 ",\"head_hash\":\"%s\","
               "\"proved_height\":%" PRIu64 ",\"certificates\":%" PRIu64 ",\"envelopes\":%" PRIu64
               ",\"transactions\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"evidence\":%" PRIu32 ",\"records\":%" PRIu64
               ",\"bad_records\":%" PRIu64 "}\n",
               good ? "true" : "false", v->config.name, genesis, v->chain.height, head, v->chain.proved_height,
               v->chain.certificates, v->envelopes, v->transactions, v->bytes, v->evidence, v->scrub.records,
               v->scrub.bad);
        return;
    }
    printf("channel %s, genesis block %s\n", v->config.name, genesis);
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
        return cli_no_memory("ledger");
    v->ledger = ledger;
    int exit_code = CLI_EXIT_USAGE;
    enum ord_err err = load_genesis(v, arguments->genesis);
    if (err != ORD_OK) {
        fprintf(stderr, "ordain ledger: %s\n", v->why);
        if (err == ORD_ERR_NO_MEMORY)
            exit_code = CLI_EXIT_INTERNAL;
        goto out;
    }
    enum ord_err scrub = ledger_scrub(ledger, &v->scrub, report_bad_record, NULL);
    err = walk(v);
    if (err == ORD_OK)
        err = cli_ledger_evidence(&v->evidence, ledger, &v->config, &v->genesis_hash, &v->crypto, NULL, NULL, v->why,
                                  sizeof(v->why));
    if (scrub != ORD_OK && scrub != ORD_ERR_CORRUPT)
        fprintf(stderr, "ordain ledger: scrub: %s\n", ord_err_text(scrub));
    if (err != ORD_OK)
        fprintf(stderr, "ordain ledger: %s\n", v->why);
    if (scrub == ORD_ERR_NO_MEMORY || err == ORD_ERR_NO_MEMORY) {
        exit_code = CLI_EXIT_INTERNAL; /* that says nothing of the ledger */
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

static void print_header(const struct channel_header *header, bool json) {
    struct ord_hash hash;
    char name[HEX_HASH_SIZE];
    char previous[HEX_HASH_SIZE];
    char root[HEX_HASH_SIZE];
    channel_header_hash(&hash, header);
    cli_hex(name, hash.bytes, ORD_HASH_SIZE);
    cli_hex(previous, header->previous_hash.bytes, ORD_HASH_SIZE);
    cli_hex(root, header->data_root.bytes, ORD_HASH_SIZE);
    const char *form = json ? "\"height\":%" PRIu64
                              ",\"hash\":\"%s\",\"previous_hash\":\"%s\",\"data_root\":\"%s\",\"envelope_count\":%u,"
                              "\"transaction_count\":%u,\"byte_count\":%" PRIu64 ",\"epoch\":%" PRIu64
                              ",\"config_height\":%" PRIu64 ",\"last_seq\":%" PRIu64
                            : "block %" PRIu64
                              "\n  hash          %s\n  previous      %s\n  data root     %s\n  envelopes     %u\n"
                              "  transactions  %u\n  bytes         %" PRIu64 "\n  epoch         %" PRIu64
                              "\n  config block  %" PRIu64 "\n  last seq      %" PRIu64 "\n";
    printf(form, header->height, name, previous, root, header->envelope_count, header->transaction_count,
           header->byte_count, header->epoch, header->config_height, header->last_seq);
}

static enum ord_err print_envelopes(struct ord_span data, bool json) {
    struct ord_span bytes;
    for (uint32_t i = 0; channel_batch_next(&bytes, &data) == ORD_OK; i++) {
        struct channel_envelope envelope;
        enum ord_err err = channel_envelope_decode(&envelope, bytes);
        if (err != ORD_OK)
            return err;
        char client[HEX_HASH_SIZE];
        cli_hex(client, envelope.client.bytes, ORD_HASH_SIZE);
        const char *kind = envelope.kind == CHANNEL_ENVELOPE_REGISTER ? "register"
                           : envelope.kind == CHANNEL_ENVELOPE_CONFIG ? "config"
                                                                      : "transactions";
        if (json)
            printf("%s{\"index\":%u,\"kind\":\"%s\",\"client\":\"%s\",\"sequence\":%" PRIu64
                   ",\"transactions\":%u,\"bytes\":%zu}",
                   i == 0 ? "" : ",", i, kind, client, envelope.sequence, envelope.transaction_count, bytes.size);
        else
            printf("  envelope %-5u %-12s client %.16s sequence %-8" PRIu64 " %u transaction%s, %zu bytes\n", i, kind,
                   client, envelope.sequence, envelope.transaction_count, envelope.transaction_count == 1 ? "" : "s",
                   bytes.size);
    }
    return ORD_OK;
}

/* Who vouches: the lowest certificate at or above `height`. */
static enum ord_err print_certificate(struct ledger *ledger, uint64_t height, bool json) {
    struct ledger_bytes bytes;
    uint64_t at = 0;
    struct channel_certificate certificate = {0};
    enum ord_err err = ledger_get_certificate(ledger, &bytes, &at, height);
    if (err == ORD_OK) {
        err = channel_certificate_decode(&certificate, ord_span_of(bytes.data, bytes.size));
        free(bytes.data);
    }
    if (err != ORD_OK) {
        if (json)
            printf(",\"certificate\":null");
        else
            printf("  certificate   %s\n", err == ORD_ERR_NOT_FOUND ? "none yet" : ord_err_text(err));
        return err == ORD_ERR_NO_MEMORY ? err : ORD_OK;
    }
    printf(json ? ",\"certificate\":{\"height\":%" PRIu64 ",\"signers\":["
                : "  certificate   of block %" PRIu64 ", signed by replicas",
           at);
    for (uint32_t i = 0; i < certificate.count; i++)
        printf(json ? "%s%u" : "%s %u", i > 0 ? "," : "", certificate.signers[i]);
    printf(json ? "]}" : "\n");
    return ORD_OK;
}

/* No memory says nothing of the ledger. */
static int exit_of(enum ord_err err) {
    return err == ORD_OK ? CLI_EXIT_OK : err == ORD_ERR_NO_MEMORY ? CLI_EXIT_INTERNAL : CLI_EXIT_FAILED;
}

static int show(struct ledger *ledger, const struct arguments *arguments) {
    uint64_t newest = 0;
    struct ledger_bytes bytes = {0};
    struct channel_header header;
    struct ord_span data;
    enum ord_err err = ledger_height(ledger, &newest);
    if (err == ORD_OK)
        err = read_block(ledger, &bytes, &header, &data, arguments->block_said ? arguments->block : newest);
    if (err == ORD_ERR_NOT_FOUND) {
        if (arguments->block_said)
            fprintf(stderr, "ordain ledger: there is no block %" PRIu64 "\n", arguments->block);
        else
            fprintf(stderr, "ordain ledger: no block yet\n");
        return CLI_EXIT_FAILED;
    }
    if (err != ORD_OK) {
        fprintf(stderr, "ordain ledger: %s\n", ord_err_text(err));
        return exit_of(err);
    }
    bool json = arguments->json;
    if (json)
        printf("{\"newest\":%" PRIu64 ",", newest);
    else
        printf("newest block %" PRIu64 "\n", newest);
    print_header(&header, json);
    enum ord_err proof = print_certificate(ledger, header.height, json);
    if (proof != ORD_OK)
        fprintf(stderr, "ordain ledger: certificate: %s\n", ord_err_text(proof));
    if (arguments->block_said) {
        printf(json ? ",\"envelopes\":[" : "");
        err = print_envelopes(data, json);
        printf(json ? "]" : "");
        if (err != ORD_OK)
            fprintf(stderr, "ordain ledger: the block's data: %s\n", ord_err_text(err));
    } else {
        err = cli_ledger_evidence_print(ledger, json);
    }
    printf(json ? "}\n" : "");
    free(bytes.data);
    return exit_of(err != ORD_OK ? err : proof);
}

int cli_ledger(int argc, char **argv) {
    struct arguments arguments;
    int exit_code = parse_arguments(&arguments, argc, argv);
    if (exit_code != CLI_EXIT_OK || arguments.directory == NULL)
        return exit_code;
    struct ledger_options options;
    ledger_options_defaults(&options);
    options.read_only = true;
    struct ledger *ledger = NULL;
    enum ord_err err = crypto_init();
    if (err == ORD_OK)
        err = ledger_open(&ledger, arguments.directory, &options);
    if (err != ORD_OK) {
        fprintf(stderr, "ordain ledger: %s: %s\n", arguments.directory,
                err == ORD_ERR_NOT_FOUND ? "there is no ledger" : ord_err_text(err));
        return err == ORD_ERR_CORRUPT || err == ORD_ERR_NO_MEMORY ? exit_of(err) : CLI_EXIT_USAGE;
    }
    exit_code = arguments.verify ? verify(ledger, &arguments) : show(ledger, &arguments);
    ledger_close(ledger);
    return exit_code;
}
