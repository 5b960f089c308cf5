/*
 * Certificates that end. This watches the one that ends first of this replica's own and the organisations' CAs, and
 * warns of it in the log 30, 7 and 1 days before, and when it has ended.
 */
#ifndef ORDAIN_NODE_EXPIRY_H
#define ORDAIN_NODE_EXPIRY_H

#include "channel/config.h"

enum expiry_stage { EXPIRY_FAR, EXPIRY_MONTH, EXPIRY_WEEK, EXPIRY_DAY, EXPIRY_ENDED };

struct expiry {
    int64_t ends_s; /* seconds since 1970, UTC */
    char what[CRYPTO_NAME_MAX + 32];
    enum expiry_stage warned;
};

/* INVALID: a certificate cannot be read. NO_MEMORY. */
ORD_MUST_USE enum ord_err expiry_init(struct expiry *out, const struct channel_config *config, const char *tls_cert);
/* How near the end is at this time. */
enum expiry_stage expiry_stage_at(const struct expiry *expiry, int64_t wall_s);
/* Warns if the end has come nearer by a stage. True: it warned. */
bool expiry_tick(struct expiry *expiry, int64_t wall_s);

#endif
