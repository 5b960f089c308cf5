/*
 * What the unit tests of bft/ share: a channel of stand-in keys whose view 0 is led by replica 0, and makers of any message
 * by any replica, honest or not.
 */
#ifndef ORDAIN_TESTS_BFT_SUPPORT_H
#define ORDAIN_TESTS_BFT_SUPPORT_H

#include <stdlib.h>
#include <string.h>

#include "bft/message.h"
#include "bft/proof.h"
#include "tests/support/bft_host.h"

static const struct ord_crypto_ops test_crypto = {
    .hash = plain_hash, .verify = stand_in_verify, .context = (void *) (uintptr_t) &test_crypto};

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
    };
    memset(config.genesis_hash.bytes + 8, 0x42, 24); /* its first 8 bytes are zeros: replica 0 leads view 0 */
    return config;
}

static inline struct ord_hash digest_of(const char *batch) {
    struct ord_hash digest;
    bft_body_digest(&digest, &test_crypto, ord_span_of(batch, strlen(batch)));
    return digest;
}

/* Messages that a test made; valid until the next one of the same maker. */
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

#endif
