/*
 * The reference model of the channel: a plain replay window, block cutter and blocks, which share no code with
 * channel/. The model knows of each envelope what its maker noted, and never decodes one. Rules: docs/protocol.md,
 * "Cutting".
 */
#ifndef ORDAIN_SIM_MODEL_H
#define ORDAIN_SIM_MODEL_H

#include "channel/block.h"
#include "sim/buffer.h"
#include "sim/identities.h"
#include "sim/map.h"

/* An envelope as its maker knows it. */
struct sim_item {
    /* Plain SHA-256 of 0x00 and the bytes. */
    struct ord_hash leaf;
    uint32_t party;
    bool registration;
    /* Never acceptable, whatever the state. */
    bool junk;
    uint64_t sequence;
    uint32_t message_count;
    size_t size;
};

/* An envelope at its place in a block. */
struct sim_placed {
    uint32_t party;
    uint64_t sequence; /* 0: a registration */
};

struct sim_model_block {
    struct ord_hash header_hash;
    struct sim_buffer *data;
    struct sim_placed *envelopes;
    size_t envelope_count;
    uint64_t first_seq;
    uint64_t last_seq;
    /* The part of `order` before this is in this block and the earlier ones. */
    size_t order_end;
};

/* A client's sequences, in the order of execution. */
struct sim_ordered {
    uint64_t *sequences;
    size_t count;
    size_t capacity;
};

/* How often a replica failed as a leader lately, as the decided batches tell. */
struct sim_model_leader {
    uint64_t failures; /* 0: it did not fail, or that is forgotten */
    uint32_t terms;    /* complete ones since the last failure */
    uint32_t passes;
    uint64_t failed_at; /* counts all failures */
};

struct sim_model_turns {
    bool any;           /* a view was named */
    uint64_t view;      /* the newest one */
    uint64_t first_seq; /* its batch */
    uint64_t failures;
    struct sim_model_leader leaders[ORD_REPLICA_MAX];
};

#define SIM_PROGRESS_MAX 192

/* The model's state after a seq. */
struct sim_model_seq {
    uint64_t batch[2]; /* two digests of the batch */
    bool null_batch;
    uint32_t accepted;
    uint64_t accepted_bytes;
    bool point; /* replicas attest here */
    /* A replica attested here because nothing followed for a while. */
    bool rest_point;
    uint64_t height;
    size_t open_size; /* size of the open block's data */
    /* What a tail tells of the state beside clients and envelopes. */
    uint8_t progress[SIM_PROGRESS_MAX];
    size_t progress_size;
    ord_replica_set passes; /* replicas whose turn to lead is passed over */
    /* The part of `order` before this was executed up to this seq. */
    size_t order_end;
};

struct sim_model {
    const struct channel_config *config;
    struct ord_hash genesis_hash;
    struct sim_map made; /* (digest, digest, 0) -> index of item + 1 */
    struct sim_item *items;
    size_t item_count;
    size_t item_capacity;

    struct sim_model_seq *seqs; /* index: seq - 1 */
    size_t seq_count;
    size_t seq_capacity;
    struct sim_model_block *blocks; /* index: height - 1 */
    size_t block_count;
    size_t block_capacity;

    struct ord_hash config_hash;
    uint32_t client_count;
    uint32_t parties[SIM_PARTIES]; /* in the order of registration */
    bool registered[SIM_PARTIES];
    uint64_t highest[SIM_PARTIES];
    struct sim_map seen;      /* (party, sequence, 0) -> place in `order`, + 1 */
    struct sim_placed *order; /* all accepted envelopes, in the order of execution */
    size_t order_count;
    size_t order_capacity;
    struct sim_ordered ordered[SIM_PARTIES];

    /* The open block */
    uint8_t *data;
    size_t data_size;
    size_t data_capacity;
    struct ord_hash *leaves;
    size_t leaf_count;
    size_t leaf_capacity;
    struct sim_placed *placed; /* leaf_count */
    size_t placed_capacity;
    uint32_t message_count;
    uint64_t byte_count;
    uint64_t first_seq;
    uint32_t accepted; /* in the seq under way */
    uint64_t accepted_bytes;
    /* Bytes of batches since the last point of attestation. */
    uint64_t bytes_since_point;
    uint64_t term; /* raft: of the newest batch */
    struct sim_model_turns turns;
};

void sim_model_init(struct sim_model *model, const struct channel_config *config, const struct ord_hash *genesis_hash);
void sim_model_deinit(struct sim_model *model);
/* Notes what is true of an envelope that somebody made. */
void sim_model_made(struct sim_model *model, struct ord_span envelope, const struct sim_item *item);
/* Gives its maker's note of it; NULL: nobody made it. */
const struct sim_item *sim_model_item(const struct sim_model *model, struct ord_span envelope);
/* True if it has the form of a batch. */
bool sim_model_well_formed(struct ord_span batch);
/* Whether a well-formed batch names the view in which it is the first, and which. */
bool sim_model_names(struct ord_span batch, uint64_t *view);
/* The envelopes of a well-formed batch, and how to take one off the front of them. */
struct ord_span sim_model_envelopes(struct ord_span batch);
struct ord_span sim_model_next(struct ord_span *rest);
/* The times between which this party's certificate is valid. */
void sim_model_validity(uint32_t party, int64_t *not_before_s, int64_t *not_after_s);
/* The batch of this seq names a view: who failed, and who served (model_turns.c). */
void sim_model_turn(struct sim_model *model, uint64_t view, uint64_t seq);
ord_replica_set sim_model_passes(const struct sim_model *model);
/* Writes the bytes that have the state's rest in a digest and in a tail. Gives their number. */
size_t sim_model_progress(const struct sim_model *model, uint8_t out[SIM_PROGRESS_MAX]);
/* Executes the batch of the next seq. `term`: in which it was proposed, in a raft channel; else 0. */
void sim_model_apply(struct sim_model *model, uint64_t term, struct ord_span batch);
/* The value that the channel's digest must have now. */
void sim_model_state_digest(const struct sim_model *model, struct ord_hash *out);
void sim_model_state_init(struct sim_model *model);
void sim_model_batch_digest(uint64_t out[2], struct ord_span batch);
static inline bool sim_model_ordered(const struct sim_model *model, uint32_t party, uint64_t sequence) {
    return sequence == 0 ? model->registered[party] : sim_map_find(&model->seen, party, sequence, 0) != NULL;
}

#endif
