/*
 * A replica's process: the real replica/, and around it a simulation of node/'s LMDB, sockets and threads. The files:
 *
 *   process.c    life, turns and commits; sending
 *   store.c      the replica's records, out of and into sim/disk.h
 *   checks.c     checks of signatures, which take their time
 *   observe.c    between the replica and its core: checks every event and effect, and changes some for liars
 *   serve.c      clients: submissions, answers, receipts
 *   asks.c       what clients' engines ask
 *   reader.c     receipts out of durable blocks
 */
#ifndef ORDAIN_SIM_PROCESS_H
#define ORDAIN_SIM_PROCESS_H

#include "channel/attestation.h"
#include "channel/state.h"
#include "raft/raft.h"
#include "replica/replica.h"
#include "sim/cost.h"
#include "sim/duties.h"
#include "sim/intake.h"
#include "sim/observe.h"
#include "sim/world.h"

#define SIM_WAITS_MAX 256 /* clients that wait for a receipt */
/* Frames of one peer that may wait for a turn. */
#define SIM_INBOX_MAX 256
/* Certificates that readers were told of, and that may not be durable yet. */
#define SIM_CERTIFICATES_MAX 8

struct sim_wait {
    /* The client's number in the world; UINT32_MAX: this entry is free. */
    uint32_t client;
    uint64_t sequence;
};

/* An input that waits for a turn. */
struct sim_input {
    enum replica_input_type type;
    ord_node_id from;
    uint8_t kind;
    struct sim_buffer *buffer; /* a message's bytes, held */
    struct replica_check *check;
    struct sim_submission *submission;
};

/* A client's envelopes, until they are answered. */
struct sim_submission {
    struct replica_submission given;
    uint32_t client;
    /* An engine's call has this number. 0: no engine made it, and `sequence` is the envelope's. */
    uint64_t call;
    uint64_t sequence;
    /* Bits: the envelopes that the reference of the pool was told of (sim_intake_judged). */
    uint64_t judged;
    struct sim_buffer *buffer;
    /* Neighbours in the list of open submissions. */
    struct sim_submission *next;
    struct sim_submission *previous;
    struct replica_result *results;
    struct ord_span envelopes[];
};

struct sim_send {
    /* The message leaves when this turn is durable; 0: at once. */
    uint64_t turn;
    ord_replica_set to;
    enum replica_link kind;
    struct sim_buffer *buffer;
};

/* A check that is under way. */
struct sim_checking {
    struct replica_check *check; /* NULL: free */
    uint64_t number;
};

struct sim_certified {
    uint64_t height;
    struct sim_buffer *certificate; /* NULL: free */
};

/* The replica's state when the commit under way began. */
struct sim_frozen {
    struct ord_status status;
    uint64_t cut_seq;
};

struct sim_process {
    struct sim_replica *replica;
    struct sim_world *world;
    struct replica *program; /* NULL: it could not start */
    struct ord_core observer;
    /* The core's, as the replica gave it; in a raft channel with options of the plan. */
    struct ord_core_config core_config;
    struct raft_options raft_options;
    /* The checks' view of its pool; NULL: a liar's. */
    struct sim_intake *intake;
    /* The checks' view of what it owes others; NULL: a liar's. */
    struct sim_duties *duties;
    /* What its core was told; NULL: a liar's, or a replica that is alone. */
    struct sim_told *told;
    /* The replicas that answered its ASK, and the highest seq that any of them has seen. */
    ord_replica_set recalled;
    uint64_t reach_seq;
    uint64_t turn_bytes_max;
    uint64_t now_ms;
    bool ended;
    char why[256]; /* the newest error in its log */

    struct sim_input *inbox;
    /* The inputs before this one were taken. */
    size_t inbox_next;
    size_t inbox_count;
    size_t inbox_capacity;
    uint32_t inbox_frames[ORD_REPLICA_MAX];
    /* In the order in which the replica sent them. */
    struct sim_send *outbox;
    size_t outbox_count;
    size_t outbox_capacity;
    /* When the planned wake-up happens; UINT64_MAX: none is planned. */
    uint64_t wake_us;

    struct sim_writes writes; /* put since the last commit began */
    /* The writes that the commit under way makes durable. */
    struct sim_writes under_way;
    uint64_t committing;                     /* its turn; 0: none */
    struct sim_frozen frozen;                /* the state when it began */
    uint64_t delivered_ms;                   /* when the core last delivered */
    struct channel_statement last_statement; /* the last one that was put */
    /* The last one that was put, held; NULL: none. */
    struct sim_buffer *last_certificate;

