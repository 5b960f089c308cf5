/*
 * Who may have forgotten what it said is silent until it may speak again. TOCS'02, section 4.3.2 (estimation), adapted: a
 * replica asks the others at each start what they remember of it. Rule 26 of docs/protocol.md.
 *
 * ASK: what its sender holds of its own words. RECALL, to who asked: how far its sender has seen anybody go, and a statement
 * of the asker's that the ASK does not cover. Only the asker can have signed that, so nobody can silence an intact replica.
 */
#ifndef ORDAIN_BFT_SILENCE_H
#define ORDAIN_BFT_SILENCE_H

#include "bft/wire/proof.h"

struct bft_ask {
    uint64_t view;
    ord_node_id sender;
    uint64_t nonce; /* of this life of its sender */
    bool changing;  /* `view` is not installed there */
    uint64_t stable_seq;
    const uint8_t *
        words; /* bit i % 8 (lowest first) of byte i / 8: an own PRE-PREPARE or PREPARE of `view` for stable_seq + 1 + i */
};

struct bft_recall {
    ord_node_id sender;
    uint64_t nonce; /* of the ASK */
    uint64_t stable_seq;
    struct ord_span certificate; /* of stable_seq; empty when that is 0 */
    uint64_t reach_seq;          /* highest seq of which it saw anything; stable_seq .. stable_seq + 2 * window */
    struct ord_span
        statement; /* of the asker, standing alone (bft/wire/proof.h); empty: none that the ASK does not cover */
};

size_t bft_ask_words_size(const struct ord_core_config *config);
size_t bft_ask_size(const struct ord_core_config *config);
size_t bft_recall_size_max(const struct ord_core_config *config);
void bft_ask_encode(struct ord_writer *writer, const struct ord_core_config *config, const struct bft_ask *ask);
void bft_recall_encode(struct ord_writer *writer, const struct ord_core_config *config, uint64_t view,
                       const struct bft_recall *recall);
/* INVALID: malformed, or out of range. MISMATCH as bft_header_read. `words` and spans point into `bytes`. */
ORD_MUST_USE enum ord_err bft_ask_decode(struct bft_ask *out, const struct ord_core_config *config,
                                         struct ord_span bytes);
ORD_MUST_USE enum ord_err bft_recall_decode(struct bft_recall *out, const struct ord_core_config *config,
                                            struct ord_span bytes);
/* As decode, and checks the certificate, and that the statement is one of the receiver, config->self. BAD_SIGNATURE. */
ORD_MUST_USE enum ord_err bft_recall_verify(struct bft_recall *out, const struct ord_core_config *config,
                                            struct ord_span bytes);
/* Is it among what the asker holds, or of no weight for one who is where the asker is? */
bool bft_ask_covers(const struct bft_ask *ask, const struct ord_core_config *config,
                    const struct bft_statement *statement);

/* The record of table BFT_TABLE_SILENCE, key 1: bound_seq u64 | floor_view u64 | enum bft_silence_state u8. */
#define BFT_SILENCE_SIZE (8 + 8 + 1)
enum bft_silence_state {
    BFT_SILENCE_NONE = 0,   /* no record */
    BFT_SILENCE_EMPTY = 1,  /* asks, on a disk that was empty */
    BFT_SILENCE_SILENT = 2, /* has forgotten something */
    BFT_SILENCE_SPEAKS = 3, /* neither; there may be no other record yet to tell that this disk is not an empty one */
};

struct bft_silence {
    uint64_t nonce;
    bool asking;                 /* since START, until quorum - 1 have answered */
    bool empty;                  /* nothing was on disk when it began to ask */
    bool silent;                 /* says nothing before stable_seq >= bound_seq and floor_view is installed */
    enum bft_silence_state kept; /* as it is on disk */
    uint64_t bound_seq;          /* it may have voted up to here */
    uint64_t floor_view;         /* and in this view */
    uint64_t reach_seq;          /* highest of the answers */
    uint64_t proven_seq;         /* highest stable seq that one of them proved: what it said up to there is of no use */
    ord_replica_set answered;    /* each counts once */
    uint64_t ask_ms;             /* next ASK */
    uint8_t record[BFT_SILENCE_SIZE]; /* lent to PERSIST */
};

/* The newest PRE-PREPARE, PREPARE or VIEW-CHANGE that was verified from a peer, whatever became of it. */
struct bft_heard {
    bool any;
    uint64_t seq_max; /* of all of them */
    struct bft_statement statement;
    struct bft_proof proof;
};

struct ord_core;

/* silence_state.c: the silence on disk. */
/* Keeps the silence on disk, in this state. */
void bft_silence_keep(struct ord_core *core, enum bft_silence_state state);
ORD_MUST_USE enum ord_err bft_silence_record_check(struct ord_span record);
/*
 * This replica signed a statement of `view`, with `seq` or with 0, that it does not hold: it has forgotten the statement,
 * and is silent from now on.
 */
void bft_silence_prove(struct ord_core *core, uint64_t view, uint64_t seq);

/* silence.c: the asker. */
/* START, when all that was on disk is restored; `record`: that of the silence, empty when there is none. */
void bft_silence_start(struct ord_core *core, struct ord_span record, bool disk_empty);
ORD_MUST_USE enum ord_err bft_on_recall(struct ord_core *core, struct ord_span bytes);
/* After each step: is the silence over? */
void bft_silence_settle(struct ord_core *core);
void bft_silence_tick(struct ord_core *core);
/* UINT64_MAX: nothing is due. */
uint64_t bft_silence_deadline(const struct ord_core *core);

/* recall.c: the others. */
ORD_MUST_USE enum ord_err bft_on_ask(struct ord_core *core, struct ord_span bytes);
/* Would bft_heard_note keep it? */
bool bft_heard_newer(const struct ord_core *core, ord_node_id sender, uint64_t view, uint64_t seq);
void bft_heard_note(struct ord_core *core, const struct bft_statement *statement, const struct bft_proof *proof);

#endif
