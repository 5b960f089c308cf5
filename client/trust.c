/*
 * The genesis block as the root of all checks.
 */
#include "client/trust.h"

#include <stdlib.h>

#include "client/flow/text.h"
#include "client/wire.h"
#include "crypto/hash.h"

enum ord_err client_trust_init(struct client_trust *out, struct ord_span file) {
    enum ord_err err =
        channel_genesis_open(&out->config, &out->genesis_hash, &out->genesis_header, &out->genesis_data, file);
    if (err == ORD_OK)
        err = channel_replica_keys(&out->keys, &out->config);
    if (err != ORD_OK)
        return err;
    crypto_ops_init(&out->crypto, &out->keys);
    out->quorum = channel_weak_quorum(&out->config);
    return ORD_OK;
}

enum ordain_error client_trust_create(struct client_trust **out, struct ordain_bytes genesis, char *why,
                                      size_t why_size) {
    enum ord_err err = crypto_init();
    *out = calloc(1, sizeof(**out));
    if (*out == NULL || err != ORD_OK)
        return *out == NULL ? ORDAIN_NO_MEMORY : client_error(err);
    err = client_trust_init(*out, ord_span_of(genesis.data, genesis.size));
    if (err != ORD_OK)
        client_say(why, why_size, "not a genesis block: %s", ord_err_text(err));
    return err == ORD_OK ? ORDAIN_OK : ORDAIN_INVALID;
}
