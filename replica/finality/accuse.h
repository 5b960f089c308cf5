/*
 * Evidence against replicas that contradicted themselves. Each piece is checked and kept once, and there is a bound.
 */
#ifndef ORDAIN_REPLICA_ACCUSE_H
#define ORDAIN_REPLICA_ACCUSE_H

#include "channel/attestation.h"
#include "evidence/evidence.h"
#include "replica/records.h"

struct replica;

struct accusations {
    /* Limit of pieces that are kept against one replica. */
    uint32_t slots;
    uint32_t counts[ORD_REPLICA_MAX];
    /* The first counts[i] are set. */
    struct evidence_place places[ORD_REPLICA_MAX][RECORD_EVIDENCE_SLOTS];
    /* The counts when the commit under way began. */
    uint32_t frozen[ORD_REPLICA_MAX];
    /* The counts on disk, where readers find the pieces. */
    uint32_t committed[ORD_REPLICA_MAX];
};

/*
 * Two signed statements of one replica that contradict each other, noticed by anybody. They are kept with this turn if
 * they prove the contradiction, unless it is kept already or the replica's slots are full.
 */
void accuse_votes(struct replica *replica, struct ord_span first, struct ord_span second);
void accuse_attestations(struct replica *replica, const struct channel_attestation *first,
                         const struct channel_attestation *second);
/* Recovers the pieces that were kept before. CORRUPT: a piece proves nothing. */
ORD_MUST_USE enum ord_err accuse_recover(struct replica *replica);
/* Called when a commit begins, and when it is done. */
void accuse_freeze(struct replica *replica);
void accuse_committed(struct replica *replica);

#endif
