/*
 * Lies in what the node sends besides the core's messages: attestations, forwards, and answers to replicas that fetch
 * state. They are changed in place, without the node's knowledge.
 */
#include <string.h>

#include "channel/attestation.h"
#include "channel/block.h"
#include "channel/envelope.h"
#include "core/assert.h"
#include "faulty/liar.h"
#include "replica/host.h"
#include "replica/transfer/sync.h"

static void attest_wrongly(struct ord_core *liar, uint8_t *bytes) {
    struct channel_attestation attestation;
    ORD_ASSERT(channel_attestation_decode(&attestation, ord_span_of(bytes, CHANNEL_ATTESTATION_SIZE)) == ORD_OK);
    attestation.statement.state_digest.bytes[0] ^= 1;
    struct channel_statement statement = attestation.statement;
    ORD_ASSERT(channel_attest(&attestation, &liar->config.genesis_hash, &statement, liar->config.self, &liar->signer) ==
               ORD_OK);
    channel_attestation_encode(bytes, &attestation);
    liar_lied(liar, LIAR_wrong_attestation);
}

/* Its own attestation is signed. In a certificate it cannot make the others' signatures, which stay as they are. */
static void claim_greatly(struct ord_core *liar, uint8_t kind, uint8_t *bytes, size_t size) {
    if (kind == REPLICA_LINK_ATTESTATION) {
        struct channel_attestation attestation;
        ORD_ASSERT(channel_attestation_decode(&attestation, ord_span_of(bytes, size)) == ORD_OK);
        struct channel_statement statement = attestation.statement;
        statement.seq += LIAR_GREAT_CLAIM;
        statement.height += LIAR_GREAT_CLAIM;
        ORD_ASSERT(channel_attest(&attestation, &liar->config.genesis_hash, &statement, liar->config.self,
                                  &liar->signer) == ORD_OK);
        channel_attestation_encode(bytes, &attestation);
    } else {
        struct channel_certificate *certificate =
            (struct channel_certificate *) (void *) liar_alloc(liar, sizeof(*certificate));
        ORD_ASSERT(channel_certificate_decode(certificate, ord_span_of(bytes, size)) == ORD_OK);
        certificate->statement.seq += LIAR_GREAT_CLAIM;
        certificate->statement.height += LIAR_GREAT_CLAIM;
        ORD_ASSERT(channel_certificate_encode(bytes, certificate) == size);
    }
    liar_lied(liar, LIAR_great_claims);
}

static bool is_answer(uint8_t kind) {
    return kind == REPLICA_LINK_SYNC_BLOCKS || kind == REPLICA_LINK_SYNC_TAIL;
}

/*
 * Spoils a byte in the middle (a block, a header or the tail), or the last byte (the certificate or the tail), or cuts
 * off the end.
 */
static void spoil(struct ord_core *liar, uint8_t *bytes, size_t *size) {
    if (*size <= SYNC_PIECE_HEADER_SIZE)
        return; /* the answer says that there is nothing */
    switch (liar->source_count++ % 3) {
    case 0:
        bytes[SYNC_PIECE_HEADER_SIZE + (*size - SYNC_PIECE_HEADER_SIZE) / 2] ^= 1;
        break;
    case 1:
        bytes[*size - 1] ^= 1;
        break;
    default:
        *size -= 1;
        break;
    }
    liar_lied(liar, LIAR_lying_source);
}

/*
 * Reduces a piece to its first block. The other blocks leave their headers, which lead to the same certificate. False:
 * the piece is not changed, because it has one block only, or too many headers would follow.
 */
