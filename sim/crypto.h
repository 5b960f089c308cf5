/*
 * Signatures of a run: stand-ins, or the real ones. A stand-in is a keyed hash over (signer, hash), and the core cannot
 * tell the difference. Making one takes the run's secret: the world signs for those whom it owns, and a liar can sign
 * for itself only.
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

/* `out` must not move. */
void sim_crypto_init(struct sim_crypto *out, uint64_t secret, bool real, uint32_t replica_count);
/* How many of the replicas' stand-in signatures were verified so far, in all runs of this process. */
uint64_t sim_crypto_verified(void);
struct ord_signer sim_crypto_signer(struct sim_crypto *crypto, ord_node_id id);
void sim_crypto_client_sign(const struct sim_crypto *crypto, struct ord_signature *out,
                            const struct sim_identity *identity, const struct ord_hash *hash);
/* `key` is the one that channel_judge gives. */
bool sim_crypto_client_verify(const struct sim_crypto *crypto, const struct crypto_verify_key *key,
                              const struct ord_hash *hash, const struct ord_signature *signature);

#endif
