/*
 * A client of one channel: what ordain_open put together. Immutable after that, but for the engine that the first
 * submit makes.
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
    char *genesis; /* the file's bytes; trust borrows them */
    size_t genesis_size;
    struct client_trust trust;
    struct crypto_private_key key;
    uint8_t cert_der[CRYPTO_CERT_DER_MAX];
    size_t cert_size;
    struct ord_hash fingerprint;
    bool receipts;
    struct client_replicas replicas;
    pthread_mutex_t prepare_lock;
    _Atomic(struct client_engine *) engine; /* NULL until prepared; set once, under prepare_lock */
};

/* Where the client stands, as enough replicas say. */
struct client_standing {
    uint64_t position;        /* highest sequence that was ordered */
    uint64_t config_sequence; /* of the configuration in force */
};

/* So many replicas must agree before a client believes a bare word: one of them is honest (1 when one is pinned). */
uint32_t client_believable(const struct ordain *client);

/* The highest number of replicas whose bare word may be a lie; 0 when one is pinned. */
uint32_t client_liars_max(const struct ordain *client);

/*
 * Registers the client if need be, and finds its position. Blocks. CLOSED: no replica answered; TIMEOUT: registered,
 * but not executed yet; FORBIDDEN and others: refused, `why` has the replica's words.
 */
ORD_MUST_USE enum ordain_error client_register(struct ordain *client, struct client_standing *out, uint32_t timeout_ms,
                                               char *why, size_t why_size);

/* Encodes and signs the registration envelope; malloc'ed. */
ORD_MUST_USE enum ord_err client_registration(const struct ordain *client, uint64_t config_sequence, uint8_t **out,
                                              size_t *size);

#endif
