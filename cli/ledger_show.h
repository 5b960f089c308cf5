/* `ordain ledger show`, and reading a block from disk. */
#ifndef ORDAIN_CLI_LEDGER_SHOW_H
#define ORDAIN_CLI_LEDGER_SHOW_H

#include "channel/block.h"
#include "ledger/ledger.h"

/*
 * Reads a block and splits it. `data` borrows from `bytes`, so the caller frees bytes->data last. Errors as from
 * ledger_get_block; CORRUPT.
 */
ORD_MUST_USE enum ord_err cli_ledger_block(struct ledger *ledger, struct ord_bytes *bytes,
                                           struct channel_header *header, struct ord_span *data, uint64_t height);
/*
 * Prints the newest block and the evidence that is kept, or the block at height *block if `block` is given. Returns an
 * exit code.
 */
int cli_ledger_show(struct ledger *ledger, const uint64_t *block, bool json);
/* The exit code for the result of reading a ledger. Lack of memory says nothing about the ledger, so it is INTERNAL. */
int cli_ledger_exit_of(enum ord_err err);

#endif
