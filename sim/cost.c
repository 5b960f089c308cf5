/*
 * The processor's time.
 */
#include "sim/cost.h"

#include "sim/process.h"

static const struct sim_costs *costs_of(const struct sim_process *process) {
    return &process->world->plan.costs;
}

uint64_t sim_cost_job(struct sim_process *process, uint32_t thread, uint64_t ns) {
    uint64_t *busy_us = &process->cost.busy_us[thread];
    uint64_t begin_us = *busy_us > process->world->now_us ? *busy_us : process->world->now_us;
    uint64_t threads = 1;
    for (uint32_t i = 0; i < SIM_THREAD_COUNT; i++)
        threads += i != thread && process->cost.busy_us[i] > begin_us;
    uint64_t cores = costs_of(process)->cores;
    if (threads > cores)
        ns = ns * threads / cores;
    *busy_us = begin_us + ns / 1000 + 1;
    return *busy_us;
}

/* Those whose certificate is not known. After a bad envelope of a batch the others are not looked at. */
static uint64_t certificates_of(const struct replica_check *check) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < check->envelopes.count; i++) {
        const struct replica_newcomer *newcomer = check->envelopes.items[i].newcomer;
        count += newcomer != NULL && !newcomer->known;
    }
    return count;
}

uint64_t sim_cost_check_ns(const struct sim_process *process, const struct replica_check *check) {
    const struct sim_costs *costs = costs_of(process);
    uint64_t signatures = 1;
    uint64_t certificates = 0;
    if (check->type == REPLICA_CHECK_MESSAGE) {
        signatures = check->message.cost;
    } else if (check->type == REPLICA_CHECK_CERTIFICATE) {
        signatures = check->certificate->count;
    } else if (check->type != REPLICA_CHECK_ATTESTATION) {
        signatures = check->envelopes.count;
        certificates = certificates_of(check);
    }
    return signatures * costs->verify_ns + certificates * costs->certificate_ns +
           check->bytes.size * costs->byte_ps / 1000;
}

void sim_cost_message(struct sim_process *process, size_t size, uint32_t copies) {
    const struct sim_costs *costs = costs_of(process);
    process->cost.loop_ns += copies * (costs->message_ns + size * costs->byte_ps / 1000);
}

void sim_cost_signature(struct sim_process *process) {
    process->cost.loop_ns += costs_of(process)->sign_ns;
}

void sim_cost_turn(struct sim_process *process) {
    process->cost.loop_ns += costs_of(process)->turn_ns;
}

void sim_cost_spend(struct sim_process *process) {
    uint64_t executed = replica_counters(process->program)->certificates_executed;
    process->cost.loop_ns += (executed - process->cost.certificates) * costs_of(process)->certificate_ns;
    process->cost.certificates = executed;
    if (costs_of(process)->cores > 0 && process->cost.loop_ns > 0)
        (void) sim_cost_job(process, SIM_THREAD_LOOP, process->cost.loop_ns);
    process->cost.loop_ns = 0;
}

bool sim_cost_busy(const struct sim_process *process) {
    return process->cost.busy_us[SIM_THREAD_LOOP] > process->world->now_us;
}

uint64_t sim_cost_write_us(const struct sim_process *process, uint64_t bytes) {
    return bytes * costs_of(process)->write_ps / 1000000;
}
