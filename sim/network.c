/*
 * The network: delay, loss, duplication, reordering, and links that are cut or clogged.
 */
#include "sim/check.h"

static void deliver(struct sim_world *world, uint32_t from, uint32_t to, enum replica_link kind,
                    struct sim_buffer *buffer) {
    struct sim_path *path = &world->paths[from * world->instance_count + to];
    struct sim_random *random = &world->network_random;
    world->messages_sent++;
    if (path->cut ||
        sim_ambush_takes(world, world->replicas[from].id, world->replicas[to].id, kind, sim_buffer_span(buffer)) ||
        (!world->healed && sim_chance(random, world->plan.loss_ppm)))
        return;
    uint64_t at_us = world->now_us + world->plan.delay_least_us + sim_spread(random, world->plan.delay_us);
    if (at_us < path->clogged_until)
        at_us = path->clogged_until;
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

void sim_network_send(struct sim_world *world, uint32_t from_instance, ord_node_id to, enum replica_link kind,
                      struct sim_buffer *buffer) {
    sim_check_heard(&world->replicas[from_instance], kind, buffer);
    for (uint32_t i = 0; i < world->instance_count; i++) {
        if (world->replicas[i].id != to)
            continue;
        deliver(world, from_instance, i, kind, buffer);
        if (!world->healed && sim_chance(&world->network_random, world->plan.duplicate_ppm))
            deliver(world, from_instance, i, kind, buffer);
    }
    sim_buffer_release(buffer);
}

bool sim_network_client_delay(struct sim_world *world, uint64_t *delay_us) {
    *delay_us = world->plan.delay_least_us + sim_spread(&world->client_random, world->plan.delay_us);
    return world->healed || !sim_chance(&world->client_random, world->plan.loss_ppm);
}

void sim_network_heal(struct sim_world *world) {
    sim_ambush_end(world);
    for (uint32_t i = 0; i < world->instance_count * world->instance_count; i++) {
        world->paths[i].cut = false;
        if (world->paths[i].clogged_until > world->now_us)
            world->paths[i].clogged_until = world->now_us;
    }
}
