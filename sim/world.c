/*
 * Making the world, and its main loop.
 */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/check.h"
#include "sim/check_raft.h"
#include "sim/check_service.h"
#include "sim/client.h"
#include "sim/liar.h"
#include "sim/process.h"

enum { REST_EVERY_US = 50000, NUDGE_SILENT_US = 200000, NUDGE_WINDOW = 64 };
enum { QUIET_AFTER_US = 3000000, QUIET_SECONDS = 4, QUIET_MESSAGES = 5 };

/* ---- making ---- */

static void add_replicas(struct channel_config *config, uint32_t count) {
    const struct sim_identities *all = sim_identities_get();
    for (uint32_t i = 0; i < count; i++) {
        struct channel_replica *replica = &config->replicas[i];
        replica->key = all->replica_public[i];
        replica->org_index = i % SIM_ORGS;
        snprintf(replica->name, sizeof(replica->name), "replica%u", i);
        snprintf(replica->host, sizeof(replica->host), "replica-%u.example", i);
        replica->replica_port = 7000;
        replica->client_port = 7001;
    }
    config->replica_count = count;
}

static void add_orgs(struct channel_config *config) {
    static const char *const names[SIM_ORGS] = {"alpha", "beta"};
    const struct sim_identities *all = sim_identities_get();
    for (uint32_t i = 0; i < SIM_ORGS; i++) {
        snprintf(config->orgs[i].name, sizeof(config->orgs[i].name), "%s", names[i]);
        memcpy(config->orgs[i].ca_der, all->ca[i], all->ca_size[i]);
        config->orgs[i].ca_der_size = (uint32_t) all->ca_size[i];
    }
    config->org_count = SIM_ORGS;
}

static void make_channel(struct sim_world *world) {
    const struct sim_plan *plan = &world->plan;
    struct channel_config *config = sim_alloc(sizeof(*config));
    channel_config_defaults(config, plan->consensus);
    snprintf(config->name, sizeof(config->name), "sim-%lu", (unsigned long) (world->options.seed % 1000000007));
    config->absolute_max_bytes = plan->absolute_max_bytes;
    config->preferred_max_bytes = plan->preferred_max_bytes;
    config->max_message_count = plan->max_message_count;
    config->batch_timeout_ms = plan->batch_timeout_ms;
    config->window = plan->window;
    config->checkpoint_interval = plan->checkpoint_interval;
    config->batch_bytes_max = plan->batch_bytes_max;
    config->body_bytes_max = plan->body_bytes_max;
    config->retransmit_ms = plan->retransmit_ms;
    config->decisions_per_leader = plan->decisions_per_leader;
    config->request_timeout_ms = plan->request_timeout_ms;
    config->clients_max = plan->clients_max;
    config->raft = plan->raft;
    add_orgs(config);
    add_replicas(config, plan->replica_count);
    const char *why;
    if (channel_config_check(config, &why) != ORD_OK) {
        fprintf(stderr, "seed %lu draws a channel that cannot be: %s\n", (unsigned long) world->options.seed, why);
        abort();
    }
    uint8_t *data = sim_alloc(CHANNEL_CONFIG_BYTES_MAX + 1024);
    struct ord_writer writer = ord_writer_of(data, CHANNEL_CONFIG_BYTES_MAX + 1024);
    ORD_ASSERT(channel_genesis_create(&world->genesis_header, &writer, config) == ORD_OK);
    channel_header_hash(&world->genesis_hash, &world->genesis_header);
    world->genesis_data = sim_buffer_create(ord_writer_span(&writer));
    free(data);
    world->config = config;
    world->protocol = replica_protocol(config);
}

