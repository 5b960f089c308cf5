/*
 * A replica that may have forgotten what it said is silent until it may speak again. TOCS'02, section 4.3.2
 * (estimation), adapted: after a restart a replica cannot tell whether its disk is the newest one, so it asks the
 * others which of its signed statements they hold. Rule 26 of docs/protocol.md.
 *
 * An ASK says which of its own statements the sender holds, and for which seqs it holds a prepared certificate. A
 * RECALL goes to a replica that asked. It says up to which seq its sender has seen anything, and returns a statement of
 * the asker that the ASK does not cover. Only the asker can have signed that statement, so no other replica can silence
 * an intact one.
 *
 * A COMMIT is not signed, so nobody can show it to a replica that forgot it. What it stood for can be shown: a RECALL
 * also returns prepared certificates of the asker's view that the asker lacks. They prove themselves, whoever returns
 * them, and any replica may hold any of them (adopt.c).
 *
 * Doubt. A replica that lost something that it had on disk counts against f until its stable checkpoint is a window
 * above the highest reach in the answers, and its view is installed and not below those that it had asked for. Until
 * then it may lack something that it said. A window above, because an honest replica that answered had executed the
 * last checkpoint that was stable here: q attested to it, and q - 1 answered. Nothing was said beyond that checkpoint's
 * window. No rule can do without that count: the COMMIT that a decision rests on may be known to one other honest
 * replica alone, and while that one is slow, its silence cannot be told from that of a liar, for which no replica may
 * wait.
 */
#ifndef ORDAIN_BFT_SILENCE_H
#define ORDAIN_BFT_SILENCE_H

#include "bft/wire/proof.h"

struct bft_ask {
    uint64_t view;
    ord_node_id sender;
    /* Differs in each life of the sender, from START to its end. */
    uint64_t nonce;
    /* `view` is not installed at the sender. */
    bool changing;
    uint64_t stable_seq;
    /*
     * Bit i % 8 (lowest first) of byte i / 8: the sender holds an own PRE-PREPARE or PREPARE of `view` for stable_seq +
     * 1 + i.
     */
    const uint8_t *words;
    /* The same for the prepared certificates of `view` that the sender holds. */
    const uint8_t *prepared;
};

/* Certificates in one RECALL. An asker that lacks more asks again. */
#define BFT_RECALL_CERTIFICATES_MAX BFT_LIST_MAX

struct bft_recall {
    ord_node_id sender;
    /* The nonce of the ASK. */
    uint64_t nonce;
    uint64_t stable_seq;
    /* The certificate of stable_seq; empty if that is 0. */
    struct ord_span certificate;
    /* The highest seq of which the sender saw anything: stable_seq .. stable_seq + 2 * window. */
    uint64_t reach_seq;
    /* A statement of the asker, standing alone (bft/wire/proof.h); empty: the ASK covers all that the sender knows. */
    struct ord_span statement;
    /* Prepared certificates that the ASK does not cover, with rising seqs, at most BFT_RECALL_CERTIFICATES_MAX. */
    struct ord_span certificates;
};

size_t bft_ask_words_size(const struct ord_core_config *config);
size_t bft_ask_size(const struct ord_core_config *config);
size_t bft_recall_size_max(const struct ord_core_config *config);
void bft_ask_encode(struct ord_writer *writer, const struct ord_core_config *config, const struct bft_ask *ask);
void bft_recall_encode(struct ord_writer *writer, const struct ord_core_config *config, uint64_t view,
                       const struct bft_recall *recall);
/* INVALID: malformed, or out of range. MISMATCH: as for bft_header_read. Pointers and spans point into `bytes`. */
ORD_MUST_USE enum ord_err bft_ask_decode(struct bft_ask *out, const struct ord_core_config *config,
                                         struct ord_span bytes);
ORD_MUST_USE enum ord_err bft_recall_decode(struct bft_recall *out, const struct ord_core_config *config,
                                            struct ord_span bytes);
/*
 * Like decode, and also checks the certificates, the statement's signature, and that the statement is one of the
 * receiver, config->self. BAD_SIGNATURE: one of the signatures does not verify.
 */
ORD_MUST_USE enum ord_err bft_recall_verify(struct bft_recall *out, const struct ord_core_config *config,
                                            struct ord_span bytes);
/* Whether the asker holds this statement of its own, or has no use for it because of the view that it is in. */
bool bft_ask_covers(const struct bft_ask *ask, const struct ord_core_config *config,
                    const struct bft_statement *statement);
/* Whether a prepared certificate of this view and seq is of no use to the asker, or held by it. */
bool bft_ask_covers_certificate(const struct bft_ask *ask, const struct ord_core_config *config, uint64_t view,
                                uint64_t seq);
