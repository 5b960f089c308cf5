/*
 * A replica's node, as small as it can be: runs one PBFT core, carries its effects out by the commit rule of
 * core/protocol.h, and keeps a disk that survives crashes. It checks what must hold at every step: delivery in order, each
 * seq once; no two contradicting statements of one replica, and no vote of a view that it left, restarts included; lent bodies
 * unharmed until they are judged.
 */
#ifndef ORDAIN_TESTS_BFT_HOST_H
#define ORDAIN_TESTS_BFT_HOST_H

#include "bft/bft.h"
#include "bft/wire/view_message.h"
#include "tests/support/bft_keys.h"

#define HOST_SEQ_MAX 2048

struct host_record {
    uint8_t table;
    uint64_t key;
    uint8_t *data;
    size_t size;
};

struct host_records {
    struct host_record *items;
    size_t count;
    size_t capacity;
};

struct host_message {
    ord_replica_set to;
    uint8_t *data;
    size_t size;
    bool after_persist;
};

struct host_judge {
    uint64_t view;
    uint64_t seq;
    struct ord_hash digest;
    struct ord_span batch; /* lent by the core */
    struct ord_hash check; /* of the batch when it was lent */
};

/* A signed statement. */
struct host_said {
    enum bft_type type;
    uint64_t view;
    uint64_t seq;
    struct ord_hash digest;
};

struct host {
    struct ord_core_config config;
    struct stand_in_signer keys;
    struct ord_core *core; /* NULL: down */
    void *memory;
    void *context;
    /* START is followed by answers to its ASK that know of nothing: false; else the test is the others. */
    bool asks;
    bool forgets;    /* the test gives it an old disk, or says that it said what it did not */
    bool lost;       /* it may have forgotten: its disk was empty when it started and has not spoken since */
    uint64_t starts; /* also the nonce of the newest ASK */
    /* Sees each effect in order, before it is carried out. May be NULL. */
    void (*on_effect)(struct host *host, const struct ord_effect *effect);

    /* Disk. chain[s] hashes all batches up to s; those above `durable_applied` are of the turn that runs. */
    struct host_records disk;
    struct ord_hash chain[HOST_SEQ_MAX];
    struct ord_hash batches[HOST_SEQ_MAX];
    size_t sizes[HOST_SEQ_MAX];
    /*
     * Where replicas attest: each checkpoint interval, and where a quarter of the memory for batches was ordered since the
     * last such point; without the latter, memory full of decided batches would wait for ever for a seq that it has no room
     * for.
     */
    bool is_point[HOST_SEQ_MAX];
    uint64_t durable_applied;

    /* Of the turn that runs. */
    struct host_records turn; /* data NULL: forget up to key */
    uint64_t turn_number;     /* that the next step belongs to */
    uint64_t applied;
    struct host_message *sends;
    size_t send_count;
    size_t send_capacity;

    struct host_judge *judges;
    size_t judge_count;
    size_t judge_capacity;
    uint64_t wake_ms;
    uint64_t sync_seq; /* 0: not asked for */
    ord_replica_set culprits;
    size_t evidence_count;
    size_t reject_count;

    /* What LEADER said last. */
    ord_node_id leader;
    uint64_t view;
    uint64_t durable_view; /* as of the last commit: never goes back */

    /* All that this replica ever signed and sent, over its restarts. */
    struct host_said *said;
    size_t said_count;
    size_t said_capacity;
    uint64_t promised_view; /* highest VIEW-CHANGE that left it: no vote of an earlier view may follow */
};

void host_init(struct host *host, const struct ord_core_config *config);
void host_deinit(struct host *host);
/* Starts a core from what is on disk; unless `asks`, it may speak then. */
enum ord_err host_start(struct host *host, uint64_t now_ms);
/* Answers of so many others to the ASK of this start, from the lowest on, who know of nothing that was not asked. */
void host_answer(struct host *host, uint32_t count, uint64_t now_ms);
/* The process dies: the turn that runs is lost. */
void host_crash(struct host *host);
/* While it is down: its disk is lost. What it said it has said all the same. */
void host_lose(struct host *host);
enum ord_err host_step(struct host *host, const struct ord_event *event);
/* Authenticates and steps; gives the error of whichever failed. */
enum ord_err host_receive(struct host *host, ord_node_id from, struct ord_span bytes, uint64_t now_ms);
/* Takes pending judgement `index` and answers it. */
void host_judge(struct host *host, size_t index, bool admissible, uint64_t now_ms);
void host_propose(struct host *host, struct ord_span batch, uint64_t now_ms);
void host_attested(struct host *host, uint64_t seq, uint64_t now_ms);
/* State transfer from a host that has executed `seq`. */
void host_sync_from(struct host *host, const struct host *source, uint64_t seq, uint64_t now_ms);
/* Ends the turn: FLUSH, then the commit. `sends` stay for the caller, who gives them to host_sends_clear. */
void host_flush(struct host *host, uint64_t now_ms);
void host_commit(struct host *host);
void host_sends_clear(struct host *host);
/* What it said about (view, seq); NULL: nothing. */
const struct host_said *host_said_about(const struct host *host, enum bft_type type, uint64_t view, uint64_t seq);
/* Since when work waits at this replica; UINT64_MAX: nothing waits. */
void host_work(struct host *host, uint64_t since_ms, uint64_t now_ms);

#endif
