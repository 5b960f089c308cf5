/*
 * The draws of a raft channel. The plan is drawn as that of a pbft channel, and what differs comes from a stream of its
 * own. So the seeds of pbft channels stay what they are.
 */
#include "core/quorum.h"
#include "sim/plan.h"
#include "sim/random.h"

enum { STREAM = 20, RAFT_PPM = 250000 };
/* LAN defaults (channel/config.c), and the bounds of the times. */
enum { DEFAULT_MIN_MS = 300, DEFAULT_MAX_MS = 600, DEFAULT_HEARTBEAT_MS = 60, LEAST_MS = 10, MIN_MS_MOST = 20000 };

bool sim_plan_is_raft(const struct sim_options *options) {
    struct sim_random random = sim_random_of(options->seed, STREAM);
    if (options->consensus != SIM_CONSENSUS_ANY)
        return options->consensus == SIM_CONSENSUS_RAFT;
    /* In a raft channel nobody lies, and no term ends on schedule. Runs that measure are pbft unless they say so. */
    bool asks = options->liars_given || options->genome != NULL || options->decisions_per_leader != 0 || options->calm;
    return sim_chance(&random, RAFT_PPM) && !asks;
}

static uint32_t draw(struct sim_random *random, uint64_t low, uint64_t high) {
    return (uint32_t) sim_between(random, low, high);
}

static void draw_replicas(struct sim_plan *plan, struct sim_random *random, const struct sim_options *options) {
    static const uint32_t counts[] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 5, 1, 2, 4, 7};
    uint32_t drawn = counts[sim_below(random, sizeof(counts) / sizeof(counts[0]))];
    plan->replica_count = options->replicas != 0 ? options->replicas : drawn;
    plan->faulty_max = plan->replica_count - ord_majority(plan->replica_count);
}

/*
 * Timeouts suit the network, the disks and the checks of messages: from half of what the slowest decision takes to
 * eight times that. With less, answers come later than the next candidate, and an election may never succeed (seed
 * 21002584).
 */
static void draw_times(struct sim_plan *plan, struct sim_random *random, bool calm) {
    const uint64_t checks_us = 2 * 8 * plan->check_us;
    const uint64_t slow_ms = (sim_plan_decision_us(plan) + checks_us) / 1000 + 1;
    uint64_t min_ms = slow_ms * sim_between(random, 500, sim_chance(random, 300000) ? 8000 : 2000) / 1000;
    min_ms = min_ms < LEAST_MS ? (uint64_t) LEAST_MS : min_ms > MIN_MS_MOST ? (uint64_t) MIN_MS_MOST : min_ms;
    uint32_t max_ms = draw(random, min_ms + 1 + min_ms / 8, 3 * min_ms);
    uint32_t heartbeat_ms = draw(random, min_ms / 10 + 1, min_ms / 2);
    bool defaults = sim_chance(random, 300000) && slow_ms <= DEFAULT_MIN_MS;
    plan->raft.election_ms_min = calm || defaults ? (uint32_t) DEFAULT_MIN_MS : (uint32_t) min_ms;
    plan->raft.election_ms_max = calm || defaults ? (uint32_t) DEFAULT_MAX_MS : max_ms;
    plan->raft.heartbeat_ms = calm || defaults ? (uint32_t) DEFAULT_HEARTBEAT_MS : heartbeat_ms;
}

static void draw_log(struct sim_plan *plan, struct sim_random *random) {
    bool bytes = sim_chance(random, 600000);
    uint64_t factor = sim_between(random, 1, 20);
    plan->raft.snapshot_blocks = sim_chance(random, 500000) ? draw(random, 1, 8) : 0;
    plan->raft.snapshot_bytes = bytes ? factor * plan->batch_bytes_max / 4 : 0;
    plan->raft.check_forwards = sim_chance(random, 500000);
    /* Where service is measured, the window is what bounds a leader, as with the replica's constants. */
    bool narrow = sim_chance(random, 500000) && !plan->service;
    uint32_t count = draw(random, 1, 8);
    /* From less than any entry (row R23) to a few of the largest. */
    uint64_t size = sim_between(random, 1, 4 * (uint64_t) plan->batch_bytes_max);
    plan->in_flight_max = narrow ? count : 256;
    plan->in_flight_size = narrow ? size : UINT64_C(8) << 20;
}

/* Nobody lies, so the faults may strike all f. */
static void fit_faults(struct sim_plan *plan) {
    plan->faults &= ~(UINT64_C(1) << SIM_FAULT_AMBUSH);
    plan->liar_count = 0;
    plan->liars_lead = false;
    plan->behaviours = 0;
    plan->decisions_per_leader = 0;
    if (plan->victim_count == 0)
        return;
    plan->victim_count = plan->victim_count > plan->faulty_max ? plan->faulty_max : plan->victim_count;
    plan->victim_first %= plan->replica_count;
    if (plan->victim_count > 0)
        return;
    plan->faults = 0;
    plan->fault_end_us = 1000;
}

/*
 * Up to f replicas fail within the first seconds that are measured. Slow links add up to the shortest election timeout
 * to a round trip.
 */
static void draw_trouble(struct sim_plan *plan, struct sim_random *random, bool wanted) {
    const uint64_t min_us = (uint64_t) plan->raft.election_ms_min * 1000;
    struct sim_trouble trouble = {.kind = (enum sim_trouble_kind) sim_below(random, SIM_TROUBLE_COUNT),
                                  .leads = sim_chance(random, 700000)};
    trouble.at_us = sim_plan_grace_us(plan) + sim_between(random, 0, 4000000);
    trouble.slow_us = sim_between(random, min_us / 10, min_us / 2);
    bool drawn = sim_chance(random, 700000);
    trouble.count = plan->faulty_max == 0 ? 0 : draw(random, 1, plan->faulty_max);
    if (drawn && wanted)
        plan->trouble = trouble;
}

uint64_t sim_plan_heartbeats(const struct sim_plan *plan, uint64_t seconds) {
    if (plan->consensus != CHANNEL_RAFT)
        return 0;
    return 2 * (uint64_t) (plan->replica_count - 1) * (seconds * 1000 / plan->raft.heartbeat_ms + 2);
}

void sim_plan_raft(struct sim_plan *plan, const struct sim_options *options) {
    struct sim_random random = sim_random_of(options->seed, STREAM);
    (void) sim_chance(&random, RAFT_PPM); /* sim_plan_is_raft */
    plan->consensus = CHANNEL_RAFT;
    draw_replicas(plan, &random, options);
    fit_faults(plan);
    draw_times(plan, &random, options->calm);
    draw_log(plan, &random);
    bool aims = sim_chance(&random, 600000);
    if (aims && !options->faults_given && !options->calm && !plan->service && plan->replica_count > 1)
        plan->faults |= UINT64_C(1) << SIM_FAULT_AIM;
    if (plan->service) {
        plan->load_end_us = sim_plan_grace_us(plan) + 2 * plan->faulty_max * sim_plan_view_us(plan) + 12000000;
        draw_trouble(plan, &random, !options->without_liars);
    }
    if (!options->calm)
        return;
    plan->raft.snapshot_blocks = 0;
    plan->raft.snapshot_bytes = 16u << 20;
    plan->raft.check_forwards = false;
    plan->in_flight_max = 256;
    plan->in_flight_size = UINT64_C(8) << 20;
}
