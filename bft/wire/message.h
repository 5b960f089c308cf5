/*
 * The bytes of PBFT: messages between replicas, the statements in them that are signed, and their digests. The tables are
 * in docs/protocol.md. Decoding is strict: one encoding for one meaning, counts bounded before they are used, no trailing
 * bytes.
 *
 * Every message opens with the same header, which names network and epoch, so that a stray frame is told from an attack:
 *     type u8 | network u64 (first 8 bytes of the genesis hash) | epoch u64 | view u64 | sender u32
 */
#ifndef ORDAIN_BFT_MESSAGE_H
#define ORDAIN_BFT_MESSAGE_H

#include "bft/bft.h"
#include "core/codec.h"

/* Also the `type` of signed statements. Numbers are wire format: never reuse one. */
enum bft_type {
    BFT_PRE_PREPARE = 1,
    BFT_PREPARE = 2,
    BFT_COMMIT = 3,
    BFT_STATUS = 4,
    BFT_VIEW_CHANGE = 5, /* bft/wire/view_message.h, as is the next */
    BFT_NEW_VIEW = 6,
    BFT_FETCH = 7,        /* which bodies the sender lacks */
    BFT_BODY = 8,         /* one of them */
    BFT_RELAY = 9,        /* somebody's PRE-PREPARE, VIEW-CHANGE or NEW-VIEW, passed on by a third */
    BFT_WITNESS = 10,     /* bft/wire/proof.h: what the primary said to the sender, for one who was told otherwise */
    BFT_EVIDENCE = 11,    /* likewise: two statements of one replica that contradict each other */
    BFT_ASK = 12,         /* bft/recovery/silence.h: what of my words do you know that I do not? */
    BFT_RECALL = 13,      /* the answer */
    BFT_CERTIFICATE = 64, /* a record, never a message of its own */
};

#define BFT_LIST_MAX   64  /* votes in one PREPARE or COMMIT */
#define BFT_PATH_MAX   6   /* hashes from a vote to the root of its list: log2(BFT_LIST_MAX) */
#define BFT_HELD_COUNT 256 /* seqs that the bitmap of a STATUS tells of */
#define BFT_HELD_SIZE  (BFT_HELD_COUNT / 8)
#define BFT_SEQ_MAX    (UINT64_MAX >> 1) /* seqs and views above are refused: sums of them never wrap */

#define BFT_HEADER_SIZE      (1 + 8 + 8 + 8 + 4)
#define BFT_PRE_PREPARE_SIZE (BFT_HEADER_SIZE + 8 + ORD_HASH_SIZE + ORD_SIGNATURE_SIZE + 4) /* before the body */
#define BFT_VOTE_SIZE        (8 + ORD_HASH_SIZE)
#define BFT_PREPARE_SIZE_MAX (BFT_HEADER_SIZE + 1 + BFT_LIST_MAX * BFT_VOTE_SIZE + ORD_SIGNATURE_SIZE)
#define BFT_COMMIT_SIZE_MAX  (BFT_HEADER_SIZE + 1 + BFT_LIST_MAX * BFT_VOTE_SIZE)
#define BFT_STATUS_SIZE      (BFT_HEADER_SIZE + 8 + 8 + BFT_HELD_SIZE + 1 + 8)
#define BFT_FETCH_SIZE_MAX   (BFT_HEADER_SIZE + 1 + BFT_LIST_MAX * BFT_VOTE_SIZE)
#define BFT_BODY_SIZE        (BFT_HEADER_SIZE + 8 + 4) /* before the body */
#define BFT_RELAY_SIZE       BFT_HEADER_SIZE           /* before what it relays */
#define BFT_TAG_SIZE         16
#define BFT_STATEMENT_SIZE   (BFT_TAG_SIZE + ORD_HASH_SIZE + 8 + 1 + 8 + 8 + ORD_HASH_SIZE + 4)

/*
 * What a replica says about one (view, seq), or, with seq 0, about a view; leaf of a tree of such, whose root is what is
 * signed. The tree of a statement that is signed alone has one leaf.
 */
