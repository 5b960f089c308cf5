/*
 * Shared parts of the liars' files. Private to liar.c and lies_*.c.
 */
#ifndef ORDAIN_SIM_LIAR_INTERNAL_H
#define ORDAIN_SIM_LIAR_INTERNAL_H

#include "sim/identities.h"
#include "sim/liar.h"
#include "sim/process.h"

#define SIM_KEPT 64

struct sim_kept {
    /* The sender: another replica, or the liar itself. */
    ord_node_id from;
    enum replica_link kind;
    struct sim_buffer *message; /* NULL: empty */
};

#define SIM_HELD 256

/* A message that a genome holds back until `left` more messages went to that receiver. */
struct sim_held {
    uint32_t left;
    ord_node_id to;
    enum replica_link kind;
    struct sim_buffer *message; /* NULL: empty */
};

#define SIM_HOARD 128

/* A prepared certificate: the liar's own, or one that another replica showed. */
struct sim_hoarded {
    uint64_t view;
    uint64_t seq;
    struct sim_buffer *certificate; /* NULL: empty */
};

struct sim_liar {
    /* The replicas that are told the other story. */
    ord_replica_set side;
    ord_replica_set shunned;
    uint32_t censored; /* a party's number */
    uint64_t mute_until_us;
    /* An envelope that its replica refused, for its next batch; NULL: none. */
    struct sim_buffer *far;
    /* Time from one void batch to the next. 0: the next one follows as soon as this one is delivered. */
    uint32_t void_pace_ms;
    uint64_t void_due_ms;
    /* pace: the last batch that its replica offered in this life; NULL: none yet. */
    struct sim_buffer *offered;
    uint64_t pace_view;
    uint64_t pace_due_ms;
    uint64_t pace_cut_height;
    /* blind: the number of its present turn, + 1, and how many batches it has proposed in it. */
    uint64_t turn;
    uint64_t turn_batches;
    /* Void batches since the last one that is not. */
    uint64_t void_batches;
    /* By client: when it was served last, counted in envelopes, and the sequence that was proposed last. */
    uint64_t served[SIM_CLIENTS];
    uint64_t sequences[SIM_CLIENTS];
    uint64_t served_count;
    /* A ring of messages that it sent and received. */
    struct sim_kept kept[SIM_KEPT];
    uint64_t kept_count;
    struct sim_hoarded hoard[SIM_HOARD]; /* ring */
    uint64_t hoard_count;
    /* genome: how many messages each rule has fitted so far, and what is held back. */
    uint64_t fitted[SIM_RULES_MAX];
    struct sim_held held[SIM_HELD];
};

static inline const struct ord_core_config *sim_liar_config(const struct sim_replica *liar) {
    return &liar->process->core_config;
}
static inline bool sim_liar_is_core(enum replica_link kind, const struct sim_buffer *message, uint8_t type) {
    return kind == REPLICA_LINK_CORE && message->size > 0 && message->data[0] == type;
}
bool sim_liar_has(const struct sim_replica *replica, enum sim_behaviour_index behaviour);
bool sim_liar_lies_now(struct sim_replica *liar);
/* Signs with the liar's own key; it has no other. */
void sim_liar_sign(struct sim_replica *liar, struct ord_signature *out, const struct ord_hash *hash);
void sim_liar_attest(struct sim_replica *liar, struct channel_attestation *out,
                     const struct channel_statement *statement);
/* Makes the liar the one signer of the certificate for `out->statement`. */
void sim_liar_attest_alone(struct sim_replica *liar, struct channel_certificate *out);

