/* The genesis block's CAs and replicas as TLS needs them. */
#include "node/trust.h"

#include <stdlib.h>

enum ord_err node_dial_init(struct node_dial *out, const struct channel_config *config, uint32_t replica,
                            const char *cert_pem, const char *key_pem) {
    const struct channel_replica *to = &config->replicas[replica];
    const struct channel_org *org = &config->orgs[to->org_index];
    out->tls = (struct net_tls) {.ca_pem = out->ca_pem, .cert_pem = cert_pem, .key_pem = key_pem};
    net_tls_rules_set(&out->rules, "replica", org->name, to->name);
    return crypto_cert_pem(out->ca_pem, ord_span_of(org->ca_der, org->ca_der_size));
}

enum ord_err node_trust_all(char **out, const struct channel_config *config) {
    *out = malloc((size_t) config->org_count * CRYPTO_PEM_MAX);
    if (*out == NULL)
        return ORD_ERR_NO_MEMORY;
    enum ord_err err = channel_ca_pem(*out, config);
    if (err == ORD_OK)
        return ORD_OK;
    free(*out);
    *out = NULL;
    return err;
}
