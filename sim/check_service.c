/*
 * Goodput is receipts that clients took in time. Everything is measured from the end of the grace period on (some view
 * changes, sim_plan_grace_us), and in samples of a tenth of a second. V is what a view that fails costs
 * (sim_plan_view_us), and C the capacity that the configuration lets expect (sim_plan_capacity).
 *
 * Compared with liars: the same seed without liars has the same network, machines and clients, because each of these
 * draws from streams of its own. f liars that lead one after the other cost f V at most, and the loaded interval is
 * more than twice that long (sim_plan_service). So goodput over it is at least half.
 *
 * Always: in any ten seconds, less V for each view that failed in them and for one that is failing, what is ordered is
 * at least half of the less of C and of what was asked for. C is an estimate, and a lost quarter of the replicas'
 * answers costs the clients time, so it is not the whole. A view fails if it ends; under scheduled rotation, where all
 * views end, if a liar led it.
 *
 * Oldest request: a client that asked an honest replica has its receipt within V for each view of the run that failed
 * and one more, one decision, the block's timeout, one pause for BUSY and, where a replica lies or fails, LOST_US for
 * an answer that was lost with the replica that owed it. Clients that want more than can be ordered are left out: they
 * wait for that. When the replica that it takes for the leader answers BUSY, the client library waits BUSY_COUNT times
 * in a row (BUSY_IN_ROW_MAX), each time for a request timeout and half as much again at most. So each liar that answers
 * clients falsely may cost that on top.
 *
 * Drain: after the load has ended, all but an eighth of what still waits is served at half the rate of the last ten
 * seconds at least, after V, two pauses for BUSY and, where a replica lies or fails, LOST_US. Until then clients
 * that were told BUSY have asked twice more. They choose the replica by chance, so up to a ninth of them asked liars
 * only. The last check at rest demands the whole.
 *
 * Cost: without liars a batch takes a PRE-PREPARE to each replica, and a PREPARE and a COMMIT from each to each. A
 * block or a checkpoint takes an attestation from each to each, and an envelope is forwarded to each replica at most
 * once. Heartbeats come on top (HEARTBEATS a second on each link, as at rest; in a raft channel those of the leader,
 * and a batch takes fewer messages there). A message has MESSAGE_BYTES on the
 * average, and an envelope goes to each replica once. With liars it may be COST_FACTOR times as much. Compared with the
 * same seed without them, each receipt may cost MESSAGES_FACTOR times the messages, and BYTES_FACTOR times the bytes:
 * what a liar asks for again may be large. State that it asks for is not counted, because its quota bounds it
 * (replica/transfer/serve.c).
 */
#include "sim/check_service.h"

#include <stdlib.h>

#include "bft/wire/message.h"
#include "client/flow/call.h"
#include "sim/check.h"
#include "sim/client.h"
#include "sim/liar_internal.h"

enum { SAMPLE_US = 100000, WINDOW_SAMPLES = 100, LOST_US = 8000000 };
enum { COST_FACTOR = 2, MESSAGES_FACTOR = 2, BYTES_FACTOR = 4 };
enum { BUSY_COUNT = 3 };
enum { HEARTBEATS = 5, MESSAGE_BYTES = 250, ENVELOPE_BYTES = 400 };
/* Fewer receipts than this show nothing. */
enum { RECEIPTS_LEAST = 20 };

struct sample {
    uint64_t receipts;
    uint64_t made; /* requests, of which `receipts` are served */
    uint64_t view;
    uint64_t batches;
    uint64_t blocks;
    uint64_t messages;
    uint64_t bytes;
};

struct sim_service {
    struct sample *samples;
    size_t count;
    size_t capacity;
    uint64_t next_us;
    size_t first; /* the sample at the end of the grace period; 0: not yet */
    size_t last;  /* the sample at the end of the load; 0: not yet */
    bool served;  /* everything was, after that */
    bool compares;
    struct sim_service_totals without_liars;
};

static const struct sample *newest(const struct sim_service *service, size_t back) {
    return &service->samples[service->count - 1 - back];
}

