#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/number.h"
#include "client/ordain.h"
#include "core/assert.h"

#define OPTIONS_MAX    40
#define CODE_FIRST     256 /* getopt's code of the first option; smaller codes are letters */
#define COLUMN_DEFAULT 23
#define SECONDS_MAX    4320000.0

static void print_help(const struct cli_options *options) {
    int column = options->column != 0 ? (int) options->column : COLUMN_DEFAULT;
    fputs(options->usage, stdout);
    for (size_t i = 0; i < options->count; i++) {
        const struct cli_option *option = &options->list[i];
        if (option->help == NULL)
            continue;
        if (option->name != NULL) {
            const char *value = option->value;
            int used = printf("  --%s%s%s", option->name, value != NULL ? " " : "", value != NULL ? value : "");
            if (used >= column) {
                putchar('\n');
                used = 0;
            }
            printf("%*s", column - used, "");
        }
        fputs(option->help, stdout);
        if (option->has_default)
            printf(" (%llu)", (unsigned long long) option->fallback);
        putchar('\n');
    }
    fputs(options->notes, stdout);
}

static bool take_seconds(uint32_t *out_ms, const char *text) {
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0.001 && seconds <= SECONDS_MAX))
        return false;
    double ms = seconds * 1000.0;
    *out_ms = ms > (double) UINT32_MAX ? UINT32_MAX : (uint32_t) ms;
    return true;
}

/* NULL: the value is taken; otherwise what the option wants. `range` is room for such words. */
static const char *take_value(const struct cli_option *option, const char *text, char range[96]) {
    uint64_t number = 0;
    if (option->take != NULL)
        return option->take(option->into, text);
    if (option->milliseconds != NULL)
        return take_seconds(option->milliseconds, text) ? NULL : "seconds (such as 30 or 0.5)";
    if (option->replica != NULL) {
        if (cli_number(&number, text, 0, ORDAIN_REPLICA_MAX - 1) != ORD_OK)
            return "a replica's number from 0";
        *option->replica = (int) number;
    } else if (option->text != NULL) {
        *option->text = text;
    } else if (option->number != NULL || option->number64 != NULL) {
        snprintf(range, 96, "a number from %llu to %llu", (unsigned long long) option->min,
                 (unsigned long long) option->max);
        if ((option->suffix ? cli_size : cli_number)(&number, text, option->min, option->max) != ORD_OK)
            return option->wants != NULL ? option->wants : range;
        if (option->number != NULL)
            *option->number = (uint32_t) number;
        else
            *option->number64 = number;
    } else if (option->flag != NULL) {
        *option->flag = true;
    }
    return NULL;
}

static int code_of(const struct cli_options *options, size_t index) {
    char letter = options->list[index].letter;
    return letter != 0 ? letter : CODE_FIRST + (int) index;
}

bool cli_options_parse(int *exit_code, const struct cli_options *options, int argc, char **argv) {
    struct option known[OPTIONS_MAX] = {{"help", no_argument, NULL, 'h'}};
    char letters[2 * OPTIONS_MAX] = "h";
    ORD_ASSERT(options->count + 2 <= OPTIONS_MAX);
    for (size_t i = 0, last = 0, letter = 0; i < options->count; i++) {
        const struct cli_option *option = &options->list[i];
        if (option->name == NULL)
            continue;
        int has_value = option->value != NULL ? required_argument : no_argument;
        known[++last] = (struct option) {option->name, has_value, NULL, code_of(options, i)};
        if (option->letter != 0) {
            letters[++letter] = option->letter;
            letters[++letter] = ':';
        }
    }
    *exit_code = CLI_EXIT_USAGE;
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, letters, known, NULL)) != -1;) {
        if (code == 'h') {
            print_help(options);
            *exit_code = CLI_EXIT_OK;
            return false;
        }
        if (code == '?')
            return false;
        size_t i = 0;
        while (options->list[i].name == NULL || code_of(options, i) != code)
            i++;
        char range[96];
        const struct cli_option *option = &options->list[i];
        const char *wanted = take_value(option, optarg, range);
        if (wanted != NULL) {
            cli_say("--%s wants %s, found '%s'", option->name, wanted, optarg);
            return false;
        }
        if (option->given != NULL)
            ++*option->given;
    }
    if (optind < argc && !options->operands) {
        fprintf(stderr, "%s: what is '%s'? See `%s --help`\n", argv[0], argv[optind], argv[0]);
        return false;
    }
    *exit_code = CLI_EXIT_OK;
    return true;
}

bool cli_options_accept(int *exit_code, const char *wrong) {
    if (wrong != NULL)
        *exit_code = cli_usage(wrong);
    return wrong == NULL;
}
