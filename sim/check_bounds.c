/*
 * Bounds of memory, queues and timers: a replica's records on disk and in memory, and when it wakes.
 */
#include "sim/check.h"
#include "sim/check_raft.h"
#include "sim/process.h"

/* A view change takes a few turns in a row. Without further input the turns must end. */
enum { HEARTBEAT_MS = 1000, WOKEN_MAX = 16, NULL_BATCHES = 1024 };

/*
 * The first seq of the block that was open after `seq`, by the reference. A restart finds that block's envelopes in the
 * log, so batches from there on stay when the log is cut at `seq`.
 */
static uint64_t open_since(const struct sim_model *model, uint64_t seq) {
    size_t low = 0;
    size_t high = model->block_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (model->blocks[middle].last_seq > seq)
            high = middle;
        else
            low = middle + 1;
    }
    if (low < model->block_count)
        return model->blocks[low].first_seq;
    return model->leaf_count > 0 ? model->first_seq : UINT64_MAX;
}

void sim_check_forgets(struct sim_replica *replica, uint8_t table, uint64_t key) {
    struct sim_shown *shown = &replica->world->checker->shown[replica->instance];
    if (table == TABLE_LOG && key > shown->cut_seq)
        shown->cut_seq = key;
}

/*
 * Above the stable seq, the log is within the window. At and below it, the log may hold only batches that the core has
 * cut off, and of those only the ones that the block needs that was open then.
 */
static void check_log(struct sim_replica *replica) {
    const struct sim_table *log = &replica->disk.tables[TABLE_LOG];
    const struct sim_frozen *frozen = &replica->process->frozen;
    uint64_t stable_seq = frozen->status.stable_seq;
    uint64_t open_seq = open_since(&replica->world->checker->model, frozen->cut_seq);
    size_t above = 0;
    while (above < log->count && log->records[log->count - 1 - above].key > stable_seq)
        above++;
    if (above > replica->world->config->window)
        sim_blame(replica, "bounds", "keeps %zu batches above its stable seq, %u at most", above,
                  replica->world->config->window);
    if (above == log->count)
        return;
    uint64_t lowest = log->records[0].key;
    uint64_t highest = log->records[log->count - 1 - above].key;
    if (highest > frozen->cut_seq || lowest < open_seq)
        sim_blame(replica, "bounds", "keeps batches of seqs %lu to %lu; stable %lu, cut at %lu, open block since %lu",
                  (unsigned long) lowest, (unsigned long) highest, (unsigned long) stable_seq,
                  (unsigned long) frozen->cut_seq, (unsigned long) open_seq);
}

/*
 * raft: a window above the snapshot point, and as much again, or NULL_BATCHES, for those of leaders that could commit
 * nothing (docs/raft.md, "Bounds"). Below it only what the block needs that was open then.
 */
static void check_raft_log(struct sim_replica *replica) {
    const struct sim_table *log = &replica->disk.tables[TABLE_LOG];
    uint64_t cut_seq = replica->process->frozen.cut_seq;
    uint64_t open_seq = open_since(&replica->world->checker->model, cut_seq);
    size_t above = 0;
    while (above < log->count && log->records[log->count - 1 - above].key > cut_seq)
        above++;
    size_t window = replica->world->config->window;
    size_t most = window + (window > NULL_BATCHES ? window : (size_t) NULL_BATCHES);
    if (above > most)
        sim_blame(replica, "bounds", "keeps %zu entries, %zu at most", above, most);
    if (above < log->count && log->records[0].key < open_seq)
        sim_blame(replica, "bounds", "keeps entries from seq %lu on; cut at %lu, open block since %lu",
                  (unsigned long) log->records[0].key, (unsigned long) cut_seq, (unsigned long) open_seq);
}

void sim_check_records(struct sim_replica *replica) {
    struct sim_world *world = replica->world;
    if (sim_is_solo(world))
        return; /* solo has no window */
    if (sim_is_raft(world))
        check_raft_log(replica);
    else
        check_log(replica);
    for (uint32_t i = 0; i < SIM_TABLES; i++) {
        size_t count = replica->disk.tables[i].count;
        size_t most = sim_is_raft(world)       ? 1
                      : i == TABLE_CERTIFICATE ? world->config->window
                      : i == TABLE_VIEW_CHANGE ? world->replica_count
                                               : 1;
        if (i != TABLE_LOG && count > most)
            sim_blame(replica, "bounds", "keeps %zu records in table %u, %zu at most", count, i, most);
    }
}

void sim_check_memory(struct sim_replica *replica, const struct ord_status *now) {
    /*
     * Twice the memory for batches: the batches that a new view proposes again come on top (docs/protocol.md, bounds).
     */
    uint64_t most = (sim_is_raft(replica->world) ? 1 : 2) * replica->process->core_config.body_bytes_max;
    if (now->stable_seq > now->delivered_seq || now->body_bytes > most)
        sim_fail(replica->world, "bounds: replica %u: stable %lu, delivered %lu, bodies %lu", replica->instance,
                 (unsigned long) now->stable_seq, (unsigned long) now->delivered_seq, (unsigned long) now->body_bytes);
}

void sim_check_due(struct sim_replica *replica, uint64_t due_ms) {
    const struct sim_process *process = replica->process;
    struct sim_world *world = replica->world;
    uint64_t core_ms = process->observer.wake_at_ms;
    if (replica->liar || world->failed)
        return;
    if (due_ms > core_ms)
        sim_blame(replica, "timers", "is due %lu ms later than its core", (unsigned long) (due_ms - core_ms));
    if (due_ms > sim_intake_due_ms(process->intake))
        sim_blame(replica, "timers", "is due %lu ms later than the cut of its open block",
                  (unsigned long) (due_ms - sim_intake_due_ms(process->intake)));
    if (sim_is_solo(world))
        return; /* solo has no timer */
    uint64_t retransmit_ms = process->core_config.retransmit_ms;
    uint64_t most_ms = retransmit_ms > HEARTBEAT_MS ? retransmit_ms : HEARTBEAT_MS;
    if (sim_is_raft(world))
        most_ms = sim_raft_due_ms(replica);
    else if (process->observer.status.asking)
        most_ms = retransmit_ms / 2 + 1;
    if (most_ms < UINT64_MAX && core_ms > process->now_ms + most_ms)
        sim_fail(world, "timers: the core of replica %u is due in %lu ms, %lu at most", replica->instance,
                 (unsigned long) (core_ms - process->now_ms), (unsigned long) most_ms);
}

void sim_check_woken(struct sim_replica *replica, bool alone) {
    const struct sim_process *process = replica->process;
    struct sim_world *world = replica->world;
    struct sim_shown *shown = &world->checker->shown[replica->instance];
    if (replica->liar || world->failed)
        return;
    bool at_once = replica_cut_short(process->program) || replica_due_ms(process->program) <= process->now_ms;
    shown->woken = alone && at_once ? shown->woken + 1 : 0;
    if (shown->woken > WOKEN_MAX)
        sim_blame(replica, "timers", "wants to be woken at once for the %uth time, and nothing comes", shown->woken);
}
