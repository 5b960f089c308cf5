/*
 * Connections that did not come up. A stranger can make many, from many addresses, so the table is small, the entry
 * that came longest ago gives way, and a new entry is logged only while few of them are new.
 */
#include "node/handshakes.h"

#include <string.h>

#include "node/log.h"
#include "node/node_internal.h"

enum {
    /* New entries in a row that are all logged. From there on, one of `turn`'s powers of two is. */
    LOGGED_FREELY = 64,
};

void handshakes_init(struct handshakes *handshakes) {
    pthread_mutex_init(&handshakes->mutex, NULL);
}

void handshakes_deinit(struct handshakes *handshakes) {
    pthread_mutex_destroy(&handshakes->mutex);
}

static bool power_of_two(uint64_t count) {
    return (count & (count - 1)) == 0;
}

/* Copies the address of "address:port". */
static void copy_address(char out[NET_PEER_MAX], const char *peer) {
    const char *colon = strrchr(peer, ':');
    size_t size = colon == NULL ? strlen(peer) : (size_t) (colon - peer);
    memcpy(out, peer, size);
    out[size] = '\0';
}

/* Finds the entry of a failure, or makes it in the place of the one that came longest ago. */
static struct handshakes_entry *find(struct handshakes *handshakes, const char *where,
                                     const struct net_failure *failure) {
    char address[NET_PEER_MAX];
    copy_address(address, failure->peer);
    struct handshakes_entry *oldest = &handshakes->entries[0];
    for (size_t i = 0; i < HANDSHAKES_KNOWN; i++) {
        struct handshakes_entry *entry = &handshakes->entries[i];
        if (entry->count > 0 && strcmp(entry->where, where) == 0 && strcmp(entry->address, address) == 0 &&
            strcmp(entry->subject, failure->subject) == 0 && strcmp(entry->why, failure->why) == 0)
            return entry;
        if (entry->last < oldest->last)
            oldest = entry;
    }
    *oldest = (struct handshakes_entry) {.where = where};
    memcpy(oldest->address, address, sizeof(address));
    memcpy(oldest->subject, failure->subject, sizeof(oldest->subject));
    memcpy(oldest->why, failure->why, sizeof(oldest->why));
    return oldest;
}

/* Counts the failure, and logs it if this is its 1st, 2nd, 4th ... time. `where` is a constant. */
static void note(struct node *node, const char *where, const struct net_failure *failure) {
    struct handshakes *handshakes = &node->handshakes;
    count_add(&node->counters.handshakes_failed, 1);
    pthread_mutex_lock(&handshakes->mutex);
    uint64_t turn = ++handshakes->turn;
    struct handshakes_entry *entry = find(handshakes, where, failure);
    entry->last = turn;
    uint64_t count = ++entry->count;
    pthread_mutex_unlock(&handshakes->mutex);
    if (count == 1 ? turn <= LOGGED_FREELY || power_of_two(turn) : power_of_two(count))
        node_log(NODE_LOG_WARN, "handshake_failed", "at=%s peer=%s certificate=\"%s\" why=\"%s\" times=%llu", where,
                 failure->peer, failure->subject, failure->why, (unsigned long long) count);
}

void handshakes_on_client(void *context, const struct net_failure *failure) {
    note(context, "client_port", failure);
}

void handshakes_on_replica(void *context, const struct net_failure *failure) {
    note(context, "replica_port", failure);
}

void handshakes_on_link(void *context, const struct net_failure *failure) {
    const struct peer *peer = context;
    note(peer->node, "link", failure);
}
