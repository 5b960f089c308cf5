/* `ordain init`: its arguments and its summary. cli/init_files.c writes the files. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/envelope.h"
#include "cli/command.h"
#include "cli/init.h"
#include "cli/number.h"
#include "cli/options.h"
#include "core/quorum.h"
#include "crypto/hash.h"

/* The arguments as given, except those that go into the channel's configuration at once. */
struct arguments {
    const char *directory;
    const char *channel;
    const char *consensus;
    const char *hosts[ORD_REPLICA_MAX];
    uint32_t host_count;
    uint32_t replicas; /* 0: not given */
    uint32_t base_port;
    uint32_t clients;
    const char *add_client;
    const char *org;
    /* How often --batch-bytes-max and --body-bytes-max were given. */
    uint32_t batch_said;
    uint32_t body_said;
    /* How often the numbers of raft were given. */
    uint32_t raft_said;
};

static const char usage[] =
    "Usage: ordain init DIR --channel NAME [OPTIONS]\n"
    "       ordain init DIR --add-client NAME [--org ORG]\n"
    "\n"
    "Makes a channel: an organisation with a CA for each replica, TLS and identity certificates, a configuration\n"
    "file for each replica and client, and the genesis block that names them all. DIR must not exist, or be\n"
    "empty. All keys are made here; between organisations that do not trust each other, each keeps its own\n"
    "DIR/orgs/ORG and DIR/replicaN, and nobody else's.\n"
    "\n";

static int refuse(const char *option, const char *text, const char *wanted) {
    return cli_fail(CLI_EXIT_USAGE, "--%s wants %s, found '%s'", option, wanted, text);
}