static void make_replicas(struct sim_world *world) {
    world->replica_count = world->plan.replica_count;
    world->instance_count = world->replica_count;
    uint32_t room = 2 * world->replica_count; /* room for twins */
    world->replicas = sim_alloc(room * sizeof(*world->replicas));
    bool apart = world->plan.faults >> SIM_FAULT_CLOCK & 1;
    for (uint32_t i = 0; i < room; i++) {
        struct sim_replica *replica = &world->replicas[i];
        replica->world = world;
        replica->instance = i;
        replica->id = i;
        replica->random = sim_random_of(world->options.seed, 100 + i);
        replica->machine_random = sim_random_of(world->options.seed, 200 + i);
        replica->clock = (struct sim_clock) {.local_us = 1000000, .rate_ppm = 1000000};
        if (apart) {
            replica->clock.local_us += sim_below(&replica->machine_random, UINT64_C(1) << 40);
            replica->clock.rate_ppm = (uint32_t) sim_between(&replica->machine_random, 950000, 1050000);
        }
    }
}

struct sim_world *sim_world_create(const struct sim_options *options) {
    struct sim_world *world = sim_alloc(sizeof(*world));
    world->options = *options;
    sim_plan_draw(&world->plan, options);
    world->fault_random = sim_random_of(options->seed, 3);
    world->client_random = sim_random_of(options->seed, 4);
    world->client_path_random = sim_random_of(options->seed, 2);
    world->lie_random = sim_random_of(options->seed, 5);
    make_channel(world);
    sim_crypto_init(&world->crypto, sim_random_of(options->seed, 6).state[0], world->plan.real_crypto,
                    world->plan.replica_count);
    make_replicas(world);
    sim_liars_create(world);
    sim_network_create(world);
    sim_checker_init(world);
    sim_raft_create(world);
    sim_aim_create(world);
    sim_service_create(world);
    sim_clients_create(world);
    sim_faults_begin(world);
    sim_trouble_begin(world);
    sim_say(world, -1, "costs: %u cores, %lu us a check, %lu KiB/s a link", world->plan.costs.cores,
            (unsigned long) (world->plan.costs.verify_ns / 1000),
            (unsigned long) (world->plan.costs.link_bytes_s / 1024));
    for (uint32_t i = 0; i < world->instance_count; i++)
        sim_process_start(&world->replicas[i]);
    return world;
}

void sim_world_destroy(struct sim_world *world) {
    for (uint32_t i = 0; i < world->instance_count; i++) {
        if (world->replicas[i].process != NULL)
            sim_process_destroy(world->replicas[i].process);
        sim_disk_wipe(&world->replicas[i].disk);
        sim_disk_wipe(&world->replicas[i].image);
        sim_disk_wipe(&world->replicas[i].recent);
    }
    sim_liars_destroy(world);
    sim_queue_deinit(&world->queue);
    sim_clients_destroy(world);
    sim_service_destroy(world);
    sim_aim_destroy(world);
    sim_raft_destroy(world);
    sim_checker_deinit(world);
    sim_network_destroy(world);
    free(world->replicas);
    sim_buffer_release(world->genesis_data);
    free(world->config);
    free(world);
}

/* ---- running ---- */

static void note(struct sim_world *world, const struct sim_event *event) {
    uint64_t words[] = {event->time_us, (uint64_t) event->kind << 32 | event->target, event->source, event->a,
                        event->b};
    uint64_t x = world->trace_hash;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        x = (x ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        x ^= x >> 32;
    }
    world->trace_hash = event->buffer == NULL ? x : sim_digest(x, sim_buffer_span(event->buffer));
    world->event_count++;
}

static const char *const link_names[] = {
    "?", "core", "attestation", "certificate", "forward", "sync request", "sync blocks", "sync tail", "offer", "want"};

static void trace_frame(struct sim_world *world, const struct sim_event *event) {
    static const char *const core_names[] = {"?",           "PRE-PREPARE", "PREPARE", "COMMIT", "STATUS",
                                             "VIEW-CHANGE", "NEW-VIEW",    "FETCH",   "BODY",   "RELAY"};
    const char *name = link_names[event->a < sizeof(link_names) / sizeof(link_names[0]) ? event->a : 0];
    if (event->a == REPLICA_LINK_CORE && sim_is_raft(world)) {
        sim_raft_trace(world, event->target, event->source, sim_buffer_span(event->buffer));
        return;
    }
    if (event->a == REPLICA_LINK_CORE && event->buffer->size > 0 && event->buffer->data[0] < 10)
        name = core_names[event->buffer->data[0]];
    sim_say(world, event->target, "<- r%u %s, %zu bytes", event->source, name, event->buffer->size);
}

