/*
 * What the unit tests of bft/ share: a channel with stand-in keys whose view 0 is led by replica 0, and makers of any
 * message by any replica, honest or not. A test may change a message that a maker gave, and sign it again with
 * sign_view_message.
 */
#ifndef ORDAIN_TESTS_BFT_SUPPORT_H
#define ORDAIN_TESTS_BFT_SUPPORT_H

#include <stdlib.h>
#include <string.h>

#include "bft/recovery/silence.h"
#include "bft/wire/message.h"
#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"
#include "tests/support/bft_host.h"

static const struct ord_crypto_ops test_crypto = {
    .hash = plain_hash, .verify = stand_in_verify, .context = (void *) (uintptr_t) &test_crypto};

/* What test_config points to. A test that wants others points its configuration to a copy. */
static const struct bft_options test_options = {.request_timeout_ms = 1000,
                                                .checkpoints = {.context = &test_crypto,
                                                                .size_max = STAND_IN_CHECKPOINT_SIZE,
                                                                .verify = stand_in_checkpoint_verify}};

static inline struct ord_core_config test_config(ord_node_id self) {
    struct ord_core_config config = {
        .self = self,
        .replica_count = 4,
        .epoch = 7,
        .window = 8,
        .checkpoint_interval = 4,
        .batch_bytes_max = 64,
        .body_bytes_max = 1024,
        .retransmit_ms = 100,
        .crypto = &test_crypto,
        .options = &test_options,
    };
    memset(config.genesis_hash.bytes + 8, 0x42, 24); /* its first 8 bytes are zeros, so replica 0 leads view 0 */
    return config;
}

static inline struct ord_hash digest_of(const char *batch) {
    struct ord_hash digest;
    bft_body_digest(&digest, &test_crypto, ord_span_of(batch, strlen(batch)));
    return digest;
}

/* Makes messages; each is valid until the next call of the same maker. */
static inline struct ord_span make_pre_prepare(const struct ord_core_config *config, ord_node_id sender, uint64_t view,
                                               uint64_t seq, const char *batch) {
    static uint8_t bytes[BFT_PRE_PREPARE_SIZE + 4096];
    struct bft_pre_prepare message = {.view = view,
                                      .seq = seq,
                                      .sender = sender,
                                      .digest = digest_of(batch),
                                      .body = ord_span_of(batch, strlen(batch))};
    struct bft_statement statement = {
        .type = BFT_PRE_PREPARE, .view = view, .seq = seq, .digest = message.digest, .sender = sender};
    struct ord_hash hash;
    bft_statement_hash(&hash, config, &statement);
    stand_in_sign(config->crypto, &message.signature, sender, &hash);
    bft_pre_prepare_encode(bytes, config, &message);
    memcpy(bytes + BFT_PRE_PREPARE_SIZE, batch, message.body.size);
    return ord_span_of(bytes, BFT_PRE_PREPARE_SIZE + message.body.size);
}

static inline struct ord_span make_list(const struct ord_core_config *config, struct bft_vote_list *list) {
    static uint8_t bytes[BFT_PREPARE_SIZE_MAX];
    if (list->type == BFT_PREPARE) {
        struct bft_vote_tree tree;
        struct ord_hash hash;
        bft_vote_tree_build(&tree, config, list);
        bft_vote_tree_signed_hash(&hash, &tree, config);
        stand_in_sign(config->crypto, &list->signature, list->sender, &hash);
    }
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_vote_list_encode(&writer, config, list);
    ORD_ASSERT(!writer.failed);
    return ord_writer_span(&writer);
}

static inline struct ord_span make_vote(const struct ord_core_config *config, enum bft_type type, ord_node_id sender,
                                        uint64_t seq, const char *batch) {
    struct bft_vote_list list = {.type = type, .sender = sender, .count = 1};
    list.votes[0] = (struct bft_vote) {.seq = seq, .digest = digest_of(batch)};
    return make_list(config, &list);
}

static inline struct ord_span make_status(const struct ord_core_config *config, ord_node_id sender,
                                          uint64_t delivered_seq, uint64_t stable_seq, uint8_t held) {
    static uint8_t bytes[BFT_STATUS_SIZE];
    struct bft_status status = {
        .sender = sender, .delivered_seq = delivered_seq, .stable_seq = stable_seq, .held = {held}};
    bft_status_encode(bytes, config, &status);
    return ord_span_of(bytes, sizeof(bytes));
}

/* A STATUS about views: it tells in what mood its sender is about `view`, and whose view changes it has. */
static inline struct ord_span make_mood_status(const struct ord_core_config *config, ord_node_id sender, uint64_t view,
                                               enum bft_mood mood, ord_replica_set changes) {
    static uint8_t bytes[BFT_STATUS_SIZE];
    struct bft_status status = {.view = view, .sender = sender, .mood = mood, .changes = changes};
    bft_status_encode(bytes, config, &status);
    return ord_span_of(bytes, sizeof(bytes));
}

