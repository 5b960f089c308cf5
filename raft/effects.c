/*
 * The effects of one step, in memory that is sized from the config so that they always fit.
 */
#include "raft/raft_internal.h"

#include <string.h>

#include "core/assert.h"

/* SENDs of one step: the entries in flight to each other replica, and a few messages to each beside. */
static size_t send_max(const struct ord_core_config *config) {
    return (size_t) config->replica_count * ((size_t) raft_options_of(config)->in_flight_max + 4) + 8;
}

size_t raft_effect_max(const struct ord_core_config *config) {
    /* DELIVER of the whole log; PERSIST of an entry and of each record, FORGETs, SYNC, LEADER, WAKE_AT and REJECT. */
    return send_max(config) + raft_slot_count(config) + 32;
}

size_t raft_outbox_size(const struct ord_core_config *config) {
    /* The hard state and the bindings may be written a few times in one step. */
    return send_max(config) * RAFT_SMALL_SIZE_MAX + 8 * (RAFT_HARD_SIZE + RAFT_BINDINGS_SIZE_MAX) +
           2 * (RAFT_POINT_HEAD_SIZE + raft_options_of(config)->checkpoints.size_max);
}

struct ord_effect *raft_effect(struct ord_core *core, enum ord_effect_type type) {
    ORD_ASSERT(core->effect_count < core->effect_max);
    struct ord_effect *effect = &core->effects[core->effect_count++];
    memset(effect, 0, sizeof(*effect));
    effect->type = type;
    return effect;
}

void raft_send(struct ord_core *core, ord_replica_set to, struct raft_message *message, bool after_persist) {
    to &= core->others;
    if (to == 0)
        return;
    message->sender = core->config.self;
    if (message->term == 0)
        message->term = core->hard.term;
    size_t begin = core->outbox.size;
    raft_message_encode(&core->outbox, &core->config, message);
    ORD_ASSERT(!core->outbox.failed);
    struct ord_effect *effect = raft_effect(core, ORD_EFFECT_SEND);
    effect->send.to = to;
    effect->send.bytes = ord_span_of(core->outbox.data + begin, core->outbox.size - begin);
    effect->send.body = message->body;
    effect->send.after_persist = after_persist;
}

void raft_persist(struct ord_core *core, enum raft_table table, uint64_t key, struct ord_span bytes) {
    struct ord_effect *effect = raft_effect(core, ORD_EFFECT_PERSIST);
    effect->persist = (struct ord_record) {.table = (uint8_t) table, .key = key, .bytes = bytes};
}

static void persist_written(struct ord_core *core, enum raft_table table, size_t begin) {
    ORD_ASSERT(!core->outbox.failed);
    raft_persist(core, table, 1, ord_span_of(core->outbox.data + begin, core->outbox.size - begin));
}

void raft_persist_hard(struct ord_core *core) {
    size_t begin = core->outbox.size;
    raft_hard_encode(&core->outbox, core->config.epoch, &core->hard);
    persist_written(core, RAFT_TABLE_HARD, begin);
}

void raft_persist_bindings(struct ord_core *core) {
    size_t begin = core->outbox.size;
    raft_bindings_encode(&core->outbox, core->config.epoch, core->config.replica_count, &core->bindings);
    persist_written(core, RAFT_TABLE_BINDINGS, begin);
    core->bindings_due = core->bindings_new = false;
}

void raft_tell_leader(struct ord_core *core) {
    struct raft_told *told = &core->told_leader;
    if (told->any && told->term == core->hard.term && told->leader == core->leader)
        return;
    *told = (struct raft_told) {.any = true, .term = core->hard.term, .leader = core->leader};
    struct ord_effect *effect = raft_effect(core, ORD_EFFECT_LEADER);
    effect->leader.leader = core->leader;
    effect->leader.view = core->hard.term;
    effect->leader.scheduled = core->scheduled;
}

void raft_wake(struct ord_core *core) {
    uint64_t at_ms = core->commit_seq < core->decided_seq ? core->now_ms : core->recovery.ask_ms;
    if (core->role == RAFT_LEADER) {
        at_ms = ord_min(at_ms, core->heartbeat_ms);
        at_ms = core->successor != ORD_NO_NODE ? ord_min(at_ms, core->transfer_ms) : at_ms;
    } else if (raft_speaks(core) && !core->storage_gone && core->role != RAFT_ELECTED) {
        at_ms = ord_min(at_ms, core->election_ms);
        if (core->role != RAFT_FOLLOWER)
            at_ms = ord_min(at_ms, core->retry_ms);
    }
    if (at_ms == UINT64_MAX || at_ms == core->wake_ms)
        return;
    core->wake_ms = at_ms;
    raft_effect(core, ORD_EFFECT_WAKE_AT)->wake.at_ms = at_ms;
}

bool raft_speaks(const struct ord_core *core) {
    return !core->recovery.asking && !core->hard.silent && !core->halted;
}