struct bft_statement {
    enum bft_type type; /* BFT_PRE_PREPARE, BFT_PREPARE; BFT_VIEW_CHANGE, BFT_NEW_VIEW */
    uint64_t view;
    uint64_t seq;           /* 0 of the latter two */
    struct ord_hash digest; /* of a batch; of a VIEW-CHANGE or NEW-VIEW */
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
    struct ord_signature signature; /* bft_statement_hash */
    struct ord_span body;           /* 1 .. batch_bytes_max bytes, in the message */
};

struct bft_vote {
    uint64_t seq;
    struct ord_hash digest;
};

/* A PREPARE or a COMMIT; a FETCH has the same form. With type BFT_PRE_PREPARE: what a NEW-VIEW proposes again. */
struct bft_vote_list {
    enum bft_type type;
    uint64_t view;
    ord_node_id sender;
    uint32_t count;                      /* 1 .. BFT_LIST_MAX */
    struct bft_vote votes[BFT_LIST_MAX]; /* seqs strictly rising */
    struct ord_signature signature;      /* of a PREPARE: over bft_root_hash of its leaves' root */
};

/* Where the sender of a STATUS stands towards its view. */
enum bft_mood {
    BFT_CONTENT = 0,
    BFT_CHANGING = 1, /* it is not installed yet */
    BFT_SUSPECTS = 2, /* it wants another primary, and goes on until enough do */
    BFT_SILENT = 3,   /* it takes no part, and wants no votes and batches */
    /* It is the view's primary and asks that another take its place: it suspects itself, as it were. Of no other sender. */
    BFT_HANDS_OVER = 4,
};

struct bft_status {
    uint64_t view;
    ord_node_id sender;
    uint64_t delivered_seq;
    uint64_t stable_seq; /* <= delivered_seq */
    uint8_t
        held[BFT_HELD_SIZE]; /* bit i % 8 (lowest first) of byte i / 8: has a pre-prepare for delivered_seq + 1 + i */
    enum bft_mood mood;
    ord_replica_set changes; /* whose VIEW-CHANGE for `view` it has */
};

/* (view + first 8 bytes of the genesis hash) mod n, over the integers: no sum wraps. */
ord_node_id bft_primary(const struct ord_core_config *config, uint64_t view);

/* Tagged hash of a batch. */
void bft_body_digest(struct ord_hash *out, const struct ord_crypto_ops *crypto, struct ord_span body);
/* What the signature of a statement that is signed alone covers: bft_root_hash of its leaf. */
void bft_statement_hash(struct ord_hash *out, const struct ord_core_config *config,
                        const struct bft_statement *statement);
/* The statement as a leaf of a list's tree. */
void bft_statement_leaf(struct ord_hash *out, const struct ord_core_config *config,
                        const struct bft_statement *statement);
/* What the signature of a list covers: the root of its leaves, under a tag. */
void bft_root_hash(struct ord_hash *out, const struct ord_crypto_ops *crypto, const struct ord_hash *root);

void bft_header_write(struct ord_writer *writer, const struct ord_core_config *config, enum bft_type type,
                      uint64_t view, ord_node_id sender);
/* INVALID: too short, or view out of range. MISMATCH: another network or epoch. The type is not checked. */
ORD_MUST_USE enum ord_err bft_header_read(struct bft_header *out, struct ord_reader *reader,
                                          const struct ord_core_config *config);

/* Everything before the body. */
void bft_pre_prepare_encode(uint8_t out[BFT_PRE_PREPARE_SIZE], const struct ord_core_config *config,
                            const struct bft_pre_prepare *message);
void bft_vote_list_encode(struct ord_writer *writer, const struct ord_core_config *config,
                          const struct bft_vote_list *list);
void bft_status_encode(uint8_t out[BFT_STATUS_SIZE], const struct ord_core_config *config,
                       const struct bft_status *status);

/* INVALID: malformed, another type, or out of range. MISMATCH as bft_header_read. Signature and digest are not checked. */
ORD_MUST_USE enum ord_err bft_pre_prepare_decode(struct bft_pre_prepare *out, const struct ord_core_config *config,
                                                 struct ord_span bytes);
/* Of a PREPARE, a COMMIT or a FETCH; the first byte says which. */
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
