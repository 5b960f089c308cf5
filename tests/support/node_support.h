/*
 * A replica in this process, from files that `ordain init` made, whose turns the test runs one by one. The test is all
 * the other replicas: it holds their keys and the other ends of their links, in memory. And it may be a client, over
 * TLS.
 */
#ifndef ORDAIN_TESTS_NODE_SUPPORT_H
#define ORDAIN_TESTS_NODE_SUPPORT_H

#include <semaphore.h>

#include "cli/init.h"
#include "node/node_internal.h"
#include "replica/replica_internal.h"

struct node_world {
    char folder[64];
    char directory[96];
    struct init_plan plan;
    struct node_config config;
    bool asks;        /* the others do not answer what our replica asks at its start: set it before node_world_start */
    bool leads;       /* set it before node_world_write: our replica is the primary of view 0, else a backup */
    ord_node_id self; /* our replica's number */
    ord_node_id primary; /* of view 0 */
    struct node *node;
    struct replica *replica; /* the node's */
    struct crypto_private_key keys[ORD_REPLICA_MAX];
    struct ord_signer signers[ORD_REPLICA_MAX];
    struct crypto_link links[ORD_REPLICA_MAX];
    struct crypto_private_key client_key;
    uint8_t client_cert[CRYPTO_CERT_DER_MAX];
    size_t client_cert_size;
    struct ord_hash client;        /* fingerprint */
    struct net_client *connection; /* NULL until something is asked */
};

/* In this order; a test may change `plan.config` and `leads` after the first and `config` after the second. */
void node_world_plan(struct node_world *world, enum channel_consensus consensus, uint32_t replica_count);
void node_world_write(struct node_world *world);
void node_world_start(struct node_world *world);
/* A RECALL of replica `from`: it has seen all up to `reach_seq`, and knows of no word that our replica lacks. */
void node_world_recall(struct node_world *world, ord_node_id from, uint64_t reach_seq);
/* All three, for PBFT with four replicas. */
void node_world_open(struct node_world *world);
/* Ends the replica; node_world_start begins it again from its disk. */
void node_world_stop(struct node_world *world);
void node_world_close(struct node_world *world);

/* A job that holds one thread of a pool until it is let go. */
struct node_plug {
    sem_t running;
    sem_t release;
};
void node_plug_in(struct node_plug *plug, struct crypto_pool *pool);
void node_plug_out(struct node_plug *plug);

/* One iteration of the loop, with what is in the inbox; waits up to `wait_ms` for something. */
void node_world_turn(struct node_world *world, uint64_t wait_ms);
/* Turns until the condition holds; fails the test at a deadline. */
void node_world_until(struct node_world *world, bool (*holds)(struct node_world *world), const char *what);
/* Turns until no message of `from` is being checked any more. */
void node_world_until_idle(struct node_world *world, ord_node_id from);

/* A frame with `count` messages of one kind and size, end to end in `bytes`, over the link of replica `from`. */
void node_world_send_many(struct node_world *world, ord_node_id from, enum replica_link kind, const uint8_t *bytes,
                          size_t size, size_t count);
void node_world_send(struct node_world *world, ord_node_id from, enum replica_link kind, struct ord_span bytes);
/* What waits to be sent to `to`: how many messages of the kind, and the last of them in `last` (may be NULL). */
size_t node_world_queued(struct node_world *world, struct ord_span *last, ord_node_id to, enum replica_link kind);
void node_world_forget_queued(struct node_world *world);

/* malloc'ed; sequence 0: the client's registration. */
struct ord_span node_world_envelope(const struct node_world *world, uint64_t sequence, size_t transaction_size);
/* A batch of these envelopes; malloc'ed. */
struct ord_span node_world_batch(const struct ord_span *envelopes, uint32_t count, uint64_t cut_height);
/* The i-th other replica; 0 is never the primary, unless the primary is ours. */
ord_node_id node_world_other(const struct node_world *world, uint32_t i);
/* The primary's proposal; the test's to free. */
void node_world_pre_prepare(struct node_world *world, uint64_t seq, struct ord_span batch);
/* Everybody's votes for a proposal, and turns until it is executed. */
void node_world_vote(struct node_world *world, uint64_t seq, const struct ord_hash *digest);
/* The proposal and everybody's votes, and turns until it is executed. Frees the batch. Not where our replica leads. */
void node_world_order(struct node_world *world, uint64_t seq, struct ord_span batch);
/* Another replica's attestation. */
void node_world_attest(struct node_world *world, struct channel_attestation *out, ord_node_id signer,
                       const struct channel_statement *statement);
void node_world_send_attestation(struct node_world *world, ord_node_id signer,
                                 const struct channel_statement *statement);

/* A connection of the client; the caller's to close. */
struct net_client *node_world_connect(struct node_world *world);
/*
 * Asks our replica as its client, over TLS, and runs turns until it answers; `*request` names no channel yet. Freed by
 * ordain__v1__response__free_unpacked.
 */
Ordain__V1__Response *node_world_ask(struct node_world *world, Ordain__V1__Request *request);

#endif
