/*
 * A replica on a bench: the real replica/ with a host in memory, and a core that the test plays. Nothing happens by
 * itself. The test gives inputs, runs turns and commits, and looks at the puts, messages and answers.
 */
#ifndef ORDAIN_TESTS_SUPPORT_REPLICA_BENCH_H
#define ORDAIN_TESTS_SUPPORT_REPLICA_BENCH_H

#include "replica/replica_internal.h"
#include "tests/support/channel_support.h"

#define BENCH_EFFECTS_MAX 8

struct bench_message {
    uint64_t turn; /* that it waits for; 0: none */
    ord_replica_set to;
    enum replica_link kind;
    struct ord_span bytes; /* owned by the net */
};

/* A put that is not committed yet, or a record on disk. The newest of each (kind, name or number) counts. */
struct bench_record {
    char name[40]; /* "block 1", "record 1 7", "applied", ... */
    struct ord_span bytes;
    bool gone;
};

struct bench_records {
    struct bench_record items[512];
    uint32_t count;
};

struct bench {
    struct net *net;
    bool owns_net;
    struct party *client;
    struct replica *replica;
    struct replica_options options;
    struct replica_time time;
    struct bench_records open; /* puts of the open transaction */
    struct bench_records frozen;
    struct bench_records disk;
    uint64_t turn_bytes;
    struct bench_message sent[256]; /* in the order of sending */
    uint32_t sent_count;
    struct replica_input inputs[64];
    uint32_t input_next;
    uint32_t input_count;
    struct replica_check *checks[64]; /* handed out, not run yet */
    uint32_t check_count;
    int holds; /* holds of message owners */
    struct replica_submission *answered;
    uint32_t answer_count;
    uint64_t certified_height;
    ord_replica_set connected;
    /* Lines of the log: all of them, and the errors. */
    uint32_t logged;
    uint32_t logged_errors;
    /* The result of every put; ORD_OK: puts work. */
    enum ord_err put_err;
    uint64_t gets; /* calls that read */
    /* Number of the call that gives `get_err`, from 1 on; 0: none. */
    uint64_t get_fails;
    enum ord_err get_err;

    /* The core, as the test plays it. */
    bool wants_nothing;                                                  /* of what the core is asked about */
    void (*on_step)(struct bench *bench, const struct ord_event *event); /* NULL: nothing happens */
    struct ord_effect effects[BENCH_EFFECTS_MAX];
    uint32_t effect_count;
    struct ord_status status;
    /* How often each type of event came. */
    uint64_t stepped[32];
    struct ord_event last[32];
};

/* Makes a channel of four PBFT replicas. The bench is replica 0, recovered from an empty store. */
struct bench *bench_create(void (*tweak)(struct channel_config *config));
/* Makes another replica of the same channel. `first` must outlive it. */
struct bench *bench_create_beside(struct bench *first, ord_node_id self);
void bench_destroy(struct bench *bench);
/* The replica crashes, and starts again from what was committed. Gives the result of replica_create. */
enum ord_err bench_restart(struct bench *bench);

/* For on_step: adds an effect to this step. */
struct ord_effect *bench_effect(struct bench *bench, enum ord_effect_type type);
/* Adds an input of the next turn: any input, or a message of another replica. */
void bench_input(struct bench *bench, const struct replica_input *input);
void bench_message(struct bench *bench, ord_node_id from, uint8_t kind, struct ord_span bytes);
/* Submits a client's envelopes. bench->answered has the submission once it is answered. */
struct replica_submission *bench_submit(struct bench *bench, const struct ord_span *envelopes, uint32_t count);
void bench_turn(struct bench *bench);
/* Begins a commit if one is wanted. Gives its turn, or 0. */
uint64_t bench_commit(struct bench *bench);
/* The commit of `turn` is durable, and messages that waited for it may leave. */
void bench_committed(struct bench *bench, uint64_t turn);
/* Runs a turn and its whole commit. */
void bench_run(struct bench *bench);
/* Runs every check that was handed out, and gives it back as an input. */
void bench_check_all(struct bench *bench);
/* Gives how many messages of a kind may leave now. `last` gets the newest; it may be NULL. */
uint32_t bench_left(const struct bench *bench, enum replica_link kind, struct ord_span *last);
/* Gives how many were sent, whether they may leave or not. */
uint32_t bench_sent(const struct bench *bench, enum replica_link kind);
void bench_forget_sent(struct bench *bench);
/* The record on disk under this name; size 0: there is none. */
struct ord_span bench_disk(const struct bench *bench, const char *name);
/* Makes a batch that registers the client, and one with its envelopes number first .. first + count - 1. */
struct ord_span bench_registration(struct bench *bench);
struct ord_span bench_batch(struct bench *bench, uint64_t first, uint32_t count);

#endif
