/*
 * The draws. Most numbers are small, so that bounds are met often: windows of a few seqs, and blocks of a few
 * envelopes. Some runs have large windows, slow networks, or clients that go on after the faults.
 */
#include "sim/plan.h"

#include "channel/envelope.h"
#include "core/quorum.h"
#include "sim/client.h"
#include "sim/identities.h"
#include "sim/liar.h"
#include "sim/random.h"

const struct sim_fault_text sim_faults[] = {
#define SIM_FAULT_TEXT(name, text, what) {text, what},
    SIM_FAULTS(SIM_FAULT_TEXT)
#undef SIM_FAULT_TEXT
};

static uint32_t draw(struct sim_random *random, uint32_t low, uint32_t high) {
    return (uint32_t) sim_between(random, low, high);
}

static void draw_replicas(struct sim_plan *plan, struct sim_random *random, const struct sim_options *options) {
    uint32_t drawn = sim_chance(random, 600000) ? 4 : sim_chance(random, 60000) ? 1 : draw(random, 4, 10);
    plan->replica_count = options->replicas != 0 ? options->replicas : drawn;
    plan->faulty_max = plan->replica_count == 1 ? 0 : ord_bft_faulty_max(plan->replica_count);
    plan->real_crypto = sim_chance(random, 20000) && !options->calm;
}

static void draw_channel(struct sim_plan *plan, struct sim_random *random) {
    plan->window = 1u << draw(random, 1, sim_chance(random, 30000) ? 8 : 6);
    plan->checkpoint_interval = draw(random, 1, plan->window / 2);
    plan->absolute_max_bytes = draw(random, 1024, 3000);
    plan->preferred_max_bytes = draw(random, 200, 4000);
    plan->max_message_count = draw(random, 1, 16);
    plan->batch_timeout_ms = sim_chance(random, 250000) ? 0 : draw(random, 10, 400);
    plan->batch_bytes_max = plan->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD + draw(random, 0, 8000);
    plan->body_bytes_max = 2 * ((uint64_t) plan->preferred_max_bytes + plan->batch_bytes_max) +
                           (uint64_t) plan->batch_bytes_max * draw(random, 2, 40);
    plan->retransmit_ms = draw(random, 20, 200);
    plan->request_timeout_ms = draw(random, 200, 2000);
    plan->clients_max = sim_chance(random, 150000) ? draw(random, 1, 4) : SIM_CLIENTS;
}

/* Batches fill their memory, and a block may take more of it than the batches between two checkpoints. */
static void draw_tight(struct sim_plan *plan, struct sim_random *random) {
    plan->batch_bytes_max = plan->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD + draw(random, 0, 1000);
    plan->preferred_max_bytes = draw(random, 2 * plan->absolute_max_bytes, 4 * plan->absolute_max_bytes);
    plan->body_bytes_max = 2 * ((uint64_t) plan->preferred_max_bytes + plan->batch_bytes_max);
    plan->max_message_count = 64;
    plan->large_ppm = 800000;
    plan->client_every_us /= 8;
}

/* One view change follows the other, and restarts happen among them. */
static void draw_storm(struct sim_plan *plan, struct sim_random *random) {
    plan->window = 1u << draw(random, 1, 3);
    plan->checkpoint_interval = draw(random, 1, plan->window / 2);
    plan->request_timeout_ms = draw(random, 100, 300);
    plan->faults |= UINT64_C(1) << SIM_FAULT_PARTITION | UINT64_C(1) << SIM_FAULT_CRASH | UINT64_C(1) << SIM_FAULT_LOSS;
    plan->loss_ppm = draw(random, 1000, 100000);
    plan->fault_every_us = sim_between(random, 100, 500) * 1000;
    plan->fault_long_us = sim_between(random, 100, 500) * 1000;
}

/*
 * Windows of the default size and larger, in which many seqs are decided between two points of attestation. A NEW-VIEW
 * then has more proposals than one list, and so has a VIEW-CHANGE after it.
 */
