/*
 * How long there may be no leader.
 *
 * A replica is *able* while it is up, runs, has room and a disk that is not slow, and neither asks nor is silent. Where
 * work costs something, it is able while its processor and its disk are at work for no longer than *b*, which is a 64th
 * of e, and not less than the time between two looks; and a path is open while what waits before its transmitter takes
 * no longer. What is busy for longer is busy at a look, and a look that finds it begins the count anew. Let a majority
 * of replicas be able, with no path between any two of them cut or clogged, and no message lost. D is the longest time
 * of a round trip and a commit, d its mean, e and E the shortest and the longest election timeout. D is at most a
 * quarter of e. Then one of them leads within
 *
 *     (3 + k) E + 8 D,    k the least number >= 1 with p^(k + 1) <= 1/1000,    p = 2 (n - 1) d / (E - e) <= 1/4
 *
 * and again within as long whenever the leader is lost. At the defaults (e 300 ms, E 600 ms) in a LAN, with d up to
 * 1.5 ms and n = 3, k is 1 and that is 2.4 s + 8 D. It adds up so:
 * - E until a leader that is not able, and that they hear, steps down: it hears no majority (section 6.2).
 * - E until the one with the most up-to-date log campaigns. PreVotes that came while the lease of the last leader ran
 *   are repeated, and e < E, so nothing more is lost to leases.
 * - E because the first candidate may learn of a later term from those that it asks (row R15), and waits anew. From
 *   then on the terms of those that are able are equal, or a candidate raises them.
 * - k E for elections that split. Two collide if the second times out before it hears of the first one's election. It
 *   does so after the answers to the PreVote and one way of the vote; so the chance is p at most. Timeouts are drawn
 *   anew each time.
 * - 2 D for each of the four steps beyond: PreVote, vote, the record of the grants, and the first heartbeats.
 *
 * More than k splits in a row do not exceed the bound unless all the other times are near their longest too.
 */
#include "sim/check.h"
#include "sim/check_raft.h"
#include "sim/process.h"

enum { LOOK_EVERY_US = 10000, LOOK_COSTS_US = 2000, BUSY_PART = 64 };
enum { TAIL = 8, SPLIT_PPM = 1000, SPLIT_PPM_MOST = 250000 };

static uint64_t look_every_us(const struct sim_plan *plan) {
    return plan->costs.cores > 0 ? LOOK_COSTS_US : LOOK_EVERY_US;
}

uint64_t sim_raft_busy_us(const struct sim_plan *plan) {
    uint64_t part_us = (uint64_t) plan->raft.election_ms_min * 1000 / BUSY_PART;
    return part_us > LOOK_COSTS_US ? part_us : LOOK_COSTS_US;
}

/*
 * What the work adds to a round trip and its commits. On each way a message waits for the sender's transmitter and what
 * is under way there, and then for the receiver's processor, which is at work already and then with the message.
 */
static uint64_t work_us(const struct sim_plan *plan, bool longest, uint64_t commits) {
    const struct sim_costs *costs = &plan->costs;
    if (costs->cores == 0)
        return 0;
    if (longest)
        return 2 * (3 * sim_raft_busy_us(plan) + SIM_PIECE_BYTES * UINT64_C(1000000) / costs->link_bytes_s) +
               commits * sim_raft_busy_us(plan);
    return 2 * (2 * costs->turn_ns + 2 * (uint64_t) plan->replica_count * costs->message_ns) / 1000;
}

/* A round trip and a commit: the longest, or the mean one. */
static uint64_t round_us(const struct sim_plan *plan, bool longest) {
    uint64_t factor = longest ? (uint64_t) TAIL : 1;
    uint64_t commits = plan->waits_for_disk ? 3 : 1; /* the process hears nothing during another commit */
    return 2 * (plan->delay_least_us + factor * plan->delay_us) +
           commits * (plan->commit_us / 4 + factor * plan->commit_us) + 2 * factor * plan->check_us +
           work_us(plan, longest, commits);
}

/* 0: the plan lets nothing be said. */
static uint64_t bound_us(const struct sim_plan *plan) {
    const uint64_t min_us = (uint64_t) plan->raft.election_ms_min * 1000;
    const uint64_t max_us = (uint64_t) plan->raft.election_ms_max * 1000;
    const uint64_t most_us = round_us(plan, true);
    uint64_t split_ppm = 2 * (uint64_t) (plan->replica_count - 1) * round_us(plan, false) * 1000000 / (max_us - min_us);
    if (4 * most_us > min_us || split_ppm > SPLIT_PPM_MOST)
        return 0;
    uint64_t splits = 1;
    for (uint64_t ppm = split_ppm * split_ppm / 1000000; ppm > SPLIT_PPM; ppm = ppm * split_ppm / 1000000)
        splits++;
    uint64_t bound = (3 + splits) * max_us + 8 * most_us;
    /* A slow clock lets a timeout take a quarter longer. */
    return plan->faults >> SIM_FAULT_CLOCK & 1 ? bound + bound / 4 : bound;
}

