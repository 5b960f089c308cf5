/*
 * Genomes as text.
 */
#include <string.h>

#include "sim/genome.h"
#include "tests/support/test_main.h"

static void text__reads_what_it_wrote(void **state) {
    (void) state;
    struct sim_random random = sim_random_of(1, 0);
    struct sim_genome genome;
    struct sim_genome read;
    char text[SIM_GENOME_TEXT_MAX];
    char again[SIM_GENOME_TEXT_MAX];
    for (uint32_t i = 0; i < 20000; i++) {
        if (i % 50 == 0)
            sim_genome_draw(&genome, &random);
        else
            sim_genome_mutate(&genome, &random);
        sim_genome_print(text, &genome);
        assert_true(sim_genome_parse(&read, text));
        sim_genome_print(again, &read);
        assert_string_equal(text, again);
        assert_int_equal(read.count, genome.count);
    }
}

static void text__has_room_for_the_longest(void **state) {
    (void) state;
    static const char longest[] = "certificate/leader/following/delay:3000/every:64";
    char text[SIM_GENOME_TEXT_MAX];
    struct sim_genome genome;
    assert_true(sim_genome_parse(&genome, longest));
    genome.count = SIM_RULES_MAX;
    for (uint32_t i = 1; i < SIM_RULES_MAX; i++)
        genome.rules[i] = genome.rules[0];
    sim_genome_print(text, &genome);
    assert_int_equal(strlen(text), SIM_RULES_MAX * sizeof(longest) - 1);
}

static void text__refuses_what_is_no_genome(void **state) {
    (void) state;
    static const char *const wrong[] = {
        "",
        "commit",
        "commit/all/leading/drop",
        "commit/all/leading/drop/",
        "commit/all/leading/drop/0%",
        "commit/all/leading/drop/101%",
        "commit/all/leading/drop/50",
        "commit/all/leading/drop:5/50%",
        "commit/all/leading/delay/50%",
        "commit/all/leading/delay:3001/50%",
        "commit/all/leading/delay:-1/50%",
        "commit/all/leading/hold:5/every",
        "commit/all/leading/hold:5/every:0",
        "commit/all/leading/hold:5/every:3,",
        "commit/all/leading/hold:5/every:3 ",
        "commit/nobody/leading/drop/50%",
        "commits/all/leading/drop/50%",
        "answer/all/any/copy:3/50%",
        /* six rules */
        ("any/all/any/drop/1%,any/all/any/drop/1%,any/all/any/drop/1%,any/all/any/drop/1%,any/all/any/drop/1%,"
         "any/all/any/drop/1%"),
    };
    struct sim_genome genome;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(sim_genome_parse(&genome, wrong[i]));
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(text__reads_what_it_wrote),
    cmocka_unit_test(text__has_room_for_the_longest),
    cmocka_unit_test(text__refuses_what_is_no_genome),
};
TEST_CASES(cases);
