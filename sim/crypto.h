/*
 * Signatures of a run: stand-ins that only who holds the run's secret can make (the world signs for whom it owns, a liar only
 * for itself), or the real ones. A stand-in is a keyed hash over (signer, hash); the core cannot tell.
 */
#ifndef ORDAIN_SIM_CRYPTO_H
#define ORDAIN_SIM_CRYPTO_H

#include "core/crypto_ops.h"
#include "sim/identities.h"

struct sim_crypto;

struct sim_key {
    const struct sim_crypto *crypto;
    ord_node_id id;
};

struct sim_crypto {
    bool real;
    uint64_t secret;
    struct ord_crypto_ops ops; /* what replicas get */
    struct crypto_replica_keys keys;
    struct sim_key signers[ORD_REPLICA_MAX];
};

/* `out` must stay where it is. */
void sim_crypto_init(struct sim_crypto *out, uint64_t secret, bool real, uint32_t replica_count);
struct ord_signer sim_crypto_signer(struct sim_crypto *crypto, ord_node_id id);
void sim_crypto_client_sign(const struct sim_crypto *crypto, struct ord_signature *out,
                            const struct sim_identity *identity, const struct ord_hash *hash);
/* `key` as channel_judge gives it. */
bool sim_crypto_client_verify(const struct sim_crypto *crypto, const struct crypto_verify_key *key,
                              const struct ord_hash *hash, const struct ord_signature *signature);

#endif
