/*
 * Faults that are aimed at a raft channel: at its leader of the moment, at a new leader, or at a vote that is about to
 * leave. Chance alone meets them too rarely. Each is one of the faults of sim/faults.c, at a time of its own.
 */
#include <stdlib.h>

#include "raft/raft.h"
#include "sim/check_raft.h"
#include "sim/process.h"

enum aim {
    AIM_DEAF,    /* R6, R14: the leader hears nothing for a while, again and again; often another replica is down */
    AIM_MUTE,    /* R6 the other way: nobody hears the leader */
    AIM_ALONE,   /* R3, R18: the leader is cut off for long, and the others go on without it */
    AIM_REJOIN,  /* R1, R15: a follower is cut off for some election timeouts */
    AIM_PAUSE,   /* R12, R19: the leader stands still, another is elected, and it wakes */
    AIM_CLOCK,   /* R12: the leader's clock jumps */
    AIM_LEADERS, /* R5: some leaders in a row crash soon after their election */
    AIM_POWER,   /* R16, R17: all crash at once, soon after an election */
    AIM_VOTE,    /* R4: some replicas crash while a vote is on its way to the disk or behind it */
    AIM_FULL,    /* R21: the leader's disk is full */
    AIM_STALL,   /* R24: a follower's disk does nothing for up to ten seconds */
    AIM_STOP,    /* the leader stops in good order */
    AIM_RETURN,  /* R18: the leader is cut off until the others' log is cut beyond what it has in common with them */
    AIM_EMPTY,   /* R13: a follower's disk is empty, and it acknowledges what the others do not have yet */
    AIM_COUNT
};

enum { STALL_US = 10000000 };

struct sim_aim {
    enum aim kind; /* of the rounds that are left */
    uint32_t rounds;
    uint64_t round_us;
    uint32_t leaders; /* so many new leaders will crash */
    bool power;       /* and with the next one all others */
    uint32_t votes;   /* so many votes will be struck */
    uint64_t term;    /* the highest of a leader that was seen */
    /* AIM_RETURN: the replica that was cut off, + 1, and where its log ended then. 0: none is. */
    uint32_t away;
    uint64_t away_seq;
    struct sim_random random;
};

void sim_aim_create(struct sim_world *world) {
    if (!sim_is_raft(world))
        return;
    world->aim = sim_alloc(sizeof(*world->aim));
    world->aim->random = sim_random_of(world->options.seed, 21);
}

void sim_aim_destroy(struct sim_world *world) {
    free(world->aim);
}

struct sim_replica *sim_leader(const struct sim_world *world) {
    struct sim_replica *best = NULL;
    uint64_t term = 0;
    for (uint32_t i = 0; i < world->instance_count; i++) {
        struct sim_replica *replica = &world->replicas[i];
        if (replica->process == NULL || replica->process->ended)
            continue;
        struct ord_status status = sim_process_status(replica->process);
        if (status.leading && status.view >= term) {
            best = replica;
            term = status.view;
        }
    }
    return best;
}

static struct sim_replica *follower_of(struct sim_world *world, const struct sim_replica *leader) {
    uint64_t drawn = sim_below(&world->aim->random, world->instance_count);
    struct sim_replica *replica = &world->replicas[drawn];
    return replica == leader ? &world->replicas[(drawn + 1) % world->instance_count] : replica;
}

static uint64_t timeouts_us(struct sim_world *world, uint64_t low_tenths, uint64_t high_tenths) {
    uint64_t tenths = sim_between(&world->aim->random, low_tenths, high_tenths);
    return tenths * world->plan.raft.election_ms_max * 100 + 1000;
}

static void plan_round(struct sim_world *world, uint64_t delay_us) {
    const struct sim_event event = {.kind = SIM_AIM};
    sim_plan_event(world, delay_us, &event);
}

static void cut(struct sim_world *world, uint32_t victim, bool to_it, bool from_it, uint64_t length_us) {
    for (uint32_t i = 0; i < world->instance_count; i++) {
        world->paths[i * world->instance_count + victim].cut |= to_it;
        world->paths[victim * world->instance_count + i].cut |= from_it;
    }
    sim_say(world, victim, "aim: %s%s for %lu ms", to_it ? "hears nothing " : "", from_it ? "is not heard" : "",
            (unsigned long) (length_us / 1000));
    sim_faults_mend(world, length_us);
}

/* One of several cuts of whoever leads then. */
static void play_round(struct sim_world *world) {
    struct sim_aim *aim = world->aim;
    struct sim_replica *leader = sim_leader(world);
    if (aim->rounds == 0 || sim_faultless(world))
        return;
    aim->rounds--;
    if (leader != NULL)
        cut(world, leader->instance, aim->kind == AIM_DEAF, aim->kind == AIM_MUTE, aim->round_us);
    plan_round(world, aim->round_us + timeouts_us(world, 5, 40));
}

static void begin_rounds(struct sim_world *world, enum aim kind, const struct sim_replica *leader) {
    struct sim_aim *aim = world->aim;
    aim->kind = kind;
    aim->rounds = (uint32_t) sim_between(&aim->random, 1, 4);
    aim->round_us = timeouts_us(world, 10, 25);
    if (sim_chance(&aim->random, 500000) && world->plan.faulty_max > 0)
        sim_crash(follower_of(world, leader), aim->rounds * (aim->round_us + timeouts_us(world, 10, 30)));
    play_round(world);
}