static bool is_busy(const struct sim_process *process) {
    uint64_t most_us = process->world->now_us + sim_raft_busy_us(&process->world->plan);
    return replica_cut_short(process->program) || process->cost.busy_us[SIM_THREAD_LOOP] > most_us;
}

static bool is_able(const struct sim_replica *replica) {
    const struct sim_world *world = replica->world;
    const struct sim_process *process = replica->process;
    if (process == NULL || process->ended || replica->paused || replica->full ||
        world->now_us < replica->slow_disk_until_us || world->now_us < replica->slow_commit_until_us ||
        world->now_us < replica->stalled_until_us)
        return false;
    if (world->plan.costs.cores > 0 && is_busy(process))
        return false;
    struct ord_status status = sim_process_status(process);
    return !status.asking && !status.silent;
}

static bool is_open(const struct sim_world *world, uint32_t from, uint32_t to) {
    const struct sim_path *path = &world->paths[from * world->instance_count + to];
    /* What waits in a link that was clogged stays ahead of what is sent later, also when the fault has ended. */
    return !path->cut && world->now_us >= path->clogged_until && world->now_us >= path->late_until_us;
}

/* What waits before the transmitter, votes and not bulk, is gone soon. */
static bool is_free(const struct sim_world *world, uint32_t from, uint32_t to) {
    const struct sim_path *path = &world->paths[from * world->instance_count + to];
    const uint64_t most_bytes = sim_raft_busy_us(&world->plan) * world->plan.costs.link_bytes_s / 1000000;
    return world->plan.costs.cores == 0 || path->line.lanes[0].bytes <= most_bytes;
}

/* Those that are able, less those that not all others can talk to. */
static ord_replica_set able_ones(const struct sim_world *world) {
    ord_replica_set able = 0;
    for (uint32_t i = 0; i < world->replica_count; i++)
        able |= is_able(&world->replicas[i]) ? ord_replica_bit(i) : 0;
    for (uint32_t i = 0; i < world->replica_count; i++)
        for (uint32_t j = 0; j < world->replica_count; j++) {
            ord_replica_set both = ord_replica_bit(i) | ord_replica_bit(j);
            if (i != j && (able & both) == both && (!is_open(world, i, j) || !is_free(world, i, j)))
                able &= ~ord_replica_bit(j);
        }
    return able;
}

/*
 * One leads whom a majority can follow. It need not be able itself: a leader with a slow disk leads.
 */
static bool has_leader(const struct sim_world *world, ord_replica_set able) {
    for (uint32_t i = 0; i < world->replica_count; i++) {
        const struct sim_replica *leader = &world->replicas[i];
        uint32_t count = 1;
        if (leader->process == NULL || leader->process->ended || leader->paused ||
            !sim_process_status(leader->process).leading)
            continue;
        for (uint32_t j = 0; j < world->replica_count; j++)
            count += i != j && (able & ord_replica_bit(j)) != 0 && is_open(world, i, j) && is_open(world, j, i);
        if (count >= sim_raft_majority(world))
            return true;
    }
    return false;
}

bool sim_raft_elects(const struct sim_world *world) {
    ord_replica_set able = sim_is_raft(world) ? able_ones(world) : 0;
    return sim_is_raft(world) && ord_replica_count(able) >= sim_raft_majority(world) && !has_leader(world, able);
}

void sim_raft_look(struct sim_world *world) {
    struct sim_raft *raft = world->raft;
    if (raft == NULL || world->failed || world->now_us < raft->look_us)
        return;
    raft->look_us = world->now_us + look_every_us(&world->plan);
    const ord_replica_set able = able_ones(world);
    bool enough = ord_replica_count(able) >= sim_raft_majority(world);
    bool calm = sim_faultless(world) || world->plan.loss_ppm == 0;
    if (!enough || !calm || able != raft->able || has_leader(world, able)) {
        raft->able = able;
        raft->leaderless_us = 0;
        return;
    }
    if (raft->leaderless_us == 0)
        raft->leaderless_us = world->now_us + 1;
    uint64_t most_us = bound_us(&world->plan);
    uint64_t since_us = world->now_us + 1 - raft->leaderless_us;
    if (most_us != 0 && since_us > most_us)
        sim_fail(world, "leader: replicas %lx have none for %lu ms, %lu at most", (unsigned long) able,
                 (unsigned long) (since_us / 1000), (unsigned long) (most_us / 1000));
}
