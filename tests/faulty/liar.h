/*
 * A replica that lies: the real PBFT core with a wrapper between it and the world, which holds the replica's key. It changes the
 * batches that go into the core (lies_batch.c), the messages that come out of it (lies_send.c, lies_view.c, flood.c), and what
 * the node sends beside them (lies_link.c). Rows are those of docs/testing.md.
 *
 * What it says is well-formed and signed, unless being ill-formed is the lie. It forgets nothing of what the core asked to keep,
 * so a liar that restarts lies on.
 */
#ifndef ORDAIN_TESTS_FAULTY_LIAR_H
#define ORDAIN_TESTS_FAULTY_LIAR_H

#include "bft/wire/message.h"
#include "core/protocol.h"
#include "node/seam.h"

/* name, row, what it does. As primary: */
#define LIAR_BEHAVIOURS(X)                                                                                             \
    X(equivocate, "P1", "two PRE-PREPAREs for one seq to two halves; one backup gets both")                            \
    X(split, "P1", "the same, and nobody gets both")                                                                   \
    X(mute, "P2", "sends one more PRE-PREPARE, to 2f backups, and then no message of its core to anybody")             \
    X(delay, "P3", "holds every PRE-PREPARE back for most of the request timeout")                                     \
    X(dawdle, "P3", "holds every PRE-PREPARE back for half of the request timeout")                                    \
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
    X(wrong_execution, "C1", "not a lie: executes another batch than was decided, and does not know")                  \
    X(drip, "C4", "gives one block at a time in a state transfer, and every other time nothing")

enum liar_behaviour {
#define LIAR_ENUM(name, row, text) LIAR_##name,
    LIAR_BEHAVIOURS(LIAR_ENUM)
#undef LIAR_ENUM
        LIAR_BEHAVIOUR_COUNT
};

const char *liar_behaviour_name(enum liar_behaviour behaviour);

struct liar_options {
    bool behaviours[LIAR_BEHAVIOUR_COUNT];
    uint64_t after_seq; /* honest until this seq was proposed to it, or by it */
};

/* What a step allocated; freed at the next. */
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

/* The wrapper is a core by itself; the real one lies behind it. */
struct ord_core {
    struct ord_core *inner;
    struct ord_core_config config;
    struct ord_signer signer;
    uint64_t counts[LIAR_BEHAVIOUR_COUNT]; /* lies told */
    uint64_t now_ms;
    ord_replica_set first_half; /* of the other replicas, the smaller one */
    ord_replica_set second_half;
    ord_node_id last; /* of the second half: gets both where somebody does */

    struct liar_chunk *chunks;
    struct ord_effect *effects; /* of this step, as the node gets them */
    size_t effect_count;
    size_t effect_max;

    bool active;            /* after_seq was reached */
    bool silent;            /* mute: from now on */
    struct liar_held *held; /* delay: first due first */
    bool has_victim;        /* censor: */
    struct ord_hash victim; /* fingerprint of the first client that was seen */
    uint8_t *old_envelope;  /* replay_batch: malloc'ed; NULL: none was seen yet */
    size_t old_envelope_size;
    uint64_t cut_height;                   /* early_cut: the highest that was proposed in earnest */
    uint64_t batch_count;                  /* proposed */
    uint8_t prepare[BFT_PREPARE_SIZE_MAX]; /* flood: the last own */
    size_t prepare_size;                   /* 0: none yet */
    uint64_t flood_view;                   /* of the last VIEW-CHANGE */
    uint64_t flood_ms;
    struct ord_span *certificates; /* heavy: window; of seqs 1, 2, ..., malloc'ed; size 0: not yet */
    uint64_t source_count;         /* lying_source, drip: answers that were asked for */
};

/* One liar a process. `options` must outlive it. */
void liar_seam(struct node_seam *out, const struct liar_options *options);

/* ---- for its files ---- */

bool liar_does(const struct ord_core *liar, enum liar_behaviour behaviour);
/* Counts a lie, and says so in the log: of each behaviour the 1st, 2nd, 4th, 8th and so on. */
void liar_lied(struct ord_core *liar, enum liar_behaviour behaviour);
/* Until the next step; never NULL. */
uint8_t *liar_alloc(struct ord_core *liar, size_t size);
struct ord_effect *liar_effect(struct ord_core *liar, enum ord_effect_type type);
void liar_send(struct ord_core *liar, ord_replica_set to, struct ord_span bytes);
void liar_sign(struct ord_core *liar, struct ord_signature *out, const struct ord_hash *hash);

/* lies_batch.c: the batch to propose in place of this one; of this step. */
struct ord_span liar_batch(struct ord_core *liar, struct ord_span batch);
/* A valid batch that does nothing. */
struct ord_span liar_void_batch(struct ord_core *liar);
/* Another valid batch with the same envelopes. */
struct ord_span liar_other_batch(struct ord_core *liar, struct ord_span batch);

/* lies_send.c: sends this message of the core, or something else, or nothing. */
void liar_send_lies(struct ord_core *liar, const struct ord_effect *effect);
/* What was held back and is due. */
void liar_release_held(struct ord_core *liar);
/* lies_view.c: a NEW-VIEW of the core that does not follow. */
struct ord_span liar_other_new_view(struct ord_core *liar, struct ord_span bytes);
/* A decided batch without its last envelope; as it is when it has none. */
struct ord_span liar_shorter_batch(struct ord_core *liar, struct ord_span batch);
/* flood.c: at the end of a turn. */
void liar_heavy(struct ord_core *liar, uint64_t view);
/* A certificate that the core keeps. */
void liar_note_certificate(struct ord_core *liar, const struct ord_record *record);
void liar_flood(struct ord_core *liar, uint64_t view, uint64_t delivered_seq, uint64_t stable_seq);
/* Requests for state go the way of the core's messages, and become what they are in liar_outgoing. */
void liar_ask_flood(struct ord_core *liar);
#define LIAR_ASK 0xff /* the first byte of such a one: no message of a core */

#define LIAR_GREAT_CLAIM 1000000u /* seqs and blocks ahead of the truth */

/* lies_link.c: as `outgoing` of the seam. */
bool liar_outgoing(struct ord_core *liar, ord_node_id to, uint8_t *kind, uint8_t *bytes, size_t *size);

#endif
