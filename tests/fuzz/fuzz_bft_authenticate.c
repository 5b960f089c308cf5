/*
 * Passes wire bytes to PBFT's `authenticate`, and parses them as records and proofs too. Every signature
 * verifies and the hash is a sum, so that the fuzzer gets past them. Each accepted message has one encoding:
 * encoding it again must give the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/bft.h"
#include "bft/recovery/silence.h"
#include "bft/wire/message.h"
#include "bft/wire/view_message.h"
#include "core/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sum_hash(struct ord_hash *out, const struct ord_span *parts, size_t part_count) {
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < part_count; i++)
        for (size_t j = 0; j < parts[i].size; j++)
            out->bytes[0] = (uint8_t) (out->bytes[0] + parts[i].data[j]);
}

static bool believe(const void *context, ord_node_id signer, const struct ord_hash *hash,
                    const struct ord_signature *signature) {
    (void) context;
    (void) hash;
    (void) signature;
    ORD_ASSERT(signer < 4);
    return true;
}

static const struct ord_crypto_ops crypto = {.hash = sum_hash, .verify = believe};

/* Accepts every certificate of 8 bytes. It holds the checkpoint's seq. */
static enum ord_err believe_checkpoint(const void *context, uint64_t *seq, struct ord_span certificate) {
    (void) context;
    if (certificate.size != 8)
        return ORD_ERR_INVALID;
    *seq = ord_load_u64(certificate.data);
    return ORD_OK;
}

static void view_change_again(struct ord_writer *writer, const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_view_change change;
    struct bft_statement statement;
    struct ord_span certificate;
    ORD_ASSERT(bft_view_change_decode(&change, config, bytes) == ORD_OK);
    ORD_ASSERT(bytes.size <= bft_view_change_size_max(config) && change.sender < config->replica_count);
    bft_header_write(writer, config, BFT_VIEW_CHANGE, change.view, change.sender);
    ord_write_u64(writer, change.stable_seq);
    ord_write_string(writer, change.checkpoint);
    ord_write_u32(writer, change.certificate_count);
    uint64_t last_seq = change.stable_seq;
    while (bft_view_change_next(&statement, &certificate, &change.certificates, config)) {
        ORD_ASSERT(statement.seq > last_seq && statement.seq <= change.stable_seq + config->window);
        ORD_ASSERT(statement.view < change.view && certificate.size <= BFT_CERTIFICATE_SIZE_MAX(3));
        last_seq = statement.seq;
        ord_write_span(writer, certificate);
    }
    ord_write_signature(writer, &change.signature);
}

static void new_view_again(struct ord_writer *writer, const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_new_view view;
    struct ord_hash digest;
    ORD_ASSERT(bft_new_view_decode(&view, config, bytes) == ORD_OK && bytes.size <= bft_new_view_size_max(config));
    bft_header_write(writer, config, BFT_NEW_VIEW, view.view, view.sender);
    ord_write_u64(writer, view.base_seq);
    ord_write_u32(writer, view.count);
    for (uint32_t i = 0; i < view.count; i++) {
        bft_new_view_entry(&digest, &view, view.base_seq + 1 + i);
        ord_write_hash(writer, &digest);
    }
    for (uint32_t first = 0; first < view.count; first += BFT_LIST_MAX) {
        struct bft_vote_list list;
        bft_new_view_list(&list, &view, first / BFT_LIST_MAX);
        ord_write_signature(writer, &list.signature);
    }
    ord_write_u8(writer, (uint8_t) view.change_count);
    for (uint32_t i = 0; i < view.change_count; i++) {
        ord_node_id sender;
        bft_new_view_change(&sender, &digest, &view, i);
        ORD_ASSERT(sender < config->replica_count);
        ord_write_u32(writer, sender);
        ord_write_hash(writer, &digest);
    }
    ord_write_signature(writer, &view.signature);
}

static void statement_again(struct ord_writer *writer, const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_statement statement;
    struct bft_proof proof;
    uint8_t again[BFT_SIGNED_VOTE_SIZE_MAX];
    ORD_ASSERT(bytes.size <= sizeof(again) && bft_signed_decode(&statement, &proof, config, bytes) == ORD_OK);
    ORD_ASSERT(statement.sender < config->replica_count);
    ord_write_bytes(writer, again, bft_signed_encode(again, config, &statement, &proof));
}

/*
 * Encodes a WITNESS or EVIDENCE again. Copies the header, because its view means nothing, and encodes the statements.
 */
