/*
 * A replica on a bench: the real replica/ with a host in memory and a core that the test plays. Nothing happens by itself;
 * the test gives inputs, runs turns and commits, and looks at what was put, sent and answered.
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
    struct ord_span bytes; /* of the net */
};

/* A put that is not committed yet, or what is on disk: the newest of a (kind, name or number) counts. */
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
    struct bench_records open; /* this transaction */
    struct bench_records frozen;
    struct bench_records disk;
    uint64_t turn_bytes;
    struct bench_message sent[256]; /* in order */
    uint32_t sent_count;
    struct replica_input inputs[64];
    uint32_t input_next;
    uint32_t input_count;
    struct replica_check *checks[64]; /* handed out, not run yet */
    uint32_t check_count;
    int holds; /* of message owners */
    struct replica_submission *answered;
    uint32_t answer_count;
    uint64_t certified_height;
    ord_replica_set connected;
    uint32_t logged; /* lines, by level: */
    uint32_t logged_errors;
    enum ord_err put_err; /* what every put gives; ORD_OK: it works */
    uint64_t gets;        /* calls that read */
    uint64_t get_fails;   /* the call that gives `get_err`, counted from 1; 0: none */
    enum ord_err get_err;

    /* The core, as the test plays it. */
    void (*on_step)(struct bench *bench, const struct ord_event *event); /* NULL: nothing happens */
    struct ord_effect effects[BENCH_EFFECTS_MAX];
    uint32_t effect_count;
    struct ord_status status;
    uint64_t stepped[32]; /* how often, by type of event */
    struct ord_event last[32];
};

/* A channel of four PBFT replicas, of which the bench is replica 0; recovered from an empty store. */
struct bench *bench_create(void (*tweak)(struct channel_config *config));
/* Another replica of the same channel; `first` must outlive it. */
struct bench *bench_create_beside(struct bench *first, ord_node_id self);
void bench_destroy(struct bench *bench);
/* The replica crashes and starts again from what was committed. Gives what replica_create gave. */
enum ord_err bench_restart(struct bench *bench);

/* For on_step: one more effect of this step. */
struct ord_effect *bench_effect(struct bench *bench, enum ord_effect_type type);
void bench_input(struct bench *bench, const struct replica_input *input);
void bench_message(struct bench *bench, ord_node_id from, uint8_t kind, struct ord_span bytes);
/* Envelopes of a client; the submission is given back by bench->answered. */
struct replica_submission *bench_submit(struct bench *bench, const struct ord_span *envelopes, uint32_t count);
void bench_turn(struct bench *bench);
/* Begins a commit if one is wanted; gives its turn, or 0. */
uint64_t bench_commit(struct bench *bench);
/* The commit of `turn` is durable, and what waited for it may leave. */
void bench_committed(struct bench *bench, uint64_t turn);
/* A turn and its whole commit. */
void bench_run(struct bench *bench);
/* Runs every check that was handed out and gives it back as an input. */
void bench_check_all(struct bench *bench);
/* How many messages of a kind may leave now; `last` (may be NULL) gets the newest. */
uint32_t bench_left(const struct bench *bench, enum replica_link kind, struct ord_span *last);
/* How many were sent, whether they may leave or not. */
uint32_t bench_sent(const struct bench *bench, enum replica_link kind);
void bench_forget_sent(struct bench *bench);
/* What is on disk under this name; size 0: nothing. */
struct ord_span bench_disk(const struct bench *bench, const char *name);
/* A batch that registers the client, and one with its envelopes number first .. first + count - 1. */
struct ord_span bench_registration(struct bench *bench);
struct ord_span bench_batch(struct bench *bench, uint64_t first, uint32_t count);

#endif
