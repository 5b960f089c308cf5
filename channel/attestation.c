/*
 * Statements, attestations and certificates: encodings, hashes and checks.
 */
#include "channel/attestation.h"

#include <string.h>

#include "channel/marks.h"
#include "channel/tags.h"
#include "core/assert.h"

#define CERTIFICATE_VERSION 1

static void write_statement(struct ord_writer *writer, const struct channel_statement *statement) {
    ord_write_u64(writer, statement->epoch);
    ord_write_u64(writer, statement->seq);
    ord_write_u64(writer, statement->height);
    ord_write_hash(writer, &statement->header_hash);
    ord_write_hash(writer, &statement->state_digest);
}

static void read_statement(struct ord_reader *reader, struct channel_statement *out) {
    out->epoch = ord_read_u64(reader);
    out->seq = ord_read_u64(reader);
    out->height = ord_read_u64(reader);
    ord_read_hash(reader, &out->header_hash);
    ord_read_hash(reader, &out->state_digest);
}

void channel_statement_hash(struct ord_hash *out, const struct ord_hash *genesis_hash,
                            const struct channel_statement *statement, ord_node_id signer) {
    uint8_t bytes[ORD_HASH_SIZE + CHANNEL_STATEMENT_SIZE + 4];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    ord_write_hash(&writer, genesis_hash);
    write_statement(&writer, statement);
    ord_write_u32(&writer, signer);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK && writer.size == sizeof(bytes));
    channel_tagged_hash(out, CHANNEL_TAG_STATEMENT, ord_writer_span(&writer));
}

bool channel_statement_equal(const struct channel_statement *a, const struct channel_statement *b) {
    return a->epoch == b->epoch && a->seq == b->seq && a->height == b->height &&
           ord_hash_equal(&a->header_hash, &b->header_hash) && ord_hash_equal(&a->state_digest, &b->state_digest);
}

enum ord_err channel_attest(struct channel_attestation *out, const struct ord_hash *genesis_hash,
                            const struct channel_statement *statement, ord_node_id self,
                            const struct ord_signer *signer) {
    struct ord_hash hash;
    channel_statement_hash(&hash, genesis_hash, statement, self);
    *out = (struct channel_attestation) {.statement = *statement, .signer = self};
    return signer->sign(signer->context, &out->signature, &hash);
}

void channel_attestation_encode(uint8_t out[CHANNEL_ATTESTATION_SIZE], const struct channel_attestation *attestation) {
    struct ord_writer writer = ord_writer_of(out, CHANNEL_ATTESTATION_SIZE);
    write_statement(&writer, &attestation->statement);
    ord_write_u32(&writer, attestation->signer);
    ord_write_signature(&writer, &attestation->signature);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK && writer.size == CHANNEL_ATTESTATION_SIZE);
}

enum ord_err channel_attestation_decode(struct channel_attestation *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    read_statement(&reader, &out->statement);
    out->signer = ord_read_u32(&reader);
    ord_read_signature(&reader, &out->signature);
    enum ord_err err = ord_reader_finish(&reader);
    return err == ORD_OK && out->signer >= ORD_REPLICA_MAX ? ORD_ERR_INVALID : err;
}

bool channel_attestation_verify(const struct channel_attestation *attestation, const struct ord_hash *genesis_hash,
                                const struct ord_crypto_ops *crypto) {
    struct ord_hash hash;
    channel_statement_hash(&hash, genesis_hash, &attestation->statement, attestation->signer);
    return crypto->verify(crypto->context, attestation->signer, &hash, &attestation->signature);
}

bool channel_certificate_equal(const struct channel_certificate *a, const struct channel_certificate *b) {
    return a->count == b->count && channel_statement_equal(&a->statement, &b->statement) &&
           memcmp(a->signers, b->signers, a->count * sizeof(a->signers[0])) == 0 &&
           memcmp(a->signatures, b->signatures, a->count * sizeof(a->signatures[0])) == 0;
}

size_t channel_certificate_encode(uint8_t *out, const struct channel_certificate *certificate) {
    ORD_ASSERT(certificate->count <= ORD_REPLICA_MAX);
    struct ord_writer writer = ord_writer_of(out, CHANNEL_CERTIFICATE_SIZE_MAX);
    ord_write_u8(&writer, CERTIFICATE_VERSION);
    write_statement(&writer, &certificate->statement);
    ord_write_u32(&writer, certificate->count);
    for (uint32_t i = 0; i < certificate->count; i++) {
        ord_write_u32(&writer, certificate->signers[i]);
        ord_write_signature(&writer, &certificate->signatures[i]);
    }
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    return writer.size;
}

/* True if the signers rise strictly. Then each content has one encoding, and no signer counts twice. */
static bool signers_rise(const struct channel_certificate *certificate) {
    for (uint32_t i = 1; i < certificate->count; i++)
        if (certificate->signers[i] <= certificate->signers[i - 1])
            return false;
    return true;
}

enum ord_err channel_certificate_decode(struct channel_certificate *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    memset(out, 0, sizeof(*out));
    uint8_t version = ord_read_u8(&reader);
    read_statement(&reader, &out->statement);
    uint32_t count = ord_read_u32(&reader);
    if (version != CERTIFICATE_VERSION || count == 0 || count > ORD_REPLICA_MAX)
        return ORD_ERR_INVALID;
    for (uint32_t i = 0; i < count; i++) {
        out->signers[i] = ord_read_u32(&reader);
        ord_read_signature(&reader, &out->signatures[i]);
    }
    out->count = count;
    enum ord_err err = ord_reader_finish(&reader);
    return err == ORD_OK && !signers_rise(out) ? ORD_ERR_INVALID : err;
}

enum ord_err channel_certificate_verify(const struct channel_certificate *certificate,
                                        const struct channel_config *config, const struct ord_hash *genesis_hash,
                                        const struct ord_crypto_ops *crypto, uint32_t quorum) {
    if (certificate->statement.epoch != config->epoch)
        return ORD_ERR_MISMATCH;
    uint32_t count = certificate->count;
    if (count == 0 || count < quorum || count > config->replica_count || count > ORD_REPLICA_MAX ||
        !signers_rise(certificate) || certificate->signers[count - 1] >= config->replica_count) {
        ORD_MARK(CERTIFICATE_TOO_FEW);
        return ORD_ERR_INVALID;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct ord_hash hash;
        channel_statement_hash(&hash, genesis_hash, &certificate->statement, certificate->signers[i]);
        if (!crypto->verify(crypto->context, certificate->signers[i], &hash, &certificate->signatures[i])) {
            ORD_MARK(CERTIFICATE_FORGED);
            return ORD_ERR_BAD_SIGNATURE;
        }
    }
    return ORD_OK;
}