static struct sim_service_totals totals_of(const struct sim_service *service) {
    const struct sample *from = &service->samples[service->first];
    const struct sample *to = &service->samples[service->last];
    return (struct sim_service_totals) {.receipts = to->receipts - from->receipts,
                                        .batches = to->batches - from->batches,
                                        .blocks = to->blocks - from->blocks,
                                        .messages = to->messages - from->messages,
                                        .bytes = to->bytes - from->bytes};
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/*
 * The views after `from` up to `to`, and that one, that failed or may yet fail. Under scheduled rotation only the views
 * that liars led.
 */
static uint64_t views_lost(const struct sim_world *world, uint64_t from, uint64_t to) {
    const struct ord_core_config config = {.replica_count = world->replica_count, .genesis_hash = world->genesis_hash};
    uint64_t count = 0;
    if (world->plan.decisions_per_leader == 0)
        return to - from + 1;
    for (uint64_t view = from; view <= to; view++)
        count += world->replicas[bft_primary(&config, view)].liar;
    return count + 1;
}

static void check_window(struct sim_world *world) {
    const struct sim_service *service = world->service;
    const uint64_t view_us = sim_plan_view_us(&world->plan);
    const uint64_t window_us = (uint64_t) WINDOW_SAMPLES * SAMPLE_US;
    const struct sample *to = newest(service, 0);
    const struct sample *from = newest(service, WINDOW_SAMPLES);
    uint64_t lost_us = views_lost(world, from->view, to->view) * view_us;
    if (lost_us >= window_us)
        return;
    uint64_t left_us = window_us - lost_us;
    const struct sample *until = newest(service, WINDOW_SAMPLES - left_us / SAMPLE_US);
    uint64_t wanted = until->made - from->receipts;
    uint64_t bound = least(wanted, sim_plan_capacity(&world->plan) * left_us / 1000000) / 2;
    uint64_t ordered = to->receipts - from->receipts;
    if (ordered < bound)
        sim_fail(world, "service: %lu receipts in ten seconds in which %lu were wanted, %lu at least",
                 (unsigned long) ordered, (unsigned long) wanted, (unsigned long) bound);
}

/* The replicas that answer clients falsely (SIM_LIE_RECEIPT). */
static uint64_t false_answerers(const struct sim_world *world) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < world->instance_count; i++)
        count += sim_liar_has(&world->replicas[i], SIM_LIE_RECEIPT);
    return count;
}

/* The longest time for which the client library waits because a replica says that it is busy. */
static uint64_t busy_us(const struct sim_plan *plan) {
    return least(plan->request_timeout_ms, CLIENT_RETRY_AFTER_MAX) * 1000 * 3 / 2;
}

/* For an answer that was lost with the replica that owed it. Nothing is lost where nobody lies or fails. */
static uint64_t lost_answers_us(const struct sim_plan *plan) {
    return plan->liar_count + plan->victim_count + plan->trouble.count > 0 ? LOST_US : 0;
}

static void check_oldest(struct sim_world *world) {
    const struct sim_plan *plan = &world->plan;
    uint64_t failed = views_lost(world, 0, newest(world->service, 0)->view);
    uint64_t bound_us = failed * sim_plan_view_us(plan) + sim_plan_decision_us(plan) +
                        (uint64_t) plan->batch_timeout_ms * 1000 + busy_us(plan) + lost_answers_us(plan) +
                        false_answerers(world) * BUSY_COUNT * busy_us(plan);
    uint64_t longest_us = sim_clients_longest_us(world);
    if (longest_us > bound_us)
        sim_fail(world, "service: a request waits for %lu ms, %lu at most", (unsigned long) (longest_us / 1000),
                 (unsigned long) (bound_us / 1000));
}

static void check_drain(struct sim_world *world) {
    struct sim_service *service = world->service;
    const struct sample *end = &service->samples[service->last];
    uint64_t rate = end->receipts - service->samples[service->last - WINDOW_SAMPLES].receipts; /* in ten seconds */
    uint64_t waited = end->made - end->receipts;
    uint64_t views = views_lost(world, end->view, newest(service, 0)->view);
    uint64_t bound_us = views * sim_plan_view_us(&world->plan) + 2 * busy_us(&world->plan) +
                        lost_answers_us(&world->plan) + 2 * waited * 10000000 / (rate + 1);
    service->served = sim_clients_waiting(world) <= waited / 8;
    if (!service->served && world->now_us > world->plan.load_end_us + bound_us)
        sim_fail(world, "service: of %lu requests that waited at the end, more than an eighth wait after %lu ms",
                 (unsigned long) waited, (unsigned long) (bound_us / 1000));
}

static void take_sample(struct sim_world *world) {
    struct sim_service *service = world->service;
    service->samples = sim_grow(service->samples, &service->capacity, service->count, sizeof(*service->samples));
    service->samples[service->count++] = (struct sample) {.receipts = world->checker->receipts,
                                                          .made = world->checker->model.item_count,
                                                          .view = world->checker->view_max,
                                                          .batches = world->checker->model.seq_count,
                                                          .blocks = world->checker->model.block_count,
                                                          .messages = world->honest_messages,
                                                          .bytes = world->honest_bytes};
    if (service->first == 0 && world->now_us >= sim_plan_grace_us(&world->plan))
        service->first = service->count - 1;
    if (service->last == 0 && world->now_us >= world->plan.load_end_us)
        service->last = service->count - 1;
}

