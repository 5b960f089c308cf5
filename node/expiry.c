/* Warnings of certificates that end. */
#include "node/expiry.h"

#include <inttypes.h>
#include <stdio.h>

#include "node/log.h"

#define DAY_S 86400

static void note(struct expiry *expiry, int64_t ends_s, const char *kind, const char *name) {
    if (ends_s >= expiry->ends_s)
        return;
    expiry->ends_s = ends_s;
    snprintf(expiry->what, sizeof(expiry->what), "%s%s", kind, name);
}

enum ord_err expiry_init(struct expiry *out, const struct channel_config *config, const char *tls_cert) {
    int64_t ends_s = 0;
    *out = (struct expiry) {.ends_s = INT64_MAX};
    enum ord_err err = crypto_cert_end(&ends_s, tls_cert);
    if (err == ORD_OK)
        note(out, ends_s, "own TLS certificate", "");
    for (uint32_t i = 0; i < config->org_count && err == ORD_OK; i++) {
        char pem[CRYPTO_PEM_MAX];
        err = crypto_cert_pem(pem, ord_span_of(config->orgs[i].ca_der, config->orgs[i].ca_der_size));
        if (err == ORD_OK)
            err = crypto_cert_end(&ends_s, pem);
        if (err == ORD_OK)
            note(out, ends_s, "CA of organisation ", config->orgs[i].name);
    }
    return err;
}

enum expiry_stage expiry_stage_at(const struct expiry *expiry, int64_t wall_s) {
    int64_t left_s = expiry->ends_s - wall_s;
    if (left_s <= 0)
        return EXPIRY_ENDED;
    if (left_s <= DAY_S)
        return EXPIRY_DAY;
    if (left_s <= (int64_t) 7 * DAY_S)
        return EXPIRY_WEEK;
    return left_s <= (int64_t) 30 * DAY_S ? EXPIRY_MONTH : EXPIRY_FAR;
}

bool expiry_tick(struct expiry *expiry, int64_t wall_s) {
    enum expiry_stage stage = expiry_stage_at(expiry, wall_s);
    if (stage <= expiry->warned)
        return false;
    expiry->warned = stage;
    if (stage == EXPIRY_ENDED)
        node_log(NODE_LOG_ERROR, "certificate_ended", "what=\"%s\"", expiry->what);
    else
        node_log(NODE_LOG_WARN, "certificate_ends", "what=\"%s\" hours=%" PRId64, expiry->what,
                 (expiry->ends_s - wall_s) / 3600);
    return true;
}
