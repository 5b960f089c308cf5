/*
 * Admission of envelopes that clients submit to this replica, and of those that backups forward to it.
 */
#ifndef ORDAIN_REPLICA_ADMISSION_H
#define ORDAIN_REPLICA_ADMISSION_H

#include "replica/host.h"
#include "replica/intake/pool.h"
#include "replica/intake/shares.h"

ORD_MUST_USE enum ord_err admission_init(struct replica *replica);
void admission_deinit(struct replica *replica);
void admission_submitted(struct replica *replica, struct replica_submission *submission);
void admission_forwarded(struct replica *replica, ord_node_id from, struct ord_span batch);
/* True if an envelope with this key would be admitted now, as far as its key tells, if replica `from` forwarded it. */
bool admission_wants(struct replica *replica, ord_node_id from, struct pool_key key);
/* `dropped`: the check will never be done, and its envelopes are answered BUSY. */
void admission_checked(struct replica *replica, struct replica_check *check, bool dropped);
/* Removes executed and too old envelopes from the pool. */
void admission_sweep(struct replica *replica);
/* True if this envelope no longer needs ordering. The entry must be settled (its signature was checked). */
bool admission_is_over(struct replica *replica, const struct pool_entry *entry);

#endif
