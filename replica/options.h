/*
 * What a replica is made of and never changes: the host's options, and what follows from them for the consensus core.
 */
#ifndef ORDAIN_REPLICA_OPTIONS_H
#define ORDAIN_REPLICA_OPTIONS_H

#include "bft/bft.h"
#include "channel/checkpoint.h"
#include "replica/replica.h"

struct setup {
    struct replica_options options;
    const struct ord_protocol *protocol;
    struct channel_checkpoints checkpoints; /* pbft: what its options' check of a certificate needs */
    struct bft_options bft;                 /* pbft: what core_config.options points to */
    struct ord_core_config core_config;
    struct replica_verify_context verify;
};

/* `out` must stay where it is. INVALID: the configuration is not one that its protocol can run. */
ORD_MUST_USE enum ord_err setup_init(struct setup *out, const struct replica_options *options);

#endif
