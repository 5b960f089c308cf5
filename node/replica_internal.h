/*
 * The replica's parts, for the files of node/ only. Unless a comment says otherwise, everything belongs to the loop thread.
 *
 *   loop.c       the turn: work, timers, proposals, flush, commit, attestations, frames
 *   forward.c    envelopes of the pool to the leader, and to all when they wait
 *   effects.c    what the core's effects do: persist, deliver, send, judge, sync
 *   admission.c  submissions of clients and forwards of replicas
 *   propose.c    batches out of the pool, cut markers
 *   judge.c      batches of the primary: is every envelope admissible, each signature checked once
 *   attest.c     attestations, certificates, stable checkpoints
 *   accuse.c     evidence of replicas that contradicted themselves: checked, kept once, bounded
 *   links.c      frames to and from the other replicas
 *   link_jobs.c  messages of the core, and what one peer's messages may take of the vote pool
 *   sync.c       state transfer; sync_serve.c: as a source
 *   service.c    the reader thread; answer_*.c: deliver, receipts, waits
 *   status.c     status and client requests, counters
 *   recover.c    state from disk
 */
#ifndef ORDAIN_NODE_REPLICA_INTERNAL_H
#define ORDAIN_NODE_REPLICA_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "bft/bft.h"
#include "channel/attestation.h"
#include "channel/checkpoint.h"
#include "channel/state.h"
#include "core/protocol.h"
#include "crypto/hash.h"
#include "crypto/link.h"
#include "crypto/pool.h"
#include "evidence/evidence.h"
#include "ledger/ledger.h"
#include "net/net.h"
#include "node/inbox.h"
#include "node/pool.h"
#include "node/records.h"
#include "node/replica.h"
#include "node/seam.h"
#include "node/shares.h"
#include "proto/ordain.pb-c.h"

typedef Ordain__V1__Request api_request_message;

/* A counter: written by one thread or many, read by status. */
typedef atomic_uint_fast64_t counter;

#define NODE_COUNTERS(X)                                                                                               \
    X(turns)                                                                                                           \
    X(commits)                                                                                                         \
    X(frames_sent)                                                                                                     \
    X(frame_bytes_sent)                                                                                                \
    X(frames_received)                                                                                                 \
    X(frames_refused)                                                                                                  \
    X(frames_over_quota)                                                                                               \
    X(link_messages_dropped)                                                                                           \
    X(link_messages_ignored)                                                                                           \
    X(link_messages_useless)                                                                                           \
    X(links_silent)                                                                                                    \
    X(link_jobs_over_share)                                                                                            \
    X(peer_frames_per_turn_max)                                                                                        \
    X(client_signatures_checked)                                                                                       \
    X(client_signatures_bad)                                                                                           \
    X(client_signatures_skipped)                                                                                       \
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
    X(requests)                                                                                                        \
    X(requests_malformed)                                                                                              \
    X(syncs_started)                                                                                                   \
    X(syncs_finished)                                                                                                  \
    X(sync_blocks)                                                                                                     \
    X(sync_refused)                                                                                                    \
    X(evidence)                                                                                                        \
    X(evidence_refused)                                                                                                \
    X(damaged_reads)                                                                                                   \
    X(intake_stopped)

struct node_counters {
#define NODE_COUNTER_FIELD(name) counter name;
    NODE_COUNTERS(NODE_COUNTER_FIELD)
#undef NODE_COUNTER_FIELD
};

/* ---- links ---- */

enum link_kind {
    LINK_CORE = 1,         /* bytes of the consensus core */
    LINK_ATTESTATION = 2,  /* one attestation */
    LINK_CERTIFICATE = 3,  /* a certificate of a stable checkpoint, for one who is behind */
    LINK_FORWARD = 4,      /* a batch of envelopes that clients gave to a backup */
    LINK_SYNC_REQUEST = 5, /* state transfer: docs/protocol.md */
    LINK_SYNC_BLOCKS = 6,
    LINK_SYNC_TAIL = 7,
};

#define LINK_MESSAGE_HEADER 5          /* kind u8, size u32 */
#define LINK_FRAME_SLACK    (2u << 20) /* frame_bytes_max = batch_bytes_max + this */
#define LINK_FRAMES_MAX     64         /* frames that wait for one peer */
#define LINK_JOBS_MAX       512        /* messages of one peer in the vote pool */

struct link_frame {
    struct net_message *message;
    uint8_t *data;
    size_t used; /* header room included */
    size_t capacity;
};

