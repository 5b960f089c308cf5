/*
 * Ends the process when an invariant is broken. This is the only place in core/ that touches standard error.
 */
#include "core/assert.h"

#include <stdio.h>
#include <stdlib.h>

void ord_assert_fail(const char *expression, const char *file, int line) {
    fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, expression);
    abort();
}
