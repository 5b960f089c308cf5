/*
 * The follower's side of AppendEntries: sections 3.5 and 3.6. Rules 5 and 6. An answer waits for the turn that persists
 * what it acknowledges.
 */
#include "raft/raft_internal.h"

#include "core/assert.h"

void raft_answer_append(struct ord_core *core, ord_node_id to, uint64_t match_seq) {
    struct raft_message answer = {
        .type = RAFT_APPEND_ANSWER, .silent = !raft_speaks(core), .seq = match_seq, .life = core->recovery.life};
    raft_send(core, ord_replica_bit(to), &answer, true);
}

/*
 * Fast backtracking, end of section 3.5: the highest seq here whose entry is of no later term than the leader's entry
 * that does not fit. The leader skips its own entries of later terms than that one.
 */
static void reject(struct ord_core *core, const struct raft_message *message) {
    const struct raft_log *log = &core->log;
    uint64_t hint_seq = ord_min(message->seq - 1, log->last_seq);
    while (hint_seq > log->base_seq && raft_log_term(log, hint_seq) > message->seq_term)
        hint_seq--;
    struct raft_message answer = {.type = RAFT_APPEND_ANSWER,
                                  .rejected = true,
                                  .silent = !raft_speaks(core),
                                  .seq = message->seq,
                                  .hint_seq = hint_seq,
                                  .seq_term = raft_log_term(log, hint_seq),
                                  .life = core->recovery.life};
    raft_send(core, ord_replica_bit(message->sender), &answer, true);
}

bool raft_follow(struct ord_core *core, const struct raft_message *message) {
    if (message->term < core->hard.term) {
        /* The answer tells the term, and the old leader steps down. */
        ORD_MARK(RAFT_APPEND_OLD_TERM);
        raft_answer_append(core, message->sender, 0);
        return false;
    }
    if (message->term == core->hard.term && (core->role == RAFT_LEADER || core->role == RAFT_ELECTED)) {
        core->messages_refused++; /* section 3.4: one leader in a term */
        return false;
    }
    if (message->term > core->hard.term || core->role != RAFT_FOLLOWER)
        raft_become_follower(core, message->term, message->sender);
    core->leader = message->sender;
    core->heard_ms = core->now_ms;
    raft_election_reset(core);
    return true;
}

void raft_halt(struct ord_core *core) {
    ORD_MARK(RAFT_HALTED);
    core->messages_refused++;
    core->halted = core->hard.halted = true;
    core->recovery.ask_ms = UINT64_MAX;
    raft_persist_hard(core);
    raft_step_down(core, false);
}

/*
 * Everything up to commit_seq equals any leader's log (section 3.6.3), and a term has one entry at a seq (3.5), unless
 * a disk has been lost.
 */
static bool contradicts(const struct ord_core *core, const struct raft_message *message) {
    const struct raft_log *log = &core->log;
    uint64_t commit_seq = core->decided_seq;
    if (message->seq >= log->base_seq && message->seq <= commit_seq &&
        raft_log_term(log, message->seq) != message->seq_term)
        return true;
    uint64_t seq = message->seq + 1;
    if (!message->has_entry || seq <= log->base_seq || seq > log->last_seq)
        return false;
    if (raft_log_term(log, seq) != message->entry_term)
        return seq <= commit_seq;
    return !ord_span_equal(raft_log_batch(log, seq), message->body);
}

/* Puts the entry behind the one that matches. False: there is no room. */
static bool take_entry(struct ord_core *core, const struct raft_message *message) {
    struct raft_log *log = &core->log;
    uint64_t seq = message->seq + 1;
    if (seq <= log->last_seq) {
        if (raft_log_term(log, seq) == message->entry_term) {
            ORD_MARK(RAFT_APPEND_AGAIN);
            return true;
        }
        ORD_MARK(RAFT_APPEND_CUTS);
        raft_log_cut(log, message->seq);
        struct ord_effect *effect = raft_effect(core, ORD_EFFECT_FORGET_AFTER);
        effect->forget_after.table = RAFT_TABLE_LOG;
        effect->forget_after.key = message->seq;
    }
    if (!raft_make_room(core, message->body.size)) {
        ORD_MARK(RAFT_APPEND_NO_ROOM);
        core->messages_dropped++;
        return false;
    }
    raft_persist(core, RAFT_TABLE_LOG, seq,
                 raft_log_add(log, core->config.epoch, message->entry_term, core->turn, message->body));
    core->entry_turn = core->turn;
    return true;
}

/*
 * Rule 10: the leader's disk holds what is committed up to own_seq. If it goes back in time, the leader may lead the
 * same term again, or vote for one that lacks it. So its followers remember that, with the entries that they write.
 */
static void bind_leader(struct ord_core *core, const struct raft_message *message, uint64_t end_seq) {
    struct raft_binding *binding = &core->bindings.of[message->sender];
    uint64_t seq = ord_min(message->own_seq, end_seq);
    if (seq <= binding->acked_seq || seq < core->log.base_seq)
        return;
    binding->acked_seq = seq;
    binding->acked_term = raft_log_term(&core->log, seq);
    core->bindings_new = true;
}

void raft_on_append(struct ord_core *core, const struct raft_message *message) {
    if (!raft_follow(core, message))
        return;
    struct raft_log *log = &core->log;
    if (contradicts(core, message)) {
        raft_halt(core);
        return;
    }
    uint64_t end_seq = message->seq + (message->has_entry ? 1 : 0);
    if (end_seq <= core->commit_seq) {
        ORD_MARK_IF(message->has_entry, RAFT_APPEND_AGAIN);
        raft_answer_append(core, message->sender, core->commit_seq);
        return;
    }
    if (message->seq > log->last_seq || raft_log_term(log, message->seq) != message->seq_term) {
        ORD_MARK(RAFT_APPEND_GAP);
        reject(core, message);
        return;
    }
    if (message->has_entry && !take_entry(core, message))
        return;
    bind_leader(core, message, end_seq);
    /* Row R20: what lies beyond the entries of this message may not be the leader's. */
    raft_commit_to(core, ord_min(message->commit_seq, end_seq));
    raft_answer_append(core, message->sender, end_seq);
}