static bool first_block_only(struct ord_core *liar, uint8_t *bytes, size_t *size) {
    struct ord_reader reader = ord_reader_of(ord_span_of(bytes, *size));
    uint64_t from = ord_read_u64(&reader);
    uint32_t count = ord_read_u32(&reader);
    if (count < 2 || count > SYNC_LATER_HEADERS_MAX)
        return false;
    struct ord_writer writer = ord_writer_of(liar_alloc(liar, *size + count * 4), *size + count * 4);
    ord_write_u64(&writer, from);
    ord_write_u32(&writer, 1);
    ord_write_string(&writer, ord_read_string(&reader, SIZE_MAX));
    size_t count_at = writer.size;
    ord_write_u32(&writer, 0);
    for (uint32_t i = 1; i < count; i++)
        ord_write_bytes(&writer, ord_read_string(&reader, SIZE_MAX).data, CHANNEL_HEADER_SIZE);
    uint32_t later = ord_read_u32(&reader);
    ord_store_u32(writer.data + count_at, count - 1 + later);
    ord_write_span(&writer, ord_read_span(&reader, ord_reader_left(&reader)));
    ORD_ASSERT(!reader.failed && !writer.failed);
    if (writer.size > *size)
        return false;
    memcpy(bytes, writer.data, writer.size);
    *size = writer.size;
    return true;
}

static bool drip(struct ord_core *liar, uint8_t kind, uint8_t *bytes, size_t *size) {
    liar_lied(liar, LIAR_drip);
    if (liar->source_count++ % 2 != 0)
        return false;
    if (kind == REPLICA_LINK_SYNC_BLOCKS)
        (void) first_block_only(liar, bytes, size);
    return true;
}

/* Case Q2: a source is replaced after 500 ms in which nothing came, and this is never so slow. */
static void linger(struct ord_core *liar, ord_node_id to, uint8_t kind, struct ord_span answer) {
    enum { LINGER_MS = 490 };
    uint8_t *bytes = liar_alloc(liar, 2 + answer.size);
    bytes[0] = LIAR_LATER;
    bytes[1] = kind;
    memcpy(bytes + 2, answer.data, answer.size);
    liar_hold(liar, ord_replica_bit(to), ord_span_of(bytes, 2 + answer.size), liar->now_ms + LINGER_MS);
    liar_lied(liar, LIAR_linger);
}

/* A forward is sent whole or not at all. So whatever shares a forward with the victim's envelopes is held back too. */
static bool has_victims(const struct ord_core *liar, struct ord_span bytes) {
    struct channel_batch batch;
    struct ord_span envelope_bytes;
    if (!liar->has_victim || channel_batch_decode(&batch, bytes) != ORD_OK)
        return false;
    while (channel_batch_next(&envelope_bytes, &batch.envelopes) == ORD_OK) {
        struct channel_envelope envelope;
        if (channel_envelope_decode(&envelope, envelope_bytes) == ORD_OK &&
            ord_hash_equal(&envelope.client, &liar->victim))
            return true;
    }
    return false;
}

bool liar_outgoing(struct ord_core *liar, ord_node_id to, uint8_t *kind_of, uint8_t *bytes, size_t *size) {
    const uint8_t kind = *kind_of;
    if (kind == REPLICA_LINK_CORE && bytes[0] == LIAR_ASK) {
        *kind_of = REPLICA_LINK_SYNC_REQUEST;
        memmove(bytes, bytes + 1, --*size);
        return true;
    }
    if (kind == REPLICA_LINK_CORE && bytes[0] == LIAR_LATER) {
        *kind_of = bytes[1];
        memmove(bytes, bytes + 2, *size -= 2);
        return true;
    }
    if (is_answer(kind) && liar_does(liar, LIAR_linger)) {
        linger(liar, to, kind, ord_span_of(bytes, *size));
        return false;
    }
    if ((kind == REPLICA_LINK_ATTESTATION || kind == REPLICA_LINK_CERTIFICATE) && liar_does(liar, LIAR_great_claims))
        claim_greatly(liar, kind, bytes, *size);
    if (kind == REPLICA_LINK_ATTESTATION && liar_does(liar, LIAR_wrong_attestation))
        attest_wrongly(liar, bytes);
    /* Its certificates have its true signature. */
    if (kind == REPLICA_LINK_CERTIFICATE && liar_does(liar, LIAR_wrong_attestation))
        return false;
    if (is_answer(kind) && liar_does(liar, LIAR_lying_source))
        spoil(liar, bytes, size);
    if (is_answer(kind) && liar_does(liar, LIAR_drip))
        return drip(liar, kind, bytes, size);
    if (kind == REPLICA_LINK_FORWARD && liar_does(liar, LIAR_censor) && has_victims(liar, ord_span_of(bytes, *size))) {
        liar_lied(liar, LIAR_censor);
        return false;
    }
    return true;
}