/* Begins a batch that the liar's own core can propose next: it names the view if it has to. */
void sim_liar_begin(const struct sim_replica *liar, struct ord_writer *writer, uint64_t cut_height);
/* Sends a message unchanged, now. */
void sim_liar_pass(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
/* The same, and takes over the caller's hold. */
void sim_liar_give(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
/* Sends some bytes, now. */
void sim_liar_say(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct ord_span bytes);
void sim_liar_say_all(struct sim_replica *liar, enum replica_link kind, struct ord_span bytes);
void sim_liar_later(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message,
                    uint64_t delay_us);
/* Gives one of the kept messages of this kind (0: any kind); NULL: the search found none. */
const struct sim_kept *sim_liar_kept(struct sim_replica *liar, enum replica_link kind);
/* Gives a copy with some bytes changed. The caller holds it. */
struct sim_buffer *sim_liar_scratch(struct sim_replica *liar, struct ord_span message);
static inline bool sim_liar_other_side(const struct sim_replica *liar, ord_node_id to) {
    return (liar->lies->side & ord_replica_bit(to)) != 0;
}

/* lies_core.c */
bool sim_lie_equivocate(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
bool sim_lie_split_votes(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
bool sim_lie_mutate(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
bool sim_lie_borrow(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
bool sim_lie_skip(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
void sim_lie_early_commit(struct sim_replica *liar, ord_node_id from, enum replica_link kind, struct ord_span message);
void sim_lie_usurp(struct sim_replica *liar);

/* lies_batch.c */
/* Gives the first envelope of some block on its disk; NULL: there is none. The caller holds it. */
struct sim_buffer *sim_liar_old_envelope(struct sim_replica *liar);
/* Gives it a fresh sequence under the old signature. */
void sim_liar_renumber(struct sim_replica *liar, struct sim_buffer *envelope);
void sim_liar_forward(struct sim_replica *liar, const struct sim_buffer *envelope);
bool sim_lie_censor(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);

/* lies_view.c */
struct bft_view_change;
/* Decodes a VIEW-CHANGE of the liar's own core. */
bool sim_liar_own_change(const struct sim_replica *liar, struct bft_view_change *out, enum replica_link kind,
                         const struct sim_buffer *message);
/* Gives a VIEW-CHANGE of the liar's with these contents. The caller holds it. */
struct sim_buffer *sim_liar_change(struct sim_replica *liar, const struct bft_view_change *change);
/* Gives one with this checkpoint and nothing else. The caller holds it. */
struct sim_buffer *sim_liar_checkpoint_change(struct sim_replica *liar, uint64_t view,
                                              const struct channel_certificate *certificate);
bool sim_lie_change(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
bool sim_lie_new_view(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
bool sim_lie_half_view(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
void sim_lie_spam(struct sim_replica *liar);
bool sim_lie_slow(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);

/* lies_pace.c */
bool sim_lie_pace(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
bool sim_lie_blind(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
/* When it next proposes; it has work and leads. */
uint64_t sim_pace_due_ms(const struct sim_replica *liar);
/* Its replica offers a batch. */
void sim_pace_offered(struct sim_replica *liar, struct ord_span batch);
/* Gives what it proposes now out of the last offer; NULL: nothing. The caller holds it. */
struct sim_buffer *sim_pace_batch(struct sim_replica *liar, const struct ord_status *status, uint64_t now_ms);

/* lies_forge.c */
/*
 * Makes `out` a certificate of `count` signers for `out->statement`: in others' names, or of the liar alone, `count`
 * times.
 */
void sim_forge_certificate(struct sim_replica *liar, struct channel_certificate *out, uint32_t count, bool repeated);
bool sim_lie_forge(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
void sim_lie_forge_relay(struct sim_replica *liar);
bool sim_lie_hoard(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
void sim_hoard_received(struct sim_replica *liar, ord_node_id from, enum replica_link kind, struct ord_span message);
void sim_hoard_own(struct sim_replica *liar);

/* lies_word.c */
bool sim_lie_body(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
void sim_lie_accuse(struct sim_replica *liar);
struct sim_buffer *sim_forge_receipt(struct sim_replica *liar, struct ord_span envelope);

/* lies_genome.c. Sends what the rules leave of a message. Does not take over the hold. */
void sim_genome_send(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
/* True if the rules let it answer a client now. */
bool sim_genome_answers(struct sim_replica *liar);

/* lies_other.c */
void sim_lie_flood(struct sim_replica *liar);
bool sim_lie_attest(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
void sim_lie_forward(struct sim_replica *liar);
bool sim_lie_drip(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
bool sim_lie_source(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);

#endif
