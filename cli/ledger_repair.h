/*
 * `ordain ledger repair`: refills damaged blocks and certificates of a stopped replica from the other replicas.
 */
#ifndef ORDAIN_CLI_LEDGER_REPAIR_H
#define ORDAIN_CLI_LEDGER_REPAIR_H

#include "cli/client_common.h"

struct cli_ledger_repair {
    /* Contains a ledger that this process has not open. */
    const char *directory;
    const char *genesis;
    struct cli_connection connection;
    uint32_t timeout_ms; /* allowed for each block */
    /* Leave standard output to others: report repairs on standard error. */
    bool quiet;
};

/*
 * Reports what it repairs and what it cannot repair. OK: nothing was damaged, or everything was written again; the
 * caller still verifies the whole ledger. FAILED: some damage is left. USAGE: nothing was tried. UNREACHABLE: some
 * damage is left, because no replica gave the data. INTERNAL: writing failed.
 */
int cli_ledger_repair(const struct cli_ledger_repair *arguments);
/* Prints on standard error what to do when `cli_ledger_repair` cannot help. */
void cli_ledger_repair_advice(const char *directory);

#endif
