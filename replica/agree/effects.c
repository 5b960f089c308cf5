/*
 * Carrying out the core's effects. PERSIST and DELIVER go into the turn's one transaction. A SEND carries the number of
 * the turn whose commit it waits for, or none.
 */
#include "replica/replica_internal.h"

#include <inttypes.h>

#include "replica/marks.h"

static void persist(struct replica *replica, const struct ord_record *record) {
    const struct replica_store *store = replica_store(replica);
    replica_urgent(replica);
    replica_need(replica, store->put_record(store->ledger, record), "persist");
}

/*
 * After a restart the open block's envelopes are found again through the consensus log. So bodies that the open block
 * still needs stay, whatever the core forgets.
 */
static void forget(struct replica *replica, uint8_t table, uint64_t key) {
    const struct replica_store *store = replica_store(replica);
    if (table == replica->setup.protocol->body_table) {
        struct channel_open_block open;
        channel_open(replica->execute.channel, &open);
        bool needed = open.envelope_count > 0 && open.first_seq <= key;
        ORD_MARK_IF(needed, FORGET_KEEPS_OPEN_BLOCK);
        if (needed)
            key = open.first_seq - 1;
    }
    replica_need(replica, store->forget(store->ledger, table, key), "forget");
}

/* Nothing beyond the end of a cut log was decided, so the open block needs none of what is forgotten. */
static void forget_after(struct replica *replica, uint8_t table, uint64_t key) {
    const struct replica_store *store = replica_store(replica);
    replica_urgent(replica);
    replica_need(replica, store->forget_after(store->ledger, table, key), "forget");
}

/* In the words of the protocol. */
static void log_leader(struct replica *replica, ord_node_id leader, uint64_t view, bool scheduled) {
    if (replica_config(replica)->consensus == CHANNEL_RAFT) {
        if (leader != ORD_NO_NODE)
            replica_log(replica, REPLICA_LOG_INFO, "leader", "term=%" PRIu64 " leader=%" PRIu32, view, leader);
        else if (scheduled)
            replica_log(replica, REPLICA_LOG_INFO, "transfer", "term=%" PRIu64, view);
        else if (view > 0)
            replica_log(replica, REPLICA_LOG_WARN, "no_leader", "term=%" PRIu64, view);
        return;
    }
    if (leader != ORD_NO_NODE)
        replica_log(replica, REPLICA_LOG_INFO, "leader", "view=%" PRIu64 " leader=%" PRIu32, view, leader);
    else if (scheduled)
        replica_log(replica, REPLICA_LOG_INFO, "rotation", "view=%" PRIu64, view);
    else if (agree_status(replica).changing)
        replica_log(replica, REPLICA_LOG_WARN, "view_change", "view=%" PRIu64, view);
}

/*
 * The view changed: drop pending judgements, and make everything that was proposed or sent on ready to be proposed
 * again.
 */
static void leader_changed(struct replica *replica, ord_node_id leader, uint64_t view, bool scheduled) {
    struct agree *agree = &replica->agree;
    agree->leader = leader;
    agree->leader_since_ms = replica->turn.now_ms;
    replica->propose.cut_height = 0;
    judge_drop(replica, UINT64_MAX);
    pace_leader(replica, leader);
    pool_leader_changed(&replica->pool, replica->turn.now_ms);
    if (leader != ORD_NO_NODE)
        accounts_forgive(replica);
    log_leader(replica, leader, view, scheduled);
}

static void send(struct replica *replica, const struct ord_effect *effect) {
    const struct replica_host *host = replica_host(replica);
    const struct ord_span parts[] = {effect->send.bytes, effect->send.body};
    host->send(host->context, effect->send.after_persist ? replica->turn.number : 0, effect->send.to, REPLICA_LINK_CORE,
               parts, 2);
}

static void carry_out(struct replica *replica, const struct ord_effect *effect) {
    switch (effect->type) {
    case ORD_EFFECT_PERSIST:
        persist(replica, &effect->persist);
        break;
    case ORD_EFFECT_FORGET:
        forget(replica, effect->forget.table, effect->forget.key);
        break;
    case ORD_EFFECT_FORGET_AFTER:
        forget_after(replica, effect->forget_after.table, effect->forget_after.key);
        break;
    case ORD_EFFECT_SEND:
        send(replica, effect);
        break;
    case ORD_EFFECT_JUDGE:
        judge_begin(replica, effect);
        break;
    case ORD_EFFECT_DELIVER:
        execute_batch(replica, effect->deliver.seq, effect->deliver.term, effect->deliver.batch);
        break;
    case ORD_EFFECT_WAKE_AT:
        replica->agree.wake_at_ms = effect->wake.at_ms;
        break;
    case ORD_EFFECT_SYNC:
        attest_shown(replica, effect->sync.certificate);
        sync_wanted(replica, effect->sync.seq);
        break;
    case ORD_EFFECT_LEADER:
        leader_changed(replica, effect->leader.leader, effect->leader.view, effect->leader.scheduled);
        break;
    case ORD_EFFECT_REJECT:
        replica->agree.rejected = effect->reject.err;
        break;
    case ORD_EFFECT_EVIDENCE:
        accuse_votes(replica, effect->evidence.first, effect->evidence.second);
        break;
    }
}

/* What became stable needs no verdict any more, and the core has given up its batches. */
static void drop_stable(struct replica *replica) {
    uint64_t stable_seq = replica->judge.first == NULL ? 0 : agree_status(replica).stable_seq;
    if (stable_seq <= replica->judge.stable_seq)
        return;
    replica->judge.stable_seq = stable_seq;
    judge_drop(replica, stable_seq);
}

bool agree_step(struct replica *replica, struct ord_event *event) {
    struct ord_effects effects = {0};
    event->now_ms = replica->turn.now_ms;
    event->turn = replica->turn.number;
    enum ord_err err = replica->setup.protocol->step(replica->agree.core, &effects, event);
    if (err != ORD_OK) {
        replica->counters.messages_refused += event->type == ORD_EVENT_MESSAGE;
        replica_log(replica, REPLICA_LOG_DEBUG, "step_refused", "type=%d err=%s", (int) event->type, ord_err_name(err));
        return false;
    }
    /* Unless an effect says otherwise. */
    if (event->type == ORD_EVENT_PROPOSE)
        replica->agree.rejected = ORD_OK;
    for (size_t i = 0; i < effects.count && !replica->turn.fatal; i++)
        carry_out(replica, &effects.items[i]);
    drop_stable(replica);
    return true;
}
