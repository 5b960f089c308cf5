/*
 * Attestations: one replica's signature over a channel's state after a block is durable; and certificates: enough of them
 * over one statement. f + 1 prove a block to anyone who has the genesis block; 2f + 1 make a checkpoint stable. Because
 * headers are chained, one certificate covers every earlier block.
 */
#ifndef ORDAIN_CHANNEL_ATTESTATION_H
#define ORDAIN_CHANNEL_ATTESTATION_H

#include "channel/block.h"

#define CHANNEL_STATEMENT_SIZE       (8 + 8 + 8 + 32 + 32)
#define CHANNEL_ATTESTATION_SIZE     (CHANNEL_STATEMENT_SIZE + 4 + ORD_SIGNATURE_SIZE)
#define CHANNEL_CERTIFICATE_SIZE(n)  (1 + CHANNEL_STATEMENT_SIZE + 4 + (size_t) (n) * (4 + ORD_SIGNATURE_SIZE))
#define CHANNEL_CERTIFICATE_SIZE_MAX CHANNEL_CERTIFICATE_SIZE(ORD_REPLICA_MAX)

/* What is attested: fixed-width, in this order. */
struct channel_statement {
    uint64_t epoch;
    uint64_t seq;
    uint64_t height; /* of the newest closed block at seq */
    struct ord_hash header_hash;
    struct ord_hash state_digest;
};

struct channel_attestation {
    struct channel_statement statement;
    ord_node_id signer;
    struct ord_signature signature;
};

/* Signatures sorted by signer, each signer once. */
struct channel_certificate {
    struct channel_statement statement;
    uint32_t count;
    ord_node_id signers[ORD_REPLICA_MAX];
    struct ord_signature signatures[ORD_REPLICA_MAX];
};

/* Hash that `signer` signs: tag, genesis hash, statement, signer. */
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

/* out has CHANNEL_CERTIFICATE_SIZE_MAX bytes; gives the size. */
size_t channel_certificate_encode(uint8_t *out, const struct channel_certificate *certificate);
/* INVALID: malformed, signers not strictly rising, or none. */
ORD_MUST_USE enum ord_err channel_certificate_decode(struct channel_certificate *out, struct ord_span bytes);
/*
 * Do at least `quorum` distinct replicas of this configuration vouch for it? Every signature in it must verify (a certificate
 * with a bad one is refused, not repaired). MISMATCH: epoch. INVALID: too few or unknown signers. BAD_SIGNATURE.
 */
ORD_MUST_USE enum ord_err channel_certificate_verify(const struct channel_certificate *certificate,
                                                     const struct channel_config *config,
                                                     const struct ord_hash *genesis_hash,
                                                     const struct ord_crypto_ops *crypto, uint32_t quorum);

/*
 * Collects verified attestations until enough match. Bounded: per signer the CHANNEL_COLLECTOR_DEPTH newest by seq.
 */
#define CHANNEL_COLLECTOR_DEPTH 64

struct channel_collector; /* in the caller's memory */
size_t channel_collector_size(uint32_t replica_count);
void channel_collector_init(struct channel_collector **out, void *memory, uint32_t replica_count);
/*
 * Adds one whose signature was verified. When it brings its statement to at least `quorum` signers, `certificate` gets all
 * of them and the result is ORD_OK; NOT_FOUND: not enough yet, or older than all that are kept of this signer. INVALID: no
 * such signer. DUPLICATE: this signer said that already. MISMATCH: this
 * signer attested another state at the same seq (evidence, with channel_collector_find; the first stays).
 */
ORD_MUST_USE enum ord_err channel_collector_add(struct channel_collector *collector,
                                                struct channel_certificate *certificate,
                                                const struct channel_attestation *attestation, uint32_t quorum);
/* What `signer` attested at `seq`, as kept. False: nothing that is kept. */
bool channel_collector_find(const struct channel_collector *collector, struct channel_attestation *out,
                            ord_node_id signer, uint64_t seq);
/* Drops what has seq <= `seq`. */
void channel_collector_prune(struct channel_collector *collector, uint64_t seq);

#endif
