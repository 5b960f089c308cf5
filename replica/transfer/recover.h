/*
 * Recovery of a replica's state from the store.
 */
#ifndef ORDAIN_REPLICA_RECOVER_H
#define ORDAIN_REPLICA_RECOVER_H

#include "core/protocol.h"

struct replica;

/* Recovers the channel as of the newest whole turn. Begins a store that is empty. `why` gets a sentence. */
ORD_MUST_USE enum ord_err recover_channel(struct replica *replica, char *why, size_t why_size);
/*
 * Recovers evidence, certificates and points, and makes the core's START, which the caller steps. Then free(*records).
 */
ORD_MUST_USE enum ord_err recover_core(struct replica *replica, struct ord_event *start, struct ord_record **records,
                                       char *why, size_t why_size);
/* Recovers what depends on the started core. */
void recover_finish(struct replica *replica, size_t record_count);
/* Writes "ledger: WHAT: ERROR", and what helps. Returns CORRUPT for NOT_FOUND, else `err`. */
enum ord_err recover_failed(char *why, size_t why_size, const char *what, enum ord_err err);

#endif
