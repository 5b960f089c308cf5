/*
 * The bytes of PBFT: messages between replicas, the signed statements in them, and their digests. docs/protocol.md has
 * the tables. Decoding is strict: one encoding for one meaning, counts bounded before they are used, no trailing bytes.
 *
 * Every message opens with the same header. It names network and epoch, so that a stray frame is told from an attack:
 *     type u8 | network u64 (first 8 bytes of the genesis hash) | epoch u64 | view u64 | sender u32
 */
#ifndef ORDAIN_BFT_MESSAGE_H
#define ORDAIN_BFT_MESSAGE_H

#include "bft/bft.h"
#include "core/codec.h"

/* Also the `type` of signed statements. The numbers are wire format: never reuse one. */
enum bft_type {
    BFT_PRE_PREPARE = 1,
    BFT_PREPARE = 2,
    BFT_COMMIT = 3,
    BFT_STATUS = 4,
    /* bft/wire/view_message.h has VIEW-CHANGE and NEW-VIEW. */
    BFT_VIEW_CHANGE = 5,
    BFT_NEW_VIEW = 6,
    /* Asks for the bodies that the sender lacks; a BODY has one of them. */
    BFT_FETCH = 7,
    BFT_BODY = 8,
    /* The PRE-PREPARE, VIEW-CHANGE or NEW-VIEW of another replica than the sender. */
    BFT_RELAY = 9,
    /* The primary's statement to the sender, for a replica to which it said something else (bft/wire/proof.h). */
    BFT_WITNESS = 10,
    /* Two statements of one replica that contradict each other (bft/wire/proof.h). */
    BFT_EVIDENCE = 11,
    /* Asks which of the sender's own statements the receiver knows and the sender lacks (bft/recovery/silence.h). */
    BFT_ASK = 12,
    /* Answers an ASK. */
    BFT_RECALL = 13,
    /* The type of a record; never of a message. */
    BFT_CERTIFICATE = 64,
};

#define BFT_LIST_MAX   64  /* votes in one PREPARE or COMMIT */
#define BFT_PATH_MAX   6   /* hashes from a vote to the root of its list: log2(BFT_LIST_MAX) */
#define BFT_HELD_COUNT 256 /* seqs in the bitmap of a STATUS */
#define BFT_HELD_SIZE  (BFT_HELD_COUNT / 8)
/* Seqs and views above this are refused, so that no sum of them wraps. */
#define BFT_SEQ_MAX (UINT64_MAX >> 1)

#define BFT_HEADER_SIZE      (1 + 8 + 8 + 8 + 4)
#define BFT_PRE_PREPARE_SIZE (BFT_HEADER_SIZE + 8 + ORD_HASH_SIZE + ORD_SIGNATURE_SIZE + 4) /* before the body */
#define BFT_VOTE_SIZE        (8 + ORD_HASH_SIZE)
#define BFT_PREPARE_SIZE_MAX (BFT_HEADER_SIZE + 1 + BFT_LIST_MAX * BFT_VOTE_SIZE + ORD_SIGNATURE_SIZE)
#define BFT_COMMIT_SIZE_MAX  (BFT_HEADER_SIZE + 1 + BFT_LIST_MAX * BFT_VOTE_SIZE)
#define BFT_STATUS_SIZE      (BFT_HEADER_SIZE + 8 + 8 + BFT_HELD_SIZE + 1 + 8)
#define BFT_FETCH_SIZE_MAX   (BFT_HEADER_SIZE + 1 + BFT_LIST_MAX * BFT_VOTE_SIZE)
#define BFT_BODY_SIZE        (BFT_HEADER_SIZE + 8 + 4) /* before the body */
#define BFT_RELAY_SIZE       BFT_HEADER_SIZE           /* before the relayed message */
#define BFT_TAG_SIZE         16
#define BFT_STATEMENT_SIZE   (BFT_TAG_SIZE + ORD_HASH_SIZE + 8 + 1 + 8 + 8 + ORD_HASH_SIZE + 4)

/*
 * A statement of a replica about one (view, seq), or with seq 0 about a view. It is a leaf of a tree of such
 * statements, and the tree's root is signed. The tree of a statement that is signed alone has one leaf.
 */
struct bft_statement {
    /* BFT_PRE_PREPARE or BFT_PREPARE about a (view, seq); BFT_VIEW_CHANGE or BFT_NEW_VIEW about a view. */
    enum bft_type type;
    uint64_t view;
    /* 0 if the statement is about a view. */
    uint64_t seq;
    /* The digest of a batch, or of a VIEW-CHANGE or NEW-VIEW. */
    struct ord_hash digest;
    ord_node_id sender;
};

struct bft_header {
    enum bft_type type;
    uint64_t view;
    ord_node_id sender;
};

struct bft_pre_prepare {
    uint64_t view;
    uint64_t seq; /* 1 .. BFT_SEQ_MAX */
    ord_node_id sender;
    struct ord_hash digest;
    struct ord_signature signature; /* over bft_statement_hash */
    struct ord_span body;           /* 1 .. batch_bytes_max bytes, in the message */
};

struct bft_vote {
    uint64_t seq;
    struct ord_hash digest;
};

