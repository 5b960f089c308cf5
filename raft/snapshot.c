/*
 * Snapshot points: chapter 5. The ledger is the state, so a point is its seq, the term of the entry there, and a
 * certificate; the node transfers the rest. Rule 11.
 */
#include "raft/raft_internal.h"

#include <string.h>

#include "core/assert.h"

void raft_proof_set(struct raft_proof *proof, uint64_t seq, struct ord_span certificate) {
    proof->seq = seq;
    proof->size = certificate.size;
    if (certificate.size > 0) /* an empty certificate has no address */
        memmove(proof->bytes, certificate.data, certificate.size);
}

static struct ord_span certificate_of(const struct raft_proof *proof) {
    return ord_span_of(proof->bytes, proof->size);
}

void raft_send_point(struct ord_core *core, ord_node_id to) {
    struct raft_progress *peer = &core->peers[to];
    peer->flow = RAFT_POINT;
    peer->flying = 0;
    peer->stall_seq = 0; /* entries that are on their way come too early to follow on the point */
    peer->moved_ms = core->now_ms;
    /* State transfer may have ended where no certificate is yet; the next one brings it. */
    if (core->point.size == 0)
        return;
    ORD_MARK(RAFT_POINT_SENT);
    struct raft_message message = {.type = RAFT_SNAPSHOT,
                                   .seq = core->log.base_seq,
                                   .seq_term = core->log.base_term,
                                   .body = certificate_of(&core->point)};
    raft_send(core, ord_replica_bit(to), &message, false);
}

/* The base moved: keeps the point, and drops the records of what lies below. */
static void persist_point(struct ord_core *core) {
    size_t begin = core->outbox.size;
    raft_point_encode(&core->outbox, core->config.epoch, core->log.base_seq, core->log.base_term,
                      certificate_of(&core->point));
    ORD_ASSERT(!core->outbox.failed);
    raft_persist(core, RAFT_TABLE_POINT, 1, ord_span_of(core->outbox.data + begin, core->outbox.size - begin));
    struct ord_effect *effect = raft_effect(core, ORD_EFFECT_FORGET);
    effect->forget.table = RAFT_TABLE_LOG;
    effect->forget.key = core->log.base_seq;
}

static uint64_t bytes_up_to(const struct ord_core *core, uint64_t seq) {
    uint64_t bytes = 0;
    for (uint64_t s = core->log.base_seq + 1; s <= seq; s++)
        bytes += raft_log_batch(&core->log, s).size;
    return bytes;
}

static bool cut_is_due(const struct ord_core *core, uint64_t seq) {
    const struct raft_options *options = core->options;
    const struct raft_log *log = &core->log;
    /* A point without a certificate is of no use to a follower. */
    if (core->cut_wanted || (log->base_seq > 0 && core->point.size == 0))
        return true;
    return (options->snapshot_bytes > 0 && bytes_up_to(core, seq) >= options->snapshot_bytes) ||
           2 * (log->last_seq - log->base_seq) >= core->config.window || 2 * log->bytes >= log->bytes_max;
}

static void cut_at_stable(struct ord_core *core) {
    uint64_t seq = core->stable.seq;
    core->cut_wanted = false;
    raft_log_rebase(&core->log, core->turn, seq, raft_log_term(&core->log, seq));
    raft_proof_set(&core->point, seq, certificate_of(&core->stable));
    persist_point(core);
}

void raft_stable_check(struct ord_core *core) {
    uint64_t seq = core->attested.seq;
    if (seq <= core->stable.seq || seq > core->commit_seq)
        return;
    raft_proof_set(&core->stable, seq, certificate_of(&core->attested));
    if (seq > core->log.base_seq && cut_is_due(core, seq))
        cut_at_stable(core);
}

bool raft_make_room_to_propose(struct ord_core *core, size_t batch_size) {
    if (!raft_has_room(core, batch_size) && core->stable.seq > core->log.base_seq)
        cut_at_stable(core);
    return raft_has_room(core, batch_size);
}

bool raft_make_room(struct ord_core *core, size_t batch_size) {
    if (!raft_log_has_room(&core->log, batch_size) && core->stable.seq > core->log.base_seq)
        cut_at_stable(core);
    return raft_log_has_room(&core->log, batch_size);
}

