/*
 * One channel's replica, deterministic: all that a replica does between network, disk and threads. The same options, inputs,
 * times and answers of the host give the same calls of the host, byte for byte.
 *
 * Caveats first:
 * - One thread at a time. Only replica_check_run may be called from others.
 * - It takes memory from the heap, bounded by the channel's configuration and the options. It calls no clock, thread,
 *   socket or file (tests/lint/purity.sh).
 * - After a call that makes it fatal (replica_fatal) nothing may be committed and nothing may leave any more.
 *
 * A host drives it like this:
 *
 *     replica_turn(replica, &now);                     takes inputs from host.next; sends
 *     (whatever has turn 0, or is durable, may leave)
 *     turn = replica_commit(replica, false);           0: there is nothing to commit, or a commit is under way
 *     (commit what was put; on failure end without a further call but replica_destroy)
 *     replica_committed(replica, turn, &now);          signs attestations; sends
 *     (whatever is durable now may leave)
 *
 * Between replica_commit and replica_committed further turns may run. What they put belongs to the next transaction.
 */
#ifndef ORDAIN_REPLICA_REPLICA_H
#define ORDAIN_REPLICA_REPLICA_H

#include "channel/state.h"
#include "replica/counters.h"
#include "replica/host.h"

struct replica;

struct replica_options {
    const struct channel_config *config; /* borrowed, as all pointers here, until replica_destroy */
    const struct ord_hash *genesis_hash;
    const struct channel_header *genesis_header;
    struct ord_span genesis_data;        /* of block 0 */
    ord_node_id self;                    /* index in `config` */
    const struct ord_protocol *protocol; /* NULL: the one that `config` names */
    const struct ord_crypto_ops *crypto; /* hash, and the replicas' signatures */
    struct ord_signer signer;            /* of this replica */
    struct replica_verifier verifier;    /* of envelopes */
    uint64_t seed;                       /* another one at each start */
    uint32_t pool_envelopes_max;
    uint64_t pool_bytes_max;
    uint32_t client_envelopes_max; /* of one client, in the pool */
    uint32_t sources_max;          /* of submissions at the same time */
    uint64_t turn_bytes_max;       /* a transaction's; at least replica_turn_bytes_max() */
    size_t message_bytes_max;      /* of one message that the host can send; at least replica_message_bytes_max() */
    const char *ledger_name;       /* for messages: where the ledger is, and */
    const char *genesis_name;      /* where the genesis block came from */
    struct replica_host host;      /* copied */
};

/* The protocol that this configuration names. */
const struct ord_protocol *replica_protocol(const struct channel_config *config);
/* What one turn may write, and the longest message to another replica, both in bytes. 0: the configuration is not valid. */
uint64_t replica_turn_bytes_max(const struct replica_options *options);
size_t replica_message_bytes_max(const struct replica_options *options);

/* Times of a turn, in milliseconds of any monotonic origin and in seconds of the wall clock (admission looks at it). */
struct replica_time {
    uint64_t now_ms;
    int64_t wall_s;
    bool room; /* the store can take a whole turn; false stops intake */
};

/*
 * Recovers from the store; begins it when it is empty, with a commit of its own through `begin_commit`, which makes
 * durable what was put. INVALID, MISMATCH, CORRUPT, NO_MEMORY, and what the store gives; `why` gets a sentence.
 */
ORD_MUST_USE enum ord_err replica_create(struct replica **out, const struct replica_options *options,
                                         const struct replica_time *time, enum ord_err (*begin_commit)(void *context),
                                         char *why, size_t why_size);
/* NULL is fine. Every check must be back, or dropped. */
void replica_destroy(struct replica *replica);

void replica_turn(struct replica *replica, const struct replica_time *time);
/*
 * What was put up to now is to be committed as turn number `result`; 0: nothing, or one is under way. `at_once`: also what
 * could wait for a while (certificates, forgetting).
 */
uint64_t replica_commit(struct replica *replica, bool at_once);
void replica_committed(struct replica *replica, uint64_t turn, const struct replica_time *time);
/* Up to this turn everything is durable that something was sent on the strength of. */
uint64_t replica_durable_turn(const struct replica *replica);
/* When the next turn is due though no input comes, on the clock of `now_ms`. */
uint64_t replica_due_ms(const struct replica *replica);
/* The last turn left inputs or work, and no commit is under way that it has to wait for: another turn is due at once. */
bool replica_cut_short(const struct replica *replica);
/* ORD_OK, or why it must end; it was logged. */
enum ord_err replica_fatal(const struct replica *replica);

/* A check that the host will never run or give back: frees it. Submissions that wait for it are answered BUSY. */
void replica_check_drop(struct replica *replica, struct replica_check *check);

/* What is under way of what has a bound. */
struct replica_open {
    uint32_t messages;  /* checks of messages, attestations and certificates */
    uint64_t cost;      /* signatures to check in the messages among them, at most */
    uint32_t costly;    /* of those messages in the view queue */
    uint32_t envelopes; /* checks of submitted and forwarded envelopes */
};

struct replica_status {
    struct ord_status core;
    const char *consensus;
    uint64_t epoch;
    ord_node_id leader;        /* ORD_NO_NODE: none */
    uint64_t certified_height; /* committed and certified */
    uint64_t committed_height;
    uint32_t pool_envelopes;
    uint64_t pool_bytes;
    struct replica_open open;
    bool syncing;
    bool syncing_between; /* blocks were taken, the tail not yet: the core stands still */
    bool intake_open;
    uint32_t evidence[ORD_REPLICA_MAX]; /* pieces on disk, by culprit */
};
void replica_status(const struct replica *replica, struct replica_status *out);
const struct replica_counters *replica_counters(const struct replica *replica);
/* The executed state; changes with each turn. */
struct channel *replica_channel(const struct replica *replica);
const struct ord_core_config *replica_core_config(const struct replica *replica);

#endif
