/*
 * What the files of client_world do for one another. The caller holds the world's lock, unless a comment says
 * otherwise.
 */
#ifndef ORDAIN_TESTS_CLIENT_WORLD_INTERNAL_H
#define ORDAIN_TESTS_CLIENT_WORLD_INTERNAL_H

#include "tests/support/client_world.h"

#include <pthread.h>

#include "channel/receipt.h"
#include "core/assert.h"
#include "evidence/evidence.h"
#include "net/net.h"

#define WORLD_REPLICAS_MAX    7
#define WORLD_BATCH_BYTES_MAX (8u << 20)
#define WORLD_PLACES          65536u
#define WORLD_PIECES_MAX      8

/* A cmocka assertion must not fail in a thread of the server. These macros end the process instead. */
#define WORLD_OK(expression) ORD_ASSERT((expression) == ORD_OK)

struct stored_block {
    struct channel_header header;
    struct ord_hash hash;
    uint8_t *data;
    size_t size;
    struct ord_hash *leaves; /* header.envelope_count hashes */
    struct channel_certificate certificate;
};

/* Where an envelope is; an element of a table with open addressing. */
struct place {
    bool used;
    bool ordered; /* false: it waits in the next batch */
    struct ord_hash id;
    struct ord_hash client;
    uint64_t sequence;
    size_t block_index;
    uint32_t index;
};

/* A wait or deliver request that waits for blocks. */
struct pending {
    struct pending *next;
    struct net_request *request;
    uint32_t replica;
    uint64_t from_ms; /* not served before this time */
    uint64_t until_ms;
};

struct replica {
    struct world *world;
    uint32_t index;
    struct net_server *server;
    uint16_t port;
    struct crypto_private_key key;
    char tls_cert[CRYPTO_PEM_MAX];
    char tls_key[CRYPTO_PEM_MAX];
    struct world_fault fault;
    uint64_t requests;
    uint64_t envelopes;
    uint32_t piece_count;
    struct {
        uint32_t culprit;
        size_t size;
        uint8_t bytes[EVIDENCE_SIZE_MAX];
    } pieces[WORLD_PIECES_MAX];
};

struct world {
    char folder[WORLD_PATH_MAX];
    char config_file[WORLD_PATH_MAX + 64];
    char second_file[WORLD_PATH_MAX + 64];
    char genesis_file[WORLD_PATH_MAX + 64];
    char ca[CRYPTO_PEM_MAX];
    struct channel_config *config;
    struct ord_hash genesis_hash;
    uint8_t *genesis;
    size_t genesis_size;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t waiter;
    bool closing;
    bool held;
    void *memory;
    struct channel *channel;
    uint64_t seq;
    struct stored_block *blocks; /* block h is at index h - 1 */
    size_t block_count;
    struct place *places;
    size_t place_count;
    uint8_t *batch; /* gathers envelopes while the world is held */
    size_t batch_size;
    uint32_t batch_count;
    uint32_t envelopes_max;
    struct pending *pending;
    struct replica replicas[WORLD_REPLICAS_MAX];
    uint32_t replica_count;
};

/* client_world_chain.c */
/* Adds an admitted envelope to the batch. SEQUENCE_TAKEN: another envelope with its number is already waiting. */
Ordain__V1__Status world_enqueue(struct world *world, const struct channel_envelope *admitted,
                                 const struct ord_hash *id);
/* Orders the envelopes that have gathered, unless the world is held. */
void world_order(struct world *world);
/* Makes the receipt of envelope `index` of the block at `block_index`, malloc'ed, with the faults of this replica. */
uint8_t *world_receipt(struct world *world, size_t *size, const struct replica *replica, size_t block_index,
                       uint32_t index, bool with_envelope);
/* Makes the receipt for client and sequence as this replica gives it. NULL: there is none. */
uint8_t *world_receipt_for(struct world *world, size_t *size, const struct replica *replica, struct ord_span client,
                           uint64_t sequence, bool with_envelope);

/* client_world_answers.c */
/* Answers a request. False: it must wait, for *timeout_ms at most. `over`: it has waited long enough. */
bool world_serve(struct world *world, struct replica *replica, struct net_request *request, bool over,
                 uint32_t *timeout_ms);

#endif
