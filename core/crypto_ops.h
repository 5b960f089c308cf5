/*
 * What the pure rooms need of cryptography, as a table of functions: `crypto/` has the real one, a simulator may bring a
 * fast stand-in. `hash` and `verify` must be callable from any thread; `sign` is called by the owner of a core only.
 */
#ifndef ORDAIN_CORE_CRYPTO_OPS_H
#define ORDAIN_CORE_CRYPTO_OPS_H

#include "core/err.h"
#include "core/types.h"

struct ord_crypto_ops {
    void *context; /* given to verify; may be NULL when the table does not need it */
    /* SHA-256 of the parts put end to end. */
    void (*hash)(struct ord_hash *out, const struct ord_span *parts, size_t part_count);
    /* Is this `signer`'s signature (by its identity key in the channel's configuration) over `hash`? Strict: low s only. */
    bool (*verify)(const void *context, ord_node_id signer, const struct ord_hash *hash,
                   const struct ord_signature *signature);
};

/* Signs as this replica. Deterministic (RFC 6979): the same hash gives the same signature. */
struct ord_signer {
    void *context;
    enum ord_err (*sign)(void *context, struct ord_signature *out, const struct ord_hash *hash);
};

#endif
