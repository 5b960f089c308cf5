/*
 * The faults and their times. From time to time one of the run's kinds of fault strikes, lasts a while, and ends. At
 * plan.fault_end_us everything is repaired at once. Rows V12 (clocks apart), V13, V15 and C6 (crashes and cuts at any
 * moment, also of view changes and transfers), V16 (old images), F1 (crashes within a commit).
 */
#include "sim/check.h"
#include "sim/process.h"

enum action { STRIKE, RESTART, RESUME, MEND_PATHS, MAKE_IMAGE, ROOM_AGAIN, HEAL, STOP };

/* A replica with an older disk of a raft channel is away for so many of the longest election timeouts. */
enum { OLDER_AWAY = 6 };

/* Commits that a disk loses at most. */
enum { LOST_COMMITS_MAX = 6 };

/* The longest time between the wish to stop and the end. */
enum { HAND_OVER_US = 200000 };
/* The number of the first strike's stream. */
enum { STRIKE_PART = 1 << 20 };

uint64_t sim_faults_length_us(struct sim_world *world) {
    return 1000 + sim_spread(&world->fault_random, world->plan.fault_long_us);
}

static void plan_action(struct sim_world *world, enum action action, uint32_t instance, uint64_t delay_us) {
    const struct sim_event event = {.kind = SIM_FAULT, .target = action, .a = instance};
    sim_plan_event(world, delay_us, &event);
}

void sim_crash(struct sim_replica *replica, uint64_t down_us) {
    struct sim_world *world = replica->world;
    if (replica->process == NULL)
        return;
    sim_say(world, replica->instance, "crashes");
    world->crashes++;
    /*
     * Solo's decisions stand once they are durable, and the reference cannot take anything back. So its puts become
     * durable first.
     */
    if (sim_is_solo(world))
        sim_process_settle(replica->process);
    sim_process_destroy(replica->process);
    replica->process = NULL;
    sim_network_down(world, replica->instance);
    replica->paused = false;
    if (down_us != UINT64_MAX)
        plan_action(world, RESTART, replica->instance, down_us + 1000);
}

static void restart(struct sim_world *world, struct sim_replica *replica) {
    if (replica->process != NULL || world->failed)
        return;
    /* A new process may have a monotonic clock of any origin. */
    if (world->plan.faults >> SIM_FAULT_CLOCK & 1)
        replica->clock.local_us += sim_below(&world->fault_random, 1000000);
    sim_process_start(replica);
}

/* True if this replica may forget its promises: with it, liars and forgetful replicas are at most f. */
static bool may_forget(const struct sim_world *world, const struct sim_replica *replica) {
    uint32_t faulty = world->plan.liar_count;
    for (uint32_t i = 0; i < world->instance_count; i++) {
        const struct sim_replica *other = &world->replicas[i];
        /* raft: one whose first start is not over cannot be told from one that lost its disk (docs/adr/0015). */
        faulty += other->forgetful || (sim_is_raft(world) && other != replica && !other->spoke);
    }
    return !replica->liar && (replica->forgetful || faulty < world->plan.faulty_max);
}

/*
 * raft: an older disk looks like an intact one. So all others must tell what they know of it, and they know what their
 * disks have. While it comes back nothing else may fail, and nobody else may have been down since the image was made;
 * nor may it have led, for a leader's last commits have no witness (docs/adr/0015, "What remains"). True: all is well
 * enough for that.
 */
static bool may_be_older(const struct sim_world *world, const struct sim_replica *replica, uint64_t image_us) {
    for (uint32_t i = 0; i < world->instance_count; i++) {
        const struct sim_replica *other = &world->replicas[i];
        if (other != replica && (other->process == NULL || other->started_us >= image_us || other->forgetful))
            return false;
        if (other->process == NULL || sim_check_speaking(other) != NULL || world->now_us < other->stalled_until_us)
            return false;
    }
    return world->still == 0 && replica->led_us < image_us;
}

