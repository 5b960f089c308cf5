/*
 * Other threads of a process check signatures. Those of votes and of view changes are checked one after the other, and
 * those of envelopes several at once. In most plans checks of the first kind take no time, and come back within the
 * turn.
 */
#include "core/assert.h"
#include "sim/check.h"
#include "sim/process.h"

/* After a bad signature, nothing of its sender is checked for this long. */
enum { IGNORE_US = 1000000 };
/* Limit of one sender's checks that are under way. */
enum { SHARE_MAX = 16 };

/* Everything that an honest replica sends over its link verifies. */
static void run(struct sim_process *process, struct replica_check *check) {
    struct sim_world *world = process->world;
    bool message = check->from != ORD_NO_NODE;
    if (message && world->now_us < process->ignored_until_us[check->from]) {
        check->ignored = true;
        return;
    }
    uint64_t verified = sim_crypto_verified();
    replica_check_run(check);
    verified = sim_crypto_verified() - verified;
    /* A check that costs more than it was charged for is a gift to a flood. */
    if (check->type == REPLICA_CHECK_MESSAGE && verified > check->message.cost && !process->replica->liar)
        sim_blame(process->replica, "allowance", "checks %lu signatures of a message of type %u, and charges for %u",
                  (unsigned long) verified, check->bytes.data[0], check->message.cost);
    if (!message || !check->bad)
        return;
    process->ignored_until_us[check->from] = world->now_us + IGNORE_US;
    sim_check_refuses_sender(process->replica, check->from);
}

/*
 * Forwarded registrations run when they are handed out, as of the time when their thread gets to them: those behind a
 * bad one are ignored, and take no time.
 */
static bool runs_early(const struct sim_process *process, const struct replica_check *check) {
    return process->world->plan.costs.cores > 0 && check->queue == REPLICA_QUEUE_NEWCOMERS &&
           check->from != ORD_NO_NODE;
}

static uint64_t run_early(struct sim_process *process, struct replica_check *check) {
    uint64_t now_us = process->world->now_us;
    uint64_t *bad_until_us = &process->newcomers_bad_until_us[check->from];
    uint64_t busy_us = process->cost.busy_us[check->queue];
    check->ignored = (busy_us > now_us ? busy_us : now_us) < *bad_until_us;
    if (check->ignored)
        return sim_cost_job(process, check->queue, 0) - now_us;
    replica_check_run(check);
    uint64_t end_us = sim_cost_job(process, check->queue, sim_cost_check_ns(process, check));
    if (check->bad)
        *bad_until_us = end_us + IGNORE_US;
    return end_us - now_us;
}

static void give_back(struct sim_process *process, struct replica_check *check) {
    if (!runs_early(process, check))
        run(process, check);
    sim_process_give(process, &(struct sim_input) {.type = REPLICA_INPUT_CHECKED, .check = check});
}

/* The time that the check takes; 0: none. */
static uint64_t duration_us(struct sim_process *process, struct replica_check *check) {
    const struct sim_plan *plan = &process->world->plan;
    struct sim_random *random = &process->replica->machine_random;
    if (runs_early(process, check))
        return run_early(process, check);
    if (plan->costs.cores > 0)
        return sim_cost_job(process, check->queue, sim_cost_check_ns(process, check)) - process->world->now_us;
    if (check->queue == REPLICA_QUEUE_PROPOSALS || check->queue == REPLICA_QUEUE_CLIENTS ||
        check->queue == REPLICA_QUEUE_NEWCOMERS)
        return 1 + sim_spread(random, plan->judge_us);
    if (plan->check_us == 0)
        return 0;
    /* One after the other in each queue. */
    uint64_t now_us = process->world->now_us;
    uint64_t *busy_us = &process->queue_busy_us[check->queue];
    *busy_us = (*busy_us > now_us ? *busy_us : now_us) + 1 + sim_spread(random, plan->check_us);
    return *busy_us - now_us;
}

static size_t free_slot(struct sim_process *process) {
    for (size_t i = 0; i < process->checking_count; i++)
        if (process->checking[i].check == NULL)
            return i;
    process->checking =
        sim_grow(process->checking, &process->checking_capacity, process->checking_count, sizeof(*process->checking));
    return process->checking_count++;
}

/* Not of envelopes that it forwarded. These have a share of their own. */
static bool is_of_core(const struct replica_check *check) {
    return check->queue == REPLICA_QUEUE_VOTES || check->queue == REPLICA_QUEUE_VIEWS;
}

/* One sender's checks must not keep the others' waiting: docs/protocol.md, "Bounds". */
static void check_share(struct sim_process *process, const struct replica_check *check) {
    uint32_t open = 0;
    bool repeats = false;
    if (!is_of_core(check) || check->from == ORD_NO_NODE || process->replica->liar)
        return;
    for (size_t i = 0; i < process->checking_count; i++) {
        const struct replica_check *other = process->checking[i].check;
        /* The core's messages, and attestations with certificates, have a share each. */
        bool same = other != NULL && (other->type == REPLICA_CHECK_MESSAGE) == (check->type == REPLICA_CHECK_MESSAGE);
        if (!same || !is_of_core(other) || other->from != check->from)
            continue;
        open++;
        repeats |= other->type == REPLICA_CHECK_MESSAGE && check->type == REPLICA_CHECK_MESSAGE &&
                   ord_span_equal(other->bytes, check->bytes);
    }
    if (open >= SHARE_MAX)
        sim_blame(process->replica, "queues", "has more than %u messages of replica %u checked at a time", open,
                  check->from);
    if (repeats)
        sim_blame(process->replica, "queues", "has the same message of replica %u checked twice at a time",
                  check->from);
}

void sim_checks_begin(void *context, struct replica_check *check) {
    struct sim_process *process = context;
    sim_intake_check(process->intake, check);
    check_share(process, check);
    uint64_t delay_us = duration_us(process, check);
    if (delay_us == 0) {
        give_back(process, check);
        return;
    }
    size_t slot = free_slot(process);
    process->checking[slot] = (struct sim_checking) {check, ++process->check_number};
    sim_process_plan(process, SIM_CHECKED, delay_us, slot, process->check_number);
}

void sim_checks_event(struct sim_process *process, const struct sim_event *event) {
    struct sim_checking *checking = &process->checking[event->a];
    ORD_ASSERT(checking->number == event->b && checking->check != NULL);
    struct replica_check *check = checking->check;
    checking->check = NULL;
    give_back(process, check);
}

void sim_checks_drop(struct sim_process *process) {
    for (size_t i = 0; i < process->checking_count && process->program != NULL; i++)
        if (process->checking[i].check != NULL)
            replica_check_drop(process->program, process->checking[i].check);
    for (size_t i = process->inbox_next; i < process->inbox_count && process->program != NULL; i++)
        if (process->inbox[i].type == REPLICA_INPUT_CHECKED)
            replica_check_drop(process->program, process->inbox[i].check);
    process->checking_count = 0;
}
