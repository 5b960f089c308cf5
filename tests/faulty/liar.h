/*
 * A replica that lies: the real PBFT core inside a wrapper, which holds the replica's key. The wrapper changes the
 * batches that go into the core (lies_batch.c), the messages that come out of it (lies_send.c, lies_view.c, flood.c),
 * and what the node sends besides (lies_link.c). The rows are those of docs/adversary.md.
 *
 * What it says is well-formed and signed, unless malformed data is the lie. It keeps everything that the core asked it
 * to keep, so a liar continues to lie after a restart.
 */
#ifndef ORDAIN_TESTS_FAULTY_LIAR_H
#define ORDAIN_TESTS_FAULTY_LIAR_H

#include "bft/wire/message.h"
#include "core/protocol.h"
#include "node/seam.h"

/* Name, row, and what the liar does. The entries up to withhold_cut are lies of a primary. */
#define LIAR_BEHAVIOURS(X)                                                                                             \
    X(equivocate, "P1", "two PRE-PREPAREs for one seq to two halves; one backup gets both")                            \
    X(split, "P1", "the same, and nobody gets both")                                                                   \
    X(mute, "P2", "sends one more PRE-PREPARE, to 2f backups, and then no message of its core to anybody")             \
    X(delay, "P3", "holds every PRE-PREPARE back for most of the request timeout")                                     \
    X(dawdle, "P3", "holds every PRE-PREPARE back for half of the request timeout")                                    \
    X(pace, "P3, P4", "withholds COMMITs, and all but two envelopes of each batch; proposes to 2f backups only")       \
    X(skip, "P5", "proposes beyond the window")                                                                        \
    X(censor, "P7", "neither proposes nor forwards what the first client that it saw submits")                         \
    X(bad_batch, "P8", "proposes an envelope with a bad signature")                                                    \
    X(replay_batch, "P9", "proposes an old envelope again with every batch")                                           \
    X(early_cut, "P18", "cut markers with every batch: too early, twice, for old blocks")                              \
    X(void_batches, "P18", "a batch with a void cut marker in every turn, whatever else there is to order")            \
    X(withhold_cut, "P16, P18", "no cut markers, but empty batches in their place")                                    \
    X(contradict_prepare, "P14", "as a backup: other PREPAREs to the second half; one replica gets both")              \
    X(wrong_new_view, "V8", "as a new primary: a NEW-VIEW that does not follow from its view changes")                 \
    X(new_view_to_half, "V10", "as a new primary: the NEW-VIEW to the first half only")                                \
    X(flood, "V3, T9", "STATUS, its last PREPARE and VIEW-CHANGEs for rising views, without end")                      \
    X(heavy, "V3", "VIEW-CHANGEs for rising views with a window full of valid certificates, without end")              \
    X(wrong_attestation, "C1", "attests another state than the others")                                                \
    X(lying_source, "C2, C5", "spoils whatever it gives in a state transfer")                                          \
    X(great_claims, "C3", "says that it is a million seqs ahead: in STATUS, attestations and certificates")            \
    X(ask_flood, "C7", "asks the others for state, without end")                                                       \
    X(forge_registrations, "P8", "forwards registrations whose certificates are forged, without end")                  \
    X(wrong_execution, "C1", "not a lie: executes another batch than was decided, and does not know")                  \
    X(drip, "C4", "gives one block at a time in a state transfer, and every other time nothing")                       \
    X(linger, "C4", "gives everything in a state transfer, each time after 490 ms")

enum liar_behaviour {
#define LIAR_ENUM(name, row, text) LIAR_##name,
    LIAR_BEHAVIOURS(LIAR_ENUM)
#undef LIAR_ENUM
        LIAR_BEHAVIOUR_COUNT
};

const char *liar_behaviour_name(enum liar_behaviour behaviour);

struct liar_options {
    bool behaviours[LIAR_BEHAVIOUR_COUNT];
    /* It is honest until a batch was proposed for this seq, by it or by another primary. */
    uint64_t after_seq;
};

/* Memory that a step allocated; freed at the next step. */
struct liar_chunk {
    struct liar_chunk *next;
    _Alignas(max_align_t) uint8_t bytes[];
};

/* A message that is held back. */
struct liar_held {
    struct liar_held *next;
    uint64_t due_ms;
    ord_replica_set to;
    size_t size;
    uint8_t bytes[];
};

/* The wrapper is a core itself; the real core is `inner`. */
struct ord_core {
    struct ord_core *inner;
    struct ord_core_config config;
    struct ord_signer signer;
    uint64_t counts[LIAR_BEHAVIOUR_COUNT]; /* lies told, by behaviour */
    uint64_t now_ms;
    /* The others are split into two halves; the first is the smaller one if they differ. */
    ord_replica_set first_half;
    ord_replica_set second_half;
    /* The last replica of the second half. In behaviours where a replica gets both versions, it is this one. */
    ord_node_id last;

    struct liar_chunk *chunks;
    /* The effects of this step, as the node gets them. */
    struct ord_effect *effects;
    size_t effect_count;
    size_t effect_max;

