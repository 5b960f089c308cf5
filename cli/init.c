/* `ordain init`: its arguments and its summary. cli/init_files.c writes the files. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/envelope.h"
#include "cli/command.h"
#include "cli/init.h"
#include "cli/number.h"
#include "core/quorum.h"
#include "crypto/hash.h"

/* A number in the channel's configuration that an option sets. */
struct knob {
    const char *option;
    size_t offset; /* into struct channel_config */
    bool wide;     /* true: uint64_t; false: uint32_t */
    bool size;     /* accepts the suffixes K, M and G */
    uint64_t min;
    uint64_t max;
};

#define KNOB(option, field, size, min, max)                                                                            \
    {                                                                                                                  \
        option, offsetof(struct channel_config, field),                                                                \
            sizeof(((struct channel_config *) NULL)->field) == sizeof(uint64_t), size, min, max                        \
    }

static const struct knob knobs[] = {
    KNOB("absolute-max-bytes", absolute_max_bytes, true, 1, CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT),
    KNOB("preferred-max-bytes", preferred_max_bytes, true, 1, UINT32_MAX),
    KNOB("max-message-count", max_message_count, false, 1, CHANNEL_MESSAGE_COUNT_LIMIT),
    KNOB("batch-timeout", batch_timeout_ms, false, 0, UINT32_MAX),
    KNOB("window", window, false, 1, UINT32_MAX),
    KNOB("checkpoint-interval", checkpoint_interval, false, 1, UINT32_MAX),
    KNOB("batch-bytes-max", batch_bytes_max, true, 1, UINT32_MAX),
    KNOB("body-bytes-max", body_bytes_max, true, 1, UINT64_MAX),
    KNOB("retransmit", retransmit_ms, false, 1, UINT32_MAX),
    KNOB("request-timeout", request_timeout_ms, false, 1, UINT32_MAX),
    KNOB("decisions-per-leader", decisions_per_leader, false, 0, UINT32_MAX),
    KNOB("clients-max", clients_max, false, 1, CHANNEL_CLIENTS_LIMIT),
};
#define KNOB_COUNT (sizeof(knobs) / sizeof(knobs[0]))

/* The arguments as given. */
struct arguments {
    const char *directory;
    const char *channel;
    const char *consensus;
    const char *hosts[ORD_REPLICA_MAX];
    uint32_t host_count;
    uint64_t replicas; /* 0: not given */
    uint64_t base_port;
    uint64_t clients;
    const char *add_client;
    const char *org;
    const char *knobs[KNOB_COUNT]; /* NULL: not given */
};

enum option_code {
    OPTION_CHANNEL = 256,
    OPTION_CONSENSUS,
    OPTION_REPLICAS,
    OPTION_HOST,
    OPTION_BASE_PORT,
    OPTION_CLIENTS,
    OPTION_ADD_CLIENT,
    OPTION_ORG,
    OPTION_KNOB, /* the first knob; each knob has its own value from here on */
};

static int print_help(void) {
    struct channel_config *defaults = calloc(1, sizeof(*defaults));
    if (defaults == NULL)
        return cli_no_memory("init");
    channel_config_defaults(defaults);
    printf(
        "Usage: ordain init DIR --channel NAME [OPTIONS]\n"
        "       ordain init DIR --add-client NAME [--org ORG]\n"
        "\n"
        "Makes a channel: an organisation with a CA for each replica, TLS and identity certificates, a configuration\n"
        "file for each replica and client, and the genesis block that names them all. DIR must not exist, or be\n"
        "empty. All keys are made here; between organisations that do not trust each other, each keeps its own\n"
        "DIR/orgs/ORG and DIR/replicaN, and nobody else's.\n"
        "\n"
        "  --channel NAME          a to z, 0 to 9, '.', '_', '-'\n"
        "  --consensus TYPE        pbft (default): 3f+1 replicas, of which f may lie; solo: one, for development\n"
        "  --replicas N            default: 4 (solo: 1)\n"
        "  --host HOST             where the replicas are; once, or once for each (default 127.0.0.1)\n"
        "  --base-port N           two consecutive ports for each replica from here on (default: free ones)\n"
        "  --clients N             client identities of org1 (default 1)\n"
        "\n"
        "When a block is closed (sizes in bytes; K, M and G are understood):\n"
        "  --absolute-max-bytes N  a larger envelope is refused (%u)\n"
        "  --preferred-max-bytes N a block's bytes; a larger envelope gets a block of its own (%u)\n"
        "  --max-message-count N   a block's transactions (%u)\n"
        "  --batch-timeout MS      a block waits at most so long; 0: not at all (%u)\n"
        "\n"
        "Consensus:\n"
        "  --window N              instances in flight (%u)\n"
        "  --checkpoint-interval N instances between stable checkpoints (%u)\n"
        "  --batch-bytes-max N     one instance's bytes (%u)\n"
        "  --body-bytes-max N      bytes of batches held in memory (%llu)\n"
        "  --retransmit MS         ask again when nothing moved for so long (%u)\n"
        "  --request-timeout MS    an envelope may wait so long before the primary is suspected (%u)\n"
        "  --decisions-per-leader N\n"
        "                          after so many instances another leads; 0: only when the leader fails (%u)\n"
        "  --clients-max N         clients that may register (%u)\n"
        "\n"
        "  --add-client NAME       a further client's identity, in DIR/NAME, made with the CA of --org (default "
        "org1)\n",
        defaults->absolute_max_bytes, defaults->preferred_max_bytes, defaults->max_message_count,
        defaults->batch_timeout_ms, defaults->window, defaults->checkpoint_interval, defaults->batch_bytes_max,
        (unsigned long long) defaults->body_bytes_max, defaults->retransmit_ms, defaults->request_timeout_ms,
        defaults->decisions_per_leader, defaults->clients_max);
    free(defaults);
    return CLI_EXIT_OK;
}

