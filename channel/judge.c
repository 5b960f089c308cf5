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

enum ord_err channel_newcomer_verify(struct channel_newcomer *out, const struct channel_config *config,
                                     struct ord_span certificate) {
    struct crypto_identity identity;
    uint32_t org_index;
    enum ord_err err = certificate_fault(crypto_identity_parse(&identity, certificate));
    if (err != ORD_OK)
        return err;
    const struct channel_org *org = org_by_name(config, identity.organisation, &org_index);
    if (org == NULL)
        return ORD_ERR_FORBIDDEN;
    err = certificate_fault(crypto_identity_verify(&identity, certificate, ord_span_of(org->ca_der, org->ca_der_size)));
    if (err != ORD_OK)
        return err;
    /* Replicas order envelopes and may not write any. */
    if (identity.role != CRYPTO_ROLE_CLIENT && identity.role != CRYPTO_ROLE_ADMIN)
        return ORD_ERR_FORBIDDEN;
    *out = (struct channel_newcomer) {
        .key = identity.key,
        .org_index = org_index,
        .role = identity.role,
        .not_before_s = identity.not_before_s,
        .not_after_s = identity.not_after_s,
    };
    crypto_cert_fingerprint(&out->fingerprint, certificate);
    return crypto_verify_key_parse(&out->verify_key, &identity.key) == ORD_OK ? ORD_OK : ORD_ERR_FORBIDDEN;
}

/* Gives a registration's certificate, whose fingerprint is the client's. */
static enum ord_err certificate_of(struct ord_span *out, const struct channel_envelope *envelope) {
    struct ord_span transactions = envelope->transactions;
    if (channel_envelope_next(out, &transactions) != ORD_OK || out->size > CRYPTO_CERT_DER_MAX)
        return ORD_ERR_INVALID;
    struct ord_hash fingerprint;
    crypto_cert_fingerprint(&fingerprint, *out);
    if (!ord_hash_equal(&fingerprint, &envelope->client)) {
        ORD_MARK(REGISTRATION_OF_ANOTHER);
        return ORD_ERR_INVALID;
    }
    return ORD_OK;
}

/*
 * Looks before anything is verified: a certificate that is registered has been verified, and no certificate gets into
 * a full table.
 */
static enum ord_err judge_registration(const struct channel *channel, struct channel_judged *out,
                                       const struct channel_envelope *envelope) {
    struct ord_span certificate;
    enum ord_err err = certificate_of(&certificate, envelope);
    if (err != ORD_OK)
        return err;
    out->client_index = UINT32_MAX;
    uint32_t known;
    const struct channel_client *client = channel_table_find(&channel->table, &known, &envelope->client);
    const struct channel_newcomer *newcomer = channel_newcomer_find(channel, &envelope->client);
    if (client != NULL) {
        out->key = client->verify_key;
    } else if (channel->table.count == channel->table.capacity) {
        ORD_MARK(REGISTRATION_NO_ROOM);
        return ORD_ERR_NO_SPACE;
    } else if (newcomer != NULL) {
        out->key = newcomer->verify_key;
    } else {
        out->certificate = certificate;
    }
    return ORD_OK;
}

enum ord_err channel_judge(const struct channel *channel, struct channel_judged *out,
                           const struct channel_envelope *envelope) {
    const struct channel_config *config = &channel->config;
    *out = (struct channel_judged) {.certificate = ord_span_of(NULL, 0)};
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
        if (client == NULL)
            return ORD_ERR_UNKNOWN_CLIENT;
        out->key = client->verify_key;
        return ORD_OK;
    }
    case CHANNEL_ENVELOPE_REGISTER:
        return judge_registration(channel, out, envelope);
    case CHANNEL_ENVELOPE_CONFIG:
        return ORD_ERR_FORBIDDEN; /* only the genesis block has such an envelope */
    }
    return ORD_ERR_INVALID;
}

enum ord_err channel_consider(const struct channel *channel, struct channel_verdict *out,
                              const struct channel_envelope *envelope) {
    struct channel_judged judged;
    uint32_t known;
    enum ord_err err = channel_judge(channel, &judged, envelope);
    out->client_index = judged.client_index;
    out->verified = judged.certificate.size > 0;
    out->again = false;
    if (err != ORD_OK || judged.client_index != UINT32_MAX)
        return err;
    out->again = channel_table_find(&channel->table, &known, &envelope->client) != NULL;
    if (out->again)
        return ORD_OK;
    if (out->verified)
        return channel_newcomer_verify(&out->newcomer, &channel->config, judged.certificate);
    out->newcomer = *channel_newcomer_find(channel, &envelope->client);
    return ORD_OK;
}
