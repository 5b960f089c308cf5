/*
 * Prints messages and effects of PBFT for a golden trace.
 */
#ifndef ORDAIN_TESTS_SCENARIO_PRINT_H
#define ORDAIN_TESTS_SCENARIO_PRINT_H

#include <stdio.h>

#include "core/protocol.h"

/* Where all of it goes from now on. */
void scenario_print_to(FILE *file);
/* "?" for what is none. */
const char *scenario_type_name(uint8_t type);
const char *scenario_table_name(uint8_t table);
/* One that a core has sent: it decodes. Without a line end. */
void scenario_print_message(const struct ord_core_config *config, struct ord_span bytes);
/* A line. */
void scenario_print_effect(const struct ord_core_config *config, const struct ord_effect *effect);

#endif
