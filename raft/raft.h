/*
 * Raft behind the seam of core/protocol.h. Ongaro, "Consensus: Bridging Theory and Practice" (Stanford, 2014); see
 * docs/raft.md for the rules, which the files of this folder cite.
 *
 * Caveats first:
 * - Replicas may crash, lose messages and lose disks; they do not lie. One that lies breaks everything here.
 * - An entry's index is its seq. A new leader's first entry is a null batch.
 * - SYNCED must tell the term of the entry at its seq, unless the seq is the one that SYNC asked for.
 */
#ifndef ORDAIN_RAFT_RAFT_H
#define ORDAIN_RAFT_RAFT_H

#include "core/protocol.h"

extern const struct ord_protocol raft_protocol;

/* `options` of an ord_core_config points to this. All replicas of a channel must have the same numbers. */
struct raft_options {
    /*
     * A follower campaigns when it has not heard from a leader for a time between these two, in ms. The default is 300
     * to 600. 10 <= min < max <= 60000.
     */
    uint32_t election_ms_min;
    uint32_t election_ms_max;
    uint32_t heartbeat_ms;   /* 1 .. election_ms_min / 2 */
    uint32_t in_flight_max;  /* APPENDs with an entry on their way to one follower: 1 .. 1024 */
    uint64_t in_flight_size; /* bytes of such entries; one entry may always be on its way */
    /*
     * The log is cut at an attested seq when it has so many bytes up to there, when ATTESTED says so, or when it is
     * half full. 0: the bytes do not count.
     */
    uint64_t snapshot_bytes;
    /* Checks certificates of snapshot points, which hold a majority of attestations. */
    struct ord_checkpoint_ops checkpoints;
};

/* What a leader knows of one follower, for status. */
struct raft_follower {
    uint64_t match_seq; /* the follower's log equals the leader's up to here, durably */
    bool silent;        /* its acknowledgements count for nothing */
};

/* `detail` of an ord_status points to this. */
struct raft_detail {
    uint64_t last_seq; /* end of the log */
    uint64_t durable_seq;
    uint64_t base_seq;  /* the snapshot point: entries up to here are gone */
    uint64_t elections; /* that this replica began since START, without PreVotes */
    bool handing_over;  /* it leads and was asked to let another lead */
    bool halted;        /* a leader wanted to cut what is committed here: this replica takes no part any more */
    uint64_t limit_seq; /* nothing is proposed beyond; UINT64_MAX: no limit */
    struct raft_follower followers[ORD_REPLICA_MAX]; /* while it leads */
};

/*
 * From now on PROPOSE is refused (FORBIDDEN) for a seq above `limit_seq`: the epoch ends there. The core goes on in all
 * else, and a new leader still appends its null batch. UINT64_MAX lifts the limit. Call it between steps.
 */
void raft_limit(struct ord_core *core, uint64_t limit_seq);

/* The options of a config for this protocol. */
static inline const struct raft_options *raft_options_of(const struct ord_core_config *config) {
    return config->options;
}

#endif
