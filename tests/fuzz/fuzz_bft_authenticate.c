/*
 * Wire bytes at the door of PBFT, and records and proofs, which are parsed alike. Signatures are taken as good and the hash is
 * a sum, so that the fuzzer gets past them. What is accepted has one encoding: encoding it again gives the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/bft.h"
#include "bft/message.h"
#include "bft/proof.h"
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

static void encode_again(const struct ord_core_config *config, struct ord_span bytes) {
    uint8_t again[BFT_PREPARE_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(again, sizeof(again));
    struct bft_pre_prepare pre_prepare;
    struct bft_vote_list list;
    struct bft_status status;
    switch (bytes.data[0]) {
    case BFT_PRE_PREPARE:
        ORD_ASSERT(bft_pre_prepare_decode(&pre_prepare, config, bytes) == ORD_OK);
        bft_pre_prepare_encode(again, config, &pre_prepare);
        writer.size = BFT_PRE_PREPARE_SIZE;
        ORD_ASSERT(bytes.size == BFT_PRE_PREPARE_SIZE + pre_prepare.body.size);
        bytes.size = BFT_PRE_PREPARE_SIZE;
        break;
    case BFT_STATUS:
        ORD_ASSERT(bft_status_decode(&status, config, bytes) == ORD_OK);
        bft_status_encode(again, config, &status);
        writer.size = BFT_STATUS_SIZE;
        break;
    default:
        ORD_ASSERT(bft_vote_list_decode(&list, config, bytes) == ORD_OK);
        bft_vote_list_encode(&writer, config, &list);
        ORD_ASSERT(!writer.failed);
        break;
    }
    ORD_ASSERT(ord_span_equal(ord_writer_span(&writer), bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct ord_core_config config = {.self = 3,
                                           .replica_count = 4,
                                           .window = 8,
                                           .checkpoint_interval = 4,
                                           .batch_bytes_max = 256,
                                           .body_bytes_max = 1024,
                                           .retransmit_ms = 100,
                                           .crypto = &crypto};
    if (size < 1)
        return 0;
    /* An exact copy, so that a read past the end is seen. */
    uint8_t *bytes = malloc(size);
    ORD_ASSERT(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    struct ord_span span = ord_span_of(bytes, size - 1);
    struct ord_verified verified;
    if (bft_pbft.authenticate(&verified, &config, data[0] % 5, span) == ORD_OK) {
        ORD_ASSERT(verified.from == data[0] % 5 && verified.from < 3);
        encode_again(&config, span);
    }
    struct bft_statement statement;
    ord_node_id culprit;
    (void) !bft_certificate_verify(&statement, &config, span);
    (void) !bft_signed_verify(&statement, &config, span);
    (void) !bft_evidence_verify(&culprit, &config, ord_span_of(bytes, span.size / 2),
                                ord_span_of(bytes + span.size / 2, span.size - span.size / 2));
    struct ord_span batch;
    if (bft_pbft.body_of_record(&batch, span) == ORD_OK)
        ORD_ASSERT(batch.size > 0 && batch.data + batch.size == bytes + span.size);
    free(bytes);
    return 0;
}
