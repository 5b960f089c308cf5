/*
 * The smallest possible node of a replica: it runs one PBFT core, carries out its effects by the commit rule of
 * core/protocol.h, and keeps a disk that survives crashes. It checks what must hold at every step: batches are
 * delivered in order, each seq once; no replica makes two contradicting statements or votes in a view that it left,
 * restarts included; lent bodies stay unchanged until they are judged.
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
    bool names_view;
    struct ord_span batch; /* lent by the core */
    struct ord_hash check; /* hash of the batch when it was lent */
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
    struct ord_core *core; /* NULL: the replica is down */
    void *memory;
    void *context;
    /*
     * False: after START, the others answer the ASK and know no statement that the ASK did not cover. True: the test
     * plays the others.
     */
    bool asks;
    /* The test gives it an old disk, or claims statements that it did not make. */
    bool forgets;
    /* It may have forgotten statements: its disk was empty at a start, and it has not spoken since. */
    bool lost;
    uint64_t starts; /* also the nonce of the newest ASK */
    /* Sees each effect in order, before it is carried out. May be NULL. */
    void (*on_effect)(struct host *host, const struct ord_effect *effect);

    /* The disk. chain[s] hashes all batches up to s; those above `durable_applied` belong to the current turn. */
    struct host_records disk;
    struct ord_hash chain[HOST_SEQ_MAX];
    struct ord_hash batches[HOST_SEQ_MAX];
    size_t sizes[HOST_SEQ_MAX];
    /*
     * Where replicas attest: at each checkpoint interval, and where a quarter of the memory for batches was ordered
     * since the last such point. Without the second kind, memory that is full of decided batches would wait for ever
     * for a seq that it has no room for.
     */
    bool is_point[HOST_SEQ_MAX];
    uint64_t durable_applied;

    /* The current turn. */
    struct host_records turn; /* data NULL: forget records up to key */
    uint64_t turn_number;     /* that the next step belongs to */
    uint64_t applied;
    /* What the executed state says in START, SYNCED and APPLIED; and the last seq of which APPLIED told. */
    ord_replica_set pass_over;
    uint64_t told_applied;
    struct host_message *sends;
    size_t send_count;
    size_t send_capacity;

    struct host_judge *judges;
    size_t judge_count;
    size_t judge_capacity;
    uint64_t wake_ms;
    uint64_t sync_seq; /* 0: no state transfer is wanted */
    ord_replica_set culprits;
    size_t evidence_count;
    size_t reject_count;

    /* What the last LEADER effect said. */
    ord_node_id leader;
    uint64_t view;
    uint64_t durable_view; /* view at the last commit; it never goes back */

    /* Everything that this replica ever signed and sent, in all its lives. */
    struct host_said *said;
    size_t said_count;
    size_t said_capacity;
    /* View of the highest VIEW-CHANGE that it sent; no vote of an earlier view may follow. */
    uint64_t promised_view;
};

void host_init(struct host *host, const struct ord_core_config *config);
void host_deinit(struct host *host);
/* Starts a core from the disk. Unless `asks` is set, the core may speak afterwards. */
enum ord_err host_start(struct host *host, uint64_t now_ms);
/*
 * Delivers the answers of `count` other replicas, the lowest first, to the ASK of this start. They know no statement
 * that the ASK did not cover.
 */
void host_answer(struct host *host, uint32_t count, uint64_t now_ms);
/* The process dies, and the current turn is lost. */
void host_crash(struct host *host);
/* Called while it is down: its disk is lost. Its earlier statements still count. */
void host_lose(struct host *host);
enum ord_err host_step(struct host *host, const struct ord_event *event);
/* Authenticates a message and steps the core. Returns the error of the one that failed. */
enum ord_err host_receive(struct host *host, ord_node_id from, struct ord_span bytes, uint64_t now_ms);
/* Removes the pending judgement at `index` and answers it. */
void host_judge(struct host *host, size_t index, bool admissible, uint64_t now_ms);
void host_propose(struct host *host, struct ord_span batch, uint64_t now_ms);
void host_attested(struct host *host, uint64_t seq, uint64_t now_ms);
/* State transfer from a host that has executed `seq`. */
void host_sync_from(struct host *host, const struct host *source, uint64_t seq, uint64_t now_ms);
/* The same to a state above `stable_seq`, up to which alone there is a certificate; 0: there is none. */
void host_sync_above(struct host *host, const struct host *source, uint64_t seq, uint64_t stable_seq, uint64_t now_ms);
/* Ends the turn: FLUSH, then the commit. `sends` stay for the caller, who ends with host_sends_clear. */
void host_flush(struct host *host, uint64_t now_ms);
void host_commit(struct host *host);
void host_sends_clear(struct host *host);
/* What this replica said about (view, seq); NULL: nothing. */
const struct host_said *host_said_about(const struct host *host, enum bft_type type, uint64_t view, uint64_t seq);
/* Reports since when work waits at this replica; UINT64_MAX: no work waits. */
void host_work(struct host *host, uint64_t since_ms, uint64_t now_ms);
/* The same, for work that could have been proposed at `turn_ms` only. */
void host_work_turn(struct host *host, uint64_t since_ms, uint64_t turn_ms, uint64_t now_ms);

#endif
