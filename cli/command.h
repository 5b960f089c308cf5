/*
 * The subcommands of `ordain`, and how they speak to the user. Each reads its own arguments (cli/options.h), answers
 * --help with a text that teaches, and returns an exit code.
 */
#ifndef ORDAIN_CLI_COMMAND_H
#define ORDAIN_CLI_COMMAND_H

enum cli_exit {
    CLI_EXIT_OK = 0,
    CLI_EXIT_FAILED = 1,      /* it was tried and failed: a check failed, a transaction was refused */
    CLI_EXIT_USAGE = 2,       /* arguments or configuration are wrong; nothing was done */
    CLI_EXIT_UNREACHABLE = 3, /* no replica (or not enough of them) answered in time */
    CLI_EXIT_INTERNAL = 4,
};

/* argv[0] must be "ordain" with the subcommand's name, because getopt begins its messages with it. */
int cli_init(int argc, char **argv);
int cli_start(int argc, char **argv);
int cli_submit(int argc, char **argv);
int cli_deliver(int argc, char **argv);
int cli_receipt(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_evidence(int argc, char **argv);
int cli_ledger(int argc, char **argv);

/* Prints a line on standard error that begins with "ordain COMMAND: ". */
__attribute__((format(printf, 1, 2))) void cli_say(const char *format, ...);
/* The same; returns `code`, with which the command ends. */
__attribute__((format(printf, 2, 3))) int cli_fail(int code, const char *format, ...);
/* Reports wrong arguments and points to the command's help; returns the exit code. */
int cli_usage(const char *sentence);
/* Reports that there is no memory; returns the exit code. */
int cli_no_memory(void);

#endif
