/*
 * The rule on leaders that failed lately, and the encoding of the progress. channel/progress.h explains both.
 */
#include "channel/progress.h"

#include <string.h>

#include "channel/marks.h"
#include "core/quorum.h"

enum {
    /* 2^(FAILURES_MAX - 1) turns are the most that a failure costs its leader. */
    FAILURES_MAX = 6,
    PASSES_MAX = 1 << (FAILURES_MAX - 1),
    /* After so many views that ended on schedule a leader is forgotten. */
    TERMS_TO_FORGET = 4,
};

/* Where the leader is recorded; failed_count: it is not. */
static uint32_t find(const struct channel_progress *progress, ord_node_id node) {
    uint32_t at = 0;
    while (at < progress->failed_count && progress->failed[at].node != node)
        at++;
    return at;
}

static void drop(struct channel_progress *progress, uint32_t at) {
    progress->failed_count--;
    memmove(progress->failed + at, progress->failed + at + 1,
            (progress->failed_count - at) * sizeof(progress->failed[0]));
}

static void note_failed(struct channel_progress *progress, uint32_t replica_count, ord_node_id node) {
    struct channel_failed leader = {.node = node, .failures = 1};
    uint32_t at = find(progress, node);
    if (at < progress->failed_count) {
        ORD_MARK(TURN_FAILED_AGAIN);
        leader.failures = (uint8_t) ord_min(progress->failed[at].failures + 1u, FAILURES_MAX);
        drop(progress, at);
    } else if (progress->failed_count == ord_bft_faulty_max(replica_count)) {
        ORD_MARK(TURN_DISPLACED);
        progress->failed_count--;
    }
    leader.passes = (uint8_t) (1u << (leader.failures - 1u));
    memmove(progress->failed + 1, progress->failed, progress->failed_count * sizeof(leader));
    progress->failed[0] = leader;
    progress->failed_count++;
}

static void note_served(struct channel_progress *progress, ord_node_id node) {
    uint32_t at = find(progress, node);
    if (at == progress->failed_count)
        return;
    progress->failed[at].passes = 0;
    if (++progress->failed[at].terms < TERMS_TO_FORGET)
        return;
    ORD_MARK(TURN_FORGIVEN);
    drop(progress, at);
}

/* Uses up a pass of the leader. False: its turn was not to be passed over. */
static bool pass(struct channel_progress *progress, ord_node_id node) {
    uint32_t at = find(progress, node);
    if (at == progress->failed_count || progress->failed[at].passes == 0)
        return false;
    ORD_MARK(TURN_PASSED_OVER);
    progress->failed[at].passes--;
    return true;
}

void channel_progress_named(struct channel_progress *progress, const struct channel_config *config,
                            const struct ord_hash *genesis_hash, uint64_t view, uint64_t seq) {
    const uint32_t count = config->replica_count;
    const bool any = progress->first_seq > 0;
    if (config->decisions_per_leader == 0 || (any && view <= progress->view))
        return;
    uint64_t next = any ? progress->view + 1 : 0;
    if (any && seq - progress->first_seq >= config->decisions_per_leader) {
        note_served(progress, ord_leader_of_view(genesis_hash, count, progress->view));
        while (next < view && pass(progress, ord_leader_of_view(genesis_hash, count, next)))
            next++;
    } else if (any) {
        note_failed(progress, count, ord_leader_of_view(genesis_hash, count, progress->view));
    }
    for (next = ord_max(next, view - ord_min(view, count)); next < view; next++)
        note_failed(progress, count, ord_leader_of_view(genesis_hash, count, next));
    progress->view = view;
    progress->first_seq = seq;
}

ord_replica_set channel_progress_passes(const struct channel_progress *progress) {
    ord_replica_set set = 0;
    for (uint32_t i = 0; i < progress->failed_count; i++)
        if (progress->failed[i].passes > 0)
            set |= ord_replica_bit(progress->failed[i].node);
    return set;
}

void channel_progress_write(struct ord_writer *writer, const struct channel_config *config,
                            const struct channel_progress *progress) {
    ord_write_u64(writer, progress->bytes_since_point);
    if (config->consensus == CHANNEL_RAFT)
        ord_write_u64(writer, progress->term);
    if (config->decisions_per_leader == 0)
        return;
    ord_write_u64(writer, progress->view);
    ord_write_u64(writer, progress->first_seq);
    ord_write_u8(writer, (uint8_t) progress->failed_count);
    for (uint32_t i = 0; i < progress->failed_count; i++) {
        ord_write_u32(writer, progress->failed[i].node);
        ord_write_u8(writer, progress->failed[i].failures);
        ord_write_u8(writer, progress->failed[i].terms);
        ord_write_u8(writer, progress->failed[i].passes);
    }
}

static bool is_sane(const struct channel_failed *leader, const struct channel_config *config) {
    return leader->node < config->replica_count && leader->failures >= 1 && leader->failures <= FAILURES_MAX &&
           leader->terms < TERMS_TO_FORGET && leader->passes <= PASSES_MAX;
}

enum ord_err channel_progress_read(struct channel_progress *out, const struct channel_config *config,
                                   struct ord_reader *reader) {
    *out = (struct channel_progress) {.bytes_since_point = ord_read_u64(reader)};
    if (config->consensus == CHANNEL_RAFT)
        out->term = ord_read_u64(reader);
    if (config->decisions_per_leader == 0)
        return reader->failed ? ORD_ERR_INVALID : ORD_OK;
    out->view = ord_read_u64(reader);
    out->first_seq = ord_read_u64(reader);
    uint32_t failed_count = ord_read_u8(reader);
    if (reader->failed || failed_count > ord_bft_faulty_max(config->replica_count) ||
        (out->first_seq == 0 && (out->view > 0 || failed_count > 0)))
        return ORD_ERR_INVALID;
    for (uint32_t i = 0; i < failed_count; i++) {
        struct channel_failed leader = {.node = ord_read_u32(reader)};
        leader.failures = ord_read_u8(reader);
        leader.terms = ord_read_u8(reader);
        leader.passes = ord_read_u8(reader);
        if (reader->failed || !is_sane(&leader, config) || find(out, leader.node) < out->failed_count)
            return ORD_ERR_INVALID;
        out->failed[out->failed_count++] = leader;
    }
    return ORD_OK;
}
