/*
 * Lies in what others asked for or rely on: wrong batches, statements that convict nobody, and receipts for envelopes
 * that are in no block.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/proof.h"
#include "channel/receipt.h"
#include "core/assert.h"
#include "crypto/hash.h"
#include "sim/liar_internal.h"

/*
 * Another batch under the requested seq: one with nothing but a version, an old one, or the right one with some bytes
 * changed.
 */
bool sim_lie_body(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_body_message body;
    struct bft_pre_prepare old;
    static const uint8_t nothing[13] = {1};
    uint8_t header[BFT_BODY_SIZE];
    if (!sim_liar_is_core(kind, message, BFT_BODY) ||
        bft_body_decode(&body, sim_liar_config(liar), sim_buffer_span(message)) != ORD_OK)
        return false;
    const struct sim_kept *kept = sim_liar_kept(liar, REPLICA_LINK_CORE);
    struct sim_buffer *scratch = sim_liar_scratch(liar, body.body);
    uint64_t how = sim_below(&liar->random, 3);
    if (how == 0 && kept != NULL && sim_liar_is_core(kept->kind, kept->message, BFT_PRE_PREPARE) &&
        bft_pre_prepare_decode(&old, sim_liar_config(liar), sim_buffer_span(kept->message)) == ORD_OK)
        body.body = old.body;
    else if (how == 1 && scratch->size > 0)
        body.body = sim_buffer_span(scratch);
    else
        body.body = ord_span_of(nothing, sizeof(nothing));
    bft_body_encode(header, sim_liar_config(liar), &body);
    const struct ord_span parts[] = {ord_span_of(header, sizeof(header)), body.body};
    struct sim_buffer *lie = sim_buffer_join(parts, 2);
    sim_liar_give(liar, to, REPLICA_LINK_CORE, lie);
    sim_buffer_release(scratch);
    return true;
}

/* ---- evidence ---- */

/* Gives a PRE-PREPARE that somebody sent, as a statement that stands alone. 0: the search found none. */
static size_t statement_of(struct sim_replica *liar, uint8_t out[BFT_SIGNED_VOTE_SIZE_MAX],
                           struct bft_statement *statement, struct bft_proof *proof) {
    for (uint32_t tries = 0; tries < 16; tries++) {
        const struct sim_kept *kept = sim_liar_kept(liar, REPLICA_LINK_CORE);
        struct bft_pre_prepare message;
        if (kept == NULL || !sim_liar_is_core(kept->kind, kept->message, BFT_PRE_PREPARE) || kept->from == liar->id ||
            bft_pre_prepare_decode(&message, sim_liar_config(liar), sim_buffer_span(kept->message)) != ORD_OK)
            continue;
        *statement = (struct bft_statement) {.type = BFT_PRE_PREPARE,
                                             .view = message.view,
                                             .seq = message.seq,
                                             .digest = message.digest,
                                             .sender = message.sender};
        *proof = bft_proof_alone(&message.signature);
        return bft_signed_encode(out, sim_liar_config(liar), statement, proof);
    }
    return 0;
}

/* Sends an EVIDENCE with the first statement before the second, or a WITNESS with the second alone. */
static void say_proof(struct sim_replica *liar, enum bft_type type, struct ord_span first, struct ord_span second) {
    uint8_t bytes[BFT_EVIDENCE_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_header_write(&writer, sim_liar_config(liar), type, sim_process_status(liar->process).view, liar->id);
    if (type == BFT_EVIDENCE)
        ord_write_string(&writer, first);
    ord_write_span(&writer, second);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    sim_liar_say_all(liar, REPLICA_LINK_CORE, ord_writer_span(&writer));
}

/*
 * The statements are: one statement twice; two about different things; or one of them changed, under its own signature
 * or under the liar's.
 */
void sim_lie_accuse(struct sim_replica *liar) {
    uint8_t first[BFT_SIGNED_VOTE_SIZE_MAX];
    uint8_t second[BFT_SIGNED_VOTE_SIZE_MAX];
    struct bft_statement a;
    struct bft_statement b;
    struct bft_proof proof;
    if (liar->world->replica_count == 1)
        return;
    size_t first_size = statement_of(liar, first, &a, &proof);
    if (first_size == 0)
        return;
    const struct ord_span span = ord_span_of(first, first_size);
    uint64_t how = sim_below(&liar->random, 5);
    if (how == 0) {
        say_proof(liar, BFT_WITNESS, span, span);
    } else if (how == 1) {
        say_proof(liar, BFT_EVIDENCE, span, span);
    } else if (how == 2) {
        size_t size = statement_of(liar, second, &b, &proof);
        if (size > 0)
            say_proof(liar, BFT_EVIDENCE, span, ord_span_of(second, size));
    } else {
        struct ord_hash hash;
        a.digest.bytes[0] ^= 1;
        bft_statement_hash(&hash, sim_liar_config(liar), &a);
        if (how == 3)
            sim_liar_sign(liar, &proof.signature, &hash);
        size_t size = bft_signed_encode(second, sim_liar_config(liar), &a, &proof);
        say_proof(liar, BFT_EVIDENCE, span, ord_span_of(second, size));
        say_proof(liar, BFT_WITNESS, span, ord_span_of(second, size));
    }
}

/* ---- receipts (row D3) ---- */

/* Puts the envelope in the place of one of a real block. The path does not lead from it to the root. */
static void put_in_place(struct sim_replica *liar, struct channel_receipt *out, uint64_t height) {
    const struct channel_receipt wanted = *out;
    sim_reader_path(out, sim_disk_data(&liar->disk, height),
                    (uint32_t) sim_below(&liar->random, out->header.envelope_count));
    out->envelope = wanted.envelope;
    out->leaf = wanted.leaf;
}

/* Makes a block of the liar's own that has nothing else in it, with a certificate that nobody else signed. */
static void make_block(struct sim_replica *liar, struct channel_receipt *out) {
    out->header.data_root = out->leaf;
    out->header.envelope_count = 1;
    out->header.transaction_count = 1;
    out->header.byte_count = out->envelope.size;
    channel_header_hash(&out->certificate.statement.header_hash, &out->header);
    bool alone = sim_chance(&liar->random, 300000);
    sim_forge_certificate(liar, &out->certificate, alone ? 1 : liar->world->plan.faulty_max + 1,
                          alone || sim_chance(&liar->random, 500000));
}

struct sim_buffer *sim_forge_receipt(struct sim_replica *liar, struct ord_span envelope) {
    const struct sim_disk *disk = &liar->disk;
    struct channel_receipt receipt = {.envelope = envelope};
    const struct ord_crypto_ops merkle = {.hash = crypto_sha256};
    uint64_t height;
    if (sim_disk_height(disk) == 0)
        return NULL;
    const struct sim_buffer *certificate =
        sim_disk_certificate(disk, &height, 1 + sim_below(&liar->random, sim_disk_height(disk)));
    if (certificate == NULL || height > sim_disk_height(disk) ||
        channel_certificate_decode(&receipt.certificate, sim_buffer_span(certificate)) != ORD_OK ||
        channel_header_decode(&receipt.header, sim_disk_header(disk, height)) != ORD_OK)
        return NULL;
    ord_merkle_leaf(&merkle, &receipt.leaf, envelope);
    if (sim_chance(&liar->random, 500000))
        put_in_place(liar, &receipt, height);
    else
        make_block(liar, &receipt);
    struct ord_writer writer = sim_writer(channel_receipt_size(&receipt));
    ORD_ASSERT(channel_receipt_encode(&writer, &receipt) == ORD_OK);
    return sim_buffer_written(&writer);
}