struct peer {
    struct replica *replica;
    ord_node_id id;
    pthread_mutex_t mutex;   /* guards `link` */
    struct crypto_link link; /* loop thread seals, receiving thread opens */
    struct net_push *push;
    atomic_bool up;        /* transport is connected */
    atomic_bool hello_due; /* send a hello at the next flush */
    counter heard_ms;      /* last sign of life: a frame that opened, or the link coming up */
    uint32_t silences;     /* of late: how often it was given up since it was not heard, last at: */
    uint64_t silent_ms;
    counter inbound_bytes;    /* frames that the loop has not finished with, and the jobs made of them */
    counter ignored_until_ms; /* no votes, attestations and certificates of its until then */
    uint32_t jobs_open;       /* of its messages, in the vote pool; <= LINK_JOBS_MAX */
    bool under_way;           /* the transport has a message of ours */
    atomic_bool sent;         /* it is done with it */
    uint64_t hello_sent_ms;
    struct link_frame frames[LINK_FRAMES_MAX]; /* ring */
    uint32_t frame_first;
    uint32_t frame_count;
    uint64_t queued_bytes;
    uint32_t cost_open;   /* signatures to check in its messages in the vote and view pools, at most */
    uint32_t costly_open; /* of its messages, in the view pool */
    uint64_t debt;        /* of its messages with many signatures: what it used beyond its allowance, as of: */
    uint64_t debt_ms;
    uint64_t sent_turn; /* turn of the last frame, and how many frames it sent to this peer */
    uint32_t sent_frames;
    uint64_t attested_seq; /* newest seq that it attested: how far it is */
};

/* An opened frame; freed when its last message is done. */
struct frame {
    struct work work;
    struct peer *peer;
    struct net_message *message;
    struct ord_span payload;
    uint32_t references;
};

/* ---- requests of clients ---- */

struct api_request {
    struct work work;
    struct api_request *next; /* service queue and parked list */
    struct net_request *net;
    api_request_message *message;
    uint64_t received_ms;
    uint64_t deadline_ms;
    uint32_t client_index;         /* of WAIT and RECEIPT: looked up by the loop; UINT32_MAX unknown */
    size_t first_open;             /* WAIT: sequences before it are final */
    struct submission *submission; /* SUBMIT whose duplicates want receipts */
};

/* Per envelope of a SubmitRequest. */
struct submit_result {
    Ordain__V1__Status status;
    const char *message; /* static */
    uint32_t client_index;
    uint64_t sequence;
    struct ord_hash leaf;
    bool want_receipt;
};

struct submission {
    struct replica *replica;
    struct api_request *request; /* NULL: a forward of another replica, nobody waits */
    ord_node_id forwarded_by;
    uint32_t count;
    uint32_t jobs_open;
    uint32_t hint; /* leader + 1 */
    struct submit_result *results;
    struct pool_entry **entries; /* NULL where refused at once */
};

/* A chunk of signature checks that runs in the client pool. */
#define CHECK_CHUNK 32

struct check_chunk {
    struct work work;
    struct replica *replica;
    void *owner; /* submission or judgement */
    uint32_t count;
    bool bad; /* some signature did not verify */
    struct {
        struct crypto_verify_key key;
        struct ord_hash hash;
        struct ord_signature signature;
        uint32_t tag; /* owner's own: index of the envelope */
        bool ok;
    } items[CHECK_CHUNK];
};

/* ---- judging ---- */

struct judgement {
    struct judgement *next;
    uint64_t view;
    uint64_t seq;
    struct ord_hash digest;
    struct ord_span batch; /* valid until the core gets the verdict */
    uint32_t jobs_open;
    bool waiting;  /* names a client that is not registered yet: look again when seq - 1 is executed */
    bool checking; /* one of its envelopes is being checked for admission: look again */
    bool bad;
    bool done;
    bool dropped; /* the core moved past it; free when its jobs are back */
};

/* ---- attestations ---- */

struct attest {
    struct channel_collector *collector;
    struct channel_statement pending[64]; /* of this turn, to be signed after the commit */
    uint32_t pending_count;
    struct channel_attestation newest; /* own; signer ORD_NO_NODE: none */
    uint64_t newest_sent_ms;
    struct attest_point *history;      /* own points, by seq modulo record_point_slots; seq 0: none */
    struct channel_certificate stable; /* newest with a strong quorum; count 0: none */
    bool stable_settled;               /* executed here: blocks below it are certified */
    struct channel_certificate low; /* of the checkpoint where the core's log will be truncated next; count 0: none */
    uint64_t weak_seq;              /* newest seq with a weak quorum that we executed */
};

/* ---- evidence ---- */