static void statements_again(struct ord_writer *writer, const struct ord_core_config *config, struct ord_span bytes) {
    struct ord_span first;
    struct ord_span second;
    ord_write_bytes(writer, bytes.data, BFT_HEADER_SIZE);
    if (bytes.data[0] == BFT_WITNESS) {
        ORD_ASSERT(bytes.size <= BFT_WITNESS_SIZE_MAX);
        statement_again(writer, config, bft_behind_header(bytes));
        return;
    }
    ORD_ASSERT(bytes.size <= BFT_EVIDENCE_SIZE_MAX && bft_evidence_split(bytes, &first, &second) == ORD_OK);
    ord_write_u32(writer, (uint32_t) first.size);
    statement_again(writer, config, first);
    statement_again(writer, config, second);
}

static void encode_again(const struct ord_core_config *config, struct ord_span bytes) {
    static uint8_t again[1 << 16];
    struct ord_writer writer = ord_writer_of(again, sizeof(again));
    struct bft_pre_prepare pre_prepare;
    struct bft_body_message body;
    struct bft_vote_list list;
    struct bft_status status;
    struct bft_ask ask;
    struct bft_recall recall;
    if (bytes.data[0] == BFT_RELAY)
        bytes = ord_span_of(bytes.data + BFT_RELAY_SIZE, bytes.size - BFT_RELAY_SIZE);
    switch (bytes.data[0]) {
    case BFT_PRE_PREPARE:
        ORD_ASSERT(bft_pre_prepare_decode(&pre_prepare, config, bytes) == ORD_OK);
        bft_pre_prepare_encode(again, config, &pre_prepare);
        writer.size = BFT_PRE_PREPARE_SIZE;
        ORD_ASSERT(bytes.size == BFT_PRE_PREPARE_SIZE + pre_prepare.body.size);
        bytes.size = BFT_PRE_PREPARE_SIZE;
        break;
    case BFT_BODY:
        ORD_ASSERT(bft_body_decode(&body, config, bytes) == ORD_OK);
        bft_body_encode(again, config, &body);
        writer.size = BFT_BODY_SIZE;
        ORD_ASSERT(bytes.size == BFT_BODY_SIZE + body.body.size);
        bytes.size = BFT_BODY_SIZE;
        break;
    case BFT_STATUS:
        ORD_ASSERT(bft_status_decode(&status, config, bytes) == ORD_OK);
        bft_status_encode(again, config, &status);
        writer.size = BFT_STATUS_SIZE;
        break;
    case BFT_VIEW_CHANGE:
        view_change_again(&writer, config, bytes);
        break;
    case BFT_NEW_VIEW:
        new_view_again(&writer, config, bytes);
        break;
    case BFT_ASK:
        ORD_ASSERT(bft_ask_decode(&ask, config, bytes) == ORD_OK);
        bft_ask_encode(&writer, config, &ask);
        break;
    case BFT_RECALL:
        ORD_ASSERT(bft_recall_decode(&recall, config, bytes) == ORD_OK);
        bft_recall_encode(&writer, config, ord_load_u64(bytes.data + 17), &recall);
        break;
    case BFT_WITNESS:
    case BFT_EVIDENCE:
        statements_again(&writer, config, bytes);
        break;
    default:
        ORD_ASSERT(bft_vote_list_decode(&list, config, bytes) == ORD_OK);
        bft_vote_list_encode(&writer, config, &list);
        break;
    }
    ORD_ASSERT(!writer.failed && ord_span_equal(ord_writer_span(&writer), bytes));
}

/* Repairs the header of arbitrary bytes: gives it a valid type, this network and epoch, a small view, and `sender`. */
static void mend_header(uint8_t *bytes, size_t size, ord_node_id sender) {
    if (size < BFT_HEADER_SIZE)
        return;
    bytes[0] = (uint8_t) (1 + bytes[0] % 13);
    memset(bytes + 1, 0, 8 + 8 + 7);
    ord_store_u32(bytes + BFT_HEADER_SIZE - 4, sender);
}

/*
 * Repairs the statements that a WITNESS or EVIDENCE carries. They become PRE-PREPAREs that were
 * signed alone, in EVIDENCE two about the same seq. Returns the size that the statements must
 * have, or `size` if there are too few bytes.
 */
