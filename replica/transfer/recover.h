/*
 * State from the store.
 */
#ifndef ORDAIN_REPLICA_RECOVER_H
#define ORDAIN_REPLICA_RECOVER_H

#include "core/protocol.h"

struct replica;

/* The channel, as of the newest whole turn; begins a store that is empty. `why` gets a sentence. */
ORD_MUST_USE enum ord_err recover_channel(struct replica *replica, enum ord_err (*begin_commit)(void *context),
                                          char *why, size_t why_size);
/* Evidence, certificates and points; then the core's START, which the caller steps. free(*records) afterwards. */
ORD_MUST_USE enum ord_err recover_core(struct replica *replica, struct ord_event *start, struct ord_record **records,
                                       char *why, size_t why_size);
/* What depends on the started core. */
void recover_finish(struct replica *replica, size_t record_count);
/* "ledger: WHAT: ERROR", and what helps. Gives CORRUPT for NOT_FOUND, else `err`. */
enum ord_err recover_failed(char *why, size_t why_size, const char *what, enum ord_err err);

#endif
