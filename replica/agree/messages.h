/*
 * Messages of the consensus core, and what one sender's messages may take of the checks that all senders share.
 */
#ifndef ORDAIN_REPLICA_MESSAGES_H
#define ORDAIN_REPLICA_MESSAGES_H

#include "core/protocol.h"
#include "replica/verify.h"

/* What a sender's messages take of the vote and view queues now. */
struct account {
    uint32_t checks_open; /* <= MESSAGES_CHECKS_MAX */
    uint32_t cost_open;   /* signatures to check in them, at most */
    uint32_t costly_open; /* of them in the view queue */
    uint64_t debt;        /* signatures beyond the allowance that its messages have used, as of debt_ms */
    uint64_t debt_ms;
    uint64_t ignored_until_ms; /* a check of its failed: nothing of its is checked until then */
};

#define MESSAGES_CHECKS_MAX 512 /* of one sender, at a time */

void message_received(struct replica *replica, ord_node_id from, struct ord_span bytes, void *owner);
/* A check of a message is back: true when the core is to get it. */
bool message_checked(struct replica *replica, struct replica_check *check, struct ord_event *out);

/* Before and after a check of this sender's. False: the message is to be dropped. */
bool account_begin(struct replica *replica, ord_node_id from);
void account_end(struct replica *replica, const struct replica_check *check);
/* A view was installed: what its view changes cost is forgotten. */
void accounts_forgive(struct replica *replica);

/* NULL: no memory. Holds `owner`, which may be NULL. */
struct replica_check *check_create(struct replica *replica, enum replica_check_type type, enum replica_queue queue,
                                   ord_node_id from, struct ord_span bytes, void *owner);
/* Releases the owner; frees the check with what belongs to it. */
void check_destroy(struct replica *replica, struct replica_check *check);
void check_hand_out(struct replica *replica, struct replica_check *check);

#endif