static void send_away(struct sim_world *world, const struct sim_replica *leader) {
    world->aim->away = leader->instance + 1;
    world->aim->away_seq = sim_process_status(leader->process).proposed_seq;
    cut(world, leader->instance, true, true, timeouts_us(world, 60, 200));
}

/* The one that was cut off comes back as soon as the others have a snapshot point beyond the end of its log then. */
static void let_return(struct sim_world *world) {
    struct sim_aim *aim = world->aim;
    const struct sim_replica *leader = sim_leader(world);
    if (leader == NULL || leader->instance + 1 == aim->away)
        return;
    const struct raft_detail *detail = sim_process_status(leader->process).detail;
    if (detail->base_seq <= aim->away_seq)
        return;
    sim_say(world, (int64_t) aim->away - 1, "aim: is connected again; the others have a point at seq %lu",
            (unsigned long) detail->base_seq);
    aim->away = 0;
    sim_faults_mend(world, 0);
}

/* The others hear nothing from the leader, so what it proposes from now on has only those two. */
static void empty_follower(struct sim_world *world, const struct sim_replica *leader) {
    struct sim_replica *follower = follower_of(world, leader);
    for (uint32_t i = 0; i < world->instance_count; i++)
        world->paths[leader->instance * world->instance_count + i].cut = i != follower->instance;
    sim_faults_mend(world, timeouts_us(world, 8, 20));
    sim_faults_empty(follower, timeouts_us(world, 0, 4));
}

static void strike_leader(struct sim_world *world, enum aim kind, struct sim_replica *leader) {
    if (kind == AIM_DEAF || kind == AIM_MUTE)
        begin_rounds(world, kind, leader);
    else if (kind == AIM_ALONE)
        cut(world, leader->instance, true, true, timeouts_us(world, 20, 120));
    else if (kind == AIM_REJOIN)
        cut(world, follower_of(world, leader)->instance, true, true, timeouts_us(world, 10, 60));
    else if (kind == AIM_PAUSE)
        sim_faults_pause(leader, timeouts_us(world, 5, 40));
    else if (kind == AIM_CLOCK)
        sim_faults_jump(leader, timeouts_us(world, 5, 30));
    else if (kind == AIM_FULL)
        sim_faults_fill(leader, timeouts_us(world, 5, 40));
    else if (kind == AIM_STALL)
        follower_of(world, leader)->stalled_until_us = world->now_us + sim_below(&world->aim->random, STALL_US);
    else if (kind == AIM_RETURN)
        send_away(world, leader);
    else if (kind == AIM_EMPTY)
        empty_follower(world, leader);
    else
        sim_faults_stop(leader);
}

void sim_aim_strike(struct sim_world *world) {
    struct sim_aim *aim = world->aim;
    struct sim_replica *leader = sim_leader(world);
    enum aim kind = (enum aim) sim_below(&aim->random, AIM_COUNT);
    if (kind == AIM_LEADERS)
        aim->leaders = (uint32_t) sim_between(&aim->random, 1, 5);
    else if (kind == AIM_POWER)
        aim->power = true;
    else if (kind == AIM_VOTE)
        aim->votes = (uint32_t) sim_between(&aim->random, 1, 3);
    else if (leader != NULL)
        strike_leader(world, kind, leader);
}

void sim_aim_event(struct sim_world *world, uint64_t part) {
    if (part == 0) {
        play_round(world);
        return;
    }
    if (sim_faultless(world))
        return;
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (part == UINT64_MAX || part == i + 1)
            sim_crash(&world->replicas[i], timeouts_us(world, 1, 15));
}

void sim_aim_step(struct sim_world *world) {
    struct sim_aim *aim = world->aim;
    if (aim == NULL || sim_faultless(world))
        return;
    if (aim->away != 0)
        let_return(world);
    if (aim->leaders == 0 && !aim->power)
        return;
    const struct sim_replica *leader = sim_leader(world);
    uint64_t term = leader == NULL ? 0 : sim_process_status(leader->process).view;
    if (term <= aim->term)
        return;
    aim->term = term;
    uint64_t round_us = 2 * (world->plan.delay_least_us + world->plan.delay_us) + 2 * world->plan.commit_us;
    struct sim_event event = {.kind = SIM_AIM, .a = leader->instance + 1};
    if (aim->power)
        event.a = UINT64_MAX;
    else
        aim->leaders--;
    aim->power = false;
    sim_plan_event(world, sim_below(&aim->random, 3 * round_us), &event);
}

bool sim_aim_kills(struct sim_replica *replica) {
    struct sim_aim *aim = replica->world->aim;
    const struct sim_process *process = replica->process;
    if (aim == NULL || aim->votes == 0)
        return false;
    for (size_t i = 0; i < process->outbox_count; i++) {
        const struct sim_send *send = &process->outbox[i];
        struct sim_raft_message message;
        bool waits = send->turn != 0 && send->turn <= process->committing && send->kind == REPLICA_LINK_CORE;
        if (!waits || !sim_raft_read(&message, sim_buffer_span(send->buffer)) || message.first ||
            (message.type != SIM_RAFT_VOTE_REQUEST && (message.type != SIM_RAFT_VOTE_ANSWER || !message.second)))
            continue;
        aim->votes--;
        sim_say(replica->world, replica->instance, "aim: a vote is struck");
        return true;
    }
    return false;
}
