/*
 * Messages of the consensus core, and each sender's share of the checks that all senders share.
 */
#ifndef ORDAIN_REPLICA_MESSAGES_H
#define ORDAIN_REPLICA_MESSAGES_H

#include "core/protocol.h"
#include "replica/replica.h"
#include "replica/verify.h"

/* Limit of one sender's checks at a time, those that wait included. */
#define MESSAGES_CHECKS_MAX 512
/*
 * Limit of the load of one sender's checks that the host has: of messages, and as much of attestations and
 * certificates. A single check may have more.
 */
#define MESSAGES_LOAD_MAX 16

/* Checks of a sender's that keep their order. No lane waits for the other. */
struct account_lane {
    /* Sum of the loads of those that the host has; each is at least 1. <= MESSAGES_LOAD_MAX, or a single check's. */
    uint32_t load_open;
    /* The checks that wait for these, in order of arrival. */
    struct replica_check *first;
    struct replica_check *last;
    struct replica_waiting waiting;
};

/* The part of the vote and view queues that a sender's messages take now. */
struct account {
    /* The checks that the host has. With those that wait, <= MESSAGES_CHECKS_MAX. */
    uint32_t checks_open;
    struct replica_check *open[2 * MESSAGES_LOAD_MAX];
    /* Upper bound of the signatures to check in them. */
    uint32_t cost_open;
    /* How many of them are in the view queue. */
    uint32_t costly_open;
    /* Of messages, and of attestations and certificates. */
    struct account_lane lanes[2];
    /* Signatures beyond the allowance that its messages have used, as of debt_ms. */
    uint64_t debt;
    uint64_t debt_ms;
    /* A check of this sender's failed. Until this time nothing that it sends is checked. */
    uint64_t ignored_until_ms;
};

void message_received(struct replica *replica, ord_node_id from, struct ord_span bytes, void *owner);
/* Takes a check of a message that is back. True: the core is to get `out`. */
bool message_checked(struct replica *replica, struct replica_check *check, struct ord_event *out);

/* Makes a check of this sender's. NULL: the message is to be dropped. */
struct replica_check *account_check(struct replica *replica, enum replica_check_type type, ord_node_id from,
                                    struct ord_span bytes, void *owner);
/* Hands the check out as soon as the sender's earlier ones allow it. It may be dropped before that. */
void account_hand_out(struct replica *replica, struct replica_check *check);
/* Takes a check of a sender's that is back. */
void account_end(struct replica *replica, const struct replica_check *check);
/* A check of this sender's is back, and its outcome was used: hands out those that waited for it. */
void account_go_on(struct replica *replica, ord_node_id from);
/* The checks of both lanes that wait. */
struct replica_waiting account_waiting(const struct account *account);
/* Drops the checks that wait. */
void accounts_deinit(struct replica *replica);
/* A view was installed: forgives the debts that its view changes caused. */
void accounts_forgive(struct replica *replica);

/* NULL: no memory. Holds `owner`, which may be NULL. */
struct replica_check *check_create(struct replica *replica, enum replica_check_type type, enum replica_queue queue,
                                   ord_node_id from, struct ord_span bytes, void *owner);
/* Releases the owner, and frees the check with everything that belongs to it. */
void check_destroy(struct replica *replica, struct replica_check *check);
void check_hand_out(struct replica *replica, struct replica_check *check);

#endif
