/*
 * Replicas of a raft channel that fail in the middle of the load and stay so until it ends, in runs in which service is
 * measured. At most f do. The leader may crash, or get a slow disk if it goes on while that writes. Raft has no rule
 * against a leader that is slow as a whole (docs/comparison.md), so slow links are those of followers.
 */
#include "sim/process.h"

enum part { BEGIN, END };

static void plan_part(struct sim_world *world, enum part part, uint64_t at_us) {
    const struct sim_event event = {.kind = SIM_TROUBLE, .a = part};
    sim_plan_event(world, at_us - world->now_us, &event);
}

void sim_trouble_begin(struct sim_world *world) {
    const struct sim_trouble *trouble = &world->plan.trouble;
    if (trouble->count == 0)
        return;
    plan_part(world, BEGIN, trouble->at_us);
    plan_part(world, END, world->plan.load_end_us);
}

static void strike(struct sim_world *world, struct sim_replica *replica) {
    const struct sim_trouble *trouble = &world->plan.trouble;
    if (trouble->kind == SIM_TROUBLE_CRASHED) {
        sim_crash(replica, world->plan.load_end_us - world->now_us);
    } else if (trouble->kind == SIM_TROUBLE_SLOW_DISK) {
        sim_say(world, replica->instance, "has a slow disk");
        replica->slow_disk_until_us = world->plan.load_end_us;
    } else {
        sim_say(world, replica->instance, "has slow links");
        replica->slow_links_us = trouble->slow_us;
    }
}

void sim_trouble_event(struct sim_world *world, uint64_t part) {
    const struct sim_trouble *trouble = &world->plan.trouble;
    const struct sim_replica *leader = sim_leader(world);
    bool slows_leader = trouble->kind == SIM_TROUBLE_SLOW_LINKS ||
                        (trouble->kind == SIM_TROUBLE_SLOW_DISK && world->plan.waits_for_disk);
    uint32_t skipped = leader == NULL || (trouble->leads && !slows_leader) ? 0 : 1;
    uint32_t first = leader == NULL ? 0 : leader->instance;
    if (part == BEGIN)
        for (uint32_t i = 0; i < trouble->count; i++)
            strike(world, &world->replicas[(first + skipped + i) % world->instance_count]);
    else
        for (uint32_t i = 0; i < world->instance_count; i++)
            world->replicas[i].slow_links_us = 0;
}
