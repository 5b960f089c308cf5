/*
 * The blocks that readers may have: those that are committed here and certified.
 */
#ifndef ORDAIN_REPLICA_CERTIFIED_H
#define ORDAIN_REPLICA_CERTIFIED_H

#include "channel/attestation.h"

struct replica;

struct certified {
    uint64_t height;           /* that readers were told of */
    uint64_t committed_height; /* newest block on disk */
    uint64_t frozen_height;    /* newest block of the commit under way */
    /* A certificate whose block is not on disk yet. Readers are told when the block is. Count 0: none. */
    struct channel_certificate pending;
};

/* Blocks up to the certificate's height are final. */
void certified_tell(struct replica *replica, const struct channel_certificate *certificate);
/* After recovery: blocks up to `height` are final, and their certificates are on disk. */
void certified_recover(struct replica *replica, uint64_t height);
/* Called when a commit begins, and when it is done. */
void certified_freeze(struct replica *replica);
void certified_committed(struct replica *replica);

#endif
