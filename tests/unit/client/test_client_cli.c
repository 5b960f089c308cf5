/* The parts of the client commands that are worth testing alone: reading transactions, percentiles, JSON text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/input.h"
#include "cli/report.h"
#include "tests/support/test_main.h"

/* Opens a temporary file with this content for reading. */
static void input_of(struct cli_input *input, const char *text, size_t size, enum cli_input_format format,
                     size_t size_max) {
    char path[256];
    char why[256];
    const char *temporary = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/ordain-input-XXXXXX", temporary != NULL ? temporary : "/tmp");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    assert_int_equal(close(fd), 0);
    assert_ok(cli_input_open(input, path, format, size_max, why, sizeof(why)));
    assert_int_equal(unlink(path), 0);
}

static void assert_next(struct cli_input *input, const char *expected, size_t size, uint64_t line) {
    struct ord_span transaction;
    assert_ok(cli_input_next(input, &transaction));
    assert_int_equal(transaction.size, size);
    assert_memory_equal(transaction.data, expected, size);
    assert_int_equal(input->line, line);
}

static void assert_end(struct cli_input *input) {
    struct ord_span transaction;
    assert_err(cli_input_next(input, &transaction), ORD_ERR_NOT_FOUND);
    assert_err(cli_input_next(input, &transaction), ORD_ERR_NOT_FOUND);
    cli_input_close(input);
}

static void lines__are_taken_as_they_stand(void **state) {
    (void) state;
    static const char text[] = "one\n\n two \0x\r\nlast";
    struct cli_input input;
    input_of(&input, text, sizeof(text) - 1, CLI_INPUT_LINES, 100);
    assert_next(&input, "one", 3, 1);
    assert_next(&input, " two \0x\r", 8, 3);
    assert_next(&input, "last", 4, 4);
    assert_end(&input);
    input_of(&input, "", 0, CLI_INPUT_LINES, 100);
    assert_end(&input);
    input_of(&input, "\n\n", 2, CLI_INPUT_LINES, 100);
    assert_end(&input);
}

static void lines__that_are_too_long_are_skipped(void **state) {
    (void) state;
    struct cli_input input;
    struct ord_span transaction;
    char text[20000];
    memset(text, 'x', sizeof(text));
    text[9999] = '\n';
    text[10000] = 'o';
    text[10001] = 'k';
    text[10002] = '\n';
    text[10003] = '\n';
    input_of(&input, text, 10003, CLI_INPUT_LINES, 9998);
    assert_err(cli_input_next(&input, &transaction), ORD_ERR_TOO_LARGE);
    assert_int_equal(input.line, 1);
    assert_next(&input, "ok", 2, 2);
    assert_end(&input);
    input_of(&input, text, 10003, CLI_INPUT_LINES, 9999);
    assert_next(&input, text, 9999, 1);
    assert_next(&input, "ok", 2, 2);
    assert_end(&input);
}

static void hex__is_decoded_line_by_line(void **state) {
    (void) state;
    static const char text[] = "00ff10Ab\n  \r\n abcd \r\nxyz\n123\nff";
    struct cli_input input;
    struct ord_span transaction;
    input_of(&input, text, sizeof(text) - 1, CLI_INPUT_HEX, 4);
    assert_next(&input, "\x00\xff\x10\xab", 4, 1);
    assert_next(&input, "\xab\xcd", 2, 3);
    assert_err(cli_input_next(&input, &transaction), ORD_ERR_INVALID);
    assert_int_equal(input.line, 4);
    assert_err(cli_input_next(&input, &transaction), ORD_ERR_INVALID);
    assert_int_equal(input.line, 5);
    assert_next(&input, "\xff", 1, 6);
    assert_end(&input);
    input_of(&input, "0011223344\n", 11, CLI_INPUT_HEX, 4);
    assert_err(cli_input_next(&input, &transaction), ORD_ERR_TOO_LARGE);
    assert_end(&input);
}