static size_t mend_statements(uint8_t *bytes, size_t size, bool evidence) {
    const size_t fixed = BFT_HEADER_SIZE + 8 + ORD_HASH_SIZE;
    const size_t one_size = fixed + 3 + ORD_SIGNATURE_SIZE;
    const size_t all_size = evidence ? 4 + 2 * one_size : one_size;
    if (size < all_size)
        return size;
    if (evidence)
        ord_store_u32(bytes, (uint32_t) one_size);
    for (uint8_t *one = bytes + (evidence ? 4 : 0); one < bytes + all_size; one += one_size) {
        mend_header(one, one_size, 0);
        one[0] = BFT_PRE_PREPARE;
        ord_store_u64(one + BFT_HEADER_SIZE, 1);
        one[fixed] = 0; /* the only statement of its list */
        one[fixed + 1] = 1;
        one[fixed + 2] = 0;
    }
    return all_size;
}

/* Repairs the statement that a RECALL gives back, if its size is that of a PREPARE that was signed alone. */
static void mend_statement_of(uint8_t *bytes, size_t size, ord_node_id sender) {
    const size_t fixed = BFT_HEADER_SIZE + 8 + ORD_HASH_SIZE;
    if (size != fixed + 3 + ORD_SIGNATURE_SIZE)
        return;
    mend_header(bytes, size, sender);
    bytes[0] = BFT_PREPARE;
    ord_store_u64(bytes + BFT_HEADER_SIZE, 1);
    bytes[fixed] = 0;
    bytes[fixed + 1] = 1;
    bytes[fixed + 2] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct bft_options options = {.request_timeout_ms = 1000,
                                               .checkpoints = {.size_max = 8, .verify = believe_checkpoint}};
    const struct ord_core_config config = {.self = 3,
                                           .replica_count = 4,
                                           .window = 8,
                                           .checkpoint_interval = 4,
                                           .batch_bytes_max = 256,
                                           .body_bytes_max = 1024,
                                           .retransmit_ms = 100,
                                           .crypto = &crypto,
                                           .options = &options};
    if (size < 1)
        return 0;
    /* Copy the bytes to memory of exactly their size, so that AddressSanitizer sees a read past the end. */
    uint8_t *bytes = malloc(size);
    ORD_ASSERT(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    struct ord_span span = ord_span_of(bytes, size - 1);
    ord_node_id from = data[0] % 128 % 5;
    if (data[0] >= 128) {
        mend_header(bytes, span.size, from);
        if (span.size > BFT_RELAY_SIZE && bytes[0] == BFT_RELAY)
            mend_header(bytes + BFT_RELAY_SIZE, span.size - BFT_RELAY_SIZE, data[0] / 8 % 4);
        if (span.size > BFT_HEADER_SIZE && (bytes[0] == BFT_WITNESS || bytes[0] == BFT_EVIDENCE)) {
            span.size = BFT_HEADER_SIZE +
                        mend_statements(bytes + BFT_HEADER_SIZE, span.size - BFT_HEADER_SIZE, bytes[0] == BFT_EVIDENCE);
            bytes = realloc(bytes, span.size);
            ORD_ASSERT(bytes != NULL);
            span.data = bytes;
        }
        if (span.size > BFT_HEADER_SIZE + 28 && bytes[0] == BFT_RECALL) { /* give it no certificate and a small reach */
            memset(bytes + BFT_HEADER_SIZE + 8, 0, 8 + 4 + 7);
            mend_statement_of(bytes + BFT_HEADER_SIZE + 28, span.size - BFT_HEADER_SIZE - 28, config.self);
        }
    }
    struct ord_verified verified;
    (void) bft_pbft.cost(span);
    if (bft_pbft.authenticate(&verified, &config, from, span) == ORD_OK) {
        ORD_ASSERT(verified.from == from && verified.from < 3);
        encode_again(&config, span);
    }
    struct bft_statement statement;
    ord_node_id culprit;
    (void) !bft_certificate_verify(&statement, &config, span, NULL);
    (void) !bft_signed_verify(&statement, &config, span);
    (void) !bft_evidence_verify(&culprit, &config, ord_span_of(bytes, span.size / 2),
                                ord_span_of(bytes + span.size / 2, span.size - span.size / 2));
    struct ord_span batch;
    if (bft_pbft.body_of_record(&batch, span) == ORD_OK)
        ORD_ASSERT(batch.size > 0 && batch.data + batch.size == bytes + span.size);
    free(bytes);
    return 0;
}
