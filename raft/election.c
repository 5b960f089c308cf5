/*
 * Elections: section 3.4, with PreVote (9.6), the lease of a leader that was heard lately (4.2.3) and CheckQuorum
 * (6.2). Rules 1 to 4.
 */
#include "raft/raft_internal.h"

#include <string.h>

#include "core/assert.h"

/* SplitMix64: the only randomness, from the seed of init. */
static uint64_t next_random(struct ord_core *core) {
    core->random += 0x9e3779b97f4a7c15U;
    uint64_t z = core->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void raft_election_reset(struct ord_core *core) {
    uint64_t spread = core->options->election_ms_max - core->options->election_ms_min;
    core->election_ms = core->now_ms + core->options->election_ms_min + next_random(core) % (spread + 1);
}

void raft_become_follower(struct ord_core *core, uint64_t term, ord_node_id leader) {
    ORD_ASSERT(term >= core->hard.term);
    if (term > core->hard.term) {
        core->hard.term = term;
        core->hard.vote = ORD_NO_NODE;
        core->hard.spent = false;
        raft_persist_hard(core);
    }
    core->scheduled = core->role == RAFT_LEADER && core->leaving;
    core->role = RAFT_FOLLOWER;
    core->granted = 0; /* it leads no term twice */
    core->leader = leader;
    core->successor = ORD_NO_NODE;
    core->leaving = false;
    raft_election_reset(core);
}

void raft_step_down(struct ord_core *core, bool scheduled) {
    raft_become_follower(core, core->hard.term, ORD_NO_NODE);
    core->scheduled = core->scheduled || scheduled;
}

static void request_votes(struct ord_core *core) {
    bool pre = core->role == RAFT_PRE_CANDIDATE;
    struct raft_message request = {.type = RAFT_VOTE_REQUEST,
                                   .term = core->hard.term + (pre ? 1 : 0),
                                   .pre = pre,
                                   .transfer = core->by_transfer,
                                   .seq = core->log.last_seq,
                                   .seq_term = raft_log_last_term(&core->log),
                                   .life = core->recovery.life};
    core->retry_ms = core->now_ms + core->config.retransmit_ms;
    raft_send(core, core->others & ~(pre ? core->pre_granted : core->granted), &request, true);
}

static void lead(struct ord_core *core) {
    core->role = RAFT_LEADER;
    core->leader = core->config.self;
    core->scheduled = core->by_transfer;
    core->successor = ORD_NO_NODE;
    core->leaving = false;
    raft_progress_reset(core);
    core->heartbeat_ms = core->now_ms + core->options->heartbeat_ms;
    if (raft_append_null(core))
        raft_replicate(core);
    else
        raft_heartbeat(core);
}

void raft_election_persisted(struct ord_core *core) {
    if (core->role == RAFT_ELECTED && core->persisted_turn >= core->elected_turn)
        lead(core);
}

static void count_votes(struct ord_core *core);

/* Begins an election in the next term: section 3.4. */
static void become_candidate(struct ord_core *core) {
    core->hard.term++;
    core->hard.vote = core->config.self;
    core->hard.spent = false;
    raft_persist_hard(core);
    core->role = RAFT_CANDIDATE;
    core->leader = ORD_NO_NODE;
    core->granted = ord_replica_bit(core->config.self);
    core->detail.elections++;
    raft_election_reset(core);
    request_votes(core);
    count_votes(core);
}

/* Rule 4: who granted is durable before this replica leads. */
static void become_elected(struct ord_core *core) {
    core->role = RAFT_ELECTED;
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        if (node != core->config.self && (core->granted & ord_replica_bit(node)) != 0)
            core->bindings.of[node].granted_term = core->hard.term;
    raft_persist_bindings(core);
    core->elected_turn = core->turn;
}

/*
 * A vote of the present term may come after the next PreVote has begun: disks may be slower than the clocks. Once this
 * replica has followed anybody in the term, or led, its own vote is not among `granted` any more.
 */
static bool stands(const struct ord_core *core) {
    return (core->role == RAFT_CANDIDATE || core->role == RAFT_PRE_CANDIDATE) &&
           (core->granted & ord_replica_bit(core->config.self)) != 0;
}

static void count_votes(struct ord_core *core) {
    if (stands(core) && ord_replica_count(core->granted) >= core->majority)
        become_elected(core);
    else if (core->role == RAFT_PRE_CANDIDATE && ord_replica_count(core->pre_granted) >= core->majority)
        become_candidate(core);
}

void raft_campaign(struct ord_core *core, bool by_transfer) {
    ORD_ASSERT(raft_speaks(core) && core->role != RAFT_LEADER && core->role != RAFT_ELECTED);
    ORD_MARK_IF(core->role == RAFT_CANDIDATE, RAFT_VOTE_SPLIT);
    core->by_transfer = by_transfer;
    core->scheduled = by_transfer;
    if (by_transfer) {
        become_candidate(core);
        return;
    }
    /* A PreVote changes nothing (9.6), and its first round may end with the leader being heard again. */
    if (core->role == RAFT_PRE_CANDIDATE)
        core->leader = ORD_NO_NODE;
    core->role = RAFT_PRE_CANDIDATE;
    core->pre_granted = ord_replica_bit(core->config.self);
    raft_election_reset(core);
    request_votes(core);
    count_votes(core);
}

static void answer_vote(struct ord_core *core, const struct raft_message *request, bool granted) {
    struct raft_message answer = {.type = RAFT_VOTE_ANSWER,
                                  .pre = request->pre,
                                  .granted = granted,
                                  .asked_term = request->term,
                                  .asked_life = request->life,
                                  .life = core->recovery.life};
    raft_send(core, ord_replica_bit(request->sender), &answer, true);
}

/* Section 4.2.3: a leader that was heard within the shortest election timeout is not to be disturbed. */
static bool in_lease(const struct ord_core *core) {
    if (core->role == RAFT_LEADER || core->role == RAFT_ELECTED)
        return true;
    return core->leader != ORD_NO_NODE && core->now_ms - core->heard_ms < core->options->election_ms_min;
}

static bool log_suffices(const struct ord_core *core, const struct raft_message *request) {
    bool suffices =
        raft_up_to_date(request->seq_term, request->seq, raft_log_last_term(&core->log), core->log.last_seq);
    ORD_MARK_IF(!suffices, RAFT_VOTE_OLD_LOG);
    return suffices;
}

void raft_on_vote_request(struct ord_core *core, const struct raft_message *message) {
    if (!raft_speaks(core) || core->storage_gone || !raft_lives(core, message)) {
        core->messages_dropped++;
        return;
    }
    if (message->term < core->hard.term || (message->pre && message->term == core->hard.term)) {
        /* The candidate learns the term, and asks again in a later one (row R15). */
        answer_vote(core, message, false);
        return;
    }
    if (!message->transfer && in_lease(core)) {
        ORD_MARK(RAFT_VOTE_IN_LEASE);
        core->messages_dropped++;
        return;
    }
    if (message->pre) {
        answer_vote(core, message, log_suffices(core, message));
        return;
    }
    if (message->term > core->hard.term)
        raft_become_follower(core, message->term, ORD_NO_NODE);
    bool free = !core->hard.spent && (core->hard.vote == ORD_NO_NODE || core->hard.vote == message->sender);
    ORD_MARK_IF(!free, RAFT_VOTE_SPENT);
    bool granted = free && log_suffices(core, message);
    if (granted) {
        core->hard.vote = message->sender;
        core->bindings.of[message->sender].stood_term = message->term;
        raft_persist_hard(core);
        raft_persist_bindings(core);
        raft_election_reset(core);
    }
    answer_vote(core, message, granted);
}

void raft_on_vote_answer(struct ord_core *core, const struct raft_message *message) {
    if (message->term > core->hard.term) {
        raft_become_follower(core, message->term, ORD_NO_NODE);
        return;
    }
    bool expected = message->pre
                        ? core->role == RAFT_PRE_CANDIDATE && message->asked_term == core->hard.term + 1
                        : stands(core) && message->asked_term == core->hard.term && message->term == core->hard.term;
    expected = expected && message->asked_life == core->recovery.life;
    if (!expected || !message->granted || !raft_lives(core, message)) {
        core->messages_dropped++;
        return;
    }
    core->lives[message->sender] = message->life;
    *(message->pre ? &core->pre_granted : &core->granted) |= ord_replica_bit(message->sender);
    count_votes(core);
}

void raft_election_tick(struct ord_core *core) {
    if (core->role == RAFT_LEADER || core->role == RAFT_ELECTED || !raft_speaks(core) || core->storage_gone)
        return;
    if (core->now_ms >= core->election_ms)
        raft_campaign(core, false);
    else if (core->role != RAFT_FOLLOWER && core->now_ms >= core->retry_ms)
        request_votes(core);
}
