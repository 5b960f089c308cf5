/*
 * The other side of a client's connection, for tests of client/: the replicas of one channel in this process, behind
 * real TLS servers, with real keys, real execution, real blocks, certificates and receipts. They share one state, so a
 * batch is decided when it is submitted. They differ only in the faults that a test gives them.
 */
#ifndef ORDAIN_TESTS_CLIENT_WORLD_H
#define ORDAIN_TESTS_CLIENT_WORLD_H

#include "channel/config.h"
#include "channel/state.h"
#include "proto/ordain.pb-c.h"

#define WORLD_PATH_MAX 512

struct world;

/* What a replica does wrong. All zeros: honest. Each use decrements a count by one. */
struct world_fault {
    uint32_t busy_requests; /* submits that are answered with BUSY as a whole */
    uint32_t busy_results;  /* envelopes that are answered with BUSY, one by one */
    uint32_t busy_delivers; /* delivers that are answered with BUSY */
    uint32_t retry_after_ms;
    bool drops;                      /* answers ACCEPTED but orders nothing; waits see nothing */
    Ordain__V1__Status refuses_with; /* refuses every transaction envelope with this status, if not 0 */
    bool forges_receipts;            /* a bit of the Merkle path is wrong */
    /* The replica makes the certificate alone and signs it in the name of all. */
    bool forges_certificates;
    bool forges_data;    /* a bit of a block's data is wrong */
    bool other_receipts; /* gives valid receipts, but of another envelope than was asked for */
    bool withholds;      /* claims to have the head, but gives half of the blocks */
    bool garbage;        /* replies with bytes that are not protobuf */
    bool empty_results;  /* answers submits without any results */
    bool mute;           /* never replies */
    uint32_t late_ms;    /* leaves each request waiting for so long */
    /* Its status says that it may have forgotten some of its statements. */
    bool silent;
    /* It gives blocks without certificates of their own: only the head's certificate and later headers prove them. */
    bool certifies_rarely;
    /* It denies knowing the client until it is offered a registration. */
    bool unknown_client;
    /* If not 0, it reports this as the client's highest sequence number. */
    uint64_t claims_sequence;
    uint32_t leader_hint;
};

struct world_options {
    uint32_t replica_count;
    enum channel_consensus consensus;
    uint32_t max_message_count; /* 0: default */
    uint32_t absolute_max_bytes;
    uint32_t request_timeout_ms;
    /* client.cfg's identity is of a CA that the channel does not know. */
    bool with_foreign_client;
    /* All replicas show the TLS certificate of replica 0. */
    bool with_impostor;
};

/* Starts the servers, and makes a folder with genesis.block and client/client.cfg. Aborts on failure. */
struct world *world_create(const struct world_options *options);
void world_destroy(struct world *world); /* NULL is allowed */
const char *world_folder(const struct world *world);
const char *world_config_file(const struct world *world); /* client.cfg */
const char *world_genesis_file(const struct world *world);
/* client.cfg of a second client in the same world, with an identity of its own. */
const char *world_second_config_file(const struct world *world);

void world_fault(struct world *world, uint32_t replica, const struct world_fault *fault);
/*
 * From now on `replica` keeps evidence that `culprit` attested two states at `seq`. `framed`: the replica that keeps it
 * forged one of the two signatures, so the evidence is false.
 */
void world_accuse(struct world *world, uint32_t replica, uint32_t culprit, uint64_t seq, bool framed);
/* While held, nothing is ordered: envelopes gather, and are ordered at the release. */
void world_hold(struct world *world, bool held);
/* Closes a replica's server; world_start_replica opens it again on the same port. */
void world_stop_replica(struct world *world, uint32_t replica);
void world_start_replica(struct world *world, uint32_t replica);

uint64_t world_height(struct world *world);
/* How often these bytes are in the chain as a transaction of a client. */
uint32_t world_count(struct world *world, const void *transaction, size_t size);
/* Number of transactions of clients in the chain. */
uint64_t world_transactions(struct world *world);
/* Submit requests that a replica received, and the envelopes in them. */
uint64_t world_requests(struct world *world, uint32_t replica);
uint64_t world_envelopes(struct world *world, uint32_t replica);
/* The largest number of envelopes in one request so far. */
uint32_t world_envelopes_max(struct world *world);

#endif
