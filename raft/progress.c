/*
 * The leader's side of AppendEntries: section 3.5; pipelining and flow control as in section 10.2.2 and etcd's
 * Progress. Rules 7 and 8. Entries leave before they are durable here (section 10.2.1). This replica's own share of a
 * majority is what is durable.
 */
#include "raft/raft_internal.h"

#include "core/assert.h"

static void reset_one(struct ord_core *core, ord_node_id node) {
    core->peers[node] = (struct raft_progress) {
        .flow = RAFT_PROBE, .next_seq = core->log.last_seq + 1, .heard_ms = core->now_ms, .moved_ms = core->now_ms};
}

void raft_progress_reset(struct ord_core *core) {
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        reset_one(core, node);
}

void raft_progress_forget(struct ord_core *core, ord_node_id node) {
    if (core->role != RAFT_LEADER)
        return;
    uint64_t heard_ms = core->peers[node].heard_ms;
    reset_one(core, node);
    core->peers[node].heard_ms = heard_ms;
    core->peers[node].next_seq = core->log.last_seq; /* there is one: the null batch, or a log that is full */
}

static void send_entry(struct ord_core *core, ord_node_id to, uint64_t seq) {
    const struct raft_log *log = &core->log;
    struct raft_message append = {.type = RAFT_APPEND,
                                  .seq = seq - 1,
                                  .seq_term = raft_log_term(log, seq - 1),
                                  .commit_seq = core->commit_seq,
                                  .own_seq = raft_own_seq(core),
                                  .has_entry = true,
                                  .entry_term = raft_log_term(log, seq),
                                  .body = raft_log_batch(log, seq)};
    raft_send(core, ord_replica_bit(to), &append, false);
    core->peers[to].told_seq = ord_max(core->peers[to].told_seq, ord_min(core->commit_seq, seq));
}

uint64_t raft_own_seq(const struct ord_core *core) {
    return ord_min(core->log.kept_seq, core->commit_seq);
}

static size_t size_of(const struct ord_core *core, uint64_t seq) {
    return RAFT_APPEND_SIZE + raft_log_batch(&core->log, seq).size;
}

static void replicate_to(struct ord_core *core, ord_node_id node) {
    struct raft_progress *peer = &core->peers[node];
    while (peer->next_seq <= core->log.last_seq && peer->flow != RAFT_POINT) {
        if (peer->next_seq <= core->log.base_seq) {
            raft_send_point(core, node);
            return;
        }
        if (peer->flow == RAFT_PROBE) {
            if (peer->probing)
                return;
            peer->probing = true;
            peer->moved_ms = core->now_ms;
            send_entry(core, node, peer->next_seq);
            return;
        }
        uint64_t count = peer->next_seq - 1 - peer->match_seq;
        size_t size = size_of(core, peer->next_seq);
        /* Row R23: one entry may always be on its way, however large it is. */
        if (count >= core->options->in_flight_max ||
            (count > 0 && peer->flying + size > core->options->in_flight_size)) {
            ORD_MARK(RAFT_FLOW_FULL);
            return;
        }
        if (count == 0)
            peer->moved_ms = core->now_ms;
        send_entry(core, node, peer->next_seq);
        peer->flying += size;
        peer->next_seq++;
    }
}

void raft_replicate(struct ord_core *core) {
    for (ord_node_id node = 0; node < core->config.replica_count && core->role == RAFT_LEADER; node++)
        if (node != core->config.self)
            replicate_to(core, node);
}

/*
 * Looks anew where the follower's log ends. What is on its way counts as lost, unless an answer shows that it is not.
 */
static void probe(struct ord_core *core, struct raft_progress *peer, uint64_t next_seq) {
    /* A stall after which only the probe arrived was a loss. */
    bool stalled = peer->flow == RAFT_REPLICATE && next_seq == peer->match_seq + 1;
    peer->stall_seq = stalled && peer->match_seq != peer->resumed_seq ? peer->next_seq : 0;
    peer->resumed_seq = 0;
    peer->flow = RAFT_PROBE;
    peer->probing = false;
    peer->next_seq = ord_max(next_seq, peer->match_seq + 1);
    peer->flying = 0;
    peer->moved_ms = core->now_ms;
}