static void draw_wide(struct sim_plan *plan, struct sim_random *random) {
    plan->window = sim_chance(random, 700000) ? 256 : 512;
    plan->checkpoint_interval = draw(random, plan->window / 3, plan->window / 2);
    plan->max_message_count = 500;
    plan->preferred_max_bytes = 60000;
    plan->batch_timeout_ms = draw(random, 1000, 2500);
    plan->batch_bytes_max = plan->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD + draw(random, 0, 2000);
    plan->body_bytes_max = 2 * ((uint64_t) plan->preferred_max_bytes + plan->batch_bytes_max) + 400000;
    plan->large_ppm = 5000;
    plan->client_count = SIM_CLIENTS;
    plan->client_every_us = sim_between(random, 5, 25) * 1000;
    plan->client_window = SIM_CLIENT_WINDOW_MAX;
    plan->clients_max = SIM_CLIENTS;
    plan->pool_envelopes_max = 300;
    plan->client_envelopes_max = 64;
    plan->request_timeout_ms = draw(random, 200, 800);
    plan->fault_end_us = sim_between(random, 3, 6) * 1000000;
}

/* Large requests in a window that is large for them: memory that fills up makes the points of attestation. */
static void draw_heavy(struct sim_plan *plan, struct sim_random *random) {
    draw_tight(plan, random);
    plan->window = 64;
    plan->checkpoint_interval = 32;
    plan->preferred_max_bytes = 5 * plan->absolute_max_bytes;
    plan->body_bytes_max = 2 * ((uint64_t) plan->preferred_max_bytes + plan->batch_bytes_max);
    plan->batch_timeout_ms = draw(random, 500, 1500);
    plan->client_count = SIM_CLIENTS;
    plan->client_every_us = sim_between(random, 50, 300) * 1000;
}

/* Replicas fail often enough for several view changes. */
static void draw_restless(struct sim_plan *plan, struct sim_random *random) {
    plan->faults |= UINT64_C(1) << SIM_FAULT_CRASH | UINT64_C(1) << SIM_FAULT_PAUSE;
    plan->fault_every_us = sim_between(random, 300, 1000) * 1000;
    plan->fault_long_us = sim_between(random, 300, 1000) * 1000;
}

/*
 * Delays near the request timeout: a decision takes a fifth to four fifths of it, so that clocks are about to run out
 * when votes and new views come. Slower still, each decision would cost a few views that fail, and rest would be far.
 */
static void draw_slow(struct sim_plan *plan, struct sim_random *random) {
    plan->request_timeout_ms = draw(random, 150, 800);
    uint64_t timeout_us = (uint64_t) plan->request_timeout_ms * 1000;
    plan->delay_least_us = sim_between(random, timeout_us / 20, timeout_us / 6);
    plan->delay_us = sim_between(random, timeout_us / 100, timeout_us / 30);
    plan->retransmit_ms = draw(random, 50, 300);
    plan->client_every_us = sim_between(random, 200, 1500) * 1000;
    plan->fault_every_us = sim_between(random, 1000, 6000) * 1000;
    plan->fault_long_us = sim_between(random, 200, 2000) * 1000;
}

static void draw_load(struct sim_plan *plan, struct sim_random *random) {
    plan->client_count = draw(random, 1, SIM_CLIENTS);
    plan->client_every_us = sim_between(random, 20, 1500) * 1000;
    plan->client_window = draw(random, 1, 12);
    plan->large_ppm = 100000;
    if (plan->faults >> SIM_FAULT_CLIENTS & 1)
        plan->lying_clients = draw(random, 1, plan->client_count);
}

static void draw_faults(struct sim_plan *plan, struct sim_random *random, const struct sim_options *options) {
    uint32_t each_ppm = draw(random, 50000, 600000);
    for (uint32_t i = 0; i < SIM_FAULT_LAST_WRITES; i++)
        if (sim_chance(random, each_ppm))
            plan->faults |= UINT64_C(1) << i;
    if (sim_chance(random, 100000))
        plan->faults = 0;
    if (options->faults_given)
        plan->faults = options->faults;
    uint32_t loss_ppm = draw(random, 1000, sim_chance(random, 200000) ? 400000 : 60000);
    uint32_t duplicate_ppm = draw(random, 1000, 200000);
    plan->loss_ppm = plan->faults >> SIM_FAULT_LOSS & 1 ? loss_ppm : 0;
    plan->duplicate_ppm = plan->faults >> SIM_FAULT_DUPLICATE & 1 ? duplicate_ppm : 0;
    plan->fault_every_us = sim_between(random, 200, 5000) * 1000;
    plan->fault_long_us = sim_between(random, 50, 4000) * 1000;
    plan->fault_end_us = sim_between(random, 5, 40) * 1000000;
    if (options->fault_ms != 0)
        plan->fault_end_us = (uint64_t) options->fault_ms * 1000;
}