struct accusations {
    uint32_t slots; /* pieces that are kept against one replica */
    uint32_t counts[ORD_REPLICA_MAX];
    struct evidence_place places[ORD_REPLICA_MAX][RECORD_EVIDENCE_SLOTS]; /* where; the first counts[i] */
    uint32_t committed[ORD_REPLICA_MAX];                                  /* on disk: what readers find */
};

/* ---- state transfer ---- */

struct sync {
    bool active;
    bool between; /* blocks were taken, the tail not yet: the core must not deliver now */
    uint64_t wanted_seq;
    struct channel_certificate target; /* where to; strong quorum */
    ord_node_id source;
    bool asked;
    bool go_on; /* a piece was taken: ask `source` for what comes next, at the end of the turn */
    uint64_t asked_ms;
    uint64_t started_ms;
    struct ord_hash *leaves; /* work space for block checks */
    size_t leaf_max;
    uint64_t served_bytes[ORD_REPLICA_MAX]; /* quota of this second, by asker */
    uint64_t served_ms;
};

/* ---- the reader thread ---- */

#define SERVICE_CERTIFICATES 64

struct service_block; /* the block that was looked at last, with its leaves */

/* A certificate that may not be committed yet. */
struct service_slot {
    uint64_t height; /* 0: empty */
    size_t size;
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
};

struct service {
    struct replica *replica;
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct api_request *head; /* guarded by mutex, as is everything down to here */
    struct api_request *tail;
    uint64_t certified_height;
    struct service_slot *certificates; /* ring of SERVICE_CERTIFICATES */
    uint32_t certificate_next;
    bool stopping;
    struct api_request *parked; /* service thread only, from here */
    uint32_t parked_count;
    struct service_block *block;
};

/* ---- the replica ---- */

struct replica {
    struct node_config config;
    struct replica_seam seam; /* all zeros outside of tests */
    struct channel_config *channel_config;
    struct ord_hash genesis_hash;
    struct channel_header genesis_header;
    struct ord_span genesis_data; /* in genesis_file */
    uint8_t *genesis_file;
    struct crypto_private_key key;
    struct crypto_replica_keys keys;
    struct ord_crypto_ops crypto;
    struct channel_checkpoints checkpoints;
    struct bft_options bft_options;
    struct ord_signer signer;
    char *tls_ca;
    char *tls_cert;
    char *tls_key;

    const struct ord_protocol *protocol;
    struct ord_core_config core_config;
    uint64_t turn; /* that the next step belongs to */
    struct ord_core *core;
    void *core_memory;
    void *channel_memory;
    size_t channel_memory_size;
    struct channel *channel;
    struct ledger *ledger;

    struct inbox inbox;
    struct crypto_pool *vote_pool;   /* consensus messages and attestations: never behind envelopes */
    struct crypto_pool *view_pool;   /* those with many signatures: no other peer's votes are behind them */
    struct crypto_pool *judge_pool;  /* signatures of envelopes in proposed batches: never behind submissions */
    struct crypto_pool *client_pool; /* signatures of submitted envelopes */
    struct net_pull *pull;
    struct net_server *server;
    struct peer *peers; /* by id; the own one is unused */
    uint32_t peer_count;
    size_t frame_bytes_max;

    struct pool pool;
    struct shares checks; /* envelopes in the client pool for admission, by source */
    struct judgement *judgements;
    struct attest attest;
    struct accusations accusations;
    struct sync sync;
    struct service service;
    struct node_counters counters;

    uint64_t now_ms;
    uint64_t started_ms;
    uint64_t wake_at_ms; /* the core's */
    uint64_t housekeeping_ms;
    uint64_t links_looked_ms; /* links_tick */
    ord_node_id leader;
    uint64_t view;
    bool shown_asking; /* of the core, as the log was told; likewise: */
    bool shown_silent;
    uint64_t shown_until_seq;
    bool began_empty;           /* nothing was on disk at the start */
    enum ord_err rejected;      /* last proposal's */
    uint64_t turn_bytes_max;    /* that one turn may write */
    bool cut_short;             /* the last turn left something to do, because it had written enough */
    struct work *deferred;      /* of it: what it took and did not come to */
    uint64_t committed_height;  /* newest block that is on disk: what readers can find */
    uint64_t certified_pending; /* certified, and not on disk yet; 0: none */
    uint64_t executing_seq;
    uint64_t leader_since_ms;
    uint64_t useful_seq; /* last in which anything was executed or closed; 0: none since the start */
    uint32_t executed;   /* envelopes, since the last APPLIED; likewise: */
    uint32_t waits;
    uint64_t wait_sum_ms;
    uint64_t work_since_ms; /* as the core was told; UINT64_MAX: nothing waits */
    bool state_changed;     /* channel state to be written in this turn */
    bool commit_urgent;     /* the turn's commit cannot wait: something is sent or executed on the strength of it */
    uint64_t commit_due_ms; /* what can wait (certificates, forgetting) waits until then, or for an urgent one */
    uint64_t tail_height;   /* open block's height when state transfer brought a tail for it; 0: none on disk */
    uint32_t tail_count;
    uint8_t *record_buffer; /* RECORD_OPEN_SIZE(max_message_count) */
    bool intake_open;
    uint64_t open_height; /* height of the open block that `open_since_ms` speaks of */
    uint64_t open_since_ms;
    uint64_t cut_height; /* highest height that we proposed a cut for */
    uint64_t cut_ms;
    uint8_t *batch_buffer; /* batch_bytes_max */
    struct pool_entry **batch_entries;
    uint64_t frames_mark;
    bool fatal;
    enum ord_err fatal_err;
    atomic_bool stopping;
};

