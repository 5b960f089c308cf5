/*
 * The other side of a client's connection, for tests of client/: replicas of one channel in this process, behind real
 * TLS servers, with real keys, real execution, real blocks, certificates and receipts. They share one state, so that
 * a batch is decided when it is submitted; what makes each of them different is the faults that a test gives it.
 */
#ifndef ORDAIN_TESTS_CLIENT_WORLD_H
#define ORDAIN_TESTS_CLIENT_WORLD_H

#include "channel/config.h"
#include "channel/state.h"
#include "proto/ordain.pb-c.h"

#define WORLD_PATH_MAX 512

struct world;

/* What a replica does wrong. All zeros: honest. Counts go down by one with each use. */
struct world_fault {
    uint32_t busy_requests; /* submits answered with BUSY as a whole */
    uint32_t busy_results;  /* envelopes answered with BUSY, one by one */
    uint32_t retry_after_ms;
    bool drops;                      /* says ACCEPTED, orders nothing; waits see nothing */
    Ordain__V1__Status refuses_with; /* every transaction envelope, when not 0 */
    bool forges_receipts;            /* a bit of the Merkle path is wrong */
    bool forges_certificates;        /* the certificate is signed by this replica alone, as all others */
    bool forges_data;                /* a bit of a block's data is wrong */
    bool other_receipts;             /* valid receipts of another envelope than was asked for */
    bool withholds;                  /* claims the head, gives half of the blocks */
    bool garbage;                    /* replies that are not protobuf */
    bool empty_results;              /* submits answered with no results */
    bool mute;                       /* never replies */
    uint32_t late_ms;                /* looks at no request before it has waited so long */
    bool silent;                     /* says in its status that it may have forgotten what it said */
    bool certifies_rarely;           /* blocks are covered by the head's certificate and later headers only */
    bool unknown_client;             /* denies to know the client, until it is offered a registration */
    uint64_t claims_sequence;        /* says that this is the client's highest, when not 0 */
    uint32_t leader_hint;
};

struct world_options {
    uint32_t replica_count;
    enum channel_consensus consensus;
    uint32_t max_message_count; /* 0: default */
    uint32_t absolute_max_bytes;
    uint32_t request_timeout_ms;
    bool with_foreign_client; /* client.cfg's identity is of a CA that the channel does not know */
};

/* Starts the servers; makes a folder with genesis.block, ca-bundle.crt and client/client.cfg. Aborts otherwise. */
struct world *world_create(const struct world_options *options);
void world_destroy(struct world *world); /* NULL is fine */
const char *world_folder(const struct world *world);
const char *world_config_file(const struct world *world); /* client.cfg */
const char *world_genesis_file(const struct world *world);
/* Another client's client.cfg in the same world, with an identity of its own. */
const char *world_second_config_file(const struct world *world);

void world_fault(struct world *world, uint32_t replica, const struct world_fault *fault);
/*
 * From now on `replica` keeps evidence that `culprit` attested two states at `seq`. Framed: one of them was signed by the
 * replica that keeps it.
 */
void world_accuse(struct world *world, uint32_t replica, uint32_t culprit, uint64_t seq, bool framed);
/* Nothing is ordered while held; it gathers, and is ordered at the release. */
void world_hold(struct world *world, bool held);
/* Closes a replica's server; and opens it again on its port. */
void world_stop_replica(struct world *world, uint32_t replica);
void world_start_replica(struct world *world, uint32_t replica);

uint64_t world_height(struct world *world);
/* How often these bytes are in the chain as a client's transaction. */
uint32_t world_count(struct world *world, const void *transaction, size_t size);
/* Transactions of clients in the chain. */
uint64_t world_transactions(struct world *world);
/* Submit requests that a replica got, and envelopes in them. */
uint64_t world_requests(struct world *world, uint32_t replica);
uint64_t world_envelopes(struct world *world, uint32_t replica);
/* The largest number of envelopes in one request so far. */
uint32_t world_envelopes_max(struct world *world);

#endif
