/*
 * A voter that lost its disk, or got an older one back, does not vote twice: rule 12. Viewstamped Replication Revisited
 * (Liskov and Cowling, 2012), section 4.3, and CTRL (Alagappan and others, FAST'18). Each start begins with ASK. RECALL
 * answers with what the sender's durable records say of the asker, and with how far the sender is itself.
 */
#include "raft/raft_internal.h"

#include <string.h>

#include "core/assert.h"

bool raft_is_blank(const struct ord_core *core) {
    return core->hard.silent && core->hard.term == 0 && core->log.last_seq == 0;
}

/*
 * Answers that count. Where anybody has said anything, this replica included, those that never said a thing may have
 * lost it.
 */
static uint32_t count_answers(const struct ord_core *core) {
    const struct raft_recovery *recovery = &core->recovery;
    bool fresh = recovery->term == 0 && recovery->end_seq == 0 && core->hard.term == 0;
    return ord_replica_count(fresh ? recovery->counted : recovery->counted & ~recovery->blank);
}

/*
 * One that has forgotten needs f + 1 that have not: at least one of them is in the majority of any vote and commitment
 * that it took part in. And it needs an answer of every other replica, so that nobody holds a word of an earlier life
 * and has not used it yet: whoever answers has dropped what it had, and one that restarts has lost it. One that may be
 * intact needs a majority with itself, as for anything else.
 */
static bool has_answers(const struct ord_core *core) {
    uint32_t others = core->config.replica_count - 1;
    uint32_t faulty_max = core->config.replica_count - core->majority;
    if (!core->hard.silent)
        return count_answers(core) >= core->majority - 1;
    return core->recovery.told == core->others && count_answers(core) >= ord_min(faulty_max + 1, others);
}

static void bound_from_answers(struct ord_core *core) {
    struct raft_hard *hard = &core->hard;
    const struct raft_recovery *recovery = &core->recovery;
    hard->bound_term = ord_max(hard->bound_term, recovery->term);
    if (raft_up_to_date(recovery->end_term, recovery->end_seq, hard->end_term, hard->end_seq)) {
        hard->end_term = recovery->end_term;
        hard->end_seq = recovery->end_seq;
    }
}

static void ask(struct ord_core *core) {
    struct raft_recovery *recovery = &core->recovery;
    ord_replica_set settled = recovery->asking ? recovery->counted & ~recovery->blank : recovery->told;
    ord_replica_set missing = core->others & ~settled;
    if (missing == 0) {
        recovery->ask_ms = UINT64_MAX;
        return;
    }
    struct raft_message message = {.type = RAFT_ASK, .life = recovery->life};
    raft_send(core, missing, &message, true);
    recovery->ask_ms = core->now_ms + (recovery->asking ? 1 : 10) * (uint64_t) core->config.retransmit_ms;
}

void raft_recovery_start(struct ord_core *core) {
    core->recovery.asking = core->others != 0;
    core->recovery.ask_ms = UINT64_MAX;
    if (!core->halted) /* it takes no part any more, and would drop the answers */
        ask(core);
}

void raft_recovery_tick(struct ord_core *core) {
    if (core->recovery.ask_ms <= core->now_ms)
        ask(core);
}

static void answer(struct ord_core *core, ord_node_id node) {
    const struct raft_binding *binding = &core->bindings.of[node];
    struct raft_message answer = {.type = RAFT_RECALL,
                                  .silent = core->hard.silent || core->halted,
                                  .empty = raft_is_blank(core),
                                  .life = core->lives[node],
                                  .granted_term = binding->granted_term,
                                  .stood_term = binding->stood_term,
                                  .acked_term = binding->acked_term,
                                  .acked_seq = binding->acked_seq,
                                  .seq = core->log.last_seq,
                                  .seq_term = raft_log_last_term(&core->log)};
    raft_send(core, ord_replica_bit(node), &answer, true);
}

bool raft_lives(struct ord_core *core, const struct raft_message *message) {
    uint64_t life = core->lives[message->sender];
    if (life == 0 || life == message->life)
        return true;
    ORD_MARK(RAFT_OTHER_LIFE);
    answer(core, message->sender);
    return false;
}