static inline void count_add(counter *c, uint64_t value) {
    atomic_fetch_add_explicit(c, value, memory_order_relaxed);
}
static inline uint64_t count_get(counter *c) {
    return atomic_load_explicit(c, memory_order_relaxed);
}

uint64_t node_clock_ms(void);
/* The process must end: logs why once and stops the loop after this turn, without a commit. */
void replica_fail(struct replica *replica, enum ord_err err, const char *what);
/* Reading something of the block at `height` gave `err`: CORRUPT is counted, and logged the 1st, 2nd, 4th ... time. Any thread. */
void replica_note_damage(struct replica *replica, const char *what, uint64_t height, enum ord_err err);

/* effects.c */
void replica_step(struct replica *replica, const struct ord_event *event);
void replica_carry_out(struct replica *replica, const struct ord_effect *effect);
void replica_write_state(struct replica *replica);
/* The core's low watermark, with whatever moved it. */
/* After the channel executed: since when a block is open, which its timeout counts from. */
void replica_note_open(struct replica *replica);
/* Logs when the core begins or ceases to be silent. */
void replica_note_silence(struct replica *replica);
/* Gets each closed block while the channel executes. */
enum ord_err replica_block_sink(void *context, const struct channel_block *block);

/* loop.c: hands a job to a pool; runs it at once when the queue is full. */
void replica_run_job(struct replica *replica, struct crypto_pool *pool, crypto_job job, void *argument);
/* The work for the next turn, in order; waits for some up to `wait_ms`, unless the last turn was cut short. May be NULL. */
struct work *replica_take_work(struct replica *replica, uint64_t wait_ms);
/* Has the turn written so much that what is left has to wait for the next? Then that comes at once. */
bool replica_turn_full(struct replica *replica);
/* One turn with this list of work, which may be NULL. */
void replica_turn(struct replica *replica, struct work *work);

/* admission.c */
ORD_MUST_USE enum ord_err admission_init(struct replica *replica);
void admission_submit(struct replica *replica, struct api_request *request);
void admission_forwarded(struct replica *replica, struct frame *frame, struct ord_span batch);
/* Removes what is executed or too old. */
void admission_sweep(struct replica *replica);
/* Need it not be ordered any more? Of one that is settled. */
bool admission_is_over(struct replica *replica, const struct pool_entry *entry);
struct pool_key admission_key(uint32_t client_index, const struct ord_hash *client, uint64_t sequence);
void check_chunk_run(void *argument);

/* propose.c */
void propose(struct replica *replica);
/* When `propose` wants to run again although nothing came; UINT64_MAX: never. */
uint64_t propose_due_ms(const struct replica *replica);
/* When the open block is, or will be, overdue; UINT64_MAX: never. */
uint64_t propose_cut_ms(const struct replica *replica);

/* forward.c */
void forward_fresh(struct replica *replica);
/* What was forwarded and is not executed, now and then. */
void forward_again(struct replica *replica);

/* judge.c */
void judge_begin(struct replica *replica, uint64_t view, uint64_t seq, const struct ord_hash *digest,
                 struct ord_span batch);
void judge_drain(struct replica *replica);
void judge_drop(struct replica *replica, uint64_t seq);
void judge_deinit(struct replica *replica);

