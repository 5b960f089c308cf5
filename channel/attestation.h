/*
 * An attestation is one replica's signature over a channel's state, given once that state is durable. A certificate
 * holds several replicas' signatures over one statement. f + 1 of them prove a block to anyone who has the genesis
 * block; 2f + 1 make a checkpoint stable. Because headers are chained, one certificate covers every earlier block.
 */
#ifndef ORDAIN_CHANNEL_ATTESTATION_H
#define ORDAIN_CHANNEL_ATTESTATION_H

#include "channel/block.h"

#define CHANNEL_STATEMENT_SIZE       (8 + 8 + 8 + 32 + 32)
#define CHANNEL_ATTESTATION_SIZE     (CHANNEL_STATEMENT_SIZE + 4 + ORD_SIGNATURE_SIZE)
#define CHANNEL_CERTIFICATE_SIZE(n)  (1 + CHANNEL_STATEMENT_SIZE + 4 + (size_t) (n) * (4 + ORD_SIGNATURE_SIZE))
#define CHANNEL_CERTIFICATE_SIZE_MAX CHANNEL_CERTIFICATE_SIZE(ORD_REPLICA_MAX)

/* The statement that replicas attest. It is encoded with fixed-width fields in this order. */
struct channel_statement {
    uint64_t epoch;
    uint64_t seq;
    uint64_t height; /* the newest closed block at seq */
    struct ord_hash header_hash;
    struct ord_hash state_digest;
};

struct channel_attestation {
    struct channel_statement statement;
    ord_node_id signer;
    struct ord_signature signature;
};

/* The signatures are sorted by signer, and each signer occurs once. */
struct channel_certificate {
    struct channel_statement statement;
    uint32_t count;
    ord_node_id signers[ORD_REPLICA_MAX];
    struct ord_signature signatures[ORD_REPLICA_MAX];
};

/* The hash that `signer` signs. It covers tag, genesis hash, statement and signer. */
void channel_statement_hash(struct ord_hash *out, const struct ord_hash *genesis_hash,
                            const struct channel_statement *statement, ord_node_id signer);
bool channel_statement_equal(const struct channel_statement *a, const struct channel_statement *b);
ORD_MUST_USE enum ord_err channel_attest(struct channel_attestation *out, const struct ord_hash *genesis_hash,
                                         const struct channel_statement *statement, ord_node_id self,
                                         const struct ord_signer *signer);
void channel_attestation_encode(uint8_t out[CHANNEL_ATTESTATION_SIZE], const struct channel_attestation *attestation);
ORD_MUST_USE enum ord_err channel_attestation_decode(struct channel_attestation *out, struct ord_span bytes);
bool channel_attestation_verify(const struct channel_attestation *attestation, const struct ord_hash *genesis_hash,
                                const struct ord_crypto_ops *crypto);

/* True if both have the same statement and the same signatures. */
bool channel_certificate_equal(const struct channel_certificate *a, const struct channel_certificate *b);
/* `out` must have CHANNEL_CERTIFICATE_SIZE_MAX bytes. Returns the encoded size. */
size_t channel_certificate_encode(uint8_t *out, const struct channel_certificate *certificate);
/* INVALID: malformed, without signers, or with signers that do not rise strictly. */
ORD_MUST_USE enum ord_err channel_certificate_decode(struct channel_certificate *out, struct ord_span bytes);
/*
 * Checks that at least `quorum` distinct replicas of this configuration signed the certificate. Every signature in it
 * must verify: a certificate with one bad signature is refused even if the others suffice. MISMATCH: another epoch.
 * INVALID: too few or unknown signers. BAD_SIGNATURE.
 */
ORD_MUST_USE enum ord_err channel_certificate_verify(const struct channel_certificate *certificate,
                                                     const struct channel_config *config,
                                                     const struct ord_hash *genesis_hash,
                                                     const struct ord_crypto_ops *crypto, uint32_t quorum);

/*
 * Collects verified attestations until enough of them match. Its memory is bounded: for each signer it keeps the
 * CHANNEL_COLLECTOR_DEPTH attestations with the highest seqs.
 */
#define CHANNEL_COLLECTOR_DEPTH 64

/* Lives in the caller's memory of channel_collector_size bytes. */
struct channel_collector;
size_t channel_collector_size(uint32_t replica_count);
void channel_collector_init(struct channel_collector **out, void *memory, uint32_t replica_count);
/*
 * Adds an attestation whose signature the caller has verified.
 * ORD_OK: its statement now has at least `quorum` signers, and `certificate` holds all of them. NOT_FOUND: there are
 * not enough signers yet, or this signer's kept attestations are all newer. INVALID: there is no such signer.
 * DUPLICATE: this signer's attestation is known already. MISMATCH: this signer attested another state at the same seq.
 * The first one stays; together with it (channel_collector_find) the new one is evidence.
 */
ORD_MUST_USE enum ord_err channel_collector_add(struct channel_collector *collector,
                                                struct channel_certificate *certificate,
                                                const struct channel_attestation *attestation, uint32_t quorum);
/* Finds the kept attestation of `signer` at `seq`. False: there is none. */
bool channel_collector_find(const struct channel_collector *collector, struct channel_attestation *out,
                            ord_node_id signer, uint64_t seq);
/* Drops the attestations with seq <= `seq`. */
void channel_collector_prune(struct channel_collector *collector, uint64_t seq);

#endif
