/*
 * A replica's process, for the files of node/ and for tests. Each part has a header of its own with its struct and
 * calls. Unless a comment says otherwise, everything belongs to the loop thread.
 *
 *   node.c       making and unmaking: files, keys, parts
 *   loop.c       the thread: takes work, runs the replica's turns, commits, flushes the links
 *   links.c      frames to the other replicas; links_in.c: frames from them
 *   checks.c     the pools that run the replica's checks
 *   requests.c   the public endpoint; submit.c: submissions; status.c: status and client requests
 *   ask.c        what a request asks for, checked
 *   service.c    the reader thread; answer_*.c: deliver, receipts, waits, evidence; fair.c: whose turn it is
 *   bound.c      the bound of memory
 *   reply.c, certificates.c: what the answers share
 *   handshakes.c  connections that did not come up
 *   inbox.c, log.c, report.c, config.c
 */
#ifndef ORDAIN_NODE_NODE_INTERNAL_H
#define ORDAIN_NODE_NODE_INTERNAL_H

#include "channel/block.h"
#include "channel/config.h"
#include "node/checks.h"
#include "node/counters.h"
#include "node/expiry.h"
#include "node/handshakes.h"
#include "node/inbox.h"
#include "node/links.h"
#include "node/node.h"
#include "node/seam.h"
#include "node/service.h"
#include "node/trust.h"
#include "replica/replica.h"

/* The stages from node_stop to the end of the loop. */
enum node_stopping {
    NODE_RUNS,
    /* The replica leads, and is to be told to let another one lead. */
    NODE_HANDS_OVER,
    NODE_WAITS, /* the replica was told */
    /* Queued messages leave before the loop ends. */
    NODE_LINGERS,
};

struct node {
    struct node_config config;
    struct node_seam seam; /* all zeros outside of tests */

    /* Files; constant once loaded */
    struct channel_config *channel_config;
    struct ord_hash genesis_hash;
    struct channel_header genesis_header;
    struct ord_span genesis_data; /* in genesis_file */
    uint8_t *genesis_file;
    struct crypto_private_key key;
    struct crypto_replica_keys keys;
    struct ord_crypto_ops crypto;
    char *tls_ca; /* of all organisations */
    char *tls_cert;
    char tls_key[CRYPTO_PEM_MAX];

    /* Parts */
    struct inbox inbox;
    struct ledger *ledger;
    struct service service;
    struct checks checks;
    struct links links;
    struct net_server *server;
    struct handshakes handshakes;
    struct expiry expiry; /* the loop's */
    struct replica *replica;
    uint64_t turn_bytes_max; /* that the ledger takes in a turn */
    struct node_counters counters;

    /* The loop */
    /* Work that the replica has not taken yet: votes and checks that came back. */
    struct work_queue inputs;
    /* The same: bulk, by the replica that sent it. Submissions of clients stand under our own number. */
    struct work_queue bulk[ORD_REPLICA_MAX];
    ord_node_id bulk_source;  /* whose bulk is next */
    uint64_t bulk_bytes;      /* that the turn under way took */
    bool bulk_first;          /* bulk waits, and the last turn took none */
    struct replica_time time; /* of the turn under way */
    uint64_t turn;            /* its number, from 1 on */
    uint64_t started_ms;
    uint64_t housekeeping_ms; /* when links_tick is due */
    /* An error of the process itself, which must end it. replica_fatal has the replica's own. */
    enum ord_err err;
    atomic_uint stops; /* calls of node_stop */
    enum node_stopping stopping;
    uint64_t stopping_ms; /* when `stopping` last changed */
    uint64_t stop_ms;     /* when the loop learned of node_stop */
    /* The process is being unmade: checks come back without being run. */
    atomic_bool unmaking;
};

uint64_t node_clock_ms(void);
/* The error with which the process must end; ORD_OK: none. */
enum ord_err node_failed(const struct node *node);
/*
 * Gives the work for the next turn, in order. Waits up to `wait_ms` for some, unless the last turn left inputs. NULL:
 * nothing came.
 */
struct work *node_take_work(struct node *node, uint64_t wait_ms);
/*
 * Runs one turn with this list of work, which may be NULL. A turn commits once, and once more before that if the ledger
 * has to grow. It lets at most two frames of votes go to each peer.
 */
void node_turn(struct node *node, struct work *work);
/* Disposes of a list of work that will not be done. It may be NULL. */
void node_discard(struct node *node, struct work *work);
/* `next` of struct replica_host. */
bool node_next(void *context, struct replica_input *out);
/*
 * Any thread. `err` is the result of reading something of the block at `height`. CORRUPT is counted, and its 1st, 2nd,
 * 4th ... occurrence is logged.
 */
void node_note_damage(struct node *node, const char *what, uint64_t height, enum ord_err err);

#endif
