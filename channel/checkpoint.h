/*
 * Stable checkpoints as a consensus core sees them: certificates of a strong quorum, which are opaque to the core, and
 * a function that checks one.
 */
#ifndef ORDAIN_CHANNEL_CHECKPOINT_H
#define ORDAIN_CHANNEL_CHECKPOINT_H

#include "channel/attestation.h"

struct channel_checkpoints {
    const struct channel_config *config;
    const struct ord_hash *genesis_hash;
    const struct ord_crypto_ops *crypto;
};

/* `checkpoints` must outlive `out`. Every signature of a certificate must verify. The check is thread-safe. */
void channel_checkpoint_ops(struct ord_checkpoint_ops *out, const struct channel_checkpoints *checkpoints);

#endif
