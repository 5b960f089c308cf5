/*
 * Pieces of evidence: their encoding, and the check against a configuration. Castro and Liskov only
 * detect lies. The idea that a pair of signed statements convicts its signer before a third party is
 * PeerReview's (Haeberlen and others, SOSP'07).
 */
#include "evidence/evidence.h"

#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "crypto/hash.h"

#define MAGIC   0x4f524445u /* "ORDE" */
#define VERSION 1
#define TAG     "ordain/evidence/v1"

/*
 * Computes a piece's seal, a hash that makes every changed bit show. The statements' signatures do not cover every bit:
 * a proof's index and count, for example, may change and the proof still holds.
 */
static void seal_of(struct ord_hash *out, struct ord_span bytes) {
    const struct ord_span parts[] = {ord_span_of(TAG, sizeof(TAG)), bytes};
    crypto_sha256(out, parts, 2);
}

size_t evidence_encode(uint8_t out[EVIDENCE_SIZE_MAX], const struct evidence *evidence) {
    struct ord_writer writer = ord_writer_of(out, EVIDENCE_SIZE_MAX);
    struct ord_hash seal;
    ord_write_u32(&writer, MAGIC);
    ord_write_u8(&writer, VERSION);
    ord_write_hash(&writer, &evidence->genesis_hash);
    ord_write_u64(&writer, evidence->epoch);
    ord_write_u8(&writer, (uint8_t) evidence->kind);
    ord_write_string(&writer, evidence->first);
    ord_write_string(&writer, evidence->second);
    seal_of(&seal, ord_writer_span(&writer));
    ord_write_hash(&writer, &seal);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    return writer.size;
}

enum ord_err evidence_take(struct evidence *out, struct ord_span *bytes) {
    struct ord_reader reader = ord_reader_of(*bytes);
    struct ord_hash seal;
    struct ord_hash expected;
    uint32_t magic = ord_read_u32(&reader);
    uint8_t version = ord_read_u8(&reader);
    if (reader.failed || magic != MAGIC)
        return ORD_ERR_INVALID;
    if (version != VERSION)
        return ORD_ERR_MISMATCH;
    ord_read_hash(&reader, &out->genesis_hash);
    out->epoch = ord_read_u64(&reader);
    uint8_t kind = ord_read_u8(&reader);
    out->first = ord_read_string(&reader, EVIDENCE_STATEMENT_SIZE_MAX);
    out->second = ord_read_string(&reader, EVIDENCE_STATEMENT_SIZE_MAX);
    size_t sealed = reader.position;
    ord_read_hash(&reader, &seal);
    if (reader.failed || out->first.size == 0 || out->second.size == 0)
        return ORD_ERR_INVALID;
    seal_of(&expected, ord_span_of(bytes->data, sealed));
    if (!ord_hash_equal(&seal, &expected))
        return ORD_ERR_CORRUPT;
    if (kind != EVIDENCE_VOTES && kind != EVIDENCE_ATTESTATIONS)
        return ORD_ERR_MISMATCH;
    out->kind = (enum evidence_kind) kind;
    *bytes = ord_span_of(bytes->data + reader.position, bytes->size - reader.position);
    return ORD_OK;
}

const char *evidence_type_name(enum evidence_type type) {
    switch (type) {
    case EVIDENCE_PRE_PREPARE:
        return "PRE-PREPARE";
    case EVIDENCE_PREPARE:
        return "PREPARE";
    case EVIDENCE_VIEW_CHANGE:
        return "VIEW-CHANGE";
    case EVIDENCE_NEW_VIEW:
        return "NEW-VIEW";
    case EVIDENCE_ATTESTATION:
        return "ATTESTATION";
    }
    return "?";
}

bool evidence_place_equal(const struct evidence_place *a, const struct evidence_place *b) {
    return a->type == b->type && a->view == b->view && a->seq == b->seq;
}

static const enum evidence_type vote_types[] = {
    [BFT_PRE_PREPARE] = EVIDENCE_PRE_PREPARE,
    [BFT_PREPARE] = EVIDENCE_PREPARE,
    [BFT_VIEW_CHANGE] = EVIDENCE_VIEW_CHANGE,
    [BFT_NEW_VIEW] = EVIDENCE_NEW_VIEW,
};

static bool vote_type(enum evidence_type *out, enum bft_type type) {
    if ((size_t) type >= sizeof(vote_types) / sizeof(vote_types[0]) || vote_types[type] == 0)
        return false;
    *out = vote_types[type];
    return true;
}

