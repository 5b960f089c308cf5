/*
 * Wire format of Raft's messages. Dissertation, figure 3.1 (AppendEntries, RequestVote), figure 5.3 (InstallSnapshot),
 * section 9.6 (PreVote) and 3.10 (TimeoutNow); ASK and RECALL are ours (docs/raft.md, rule 12). Fixed-width fields,
 * big-endian, no signatures. Each message begins with
 *
 *     type u8 | first 8 bytes of the genesis hash | epoch u64 | term u64 | sender u32
 *
 * Decoders accept exactly one encoding of each meaning. Spans that they give borrow the input.
 */
#ifndef ORDAIN_RAFT_MESSAGE_H
#define ORDAIN_RAFT_MESSAGE_H

#include "core/codec.h"
#include "core/protocol.h"

/* Highest seq and term. There is no overflow below them. */
#define RAFT_NUMBER_MAX (UINT64_MAX / 4)

enum raft_type {
    RAFT_VOTE_REQUEST = 1,
    RAFT_VOTE_ANSWER,
    RAFT_APPEND,
    RAFT_APPEND_ANSWER,
    RAFT_SNAPSHOT,
    RAFT_TIMEOUT_NOW,
    RAFT_ASK,
    RAFT_RECALL,
};

#define RAFT_HEADER_SIZE    29
#define RAFT_APPEND_SIZE    (RAFT_HEADER_SIZE + 45) /* without the batch */
#define RAFT_SNAPSHOT_SIZE  (RAFT_HEADER_SIZE + 20) /* without the certificate */
#define RAFT_RECALL_SIZE    (RAFT_HEADER_SIZE + 8 + 1 + 6 * 8)
#define RAFT_SMALL_SIZE_MAX RAFT_RECALL_SIZE /* of all messages without batch and certificate */

/* One message of any type. Fields that its type does not have are zero. */
struct raft_message {
    enum raft_type type;
    ord_node_id sender;
    uint64_t term;  /* the sender's; in a PreVote the term that it would campaign in */
    bool pre;       /* VOTE_REQUEST, VOTE_ANSWER: a PreVote */
    bool transfer;  /* VOTE_REQUEST: the leader asked for this election */
    bool granted;   /* VOTE_ANSWER */
    bool rejected;  /* APPEND_ANSWER: the entry at `seq` is not the leader's */
    bool silent;    /* APPEND_ANSWER, RECALL: what the sender says counts for nothing */
    bool empty;     /* RECALL: the sender began with an empty disk and does not speak yet */
    bool has_entry; /* APPEND */
    /*
     * VOTE_REQUEST: end of the log. APPEND: the entry before. APPEND_ANSWER: how far the logs are equal, or the seq
     * that was rejected. SNAPSHOT: the point. RECALL: end of the log.
     */
    uint64_t seq;
    uint64_t seq_term;     /* term of the entry at `seq`; APPEND_ANSWER: of the entry at hint_seq */
    uint64_t commit_seq;   /* APPEND */
    uint64_t own_seq;      /* APPEND: what is committed, and durable on the leader's disk */
    uint64_t hint_seq;     /* APPEND_ANSWER, rejected: the logs may be equal up to here */
    uint64_t asked_term;   /* VOTE_ANSWER: term of the request */
    uint64_t life;         /* of the sender, but in RECALL of the one that asked */
    uint64_t asked_life;   /* VOTE_ANSWER: of the candidate, as its request told it */
    uint64_t granted_term; /* RECALL: highest term in which the asker granted the sender, which then led */
    uint64_t stood_term;   /* RECALL: highest term in which the sender granted the asker */
    uint64_t acked_term;   /* RECALL: what the asker acknowledged to the sender, as far as it was counted */
    uint64_t acked_seq;
    uint64_t entry_term;  /* APPEND with an entry */
    struct ord_span body; /* APPEND: the batch. SNAPSHOT: the certificate */
};

/* Writes everything but the bytes of `body`, which the caller sends behind it. */
void raft_message_encode(struct ord_writer *writer, const struct ord_core_config *config,
                         const struct raft_message *message);
/* INVALID: malformed. MISMATCH: another network or epoch. */
ORD_MUST_USE enum ord_err raft_message_decode(struct raft_message *out, const struct ord_core_config *config,
                                              struct ord_span bytes);
/* The members of struct ord_protocol with these names. */
enum ord_err raft_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                               struct ord_span bytes);
size_t raft_message_size_max(const struct ord_core_config *config);
uint32_t raft_cost(struct ord_span bytes);
bool raft_bulk(struct ord_span bytes);

#endif