static int refuse(const char *option, const char *text, const char *wanted) {
    fprintf(stderr, "ordain init: --%s wants %s, found '%s'\n", option, wanted, text);
    return CLI_EXIT_USAGE;
}

static int take_option(struct arguments *out, int code, char *text) {
    switch (code) {
    case OPTION_CHANNEL:
        out->channel = text;
        return CLI_EXIT_OK;
    case OPTION_CONSENSUS:
        out->consensus = text;
        return CLI_EXIT_OK;
    case OPTION_ADD_CLIENT:
        out->add_client = text;
        return CLI_EXIT_OK;
    case OPTION_ORG:
        out->org = text;
        return CLI_EXIT_OK;
    case OPTION_HOST:
        if (text[0] == '\0' || strlen(text) > CHANNEL_HOST_MAX ||
            text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_")] != '\0')
            return refuse("host", text, "a host name or an address");
        if (out->host_count == ORD_REPLICA_MAX)
            return refuse("host", text, "no more than one for each replica");
        out->hosts[out->host_count++] = text;
        return CLI_EXIT_OK;
    case OPTION_REPLICAS:
        return cli_number(&out->replicas, text, 1, ORD_REPLICA_MAX) == ORD_OK
                   ? CLI_EXIT_OK
                   : refuse("replicas", text, "a number from 1 to 64");
    case OPTION_BASE_PORT:
        return cli_number(&out->base_port, text, 1, UINT16_MAX) == ORD_OK
                   ? CLI_EXIT_OK
                   : refuse("base-port", text, "a number from 1 to 65535");
    case OPTION_CLIENTS:
        return cli_number(&out->clients, text, 0, INIT_CLIENTS_MAX) == ORD_OK
                   ? CLI_EXIT_OK
                   : refuse("clients", text, "a number from 0 to 1000");
    default:
        out->knobs[code - OPTION_KNOB] = text;
        return CLI_EXIT_OK;
    }
}

/* CLI_EXIT_OK with directory NULL: the user asked for help, and it was printed. */
static int parse_arguments(struct arguments *out, int argc, char **argv) {
    *out = (struct arguments) {.clients = 1};
    struct option options[10 + KNOB_COUNT] = {
        {"help", no_argument, NULL, 'h'},
        {"channel", required_argument, NULL, OPTION_CHANNEL},
        {"consensus", required_argument, NULL, OPTION_CONSENSUS},
        {"replicas", required_argument, NULL, OPTION_REPLICAS},
        {"host", required_argument, NULL, OPTION_HOST},
        {"base-port", required_argument, NULL, OPTION_BASE_PORT},
        {"clients", required_argument, NULL, OPTION_CLIENTS},
        {"add-client", required_argument, NULL, OPTION_ADD_CLIENT},
        {"org", required_argument, NULL, OPTION_ORG},
    };
    for (size_t i = 0; i < KNOB_COUNT; i++)
        options[9 + i] = (struct option) {knobs[i].option, required_argument, NULL, OPTION_KNOB + (int) i};
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (code == 'h') {
            return print_help();
        }
        int exit_code = code == '?' ? CLI_EXIT_USAGE : take_option(out, code, optarg);
        if (exit_code != CLI_EXIT_OK)
            return exit_code;
    }
    if (optind + 1 != argc || argv[optind][0] == '\0') {
        fprintf(stderr, "ordain init: %s; see `ordain init --help`\n",
                optind == argc ? "say in which folder" : "one folder only");
        return CLI_EXIT_USAGE;
    }
    out->directory = argv[optind];
    return CLI_EXIT_OK;
}

