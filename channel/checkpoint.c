/*
 * Checks a stable checkpoint's certificate for core/protocol.h. In Castro and Liskov, OSDI'99, section 4.3, 2f + 1
 * matching CHECKPOINT messages prove that a checkpoint is stable. Here attestations take their place.
 */
#include "channel/checkpoint.h"

static enum ord_err verify(const void *context, uint64_t *seq, struct ord_span bytes) {
    const struct channel_checkpoints *checkpoints = context;
    struct channel_certificate certificate;
    enum ord_err err = channel_certificate_decode(&certificate, bytes);
    if (err == ORD_OK)
        err = channel_certificate_verify(&certificate, checkpoints->config, checkpoints->genesis_hash,
                                         checkpoints->crypto, channel_strong_quorum(checkpoints->config));
    *seq = err == ORD_OK ? certificate.statement.seq : 0;
    return err;
}

void channel_checkpoint_ops(struct ord_checkpoint_ops *out, const struct channel_checkpoints *checkpoints) {
    *out = (struct ord_checkpoint_ops) {
        .context = checkpoints,
        .size_max = CHANNEL_CERTIFICATE_SIZE(checkpoints->config->replica_count),
        .verify = verify,
    };
}
