/*
 * Plays a script and compares, for each protocol's program of golden traces.
 */
#include "tests/scenario/scenario_script.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"

#define LINE_MAX_SIZE 512

_Noreturn void scenario_fail(const char *why, const char *what) {
    fprintf(stderr, "%s: %s\n", why, what);
    exit(2);
}

const char *scenario_option(const struct scenario_command *command, const char *key) {
    size_t size = strlen(key);
    for (size_t i = 0; i < command->option_count; i++)
        if (strncmp(command->options[i], key, size) == 0 && command->options[i][size] == '=')
            return command->options[i] + size + 1;
    return NULL;
}

uint64_t scenario_number(const char *text) {
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0')
        scenario_fail("not a number", text);
    return value;
}

uint64_t scenario_number_option(const struct scenario_command *command, const char *key, uint64_t otherwise) {
    const char *text = scenario_option(command, key);
    return text == NULL ? otherwise : scenario_number(text);
}

const char *scenario_plain(const struct scenario_command *command, size_t index) {
    if (index >= command->plain_count)
        scenario_fail("a word is missing", command->plain[0]);
    return command->plain[index];
}

/* Splits `line` into a command and runs it. */
static void run_line(const struct scenario_player *player, char *line) {
    struct scenario_command command = {.plain_count = 0};
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest)) {
        if (command.plain_count == SCENARIO_WORD_MAX || command.option_count == SCENARIO_WORD_MAX)
            scenario_fail("too many words", line);
        if (strchr(word, '=') != NULL)
            command.options[command.option_count++] = word;
        else
            command.plain[command.plain_count++] = word;
    }
    if (command.plain_count == 0)
        scenario_fail("no command", line);
    player->run(&command);
}

/* Runs a script. Returns the script as it would read with the present results as expectations. */
static char *run_script(const struct scenario_player *player, FILE *script, size_t *size) {
    char *text = NULL;
    char line[LINE_MAX_SIZE];
    bool expecting = false;
    FILE *out = open_memstream(&text, size);
    ORD_ASSERT(out != NULL);
    player->begin(out);
    while (fgets(line, sizeof(line), script) != NULL) {
        if (expecting && line[0] != '\n')
            continue; /* skip the old expectations */
        if (expecting) {
            expecting = false;
            fputc('\n', out);
            continue;
        }
        fputs(line, out);
        if (line[0] == '\n' || line[0] == '#')
            continue;
        char commands[SCENARIO_WORD_MAX][LINE_MAX_SIZE];
        size_t count = 0;
        for (; strcmp(line, "----\n") != 0; count++) {
            if (count == SCENARIO_WORD_MAX)
                scenario_fail("too many commands in a block", line);
            memcpy(commands[count], line, sizeof(line));
            if (fgets(line, sizeof(line), script) == NULL)
                scenario_fail("a block without ----", commands[count]);
            fputs(line, out);
        }
        for (size_t i = 0; i < count; i++)
            run_line(player, commands[i]);
        expecting = true;
    }
    player->end();
    fclose(out);
    return text;
}

/* Prints the first line that differs. */
static void show_difference(const char *path, const char *expected, const char *actual) {
    size_t line = 1;
    while (*expected != '\0' && *expected == *actual) {
        line += *expected == '\n';
        expected++;
        actual++;
    }
    while (line > 1 && expected[-1] != '\n') {
        expected--;
        actual--;
    }
    fprintf(stderr, "%s:%zu:\n  expected: %.*s\n  happened: %.*s\n", path, line, (int) strcspn(expected, "\n"),
            expected, (int) strcspn(actual, "\n"), actual);
}

int scenario_main(int argc, char **argv, const struct scenario_player *player) {
    bool rewrite = argc == 3 && strcmp(argv[1], "--rewrite") == 0;
    if (argc != 2 + rewrite) {
        fprintf(stderr, "usage: %s [--rewrite] FILE\n", player->name);
        return 2;
    }
    const char *path = argv[argc - 1];
    FILE *script = fopen(path, "r");
    if (script == NULL)
        scenario_fail("cannot open", path);
    size_t size = 0;
    char *actual = run_script(player, script, &size);
    if (fseek(script, 0, SEEK_END) != 0)
        scenario_fail("cannot read", path);
    size_t expected_size = (size_t) ftell(script);
    rewind(script);
    char *expected = calloc(1, expected_size + 1);
    if (expected == NULL || fread(expected, 1, expected_size, script) != expected_size)
        scenario_fail("cannot read", path);
    fclose(script);
    int result = expected_size == size && memcmp(expected, actual, size) == 0 ? 0 : 1;
    if (result != 0 && rewrite) {
        script = fopen(path, "w");
        if (script == NULL || fwrite(actual, 1, size, script) != size || fclose(script) != 0)
            scenario_fail("cannot write", path);
        result = 0;
    } else if (result != 0) {
        show_difference(path, expected, actual);
    }
    free(expected);
    free(actual);
    return result;
}
