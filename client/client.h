/*
 * A client of one channel: everything that ordain_open put together. It does not change afterwards, except that the
 * first submit creates the engine.
 */
#ifndef ORDAIN_CLIENT_CLIENT_H
#define ORDAIN_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/config.h"
#include "client/ordain.h"
#include "client/replicas.h"
#include "client/trust.h"

struct client_engine;

struct ordain {
    struct client_config config;
    /* The bytes of the genesis file; `trust` borrows them. */
    char *genesis;
    size_t genesis_size;
    struct client_trust trust;
    struct crypto_private_key key;
    uint8_t cert_der[CRYPTO_CERT_DER_MAX];
    size_t cert_size;
    struct ord_hash fingerprint;
    bool receipts;
    struct client_replicas replicas;
    pthread_mutex_t prepare_lock;
    /* NULL until the client is prepared; set once, under prepare_lock. */
    _Atomic(struct client_engine *) engine;
};

/* Where the client stands on its channel, according to enough replicas. */
struct client_standing {
    uint64_t position;        /* highest sequence number that was ordered */
    uint64_t config_sequence; /* number of the configuration in force */
};

/*
 * How many replicas must agree before a client believes an unproved statement: enough that one of them is honest. 1
 * when one replica is pinned.
 */
uint32_t client_believable(const struct ordain *client);

/* The highest number of replicas that may make the same false statement; 0 when one replica is pinned. */
uint32_t client_liars_max(const struct ordain *client);

/*
 * Registers the client if need be, and finds its position. Blocks. UNREACHABLE: no replica answered. TIMEOUT: the
 * registration was sent, but is not executed yet. FORBIDDEN and others: the replicas refused; `why` gets what they
 * said. UNVERIFIED: the replicas serve another network.
 */
ORD_MUST_USE enum ordain_error client_register(struct ordain *client, struct client_standing *out, uint32_t timeout_ms,
                                               char *why, size_t why_size);

/* Encodes and signs the registration envelope; malloc'ed. */
ORD_MUST_USE enum ord_err client_registration(const struct ordain *client, uint64_t config_sequence, uint8_t **out,
                                              size_t *size);

#endif
