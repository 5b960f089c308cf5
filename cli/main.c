/* `ordain`: finds the subcommand and runs it. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli/command.h"

#define NAME_MAX_COMPARED 32
#define LINE_MAX_SAID     8192

/* "ordain COMMAND", with which every message begins. */
static char own_name[NAME_MAX_COMPARED];

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"init", cli_init, "make a channel: keys, certificates, configuration files, genesis block"},
    {"start", cli_start, "run a replica"},
    {"submit", cli_submit, "submit transactions from a file or standard input"},
    {"deliver", cli_deliver, "pull blocks and verify them against the genesis block"},
    {"receipt", cli_receipt, "fetch the proof that a transaction is final"},
    {"verify", cli_verify, "check such a proof offline"},
    {"status", cli_status, "show every replica of a channel"},
    {"evidence", cli_evidence, "fetch or check proofs that a replica lied"},
    {"ledger", cli_ledger, "verify, show or repair a replica's ledger on disk"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to) {
    fprintf(to, "Ordain orders transactions among replicas that do not trust each other.\n"
                "\n"
                "Usage: ordain COMMAND [OPTIONS]\n"
                "\n"
                "Commands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n"
                "`ordain help COMMAND` (or `ordain COMMAND --help`) tells more about each.\n"
                "\n"
                "A first channel, four replicas on this machine, one of which may lie:\n"
                "  ordain init try --replicas 4 --consensus pbft --channel trade\n"
                "  for i in 0 1 2 3; do ordain start --config try/replica$i/node.cfg & done\n"
                "  printf 'hello\\nworld\\n' | ordain submit --config try/client/client.cfg --lines --wait -\n"
                "  ordain deliver --config try/client/client.cfg --from oldest --to newest\n"
                "\n"
                "Exit codes: 0 done; 1 tried, and it did not work (a check failed, a transaction was refused);\n"
                "2 wrong arguments or configuration; 3 no replica answered; 4 trouble inside (disk, memory).\n");
}

static const struct command *find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Levenshtein distance of two short names. */
static size_t distance(const char *a, const char *b) {
    size_t row[NAME_MAX_COMPARED + 1];
    size_t b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_length; j++) {
            size_t replace = diagonal + (a[i] != b[j]);
            size_t insert = row[j] + 1;
            size_t drop = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = replace < insert ? replace : insert;
            if (drop < row[j + 1])
                row[j + 1] = drop;
        }
    }
    return row[b_length];
}

static int unknown(const char *name) {
    fprintf(stderr, "ordain: there is no command '%s'", name);
    const struct command *nearest = NULL;
    size_t nearest_distance = 4; /* a name further away is not a typing slip */
    if (strlen(name) <= NAME_MAX_COMPARED)
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            size_t d = distance(name, commands[i].name);
            if (d < nearest_distance && d < strlen(commands[i].name)) {
                nearest = &commands[i];
                nearest_distance = d;
            }
        }
    if (nearest != NULL)
        fprintf(stderr, "; did you mean '%s'?\n", nearest->name);
    else
        fprintf(stderr, "; `ordain --help` lists them all\n");
    return CLI_EXIT_USAGE;
}

/* Writes the whole line at once, because other processes may share standard error. */
static void say(const char *format, va_list arguments) {
    char line[LINE_MAX_SAID];
    vsnprintf(line, sizeof(line), format, arguments);
    fprintf(stderr, "%s: %s\n", own_name, line);
}

void cli_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

int cli_fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return code;
}

int cli_usage(const char *sentence) {
    return cli_fail(CLI_EXIT_USAGE, "%s; see `%s --help`", sentence, own_name);
}

/* argv[0] is the command's name. */
static int hand_over(int argc, char **argv) {
    const struct command *command = find(argv[0]);
    if (command == NULL)
        return unknown(argv[0]);
    snprintf(own_name, sizeof(own_name), "ordain %s", command->name);
    argv[0] = own_name;
    return command->run(argc, argv);
}

static bool is_help(const char *word) {
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

#if defined(__SANITIZE_ADDRESS__)
#define HAS_LEAK_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LEAK_SANITIZER 1
#endif
#endif

/*
 * Every command may hold private keys. A core dump would write them to the disk, and other programs of this user could
 * read them from the memory.
 */
static void guard_secrets(void) {
    const struct rlimit none = {0, 0};
    (void) setrlimit(RLIMIT_CORE, &none);
#ifndef HAS_LEAK_SANITIZER /* which traces its own process */
    (void) prctl(PR_SET_DUMPABLE, 0);
#endif
}

int main(int argc, char **argv) {
    guard_secrets();
    if (argc < 2) {
        print_help(stderr);
        return CLI_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 && argc > 2 && !is_help(argv[2])) {
        char help[] = "--help";
        char *arguments[] = {argv[2], help, NULL};
        return hand_over(2, arguments);
    }
    if (is_help(name)) {
        print_help(stdout);
        return CLI_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("ordain %s\n", ORD_VERSION);
        return CLI_EXIT_OK;
    }
    return hand_over(argc - 1, argv + 1);
}
