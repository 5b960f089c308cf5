/*
 * `ordain-faulty start`: a replica that lies, as a process. Its output and its exit codes are those of `ordain start`.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/block.h"
#include "faulty/liar.h"
#include "faulty/raft_liar.h"
#include "node/log.h"

enum { EXIT_USAGE = 2, EXIT_INTERNAL = 4, WHY_MAX = 2048, GENESIS_BYTES_MAX = CHANNEL_CONFIG_BYTES_MAX + (64 << 10) };

static struct node *running; /* set before the signals are unblocked */
static struct liar_options options;
static struct raft_liar_options raft_options;
static bool lies; /* a behaviour of a pbft channel is asked for */
static bool raft_lies;

static void on_stop_signal(int number) {
    (void) number;
    node_stop(running);
}

static void print_help(void) {
    printf(
        "Usage: ordain-faulty start --config FILE --behaviour NAME[,NAME...] [--after SEQ]\n"
        "\n"
        "Runs a replica that lies, for tests of those that do not. FILE is a node.cfg of `ordain init`. It is honest\n"
        "until SEQ is proposed (default: never), and logs event=lie with the behaviour and how often.\n"
        "\n"
        "Behaviours, and the rows of docs/testing.md that they stand for:\n");
#define PRINT_BEHAVIOUR(name, row, text) printf("  %-18s %-8s %s\n", #name, row, text);
    LIAR_BEHAVIOURS(PRINT_BEHAVIOUR)
#undef PRINT_BEHAVIOUR
    printf("\nIn a raft channel, where nobody may lie:\n");
#define PRINT_RAFT_BEHAVIOUR(name, text) printf("  %-18s %s\n", #name, text);
    RAFT_LIAR_BEHAVIOURS(PRINT_RAFT_BEHAVIOUR)
#undef PRINT_RAFT_BEHAVIOUR
}

static bool take_behaviour(const char *name) {
    for (uint32_t i = 0; i < LIAR_BEHAVIOUR_COUNT; i++)
        if (strcmp(name, liar_behaviour_name((enum liar_behaviour) i)) == 0)
            return options.behaviours[i] = lies = true;
    for (uint32_t i = 0; i < RAFT_LIAR_BEHAVIOUR_COUNT; i++)
        if (strcmp(name, raft_liar_behaviour_name((enum raft_liar_behaviour) i)) == 0)
            return raft_options.behaviours[i] = raft_lies = true;
    fprintf(stderr, "ordain-faulty: there is no behaviour '%s'; `ordain-faulty --help` lists them\n", name);
    return false;
}

static bool take_behaviours(char *list) {
    char *rest = NULL;
    for (char *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
        if (!take_behaviour(name))
            return false;
    return true;
}

/* The channel's consensus decides which core lies. An error shows when the node opens the genesis block. */
static bool is_raft(const struct node_config *config) {
    static struct channel_config channel;
    struct ord_hash hash;
    struct channel_header header;
    struct ord_span data;
    char why[WHY_MAX];
    uint8_t *file;
    size_t size;
    if (node_read_file(&file, &size, config->genesis_file, GENESIS_BYTES_MAX, why, sizeof(why)) != ORD_OK)
        return false;
    enum ord_err err = channel_genesis_open(&channel, &hash, &header, &data, ord_span_of(file, size));
    free(file);
    return err == ORD_OK && channel.consensus == CHANNEL_RAFT;
}

static bool take_seq(const char *text) {
    char *end;
    options.after_seq = raft_options.after_seq = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0') {
        fprintf(stderr, "ordain-faulty: --after wants a number, found '%s'\n", text);
        return false;
    }
    return true;
}

/* Returns 0 to continue, otherwise an exit code. */
static int parse_arguments(const char **path, int argc, char **argv) {
    static const struct option long_options[] = {
        {"config", required_argument, NULL, 'c'},
        {"behaviour", required_argument, NULL, 'b'},
        {"after", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    *path = NULL;
    if (argc < 2 || strcmp(argv[1], "start") != 0) {
        print_help();
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : EXIT_USAGE;
    }
    optind = 2;
    for (int code; (code = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (code == 'c')
            *path = optarg;
        else if (!(code == 'b' && take_behaviours(optarg)) && !(code == 'a' && take_seq(optarg)))
            return EXIT_USAGE;
    }
    if (*path != NULL && (lies || raft_lies) && optind == argc)
        return 0;
    fprintf(stderr, "ordain-faulty: it takes --config FILE and --behaviour NAME; see `ordain-faulty --help`\n");
    return EXIT_USAGE;
}

static int run(const struct node_config *config) {
    char why[WHY_MAX] = "";
    struct node_seam seam;
    bool raft = is_raft(config);
    if (raft ? lies : raft_lies) {
        fprintf(stderr, "ordain-faulty: a behaviour that was asked for is not one of a %s channel\n",
                raft ? "raft" : "pbft");
        return EXIT_USAGE;
    }
    if (raft)
        raft_liar_seam(&seam, &raft_options);
    else
        liar_seam(&seam, &options);
    enum ord_err err = node_create_with(&running, config, &seam, why, sizeof(why));
    if (err != ORD_OK) {
        fprintf(stderr, "ordain-faulty: %s\n", why[0] != '\0' ? why : ord_err_text(err));
        return EXIT_USAGE;
    }
    printf("ready replica=%" PRIu32 " port=%u client_port=%u\n", config->replica, (unsigned) node_port(running),
           (unsigned) node_client_port(running));
    fflush(stdout);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    err = node_run(running);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (err != ORD_OK)
        fprintf(stderr, "ordain-faulty: stopped: %s\n", ord_err_text(err));
    node_destroy(running);
    return err == ORD_OK ? EXIT_SUCCESS : EXIT_INTERNAL;
}

int main(int argc, char **argv) {
    const char *path;
    int code = parse_arguments(&path, argc, argv);
    if (code != 0 || path == NULL)
        return code;
    /* The signals are blocked before any thread starts, and let through once there is a replica to stop. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    struct sigaction stop = {.sa_handler = on_stop_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGTERM, &stop, NULL) != 0 || sigaction(SIGINT, &stop, NULL) != 0 ||
        sigaction(SIGPIPE, &ignore, NULL) != 0) {
        perror("ordain-faulty: sigaction");
        return EXIT_INTERNAL;
    }
    struct node_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return EXIT_INTERNAL;
    char why[WHY_MAX] = "";
    if (node_config_load(config, path, why, sizeof(why)) != ORD_OK) {
        fprintf(stderr, "ordain-faulty: %s\n", why);
        code = EXIT_USAGE;
    } else {
        code = run(config);
    }
    free(config);
    return code;
}
