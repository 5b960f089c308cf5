/*
 * The draws of what work costs, and the runs in which service is measured (sim/check_service.h).
 */
#include "channel/envelope.h"
#include "core/quorum.h"
#include "sim/client.h"
#include "sim/liar.h"
#include "sim/plan.h"

/*
 * Measured (docs/testing.md, "Speed"): a check of a secp256k1 signature takes 37 us, a signature 38 us, a byte on a
 * link 1.5 ns (SHA-256 0.5, AES 0.7, copies), a byte of a commit 2.9 ns. A message takes 3 us and a turn 10 us. A
 * registration's certificate takes as long as 14 signatures, and a forged one, which is looked at twice, as 23.
 */
enum {
    CERTIFICATE_NS = 500000,
    VERIFY_NS = 37000,
    SIGN_NS = 38000,
    MESSAGE_NS = 3000,
    TURN_NS = 10000,
    BYTE_PS = 1500,
    WRITE_PS = 2900
};
/* Bytes of a small envelope, and of a vote in a prepared certificate. */
enum { ENVELOPE_BYTES = 200, VOTE_BYTES = 150 };
/* The slowest processor is so many times slower than the one that was measured, in thousandths. */
enum { SCALE_LEAST = 1000, SCALE_MOST = 100000 };
/*
 * A piece of a state transfer has up to a mebibyte, and a source has half a second for its first one
 * (PATIENCE_MS_MIN, replica/transfer/sources.c). The runs with faults have no links over which that takes longer.
 */
enum { TRANSFER_BYTES_S = 4 << 20 };

/* Up to `factor` times `least`, with equal weight for each doubling. */
static uint64_t draw_doublings(struct sim_random *random, uint64_t least, uint64_t most) {
    uint64_t low = least;
    while (low * 2 <= most && sim_chance(random, 700000))
        low *= 2;
    return sim_between(random, low, low * 2 < most ? low * 2 : most);
}

void sim_plan_costs(struct sim_plan *plan, struct sim_random *random, uint32_t part) {
    const uint64_t quorum = ord_bft_quorum(plan->replica_count);
    const uint64_t timeout_us = (uint64_t) plan->request_timeout_ms * 1000;
    /* The view changes of a quorum, each with a window of certificates; or the envelopes of a batch. */
    uint64_t signatures = plan->window * quorum * quorum;
    if (signatures < plan->batch_bytes_max / ENVELOPE_BYTES)
        signatures = plan->batch_bytes_max / ENVELOPE_BYTES;
    uint64_t scale_max = timeout_us * 1000 / part * 1000 / signatures / VERIFY_NS;
    /* What the others repeat in each retransmission interval: an attestation, a certificate and some votes of each. */
    uint64_t repeated = plan->replica_count * (quorum + 4);
    uint64_t repeat_max = (uint64_t) plan->retransmit_ms * 1000000 / 4 * 1000 / repeated / VERIFY_NS;
    if (scale_max > repeat_max)
        scale_max = repeat_max;
    if (scale_max > SCALE_MOST)
        scale_max = SCALE_MOST;
    uint64_t bytes = plan->batch_bytes_max + plan->window * quorum * VOTE_BYTES;
    uint64_t link_bytes_s = bytes * 8 * 1000000 / timeout_us;
    uint32_t cores = (uint32_t) sim_between(random, 1, 2);
    uint64_t link_factor = sim_between(random, 1, 16);
    if ((!plan->service || plan->faults != 0) && link_bytes_s < TRANSFER_BYTES_S)
        link_bytes_s = TRANSFER_BYTES_S;
    uint64_t lane_ms = sim_between(random, 100, 2000);
    if (scale_max < SCALE_LEAST || plan->replica_count == 1)
        return;
    uint64_t scale_min = scale_max / 4 > SCALE_LEAST ? scale_max / 4 : SCALE_LEAST;
    uint64_t scale = draw_doublings(random, scale_min, scale_max);
    plan->costs = (struct sim_costs) {
        .cores = cores,
        .verify_ns = VERIFY_NS * scale / 1000,
        .certificate_ns = CERTIFICATE_NS * scale / 1000,
        .sign_ns = SIGN_NS * scale / 1000,
        .turn_ns = TURN_NS * scale / 1000,
        .message_ns = MESSAGE_NS * scale / 1000,
        .byte_ps = BYTE_PS * scale / 1000,
        .write_ps = WRITE_PS * scale / 1000,
        .link_bytes_s = link_bytes_s * link_factor,
        .lane_bytes = link_bytes_s * link_factor * lane_ms / 1000,
    };
}

