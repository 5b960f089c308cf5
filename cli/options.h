/* The options of a command: one table holds each option's help and the place where its value goes. */
#ifndef ORDAIN_CLI_OPTIONS_H
#define ORDAIN_CLI_OPTIONS_H

#include "core/types.h"

struct cli_option {
    const char *name;  /* without the dashes; NULL: the row is only text for the help */
    const char *value; /* what the help calls its value; NULL: the option takes none */
    const char *help;  /* NULL: the help does not list it; later lines of it are printed as they stand */
    char letter;       /* its short form; 0: none */

    /* Where the value goes. One of these is set, or none if `given` says all. */
    bool *flag;
    const char **text;
    uint32_t *number;
    uint64_t *number64;
    uint32_t *milliseconds; /* given in seconds, with a fraction; up to 50 days */
    int *replica;
    /* Takes the value to `into`. NULL: taken; otherwise what the option wants, such as "a height". */
    const char *(*take)(void *into, const char *text);
    void *into;

    uint64_t min; /* for numbers; both ends are allowed */
    uint64_t max;
    bool suffix;       /* the number may end in K, M or G */
    const char *wants; /* what a wrong number is told; NULL: the range */
    bool has_default;  /* the help ends with the default of this number */
    uint64_t fallback;

    uint32_t *given; /* counts how often the option is given; NULL: nobody asks */
};

struct cli_options {
    const char *usage; /* the help before the options */
    const struct cli_option *list;
    size_t count;
    const char *notes; /* the help after them */
    uint32_t column;   /* where the help of each option begins; 0: the usual column */
    bool operands;     /* there may be arguments that are no options */
};

/*
 * Reads the options; the other arguments follow from argv[optind] on. False: the command ends with *exit_code. Either
 * the help was asked for and is printed, or an option is wrong and standard error says so.
 */
bool cli_options_parse(int *exit_code, const struct cli_options *options, int argc, char **argv);
/* True if `wrong` is NULL. Otherwise it says what is wrong with the arguments, and the command ends with *exit_code. */
bool cli_options_accept(int *exit_code, const char *wrong);

#endif
