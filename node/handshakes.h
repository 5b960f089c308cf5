/*
 * Connections that did not come up, in the log: each reason once, and again when it has come 2, 4, 8 ... times.
 */
#ifndef ORDAIN_NODE_HANDSHAKES_H
#define ORDAIN_NODE_HANDSHAKES_H

#include <pthread.h>

#include "net/net.h"

enum { HANDSHAKES_KNOWN = 32 };

/* A reason at one address, without its port. */
struct handshakes_entry {
    uint64_t count;    /* 0: free */
    uint64_t last;     /* `turn` when it came last */
    const char *where; /* the listener, or the kind of link */
    char address[NET_PEER_MAX];
    char subject[NET_SUBJECT_MAX];
    char why[NET_WHY_MAX];
};

struct handshakes {
    pthread_mutex_t mutex; /* guards all the following fields */
    uint64_t turn;
    struct handshakes_entry entries[HANDSHAKES_KNOWN];
};

void handshakes_init(struct handshakes *handshakes);
void handshakes_deinit(struct handshakes *handshakes);
/* `on_failure` of the listeners, whose context is the node, and of a link, whose context is its struct peer. */
void handshakes_on_client(void *context, const struct net_failure *failure);
void handshakes_on_replica(void *context, const struct net_failure *failure);
void handshakes_on_link(void *context, const struct net_failure *failure);

#endif
