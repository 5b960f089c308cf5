/*
 * Leadership transfer: section 3.10. Also by itself, before a clean stop and when nothing can be stored. Rule 13.
 */
#include "raft/raft_internal.h"

#include "core/assert.h"

/* The follower that needs the fewest entries, among those that were heard lately. ORD_NO_NODE: none. */
static ord_node_id best_follower(const struct ord_core *core) {
    ord_node_id best = ORD_NO_NODE;
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        const struct raft_progress *peer = &core->peers[node];
        if (node == core->config.self || peer->silent || core->lives[node] == 0 ||
            core->now_ms - peer->heard_ms >= core->options->election_ms_min)
            continue;
        if (best == ORD_NO_NODE || peer->match_seq > core->peers[best].match_seq)
            best = node;
    }
    return best;
}

static void tell(struct ord_core *core, ord_node_id node) {
    ORD_MARK(RAFT_TRANSFER);
    struct raft_message message = {.type = RAFT_TIMEOUT_NOW};
    raft_send(core, ord_replica_bit(node), &message, false);
}

void raft_hand_over(struct ord_core *core) {
    if (core->role != RAFT_LEADER || core->leaving)
        return;
    core->successor = best_follower(core);
    if (core->successor == ORD_NO_NODE)
        return;
    core->leaving = true;
    core->told_successor = false;
    core->transfer_ms = core->now_ms + core->options->election_ms_max;
    raft_transfer_check(core);
}

void raft_transfer_check(struct ord_core *core) {
    if (core->role != RAFT_LEADER || core->successor == ORD_NO_NODE)
        return;
    if (core->now_ms >= core->transfer_ms) {
        ORD_MARK(RAFT_TRANSFER_FAILED);
        core->successor = ORD_NO_NODE;
        core->leaving = false;
        return;
    }
    if (!core->told_successor && core->peers[core->successor].match_seq == core->log.last_seq) {
        core->told_successor = true;
        tell(core, core->successor);
    }
}

void raft_storage(struct ord_core *core, bool available) {
    core->storage_gone = !available;
    if (available) {
        raft_election_reset(core);
        return;
    }
    if (core->role == RAFT_LEADER) {
        /* It can persist nothing any more, so the successor has to do with what it has (row R21). */
        ord_node_id node = best_follower(core);
        if (node != ORD_NO_NODE)
            tell(core, node);
    }
    if (core->role != RAFT_FOLLOWER)
        raft_step_down(core, true);
}

void raft_on_timeout_now(struct ord_core *core, const struct raft_message *message) {
    if (message->term != core->hard.term || message->sender != core->leader || core->role != RAFT_FOLLOWER ||
        !raft_speaks(core) || core->storage_gone) {
        core->messages_dropped++;
        return;
    }
    raft_campaign(core, true);
}
