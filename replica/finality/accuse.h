/*
 * Evidence of replicas that contradicted themselves: checked, kept once, bounded.
 */
#ifndef ORDAIN_REPLICA_ACCUSE_H
#define ORDAIN_REPLICA_ACCUSE_H

#include "channel/attestation.h"
#include "evidence/evidence.h"
#include "replica/records.h"

struct replica;

struct accusations {
    uint32_t slots; /* pieces that are kept against one replica */
    uint32_t counts[ORD_REPLICA_MAX];
    struct evidence_place places[ORD_REPLICA_MAX][RECORD_EVIDENCE_SLOTS]; /* the first counts[i] are set */
    uint32_t frozen[ORD_REPLICA_MAX];                                     /* counts when the commit under way began */
    uint32_t committed[ORD_REPLICA_MAX];                                  /* on disk: what readers find */
};

/*
 * Two signed statements of one replica that contradict each other, by whoever noticed: kept with this turn if they prove
 * it, unless this contradiction is kept already or there are enough against that replica.
 */
void accuse_votes(struct replica *replica, struct ord_span first, struct ord_span second);
void accuse_attestations(struct replica *replica, const struct channel_attestation *first,
                         const struct channel_attestation *second);
/* What was kept before. CORRUPT: it proves nothing now. */
ORD_MUST_USE enum ord_err accuse_recover(struct replica *replica);
/* A commit begins, and is done. */
void accuse_freeze(struct replica *replica);
void accuse_committed(struct replica *replica);

#endif
