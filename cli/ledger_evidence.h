/* The evidence that a replica keeps on disk; part of `ordain ledger`. */
#ifndef ORDAIN_CLI_LEDGER_EVIDENCE_H
#define ORDAIN_CLI_LEDGER_EVIDENCE_H

#include "client/trust.h"
#include "evidence/evidence.h"
#include "ledger/ledger.h"

/*
 * Checks every piece of evidence in a ledger against a genesis block and counts the pieces. `each` (may be NULL) is
 * called with what each piece proves. CORRUPT: a piece proves nothing, and `why` gets a sentence. Other errors as from
 * the ledger.
 */
typedef void (*cli_ledger_evidence_fn)(void *context, const struct evidence_claim *claim);
ORD_MUST_USE enum ord_err cli_ledger_evidence(uint32_t *count, struct ledger *ledger, const struct client_trust *trust,
                                              cli_ledger_evidence_fn each, void *context, char *why, size_t why_size);

/*
 * Prints the list for `ordain ledger show`. It is checked against the genesis block in the ledger itself. If a piece
 * does not hold, or on NO_MEMORY, it returns an error, and standard error says which.
 */
enum ord_err cli_ledger_evidence_print(struct ledger *ledger, bool json);

#endif
