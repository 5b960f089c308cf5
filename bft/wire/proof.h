/*
 * Proofs that convince a third party: a vote out of a list with its path to the signed root, a prepared certificate,
 * and the pair of contradicting statements in an EVIDENCE effect. All of them are checked with the channel's
 * configuration alone.
 */
#ifndef ORDAIN_BFT_PROOF_H
#define ORDAIN_BFT_PROOF_H

#include "bft/wire/message.h"
#include "core/merkle.h"

/*
 * A proof that a statement stood in a list that its sender signed. A statement that is signed alone counts as a list of
 * one.
 */
struct bft_proof {
    uint8_t index; /* < count */
    uint8_t count; /* 1 .. BFT_LIST_MAX */
    uint8_t path_count;
    struct ord_hash path[BFT_PATH_MAX]; /* nearest sibling first */
    struct ord_signature signature;     /* over bft_root_hash of the root */
};

#define BFT_PROOF_SIZE_MAX          (3 + BFT_PATH_MAX * ORD_HASH_SIZE + ORD_SIGNATURE_SIZE)
#define BFT_SIGNED_VOTE_SIZE_MAX    (BFT_HEADER_SIZE + 8 + ORD_HASH_SIZE + BFT_PROOF_SIZE_MAX)
#define BFT_CERTIFICATE_SIZE_MAX(q) (BFT_SIGNED_VOTE_SIZE_MAX + 1 + ((size_t) (q) -1) * (4 + BFT_PROOF_SIZE_MAX))

/*
 * For each sender, the last signature that verified. The proofs of one list share one signature. A cache of zeros is
 * empty.
 */
struct bft_verify_cache {
    ord_replica_set known;
    struct ord_hash hashes[ORD_REPLICA_MAX];
    struct ord_signature signatures[ORD_REPLICA_MAX];
};

/* The whole Merkle tree of one list (core/merkle.h), so that the paths of all its votes cost one tree. */
struct bft_vote_tree {
    uint32_t count; /* of leaves */
    struct ord_hash hashes[ORD_MERKLE_TREE_SIZE(BFT_LIST_MAX)];
    struct ord_hash root;
};

/* Builds the tree over the statements of a list. */
void bft_vote_tree_build(struct bft_vote_tree *tree, const struct ord_core_config *config,
                         const struct bft_vote_list *list);
/* The hash that the list's signature covers. */
void bft_vote_tree_signed_hash(struct ord_hash *out, const struct bft_vote_tree *tree,
                               const struct ord_core_config *config);
/* Whether the signature of the list is its sender's. */
bool bft_vote_list_verify(const struct ord_core_config *config, const struct bft_vote_list *list);
/* The proof of vote `index`. */
void bft_vote_tree_proof(struct bft_proof *out, const struct bft_vote_tree *tree, uint32_t index,
                         const struct ord_signature *signature);
/* The proof of a statement that was signed alone. */
struct bft_proof bft_proof_alone(const struct ord_signature *signature);
/* Whether the proof shows that the statement's sender signed the statement. `cache` may be NULL. */
bool bft_proof_verify(const struct bft_proof *proof, const struct ord_core_config *config,
                      const struct bft_statement *statement, struct bft_verify_cache *cache);

/* A statement that stands alone: header | seq u64 | digest | index u8 | count u8 | path_count u8 | path | signature. */
size_t bft_signed_encode(uint8_t out[BFT_SIGNED_VOTE_SIZE_MAX], const struct ord_core_config *config,
                         const struct bft_statement *statement, const struct bft_proof *proof);
/* INVALID: malformed, or no such replica. MISMATCH: another network or epoch. The signature is not checked. */
ORD_MUST_USE enum ord_err bft_signed_decode(struct bft_statement *out, struct bft_proof *proof,
                                            const struct ord_core_config *config, struct ord_span bytes);
/*
 * Checks a statement that stands alone. INVALID: malformed, or no such replica. MISMATCH: another network or epoch.
 * BAD_SIGNATURE: the proof does not verify.
 */
ORD_MUST_USE enum ord_err bft_signed_verify(struct bft_statement *out, const struct ord_core_config *config,
                                            struct ord_span bytes);
/*
 * Checks whether the two statements prove that `culprit` lied: they have the same type, view and seq but different
 * digests, and it signed both. INVALID: they do not. Other errors: as for bft_signed_verify.
 */
ORD_MUST_USE enum ord_err bft_evidence_verify(ord_node_id *culprit, const struct ord_core_config *config,
                                              struct ord_span first, struct ord_span second);

/*
 * A WITNESS: header | a PRE-PREPARE statement that stands alone. An EVIDENCE: header | length of the first statement
 * u32 | the first statement | the second. bft_behind_header and bft_evidence_split only find the statements;
 * bft_signed_verify and bft_evidence_verify check them.
 */
#define BFT_WITNESS_SIZE_MAX  (BFT_HEADER_SIZE + BFT_SIGNED_VOTE_SIZE_MAX)
#define BFT_EVIDENCE_SIZE_MAX (BFT_HEADER_SIZE + 4 + 2 * BFT_SIGNED_VOTE_SIZE_MAX)
ORD_MUST_USE enum ord_err bft_evidence_split(struct ord_span message, struct ord_span *first, struct ord_span *second);

/*
 * A prepared certificate: header with type BFT_CERTIFICATE and the primary as sender | seq u64 | digest | proof of the
 * primary's PRE-PREPARE statement | vote count u8 | per vote: sender u32, proof of its PREPARE statement. It has
 * exactly quorum - 1 votes, by distinct backups in rising order. A proof: index u8, count u8, path_count u8, path,
 * signature.
 */
struct bft_certificate_vote {
    ord_node_id sender;
    const struct bft_proof *proof;
};
size_t bft_certificate_encode(uint8_t *out, size_t capacity, const struct ord_core_config *config,
                              const struct bft_statement *pre_prepare, const struct bft_proof *proof,
                              const struct bft_certificate_vote *votes, uint32_t vote_count);
/*
 * Returns the pre-prepare that the certificate certifies. Does not check signatures, so it serves for records of the
 * own disk. INVALID: malformed. MISMATCH: another network or epoch.
 */
ORD_MUST_USE enum ord_err bft_certificate_decode(struct bft_statement *out, const struct ord_core_config *config,
                                                 struct ord_span bytes);
/*
 * Like bft_certificate_decode, and also checks every signature, so it serves for what others send. BAD_SIGNATURE: one
 * of them does not verify. `cache` may be NULL.
 */
ORD_MUST_USE enum ord_err bft_certificate_verify(struct bft_statement *out, const struct ord_core_config *config,
                                                 struct ord_span bytes, struct bft_verify_cache *cache);
/*
 * Returns the statement of `signer` in a certificate that was decoded: its PRE-PREPARE or its PREPARE. False: the
 * certificate has no statement of it.
 */
bool bft_certificate_statement(struct bft_statement *out, struct bft_proof *proof, const struct ord_core_config *config,
                               struct ord_span bytes, ord_node_id signer);
/* The size of the certificate at the beginning of `bytes`; 0: there is none. */
size_t bft_certificate_size(const struct ord_core_config *config, struct ord_span bytes);

#endif
