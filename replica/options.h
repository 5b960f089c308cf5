/*
 * The constant settings of a replica: the host's options, and what follows from them for the consensus core.
 */
#ifndef ORDAIN_REPLICA_OPTIONS_H
#define ORDAIN_REPLICA_OPTIONS_H

#include "bft/bft.h"
#include "channel/checkpoint.h"
#include "replica/replica.h"

struct setup {
    struct replica_options options;
    const struct ord_protocol *protocol;
    /* PBFT only: the context in which its options check certificates. */
    struct channel_checkpoints checkpoints;
    /* PBFT only: core_config.options points to it. */
    struct bft_options bft;
    struct ord_core_config core_config;
    struct replica_verify_context verify;
};

/* `out` must not move. INVALID: the configuration's protocol cannot run it. */
ORD_MUST_USE enum ord_err setup_init(struct setup *out, const struct replica_options *options);

#endif