    struct sim_checking *checking;
    size_t checking_count;
    size_t checking_capacity;
    uint64_t check_number;
    /* Until this time the queue's one thread works on earlier checks. */
    uint64_t queue_busy_us[REPLICA_QUEUE_COUNT];
    uint64_t newcomers_bad_until_us[ORD_REPLICA_MAX];
    uint64_t ignored_until_us[ORD_REPLICA_MAX];
    struct sim_cost cost;

    struct sim_submission *submissions;
    struct sim_ask *asks; /* open questions of clients' engines */
    struct sim_wait waits[SIM_WAITS_MAX];
    uint32_t wait_next;
    uint32_t waits_open;
    /* The certified height has grown since the waiting clients were last looked at. */
    bool waits_due;
    uint64_t certified_height;
    struct sim_certified certified[SIM_CERTIFICATES_MAX]; /* ring */
    uint64_t certified_count;
};

/* process.c */
void sim_process_start(struct sim_replica *replica);
void sim_process_destroy(struct sim_process *process);
/* Solo decides within a turn, and the reference cannot take anything back. So this makes every put durable. */
void sim_process_settle(struct sim_process *process);
/* Handles an event for a running process. Takes over its buffer. */
void sim_process_event(struct sim_process *process, struct sim_event *event);
/* The replica's process, if it has one, goes on after a pause, or its clock jumped. */
void sim_process_poke(struct sim_replica *replica);
/* The process is about to be stopped: it lets another replica lead. */
void sim_process_hand_over(struct sim_process *process);
/* Plans an event that is for this process only, and not for one that follows it. */
void sim_process_plan(struct sim_process *process, enum sim_event_kind kind, uint64_t delay_us, uint64_t a, uint64_t b);
void sim_process_give(struct sim_process *process, const struct sim_input *input);
/* True if something was put that is not durable yet. */
bool sim_process_dirty(const struct sim_process *process);
/* The core's status. */
static inline struct ord_status sim_process_status(const struct sim_process *process) {
    return process->observer.status;
}

/* The time on the replica's wall clock. */
int64_t sim_process_wall_s(const struct sim_process *process);

/* store.c */
void sim_store_init(struct replica_store *out, struct sim_process *process);
/* `certificate` of struct replica_host. */
enum ord_err sim_store_certificate(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height);
void sim_store_deinit(struct sim_process *process);

/* checks.c. `check` of struct replica_host: runs the check now or later. */
void sim_checks_begin(void *context, struct replica_check *check);
/* A check has taken its time. */
void sim_checks_event(struct sim_process *process, const struct sim_event *event);
/* The process ends, and its checks never come back. */
void sim_checks_drop(struct sim_process *process);

/* serve.c */
void sim_serve_submitted(struct sim_process *process, struct sim_event *event);
/* Gives the replica `count` envelopes of a client. Takes over the hold of `buffer`, in which they are. */
void sim_serve_submit(struct sim_process *process, const struct sim_submission *form, const struct ord_span *envelopes,
                      uint32_t count);
/* `answer` and `certified` of struct replica_host. */
void sim_serve_answer(void *context, struct replica_submission *answered);
void sim_serve_certified(void *context, uint64_t height, const struct channel_certificate *certificate);
/* Sends receipts for envelopes that are final now. */
void sim_serve_receipts(struct sim_process *process);
void sim_serve_deinit(struct sim_process *process);
/* The certificate at the lowest height >= `height`, on disk or among those that readers were told of; NULL: none. */
struct sim_buffer *sim_serve_certificate(const struct sim_process *process, uint64_t *at, uint64_t height);

/* asks.c. Takes a SIM_ASK, with its buffer, or a SIM_WAITED. True: the replica has something to do. */
bool sim_asks_event(struct sim_process *process, struct sim_event *event);
/* Answers the questions that can be answered now. */
void sim_asks_serve(struct sim_process *process);
/* Answers an engine's submit request. */
void sim_asks_submitted(struct sim_process *process, const struct sim_submission *submission);
void sim_asks_deinit(struct sim_process *process);

struct channel_receipt;
/* reader.c. Fills in the envelope at `index` of the block, and the path from its leaf to the root. */
void sim_reader_path(struct channel_receipt *out, struct ord_span data, uint32_t index);
/*
 * NULL: the envelope is not final yet, or not there. The caller holds the receipt. `height` gets the block's
 * height.
 */
struct sim_buffer *sim_reader_receipt(const struct sim_process *process, uint64_t *height, uint32_t client,
                                      uint64_t sequence, bool with_envelope);
/* True if the number is ordered here and its block is certified. */
bool sim_reader_final(const struct sim_process *process, uint32_t client, uint64_t sequence);
/* True if the number is ordered here. */
bool sim_reader_ordered(const struct sim_process *process, uint32_t client, uint64_t sequence);

#endif