static void to_process(struct sim_world *world, struct sim_event *event) {
    struct sim_replica *replica = &world->replicas[event->target];
    bool own = event->kind != SIM_FRAME && event->kind != SIM_SUBMIT && event->kind != SIM_ASK;
    if (replica->process == NULL || (own && event->incarnation != replica->incarnation)) {
        sim_buffer_release(event->buffer);
        return;
    }
    if (event->kind == SIM_FRAME) {
        if (world->options.trace)
            trace_frame(world, event);
        sim_liar_received(replica, event->source, (enum replica_link) event->a, event->buffer);
    }
    sim_process_event(replica->process, event);
    if (replica->process != NULL && replica->process->ended)
        sim_crash(replica, UINT64_MAX);
}

static void happen(struct sim_world *world, struct sim_event *event) {
    if (event->kind < SIM_REPLY) {
        to_process(world, event); /* takes the buffer */
        return;
    }
    if (event->kind == SIM_REPLY)
        sim_client_reply(world, event);
    else if (event->kind == SIM_LINE)
        sim_network_line(world, event->target);
    else if (event->kind == SIM_ANSWER)
        sim_client_answer(world, event);
    else if (event->kind == SIM_CLIENT)
        sim_client_event(world, event);
    else if (event->kind == SIM_FAULT)
        sim_faults_event(world, event);
    else if (event->kind == SIM_AIM)
        sim_aim_event(world, event->a);
    else if (event->kind == SIM_TROUBLE)
        sim_trouble_event(world, event->a);
    else
        sim_liar_event(&world->replicas[event->target], event);
    sim_buffer_release(event->buffer);
}

/*
 * True if a replica is silent or still asks. Only more blocks end that: as many as were under way at most, and two
 * windows of them if a liar claims those.
 */
static bool somebody_is_silent(const struct sim_world *world) {
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (!world->replicas[i].liar && world->replicas[i].process != NULL &&
            sim_check_speaking(&world->replicas[i]) != NULL)
            return true;
    return false;
}

/* A single replica that asks in each retransmission interval for what nobody has is lost in the sum over all. */
static void count_statuses(struct sim_world *world) {
    const uint64_t most = (uint64_t) (world->replica_count - 1) * (QUIET_SECONDS + 1) * QUIET_MESSAGES;
    for (uint32_t i = 0; i < world->instance_count && !world->failed; i++) {
        const struct sim_replica *replica = &world->replicas[i];
        uint64_t sent = replica->statuses_sent - replica->statuses_at_rest;
        if (sent > most)
            sim_fail(world, "quiet: r%u sent %lu STATUS in %u s at rest, %lu at most", replica->id,
                     (unsigned long) sent, (unsigned) QUIET_SECONDS, (unsigned long) most);
    }
}

/*
 * At rest, traffic falls back to the heartbeats. What a replica sends to another one in a second: a STATUS, its newest
 * attestation, the stable certificate, and in answer to a STATUS two lists of votes for what a new view proposed again
 * and is not stable yet. That is counted over a time in which nothing is ordered. True: the run is over.
 */