static void draw_machines(struct sim_plan *plan, struct sim_random *random) {
    plan->delay_least_us = sim_between(random, 20, 2000);
    plan->delay_us = sim_chance(random, 200000) ? sim_between(random, 5000, 60000) : sim_between(random, 50, 3000);
    plan->commit_us = sim_between(random, 50, 3000);
    plan->judge_us = sim_between(random, 20, sim_chance(random, 200000) ? 100000 : 2000);
    plan->crash_in_commit_ppm = plan->faults >> SIM_FAULT_CRASH & 1 ? draw(random, 0, 2000) : 0;
    plan->io_error_ppm = plan->faults >> SIM_FAULT_IO_ERROR & 1 ? draw(random, 10, 1000) : 0;
}

static void draw_liars(struct sim_plan *plan, struct sim_random *random, const struct sim_options *options) {
    plan->lie_ppm = sim_chance(random, 300000) ? 1000000 : draw(random, 5000, 500000);
    if (plan->faulty_max == 0)
        return;
    bool some = sim_chance(random, 600000);
    plan->liar_count = some ? draw(random, 1, plan->faulty_max) : 0;
    uint32_t each_ppm = draw(random, 50000, 500000);
    for (uint32_t i = 0; i < SIM_BEHAVIOUR_COUNT; i++)
        if (sim_chance(random, each_ppm))
            plan->behaviours |= UINT64_C(1) << i;
    if (options->liars_given) {
        plan->behaviours = options->liars;
        plan->liar_count = options->liars == 0 ? 0 : plan->faulty_max;
    }
    if (options->genome != NULL) {
        plan->behaviours = 0;
        plan->liar_count = plan->faulty_max;
    }
}

/* Clients want more than the channel can order, all the time. */
static void draw_crowd(struct sim_plan *plan, struct sim_random *random) {
    plan->client_count = SIM_CLIENTS;
    plan->client_every_us = sim_between(random, 200, 5000);
    plan->client_window = draw(random, 12, 24);
    plan->modest_clients = draw(random, 0, SIM_CLIENTS - 1);
    plan->large_ppm = 20000;
}

/*
 * Requests of which one takes more than what a client may have in a pool at any time, and so many of them that they
 * wait for one another there (replica/intake/large.h).
 */
static void draw_bulky(struct sim_plan *plan, struct sim_random *random) {
    plan->absolute_max_bytes = draw(random, 80000, 130000);
    plan->preferred_max_bytes = draw(random, plan->absolute_max_bytes, 2 * plan->absolute_max_bytes);
    plan->batch_bytes_max = plan->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD + draw(random, 0, 8000);
    plan->body_bytes_max = 2 * ((uint64_t) plan->preferred_max_bytes + plan->batch_bytes_max) +
                           (uint64_t) plan->batch_bytes_max * draw(random, 2, 10);
    plan->large_ppm = 400000;
    plan->client_count = SIM_CLIENTS;
    plan->client_every_us = sim_between(random, 100, 800) * 1000;
    plan->client_window = draw(random, 2, 12);
    plan->pool_bytes_max = (uint64_t) plan->absolute_max_bytes * 16;
}

/* Draws from a stream of its own, so that the other draws of a seed stay the same. */
static void draw_rotation(struct sim_plan *plan, const struct sim_options *options) {
    struct sim_random random = sim_random_of(options->seed, 6);
    if (sim_chance(&random, 200000) && plan->replica_count > 1)
        plan->decisions_per_leader = 1u << draw(&random, 0, 7);
    if (options->decisions_per_leader != 0 && plan->replica_count > 1)
        plan->decisions_per_leader = options->decisions_per_leader;
}

/* The batch that names its view has to hold the largest envelope, too. */
static void make_room_for_view(struct sim_plan *plan) {
    if (plan->decisions_per_leader == 0)
        return;
    plan->batch_bytes_max += CHANNEL_BATCH_VIEW_SIZE;
    plan->body_bytes_max += UINT64_C(4) * CHANNEL_BATCH_VIEW_SIZE;
}