static void stand_still(struct sim_world *world, const struct sim_replica *older) {
    world->still = older->instance + 1;
    sim_say(world, older->instance, "nothing else fails until it is back");
    sim_network_heal(world);
    for (uint32_t i = 0; i < world->instance_count; i++) {
        struct sim_replica *replica = &world->replicas[i];
        replica->slow_disk_until_us = 0;
        replica->paused = false;
        replica->full = false;
        sim_process_poke(replica);
    }
}

void sim_faults_go_on(struct sim_world *world) {
    sim_say(world, -1, "faults go on");
    world->still = 0;
}

/* The replica crashes for so long, and its disk is `image` then, of this time. NULL: an empty one. */
static void forget_for(struct sim_replica *replica, uint64_t away_us, const struct sim_disk *image, uint64_t image_us,
                       const char *what) {
    struct sim_world *world = replica->world;
    const bool older = sim_is_raft(world) && image != NULL;
    if (!may_forget(world, replica) || (older && !may_be_older(world, replica, image_us)))
        return;
    if (older)
        away_us = (uint64_t) OLDER_AWAY * world->plan.raft.election_ms_max * 1000;
    sim_crash(replica, away_us);
    replica->older = older;
    if (older)
        stand_still(world, replica);
    sim_say(world, replica->instance, "%s", what);
    replica->spoke = false;
    sim_disk_wipe(&replica->disk);
    if (image != NULL)
        sim_disk_copy(&replica->disk, image);
    replica->recent_commits = 0;
    sim_check_forgot(replica);
}

static void forget(struct sim_world *world, struct sim_replica *replica, const struct sim_disk *image,
                   uint64_t image_us, const char *what) {
    forget_for(replica, sim_faults_length_us(world), image, image_us, what);
}

void sim_faults_empty(struct sim_replica *replica, uint64_t away_us) {
    forget_for(replica, away_us, NULL, 0, "gets an empty disk");
}

/* The commits from now on are the last ones that the disk will lose. */
static void begin_to_lose(struct sim_world *world, struct sim_replica *replica) {
    if (!may_forget(world, replica) || replica->recent_commits > 0)
        return;
    sim_disk_wipe(&replica->recent);
    sim_disk_copy(&replica->recent, &replica->disk);
    replica->recent_us = world->now_us;
    replica->recent_commits = 1 + (uint32_t) sim_between(&world->fault_random, 1, LOST_COMMITS_MAX);
}

bool sim_faults_lose(struct sim_replica *replica) {
    if (replica->recent_commits == 0 || --replica->recent_commits > 0 || sim_faultless(replica->world))
        return false;
    forget(replica->world, replica, &replica->recent, replica->recent_us, "loses the last commits of its disk");
    return replica->process == NULL;
}

/* Where only some replicas may fail, one of them is alone on its side. */
static void partition(struct sim_world *world, const struct sim_replica *victim) {
    uint64_t side = sim_roll(&world->fault_random);
    if (world->plan.victim_count > 0)
        side = UINT64_C(1) << victim->instance;
    for (uint32_t i = 0; i < world->instance_count; i++)
        for (uint32_t j = 0; j < world->instance_count; j++)
            world->paths[i * world->instance_count + j].cut |= (side >> i & 1) != (side >> j & 1);
    sim_say(world, -1, "partition %lx", (unsigned long) (side & ((UINT64_C(1) << world->instance_count) - 1)));
    plan_action(world, MEND_PATHS, 0, sim_faults_length_us(world));
}

static void one_way(struct sim_world *world, uint32_t victim) {
    bool deaf = sim_chance(&world->fault_random, 500000);
    for (uint32_t i = 0; i < world->instance_count; i++)
        world->paths[deaf ? i * world->instance_count + victim : victim * world->instance_count + i].cut = true;
    sim_say(world, victim, deaf ? "hears nothing" : "is not heard");
    plan_action(world, MEND_PATHS, 0, sim_faults_length_us(world));
}

static void clog_path(struct sim_world *world, const struct sim_replica *victim) {
    uint32_t paths = world->instance_count * world->instance_count;
    uint32_t number = (uint32_t) sim_below(&world->fault_random, paths);
    if (world->plan.victim_count > 0)
        number = victim->instance * world->instance_count + number % world->instance_count;
    struct sim_path *path = &world->paths[number];
    path->clogged_until = world->now_us + sim_faults_length_us(world);
}

