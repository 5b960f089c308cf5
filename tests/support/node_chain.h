/*
 * The chain that the other replicas have ordered while ours was away: blocks of two transactions each, and an open
 * block at the end.
 */
#ifndef ORDAIN_TESTS_NODE_CHAIN_H
#define ORDAIN_TESTS_NODE_CHAIN_H

#include "tests/support/node_support.h"

#define NODE_CHAIN_BLOCKS_MAX 32

struct node_chain {
    struct node_world *world;
    void *memory;
    struct channel *channel;
    size_t transaction_size;
    uint32_t count; /* blocks 1 to count */
    struct ord_span blocks[NODE_CHAIN_BLOCKS_MAX + 1];
    /* Certificates of each block, by the three others. */
    struct channel_certificate certificates[NODE_CHAIN_BLOCKS_MAX + 1];
    /* The certificate at the seq of the open block's envelope. */
    struct channel_certificate target;
    struct ord_hash clients_root; /* at the target */
    struct ord_span tail;
};

/* Sets the channel's settings that the chain needs. Call it between node_world_plan and node_world_write. */
void node_chain_plan(struct node_world *world);
/*
 * Makes `count` blocks, each with a seq of its own, and one more envelope in the seq after them. That seq must be a
 * multiple of 4.
 */
void node_chain_make(struct node_chain *chain, struct node_world *world, uint32_t count, size_t transaction_size);
void node_chain_free(struct node_chain *chain);
/* The piece [from, to] with the certificate of `to`, malloc'ed. */
struct ord_span node_chain_piece(const struct node_chain *chain, uint64_t from, uint64_t to);
/* Our replica hears of the target, finds itself behind, and asks. */
void node_chain_announce(const struct node_chain *chain);
/* The replica that is asked at the moment; ORD_NO_NODE: nobody. `request` may be NULL. Forgets the request. */
ord_node_id node_chain_asked(const struct node_chain *chain, struct ord_span *request);
void node_chain_send_piece(const struct node_chain *chain, ord_node_id source, uint64_t from, uint64_t to);
void node_chain_send_tail(const struct node_chain *chain, ord_node_id source, bool found);

#endif