void raft_on_ask(struct ord_core *core, const struct raft_message *message) {
    ord_node_id node = message->sender;
    if (core->lives[node] != message->life) {
        /* What it said in an earlier life and has not been used must be said again. */
        core->lives[node] = message->life;
        raft_progress_forget(core, node);
        core->granted &= ~ord_replica_bit(node);
        core->pre_granted &= ~ord_replica_bit(node);
    }
    answer(core, node);
}

/* This replica voted for `node` in `term`, and does not hold that. A vote in a spent term does no harm. */
static bool vote_lost(const struct ord_core *core, uint64_t term, ord_node_id node) {
    const struct raft_hard *hard = &core->hard;
    return term > hard->term || (term == hard->term && term > 0 && !hard->spent && hard->vote != node);
}

/*
 * The records of another replica name a vote, a candidacy, an acknowledgement or an entry of this one as a leader, and
 * it does not hold that.
 */
static bool proves_loss(const struct ord_core *core, const struct raft_message *message) {
    return vote_lost(core, message->granted_term, message->sender) ||
           vote_lost(core, message->stood_term, core->config.self) ||
           !raft_up_to_date(raft_log_last_term(&core->log), core->log.last_seq, message->acked_term,
                            message->acked_seq);
}

static void fall_silent(struct ord_core *core) {
    ORD_MARK(RAFT_FORGOT);
    core->hard.silent = true;
    core->recovery.asking = true; /* f + 1 answers are needed now */
    core->recovery.ask_ms = core->now_ms;
    bound_from_answers(core);
    raft_persist_hard(core);
    if (core->role != RAFT_FOLLOWER)
        raft_step_down(core, false);
}

static void note_answer(struct ord_core *core, const struct raft_message *message) {
    struct raft_recovery *recovery = &core->recovery;
    ord_replica_set bit = ord_replica_bit(message->sender);
    recovery->told |= bit;
    recovery->term = ord_max(recovery->term, message->term);
    if (raft_up_to_date(message->seq_term, message->seq, recovery->end_term, recovery->end_seq)) {
        recovery->end_term = message->seq_term;
        recovery->end_seq = message->seq;
    }
    recovery->blank = message->empty ? recovery->blank | bit : recovery->blank & ~bit;
    if (message->silent && !message->empty) {
        ORD_MARK(RAFT_RECALL_UNCOUNTED);
        recovery->counted &= ~bit;
    } else {
        recovery->counted |= bit;
    }
}

void raft_on_recall(struct ord_core *core, const struct raft_message *message) {
    struct raft_recovery *recovery = &core->recovery;
    if (message->life != recovery->life) {
        /* An ASK of an earlier life was late, and its receiver takes that life for the present one. */
        core->messages_dropped++;
        recovery->told &= ~ord_replica_bit(message->sender);
        recovery->counted &= ~ord_replica_bit(message->sender);
        recovery->ask_ms = core->now_ms;
        return;
    }
    if (message->empty > message->silent) {
        core->messages_dropped++;
        return;
    }
    note_answer(core, message);
    if (!core->hard.silent && !core->halted && proves_loss(core, message))
        fall_silent(core);
    if (!recovery->asking || !has_answers(core))
        return;
    recovery->asking = false;
    if (core->hard.silent) {
        bound_from_answers(core);
        raft_persist_hard(core);
        /* Others may never reach a term that only the dead have seen; so it is this replica's from now on. */
        raft_become_follower(core, ord_max(core->hard.term, core->hard.bound_term), ORD_NO_NODE);
    }
    raft_election_reset(core);
}

void raft_recovery_check(struct ord_core *core) {
    struct raft_hard *hard = &core->hard;
    const struct raft_log *log = &core->log;
    if (!hard->silent || core->recovery.asking || core->halted ||
        !raft_up_to_date(raft_log_term(log, log->durable_seq), log->durable_seq, hard->end_term, hard->end_seq))
        return;
    /* It entered bound_term, or a later term, when the last answer came; and no term is ever lowered. */
    ORD_ASSERT(hard->term >= hard->bound_term);
    ORD_MARK(RAFT_SILENCE_ENDS);
    hard->silent = false;
    hard->vote = ORD_NO_NODE;
    hard->spent = true;
    raft_persist_hard(core);
    raft_election_reset(core);
}
