/*
 * The terms of the bound of memory, each from its own limit. docs/operating.md says what they mean.
 */
#include "node/bound.h"

#include <inttypes.h>
#include <stdio.h>

#include "node/answer.h"
#include "node/log.h"
#include "proto/unpack.h"
#include "replica/agree/messages.h"
#include "replica/intake/pool.h"
#include "replica/transfer/sync.h"

enum {
    /* A certificate of the most replicas, which waits to be checked. */
    CHECK_BYTES_MAX = 5 << 10,
    PROGRAM_BYTES = 64 << 20,
};

/* The largest block: what closes one may pass the bound by a batch. */
static uint64_t block_bytes_max(const struct node *node) {
    return (uint64_t) node->channel_config->batch_bytes_max + node->channel_config->preferred_max_bytes;
}

/* A block from which receipts are made, with its envelopes' places and hashes. */
static uint64_t receipt_block_bytes(const struct node *node) {
    uint64_t count = node->channel_config->max_message_count;
    return block_bytes_max(node) + count * sizeof(struct ord_span) +
           ORD_MERKLE_TREE_SIZE(count) * sizeof(struct ord_hash);
}

/* On both ports, up or not, and our own to the other replicas. */
static uint64_t connections_max(const struct node *node) {
    return (uint64_t) requests_connections_max(node) + NET_CONNECTIONS_MAX + 2 * NET_HALF_OPEN_MAX +
           node->channel_config->replica_count - 1;
}

void node_bound_of(struct node_bound *out, const struct node *node) {
    const struct node_config *config = &node->config;
    const struct ord_core_config *core = replica_core_config(node->replica);
    const struct ord_protocol *protocol = node->links.protocol;
    const uint64_t peers = node->channel_config->replica_count - 1;
    const uint64_t lanes = node->links.lane_bytes_max[LINK_LANE_VOTES] + node->links.lane_bytes_max[LINK_LANE_BULK];
    const uint64_t request = requests_bytes_max(node);
    /* A single block or receipt may pass the bound of an answer. */
    const uint64_t answer = ANSWER_BYTES_MAX + block_bytes_max(node);
    *out = (struct node_bound) {
        .core = protocol->memory_size(core), /* one allocation, at the start */
        .channel = channel_memory_size(node->channel_config),
        .pool = config->pool_bytes_max + (uint64_t) config->pool_envelopes_max * sizeof(struct pool_entry),
        .links_out = peers * lanes,
        .links_in = peers * lanes,
        .checks = peers * MESSAGES_CHECKS_MAX * CHECK_BYTES_MAX,
        .connections = connections_max(node) * net_connection_bytes(),
        .receiving = requests_connections_max(node) * request,
        .requests = config->client_contexts * (uint64_t) proto_unpack_budget(request, REQUEST_STRUCTURE_BYTES_MAX),
        .reader = receipt_block_bytes(node) + 2 * answer,
        .unsent = UNSENT_MAX + answer,
        .sync = ord_max(SYNC_RANGES_BYTES_MAX + SYNC_PIECE_BYTES_MAX, block_bytes_max(node)) +
                (uint64_t) SYNC_CERTIFICATES_MAX * CHANNEL_CERTIFICATE_SIZE_MAX + links_message_bytes_max(&node->links),
        .turn = node->turn_bytes_max,
        .program = PROGRAM_BYTES,
    };
}

uint64_t node_bound_total(const struct node_bound *bound) {
    uint64_t total = 0;
#define NODE_BOUND_ADD(name) total += bound->name;
    NODE_BOUND_TERMS(NODE_BOUND_ADD)
#undef NODE_BOUND_ADD
    return total;
}

void node_bound_log(const struct node_bound *bound) {
    char text[704];
    size_t size = 0;
#define NODE_BOUND_SAY(name)                                                                                           \
    size += (size_t) snprintf(text + size, sizeof(text) - size, " " #name "=%" PRIu64, bound->name);
    NODE_BOUND_TERMS(NODE_BOUND_SAY)
#undef NODE_BOUND_SAY
    node_log(NODE_LOG_INFO, "memory_bound", "bytes=%" PRIu64 "%s", node_bound_total(bound), text);
}