static bool is_quiet(struct sim_world *world) {
    if (world->plan.liar_count > 0 || world->replica_count == 1 || world->options.seed % 2 != 0)
        return true;
    /* Whom nothing reaches yet asks and campaigns for want of a leader, and is no fault of the channel. */
    if (world->quiet_us == 0 || sim_network_late(world)) {
        world->quiet_us = world->now_us + QUIET_AFTER_US;
        return false;
    }
    if (world->now_us < world->quiet_us)
        return false;
    uint64_t ordered = world->checker->model.seq_count;
    if (world->counts_rest && ordered != world->ordered_at_rest) {
        /* Something was still under way: a lying client's request, or one for the sake of a silent replica. */
        world->counts_rest = false;
        world->quiet_us = 0;
        return false;
    }
    if (!world->counts_rest) {
        world->counts_rest = true;
        world->ordered_at_rest = ordered;
        world->messages_at_rest = world->messages_sent;
        world->view_at_rest = world->checker->view_max;
        for (uint32_t i = 0; i < world->instance_count; i++)
            world->replicas[i].statuses_at_rest = world->replicas[i].statuses_sent;
        world->quiet_us = world->now_us + QUIET_SECONDS * UINT64_C(1000000);
        return false;
    }
    count_statuses(world);
    uint64_t links = (uint64_t) world->replica_count * (world->replica_count - 1);
    uint64_t sent = world->messages_sent - world->messages_at_rest;
    uint64_t most = links * (QUIET_SECONDS + 1) * QUIET_MESSAGES + sim_plan_heartbeats(&world->plan, QUIET_SECONDS + 1);
    if (sent > most)
        sim_fail(world, "quiet: %lu messages in %u s at rest, %lu at most", (unsigned long) sent,
                 (unsigned) QUIET_SECONDS, (unsigned long) most);
    if (sim_is_raft(world) && world->checker->view_max != world->view_at_rest)
        sim_fail(world, "quiet: at rest term %lu follows on term %lu", (unsigned long) world->checker->view_max,
                 (unsigned long) world->view_at_rest);
    return true;
}

/* How far the channel has come since faults and load have ended. */
struct rest {
    /* The fewest requests that waited. */
    uint64_t waiting;
    /* The seqs at the beginning, and the newest one; 0: not known yet. */
    uint64_t first_seq;
    uint64_t seq;
};

/*
 * A queue that is long and moves may take its time, as may a silent replica that hears of new seqs. Both have an end:
 * nothing is added to the queue but what brings those seqs, and after two windows of them a replica speaks (rule 26).
 */
static bool moves(const struct sim_world *world, struct rest *rest) {
    const uint64_t seq = world->checker->model.seq_count;
    const uint64_t waiting = sim_clients_waiting(world);
    rest->first_seq = rest->first_seq == 0 ? seq : rest->first_seq;
    bool ordered =
        somebody_is_silent(world) && seq > rest->seq && seq <= rest->first_seq + 2 * (uint64_t) world->config->window;
    bool served = waiting < rest->waiting;
    rest->seq = seq;
    rest->waiting = served ? waiting : rest->waiting;
    return served || ordered;
}

void sim_world_run(struct sim_world *world) {
    struct sim_event event;
    uint64_t look_us = world->plan.load_end_us;
    uint64_t nudge_us = look_us;
    uint64_t limit_us = world->plan.load_end_us + world->plan.rest_limit_us;
    struct rest rest = {.waiting = UINT64_MAX};
    const char *why = "nothing happens any more";
    while (!world->failed && sim_queue_take(&world->queue, &event)) {
        world->now_us = event.time_us;
        note(world, &event);
        happen(world, &event);
        sim_service_step(world);
        sim_raft_look(world);
        sim_aim_step(world);
        if (!world->healed || world->now_us < look_us || world->failed)
            continue;
        look_us = world->now_us + REST_EVERY_US;
        if (moves(world, &rest))
            limit_us = world->now_us + world->plan.rest_limit_us;
        why = sim_check_rest(world);
        if (world->counts_rest || why == NULL) {
            if (is_quiet(world))
                return;
            why = "something is ordered again and again";
            if (world->now_us <= limit_us)
                continue;
            break;
        }
        /*
         * A replica that is silent by rule 26 needs traffic. Nothing else gets any at rest. It needs up to two windows
         * of it, so with a large window one request does not wait for the last one's receipt.
         */
        bool large = world->config->window > NUDGE_WINDOW;
        if (world->now_us >= nudge_us && sim_is_pbft(world) && somebody_is_silent(world) &&
            (large || sim_clients_rest(world) == NULL)) {
            nudge_us = world->now_us + (large ? REST_EVERY_US : NUDGE_SILENT_US);
            sim_clients_nudge(world);
        }
        if (world->now_us > limit_us)
            break;
    }
    if (!world->failed && !sim_check_too_many(world))
        sim_fail(world, "progress: not at rest %lu s after faults and load have ended: %s",
                 (unsigned long) ((world->now_us - world->plan.load_end_us) / 1000000), why);
}
