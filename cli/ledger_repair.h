/*
 * `ordain ledger repair`: refills damaged blocks and certificates of a stopped replica from the other replicas.
 */
#ifndef ORDAIN_CLI_LEDGER_REPAIR_H
#define ORDAIN_CLI_LEDGER_REPAIR_H

#include "cli/client_common.h"

struct cli_ledger_repair {
    const char *directory; /* there is a ledger in it, and this process has it not open */
    const char *genesis;
    struct cli_connection connection;
    uint32_t timeout_ms; /* for each block */
    bool quiet;          /* standard output is for others: what is repaired is said on standard error */
};

/*
 * Says what it does and what it cannot. OK: nothing was damaged, or all of it was written again; the caller verifies the whole.
 * FAILED: something is left. USAGE: nothing was tried. UNREACHABLE: something is left, for no replica gave it. INTERNAL: writing
 * failed.
 */
int cli_ledger_repair(const struct cli_ledger_repair *arguments);
/* What to do where `cli_ledger_repair` cannot help; to standard error. */
void cli_ledger_repair_advice(const char *directory);

#endif
