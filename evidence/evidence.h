/*
 * Evidence: two statements signed by one replica that no honest replica makes both of. A *piece* is their bytes with all that
 * is needed to check them against the genesis block alone; it is what a replica keeps, what the public API gives out, and
 * what a file of evidence is a sequence of (docs/formats.md, "Evidence"). Pure.
 */
#ifndef ORDAIN_EVIDENCE_EVIDENCE_H
#define ORDAIN_EVIDENCE_EVIDENCE_H

#include "bft/wire/proof.h"
#include "channel/attestation.h"
#include "channel/config.h"

/* Which statements a piece holds. Numbers are stored: never reuse one. */
enum evidence_kind {
    EVIDENCE_VOTES = 1,        /* of the PBFT core, as bft_signed_encode writes them */
    EVIDENCE_ATTESTATIONS = 2, /* as channel_attestation_encode writes them */
};

#define EVIDENCE_STATEMENT_SIZE_MAX BFT_SIGNED_VOTE_SIZE_MAX
#define EVIDENCE_OVERHEAD           (4 + 1 + ORD_HASH_SIZE + 8 + 1 + 4 + 4 + ORD_HASH_SIZE)
#define EVIDENCE_SIZE_MAX           (EVIDENCE_OVERHEAD + 2 * EVIDENCE_STATEMENT_SIZE_MAX)

struct evidence {
    struct ord_hash genesis_hash;
    uint64_t epoch;
    enum evidence_kind kind;
    struct ord_span first; /* 1 .. EVIDENCE_STATEMENT_SIZE_MAX bytes each; borrowed */
    struct ord_span second;
};

/* `out` has EVIDENCE_SIZE_MAX bytes; gives the size. */
size_t evidence_encode(uint8_t out[EVIDENCE_SIZE_MAX], const struct evidence *evidence);
/*
 * Takes the next piece off `bytes`. INVALID: no piece, or cut short. MISMATCH: a version or kind that is not known.
 * CORRUPT: its hash does not match. Whether it proves anything is not checked. On failure `bytes` stays.
 */
ORD_MUST_USE enum ord_err evidence_take(struct evidence *out, struct ord_span *bytes);

/* Statements of one type about one place: an honest replica makes at most one. */
enum evidence_type {
    EVIDENCE_PRE_PREPARE = 1,
    EVIDENCE_PREPARE,
    EVIDENCE_VIEW_CHANGE,
    EVIDENCE_NEW_VIEW,
    EVIDENCE_ATTESTATION,
};

/* "PRE-PREPARE" and so on; "?" otherwise. */
const char *evidence_type_name(enum evidence_type type);

struct evidence_place {
    enum evidence_type type;
    uint64_t view; /* 0: attestations have none */
    uint64_t seq;  /* 0: VIEW-CHANGE and NEW-VIEW have none */
};
bool evidence_place_equal(const struct evidence_place *a, const struct evidence_place *b);

/*
 * What a piece is about, by its first statement and without any check of signatures: to ask whether one is wanted before it is
 * verified. MISMATCH, INVALID as evidence_verify.
 */
ORD_MUST_USE enum ord_err evidence_about(ord_node_id *culprit, struct evidence_place *place,
                                         const struct evidence *evidence, const struct ord_core_config *config);

/* What a piece proves. */
struct evidence_claim {
    ord_node_id culprit;
    uint64_t epoch;
    struct evidence_place place;
    struct {
        struct ord_hash digest;      /* of the batch, the message or the state */
        uint64_t height;             /* attestations only, as is the next */
        struct ord_hash header_hash; /* of the block at `height` */
    } said[2];
};

/*
 * Does it prove that a replica of this configuration lied? MISMATCH: another network or epoch. INVALID: malformed statements, or
 * such as an honest replica makes. BAD_SIGNATURE. `why` (may be NULL) gets a static sentence when it does not.
 */
ORD_MUST_USE enum ord_err evidence_verify(struct evidence_claim *out, const struct evidence *evidence,
                                          const struct channel_config *config, const struct ord_hash *genesis_hash,
                                          const struct ord_crypto_ops *crypto, const char **why);

#endif