static int take_consensus(struct channel_config *config, const struct arguments *arguments) {
    const char *name = arguments->consensus != NULL ? arguments->consensus : "pbft";
    if (channel_consensus_parse(&config->consensus, name) != ORD_OK)
        return refuse("consensus", name, "pbft or solo");
    if (config->consensus == CHANNEL_RAFT) {
        fprintf(stderr, "ordain init: --consensus raft is not supported yet; choose pbft or solo\n");
        return CLI_EXIT_USAGE;
    }
    bool solo = config->consensus == CHANNEL_SOLO;
    config->replica_count = arguments->replicas != 0 ? (uint32_t) arguments->replicas : solo ? 1 : 4;
    if (solo && config->replica_count != 1) {
        fprintf(stderr, "ordain init: solo has one replica; for %u choose pbft\n", config->replica_count);
        return CLI_EXIT_USAGE;
    }
    return CLI_EXIT_OK;
}

static int take_knobs(struct channel_config *config, const struct arguments *arguments) {
    bool batch_said = false;
    bool body_said = false;
    for (size_t i = 0; i < KNOB_COUNT; i++) {
        const struct knob *knob = &knobs[i];
        const char *text = arguments->knobs[i];
        if (text == NULL)
            continue;
        uint64_t value;
        enum ord_err err =
            knob->size ? cli_size(&value, text, knob->min, knob->max) : cli_number(&value, text, knob->min, knob->max);
        if (err != ORD_OK) {
            char wanted[96];
            snprintf(wanted, sizeof(wanted), "a number from %llu to %llu", (unsigned long long) knob->min,
                     (unsigned long long) knob->max);
            return refuse(knob->option, text, wanted);
        }
        if (knob->wide)
            memcpy((uint8_t *) config + knob->offset, &value, sizeof(value));
        else
            memcpy((uint8_t *) config + knob->offset, &(uint32_t) {(uint32_t) value}, sizeof(uint32_t));
        batch_said = batch_said || knob->offset == offsetof(struct channel_config, batch_bytes_max);
        body_said = body_said || knob->offset == offsetof(struct channel_config, body_bytes_max);
    }
    /*
     * A batch must hold the largest envelope. The memory for bodies must hold four batches, and half of it an open
     * block and a batch. Values that were not given are raised to fit those that were.
     */
    if (!batch_said && config->batch_bytes_max < config->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD)
        config->batch_bytes_max = config->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD;
    if (!body_said && config->body_bytes_max < 4ull * config->batch_bytes_max)
        config->body_bytes_max = 4ull * config->batch_bytes_max;
    uint64_t half = (uint64_t) config->preferred_max_bytes + config->batch_bytes_max;
    if (!body_said && config->body_bytes_max < 2 * half)
        config->body_bytes_max = 2 * half;
    return CLI_EXIT_OK;
}

static int take_arguments(struct init_plan *plan, const struct arguments *arguments) {
    struct channel_config *config = &plan->config;
    channel_config_defaults(config);
    plan->directory = arguments->directory;
    plan->client_count = (uint32_t) arguments->clients;
    if (arguments->channel == NULL) {
        fprintf(stderr, "ordain init: --channel NAME is missing\n");
        return CLI_EXIT_USAGE;
    }
    size_t length = strlen(arguments->channel);
    if (length == 0 || length > CHANNEL_NAME_MAX)
        return refuse("channel", arguments->channel, "a name of 1 to 64 bytes");
    memcpy(config->name, arguments->channel, length + 1);
    int exit_code = take_consensus(config, arguments);
    if (exit_code == CLI_EXIT_OK)
        exit_code = take_knobs(config, arguments);
    if (exit_code != CLI_EXIT_OK)
        return exit_code;
    if (arguments->host_count > 1 && arguments->host_count != config->replica_count) {
        fprintf(stderr, "ordain init: %u times --host for %u replicas; say it once, or once for each\n",
                arguments->host_count, config->replica_count);
        return CLI_EXIT_USAGE;
    }
    for (uint32_t i = 0; i < config->replica_count; i++) {
        const char *host = arguments->host_count == 0   ? "127.0.0.1"
                           : arguments->host_count == 1 ? arguments->hosts[0]
                                                        : arguments->hosts[i];
        memcpy(config->replicas[i].host, host, strlen(host) + 1);
    }
    return CLI_EXIT_OK;
}

