/*
 * A replica's process: the real core and the real channel, and around them what node/ does, in its plainest form. The files:
 *
 *   process.c    start, turn, commit; the seam's effects (all use of core/protocol.h is here)
 *   request.c    the pool: admission, forwarding, proposals, cut markers, receipts
 *   judge.c      batches of the primary: is every envelope admissible
 *   attest.c     attestations, certificates, stable checkpoints, when the core's log is cut
 *   sync.c       state transfer
 *   recover.c    state from disk
 */
#ifndef ORDAIN_SIM_PROCESS_H
#define ORDAIN_SIM_PROCESS_H

#include "bft/bft.h"
#include "channel/attestation.h"
#include "channel/checkpoint.h"
#include "channel/state.h"
#include "sim/world.h"

#define SIM_POOL_MAX      256 /* admitted envelopes that are not executed */
#define SIM_WAITS_MAX     256 /* clients that want a receipt */
#define SIM_INBOX_MAX     256 /* frames of one peer that wait for the loop */
#define SIM_JUDGEMENT_MAX 256
#define SIM_POINTS        257 /* own statements that are kept: more than the largest window */

struct sim_pooled {
    uint32_t client_index; /* UINT32_MAX: a registration */
    uint64_t sequence;     /* of a registration: the fingerprint's first 8 bytes */
    bool proposed;         /* stands in a batch under way */
    bool foreign;          /* another replica forwarded it */
    uint32_t forwarded;    /* how often, under this leader */
    uint64_t since_ms;     /* since when its client waits to be served */
    uint64_t admitted_ms;
    uint64_t forwarded_ms;
    struct sim_buffer *envelope;
};

struct sim_pool {
    struct sim_pooled items[SIM_POOL_MAX]; /* in order of arrival */
    uint32_t count;
};

struct sim_wait {
    uint32_t client; /* of the world; UINT32_MAX: free */
    uint64_t sequence;
};

struct sim_judgement {
    uint64_t number; /* 0: free */
    uint64_t view;
    uint64_t seq;
    struct ord_hash digest;
    struct ord_span batch; /* the core's; looked at while it is lent */
    bool waiting;          /* names a client who is not registered yet */
    bool done;
    bool bad;
};

/* An own statement, and what a source of state transfer needs of that moment. */
struct sim_point {
    struct channel_statement statement;
    uint64_t tail_size; /* of the open block's data then: a prefix of the next block's ever after */
    struct ord_hash clients_root;
};

struct sim_attest {
    struct channel_collector *collector;
    struct channel_statement pending[64]; /* of this turn, to be signed after the commit */
    uint32_t pending_count;
    struct channel_attestation newest; /* own; signer ORD_NO_NODE: none */
    uint64_t newest_sent_ms;
    struct sim_point points[SIM_POINTS]; /* by seq modulo the window + 1, as the node's; seq 0: none */
    struct channel_certificate stable;   /* newest with a strong quorum; count 0: none */
    bool stable_settled;                 /* executed here */
    struct channel_certificate low;      /* where the core's log will be cut next; count 0: none */
    struct channel_certificate weak;     /* newest that we executed; count 0: none */
    uint64_t peer_seqs[ORD_REPLICA_MAX];
};

struct sim_sync {
    bool active;
    bool between; /* blocks were taken, the tail not yet: the core must not deliver now */
    struct channel_certificate target;
    ord_node_id source;
    bool asked;
    uint64_t asked_ms;
    struct ord_hash *leaves;
    size_t leaf_max;
};

struct sim_send {
    ord_replica_set to; /* 0: to client `client` */
    enum sim_link kind;
    uint32_t client;
    uint64_t sequence;
    enum sim_answer answer;
    struct sim_buffer *buffer;
};

struct sim_process {
    struct sim_replica *replica;
    struct sim_world *world;
    const struct ord_protocol *protocol;
    struct ord_core_config core_config;
    uint64_t turn; /* that the next step belongs to */
    struct channel_checkpoints checkpoints;
    struct bft_options bft_options;
    struct ord_core *core;
    void *core_memory;
    void *channel_memory;
    struct channel *channel;

    struct sim_event *inbox;
    size_t inbox_count;
    size_t inbox_capacity;
    uint32_t inbox_frames[ORD_REPLICA_MAX];
    bool alone; /* nothing came for the turn */
    bool busy;  /* a commit is under way */
    bool ended;
    struct sim_send *outbox;
    size_t outbox_count;
    size_t outbox_capacity;
    struct sim_writes writes;
    bool urgent; /* the turn's commit cannot wait */
    bool state_changed;
    uint64_t lazy_due_ms;

    struct sim_pool pool;
    struct sim_wait waits[SIM_WAITS_MAX];
    uint32_t wait_next;
    uint32_t waits_open;
    struct sim_map index; /* (fingerprint's first 8 bytes, sequence) -> height */
    uint64_t indexed_height;
    struct sim_judgement judgements[SIM_JUDGEMENT_MAX];
    uint64_t judgement_number;
    uint32_t judgements_open;
    struct sim_attest attest;
    struct sim_sync sync;