/* Takes the next certificate off `rest`. False: there is none, and then `rest` is empty if all was well-formed. */
bool bft_recall_next(struct ord_span *certificate, struct ord_span *rest, const struct ord_core_config *config);

/* The record of table BFT_TABLE_SILENCE, key 1: bound_seq u64 | floor_view u64 | enum bft_silence_state u8. */
#define BFT_SILENCE_SIZE (8 + 8 + 1)
enum bft_silence_state {
    /* There is no record. */
    BFT_SILENCE_NONE = 0,
    /* The replica asks, and its disk was empty at START. */
    BFT_SILENCE_EMPTY = 1,
    /* The replica has forgotten something. */
    BFT_SILENCE_SILENT = 2,
    /* Neither. The record shows that the disk is not empty, while there may be no other record yet. */
    BFT_SILENCE_SPEAKS = 3,
};

struct bft_silence {
    uint64_t nonce;
    /* From START until quorum - 1 replicas have answered, and the batches of what they returned are here or late. */
    bool asking;
    /* Nothing was on disk when the replica began to ask. */
    bool empty;
    /* The replica makes no statement until stable_seq >= bound_seq and floor_view is installed or passed. */
    bool silent;
    /* The state that is on disk. */
    enum bft_silence_state kept;
    /* The replica may have voted up to this seq. */
    uint64_t bound_seq;
    /* The replica may have made statements up to this view. */
    uint64_t floor_view;
    /* The highest reach_seq in the first answers of the replicas. */
    uint64_t reach_seq;
    /* The highest stable seq that an answer proved. Own statements up to there do not matter any more. */
    uint64_t proven_seq;
    /* The replicas that have answered, and those of them that have no more certificates to return. */
    ord_replica_set heard;
    ord_replica_set answered;
    /* Since when quorum - 1 replicas have answered; 0: they have not. */
    uint64_t enough_ms;
    /* When the next ASK is due. */
    uint64_t ask_ms;
    /* The record on disk, which is lent to PERSIST. */
    uint8_t record[BFT_SILENCE_SIZE];
};

/* The newest PRE-PREPARE, PREPARE or VIEW-CHANGE that was verified from a peer, even if it was dropped. */
struct bft_heard {
    bool any;
    /* The highest seq of all statements that were verified from this peer. */
    uint64_t seq_max;
    struct bft_statement statement;
    struct bft_proof proof;
};

struct ord_core;

/* silence_state.c: the silence on disk. */
/* Keeps the silence on disk, in this state. */
void bft_silence_keep(struct ord_core *core, enum bft_silence_state state);
ORD_MUST_USE enum ord_err bft_silence_record_check(struct ord_span record);
/*
 * This replica signed a statement of `view`, with `seq` or with 0, that it does not hold: it has forgotten the
 * statement, and is silent from now on.
 */
void bft_silence_prove(struct ord_core *core, uint64_t view, uint64_t seq);

/* silence.c: the asker. */
/* Begins to ask. Called at START when everything on disk is restored. `record`: that of the silence, or empty. */
void bft_silence_start(struct ord_core *core, struct ord_span record, bool disk_empty);
ORD_MUST_USE enum ord_err bft_on_recall(struct ord_core *core, struct ord_span bytes);
/* To be called after each step: speaks if the silence is over. */
void bft_silence_settle(struct ord_core *core);
void bft_silence_tick(struct ord_core *core);
/* When the next ASK is due; UINT64_MAX: never. */
uint64_t bft_silence_deadline(const struct ord_core *core);
/* The stable seq that ends the doubt about what this replica said in earlier lives; 0: there is none. */
uint64_t bft_silence_doubt(const struct ord_core *core);

/* adopt.c: prepared certificates that others return. */
/* Takes those that are of use. Returns whether any was. */
bool bft_adopt(struct ord_core *core, struct ord_span certificates);
/* Whether the batch of a certificate that others returned is still to come. */
bool bft_adopt_awaits(const struct ord_core *core);
/* Whether this replica holds a prepared certificate of its view for this seq, or all the votes of one. */
bool bft_adopt_has(const struct ord_core *core, uint64_t seq);

/* recall.c: the replicas that are asked. */
ORD_MUST_USE enum ord_err bft_on_ask(struct ord_core *core, struct ord_span bytes);
/* Whether bft_heard_note would keep a statement of this view and seq. */
bool bft_heard_newer(const struct ord_core *core, ord_node_id sender, uint64_t view, uint64_t seq);
void bft_heard_note(struct ord_core *core, const struct bft_statement *statement, const struct bft_proof *proof);

#endif
