/*
 * Commitment: section 3.6.2. Only an entry of the leader's own term is committed by counting, and everything before it
 * with it. Rules 9 and 10.
 */
#include "raft/raft_internal.h"

#include "core/assert.h"

/* A turn delivers no more than this and one batch. A new leader may commit a whole log at once. */
enum { DELIVER_BYTES = 8 << 20 };

/* How far this replica's log counts: what it holds durably itself (section 10.2.1), what a follower acknowledged. */
static uint64_t counted_seq(const struct ord_core *core, ord_node_id node) {
    if (node == core->config.self)
        return core->log.durable_seq;
    return core->peers[node].silent ? 0 : core->peers[node].match_seq;
}

/* The highest seq that a majority holds. */
static uint64_t majority_seq(const struct ord_core *core) {
    uint64_t best = 0;
    for (ord_node_id a = 0; a < core->config.replica_count; a++) {
        uint64_t seq = counted_seq(core, a);
        uint32_t count = 0;
        for (ord_node_id b = 0; b < core->config.replica_count; b++)
            count += counted_seq(core, b) >= seq;
        if (count >= core->majority)
            best = ord_max(best, seq);
    }
    return best;
}

/* The highest seq that all hold. */
static uint64_t common_seq(const struct ord_core *core) {
    uint64_t least = core->log.last_seq;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        least = ord_min(least, counted_seq(core, node));
    return least;
}

/*
 * Section 3.6.2: an entry of an earlier term commits with one of this term, or if every replica holds it, for then no
 * leader can come that lacks it. The second is for a log that is full of null batches alone, whose leader cannot append
 * one of its own.
 */
static uint64_t committed_seq(const struct ord_core *core) {
    uint64_t seq = majority_seq(core);
    if (seq <= core->decided_seq || raft_log_term(&core->log, seq) == core->hard.term)
        return seq;
    ORD_MARK(RAFT_COMMIT_OLD_TERM_WAITS); /* row R5, figure 3.7 */
    return raft_log_last_term(&core->log) == core->hard.term ? 0 : common_seq(core);
}

/*
 * Rule 10: what was acknowledged, as far as it is committed. The entry named is committed, so its author's log never
 * ends before it again unless its disk forgets.
 */
static void bind(struct ord_core *core, uint64_t seq) {
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        uint64_t acked_seq = node == core->config.self ? 0 : ord_min(counted_seq(core, node), seq);
        /* What was acknowledged once binds, also when its author has forgotten it since. */
        if (acked_seq < core->log.base_seq || acked_seq <= core->bindings.of[node].acked_seq)
            continue;
        core->bindings.of[node].acked_seq = acked_seq;
        core->bindings.of[node].acked_term = raft_log_term(&core->log, acked_seq);
    }
    core->bindings_due = true;
}

void raft_commit_check(struct ord_core *core) {
    if (core->role != RAFT_LEADER)
        return;
    uint64_t seq = committed_seq(core);
    if (seq <= core->decided_seq)
        return;
    ORD_MARK_IF(seq > core->log.durable_seq, RAFT_COMMIT_BEFORE_DURABLE);
    bind(core, seq);
    raft_commit_to(core, seq);
}

void raft_commit_to(struct ord_core *core, uint64_t seq) {
    ORD_ASSERT(seq <= core->log.last_seq);
    core->decided_seq = ord_max(core->decided_seq, seq);
    raft_deliver(core);
}

void raft_deliver(struct ord_core *core) {
    if (core->deliver_turn != core->turn) {
        core->deliver_turn = core->turn;
        core->delivered_bytes = 0;
    }
    uint64_t before = core->commit_seq;
    while (core->commit_seq < core->decided_seq && core->delivered_bytes < DELIVER_BYTES) {
        core->commit_seq++;
        struct ord_effect *effect = raft_effect(core, ORD_EFFECT_DELIVER);
        effect->deliver.seq = core->commit_seq;
        effect->deliver.term = raft_log_term(&core->log, core->commit_seq);
        effect->deliver.batch = raft_log_batch(&core->log, core->commit_seq);
        core->delivered_bytes += effect->deliver.batch.size;
    }
    ORD_MARK_IF(core->commit_seq < core->decided_seq, RAFT_DELIVERS_LATER);
    if (core->commit_seq > before)
        raft_stable_check(core);
}