/* Section 3.5: skips entries of later terms than the follower's, a term at a time. */
static void backtrack(struct ord_core *core, struct raft_progress *peer, const struct raft_message *message) {
    const struct raft_log *log = &core->log;
    bool current = peer->flow == RAFT_REPLICATE ? message->seq > peer->match_seq && message->seq < peer->next_seq
                                                : peer->flow == RAFT_PROBE && message->seq == peer->next_seq - 1;
    if (!current || message->seq <= peer->match_seq) {
        ORD_MARK(RAFT_ANSWER_STALE);
        core->messages_dropped++;
        return;
    }
    peer->stall_seq = 0;
    uint64_t seq = ord_min(message->hint_seq, log->last_seq);
    while (seq > log->base_seq && raft_log_term(log, seq) > message->seq_term)
        seq--;
    probe(core, peer, seq + 1);
}

/* What is on its way still; the entries that the snapshot point has passed weigh nothing. */
static uint64_t flying_bytes(const struct ord_core *core, const struct raft_progress *peer) {
    uint64_t bytes = 0;
    for (uint64_t seq = ord_max(peer->match_seq, core->log.base_seq) + 1; seq < peer->next_seq; seq++)
        bytes += size_of(core, seq);
    return bytes;
}

static void matched(struct ord_core *core, struct raft_progress *peer, uint64_t seq) {
    ORD_MARK_IF(seq <= peer->match_seq, RAFT_ANSWER_STALE);
    if (seq > peer->match_seq) {
        peer->match_seq = seq;
        peer->moved_ms = core->now_ms;
    }
    if (peer->flow == RAFT_REPLICATE) {
        peer->next_seq = ord_max(peer->next_seq, peer->match_seq + 1);
        peer->flying = flying_bytes(core, peer);
    } else if (peer->flow == RAFT_PROBE || peer->match_seq >= core->log.base_seq) {
        /* After a stall that was no loss, the rest of what was on its way is coming. */
        peer->flow = RAFT_REPLICATE;
        peer->next_seq = ord_max(peer->match_seq + 1, peer->stall_seq);
        peer->resumed_seq = peer->stall_seq > 0 ? peer->match_seq : 0;
        ORD_MARK_IF(peer->stall_seq > peer->match_seq + 1, RAFT_FLOW_RESUMED);
        peer->stall_seq = 0;
        peer->flying = flying_bytes(core, peer);
    }
}

void raft_on_append_answer(struct ord_core *core, const struct raft_message *message) {
    if (message->term > core->hard.term) {
        raft_become_follower(core, message->term, ORD_NO_NODE);
        return;
    }
    if (core->role != RAFT_LEADER || message->term != core->hard.term) {
        core->messages_dropped++; /* row R22 */
        return;
    }
    if (!raft_lives(core, message) || (!message->rejected && message->seq > core->log.last_seq)) {
        core->messages_dropped++;
        return;
    }
    core->lives[message->sender] = message->life;
    struct raft_progress *peer = &core->peers[message->sender];
    peer->heard_ms = core->now_ms;
    peer->silent = message->silent;
    if (message->rejected)
        backtrack(core, peer, message);
    else
        matched(core, peer, message->seq);
    raft_commit_check(core);
    raft_replicate(core);
    raft_transfer_check(core);
}

/* An APPEND without an entry. */
static void send_heartbeat(struct ord_core *core, ord_node_id node, uint64_t seq) {
    struct raft_message append = {.type = RAFT_APPEND,
                                  .seq = seq,
                                  .seq_term = seq == 0 ? 0 : raft_log_term(&core->log, seq),
                                  .commit_seq = core->commit_seq,
                                  .own_seq = raft_own_seq(core)};
    raft_send(core, ord_replica_bit(node), &append, false);
    core->peers[node].told_seq = ord_max(core->peers[node].told_seq, ord_min(core->commit_seq, seq));
}

void raft_tell_commit(struct ord_core *core) {
    if (core->role != RAFT_LEADER)
        return;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        const struct raft_progress *peer = &core->peers[node];
        uint64_t seq = ord_min(core->commit_seq, peer->match_seq);
        if (node != core->config.self && peer->flow == RAFT_REPLICATE && seq > peer->told_seq &&
            peer->match_seq >= core->log.base_seq)
            send_heartbeat(core, node, peer->match_seq);
    }
}