/* The settings of the replica around the core. They come from a stream of their own, too. */
static void draw_replica(struct sim_plan *plan, const struct sim_options *options) {
    struct sim_random random = sim_random_of(options->seed, 9);
    /*
     * The checks of everything that the others send at each retransmission take at most an eighth of one thread's time.
     */
    uint64_t check_us_max = 8 + (uint64_t) plan->retransmit_ms * 1000 / plan->replica_count / 8;
    plan->waits_for_disk = sim_chance(&random, 300000);
    plan->check_us = sim_chance(&random, 250000) ? sim_between(&random, 5, check_us_max) : 0;
    plan->pool_envelopes_max = draw(&random, 16, 300);
    plan->client_envelopes_max = draw(&random, 4, 64);
    plan->pool_bytes_max = (uint64_t) plan->absolute_max_bytes * draw(&random, 16, 300);
}

/*
 * Two minutes. But a replica that has forgotten is silent for up to two windows of seqs (rule 26), and the others have
 * to do without it. If the slowest message of a phase takes so long that replicas suspect before anything is decided,
 * each of those seqs costs a few views that fail.
 */
static uint64_t rest_limit_us(const struct sim_plan *plan) {
    /* An election that does not split takes two of its timeouts at most. */
    const uint64_t limit_us = UINT64_C(120) * 1000000 + 40 * (uint64_t) plan->raft.election_ms_max * 1000;
    const uint64_t forgets =
        UINT64_C(1) << SIM_FAULT_OLD_IMAGE | UINT64_C(1) << SIM_FAULT_EMPTY_DISK | UINT64_C(1) << SIM_FAULT_LAST_WRITES;
    /* This covers 94 of 100 messages. */
    uint64_t phase_us = plan->delay_least_us + 3 * plan->delay_us + plan->commit_us;
    uint64_t decision_us = plan->judge_us + 3 * phase_us;
    if (plan->consensus == CHANNEL_RAFT || (plan->faults & forgets) == 0 ||
        decision_us < (uint64_t) plan->request_timeout_ms * 1000)
        return limit_us;
    return limit_us + 2 * (uint64_t) plan->window * 3 * decision_us;
}

/* A moderate load on a channel with the default settings. It is healthy, except for liars that were asked for. */
static void calm(struct sim_plan *plan, const struct sim_options *options) {
    *plan = (struct sim_plan) {
        .behaviours = options->liars_given ? plan->behaviours : 0,
        .liar_count = options->liars_given ? plan->liar_count : 0,
        .lie_ppm = 1000000,
        .replica_count = plan->replica_count,
        .faulty_max = plan->faulty_max,
        .window = 256,
        .checkpoint_interval = 64,
        .decisions_per_leader = options->decisions_per_leader,
        .absolute_max_bytes = 64u << 10,
        .preferred_max_bytes = 64u << 10,
        .max_message_count = 500,
        .batch_timeout_ms = 200,
        .batch_bytes_max = 256u << 10,
        .body_bytes_max = 8u << 20,
        .retransmit_ms = 100,
        .request_timeout_ms = 1000,
        .clients_max = SIM_CLIENTS,
        .client_count = 4,
        .client_every_us = 400000,
        .client_window = 8,
        .delay_us = 200,
        .delay_least_us = 100,
        .commit_us = 300,
        .judge_us = 100,
        .waits_for_disk = true,
        .pool_envelopes_max = 4096,
        .pool_bytes_max = UINT64_C(64) << 20,
        .client_envelopes_max = 1024,
        .fault_every_us = UINT64_C(1000000000),
        .fault_long_us = 1000,
        .fault_end_us = plan->fault_end_us,
    };
}

/*
 * A channel that orders some 300 envelopes a second, and clients that want to have 2,000 and more under way at any
 * time, which is seven times what it orders in one request timeout. Some clients have one request at a time.
 */
static void crowd(struct sim_plan *plan) {
    plan->absolute_max_bytes = 1024;
    plan->preferred_max_bytes = 1024;
    plan->batch_bytes_max = 1100;
    plan->body_bytes_max = 128u << 10;
    plan->window = 16;
    plan->checkpoint_interval = 4;
    plan->delay_least_us = 15000;
    plan->delay_us = 5000;
    plan->client_count = SIM_CLIENTS;
    plan->client_every_us = 1000;
    plan->client_window = SIM_CLIENT_WINDOW_MAX;
    plan->modest_clients = SIM_CLIENTS / 2;
    plan->pool_bytes_max = UINT64_C(4) << 20;
}

/* SERVICE_PPM is small because a run in which service is measured takes some four times as long as another one. */
enum { LAST_WRITES_PPM = 150000, SERVICE_PPM = 80000 };