static inline struct ord_span make_view_status(const struct ord_core_config *config, ord_node_id sender, uint64_t view,
                                               bool changing, ord_replica_set changes) {
    return make_mood_status(config, sender, view, changing ? BFT_CHANGING : BFT_CONTENT, changes);
}

/* Like make_vote, for any view and any digest. */
static inline struct ord_span make_vote_in(const struct ord_core_config *config, enum bft_type type, ord_node_id sender,
                                           uint64_t view, uint64_t seq, const struct ord_hash *digest) {
    struct bft_vote_list list = {.type = type, .view = view, .sender = sender, .count = 1};
    list.votes[0] = (struct bft_vote) {.seq = seq, .digest = *digest};
    return make_list(config, &list);
}

/* What a test wants to be certified. The certificates of these makers carry the votes of the lowest backups. */
struct prepared {
    uint64_t seq;
    uint64_t view;
    struct ord_hash digest;
};

static inline struct bft_proof sign_alone(const struct ord_core_config *config, const struct bft_statement *statement) {
    struct ord_hash hash;
    struct ord_signature signature;
    bft_statement_hash(&hash, config, statement);
    stand_in_sign(config->crypto, &signature, statement->sender, &hash);
    return bft_proof_alone(&signature);
}

static inline size_t make_certificate(uint8_t *out, size_t capacity, const struct ord_core_config *config,
                                      const struct prepared *prepared) {
    struct bft_certificate_vote votes[ORD_REPLICA_MAX];
    struct bft_proof proofs[ORD_REPLICA_MAX];
    struct bft_statement statement = {.type = BFT_PRE_PREPARE,
                                      .view = prepared->view,
                                      .seq = prepared->seq,
                                      .digest = prepared->digest,
                                      .sender = bft_primary(config, prepared->view)};
    const struct bft_statement bound = statement;
    const struct bft_proof proof = sign_alone(config, &statement);
    uint32_t count = 0;
    statement.type = BFT_PREPARE;
    for (statement.sender = 0; count < (config->replica_count + (config->replica_count - 1) / 3) / 2;
         statement.sender++) {
        if (statement.sender == bound.sender)
            continue;
        proofs[count] = sign_alone(config, &statement);
        votes[count] = (struct bft_certificate_vote) {.sender = statement.sender, .proof = &proofs[count]};
        count++;
    }
    return bft_certificate_encode(out, capacity, config, &bound, &proof, votes, count);
}

#define TEST_VIEW_CHANGE_SIZE 32768

/* Signs the content of a writer as a VIEW-CHANGE or NEW-VIEW of `sender`, and appends the signature. */
static inline struct ord_span sign_view_message(struct ord_writer *writer, const struct ord_core_config *config,
                                                enum bft_type type, uint64_t view, ord_node_id sender) {
    struct ord_hash hash;
    struct ord_hash digest;
    struct ord_signature signature;
    bft_view_message_hash(&hash, &digest, config, type, view, sender, ord_writer_span(writer));
    stand_in_sign(config->crypto, &signature, sender, &hash);
    ord_write_signature(writer, &signature);
    ORD_ASSERT(!writer->failed);
    return ord_writer_span(writer);
}

static inline struct ord_span make_view_change(const struct ord_core_config *config, ord_node_id sender, uint64_t view,
                                               uint64_t stable_seq, const struct prepared *prepared, uint32_t count) {
    static uint8_t bytes[TEST_VIEW_CHANGE_SIZE];
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE];
    struct ord_core_config own = *config;
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    size_t count_at;
    struct ord_hash hash;
    own.self = sender;
    bft_view_change_begin(&writer, &count_at, &own, view, stable_seq,
                          stable_seq == 0 ? ord_span_of(NULL, 0)
                                          : stand_in_checkpoint(checkpoint, config->crypto, stable_seq));
    for (uint32_t i = 0; i < count; i++)
        writer.size += make_certificate(bytes + writer.size, sizeof(bytes) - writer.size, config, &prepared[i]);
    bft_view_change_end(&writer, count_at, count, &hash, &own, view);
    return sign_view_message(&writer, config, BFT_VIEW_CHANGE, view, sender);
}

/*
 * A NEW-VIEW of the view's primary, with its entries and the digests of the view changes in `changes` (by sender; size
 * 0: not cited).
 */