static void raw__is_the_whole_file(void **state) {
    (void) state;
    static const char text[] = "a\nb\0c\n";
    struct cli_input input;
    struct ord_span transaction;
    input_of(&input, text, sizeof(text) - 1, CLI_INPUT_RAW, 6);
    assert_next(&input, text, 6, 1);
    assert_end(&input);
    input_of(&input, text, sizeof(text) - 1, CLI_INPUT_RAW, 5);
    assert_err(cli_input_next(&input, &transaction), ORD_ERR_TOO_LARGE);
    assert_end(&input);
    char why[256] = "";
    assert_err(cli_input_open(&input, "/nowhere/at/all", CLI_INPUT_RAW, 5, why, sizeof(why)), ORD_ERR_NOT_FOUND);
    assert_non_null(strstr(why, "/nowhere/at/all"));
}

static void percentile__is_exact_for_small_values(void **state) {
    (void) state;
    static struct cli_latencies latencies;
    memset(&latencies, 0, sizeof(latencies));
    assert_int_equal(cli_latency_percentile(&latencies, 50.0), 0);
    for (uint64_t us = 1; us <= 60; us++)
        cli_latency_add(&latencies, us);
    assert_int_equal(cli_latency_percentile(&latencies, 50.0), 30);
    assert_int_equal(cli_latency_percentile(&latencies, 90.0), 54);
    assert_int_equal(cli_latency_percentile(&latencies, 100.0), 60);
    assert_int_equal(cli_latency_percentile(&latencies, 0.0), 1);
}

static void percentile__is_close_for_any_value(void **state) {
    (void) state;
    static struct cli_latencies latencies;
    for (uint64_t us = 1; us < (uint64_t) 1 << 40; us = us * 3 / 2 + 1) {
        memset(&latencies, 0, sizeof(latencies));
        cli_latency_add(&latencies, us);
        cli_latency_add(&latencies, us);
        cli_latency_add(&latencies, us * 4);
        uint64_t median = cli_latency_percentile(&latencies, 50.0);
        assert_true(median >= us && median <= us + us / 64 + 1);
        assert_int_equal(cli_latency_percentile(&latencies, 99.0), us * 4);
    }
    memset(&latencies, 0, sizeof(latencies));
    cli_latency_add(&latencies, UINT64_MAX);
    assert_true(cli_latency_percentile(&latencies, 50.0) == UINT64_MAX);
}

static void percentile__of_a_skewed_set(void **state) {
    (void) state;
    static struct cli_latencies latencies;
    memset(&latencies, 0, sizeof(latencies));
    for (int i = 0; i < 980; i++)
        cli_latency_add(&latencies, 1000);
    for (int i = 0; i < 20; i++)
        cli_latency_add(&latencies, 100000);
    uint64_t p90 = cli_latency_percentile(&latencies, 90.0);
    uint64_t p99 = cli_latency_percentile(&latencies, 99.0);
    assert_true(p90 >= 1000 && p90 < 1016);
    assert_int_equal(p99, 100000);
}

static void json__text_is_escaped(void **state) {
    (void) state;
    char out[128] = "";
    FILE *file = fmemopen(out, sizeof(out), "w");
    assert_non_null(file);
    cli_json_text(file, "a\"b\\c\n\x1b\xff");
    cli_json_hex(file, "\x01\xfe", 2);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(out, "\"a\\\"b\\\\c\\u000a\\u001b\\u00ff\"\"01fe\"");
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(lines__are_taken_as_they_stand),        cmocka_unit_test(lines__that_are_too_long_are_skipped),
    cmocka_unit_test(hex__is_decoded_line_by_line),          cmocka_unit_test(raw__is_the_whole_file),
    cmocka_unit_test(percentile__is_exact_for_small_values), cmocka_unit_test(percentile__is_close_for_any_value),
    cmocka_unit_test(percentile__of_a_skewed_set),           cmocka_unit_test(json__text_is_escaped),
};
TEST_CASES(cases);
