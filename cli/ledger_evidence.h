/*
 * Evidence that a replica keeps, on disk: a part of `ordain ledger`.
 */
#ifndef ORDAIN_CLI_LEDGER_EVIDENCE_H
#define ORDAIN_CLI_LEDGER_EVIDENCE_H

#include "evidence/evidence.h"
#include "ledger/ledger.h"

/*
 * Checks every piece of evidence in a ledger against a configuration and counts them; `each` (may be NULL) gets what it proves.
 * CORRUPT: a piece that proves nothing, and `why` gets a sentence; others as the ledger's.
 */
typedef void (*cli_ledger_evidence_fn)(void *context, const struct evidence_claim *claim);
ORD_MUST_USE enum ord_err cli_ledger_evidence(uint32_t *count, struct ledger *ledger,
                                              const struct channel_config *config, const struct ord_hash *genesis_hash,
                                              const struct ord_crypto_ops *crypto, cli_ledger_evidence_fn each,
                                              void *context, char *why, size_t why_size);

/*
 * A list for `ordain ledger show`, checked against the genesis block that is in the ledger itself. Not OK: some of it does not hold, or NO_MEMORY,
 * and standard error says which.
 */
enum ord_err cli_ledger_evidence_print(struct ledger *ledger, bool json);

#endif