enum ord_err evidence_about(ord_node_id *culprit, struct evidence_place *place, const struct evidence *evidence,
                            const struct ord_core_config *config) {
    if (evidence->kind == EVIDENCE_ATTESTATIONS) {
        struct channel_attestation attestation;
        if (channel_attestation_decode(&attestation, evidence->first) != ORD_OK)
            return ORD_ERR_INVALID;
        *culprit = attestation.signer;
        *place = (struct evidence_place) {EVIDENCE_ATTESTATION, 0, attestation.statement.seq};
    } else {
        struct ord_reader reader = ord_reader_of(evidence->first);
        struct bft_header header;
        enum ord_err err = bft_header_read(&header, &reader, config);
        if (err != ORD_OK)
            return err;
        *culprit = header.sender;
        *place = (struct evidence_place) {.view = header.view, .seq = ord_read_u64(&reader)};
        if (reader.failed || !vote_type(&place->type, header.type))
            return ORD_ERR_INVALID;
    }
    return *culprit < config->replica_count ? ORD_OK : ORD_ERR_INVALID;
}

/* Applies the core's rule, bft_evidence_verify. Then reads the statements once more to fill in the claim. */
static enum ord_err verify_votes(struct evidence_claim *out, const struct evidence *evidence,
                                 const struct ord_core_config *config) {
    enum ord_err err = bft_evidence_verify(&out->culprit, config, evidence->first, evidence->second);
    for (int i = 0; err == ORD_OK && i < 2; i++) {
        struct bft_statement statement;
        err = bft_signed_verify(&statement, config, i == 0 ? evidence->first : evidence->second);
        if (err != ORD_OK)
            break;
        out->place = (struct evidence_place) {.view = statement.view, .seq = statement.seq};
        if (!vote_type(&out->place.type, statement.type))
            return ORD_ERR_INVALID;
        out->said[i].digest = statement.digest;
    }
    return err;
}

static enum ord_err verify_attestations(struct evidence_claim *out, const struct evidence *evidence,
                                        const struct ord_core_config *config) {
    struct channel_attestation said[2];
    enum ord_err err = channel_attestation_decode(&said[0], evidence->first);
    if (err == ORD_OK)
        err = channel_attestation_decode(&said[1], evidence->second);
    if (err != ORD_OK)
        return ORD_ERR_INVALID;
    if (said[0].signer >= config->replica_count || said[0].signer != said[1].signer ||
        said[0].statement.seq != said[1].statement.seq ||
        channel_statement_equal(&said[0].statement, &said[1].statement))
        return ORD_ERR_INVALID;
    out->culprit = said[0].signer;
    out->place = (struct evidence_place) {EVIDENCE_ATTESTATION, 0, said[0].statement.seq};
    for (int i = 0; i < 2; i++) {
        /* Two epochs may use the same seq, so both statements must be of this epoch. */
        if (said[i].statement.epoch != config->epoch)
            return ORD_ERR_MISMATCH;
        if (!channel_attestation_verify(&said[i], &config->genesis_hash, config->crypto))
            return ORD_ERR_BAD_SIGNATURE;
        out->said[i].digest = said[i].statement.state_digest;
        out->said[i].height = said[i].statement.height;
        out->said[i].header_hash = said[i].statement.header_hash;
    }
    return ORD_OK;
}

enum ord_err evidence_verify(struct evidence_claim *out, const struct evidence *evidence,
                             const struct channel_config *config, const struct ord_hash *genesis_hash,
                             const struct ord_crypto_ops *crypto, const char **why) {
    const char *ignored;
    struct ord_core_config core;
    enum ord_err err;
    why = why == NULL ? &ignored : why;
    memset(out, 0, sizeof(*out));
    out->epoch = evidence->epoch;
    if (!ord_hash_equal(&evidence->genesis_hash, genesis_hash)) {
        *why = "it is about another network than this genesis block's";
        return ORD_ERR_MISMATCH;
    }
    if (evidence->epoch != config->epoch) {
        *why = "it is of another epoch than this configuration's";
        return ORD_ERR_MISMATCH;
    }
    channel_core_config(&core, config, genesis_hash, 0, crypto);
    if (evidence->kind == EVIDENCE_VOTES)
        err = config->consensus == CHANNEL_PBFT ? verify_votes(out, evidence, &core) : ORD_ERR_INVALID;
    else
        err = verify_attestations(out, evidence, &core);
    if (err == ORD_ERR_BAD_SIGNATURE)
        *why = "a signature does not verify";
    else if (err == ORD_ERR_MISMATCH)
        *why = "a statement is of another network or epoch";
    else if (err != ORD_OK)
        *why = "these are not two statements that contradict each other";
    return err;
}
