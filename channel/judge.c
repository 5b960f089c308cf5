/*
 * Decides whether an envelope may be in a batch. Admission, backups and execution share these rules. They read no clock
 * and do not check the envelope's signature, which the caller checks once.
 */
#include <string.h>

#include "channel/marks.h"
#include "channel/state.h"
#include "channel/state_internal.h"
#include "crypto/x509.h"

static const struct channel_org *org_by_name(const struct channel_config *config, const char *name,
                                             uint32_t *org_index) {
    for (uint32_t i = 0; i < config->org_count; i++) {
        if (strcmp(config->orgs[i].name, name) == 0) {
            *org_index = i;
            return &config->orgs[i];
        }
    }
    return NULL;
}

/*
 * Every fault of a certificate becomes FORBIDDEN. NO_MEMORY stays, because it
 * concerns this machine and not the certificate.
 */
static enum ord_err certificate_fault(enum ord_err err) {
    return err == ORD_OK || err == ORD_ERR_NO_MEMORY ? err : ORD_ERR_FORBIDDEN;
}

static enum ord_err registration(const struct channel_config *config, struct crypto_identity *identity,
                                 uint32_t *org_index, const struct channel_envelope *envelope) {
    if (envelope->kind != CHANNEL_ENVELOPE_REGISTER)
        return ORD_ERR_INVALID;
    struct ord_span transactions = envelope->transactions;
    struct ord_span certificate;
    if (channel_envelope_next(&certificate, &transactions) != ORD_OK || certificate.size > CRYPTO_CERT_DER_MAX)
        return ORD_ERR_INVALID;
    struct ord_hash fingerprint;
    crypto_cert_fingerprint(&fingerprint, certificate);
    if (!ord_hash_equal(&fingerprint, &envelope->client)) {
        ORD_MARK(REGISTRATION_OF_ANOTHER);
        return ORD_ERR_INVALID;
    }
    enum ord_err err = certificate_fault(crypto_identity_parse(identity, certificate));
    if (err != ORD_OK)
        return err;
    const struct channel_org *org = org_by_name(config, identity->organisation, org_index);
    if (org == NULL)
        return ORD_ERR_FORBIDDEN;
    err = certificate_fault(crypto_identity_verify(identity, certificate, ord_span_of(org->ca_der, org->ca_der_size)));
    if (err != ORD_OK)
        return err;
    /* Replicas order envelopes and may not write any. */
    return identity->role == CRYPTO_ROLE_CLIENT || identity->role == CRYPTO_ROLE_ADMIN ? ORD_OK : ORD_ERR_FORBIDDEN;
}

enum ord_err channel_registration(const struct channel *channel, struct crypto_identity *out,
                                  const struct channel_envelope *envelope) {
    uint32_t org_index;
    return registration(&channel->config, out, &org_index, envelope);
}

static enum ord_err consider_registration(const struct channel *channel, struct channel_verdict *out,
                                          const struct channel_envelope *envelope) {
    struct crypto_identity identity;
    uint32_t org_index;
    enum ord_err err = registration(&channel->config, &identity, &org_index, envelope);
    if (err != ORD_OK)
        return err;
    out->client_index = UINT32_MAX;
    out->newcomer = (struct channel_client) {
        .fingerprint = envelope->client,
        .key = identity.key,
        .org_index = org_index,
        .role = identity.role,
        .not_before_s = identity.not_before_s,
        .not_after_s = identity.not_after_s,
    };
    if (crypto_verify_key_parse(&out->newcomer.verify_key, &identity.key) != ORD_OK)
        return ORD_ERR_FORBIDDEN;
    uint32_t known;
    bool full = channel->table.count == channel->table.capacity;
    ORD_MARK_IF(full, REGISTRATION_NO_ROOM);
    return full && channel_table_find(&channel->table, &known, &envelope->client) == NULL ? ORD_ERR_NO_SPACE : ORD_OK;
}

enum ord_err channel_consider(const struct channel *channel, struct channel_verdict *out,
                              const struct channel_envelope *envelope) {
    const struct channel_config *config = &channel->config;
    if (!ord_hash_equal(&envelope->genesis_hash, &channel->genesis_hash)) {
        ORD_MARK(ENVELOPE_FOREIGN);
        return ORD_ERR_MISMATCH;
    }
    if (envelope->bytes.size > config->absolute_max_bytes || envelope->transaction_count > config->max_message_count) {
        ORD_MARK(ENVELOPE_TOO_LARGE);
        return ORD_ERR_TOO_LARGE;
    }
    if (envelope->config_sequence != config->config_sequence)
        return ORD_ERR_STALE;
    switch (envelope->kind) {
    case CHANNEL_ENVELOPE_TRANSACTIONS: {
        const struct channel_client *client =
            channel_table_find(&channel->table, &out->client_index, &envelope->client);
        ORD_MARK_IF(client == NULL, ENVELOPE_OF_UNKNOWN);
        return client == NULL ? ORD_ERR_UNKNOWN_CLIENT : ORD_OK;
    }
    case CHANNEL_ENVELOPE_REGISTER:
        return consider_registration(channel, out, envelope);
    case CHANNEL_ENVELOPE_CONFIG:
        return ORD_ERR_FORBIDDEN; /* only the genesis block has such an envelope */
    }
    return ORD_ERR_INVALID;
}

enum ord_err channel_judge(const struct channel *channel, struct crypto_verify_key *key, uint32_t *client_index,
                           const struct channel_envelope *envelope) {
    struct channel_verdict verdict;
    enum ord_err err = channel_consider(channel, &verdict, envelope);
    if (err != ORD_OK && err != ORD_ERR_NO_SPACE)
        return err;
    *client_index = verdict.client_index;
    *key = verdict.client_index == UINT32_MAX ? verdict.newcomer.verify_key
                                              : channel->table.clients[verdict.client_index].verify_key;
    return err;
}
