/*
 * One channel's replica: everything that a replica does between network, disk and threads. It is deterministic: the
 * same options, inputs, times and answers of the host give the same calls of the host, byte for byte.
 *
 * Caveats first:
 * - One thread at a time may call it. Other threads may call replica_check_run only.
 * - It takes memory from the heap. The channel's configuration and the options bound that memory. It calls no clock,
 *   thread, socket or file (tests/lint/purity.sh).
 * - After a call that makes it fatal (replica_fatal), nothing may be committed and no further message may leave.
 *
 * A host drives it like this:
 *
 *     replica_turn(replica, &now);                     takes inputs from host.next; sends
 *     (messages with turn 0, or with a durable turn, may leave)
 *     turn = replica_commit(replica, false);           0: there is nothing to commit, or a commit is under way
 *     (commit what was put; after a failure only replica_destroy may be called)
 *     replica_committed(replica, turn, &now);          signs attestations; sends
 *     (messages whose turn is durable now may leave)
 *
 * Between replica_commit and replica_committed further turns may run. Their puts belong to the next transaction.
 */
#ifndef ORDAIN_REPLICA_REPLICA_H
#define ORDAIN_REPLICA_REPLICA_H

#include "channel/state.h"
#include "replica/host.h"

struct replica;

struct replica_options {
    /* Borrowed until replica_destroy, as are all pointers here. */
    const struct channel_config *config;
    const struct ord_hash *genesis_hash;
    const struct channel_header *genesis_header;
    struct ord_span genesis_data; /* of block 0 */
    ord_node_id self;             /* index in `config` */
    /* NULL: the protocol that `config` names. */
    const struct ord_protocol *protocol;
    /* Hashes, and the replicas' signatures. */
    const struct ord_crypto_ops *crypto;
    struct ord_signer signer;         /* for this replica's signatures */
    struct replica_verifier verifier; /* for envelopes' signatures */
    uint64_t seed;                    /* a new one at each start */
    uint32_t pool_envelopes_max;
    uint64_t pool_bytes_max;
    uint32_t client_envelopes_max; /* per client, in the pool */
    /* Registrations in a batch that it proposes; all replicas have the same limit. 0: PROPOSE_NEWCOMERS_MAX. */
    uint32_t batch_newcomers_max;
    /* Limit of sources with submissions at the same time. */
    uint32_t sources_max;
    /* Bytes that one transaction can take; at least replica_turn_bytes_max(). */
    uint64_t turn_bytes_max;
    /* Bytes of the longest message that the host can send; at least replica_message_bytes_max(). */
    size_t message_bytes_max;
    /* The places of the ledger and of the genesis block, for messages. */
    const char *ledger_name;
    const char *genesis_name;
    struct replica_host host; /* copied */
};

/* The protocol that this configuration names. */
const struct ord_protocol *replica_protocol(const struct channel_config *config);
/*
 * Upper bounds, in bytes, of what one turn writes, and of a message to another replica. 0: the configuration is not
 * valid.
 */
uint64_t replica_turn_bytes_max(const struct replica_options *options);
size_t replica_message_bytes_max(const struct replica_options *options);

/*
 * The times of a turn: milliseconds since any fixed moment on a monotonic clock, and seconds of the wall clock, which
 * admission looks at.
 */
struct replica_time {
    uint64_t now_ms;
    int64_t wall_s;
    /* The store can take a whole turn. False stops intake. */
    bool room;
};

/*
 * Recovers from the store. An empty store is begun, with a commit of its own. INVALID, MISMATCH, CORRUPT, NO_MEMORY,
 * and the store's errors; `why` gets a sentence.
 */
ORD_MUST_USE enum ord_err replica_create(struct replica **out, const struct replica_options *options,
                                         const struct replica_time *time, char *why, size_t why_size);
/* NULL does nothing. Every check must have come back, or have been dropped. */
void replica_destroy(struct replica *replica);

void replica_turn(struct replica *replica, const struct replica_time *time);
/*
 * Ends the turn. Everything put up to now is to be committed as the turn whose number is returned. 0: there is nothing
 * to commit, or a commit is under way. `at_once`: also commits what could wait for a while (certificates, forgetting).
 */