    uint64_t now_ms;
    uint64_t wake_at_ms; /* the core's */
    uint64_t wake_us;    /* of the event that is planned; UINT64_MAX: none */
    ord_node_id leader;
    uint64_t view;
    enum ord_err rejected;
    uint64_t work_since_ms; /* that the core was told last */
    uint64_t leader_since_ms;
    uint64_t useful_seq; /* last in which anything was executed or closed; 0: none since the start */
    uint32_t executed;   /* envelopes, since the last APPLIED; likewise: */
    uint32_t pool_waits;
    uint64_t pool_wait_sum_ms;
    uint64_t open_height; /* that `open_since_ms` speaks of */
    uint64_t open_since_ms;
    uint64_t cut_height; /* that a cut was proposed for last */
    uint64_t cut_ms;
};

/* process.c */
void sim_process_start(struct sim_replica *replica);
void sim_process_destroy(struct sim_process *process);
/* An event of the queue for a process that is there; takes over its buffer. */
void sim_process_event(struct sim_process *process, struct sim_event *event);
/* The process goes on after a pause, or its clock jumped. */
void sim_process_poke(struct sim_process *process);
void sim_process_step(struct sim_process *process, const struct ord_event *event);
/* START with what is on disk. */
ORD_MUST_USE enum ord_err sim_process_core_start(struct sim_process *process);
/* It must stop: for an honest replica that is a violation. */
void sim_process_fail(struct sim_process *process, enum ord_err err, const char *what);
void sim_process_send(struct sim_process *process, ord_replica_set to, enum sim_link kind, const struct ord_span *parts,
                      size_t part_count);
void sim_process_write(struct sim_process *process, enum sim_write_kind kind, uint64_t key, struct ord_span bytes);
enum ord_err sim_process_block(void *context, const struct channel_block *block);
/* May the core get messages, verdicts and proposals now? */
static inline bool sim_process_core_runs(const struct sim_process *process) {
    return !process->sync.between && !process->replica->full;
}
struct ord_status sim_process_status(const struct sim_process *process);
/* A certificate proves `seq`: to the core. */
void sim_process_attested(struct sim_process *process, const struct channel_certificate *certificate);
void sim_process_synced(struct sim_process *process, const struct channel_certificate *certificate);

/* request.c */
void sim_request_submitted(struct sim_process *process, uint32_t client, uint64_t sequence,
                           struct sim_buffer *envelope);
void sim_request_forwarded(struct sim_process *process, struct ord_span batch);
void sim_request_forward(struct sim_process *process);
/* Drops what is executed. */
void sim_request_sweep(struct sim_process *process);
/* What stood in batches of a view that is gone may have to be proposed again. */
void sim_request_again(struct sim_process *process);
void sim_request_propose(struct sim_process *process);
/* Since when does work wait that a leader should have done? UINT64_MAX: none does. */
uint64_t sim_request_since_ms(const struct sim_process *process);
uint64_t sim_request_due_ms(const struct sim_process *process);
/* After a commit: receipts for what is final now. */
void sim_request_answer(struct sim_process *process);
struct sim_pooled *sim_request_find(struct sim_process *process, uint32_t client_index, uint64_t sequence);

/* judge.c */
void sim_judge_begin(struct sim_process *process, uint64_t view, uint64_t seq, const struct ord_hash *digest,
                     struct ord_span batch);
void sim_judge_checked(struct sim_process *process, uint64_t number);
void sim_judge_drain(struct sim_process *process);
/* Forgets those up to `seq`. */
void sim_judge_drop(struct sim_process *process, uint64_t seq);

/* attest.c */
void sim_attest_at(struct sim_process *process, uint64_t seq);
void sim_attest_sign(struct sim_process *process);
void sim_attest_settle(struct sim_process *process);
void sim_attest_tick(struct sim_process *process);
uint64_t sim_attest_due_ms(const struct sim_process *process);
void sim_attest_received(struct sim_process *process, ord_node_id from, struct ord_span bytes);
void sim_attest_certificate_received(struct sim_process *process, struct ord_span bytes);
/* The core shows a stable checkpoint that is ahead of us; empty: it shows none. */
void sim_attest_shown(struct sim_process *process, struct ord_span bytes);
const struct sim_point *sim_attest_find(const struct sim_process *process, uint64_t seq);
/* What it attested in earlier lives; the newest is pending then. */
ORD_MUST_USE enum ord_err sim_attest_recover(struct sim_process *process);

/* sync.c */
void sim_sync_wanted(struct sim_process *process, uint64_t seq, struct ord_span certificate);
void sim_sync_tick(struct sim_process *process);
uint64_t sim_sync_due_ms(const struct sim_process *process);
void sim_sync_request_received(struct sim_process *process, ord_node_id from, struct ord_span bytes);
void sim_sync_blocks_received(struct sim_process *process, ord_node_id from, struct ord_span bytes);
void sim_sync_tail_received(struct sim_process *process, ord_node_id from, struct ord_span bytes);

/* recover.c */
ORD_MUST_USE enum ord_err sim_recover(struct sim_process *process);
void sim_state_write(struct sim_process *process);
void sim_index_block(struct sim_process *process, uint64_t height, struct ord_span data);

#endif
