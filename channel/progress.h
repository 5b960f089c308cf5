/*
 * What the state digest covers beside the chain, the clients and the open block: how ordering goes on. It says where
 * the next point of attestation falls, and whose turn to lead is passed over.
 *
 * Leaders that failed lately. Under scheduled rotation (`decisions_per_leader`, N) each replica comes to lead again and
 * again, and one that is down would cost a timeout each time. So the decided batches tell who failed, and at the end of
 * a view the turns of those are passed over (bft/view/rotate.c). The primary of a view stays a function of the view.
 *
 * What is decided tells it like this. The first batch that a primary proposes in its view names the view. When a batch
 * that names view w is executed at seq s, and u is the view named before, at seq r:
 * - u ended on schedule if s >= r + N, because a view orders N seqs at most. Otherwise the leader of u failed.
 * - If u ended on schedule, everybody went to the first view above u whose leader was not to be passed over; each
 *   leader before that used up one of its passes. The leaders from there up to w - 1 failed.
 * - If u failed, one view followed the other, and the leaders of all views from u + 1 to w - 1 failed.
 * - If no view was named before, the leaders of all views below w failed.
 * Of the views from u + 1 to w - 1, only the last n count as failed. A name that is not above u is ignored: a later
 * view can propose a batch again, at a higher seq, that an earlier view left behind.
 *
 * Why s > r + N counts as on schedule. It takes a view between u and w whose first batch came to nothing and later ones
 * did not. Nobody can tell how u ended then, and the leader of the view between is the one that failed. If u had the
 * blame, a liar could bring it on the honest leader before it.
 *
 * At most f leaders are recorded, those that failed last; a further one displaces the one that failed longest ago. A
 * leader that failed k times has its next 2^(k - 1) turns passed over, at most 32. So a replica that is down for long
 * fails in one of 33 of its turns, and nobody is passed over for ever. An honest leader that a bad moment or a liar
 * cost its view misses one turn. A view that ends on schedule gives its leader back the turns that it had still to
 * miss; after four such views without a failure it is forgotten. One does not suffice, or a liar that serves every
 * second term would cost a timeout in every third turn. As it is, it comes to miss 32 turns for each failure, as a mute
 * one does.
 */
#ifndef ORDAIN_CHANNEL_PROGRESS_H
#define ORDAIN_CHANNEL_PROGRESS_H

#include "channel/config.h"
#include "core/codec.h"

/* f, for the largest channel. */
#define CHANNEL_FAILED_MAX ((ORD_REPLICA_MAX - 1) / 3)

/* A leader that failed lately. */
struct channel_failed {
    ord_node_id node;
    /* Its failures since it is recorded, 1 to 6; more count as 6. */
    uint8_t failures;
    /* Views of it that ended on schedule since the last failure. */
    uint8_t terms;
    /* Its next turns that are passed over. */
    uint8_t passes;
};

struct channel_progress {
    /*
     * Bytes of the batches executed since the last point of attestation. It follows from the ordered batches alone. An
     * attestation at rest does not change it.
     */
    uint64_t bytes_since_point;
    /* raft: the term in which the newest batch was proposed. Whoever gets the state needs it (raft/snapshot.c). */
    uint64_t term;
    /* The newest view that a batch named, and the seq of that batch. Seq 0: none did yet. */
    uint64_t view;
    uint64_t first_seq;
    /* The leaders that failed last, the newest failure first; at most f. */
    struct channel_failed failed[CHANNEL_FAILED_MAX];
    uint32_t failed_count;
};

/* The batch at `seq` names `view`. Does nothing where views do not end on schedule. */
void channel_progress_named(struct channel_progress *progress, const struct channel_config *config,
                            const struct ord_hash *genesis_hash, uint64_t view, uint64_t seq);
/* Replicas whose turn to lead is passed over. */
ord_replica_set channel_progress_passes(const struct channel_progress *progress);

#define CHANNEL_PROGRESS_SIZE_MAX (8 + 8 + 8 + 8 + 1 + CHANNEL_FAILED_MAX * (4 + 1 + 1 + 1))
/*
 * Appends the encoding (docs/formats.md): bytes_since_point, then the term in a raft channel, or what is known of views
 * where they end on schedule.
 */
void channel_progress_write(struct ord_writer *writer, const struct channel_config *config,
                            const struct channel_progress *progress);
/* INVALID: malformed, or no executed state has it. */
ORD_MUST_USE enum ord_err channel_progress_read(struct channel_progress *out, const struct channel_config *config,
                                                struct ord_reader *reader);

#endif
