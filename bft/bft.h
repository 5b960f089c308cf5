/*
 * PBFT behind the seam of core/protocol.h. Castro and Liskov, OSDI'99 and TOCS'02; see docs/protocol.md.
 */
#ifndef ORDAIN_BFT_BFT_H
#define ORDAIN_BFT_BFT_H

#include "core/protocol.h"

extern const struct ord_protocol bft_pbft;

/* `options` of an ord_core_config points to this. All replicas of a channel must have the same numbers. */
struct bft_options {
    /* A view ends after this many seqs (docs/protocol.md, rule 25). 0: views do not end by themselves. */
    uint32_t decisions_per_leader;
    /* At least 1. A replica suspects the primary when work waits for this long without a delivery (rule 14). */
    uint32_t request_timeout_ms;
    /* Checks certificates of stable checkpoints, which hold a quorum of 2f + 1 attestations. */
    struct ord_checkpoint_ops checkpoints;
};

/* `detail` of an ord_status points to this. */
struct bft_detail {
    /* View changes that this replica took part in since START. */
    uint64_t view_changes;
    /* The replica wants another primary than that of its view. */
    bool suspecting;
    /* It does so for a reason of its own, and not only because f + 1 others do. */
    bool has_reason;
    /* The replica is the primary of its view and was asked to let another lead (rule 27). */
    bool handing_over;
    /*
     * Views left since the last delivery, except those that ended on schedule or by a hand-over, and those whose leader
     * had failed lately (view/failed.c). The timeout doubles with each of them but the first.
     */
    uint32_t failed_views;
};

/* The options of a config for this protocol. */
static inline const struct bft_options *bft_options_of(const struct ord_core_config *config) {
    return config->options;
}

#endif
