/*
 * Attestations and what they make: block certificates (f + 1) and stable checkpoints (2f + 1).
 */
#ifndef ORDAIN_REPLICA_ATTEST_H
#define ORDAIN_REPLICA_ATTEST_H

#include "channel/attestation.h"
#include "core/protocol.h"
#include "replica/records.h"
#include "replica/verify.h"

#define ATTEST_POINTS_MAX 64

/* Points of attestation that wait to be signed. A later one covers the earlier ones, so the oldest goes when it is full. */
struct attest_list {
    struct channel_statement items[ATTEST_POINTS_MAX];
    uint32_t count;
};

struct attest {
    struct channel_collector *collector;
    /* Points that were executed since the last commit began: nothing on disk holds them yet. */
    struct attest_list gathered;
    /* Points of the commit under way, signed when it is done: by construction nothing else is ever signed. */
    struct attest_list frozen;
    struct channel_attestation newest; /* own; signer ORD_NO_NODE: none */
    uint64_t newest_sent_ms;
    struct attest_point *history;      /* own points, by seq modulo record_point_slots; seq 0: none */
    struct channel_certificate stable; /* newest with a strong quorum; count 0: none */
    bool stable_settled;               /* it is executed here, and blocks below it are certified */
    bool stable_ahead;                 /* the core has to be told that it is ahead of us */
    struct channel_certificate low; /* of the checkpoint where the core's log will be truncated next; count 0: none */
    struct channel_certificate cut; /* where the core is to truncate its log now; count 0: nowhere */
    uint64_t weak_seq;              /* newest seq with a weak quorum that we executed */
    uint64_t attested_seqs[ORD_REPLICA_MAX];    /* newest seq that each replica attested: how far it is */
    uint8_t told[CHANNEL_CERTIFICATE_SIZE_MAX]; /* the certificate in the ATTESTED at hand */
};

ORD_MUST_USE enum ord_err attest_init(struct replica *replica);
void attest_deinit(struct replica *replica);
/* In the turn that executed `seq`: the state there is a point of attestation. */
void attest_at(struct replica *replica, uint64_t seq);
/* The own point at `seq`; NULL: none that is remembered. */
const struct attest_point *attest_find(const struct replica *replica, uint64_t seq);
void attest_keep(struct replica *replica, const struct attest_point *point);
/* A commit begins: what it holds may be signed when it is done. */
void attest_freeze(struct replica *replica);
/* A statement that is durable already, from before a restart: the next attest_sign signs it again. */
void attest_recovered(struct replica *replica, const struct channel_statement *statement);
void attest_sign(struct replica *replica);
/* Takes note of a stable checkpoint that was ahead of us and is executed by now. */
void attest_settle(struct replica *replica);
/* The next ATTESTED, if the core is to be told of a certificate. */
bool attest_next(struct replica *replica, struct ord_event *out);
/* The core shows the certificate of a stable checkpoint that it is behind. */
void attest_shown(struct replica *replica, struct ord_span bytes);
/* Once a second: says again what others may have missed. */
void attest_resend(struct replica *replica);
void attest_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
void attest_certificate_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
void attest_checked(struct replica *replica, struct replica_check *check);

#endif