static inline struct ord_span make_new_view(const struct ord_core_config *config, uint64_t view, uint64_t base_seq,
                                            const struct ord_hash *digests, uint32_t count,
                                            const struct ord_span *changes) {
    static uint8_t bytes[TEST_VIEW_CHANGE_SIZE];
    ord_node_id sender = bft_primary(config, view);
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_header_write(&writer, config, BFT_NEW_VIEW, view, sender);
    ord_write_u64(&writer, base_seq);
    ord_write_u32(&writer, count);
    for (uint32_t i = 0; i < count; i++)
        ord_write_hash(&writer, &digests[i]);
    for (uint32_t first = 0; first < count; first += BFT_LIST_MAX) {
        struct bft_vote_list list = {.type = BFT_PRE_PREPARE, .view = view, .sender = sender};
        struct bft_vote_tree tree;
        struct ord_hash hash;
        struct ord_signature signature;
        for (uint32_t i = first; i < count && list.count < BFT_LIST_MAX; i++)
            list.votes[list.count++] = (struct bft_vote) {.seq = base_seq + 1 + i, .digest = digests[i]};
        bft_vote_tree_build(&tree, config, &list);
        bft_vote_tree_signed_hash(&hash, &tree, config);
        stand_in_sign(config->crypto, &signature, sender, &hash);
        ord_write_signature(&writer, &signature);
    }
    uint8_t cited = 0;
    for (ord_node_id node = 0; node < config->replica_count; node++)
        cited = (uint8_t) (cited + (changes[node].size > 0));
    ord_write_u8(&writer, cited);
    for (ord_node_id node = 0; node < config->replica_count; node++) {
        struct bft_view_change change;
        if (changes[node].size == 0)
            continue;
        ORD_ASSERT(bft_view_change_decode(&change, config, changes[node]) == ORD_OK);
        ord_write_u32(&writer, node);
        ord_write_hash(&writer, &change.digest);
    }
    return sign_view_message(&writer, config, BFT_NEW_VIEW, view, sender);
}

/* The RELAY with which `sender` passes `message` on. */
static inline struct ord_span make_relay(const struct ord_core_config *config, ord_node_id sender,
                                         struct ord_span message) {
    static uint8_t bytes[BFT_RELAY_SIZE + TEST_VIEW_CHANGE_SIZE];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_header_write(&writer, config, BFT_RELAY, 0, sender);
    ord_write_span(&writer, message);
    ORD_ASSERT(!writer.failed);
    return ord_writer_span(&writer);
}

/* What one replica signed about (view, seq), as a statement that stands alone; `batch` gives the digest. */
struct statement {
    enum bft_type type;
    ord_node_id sender;
    uint64_t view;
    uint64_t seq;
    const char *batch;
};

static inline struct ord_span make_statement(uint8_t out[BFT_SIGNED_VOTE_SIZE_MAX],
                                             const struct ord_core_config *config, const struct statement *made) {
    struct bft_statement statement = {.type = made->type, .view = made->view, .seq = made->seq, .sender = made->sender};
    bft_body_digest(&statement.digest, config->crypto, ord_span_of(made->batch, strlen(made->batch)));
    const struct bft_proof proof = sign_alone(config, &statement);
    return ord_span_of(out, bft_signed_encode(out, config, &statement, &proof));
}

static inline struct ord_span make_witness(const struct ord_core_config *config, ord_node_id sender,
                                           const struct statement *made) {
    static uint8_t bytes[BFT_WITNESS_SIZE_MAX];
    uint8_t data[BFT_SIGNED_VOTE_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_header_write(&writer, config, BFT_WITNESS, made->view, sender);
    ord_write_span(&writer, make_statement(data, config, made));
    ORD_ASSERT(!writer.failed);
    return ord_writer_span(&writer);
}

static inline struct ord_span make_evidence(const struct ord_core_config *config, ord_node_id sender,
                                            const struct statement *first, const struct statement *second) {
    static uint8_t bytes[BFT_EVIDENCE_SIZE_MAX];
    uint8_t data[BFT_SIGNED_VOTE_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_header_write(&writer, config, BFT_EVIDENCE, first->view, sender);
    ord_write_string(&writer, make_statement(data, config, first));
    ord_write_span(&writer, make_statement(data, config, second));
    ORD_ASSERT(!writer.failed);
    return ord_writer_span(&writer);
}

static inline struct ord_span make_body(const struct ord_core_config *config, ord_node_id sender, uint64_t view,
                                        uint64_t seq, const char *batch) {
    static uint8_t bytes[BFT_BODY_SIZE + 4096];
    const struct bft_body_message message = {
        .view = view, .sender = sender, .seq = seq, .body = ord_span_of(batch, strlen(batch))};
    bft_body_encode(bytes, config, &message);
    memcpy(bytes + BFT_BODY_SIZE, batch, message.body.size);
    return ord_span_of(bytes, BFT_BODY_SIZE + message.body.size);
}

#endif