/* A PREPARE, COMMIT or FETCH. With type BFT_PRE_PREPARE it is a part of what a NEW-VIEW proposes again. */
struct bft_vote_list {
    enum bft_type type;
    uint64_t view;
    ord_node_id sender;
    uint32_t count;                      /* 1 .. BFT_LIST_MAX */
    struct bft_vote votes[BFT_LIST_MAX]; /* seqs strictly rising */
    /* Over bft_root_hash of the root of its leaves. COMMIT and FETCH have no signature. */
    struct ord_signature signature;
};

/* How the sender of a STATUS stands towards its view. */
enum bft_mood {
    BFT_CONTENT = 0,
    /* The view is not installed at the sender. */
    BFT_CHANGING = 1,
    /* The sender wants another primary, and goes on in the view until enough replicas do. */
    BFT_SUSPECTS = 2,
    /* The sender takes no part, and wants neither votes nor batches. */
    BFT_SILENT = 3,
    /*
     * The sender, which must be the view's primary, asks that another replica take its place. It counts as a suspect.
     */
    BFT_HANDS_OVER = 4,
    /* The view is not installed at the sender, has had a quorum for one timeout, and is to be given up. */
    BFT_GIVES_UP = 5,
};

/* The sender has left its former view, and its view is not installed there. */
static inline bool bft_mood_changing(enum bft_mood mood) {
    return mood == BFT_CHANGING || mood == BFT_GIVES_UP;
}

struct bft_status {
    uint64_t view;
    ord_node_id sender;
    uint64_t delivered_seq;
    uint64_t stable_seq; /* <= delivered_seq */
    /* Bit i % 8 (lowest first) of byte i / 8: the sender has a pre-prepare with its batch for delivered_seq + 1 + i. */
    uint8_t held[BFT_HELD_SIZE];
    enum bft_mood mood;
    /* The replicas whose VIEW-CHANGE for `view` the sender has. */
    ord_replica_set changes;
};

/* (view + first 8 bytes of the genesis hash) mod n, over the integers, so that no sum wraps. */
ord_node_id bft_primary(const struct ord_core_config *config, uint64_t view);

/* The tagged hash of a batch. */
void bft_body_digest(struct ord_hash *out, const struct ord_crypto_ops *crypto, struct ord_span body);
/* The hash that the signature of a statement covers if it is signed alone: bft_root_hash of its leaf. */
void bft_statement_hash(struct ord_hash *out, const struct ord_core_config *config,
                        const struct bft_statement *statement);
/* Whether the statement's sender signed it alone. */
bool bft_statement_verify(const struct ord_core_config *config, const struct bft_statement *statement,
                          const struct ord_signature *signature);
/* The statement as a leaf of a list's tree. */
void bft_statement_leaf(struct ord_hash *out, const struct ord_core_config *config,
                        const struct bft_statement *statement);
/* The hash that the signature of a list covers: the root of its leaves, under a tag. */
void bft_root_hash(struct ord_hash *out, const struct ord_crypto_ops *crypto, const struct ord_hash *root);

void bft_header_write(struct ord_writer *writer, const struct ord_core_config *config, enum bft_type type,
                      uint64_t view, ord_node_id sender);
/* INVALID: too short, or view out of range. MISMATCH: another network or epoch. The type is not checked. */
ORD_MUST_USE enum ord_err bft_header_read(struct bft_header *out, struct ord_reader *reader,
                                          const struct ord_core_config *config);

/* What follows the header, such as the message in a RELAY or the statement in a WITNESS; empty: nothing does. */
struct ord_span bft_behind_header(struct ord_span message);

/* The statement that a PRE-PREPARE signs, and that of one vote in a list. */
struct bft_statement bft_pre_prepare_statement(const struct bft_pre_prepare *message);
struct bft_statement bft_list_statement(const struct bft_vote_list *list, uint32_t index);

/* Encodes everything before the body. */
void bft_pre_prepare_encode(uint8_t out[BFT_PRE_PREPARE_SIZE], const struct ord_core_config *config,
                            const struct bft_pre_prepare *message);
void bft_vote_list_encode(struct ord_writer *writer, const struct ord_core_config *config,
                          const struct bft_vote_list *list);
void bft_status_encode(uint8_t out[BFT_STATUS_SIZE], const struct ord_core_config *config,
                       const struct bft_status *status);

/*
 * INVALID: malformed, another type, or out of range. MISMATCH: as for bft_header_read. Signature and digest are not
 * checked.
 */
ORD_MUST_USE enum ord_err bft_pre_prepare_decode(struct bft_pre_prepare *out, const struct ord_core_config *config,
                                                 struct ord_span bytes);
/* Decodes a PREPARE, COMMIT or FETCH; the first byte says which. */
ORD_MUST_USE enum ord_err bft_vote_list_decode(struct bft_vote_list *out, const struct ord_core_config *config,
                                               struct ord_span bytes);
struct bft_body_message {
    uint64_t view;
    ord_node_id sender;
    uint64_t seq;
    struct ord_span body; /* 1 .. batch_bytes_max bytes, in the message */
};
void bft_body_encode(uint8_t out[BFT_BODY_SIZE], const struct ord_core_config *config,
                     const struct bft_body_message *message);
ORD_MUST_USE enum ord_err bft_body_decode(struct bft_body_message *out, const struct ord_core_config *config,
                                          struct ord_span bytes);
ORD_MUST_USE enum ord_err bft_status_decode(struct bft_status *out, const struct ord_core_config *config,
                                            struct ord_span bytes);

#endif