void sim_service_step(struct sim_world *world) {
    struct sim_service *service = world->service;
    if (service == NULL || world->failed || world->now_us < service->next_us || service->served)
        return;
    service->next_us += SAMPLE_US;
    take_sample(world);
    if (service->first == 0)
        return;
    check_oldest(world);
    if (service->last != 0)
        check_drain(world);
    else if (service->count > service->first + WINDOW_SAMPLES)
        check_window(world);
}

static void check_cost(struct sim_world *world, const struct sim_service_totals *own) {
    const uint64_t factor = world->plan.liar_count > 0 ? COST_FACTOR : 1;
    const uint64_t n = world->replica_count;
    uint64_t seconds = (world->service->last - world->service->first) / (1000000 / SAMPLE_US) + 1;
    uint64_t points = own->blocks + own->batches / world->plan.checkpoint_interval;
    uint64_t messages = own->batches * (2 * n * n + n) + points * n * n + own->receipts * n +
                        seconds * n * n * HEARTBEATS + sim_plan_heartbeats(&world->plan, seconds);
    uint64_t bytes = messages * MESSAGE_BYTES + own->receipts * n * ENVELOPE_BYTES;
    if (own->messages > factor * messages || own->bytes > factor * bytes)
        sim_fail(world, "service: %lu messages and %lu bytes for %lu receipts, %lu and %lu at most",
                 (unsigned long) own->messages, (unsigned long) own->bytes, (unsigned long) own->receipts,
                 (unsigned long) (factor * messages), (unsigned long) (factor * bytes));
}

/* What each receipt took, compared with no liars. */
static void check_extra(struct sim_world *world, const char *what, uint64_t factor, uint64_t ours, uint64_t theirs) {
    if (ours > factor * (theirs + 1))
        sim_fail(world, "service: %lu %s for each receipt, and %lu without liars", (unsigned long) ours, what,
                 (unsigned long) theirs);
}

/* The run may be over before the first sample after the load's end is due. */
static void end_samples(struct sim_world *world) {
    if (world->service->last == 0 && !world->failed)
        take_sample(world);
}

void sim_service_end(struct sim_world *world) {
    struct sim_service *service = world->service;
    if (service == NULL)
        return;
    end_samples(world);
    if (service->last == 0)
        return;
    const struct sim_service_totals own = totals_of(service);
    const struct sim_service_totals *without = &service->without_liars;
    check_cost(world, &own);
    if (!service->compares || without->receipts < RECEIPTS_LEAST)
        return;
    sim_say(world, -1, "service: %lu receipts, %lu without liars", (unsigned long) own.receipts,
            (unsigned long) without->receipts);
    if (own.receipts == 0 || own.receipts < without->receipts / 2) {
        sim_fail(world, "service: %lu receipts, %lu without liars", (unsigned long) own.receipts,
                 (unsigned long) without->receipts);
        return;
    }
    check_extra(world, "messages", MESSAGES_FACTOR, own.messages / own.receipts, without->messages / without->receipts);
    check_extra(world, "bytes", BYTES_FACTOR, own.bytes / own.receipts, without->bytes / without->receipts);
}

static void run_standard(struct sim_world *world, struct sim_service_standard *standard) {
    struct sim_options options = world->options;
    options.without_liars = true;
    options.trace = false;
    struct sim_world *other = sim_world_create(&options);
    sim_world_run(other);
    end_samples(other);
    if (other->failed)
        sim_fail(world, "without liars: %s", other->failure);
    standard->known = true;
    standard->compares = !other->failed && other->service->last != 0;
    if (standard->compares)
        standard->totals = totals_of(other->service);
    standard->longest_us = sim_clients_longest_us(other);
    sim_world_destroy(other);
}

void sim_service_compare(struct sim_world *world, struct sim_service_standard *standard) {
    struct sim_service *service = world->service;
    struct sim_service_standard own = {0};
    if (service == NULL || world->plan.liar_count + world->plan.trouble.count == 0)
        return;
    if (standard == NULL)
        standard = &own;
    if (!standard->known)
        run_standard(world, standard);
    service->compares = standard->compares;
    service->without_liars = standard->totals;
}

uint64_t sim_service_ratio(const struct sim_world *world) {
    const struct sim_service *service = world->service;
    if (service == NULL || service->last == 0 || !service->compares || service->without_liars.receipts < RECEIPTS_LEAST)
        return UINT64_MAX;
    return totals_of(service).receipts * 1000 / service->without_liars.receipts;
}

void sim_service_create(struct sim_world *world) {
    if (world->plan.service)
        world->service = sim_alloc(sizeof(*world->service));
}

void sim_service_destroy(struct sim_world *world) {
    if (world->service != NULL)
        free(world->service->samples);
    free(world->service);
}
