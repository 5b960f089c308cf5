/*
 * The connections to a channel's replicas, and calls that ask one or all of them. The choice of a replica is never a
 * matter of trust: the caller checks or outvotes whatever a replica says.
 */
#ifndef ORDAIN_CLIENT_REPLICAS_H
#define ORDAIN_CLIENT_REPLICAS_H

#include <pthread.h>

#include "client/answers.h"
#include "client/config.h"
#include "client/wire.h"

struct client_replica {
    char name[CHANNEL_HOST_MAX + 16]; /* "host:port" */
    struct net_client *net;           /* NULL: not used, because another one is pinned */
    bool suspect;                     /* protected by `lock` */
    char suspicion[160];
};

struct client_replicas {
    uint32_t count;
    int pin; /* index, or ORDAIN_ANY_REPLICA */
    pthread_mutex_t lock;
    struct client_answers answers;
    struct client_replica list[ORD_REPLICA_MAX];
};

/* Our own TLS certificate and its key. */
struct client_pair {
    const char *cert_pem;
    const char *key_pem;
};

/* Checks that the replicas will take our certificate. INVALID: `why` says why not. NO_MEMORY and others. */
ORD_MUST_USE enum ord_err client_pair_check(const struct client_pair *pair, const struct channel_config *config,
                                            char why[NET_WHY_MAX]);

/*
 * Starts to connect to all replicas (or to the pinned one). At the other end there must be that replica: TLS must prove
 * its name, under the CA of its organisation, as the configuration has both. `addresses` has config->replica_count
 * elements; NULL: use the addresses of the configuration. On failure there is nothing to close.
 */
ORD_MUST_USE enum ord_err client_replicas_open(struct client_replicas *out, const struct channel_config *config,
                                               const struct client_address *addresses, int pin,
                                               const struct client_pair *pair, uint32_t call_max, char *why,
                                               size_t why_size);
/* Blocks until no callback runs any more. */
void client_replicas_close(struct client_replicas *replicas);

static inline bool client_replica_used(const struct client_replicas *replicas, uint32_t replica) {
    return replica < replicas->count && replicas->list[replica].net != NULL;
}
bool client_replica_up(const struct client_replicas *replicas, uint32_t replica);
/* How many replicas may be asked at all: all, or 1 when one is pinned. */
uint32_t client_replicas_used(const struct client_replicas *replicas);
/* Says why there is no connection to a replica that is used: "no connection", or what went wrong with the last one. */
void client_replica_silence(const struct client_replicas *replicas, uint32_t replica, char *out, size_t out_size);
/* Says that no replica answers, with the reason at the first one: it is silent, or why there is no connection to it. */
void client_replicas_silence(const struct client_replicas *replicas, char *out, size_t out_size);

/* Notes that a replica gave something that no honest replica gives. The first reason is kept. */
__attribute__((format(printf, 3, 4))) void client_replica_accuse(struct client_replicas *replicas, uint32_t replica,
                                                                 const char *why, ...);

/*
 * Waits for the connection, then asks one replica; `timeout_ms` applies to each of the two. Blocks. CLOSED: not
 * connected in time. TIMEOUT: no answer in time. INVALID: the answer is malformed, and the replica is accused.
 * TOO_LARGE, NO_MEMORY.
 */
ORD_MUST_USE enum ord_err client_ask(struct client_replicas *replicas, client_response **out, uint32_t replica,
                                     const client_request *request, uint32_t timeout_ms);

/*
 * Asks all replicas at once, each as soon as it is connected. `on_answer` is called in this thread for each answer
 * (INVALID: malformed; `response` is then NULL). It returns whether the answers so far are enough. client_gather
 * returns when all have answered, `grace_ms` after the answers were enough, or at the timeout. Blocks.
 */
typedef bool (*client_answer_fn)(void *context, uint32_t replica, enum ord_err err, const client_response *response);
ORD_MUST_USE enum ord_err client_gather(struct client_replicas *replicas, const client_request *request,
                                        uint32_t timeout_ms, uint32_t grace_ms, client_answer_fn on_answer,
                                        void *context);

uint64_t client_now_us(void); /* monotonic */
/* A condition variable on the monotonic clock. */
ORD_MUST_USE enum ord_err client_cond_init(pthread_cond_t *cond);
/* The same together with its lock. On failure there is nothing to destroy. */
ORD_MUST_USE enum ord_err client_lock_init(pthread_mutex_t *lock, pthread_cond_t *cond);
/* Waits on `cond` until client_now_us() is `at_us` at most; UINT64_MAX: without limit. */
void client_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t at_us);

/* Sleeps, between two polls. Blocks. */
void client_pause_us(uint64_t us);

#endif
