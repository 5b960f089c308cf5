/*
 * A replica in this process, from files that `ordain init` made. The test runs its turns one by one, and plays all
 * other replicas: it holds their keys and the other ends of their links, in memory. It may also be a client, over TLS.
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
    /* The others do not answer what our replica asks at its start. Set it before node_world_start. */
    bool asks;
    /* Our replica is the primary of view 0, and otherwise a backup. Set it before node_world_write. */
    bool leads;
    ord_node_id self;    /* our replica's number */
    ord_node_id primary; /* of view 0 */
    struct node *node;
    struct replica *replica; /* the node's */
    struct crypto_private_key keys[ORD_REPLICA_MAX];
    struct ord_signer signers[ORD_REPLICA_MAX];
    struct crypto_link links[ORD_REPLICA_MAX];
    struct crypto_private_key client_key;
    uint8_t client_cert[CRYPTO_CERT_DER_MAX];
    size_t client_cert_size;
    struct ord_hash client;        /* the client's fingerprint */
    struct net_client *connection; /* NULL until the first request */
};

/*
 * Called in this order. A test may change `plan.config` and `leads` after the first call, and `config` after the
 * second.
 */
void node_world_plan(struct node_world *world, enum channel_consensus consensus, uint32_t replica_count);
void node_world_write(struct node_world *world);
void node_world_start(struct node_world *world);
/*
 * Sends a RECALL of replica `from`. It has seen everything up to `reach_seq`, and has no statement that our replica
 * lacks.
 */
void node_world_recall(struct node_world *world, ord_node_id from, uint64_t reach_seq);
/* Calls all three, for PBFT with four replicas. */
void node_world_open(struct node_world *world);
/* Ends the replica. node_world_start starts it again from its disk. */
void node_world_stop(struct node_world *world);
void node_world_close(struct node_world *world);

/* A job that holds one thread of a pool until it is released. */
struct node_plug {
    sem_t running;
    sem_t release;
};
void node_plug_in(struct node_plug *plug, struct crypto_pool *pool);
void node_plug_out(struct node_plug *plug);

/* Runs one iteration of the loop, with the work in the inbox. Waits up to `wait_ms` for some. */
void node_world_turn(struct node_world *world, uint64_t wait_ms);
/* Runs turns until the condition holds. Fails the test at a deadline. */
void node_world_until(struct node_world *world, bool (*holds)(struct node_world *world), const char *what);
/* Runs turns until no message of `from` is being checked. */
void node_world_until_idle(struct node_world *world, ord_node_id from);

/*
 * Sends a frame with `count` messages of one kind and size over the link of replica `from`. They stand end to end in
 * `bytes`.
 */
void node_world_send_many(struct node_world *world, ord_node_id from, enum replica_link kind, const uint8_t *bytes,
                          size_t size, size_t count);
void node_world_send(struct node_world *world, ord_node_id from, enum replica_link kind, struct ord_span bytes);
/* Sends a frame with this payload over the link of replica `from`. */
void node_world_send_payload(struct node_world *world, ord_node_id from, struct ord_span payload);
/* Gives how many messages of this kind wait to be sent to `to`. `last` gets the last of them; it may be NULL. */
size_t node_world_queued(struct node_world *world, struct ord_span *last, ord_node_id to, enum replica_link kind);
void node_world_forget_queued(struct node_world *world);
/* Replica `from` sends a HELLO. */
void node_world_hello(struct node_world *world, ord_node_id from);
/* Our replica sends `to` a message of `size` bytes, each `fill`, in this lane. It may leave when `turn` is durable. */
void node_world_send_lane(struct node_world *world, ord_node_id to, enum link_lane_name lane, uint64_t turn,
                          uint8_t fill, size_t size);
/* How many messages of this lane our replica has dropped. */
uint64_t node_world_dropped(struct node_world *world, enum link_lane_name lane);

/* The envelope is malloc'ed. Sequence 0 gives the client's registration. */
struct ord_span node_world_envelope(const struct node_world *world, uint64_t sequence, size_t transaction_size);
/* A batch of these envelopes, malloc'ed. */
struct ord_span node_world_batch(const struct ord_span *envelopes, uint32_t count, uint64_t cut_height);
/* The i-th other replica. Number 0 is never the primary. */
ord_node_id node_world_other(const struct node_world *world, uint32_t i);
/* Sends the primary's proposal. The test frees the batch. */
void node_world_pre_prepare(struct node_world *world, uint64_t seq, struct ord_span batch);
/* Sends everybody's votes for a proposal, and runs turns until it is executed. */
void node_world_vote(struct node_world *world, uint64_t seq, const struct ord_hash *digest);
/*
 * Sends the proposal and everybody's votes, and runs turns until it is executed. Frees the batch. Our replica must not
 * lead.
 */
void node_world_order(struct node_world *world, uint64_t seq, struct ord_span batch);
/* Makes another replica's attestation. */
void node_world_attest(struct node_world *world, struct channel_attestation *out, ord_node_id signer,
                       const struct channel_statement *statement);
void node_world_send_attestation(struct node_world *world, ord_node_id signer,
                                 const struct channel_statement *statement);

/* A connection of the member whose folder this is: "client", "replica1". The caller closes it. */
struct net_client *node_world_connect_as(struct node_world *world, const char *member);
/* A connection of the client. The caller closes it. */
struct net_client *node_world_connect(struct node_world *world);
/*
 * Asks our replica as its client, over TLS, and runs turns until it answers. `*request` names no channel yet. The
 * caller frees the response with ordain__v1__response__free_unpacked.
 */
Ordain__V1__Response *node_world_ask(struct node_world *world, Ordain__V1__Request *request);

#endif
