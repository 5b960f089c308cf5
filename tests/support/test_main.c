/*
 * Runs the cases of one test file. Fails if the given name matches no case, so that a renamed case cannot pass by not
 * running.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    struct CMUnitTest *chosen = calloc(test_cases.count, sizeof(*chosen));
    if (chosen == NULL)
        return 2;
    size_t count = 0;
    for (size_t i = 0; i < test_cases.count; i++)
        if (argc < 2 || strcmp(argv[1], test_cases.cases[i].name) == 0)
            chosen[count++] = test_cases.cases[i];
    if (count == 0) {
        fprintf(stderr, "no case %s\n", argc < 2 ? "at all" : argv[1]);
        free(chosen);
        return 2;
    }
    int failed = _cmocka_run_group_tests(argv[0], chosen, count, NULL, NULL);
    free(chosen);
    return failed == 0 ? 0 : 1;
}
