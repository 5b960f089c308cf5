/*
 * Prints messages and effects of Raft for a golden trace.
 */
#ifndef ORDAIN_TESTS_SCENARIO_RAFT_PRINT_H
#define ORDAIN_TESTS_SCENARIO_RAFT_PRINT_H

#include <stdio.h>

#include "core/protocol.h"

/* All output goes to `file` from now on. */
void scenario_raft_print_to(FILE *file);
/* "?" for an unknown value. */
const char *scenario_raft_type_name(uint8_t type);
/* Prints a message that a core has sent (so it decodes), without a line end. */
void scenario_raft_print_message(const struct ord_core_config *config, struct ord_span bytes);
/* Prints an effect as one line. SEND and WAKE_AT print nothing: a message is printed when it arrives or is lost. */
void scenario_raft_print_effect(const struct ord_core_config *config, const struct ord_effect *effect);

#endif
