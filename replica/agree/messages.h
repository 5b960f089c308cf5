/*
 * Messages of the consensus core, and each sender's share of the checks that all senders share.
 */
#ifndef ORDAIN_REPLICA_MESSAGES_H
#define ORDAIN_REPLICA_MESSAGES_H

#include "core/protocol.h"
#include "replica/verify.h"

/* The part of the vote and view queues that a sender's messages take now. */
struct account {
    uint32_t checks_open; /* <= MESSAGES_CHECKS_MAX */
    /* Upper bound of the signatures to check in them. */
    uint32_t cost_open;
    /* How many of its checks are in the view queue. */
    uint32_t costly_open;
    /* Signatures beyond the allowance that its messages have used, as of debt_ms. */
    uint64_t debt;
    uint64_t debt_ms;
    /* A check of this sender's failed. Until this time nothing that it sends is checked. */
    uint64_t ignored_until_ms;
};

/* Limit of one sender's checks at a time. */
#define MESSAGES_CHECKS_MAX 512

void message_received(struct replica *replica, ord_node_id from, struct ord_span bytes, void *owner);
/* Takes a check of a message that is back. True: the core is to get `out`. */
bool message_checked(struct replica *replica, struct replica_check *check, struct ord_event *out);

/* Makes a check of this sender's. NULL: the message is to be dropped. */
struct replica_check *account_check(struct replica *replica, enum replica_check_type type, enum replica_queue queue,
                                    ord_node_id from, struct ord_span bytes, void *owner);
/* Takes a check of a sender's that is back. */
void account_end(struct replica *replica, const struct replica_check *check);
/* A view was installed: forgives the debts that its view changes caused. */
void accounts_forgive(struct replica *replica);

/* NULL: no memory. Holds `owner`, which may be NULL. */
struct replica_check *check_create(struct replica *replica, enum replica_check_type type, enum replica_queue queue,
                                   ord_node_id from, struct ord_span bytes, void *owner);
/* Releases the owner, and frees the check with everything that belongs to it. */
void check_destroy(struct replica *replica, struct replica_check *check);
void check_hand_out(struct replica *replica, struct replica_check *check);

#endif