enum ord_err raft_on_attested(struct ord_core *core, const struct ord_event *event) {
    const uint64_t seq = event->attested.seq;
    const struct ord_span certificate = event->attested.certificate;
    if (seq == 0 || seq > RAFT_NUMBER_MAX || certificate.size == 0 ||
        certificate.size > core->options->checkpoints.size_max)
        return ORD_ERR_INVALID;
    core->cut_wanted |= event->attested.cut;
    /* One that lies ahead of us stays until it is reached; otherwise newer ones would displace it for ever. */
    bool waits = core->attested.seq > core->commit_seq;
    if (seq <= core->stable.seq || (waits && seq > core->attested.seq))
        return ORD_OK;
    raft_proof_set(&core->attested, seq, certificate);
    raft_stable_check(core);
    return ORD_OK;
}

void raft_on_snapshot(struct ord_core *core, const struct raft_message *message) {
    if (!raft_follow(core, message))
        return;
    if (message->seq <= core->commit_seq) {
        raft_answer_append(core, message->sender, core->commit_seq);
        return;
    }
    if (core->now_ms < core->sync_after_ms)
        return;
    core->sync_after_ms = core->now_ms + 4 * (uint64_t) core->config.retransmit_ms;
    core->wanted_seq = message->seq;
    core->wanted_term = message->seq_term;
    raft_proof_set(&core->attested, message->seq, message->body);
    struct ord_effect *effect = raft_effect(core, ORD_EFFECT_SYNC);
    effect->sync.seq = message->seq;
    effect->sync.certificate = certificate_of(&core->attested);
}

/* Section 5.1, and rule 11: what follows on the point stays, all else goes (row R18). */
static void install(struct ord_core *core, uint64_t seq, uint64_t term) {
    struct raft_log *log = &core->log;
    bool follows = seq <= log->last_seq && raft_log_term(log, seq) == term;
    ORD_MARK_IF(follows && seq < log->last_seq, RAFT_POINT_KEEPS_SUFFIX);
    if (!follows) {
        ORD_MARK_IF(log->last_seq > log->base_seq, RAFT_POINT_DROPS_LOG);
        raft_log_cut(log, log->base_seq);
        struct ord_effect *effect = raft_effect(core, ORD_EFFECT_FORGET_AFTER);
        effect->forget_after.table = RAFT_TABLE_LOG;
        effect->forget_after.key = log->base_seq;
    }
    raft_log_rebase(log, core->turn, seq, term);
    core->commit_seq = seq;
    core->decided_seq = follows ? ord_max(core->decided_seq, seq) : seq;
}

enum ord_err raft_on_synced(struct ord_core *core, const struct ord_event *event) {
    const uint64_t seq = event->synced.seq;
    const uint64_t stable_seq = event->synced.stable_seq;
    const struct ord_span certificate = event->synced.certificate;
    uint64_t term = event->synced.term != 0 ? event->synced.term : seq == core->wanted_seq ? core->wanted_term : 0;
    if (seq == 0 || seq > RAFT_NUMBER_MAX || stable_seq > seq || (stable_seq == 0) != (certificate.size == 0) ||
        certificate.size > core->options->checkpoints.size_max || term > RAFT_NUMBER_MAX ||
        (seq > core->commit_seq && (term == 0 || term < core->log.base_term)))
        return ORD_ERR_INVALID;
    bool moved = seq > core->commit_seq;
    core->sync_after_ms = core->now_ms;
    /* State of a later term than this replica has heard of: no log ends in a term above its own (invariant 7). */
    if (moved && term > core->hard.term)
        raft_become_follower(core, term, ORD_NO_NODE);
    if (moved && (core->role == RAFT_LEADER || core->role == RAFT_ELECTED))
        raft_step_down(core, false); /* others have committed more than this leader knows */
    /* Row R8: the certified state has another entry where one is committed here, and not delivered yet. */
    if (moved && seq <= core->decided_seq && raft_log_term(&core->log, seq) != term)
        raft_halt(core);
    if (moved)
        install(core, seq, term);
    if (stable_seq > core->stable.seq)
        raft_proof_set(&core->stable, stable_seq, certificate);
    if (moved) {
        raft_proof_set(&core->point, seq, stable_seq == seq ? certificate_of(&core->stable) : ord_span_of(NULL, 0));
        persist_point(core);
        raft_stable_check(core);
        if (core->leader != ORD_NO_NODE && core->leader != core->config.self)
            raft_answer_append(core, core->leader, core->commit_seq);
    }
    return ORD_OK;
}