/* ---- service ---- */

/* A batch's envelopes when enough of them wait. */
static uint64_t batch_envelopes(const struct sim_plan *plan) {
    return plan->batch_bytes_max / ENVELOPE_BYTES;
}

uint64_t sim_plan_decision_us(const struct sim_plan *plan) {
    const struct sim_costs *costs = &plan->costs;
    uint64_t hops_us = 3 * (plan->delay_least_us + 8 * plan->delay_us);
    uint64_t disk_us = 4 * (plan->commit_us / 4 + 8 * plan->commit_us);
    uint64_t check_us = plan->judge_us * 8;
    if (costs->cores > 0)
        check_us = (batch_envelopes(plan) + 4 * plan->replica_count) * costs->verify_ns / 1000 +
                   3 * plan->batch_bytes_max * UINT64_C(1000000) / costs->link_bytes_s;
    return hops_us + disk_us + check_us;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/*
 * Each replica checks an envelope once, and receives and sends its bytes; for a batch it checks the votes of all others
 * and commits four times. A link carries an envelope twice: forwarded, and in a batch. A window of batches is decided
 * in the time of one decision.
 */
uint64_t sim_plan_capacity(const struct sim_plan *plan) {
    const struct sim_costs *costs = &plan->costs;
    uint64_t count = batch_envelopes(plan);
    uint64_t decision_us = sim_plan_decision_us(plan);
    uint64_t capacity = least(plan->window * count, plan->pool_envelopes_max) * 1000000 / decision_us;
    if (costs->cores > 0) {
        uint64_t bytes_ns = ENVELOPE_BYTES * (plan->replica_count * costs->byte_ps + 2 * costs->write_ps) / 1000;
        uint64_t batch_ns = 4 * (uint64_t) plan->replica_count * (costs->verify_ns + costs->message_ns) +
                            8 * costs->turn_ns + 4 * costs->sign_ns;
        uint64_t each_ns = costs->verify_ns + bytes_ns + batch_ns / count;
        capacity = least(capacity, costs->cores * UINT64_C(1000000000) / each_ns);
        capacity = least(capacity, costs->link_bytes_s / 2 / ENVELOPE_BYTES);
    }
    return capacity == 0 ? 1 : capacity;
}

uint64_t sim_plan_view_us(const struct sim_plan *plan) {
    /* raft: the bound of sim/check_raft_leader.c with two splits. Its other parts are less than a client's patience. */
    uint64_t election_us = 5 * (uint64_t) plan->raft.election_ms_max * 1000;
    return election_us + 6 * (uint64_t) plan->request_timeout_ms * 1000;
}

uint64_t sim_plan_grace_us(const struct sim_plan *plan) {
    return plan->fault_end_us + 3000000 + 2 * sim_plan_view_us(plan);
}

static void draw_service_channel(struct sim_plan *plan, struct sim_random *random) {
    plan->window = 1u << sim_between(random, 3, 6);
    plan->checkpoint_interval = (uint32_t) sim_between(random, plan->window / 4, plan->window / 2);
    plan->request_timeout_ms = (uint32_t) sim_between(random, 200, 400);
    plan->retransmit_ms = (uint32_t) sim_between(random, 50, 100);
    plan->max_message_count = (uint32_t) sim_between(random, 50, 500);
    plan->preferred_max_bytes = (uint32_t) sim_between(random, 4000, 60000);
    plan->batch_timeout_ms = (uint32_t) sim_between(random, 10, 100);
    plan->batch_bytes_max =
        plan->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD + (uint32_t) sim_between(random, 2000, 16000);
    plan->body_bytes_max = 2 * ((uint64_t) plan->preferred_max_bytes + plan->batch_bytes_max) +
                           2 * (uint64_t) plan->window * plan->batch_bytes_max;
    plan->clients_max = SIM_CLIENTS;
    plan->pool_envelopes_max = (uint32_t) sim_between(random, 300, 4000);
    plan->client_envelopes_max = (uint32_t) sim_between(random, 64, 1024);
    plan->pool_bytes_max = (uint64_t) plan->absolute_max_bytes * plan->pool_envelopes_max;
}

/* A far network, small batches and a small window: a channel that clients can ask for more than it can order. */
static void draw_service_narrow(struct sim_plan *plan, struct sim_random *random) {
    plan->absolute_max_bytes = 1024;
    plan->batch_bytes_max = plan->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD + (uint32_t) sim_between(random, 0, 500);
    plan->window = (uint32_t) sim_between(random, 4, 6);
    plan->checkpoint_interval = 2;
    plan->pool_bytes_max = (uint64_t) plan->absolute_max_bytes * plan->pool_envelopes_max;
    plan->costs = (struct sim_costs) {0};
    plan->delay_least_us = (uint64_t) plan->request_timeout_ms * 1000 / sim_between(random, 12, 20);
}

static void draw_service_machines(struct sim_plan *plan, struct sim_random *random) {
    uint64_t timeout_us = (uint64_t) plan->request_timeout_ms * 1000;
    bool far = sim_chance(random, 200000);
    plan->delay_least_us = far ? sim_between(random, timeout_us / 40, timeout_us / 16) : sim_between(random, 20, 3000);
    plan->delay_us = sim_between(random, 50, 1000);
    plan->commit_us = sim_between(random, 50, 1000);
    plan->judge_us = sim_between(random, 20, 1000);
    plan->check_us = 0;
    plan->costs = (struct sim_costs) {0};
    if (!sim_chance(random, 600000))
        return;
    /* Small windows and batches leave room for slow processors, and so for an overload that can be simulated. */
    plan->window = 8;
    plan->checkpoint_interval = (uint32_t) sim_between(random, 2, 4);
    plan->batch_bytes_max =
        plan->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD + (uint32_t) sim_between(random, 500, 3000);
    sim_plan_costs(plan, random, 1);
}

/*
 * Half of the liars have one behaviour and never pause, and many lead: that harms service most. Half of these have a
 * behaviour that aims at service and at nothing else.
 */
static void draw_service_liars(struct sim_plan *plan, struct sim_random *random, const struct sim_options *options) {
    static const uint8_t aims[] = {SIM_LIE_MUTE, SIM_LIE_DELAY, SIM_LIE_CENSOR, SIM_LIE_EMPTY,  SIM_LIE_SLOW,
                                   SIM_LIE_PACE, SIM_LIE_LEAN,  SIM_LIE_BLIND,  SIM_LIE_RECEIPT};
    plan->liars_lead = sim_chance(random, 600000);
    bool single = sim_chance(random, 500000);
    uint64_t behaviour = sim_below(random, SIM_BEHAVIOUR_COUNT);
    if (sim_chance(random, 500000))
        behaviour = aims[sim_below(random, sizeof(aims) / sizeof(aims[0]))];
    if (!single || options->liars_given || options->genome != NULL)
        return;
    plan->behaviours = UINT64_C(1) << behaviour;
    plan->lie_ppm = 1000000;
}

/*
 * From idle to twenty times the capacity. Half of the clients then have one request at a time, and those are the ones
 * whose waiting is bounded. The others ask for no more than their window holds at once. More than SERVICE_RATE requests
 * a second that are served would take too long to simulate.
 */
static void draw_service_load(struct sim_plan *plan, struct sim_random *random) {
    enum { SERVICE_RATE = 200, OVER_RATE = 600 };
    uint64_t capacity = sim_plan_capacity(plan);
    bool over = sim_chance(random, 700000) && capacity < OVER_RATE;
    uint64_t percent = over ? sim_between(random, 100, 2000) : sim_between(random, 2, 80);
    uint64_t rate = capacity * percent / 100;
    rate = rate < 2 ? 2 : rate > SERVICE_RATE && !over ? SERVICE_RATE : rate;
    plan->modest_clients = over ? SIM_CLIENTS / 2 : 0;
    plan->client_count = SIM_CLIENTS;
    plan->client_window = over ? (uint32_t) sim_between(random, 32, 256) : SIM_CLIENT_WINDOW_MAX;
    plan->client_every_us = (SIM_CLIENTS - plan->modest_clients) * UINT64_C(1000000) / rate;
    plan->large_ppm = 20000;
    plan->lying_clients = 0;
}

/* Faults strike for a while, and together with the liars at most f replicas. */
static void draw_service_faults(struct sim_plan *plan, struct sim_random *random) {
    static const uint8_t kinds[] = {SIM_FAULT_PARTITION, SIM_FAULT_ONE_WAY,   SIM_FAULT_CLOG,     SIM_FAULT_CRASH,
                                    SIM_FAULT_PAUSE,     SIM_FAULT_SLOW_DISK, SIM_FAULT_DISK_FULL};
    uint32_t most = (uint32_t) sim_between(random, 1, plan->faulty_max);
    plan->victim_first = (uint32_t) sim_below(random, plan->replica_count);
    plan->fault_every_us = sim_between(random, 100, 1000) * 1000;
    plan->fault_long_us = sim_between(random, 100, 2000) * 1000;
    plan->fault_end_us = sim_between(random, 2, 6) * 1000000;
    plan->victim_count = most;
    if (plan->liar_count > plan->faulty_max - most)
        plan->liar_count = plan->faulty_max - most;
    for (uint32_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (sim_chance(random, 500000))
            plan->faults |= UINT64_C(1) << kinds[i];
}

void sim_plan_service(struct sim_plan *plan, struct sim_random *random, const struct sim_options *options) {
    /* A stream of its own. Liars that are chosen by hand meet the plain worlds. */
    struct sim_random more = sim_random_of(options->seed, 16);
    const bool chosen = options->liars_given || options->genome != NULL;
    plan->service = true;
    /* Real signatures for thousands of envelopes, twice if there are liars, would take ten seconds and more. */
    plan->real_crypto = false;
    plan->faults = 0;
    plan->loss_ppm = 0;
    plan->duplicate_ppm = 0;
    plan->crash_in_commit_ppm = 0;
    plan->io_error_ppm = 0;
    plan->fault_every_us = UINT64_C(1000000000);
    plan->fault_end_us = 1000;
    plan->decisions_per_leader = 0;
    plan->client_wave_us = 0;
    if (sim_chance(&more, 200000) && !chosen)
        draw_service_faults(plan, &more);
    if (sim_chance(&more, 150000) && !chosen)
        plan->decisions_per_leader = (uint32_t) sim_between(&more, 20, 200);
    if (sim_chance(&more, 200000) && !chosen)
        plan->client_wave_us = sim_between(&more, 500, 4000) * 1000;
    draw_service_channel(plan, random);
    draw_service_machines(plan, random);
    if (sim_chance(&more, 300000) && !chosen)
        draw_service_narrow(plan, &more);
    draw_service_load(plan, random);
    draw_service_liars(plan, random, options);
    plan->load_end_us = sim_plan_grace_us(plan) + 2 * plan->faulty_max * sim_plan_view_us(plan) + 12000000;
}