static void heartbeat_to(struct ord_core *core, ord_node_id node) {
    struct raft_progress *peer = &core->peers[node];
    uint64_t waited_ms = core->now_ms - peer->moved_ms;
    bool flies = peer->flow == RAFT_REPLICATE && peer->next_seq - 1 > peer->match_seq;
    if ((flies || peer->flow == RAFT_PROBE) && waited_ms >= core->config.retransmit_ms) {
        ORD_MARK_IF(flies, RAFT_FLOW_STALLED);
        core->retransmissions++;
        probe(core, peer, flies ? peer->match_seq + 1 : peer->next_seq);
    }
    if (peer->flow == RAFT_POINT && waited_ms >= 4 * (uint64_t) core->config.retransmit_ms)
        raft_send_point(core, node);
    /* In REPLICATE it must not name what is on its way, which it may overtake. */
    uint64_t seq = peer->flow == RAFT_PROBE ? peer->next_seq - 1 : peer->match_seq;
    send_heartbeat(core, node, seq < core->log.base_seq ? 0 : seq);
}

void raft_heartbeat(struct ord_core *core) {
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        if (node != core->config.self)
            heartbeat_to(core, node);
    core->heartbeat_ms = core->now_ms + core->options->heartbeat_ms;
}

/* Section 6.2: a leader that no majority has answered for an election timeout steps down (rows R6, R14). */
static bool has_quorum(const struct ord_core *core) {
    uint32_t count = 1;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        const struct raft_progress *peer = &core->peers[node];
        count += node != core->config.self && !peer->silent &&
                 core->now_ms - peer->heard_ms < core->options->election_ms_max;
    }
    return count >= core->majority;
}

void raft_leader_tick(struct ord_core *core) {
    if (core->role != RAFT_LEADER)
        return;
    if (!has_quorum(core)) {
        ORD_MARK(RAFT_QUORUM_LOST);
        raft_step_down(core, false);
        return;
    }
    if (core->now_ms < core->heartbeat_ms)
        return;
    (void) raft_append_null(core); /* unless it has been there since the election */
    raft_heartbeat(core);
    raft_replicate(core);
    core->told_successor = false; /* it may not have heard */
    raft_transfer_check(core);
}

void raft_append_own(struct ord_core *core, struct ord_span batch) {
    ORD_ASSERT(core->role == RAFT_LEADER);
    struct ord_span record = raft_log_add(&core->log, core->config.epoch, core->hard.term, core->turn, batch);
    raft_persist(core, RAFT_TABLE_LOG, core->log.last_seq, record);
}

bool raft_append_null(struct ord_core *core) {
    if (raft_log_last_term(&core->log) == core->hard.term)
        return true;
    if (!raft_make_room(core, 0)) {
        ORD_MARK(RAFT_ELECTED_NO_ROOM);
        return false;
    }
    raft_append_own(core, ord_span_of(NULL, 0));
    return true;
}

bool raft_has_room(const struct ord_core *core, size_t batch_size) {
    return core->log.last_seq - core->log.base_seq < core->config.window && raft_log_has_room(&core->log, batch_size);
}

/*
 * A new leader waits until its null batch is committed (section 6.4). Then all that earlier leaders left is executed,
 * and it proposes none of that again.
 */
bool raft_may_propose(const struct ord_core *core) {
    return core->role == RAFT_LEADER && !core->leaving && core->log.last_seq < core->limit_seq &&
           raft_log_term(&core->log, core->commit_seq) == core->hard.term;
}

void raft_on_propose(struct ord_core *core, struct ord_span batch) {
    enum ord_err err = ORD_OK;
    if (batch.size == 0 || batch.size > core->config.batch_bytes_max)
        err = ORD_ERR_INVALID;
    else if (!raft_may_propose(core))
        err = ORD_ERR_FORBIDDEN;
    else if (!raft_make_room_to_propose(core, batch.size))
        err = ORD_ERR_NO_SPACE;
    if (err != ORD_OK) {
        raft_effect(core, ORD_EFFECT_REJECT)->reject.err = err;
        return;
    }
    raft_append_own(core, batch);
    raft_replicate(core);
}
