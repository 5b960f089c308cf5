/*
 * Stable checkpoints as a consensus core sees them: a certificate of a strong quorum, opaque to it, and the check of one.
 */
#ifndef ORDAIN_CHANNEL_CHECKPOINT_H
#define ORDAIN_CHANNEL_CHECKPOINT_H

#include "channel/attestation.h"

struct channel_checkpoints {
    const struct channel_config *config;
    const struct ord_hash *genesis_hash;
    const struct ord_crypto_ops *crypto;
};

/* `checkpoints` must outlive what is made of it. The check needs all its signatures to verify; thread-safe. */
void channel_checkpoint_ops(struct ord_checkpoint_ops *out, const struct channel_checkpoints *checkpoints);

#endif