    bool active;            /* after_seq was reached */
    bool silent;            /* mute: sends no messages of the core any more */
    struct liar_held *held; /* delay, dawdle, linger: ordered by due time */
    bool has_victim;        /* censor: a victim was chosen */
    /* censor: fingerprint of the victim, the first client that was seen. */
    struct ord_hash victim;
    /* replay_batch: malloc'ed; NULL: no envelope was seen yet. */
    uint8_t *old_envelope;
    size_t old_envelope_size;
    /* early_cut: the highest block height of a cut marker that the node itself proposed. */
    uint64_t cut_height;
    uint64_t batch_count;                  /* batches proposed */
    uint8_t prepare[BFT_PREPARE_SIZE_MAX]; /* flood: the last PREPARE of this replica */
    size_t prepare_size;                   /* 0: none yet */
    /* flood, heavy: view of the last VIEW-CHANGE that was made up. */
    uint64_t flood_view;
    uint64_t flood_ms;
    /* forge_registrations: the first registration that was decided, malloc'ed; NULL: none yet. */
    uint8_t *registration;
    size_t registration_size;
    uint64_t forged_count;
    /* heavy: certificates of seqs 1 to window, malloc'ed; an element of size 0 is not known yet. */
    struct ord_span *certificates;
    /* lying_source, drip: number of answers that were requested. */
    uint64_t source_count;
};

/* Fills in the seam. There is one liar per process. `options` must outlive it. */
void liar_seam(struct node_seam *out, const struct liar_options *options);

/* ---- for the liar's own files ---- */

bool liar_does(const struct ord_core *liar, enum liar_behaviour behaviour);
/* Counts a lie, and logs the 1st, 2nd, 4th, 8th, ... of each behaviour. */
void liar_lied(struct ord_core *liar, enum liar_behaviour behaviour);
/* Memory that is valid until the next step; never NULL. */
uint8_t *liar_alloc(struct ord_core *liar, size_t size);
struct ord_effect *liar_effect(struct ord_core *liar, enum ord_effect_type type);
void liar_send(struct ord_core *liar, ord_replica_set to, struct ord_span bytes);
void liar_sign(struct ord_core *liar, struct ord_signature *out, const struct ord_hash *hash);

/* lies_batch.c: the batch to propose in place of this one; valid until the next step. */
struct ord_span liar_batch(struct ord_core *liar, struct ord_span batch);
/* A valid batch that does nothing. */
struct ord_span liar_void_batch(struct ord_core *liar);
/* Another valid batch with the same envelopes. */
struct ord_span liar_other_batch(struct ord_core *liar, struct ord_span batch);

/* lies_send.c: sends this message of the core, a changed one, or nothing. */
void liar_send_lies(struct ord_core *liar, const struct ord_effect *effect);
/* Holds a message of the core back. */
void liar_hold(struct ord_core *liar, ord_replica_set to, struct ord_span bytes, uint64_t due_ms);
/* Sends the messages that were held back and are due. */
void liar_release_held(struct ord_core *liar);
/* lies_view.c: changes a NEW-VIEW of the core so that it does not follow from its view changes. */
struct ord_span liar_other_new_view(struct ord_core *liar, struct ord_span bytes);
/* A decided batch without its last envelope; unchanged if it has none. */
struct ord_span liar_shorter_batch(struct ord_core *liar, struct ord_span batch);
/* lies_pace.c: takes the batch that the node proposes for an offer, which is rejected. */
void liar_pace_offered(struct ord_core *liar, struct ord_span batch);
/* The batch to propose now in `view`; empty: none. Valid until the next step. */
struct ord_span liar_pace_batch(struct ord_core *liar, uint64_t view);
/* When the next one is due. */
uint64_t liar_pace_due_ms(void);
/* flood.c: called at the end of a turn. */
void liar_heavy(struct ord_core *liar, uint64_t view);
/* Takes note of a certificate that the core keeps. */
void liar_note_certificate(struct ord_core *liar, const struct ord_record *record);
void liar_flood(struct ord_core *liar, uint64_t view, uint64_t delivered_seq, uint64_t stable_seq);
/* Takes note of the first registration that was decided. */
void liar_note_registration(struct ord_core *liar, struct ord_span batch);
void liar_forge_registrations(struct ord_core *liar);
/* Requests for state travel as messages of the core, and liar_outgoing turns them into requests. */
void liar_ask_flood(struct ord_core *liar);
/* First byte of such a request; no message of a core begins with it. */
#define LIAR_ASK 0xff
/* linger, forge_registrations: what it sends comes as a message of the core, too. The kind follows, then the bytes. */
#define LIAR_LATER 0xfe

#define LIAR_GREAT_CLAIM 1000000u /* seqs and blocks ahead of the truth */

/* lies_link.c: `outgoing` of the seam. */
bool liar_outgoing(struct ord_core *liar, ord_node_id to, uint8_t *kind, uint8_t *bytes, size_t *size);

#endif
