/*
 * The cryptography that the pure rooms need, as a table of functions. `crypto/` has the real implementation; a
 * simulator may bring a fast stand-in. `hash` and `verify` must be callable from any thread. Only the owner of a core
 * calls `sign`.
 */
#ifndef ORDAIN_CORE_CRYPTO_OPS_H
#define ORDAIN_CORE_CRYPTO_OPS_H

#include "core/err.h"
#include "core/types.h"

struct ord_crypto_ops {
    /* Passed to `verify`. May be NULL when this implementation does not need it. */
    void *context;
    /* SHA-256 of the parts, concatenated. */
    void (*hash)(struct ord_hash *out, const struct ord_span *parts, size_t part_count);
    /* True if this is `signer`'s signature over `hash`, by its identity key in the channel's configuration. Strict:
     * only low s is accepted. */
    bool (*verify)(const void *context, ord_node_id signer, const struct ord_hash *hash,
                   const struct ord_signature *signature);
};

/* Signs as this replica. Signing is deterministic (RFC 6979): the same hash gives the same signature. */
struct ord_signer {
    void *context;
    enum ord_err (*sign)(void *context, struct ord_signature *out, const struct ord_hash *hash);
};

#endif
