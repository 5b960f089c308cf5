/*
 * Scripts of golden traces, for any protocol. A script consists of blocks: commands, a line `----`, the expected lines,
 * and an empty line. A line that begins with `#` between blocks is a comment. A command is a line of words; those of
 * the form `key=value` are found by their key, the others by their place.
 */
#ifndef ORDAIN_TESTS_SCENARIO_SCRIPT_H
#define ORDAIN_TESTS_SCENARIO_SCRIPT_H

#include <stdint.h>
#include <stdio.h>

#define SCENARIO_WORD_MAX 24

struct scenario_command {
    char *plain[SCENARIO_WORD_MAX];
    size_t plain_count;
    char *options[SCENARIO_WORD_MAX];
    size_t option_count;
};

struct scenario_player {
    const char *name; /* of the program */
    void (*begin)(FILE *out);
    void (*run)(const struct scenario_command *command); /* it has a plain word at least */
    void (*end)(void);
};

/*
 * Arguments: [--rewrite] FILE. Plays the script in FILE and compares what is printed with its expectations; --rewrite
 * puts what happens now in their place. Gives the exit code of the program.
 */
int scenario_main(int argc, char **argv, const struct scenario_player *player);

/* The script is wrong: ends the program. */
_Noreturn void scenario_fail(const char *why, const char *what);
/* NULL: the command has no such option. */
const char *scenario_option(const struct scenario_command *command, const char *key);
uint64_t scenario_number(const char *text);
uint64_t scenario_number_option(const struct scenario_command *command, const char *key, uint64_t otherwise);
const char *scenario_plain(const struct scenario_command *command, size_t index);

#endif