/* attest.c */
void attest_at(struct replica *replica, uint64_t seq);
/* Own statement at `seq`; NULL: none that is remembered. */
const struct attest_point *attest_find(const struct replica *replica, uint64_t seq);
void attest_keep(struct replica *replica, const struct attest_point *point);
void attest_sign(struct replica *replica);
/* When a stable checkpoint that was ahead of us has been executed meanwhile. */
void attest_settle(struct replica *replica);
/* The core shows the certificate of a stable checkpoint that it is behind. */
void attest_shown(struct replica *replica, struct ord_span bytes);
void attest_resend(struct replica *replica);
void attest_received(struct replica *replica, struct frame *frame, struct ord_span bytes);
void attest_certificate_received(struct replica *replica, struct frame *frame, struct ord_span bytes);

/* accuse.c */
/*
 * Two statements of one replica, signed, that contradict each other, by whoever noticed: kept in the turn's transaction, if they
 * prove it, unless this contradiction is kept already or there are enough against that replica.
 */
void accuse_votes(struct replica *replica, struct ord_span first, struct ord_span second);
void accuse_attestations(struct replica *replica, const struct channel_attestation *first,
                         const struct channel_attestation *second);
/* What was kept before. CORRUPT: it proves nothing now. */
ORD_MUST_USE enum ord_err accuse_recover(struct replica *replica);
/* After each commit. */
void accuse_committed(struct replica *replica);

/* links.c */
ORD_MUST_USE enum ord_err links_open(struct replica *replica, char *why, size_t why_size);
void links_close(struct replica *replica);
/* One message to each replica of the set; it leaves with the flush. Dropped where the link is down or its queue is full. */
void links_send(struct replica *replica, ord_replica_set to, enum link_kind kind, const struct ord_span *parts,
                size_t part_count);
void links_flush(struct replica *replica);
/* Several times a second: gives up links whose peer has not been heard for a while, and dials them again. */
void links_tick(struct replica *replica);
void frame_hold(struct frame *frame);
void frame_release(struct frame *frame);
ord_replica_set links_ready(struct replica *replica);
/* A frame as it came. In a thread of the transport, one call at a time; takes the message. `context` is the replica. */
void links_on_message(void *context, struct net_message *message);

/* link_jobs.c: before and after a message's job in the vote pool, which takes `job_bytes`. False: the message is to be dropped. */
bool link_job_begin(struct replica *replica, struct peer *peer, size_t job_bytes);
void link_job_end(struct peer *peer, size_t job_bytes);
/* It sent a signature that does not verify: ignore it for a while. Any thread. */
void link_ignore(struct peer *peer);
bool link_ignored(struct peer *peer, uint64_t now_ms);
/* A view was installed: what its view changes cost is forgotten. */
void links_forgive(struct replica *replica);
void link_core_received(struct replica *replica, struct frame *frame, struct ord_span bytes);

/* sync.c */
/* May the core get messages, verdicts and proposals now? */
bool sync_core_may_run(const struct replica *replica);
void sync_wanted(struct replica *replica, uint64_t seq);
void sync_tick(struct replica *replica);
/* At the end of a turn, after the commit: goes on where a piece was taken. */
void sync_ask(struct replica *replica);
void sync_request_received(struct replica *replica, struct peer *peer, struct ord_span bytes);
void sync_blocks_received(struct replica *replica, struct peer *peer, struct ord_span bytes);
void sync_tail_received(struct replica *replica, struct peer *peer, struct ord_span bytes);

/* service.c */
ORD_MUST_USE enum ord_err service_start(struct replica *replica);
void service_stop(struct replica *replica);
void service_post(struct replica *replica, struct api_request *request);
/*
 * Blocks up to the certificate's are final: serve them, as soon as they are committed. `certificate` NULL: it is in the ledger.
 */
void service_certified(struct replica *replica, uint64_t height, const struct channel_certificate *certificate);
/* After each commit: what was certified before it was on disk is served now. */
void service_committed(struct replica *replica);
/* The certificate at the lowest height >= `height`, whether it is committed yet or not. malloc'ed. Any thread. */
ORD_MUST_USE enum ord_err service_certificate(struct service *service, struct ledger_bytes *out, uint64_t *at,
                                              uint64_t height);
void api_reply(struct api_request *request, const Ordain__V1__Response *response);
void api_reply_error(struct api_request *request, Ordain__V1__Status status, const char *message);
/* Frees a submission and what its request needs no more. */
void submission_destroy(struct submission *submission);

/* status.c */
void status_reply(struct replica *replica, struct api_request *request);
void status_client_reply(struct replica *replica, struct api_request *request);

/* recover.c */
/* Rebuilds the channel from the ledger (also after a transfer that failed half-way). */
ORD_MUST_USE enum ord_err recover_channel(struct replica *replica, char *why, size_t why_size);
ORD_MUST_USE enum ord_err recover_core(struct replica *replica, char *why, size_t why_size);

#endif