/* True if an option asks for something that a run in which service is measured does not have. */
static bool wants_no_service(const struct sim_options *options) {
    return options->faults_given || options->fault_ms != 0 || options->decisions_per_leader != 0 || options->calm;
}

static bool measures_service(const struct sim_options *options) {
    struct sim_random random = sim_random_of(options->seed, 14);
    (void) sim_chance(&random, LAST_WRITES_PPM);
    return options->service || (sim_chance(&random, SERVICE_PPM) && !wants_no_service(options));
}

/* What few seeds have. It comes from a stream of its own. `large`: the run has large windows or requests already. */
static void draw_rare(struct sim_plan *plan, const struct sim_options *options, bool large) {
    struct sim_random random = sim_random_of(options->seed, 22);
    bool bulky = sim_chance(&random, 25000);
    bool few_newcomers = sim_chance(&random, 50000);
    plan->batch_newcomers_max = few_newcomers ? draw(&random, 1, 4) : 0;
    if (bulky && !large && plan->replica_count > 1 && !measures_service(options) && !sim_plan_is_raft(options))
        draw_bulky(plan, &random);
}

void sim_plan_draw(struct sim_plan *out, const struct sim_options *options) {
    struct sim_random random = sim_random_of(options->seed, 1);
    *out = (struct sim_plan) {0};
    draw_replicas(out, &random, options);
    draw_faults(out, &random, options);
    draw_channel(out, &random);
    draw_load(out, &random);
    draw_machines(out, &random);
    draw_liars(out, &random, options);
    draw_rotation(out, options);
    draw_replica(out, options);
    /* A stream of its own, so that the draws above do not depend on it. */
    random = sim_random_of(options->seed, 8);
    if (sim_chance(&random, 100000))
        draw_tight(out, &random);
    if (sim_chance(&random, 100000) && !options->faults_given && out->replica_count > 1)
        draw_storm(out, &random);
    random = sim_random_of(options->seed, 10);
    bool wide = sim_chance(&random, 60000);
    bool slow = sim_chance(&random, 80000);
    bool longer = sim_chance(&random, 250000);
    bool heavy = sim_chance(&random, 40000);
    uint64_t longer_us = sim_between(&random, 3, 12) * 1000000;
    if (wide && out->replica_count > 1)
        draw_wide(out, &random);
    if (heavy && !wide && out->replica_count > 1)
        draw_heavy(out, &random);
    if ((wide || heavy) && out->replica_count > 1 && !options->faults_given)
        draw_restless(out, &random);
    if (slow && out->replica_count > 1)
        draw_slow(out, &random);
    random = sim_random_of(options->seed, 12);
    if (sim_chance(&random, 100000))
        draw_crowd(out, &random);
    draw_rare(out, options, wide || heavy);
    random = sim_random_of(options->seed, 13);
    if (sim_chance(&random, 500000))
        sim_plan_costs(out, &random, 8);
    random = sim_random_of(options->seed, 14);
    if (sim_chance(&random, LAST_WRITES_PPM) && out->faults != 0 && !options->faults_given)
        out->faults |= UINT64_C(1) << SIM_FAULT_LAST_WRITES;
    (void) sim_chance(&random, SERVICE_PPM); /* measures_service */
    if (options->calm)
        calm(out, options);
    if (options->calm && options->load > 1) {
        out->client_every_us /= options->load;
        out->client_window = (uint32_t) ord_min((uint64_t) out->client_window * options->load, SIM_CLIENT_WINDOW_MAX);
    }
    if (options->crowded)
        crowd(out);
    if (options->fault_ms != 0)
        out->fault_end_us = (uint64_t) options->fault_ms * 1000;
    out->load_end_us = out->fault_end_us + (longer && !options->calm ? longer_us : 0);
    if (measures_service(options) && out->replica_count > 1)
        sim_plan_service(out, &random, options);
    out->liars_lead = out->liars_lead || options->liars_lead;
    if (options->without_liars)
        out->liar_count = 0;
    out->consensus = out->replica_count == 1 ? CHANNEL_SOLO : CHANNEL_PBFT;
    if (sim_plan_is_raft(options))
        sim_plan_raft(out, options);
    else
        out->faults &= ~(UINT64_C(1) << SIM_FAULT_AIM);
    make_room_for_view(out);
    out->rest_limit_us = rest_limit_us(out);
}
