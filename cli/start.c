/*
 * `ordain start`: one replica as a process, with signals, readiness and exit codes. The process around the replica
 * is node/node.h.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/options.h"
#include "node/node.h"

#define WHY_MAX 2048

/* Set before the signals are unblocked, and not changed until they are blocked again. */
static struct node *running;

static void on_stop_signal(int number) {
    (void) number;
    node_stop(running);
}

static const char usage[] =
    "Usage: ordain start --config FILE [--log-level error|warn|info|debug]\n"
    "\n"
    "Runs a replica in the foreground. FILE is the node.cfg that `ordain init` made. When the replica listens it\n"
    "prints one line on standard output,\n"
    "  ready replica=0 port=7050 client_port=7051\n"
    "and tells systemd (Type=notify). The log goes to standard error, one key=value line an event.\n"
    "\n"
    "SIGTERM or SIGINT stops it cleanly. A primary lets another replica lead first, for as long as the channel's\n"
    "request timeout at most; a second signal ends it at once. It may be killed at any time all the same: what it\n"
    "promised is on disk before it is promised.\n"
    "\n";

static const char notes[] =
    "\n"
    "Exit codes: 0 stopped as asked; 2 wrong configuration (files that do not belong together, a key that others\n"
    "may read, a port or a ledger in use); 4 the disk failed or something inside broke.\n";

/*
 * Sends one datagram to systemd's socket, as sd_notify(3) does, but without its library. No part of the replica depends
 * on it, so a failure is only reported.
 */
static void notify_systemd(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@'))
        return;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* '@' stands for an abstract name */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *) &address, size) < 0)
        cli_say("NOTIFY_SOCKET: %s", strerror(errno));
    close(fd);
}

static bool parse_arguments(const char **path, const char **level, int *exit_code, int argc, char **argv) {
    *path = NULL;
    *level = NULL;
    const struct cli_option list[] = {
        {"config", "FILE", NULL, .letter = 'c', .text = path},
        {"log-level", "LEVEL", "instead of the file's", .text = level},
    };
    const struct cli_options options = {usage, list, 2, .notes = notes, .column = 21, .operands = true};
    if (!cli_options_parse(exit_code, &options, argc, argv))
        return false;
    const char *wrong = *path == NULL ? "--config FILE is missing" : optind != argc ? "too many arguments" : NULL;
    return cli_options_accept(exit_code, wrong);
}

static int load_config(struct node_config *config, const char *path, const char *level) {
    char why[WHY_MAX] = "";
    enum ord_err err = node_config_load(config, path, why, sizeof(why));
    if (err != ORD_OK)
        return cli_fail(err == ORD_ERR_NO_MEMORY ? CLI_EXIT_INTERNAL : CLI_EXIT_USAGE, "%s", why);
    if (level != NULL && node_log_level_parse(&config->log_level, level) != ORD_OK)
        return cli_fail(CLI_EXIT_USAGE, "--log-level wants error, warn, info or debug, found '%s'", level);
    return CLI_EXIT_OK;
}

/* True if the author of the configuration can mend the error. All other errors are the machine's or ours. */
static bool configuration_fault(enum ord_err err) {
    static const enum ord_err faults[] = {
        ORD_ERR_INVALID,  ORD_ERR_TOO_LARGE, ORD_ERR_NOT_FOUND, ORD_ERR_FORBIDDEN,   ORD_ERR_BAD_SIGNATURE,
        ORD_ERR_MISMATCH, ORD_ERR_IN_USE,    ORD_ERR_BUSY,      ORD_ERR_UNSUPPORTED,
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        if (err == faults[i])
            return true;
    return false;
}

/* Blocks the signals that stop the replica in this thread, or lets them through. */
static void mask_stop_signals(int how) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(how, &signals, NULL);
}

static int run(const struct node_config *config) {
    char why[WHY_MAX] = "";
    enum ord_err err = node_create(&running, config, why, sizeof(why));
    if (err != ORD_OK)
        return cli_fail(configuration_fault(err) ? CLI_EXIT_USAGE : CLI_EXIT_INTERNAL, "%s",
                        why[0] != '\0' ? why : ord_err_text(err));
    printf("ready replica=%u port=%u client_port=%u\n", config->replica, (unsigned) node_port(running),
           (unsigned) node_client_port(running));
    fflush(stdout);
    notify_systemd("READY=1\n");

    mask_stop_signals(SIG_UNBLOCK);
    err = node_run(running);
    mask_stop_signals(SIG_BLOCK);

    notify_systemd("STOPPING=1\n");
    if (err != ORD_OK)
        cli_say("stopped: %s", ord_err_text(err));
    node_destroy(running);
    running = NULL;
    return err == ORD_OK ? CLI_EXIT_OK : CLI_EXIT_INTERNAL;
}

/*
 * The number of connections is bounded by the number of descriptors only, so raise it to the system's limit. The
 * replica also starts with fewer.
 */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &limit);
}

int cli_start(int argc, char **argv) {
    const char *path;
    const char *level;
    int exit_code;
    if (!parse_arguments(&path, &level, &exit_code, argc, argv))
        return exit_code;

    /*
     * The signals are blocked before any thread starts, so every thread inherits the block. They are let through in
     * this thread once there is a replica to stop.
     */
    mask_stop_signals(SIG_BLOCK);
    struct sigaction stop = {.sa_handler = on_stop_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGTERM, &stop, NULL) != 0 || sigaction(SIGINT, &stop, NULL) != 0 ||
        sigaction(SIGPIPE, &ignore, NULL) != 0)
        return cli_fail(CLI_EXIT_INTERNAL, "sigaction: %s", strerror(errno));

    raise_descriptor_limit();
    struct node_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return cli_no_memory();
    exit_code = load_config(config, path, level);
    if (exit_code == CLI_EXIT_OK)
        exit_code = run(config);
    free(config);
    return exit_code;
}