/* Some replicas' wall clocks are wrong by half a century, when no certificate is valid. */
static void set_wall(struct sim_replica *replica) {
    static const int64_t far_s = INT64_C(50) * 365 * 86400;
    uint64_t state = replica->clock.local_us ^ replica->instance;
    uint64_t drawn = sim_splitmix(&state) % 8;
    replica->wall_off_s = drawn == 0 ? far_s : drawn == 1 ? -far_s : 0;
}

void sim_faults_jump(struct sim_replica *replica, uint64_t by_us) {
    struct sim_world *world = replica->world;
    struct sim_clock *clock = &replica->clock;
    clock->local_us = sim_clock_us(world, clock) + by_us;
    clock->base_us = world->now_us;
    if (world->plan.faults >> SIM_FAULT_CLOCK & 1) {
        clock->rate_ppm = (uint32_t) sim_between(&world->fault_random, 800000, 1250000);
        set_wall(replica);
    }
    sim_say(world, replica->instance, "clock jumps to %lu ms", (unsigned long) sim_clock_ms(replica));
    sim_process_poke(replica);
}

void sim_faults_stop(struct sim_replica *victim) {
    struct sim_world *world = victim->world;
    if (victim->process == NULL)
        return;
    sim_say(world, victim->instance, "is asked to stop");
    sim_process_hand_over(victim->process);
    plan_action(world, STOP, victim->instance, sim_below(&world->fault_random, HAND_OVER_US));
}

static void crash_or_stop(struct sim_world *world, struct sim_replica *victim) {
    /* Now and then all replicas crash at once. */
    if (sim_chance(&world->fault_random, 100000) && world->plan.victim_count == 0)
        for (uint32_t i = 0; i < world->instance_count; i++)
            sim_crash(&world->replicas[i], sim_faults_length_us(world));
    /* Some stop in good order. */
    if (sim_chance(&world->fault_random, 300000))
        sim_faults_stop(victim);
    else
        sim_crash(victim, sim_faults_length_us(world));
}

static struct sim_replica *draw_victim(struct sim_world *world) {
    const struct sim_plan *plan = &world->plan;
    uint64_t drawn = sim_below(&world->fault_random, world->instance_count);
    if (plan->victim_count > 0)
        drawn = (plan->victim_first + drawn % plan->victim_count) % world->replica_count;
    return &world->replicas[drawn];
}

void sim_faults_pause(struct sim_replica *replica, uint64_t length_us) {
    replica->paused = replica->process != NULL;
    sim_say(replica->world, replica->instance, "stands still");
    plan_action(replica->world, RESUME, replica->instance, length_us);
}

void sim_faults_fill(struct sim_replica *replica, uint64_t length_us) {
    replica->full = true;
    sim_say(replica->world, replica->instance, "disk is full");
    plan_action(replica->world, ROOM_AGAIN, replica->instance, length_us);
}

void sim_faults_mend(struct sim_world *world, uint64_t after_us) {
    plan_action(world, MEND_PATHS, 0, after_us);
}

/* The other kinds of fault are in force all the time. */
static void strike(struct sim_world *world, enum sim_fault fault) {
    struct sim_replica *victim = draw_victim(world);
    if (fault == SIM_FAULT_PARTITION) {
        partition(world, victim);
    } else if (fault == SIM_FAULT_ONE_WAY) {
        one_way(world, victim->instance);
    } else if (fault == SIM_FAULT_CLOG) {
        clog_path(world, victim);
    } else if (fault == SIM_FAULT_CRASH) {
        crash_or_stop(world, victim);
    } else if (fault == SIM_FAULT_PAUSE) {
        sim_faults_pause(victim, sim_faults_length_us(world));
    } else if (fault == SIM_FAULT_CLOCK) {
        sim_faults_jump(victim, sim_spread(&world->fault_random, world->plan.fault_long_us));
    } else if (fault == SIM_FAULT_SLOW_DISK) {
        victim->slow_disk_until_us = world->now_us + sim_faults_length_us(world);
    } else if (fault == SIM_FAULT_DISK_FULL) {
        sim_faults_fill(victim, sim_faults_length_us(world));
    } else if (fault == SIM_FAULT_OLD_IMAGE) {
        if (victim->has_image)
            forget(world, victim, &victim->image, victim->image_us, "gets an old image of its disk");
    } else if (fault == SIM_FAULT_EMPTY_DISK) {
        forget(world, victim, NULL, 0, "gets an empty disk");
    } else if (fault == SIM_FAULT_LAST_WRITES) {
        begin_to_lose(world, victim);
    } else if (fault == SIM_FAULT_AMBUSH) {
        sim_ambush_begin(world, victim->instance);
    } else if (fault == SIM_FAULT_AIM) {
        sim_aim_strike(world);
    }
}