static const char *take_host(void *into, const char *text) {
    struct arguments *out = into;
    if (text[0] == '\0' || strlen(text) > CHANNEL_HOST_MAX ||
        text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_")] != '\0')
        return "a host name or an address";
    if (out->host_count == ORD_REPLICA_MAX)
        return "no more than one for each replica";
    out->hosts[out->host_count++] = text;
    return NULL;
}

/* A number in the channel's configuration, and the default that the help shows. */
#define KNOB(field, lowest, highest)                                                                                   \
    .number = &config->field, .min = (lowest), .max = (highest), .has_default = true, .fallback = config->field
#define SIZE(field, lowest, highest) KNOB(field, lowest, highest), .suffix = true

static bool parse_arguments(struct arguments *out, struct channel_config *config, int *exit_code, int argc,
                            char **argv) {
    const struct cli_option list[] = {
        {"channel", "NAME", "a to z, 0 to 9, '.', '_', '-'", .text = &out->channel},
        {"consensus", "TYPE",
         "pbft (default): 3f+1 replicas, of which f may lie; raft: 2f+1, of which f may crash and none may lie; solo: "
         "one, for development",
         .text = &out->consensus},
        {"replicas", "N", "default: 4 (raft: 3, solo: 1)", .number = &out->replicas, .min = 1, .max = ORD_REPLICA_MAX},
        {"host", "HOST", "where the replicas are; once, or once for each (default 127.0.0.1)", .take = take_host,
         .into = out},
        {"base-port", "N", "two consecutive ports for each replica from here on (default: free ones)",
         .number = &out->base_port, .min = 1, .max = UINT16_MAX},
        {"clients", "N", "client identities of org1 (default 1)", .number = &out->clients, .max = INIT_CLIENTS_MAX},
        {.help = "\nWhen a block is closed (sizes in bytes; K, M and G are understood):"},
        {"absolute-max-bytes", "N", "a larger envelope is refused",
         SIZE(absolute_max_bytes, 1, CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT)},
        {"preferred-max-bytes", "N", "a block's bytes; a larger envelope gets a block of its own",
         SIZE(preferred_max_bytes, 1, UINT32_MAX)},
        {"max-message-count", "N", "a block's transactions", KNOB(max_message_count, 1, CHANNEL_MESSAGE_COUNT_LIMIT)},
        {"batch-timeout", "MS", "a block waits at most so long; 0: not at all", KNOB(batch_timeout_ms, 0, UINT32_MAX)},
        {.help = "\nConsensus:"},
        {"window", "N", "instances in flight", KNOB(window, 1, UINT32_MAX)},
        {"checkpoint-interval", "N", "instances between stable checkpoints", KNOB(checkpoint_interval, 1, UINT32_MAX)},
        {"batch-bytes-max", "N", "one instance's bytes", SIZE(batch_bytes_max, 1, UINT32_MAX),
         .given = &out->batch_said},
        {"body-bytes-max", "N", "bytes of batches held in memory", .number64 = &config->body_bytes_max, .suffix = true,
         .min = 1, .max = UINT64_MAX, .has_default = true, .fallback = config->body_bytes_max,
         .given = &out->body_said},
        {"retransmit", "MS", "ask again when nothing moved for so long", KNOB(retransmit_ms, 1, UINT32_MAX)},
        {"request-timeout", "MS", "an envelope may wait so long before the primary is suspected",
         KNOB(request_timeout_ms, 1, UINT32_MAX)},
        {"decisions-per-leader", "N", "after so many instances another leads; 0: only when the leader fails",
         KNOB(decisions_per_leader, 0, UINT32_MAX)},
        {.help = "\nRaft:"},
        {"election-min", "MS", "a follower that hears no leader for so long campaigns; ...",
         KNOB(raft.election_ms_min, 1, UINT32_MAX), .given = &out->raft_said},
        {"election-max", "MS", "... each after a random time up to this", KNOB(raft.election_ms_max, 1, UINT32_MAX),
         .given = &out->raft_said},
        {"heartbeat", "MS", "a leader says so often that it is there", KNOB(raft.heartbeat_ms, 1, UINT32_MAX),
         .given = &out->raft_said},
        {"snapshot-blocks", "N", "the log is cut after so many blocks; 0: they do not count",
         KNOB(raft.snapshot_blocks, 0, UINT32_MAX), .given = &out->raft_said},
        {"snapshot-bytes", "N", "the log is cut after so many bytes; 0: they do not count",
         .number64 = &config->raft.snapshot_bytes, .suffix = true, .max = UINT64_MAX, .has_default = true,
         .fallback = config->raft.snapshot_bytes, .given = &out->raft_said},
        {"check-forwards", NULL, "each replica checks the signatures that another one has checked",
         .flag = &config->raft.check_forwards},
        {.help = "\nClients:"},
        {"clients-max", "N", "clients that may register", KNOB(clients_max, 1, CHANNEL_CLIENTS_LIMIT)},
        {.help = ""},
        {"add-client", "NAME", "a further client's identity, in DIR/NAME, made with the CA of --org (default org1)",
         .text = &out->add_client},
        {"org", "ORG", NULL, .text = &out->org},
    };
    const struct cli_options options = {
        usage, list, sizeof(list) / sizeof(list[0]), .notes = "", .column = 26, .operands = true,
    };
    if (!cli_options_parse(exit_code, &options, argc, argv))
        return false;
    out->directory = argv[optind];
    const char *wrong = optind == argc                                  ? "say in which folder"
                        : optind + 1 != argc || argv[optind][0] == '\0' ? "one folder only"
                                                                        : NULL;
    return cli_options_accept(exit_code, wrong);
}

static int take_consensus(struct channel_config *config, const struct arguments *arguments) {
    const char *name = arguments->consensus != NULL ? arguments->consensus : "pbft";
    if (channel_consensus_parse(&config->consensus, name) != ORD_OK)
        return refuse("consensus", name, "pbft, raft or solo");
    if (config->consensus != CHANNEL_RAFT) {
        if (arguments->raft_said > 0 || config->raft.check_forwards)
            return cli_fail(CLI_EXIT_USAGE, "--election-min, --election-max, --heartbeat, --snapshot-blocks, "
                                            "--snapshot-bytes and --check-forwards are for --consensus raft");
        config->raft = (struct channel_raft) {0};
    }
    static const uint32_t counts[] = {[CHANNEL_SOLO] = 1, [CHANNEL_PBFT] = 4, [CHANNEL_RAFT] = 3};
    config->replica_count = arguments->replicas != 0 ? arguments->replicas : counts[config->consensus];
    if (config->consensus == CHANNEL_SOLO && config->replica_count != 1)
        return cli_fail(CLI_EXIT_USAGE, "solo has one replica; for %u choose pbft or raft", config->replica_count);
    return CLI_EXIT_OK;
}

/*
 * A batch must hold the largest envelope. The memory for bodies must hold four batches, and half of it an open block
 * and a batch. Values that were not given are raised to fit those that were.
 */
static void fit_sizes(struct channel_config *config, const struct arguments *arguments) {
    if (arguments->batch_said == 0 && config->batch_bytes_max < channel_batch_bytes_least(config))
        config->batch_bytes_max = (uint32_t) channel_batch_bytes_least(config);
    if (arguments->body_said > 0)
        return;
    if (config->body_bytes_max < 4ull * config->batch_bytes_max)
        config->body_bytes_max = 4ull * config->batch_bytes_max;
    uint64_t half = (uint64_t) config->preferred_max_bytes + config->batch_bytes_max;
    if (config->body_bytes_max < 2 * half)
        config->body_bytes_max = 2 * half;
}

static int take_arguments(struct init_plan *plan, const struct arguments *arguments) {
    struct channel_config *config = &plan->config;
    plan->directory = arguments->directory;
    plan->client_count = arguments->clients;
    if (arguments->channel == NULL)
        return cli_fail(CLI_EXIT_USAGE, "--channel NAME is missing");
    size_t length = strlen(arguments->channel);
    if (length == 0 || length > CHANNEL_NAME_MAX)
        return refuse("channel", arguments->channel, "a name of 1 to 64 bytes");
    memcpy(config->name, arguments->channel, length + 1);
    int exit_code = take_consensus(config, arguments);
    if (exit_code != CLI_EXIT_OK)
        return exit_code;
    fit_sizes(config, arguments);
    if (arguments->host_count > 1 && arguments->host_count != config->replica_count)
        return cli_fail(CLI_EXIT_USAGE, "%u times --host for %u replicas; say it once, or once for each",
                        arguments->host_count, config->replica_count);
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
    printf("channel %s in %s: %s, %u replica%s", config->name, dir, channel_consensus_name(config->consensus),
           config->replica_count, config->replica_count == 1 ? "" : "s");
    if (config->consensus == CHANNEL_PBFT)
        printf(" of which %u may lie", ord_bft_faulty_max(config->replica_count));
    if (config->consensus == CHANNEL_RAFT)
        printf(" of which %u may crash and none may lie", config->replica_count - ord_majority(config->replica_count));
    printf(", %u client%s\ngenesis block %s\n", plan->client_count, plan->client_count == 1 ? "" : "s",
           CLI_HASH(plan->genesis_hash.bytes));
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
    if (err != ORD_OK)
        return cli_fail(exit_code_of(err), "%s", why);
    printf("client %s of %s: %s/%s/client.cfg\n", name, org, arguments->directory, name);
    return CLI_EXIT_OK;
}

/* Makes a channel, or with --add-client only a client. */
static int run(struct init_plan *plan, const struct arguments *arguments) {
    enum ord_err err = crypto_init();
    if (err != ORD_OK)
        return cli_fail(CLI_EXIT_INTERNAL, "%s", ord_err_text(err));
    if (arguments->add_client != NULL)
        return add_client(arguments);
    int exit_code = take_arguments(plan, arguments);
    if (exit_code != CLI_EXIT_OK)
        return exit_code;
    char why[INIT_WHY_MAX];
    err = init_choose_ports(&plan->config, (uint16_t) arguments->base_port, why);
    if (err == ORD_OK)
        err = init_write(plan, why);
    if (err != ORD_OK)
        return cli_fail(exit_code_of(err), "%s", why);
    print_summary(plan);
    return CLI_EXIT_OK;
}

int cli_init(int argc, char **argv) {
    struct arguments arguments = {.clients = 1};
    struct init_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL)
        return cli_no_memory();
    channel_config_defaults(&plan->config, CHANNEL_RAFT); /* the help shows all defaults */
    int exit_code;
    if (parse_arguments(&arguments, &plan->config, &exit_code, argc, argv))
        exit_code = run(plan, &arguments);
    free(plan);
    return exit_code;
}
