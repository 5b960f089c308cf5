/*
 * `ordain ledger show`, and how a block is read from disk.
 */
#ifndef ORDAIN_CLI_LEDGER_SHOW_H
#define ORDAIN_CLI_LEDGER_SHOW_H

#include "channel/block.h"
#include "ledger/ledger.h"

/* Reads a block and takes it apart; `data` borrows from `bytes`: free(bytes->data). As ledger_get_block; CORRUPT. */
ORD_MUST_USE enum ord_err cli_ledger_block(struct ledger *ledger, struct ledger_bytes *bytes,
                                           struct channel_header *header, struct ord_span *data, uint64_t height);
/* Prints the newest block and the evidence that is kept, or with `block` the one of that height. Gives an exit code. */
int cli_ledger_show(struct ledger *ledger, const uint64_t *block, bool json);
/* What the reading of a ledger came to; no memory says nothing of the ledger. */
int cli_ledger_exit_of(enum ord_err err);

#endif
