/*
 * Evidence: two statements with one replica's signatures, of which an honest replica never signs both. A *piece* of
 * evidence holds their bytes and everything else that is needed to check them against the genesis block alone. Replicas
 * keep pieces, the public API gives them out, and a file of evidence is a sequence of them (docs/formats.md,
 * "Evidence"). The code is pure.
 */
#ifndef ORDAIN_EVIDENCE_EVIDENCE_H
#define ORDAIN_EVIDENCE_EVIDENCE_H

#include "bft/wire/proof.h"
#include "channel/attestation.h"
#include "channel/config.h"

/* The kind of statements in a piece. The numbers are stored: never reuse one. */
enum evidence_kind {
    /* Statements of the PBFT core, as bft_signed_encode writes them. */
    EVIDENCE_VOTES = 1,
    /* Attestations, as channel_attestation_encode writes them. */
    EVIDENCE_ATTESTATIONS = 2,
};

#define EVIDENCE_STATEMENT_SIZE_MAX BFT_SIGNED_VOTE_SIZE_MAX
#define EVIDENCE_OVERHEAD           (4 + 1 + ORD_HASH_SIZE + 8 + 1 + 4 + 4 + ORD_HASH_SIZE)
#define EVIDENCE_SIZE_MAX           (EVIDENCE_OVERHEAD + 2 * EVIDENCE_STATEMENT_SIZE_MAX)

struct evidence {
    struct ord_hash genesis_hash;
    uint64_t epoch;
    enum evidence_kind kind;
    /* The two statements, 1 .. EVIDENCE_STATEMENT_SIZE_MAX bytes each. Borrowed. */
    struct ord_span first;
    struct ord_span second;
};

/* Encodes a piece and returns its size. */
size_t evidence_encode(uint8_t out[EVIDENCE_SIZE_MAX], const struct evidence *evidence);
/*
 * Removes the next piece from `bytes` and decodes it. Does not check whether the piece proves
 * anything. On failure `bytes` is unchanged. INVALID: not a piece, or cut short. MISMATCH: an unknown
 * version or kind. CORRUPT: the seal does not match.
 */
ORD_MUST_USE enum ord_err evidence_take(struct evidence *out, struct ord_span *bytes);

/* The type of a statement. An honest replica makes at most one statement of a type about one place (view and seq). */
enum evidence_type {
    EVIDENCE_PRE_PREPARE = 1,
    EVIDENCE_PREPARE,
    EVIDENCE_VIEW_CHANGE,
    EVIDENCE_NEW_VIEW,
    EVIDENCE_ATTESTATION,
};

/* The type's name, such as "PRE-PREPARE". "?" for any other value. */
const char *evidence_type_name(enum evidence_type type);

struct evidence_place {
    enum evidence_type type;
    uint64_t view; /* 0 for attestations, which have none */
    uint64_t seq;  /* 0 for VIEW-CHANGE and NEW-VIEW, which have none */
};
bool evidence_place_equal(const struct evidence_place *a, const struct evidence_place *b);

/*
 * Reads the culprit and the place from a piece's first statement. Checks no signature. A caller uses this to decide
 * whether it wants a piece before it verifies it. MISMATCH and INVALID as in evidence_verify.
 */
ORD_MUST_USE enum ord_err evidence_about(ord_node_id *culprit, struct evidence_place *place,
                                         const struct evidence *evidence, const struct ord_core_config *config);

/* The lie that a piece proves. */
struct evidence_claim {
    ord_node_id culprit;
    uint64_t epoch;
    struct evidence_place place;
    struct {
        /* The digest of the batch, of the message or of the state. */
        struct ord_hash digest;
        /* Height and header hash of a block, for attestations only. */
        uint64_t height;
        struct ord_hash header_hash;
    } said[2];
};

/*
 * Checks that a piece proves that a replica of this configuration lied. On failure `why` (may be NULL) gets a static
 * sentence. MISMATCH: another network or epoch. INVALID: the statements are malformed, or an
 * honest replica may make both. BAD_SIGNATURE.
 */
ORD_MUST_USE enum ord_err evidence_verify(struct evidence_claim *out, const struct evidence *evidence,
                                          const struct channel_config *config, const struct ord_hash *genesis_hash,
                                          const struct ord_crypto_ops *crypto, const char **why);

#endif
