/*
 * Fixed identities, so that a run does not depend on when and where certificates were made. There are two member
 * organisations, their clients, and two parties that no channel admits. Everybody who reads this knows the keys, so
 * they serve simulations only.
 */
#ifndef ORDAIN_SIM_IDENTITIES_H
#define ORDAIN_SIM_IDENTITIES_H

#include "crypto/x509.h"

#define SIM_ORGS 2
/* Members. Two strangers follow them: one of a foreign organisation, and one with a replica's role. */
#define SIM_CLIENTS 8
#define SIM_PARTIES (SIM_CLIENTS + 2)

struct sim_identity {
    struct crypto_private_key key;
    struct crypto_verify_key verify_key;
    struct ord_hash fingerprint;
    uint8_t cert[CRYPTO_CERT_DER_MAX];
    size_t cert_size;
};

struct sim_identities {
    uint8_t ca[SIM_ORGS][CRYPTO_CERT_DER_MAX];
    size_t ca_size[SIM_ORGS];
    struct sim_identity parties[SIM_PARTIES];
    struct crypto_private_key replica_keys[ORD_REPLICA_MAX];
    struct ord_public_key replica_public[ORD_REPLICA_MAX];
};

/* The identities are decoded at the first call, and are always the same. */
const struct sim_identities *sim_identities_get(void);

#endif
