/*
 * Attestations, and what they make up: block certificates (f + 1) and stable checkpoints (2f + 1). Then the blocks that
 * readers may have.
 */
#ifndef ORDAIN_REPLICA_ATTEST_H
#define ORDAIN_REPLICA_ATTEST_H

#include "channel/attestation.h"
#include "core/protocol.h"
#include "replica/records.h"
#include "replica/verify.h"

#define ATTEST_POINTS_MAX 64

/*
 * Points of attestation that wait to be signed. A later one covers the earlier ones, so a full list drops its oldest.
 */
struct attest_list {
    struct channel_statement items[ATTEST_POINTS_MAX];
    uint32_t count;
};

struct attest {
    struct channel_collector *collector;
    /* Points that were executed since the last commit began. They are not durable yet. */
    struct attest_list gathered;
    /* Points of the commit under way. They are signed when it is done, and nothing else is ever signed. */
    struct attest_list frozen;
    struct channel_attestation newest; /* own; signer ORD_NO_NODE: none */
    uint64_t newest_sent_ms;
    /* Own points, by seq modulo record_point_slots; seq 0: none. */
    struct attest_point *history;
    /* The newest certificate with a strong quorum; count 0: none. */
    struct channel_certificate stable;
    /* Its checkpoint is executed here, and the blocks below it are certified. */
    bool stable_settled;
    /* The core has yet to be told that this checkpoint is ahead of us. */
    bool stable_ahead;
    /* The checkpoint at which the core will truncate its log next; count 0: none. */
    struct channel_certificate low;
    /* The checkpoint at which the core is to truncate its log now; count 0: none. */
    struct channel_certificate cut;
    /* The newest seq with a weak quorum that we executed. */
    uint64_t weak_seq;
    /* The newest certificate with a weak quorum whose seq was above ours when it came; count 0: none. */
    struct channel_certificate ahead;
    /* Since when `ahead` has been above what is executed here. */
    uint64_t ahead_since_ms;
    /* When the stable certificate was last sent to all. */
    uint64_t stable_sent_ms;
    /* The seq that was executed last, and when attest_resend first saw that. */
    uint64_t rest_seq;
    uint64_t rest_since_ms;
    /* When each replica last got an answer to an old attestation. */
    uint64_t answered_ms[ORD_REPLICA_MAX];
    /* The highest block of those certificates of which the core was told. */
    uint64_t told_height;
    /* The certificate in the ATTESTED at hand. */
    uint8_t told[CHANNEL_CERTIFICATE_SIZE_MAX];
};

ORD_MUST_USE enum ord_err attest_init(struct replica *replica);
void attest_deinit(struct replica *replica);
/*
 * Gathers a statement of the state at `seq`, the newest executed seq, and keeps its point. To be called before the turn
 * ends whose commit holds that state.
 */
void attest_at(struct replica *replica, uint64_t seq);
/* The own point at `seq`; NULL: this replica does not remember one. */
const struct attest_point *attest_find(const struct replica *replica, uint64_t seq);
void attest_keep(struct replica *replica, const struct attest_point *point);
/* A commit begins: the points that it holds may be signed when it is done. */
void attest_freeze(struct replica *replica);
/* A statement that was durable before a restart. The next attest_sign signs it again. */
void attest_recovered(struct replica *replica, const struct channel_statement *statement);
void attest_sign(struct replica *replica);
/* The core's log is to be truncated at the newest stable checkpoint that is executed here, without delay. */
void attest_cut(struct replica *replica);
/* Takes note of a stable checkpoint that was ahead of us and is executed by now. */
void attest_settle(struct replica *replica);
/* Gives the next ATTESTED, if the core is to be told of a certificate. */
bool attest_next(struct replica *replica, struct ord_event *out);
/* The core shows the certificate of a stable checkpoint that it is behind. */
void attest_shown(struct replica *replica, struct ord_span bytes);
/* Sends again, once a second, what others may have missed, and attests the newest executed seq at rest. */
void attest_resend(struct replica *replica);
void attest_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
void attest_certificate_received(struct replica *replica, ord_node_id from, struct ord_span bytes);
void attest_checked(struct replica *replica, struct replica_check *check);
/* False: this check of an attestation or a certificate, which has not begun, would change nothing. */
bool attest_wants(struct replica *replica, const struct replica_check *check);

/* ---- the blocks that readers may have, which are committed here and certified: certified.c ---- */

struct certified {
    uint64_t height;           /* that readers were told of */
    uint64_t committed_height; /* newest block on disk */
    uint64_t frozen_height;    /* newest block of the commit under way */
    /* A certificate whose block is not on disk yet. Readers are told when the block is. Count 0: none. */
    struct channel_certificate pending;
};

/* Blocks up to the certificate's height are final. Puts the certificate, unless it is of the genesis block alone. */
void certified_keep(struct replica *replica, const struct channel_certificate *certificate);
/* After recovery: blocks up to `height` are final, and their certificates are on disk. */
void certified_recover(struct replica *replica, uint64_t height);
/* Called when a commit begins, and when it is done. */
void certified_freeze(struct replica *replica);
void certified_committed(struct replica *replica);

#endif