uint64_t replica_commit(struct replica *replica, bool at_once);
void replica_committed(struct replica *replica, uint64_t turn, const struct replica_time *time);
/* All writes up to this turn that a message relies on are durable. */
uint64_t replica_durable_turn(const struct replica *replica);
/* When the next turn is due although no input comes, on the clock of `now_ms`. */
uint64_t replica_due_ms(const struct replica *replica);
/*
 * True if the last turn left inputs or work behind, and no commit under way holds it up: another turn is due at once.
 */
bool replica_cut_short(const struct replica *replica);
/* ORD_OK, or the error with which the replica must end. It was logged. */
enum ord_err replica_fatal(const struct replica *replica);

/* Frees a check that the host will never run or give back. Submissions that wait for it are answered BUSY. */
void replica_check_drop(struct replica *replica, struct replica_check *check);

/* The bounded work that is under way. */
struct replica_open {
    uint32_t messages; /* checks of messages, attestations and certificates that the host has */
    /* Upper bound of the signatures to check in the messages among them. */
    uint64_t cost;
    uint32_t costly;    /* messages in the view queue */
    uint32_t envelopes; /* checks of submitted and forwarded envelopes */
};

/* Checks of one sender's messages, attestations and certificates that wait for its earlier ones. */
struct replica_waiting {
    uint32_t checks;
    uint32_t cost; /* as in struct replica_open */
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
    uint64_t pace_rate; /* cost per second (replica/intake/pace.h) that is counted with in this turn */
    struct replica_open open;
    bool syncing;
    /* Blocks were taken and the tail was not yet: the core stands still. */
    bool syncing_between;
    bool intake_open;
    uint32_t evidence[ORD_REPLICA_MAX]; /* pieces on disk, by culprit */
};
void replica_status(const struct replica *replica, struct replica_status *out);
struct replica_waiting replica_waiting(const struct replica *replica, ord_node_id from);

/* A replica's counters, for status. Each is a field of struct replica_counters. */
#define REPLICA_COUNTERS(X)                                                                                            \
    X(turns)                                                                                                           \
    X(commits)                                                                                                         \
    X(link_messages_ignored)                                                                                           \
    X(link_messages_useless)                                                                                           \
    X(link_jobs_over_share)                                                                                            \
    X(client_signatures_checked)                                                                                       \
    X(client_signatures_bad)                                                                                           \
    X(client_signatures_skipped)                                                                                       \
    X(certificates_checked)                                                                                            \
    X(certificates_executed)                                                                                           \
    X(messages_authenticated)                                                                                          \
    X(messages_refused)                                                                                                \
    X(attestations_made)                                                                                               \
    X(attestations_checked)                                                                                            \
    X(attestations_skipped)                                                                                            \
    X(attestations_bad)                                                                                                \
    X(batches_proposed)                                                                                                \
    X(batches_judged)                                                                                                  \
    X(batches_refused)                                                                                                 \
    X(cuts_proposed)                                                                                                   \
    X(batches_executed)                                                                                                \
    X(envelopes_accepted)                                                                                              \
    X(envelopes_duplicate)                                                                                             \
    X(envelopes_refused)                                                                                               \
    X(blocks_closed)                                                                                                   \
    X(submissions)                                                                                                     \
    X(envelopes_submitted)                                                                                             \
    X(envelopes_busy)                                                                                                  \
    X(envelopes_forwarded)                                                                                             \
    X(envelopes_offered)                                                                                               \
    X(envelopes_wanted)                                                                                                \
    X(syncs_started)                                                                                                   \
    X(syncs_finished)                                                                                                  \
    X(sync_blocks)                                                                                                     \
    X(sync_refused)                                                                                                    \
    X(evidence)                                                                                                        \
    X(evidence_refused)                                                                                                \
    X(damaged_reads)                                                                                                   \
    X(intake_stopped)

struct replica_counters {
#define REPLICA_COUNTER_FIELD(name) uint64_t name;
    REPLICA_COUNTERS(REPLICA_COUNTER_FIELD)
#undef REPLICA_COUNTER_FIELD
};

const struct replica_counters *replica_counters(const struct replica *replica);
/* The executed state. It changes with each turn. */
struct channel *replica_channel(const struct replica *replica);
const struct ord_core_config *replica_core_config(const struct replica *replica);

#endif
