/*
 * The network: delay, loss, duplication, reordering, and links that are cut or clogged. In some runs a link has a
 * bandwidth (sim/line.h).
 */
#include <stdlib.h>

#include "bft/wire/message.h"
#include "sim/check.h"
#include "sim/process.h"

/* Numbers of the paths' streams: one for each pair of machines, twins included. */
enum { PATH_PART = 1000, PATHS_MAX = 2 * ORD_REPLICA_MAX };

/* The message has left its sender. */
static void travel(struct sim_world *world, uint32_t from, uint32_t to, enum replica_link kind,
                   struct sim_buffer *buffer) {
    struct sim_path *path = &world->paths[from * world->instance_count + to];
    struct sim_random *random = &path->random;
    if (path->cut ||
        sim_ambush_takes(world, world->replicas[from].id, world->replicas[to].id, kind, sim_buffer_span(buffer)) ||
        (!sim_faultless(world) && sim_chance(random, world->plan.loss_ppm)))
        return;
    uint64_t at_us = world->now_us + world->plan.delay_least_us + sim_spread(random, world->plan.delay_us) +
                     world->replicas[from].slow_links_us + world->replicas[to].slow_links_us;
    if (at_us < path->clogged_until) {
        at_us = path->clogged_until;
        /* A later clog may end sooner than an earlier one, whose messages are still ahead. */
        if (path->late_until_us < at_us)
            path->late_until_us = at_us;
    }
    uint64_t *last_us = &path->last_us[replica_link_bulk(world->protocol, kind, sim_buffer_span(buffer))];
    if ((world->plan.faults >> SIM_FAULT_REORDER & 1) == 0 && at_us < *last_us)
        at_us = *last_us;
    *last_us = at_us;
    const struct sim_event event = {.kind = SIM_FRAME,
                                    .target = to,
                                    .source = world->replicas[from].id,
                                    .a = kind,
                                    .buffer = sim_buffer_hold(buffer)};
    sim_plan_event(world, at_us - world->now_us, &event);
}

static void deliver(struct sim_world *world, uint32_t from, uint32_t to, enum replica_link kind,
                    struct sim_buffer *buffer) {
    const struct sim_process *process = world->replicas[from].process;
    world->messages_sent++;
    if (sim_is_pbft(world) && kind == REPLICA_LINK_CORE && buffer->size > 0 && buffer->data[0] == BFT_STATUS)
        world->replicas[from].statuses_sent++;
    if (world->plan.costs.cores == 0)
        travel(world, from, to, kind, buffer);
    else if (process != NULL && !world->paths[from * world->instance_count + to].cut)
        sim_line_put(world, from * world->instance_count + to, kind, buffer, process->cost.busy_us[SIM_THREAD_LOOP]);
}

void sim_network_send(struct sim_world *world, uint32_t from_instance, ord_node_id to, enum replica_link kind,
                      struct sim_buffer *buffer) {
    const struct sim_replica *from = &world->replicas[from_instance];
    sim_check_heard(&world->replicas[from_instance], kind, buffer);
    /* What a liar asks for is left out: its quota bounds it, however little else there is to send. */
    bool state = kind == REPLICA_LINK_SYNC_BLOCKS || kind == REPLICA_LINK_SYNC_TAIL;
    bool counts = !from->liar && !(state && world->replicas[to].liar);
    world->honest_messages += counts;
    world->honest_bytes += counts ? buffer->size : 0;
    for (uint32_t i = 0; i < world->instance_count; i++) {
        if (world->replicas[i].id != to)
            continue;
        struct sim_path *path = &world->paths[from_instance * world->instance_count + i];
        deliver(world, from_instance, i, kind, buffer);
        if (!sim_faultless(world) && sim_chance(&path->random, world->plan.duplicate_ppm))
            deliver(world, from_instance, i, kind, buffer);
    }
    sim_buffer_release(buffer);
}

bool sim_network_client_delay(struct sim_world *world, uint64_t *delay_us) {
    *delay_us = world->plan.delay_least_us + sim_spread(&world->client_path_random, world->plan.delay_us);
    return world->healed || !sim_chance(&world->client_path_random, world->plan.loss_ppm);
}

void sim_network_create(struct sim_world *world) {
    uint32_t count = world->instance_count;
    world->paths = sim_alloc((size_t) count * count * sizeof(*world->paths));
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++)
            world->paths[i * count + j].random = sim_random_of(world->options.seed, PATH_PART + i * PATHS_MAX + j);
}

void sim_network_destroy(struct sim_world *world) {
    for (uint32_t i = 0; world->paths != NULL && i < world->instance_count * world->instance_count; i++)
        sim_line_clear(&world->paths[i].line);
    free(world->paths);
}

void sim_network_room(struct sim_world *world, size_t message_bytes_max) {
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t least = 2 * (uint64_t) message_bytes_max;
        world->lane_bytes_max[i] = world->plan.costs.lane_bytes > least ? world->plan.costs.lane_bytes : least;
    }
}

void sim_network_line(struct sim_world *world, uint32_t path) {
    struct sim_packet sent = sim_line_event(world, path);
    if (sent.buffer != NULL)
        travel(world, path / world->instance_count, path % world->instance_count, sent.kind, sent.buffer);
    sim_buffer_release(sent.buffer);
}

void sim_network_down(struct sim_world *world, uint32_t instance) {
    for (uint32_t i = 0; i < world->instance_count; i++)
        sim_line_clear(&world->paths[instance * world->instance_count + i].line);
}

void sim_network_heal(struct sim_world *world) {
    sim_ambush_end(world);
    for (uint32_t i = 0; i < world->instance_count * world->instance_count; i++) {
        world->paths[i].cut = false;
        if (world->paths[i].clogged_until > world->now_us)
            world->paths[i].clogged_until = world->now_us;
    }
}

bool sim_network_late(const struct sim_world *world) {
    for (uint32_t i = 0; i < world->instance_count * world->instance_count; i++)
        if (world->paths[i].late_until_us > world->now_us)
            return true;
    return false;
}