static void print_summary(const struct init_plan *plan) {
    const struct channel_config *config = &plan->config;
    const char *dir = plan->directory;
    char hash[2 * ORD_HASH_SIZE + 1];
    cli_hex(hash, plan->genesis_hash.bytes, ORD_HASH_SIZE);
    printf("channel %s in %s: %s, %u replica%s", config->name, dir, channel_consensus_name(config->consensus),
           config->replica_count, config->replica_count == 1 ? "" : "s");
    if (config->consensus == CHANNEL_PBFT)
        printf(" of which %u may lie", ord_bft_faulty_max(config->replica_count));
    printf(", %u client%s\ngenesis block %s\n", plan->client_count, plan->client_count == 1 ? "" : "s", hash);
    for (uint32_t i = 0; i < config->replica_count; i++)
        printf("  replica%-3u %s port %u, for clients %u\n", i, config->replicas[i].host,
               (unsigned) config->replicas[i].replica_port, (unsigned) config->replicas[i].client_port);
    printf("\nNext:\n");
    if (config->replica_count == 1) {
        printf("  ordain start --config %s/replica0/node.cfg &\n", dir);
    } else {
        printf("  for i in $(seq 0 %u); do ordain start --config %s/replica$i/node.cfg & done\n",
               config->replica_count - 1, dir);
    }
    if (plan->client_count > 0)
        printf("  ordain status --config %s/client/client.cfg\n"
               "  printf 'hello\\nworld\\n' | ordain submit --config %s/client/client.cfg --lines --wait -\n",
               dir, dir);
}

static int exit_code_of(enum ord_err err) {
    return err == ORD_ERR_NO_MEMORY || err == ORD_ERR_CRYPTO || err == ORD_ERR_IO || err == ORD_ERR_NO_SPACE
               ? CLI_EXIT_INTERNAL
               : CLI_EXIT_USAGE;
}

static int add_client(const struct arguments *arguments) {
    const char *name = arguments->add_client;
    const char *org = arguments->org != NULL ? arguments->org : "org1";
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    if (name[0] == '\0' || name[0] == '.' || strlen(name) > CRYPTO_NAME_MAX || name[strspn(name, allowed)] != '\0')
        return refuse("add-client", name, "a name of a to z, 0 to 9, '.', '_', '-'");
    if (org[0] == '\0' || org[0] == '.' || strlen(org) > CRYPTO_NAME_MAX || org[strspn(org, allowed)] != '\0')
        return refuse("org", org, "an organisation's name");
    char why[INIT_WHY_MAX];
    enum ord_err err = init_add_client(arguments->directory, name, org, why);
    if (err != ORD_OK) {
        fprintf(stderr, "ordain init: %s\n", why);
        return exit_code_of(err);
    }
    printf("client %s of %s: %s/%s/client.cfg\n", name, org, arguments->directory, name);
    return CLI_EXIT_OK;
}

int cli_init(int argc, char **argv) {
    struct arguments arguments;
    int exit_code = parse_arguments(&arguments, argc, argv);
    if (exit_code != CLI_EXIT_OK || arguments.directory == NULL)
        return exit_code;
    enum ord_err err = crypto_init();
    if (err != ORD_OK) {
        fprintf(stderr, "ordain init: %s\n", ord_err_text(err));
        return CLI_EXIT_INTERNAL;
    }
    if (arguments.add_client != NULL)
        return add_client(&arguments);
    struct init_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL)
        return cli_no_memory("init");
    char why[INIT_WHY_MAX];
    exit_code = take_arguments(plan, &arguments);
    if (exit_code != CLI_EXIT_OK)
        goto out;
    err = init_choose_ports(&plan->config, (uint16_t) arguments.base_port, why);
    if (err == ORD_OK)
        err = init_write(plan, why);
    if (err != ORD_OK) {
        fprintf(stderr, "ordain init: %s\n", why);
        exit_code = exit_code_of(err);
        goto out;
    }
    print_summary(plan);
out:
    free(plan);
    return exit_code;
}
