/*
 * What readers may have: blocks that are committed here and certified.
 */
#ifndef ORDAIN_REPLICA_CERTIFIED_H
#define ORDAIN_REPLICA_CERTIFIED_H

#include "channel/attestation.h"

struct replica;

struct certified {
    uint64_t height;           /* that readers were told of */
    uint64_t committed_height; /* newest block on disk */
    uint64_t frozen_height;    /* newest block of the commit under way */
    /* Certified, and not on disk yet: readers are told when its block is. count 0: none. */
    struct channel_certificate pending;
};

/* Blocks up to the certificate's are final. */
void certified_tell(struct replica *replica, const struct channel_certificate *certificate);
/* After recovery: blocks up to `height` are, with certificates that are on disk. */
void certified_recover(struct replica *replica, uint64_t height);
/* A commit begins, and is done. */
void certified_freeze(struct replica *replica);
void certified_committed(struct replica *replica);

#endif
