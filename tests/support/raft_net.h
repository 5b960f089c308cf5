/*
 * A small cluster of Raft cores in memory. Each has a disk whose turns become durable late, in order, and are lost in a
 * crash. The network delays, reorders, repeats and loses messages by a seed. After each step the five properties of
 * Raft are checked (dissertation, figure 3.2). raft_net_step plays one random event; the helpers play single ones.
 */
#ifndef ORDAIN_TESTS_RAFT_NET_H
#define ORDAIN_TESTS_RAFT_NET_H

#include "raft/raft_internal.h"

#define RAFT_NET_MAX     5
#define RAFT_NET_SEQ_MAX 8192
#define RAFT_NET_POINT   8 /* size of a certificate */

struct raft_op {
    uint64_t turn;
    enum ord_effect_type type; /* PERSIST, FORGET, FORGET_AFTER, SEND or DELIVER */
    uint8_t table;
    uint64_t key;
    ord_replica_set to;
    uint8_t *data;
    size_t size;
};

struct raft_ops {
    struct raft_op *items;
    size_t count;
    size_t capacity;
};

struct raft_disk {
    struct raft_ops records; /* sorted by (table, key) */
    uint64_t applied_seq;
};

struct raft_node {
    struct ord_core_config config;
    struct ord_core *core; /* NULL: it is down */
    struct raft_disk disk;
    struct raft_ops staged; /* not durable yet, by turn */
    uint64_t turn;
    uint64_t applied_seq; /* with what is staged */
    uint64_t wake_ms;
    uint64_t sync_seq;     /* 0: no state transfer is wanted */
    bool frozen_disk;      /* nothing becomes durable */
    enum ord_err rejected; /* by the last PROPOSE */
    uint64_t led_term;
    uint64_t led_last_seq;
};

struct raft_letter {
    ord_node_id from;
    ord_node_id to;
    uint8_t *data;
    size_t size;
};

struct raft_net {
    uint32_t count;
    struct raft_node nodes[RAFT_NET_MAX];
    struct raft_letter *letters;
    size_t letter_count;
    size_t letter_capacity;
    bool cut[RAFT_NET_MAX][RAFT_NET_MAX]; /* from, to */
    uint64_t now_ms;
    uint64_t seed;
    uint64_t proposed;
    /* What was ever committed: term and number of the batch at each seq; 0: a null batch. */
    uint64_t terms[RAFT_NET_SEQ_MAX];
    uint64_t batches[RAFT_NET_SEQ_MAX];
    uint64_t committed;
    bool unchecked;                        /* more disks go back than Raft bears */
    bool holds_turn;                       /* events join the turn that is open, and none ends it */
    uint64_t cut_seqs;                     /* logs are cut at attested multiples of this; 0: at each attested seq */
    ord_node_id leaders[RAFT_NET_SEQ_MAX]; /* by term, + 1; 0: none was */
    void (*on_effect)(ord_node_id node, const struct ord_effect *effect); /* before it is carried out; NULL: no one */
};

void raft_net_open(struct raft_net *net, uint32_t count, const struct raft_options *options, uint64_t seed);
void raft_net_close(struct raft_net *net);
/* Options with a LAN's defaults; certificates are seqs. */
struct raft_options raft_net_options(void);
void raft_net_start(struct raft_net *net, ord_node_id node);
/* The replica ends, and loses what is not durable. */
void raft_net_crash(struct raft_net *net, ord_node_id node);
/* While it is down: the disk is empty. */
void raft_net_lose_disk(struct raft_net *net, ord_node_id node);
/* A copy of the disk, and the way back to it while the node is down. */
void raft_net_copy_disk(struct raft_disk *out, const struct raft_disk *disk);
void raft_net_free_disk(struct raft_disk *disk);
/* While it is down: puts a record on its disk. */
void raft_net_put(struct raft_net *net, ord_node_id node, uint8_t table, uint64_t key, struct ord_span bytes);
uint64_t raft_net_random(struct raft_net *net, uint64_t below);
enum ord_err raft_net_event(struct raft_net *net, ord_node_id node, struct ord_event *event);
/* Everything staged at a node up to `turn` becomes durable. */
void raft_net_persist(struct raft_net *net, ord_node_id node, uint64_t turn);
/* The letter arrives. It stays its owner's. */
void raft_net_receive(struct raft_net *net, const struct raft_letter *letter);
/* Ends the state transfer that the node's core wants. What the core does with it becomes durable with the ledger. */
void raft_net_sync(struct raft_net *net, ord_node_id node);
/* A state transfer ends with this SYNCED. If the core refuses it, the ledger stays as it was. */
enum ord_err raft_net_synced(struct raft_net *net, ord_node_id node, struct ord_event *event);
/* One random event: a letter, a turn that becomes durable, a TICK that is due, an attestation, a transfer of state. */
void raft_net_step(struct raft_net *net, uint32_t loss_percent);
/* Plays without loss until all that are up have delivered a batch that is proposed now. False: `ms` are over. */
bool raft_net_progresses(struct raft_net *net, uint64_t ms);
/* Plays without loss for so long. */
void raft_net_run(struct raft_net *net, uint64_t ms);
/* ORD_NO_NODE: none. The one of the highest term. */
ord_node_id raft_net_leader(const struct raft_net *net);
bool raft_net_propose(struct raft_net *net, ord_node_id node);
struct ord_status raft_net_status(const struct raft_net *net, ord_node_id node);

#endif