/*
 * Each strike has a stream of its own, so that the faults of a seed do not depend on what earlier ones met: a liar
 * forgets nothing, and a process that is down cannot crash.
 */
static void strike_some(struct sim_world *world) {
    enum sim_fault kinds[SIM_FAULT_COUNT];
    uint32_t count = 0;
    world->fault_random = sim_random_of(world->options.seed, STRIKE_PART + world->strikes++);
    uint64_t next_us = sim_spread(&world->fault_random, world->plan.fault_every_us) + 1000;
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
        if (world->plan.faults >> i & 1)
            kinds[count++] = (enum sim_fault) i;
    if (count > 0 && world->still == 0)
        strike(world, kinds[sim_below(&world->fault_random, count)]);
    plan_action(world, STRIKE, 0, next_us);
}

static void heal(struct sim_world *world) {
    world->healed = true;
    world->still = 0;
    sim_say(world, -1, "all faults stop");
    sim_network_heal(world);
    for (uint32_t i = 0; i < world->instance_count; i++) {
        struct sim_replica *replica = &world->replicas[i];
        replica->slow_disk_until_us = 0;
        replica->clock.local_us = sim_clock_us(world, &replica->clock);
        replica->clock.base_us = world->now_us;
        replica->clock.rate_ppm = 1000000;
        replica->wall_off_s = 0;
        restart(world, replica);
        replica->paused = false;
        replica->full = false;
        sim_process_poke(replica);
    }
}

static void make_image(struct sim_world *world, struct sim_replica *replica) {
    sim_disk_wipe(&replica->image);
    sim_disk_copy(&replica->image, &replica->disk);
    replica->has_image = true;
    replica->image_us = world->now_us;
    plan_action(world, MAKE_IMAGE, replica->instance, sim_spread(&world->fault_random, 10000000) + 1000);
}

void sim_faults_event(struct sim_world *world, const struct sim_event *event) {
    struct sim_replica *replica = &world->replicas[event->a];
    enum action action = (enum action) event->target;
    if (action == STRIKE && !world->healed) {
        strike_some(world);
    } else if (action == RESTART) {
        restart(world, replica);
    } else if (action == RESUME) {
        replica->paused = false;
        sim_process_poke(replica);
    } else if (action == MEND_PATHS) {
        for (uint32_t i = 0; i < world->instance_count * world->instance_count; i++)
            world->paths[i].cut = false;
    } else if (action == MAKE_IMAGE && !world->healed) {
        make_image(world, replica);
    } else if (action == ROOM_AGAIN) {
        replica->full = false;
        sim_process_poke(replica);
    } else if (action == HEAL) {
        heal(world);
    } else if (action == STOP && !(sim_is_raft(world) && sim_faultless(world))) {
        sim_crash(replica, sim_faults_length_us(world));
    }
}

void sim_faults_begin(struct sim_world *world) {
    plan_action(world, HEAL, 0, world->plan.fault_end_us);
    plan_action(world, STRIKE, 0, sim_spread(&world->fault_random, world->plan.fault_every_us));
    if (world->plan.faults >> SIM_FAULT_OLD_IMAGE & 1)
        for (uint32_t i = 0; i < world->instance_count; i++)
            plan_action(world, MAKE_IMAGE, i, sim_spread(&world->fault_random, 5000000));
}
