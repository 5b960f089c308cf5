/*
 * Fixed identities, so that a run does not depend on when and where certificates were made: two member organisations, clients of
 * theirs, and two whom no channel admits. The keys are known to everybody who reads this and serve simulations only.
 */
#ifndef ORDAIN_SIM_IDENTITIES_H
#define ORDAIN_SIM_IDENTITIES_H

#include "crypto/x509.h"

#define SIM_ORGS    2
#define SIM_CLIENTS 8 /* members; two strangers follow them: of a foreign organisation, and with a replica's role */
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

/* Decoded at the first call. Always the same. */
const struct sim_identities *sim_identities_get(void);

#endif
