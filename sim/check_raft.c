/*
 * The life of these checks, and what leads to their parts.
 */
#include "sim/check_raft.h"

#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "raft/raft.h"
#include "sim/check.h"
#include "sim/process.h"

void sim_raft_create(struct sim_world *world) {
    if (!sim_is_raft(world))
        return;
    world->raft = sim_alloc(sizeof(*world->raft));
    world->raft->nodes = sim_alloc(world->replica_count * sizeof(*world->raft->nodes));
}

void sim_raft_destroy(struct sim_world *world) {
    struct sim_raft *raft = world->raft;
    if (raft == NULL)
        return;
    for (uint32_t i = 0; i < world->replica_count; i++)
        free(raft->nodes[i].log.terms);
    free(raft->nodes);
    free(raft->committed);
    sim_map_deinit(&raft->entries);
    sim_map_deinit(&raft->leaders);
    sim_map_deinit(&raft->votes);
    sim_map_deinit(&raft->prevotes);
    free(raft);
}

void sim_raft_forgot(struct sim_replica *replica) {
    if (replica->world->raft != NULL)
        replica->world->raft->nodes[replica->id].life = SIM_RAFT_LOST;
}

/* Row R8: nobody cuts what it has delivered, because nobody lies and no more than f forget. */
static void check_halted(const struct sim_raft_step *step) {
    const struct raft_detail *detail = step->after->detail;
    if (detail != NULL && detail->halted)
        sim_blame(step->replica, "halted", "was told to cut what it has delivered, and takes no part any more");
}

/* What the others know of an older disk has come. */
static void note_told(struct sim_raft_step *step) {
    struct sim_replica *replica = step->replica;
    struct sim_world *world = replica->world;
    struct sim_raft_node *node = step->node;
    if (!step->is_message)
        return;
    if (step->message.type == SIM_RAFT_ASK)
        node->heard_life[step->message.sender] = step->message.life;
    if (step->message.type != SIM_RAFT_RECALL || step->message.life != node->life)
        return;
    node->told |= ord_replica_bit(step->message.sender);
    if (!replica->older || ord_replica_count(node->told) < world->replica_count - 1)
        return;
    replica->older = false;
    if (world->still == replica->instance + 1)
        sim_faults_go_on(world);
}

void sim_raft_stepped(struct sim_replica *replica, const struct ord_event *event, const struct ord_status *before,
                      const struct ord_effects *effects) {
    struct sim_world *world = replica->world;
    struct sim_raft *raft = world->raft;
    if (raft == NULL || world->failed)
        return;
    struct sim_raft_step step = {.replica = replica,
                                 .raft = raft,
                                 .node = &raft->nodes[replica->id],
                                 .event = event,
                                 .before = before,
                                 .after = &replica->process->observer.status,
                                 .effects = effects};
    step.is_message = event->type == ORD_EVENT_MESSAGE && sim_raft_read(&step.message, event->message->bytes);
    note_told(&step);
    sim_raft_log_step(&step);
    sim_raft_said_step(&step);
    check_halted(&step);
    step.node->led = step.after->leading;
    if (step.after->leading)
        replica->led_us = world->now_us;
}

uint64_t sim_raft_due_ms(const struct sim_replica *replica) {
    const struct ord_core *core = &replica->process->observer;
    const struct channel_raft *raft = &replica->world->plan.raft;
    uint64_t ask_ms = 10 * (uint64_t) replica->world->plan.retransmit_ms;
    if (core->status.leading)
        return raft->heartbeat_ms;
    /* It may wait for its disk, or have nothing to ask and nothing to say. Others check that it goes on. */
    if (core->wake_at_ms == UINT64_MAX)
        return UINT64_MAX;
    return raft->election_ms_max > ask_ms ? raft->election_ms_max : ask_ms;
}

void sim_raft_trace(struct sim_world *world, uint32_t target, uint32_t source, struct ord_span bytes) {
    static const char *const names[] = {"?",        "VOTE-REQUEST", "VOTE-ANSWER", "APPEND", "APPEND-ANSWER",
                                        "SNAPSHOT", "TIMEOUT-NOW",  "ASK",         "RECALL"};
    struct sim_raft_message message;
    if (!sim_raft_read(&message, bytes))
        return;
    sim_say(world, target, "<- r%u %s term %lu%s%s, seq %lu of %lu, commit %lu, asked %lu, %zu bytes", source,
            names[message.type], (unsigned long) message.term, message.first ? " A" : "", message.second ? " B" : "",
            (unsigned long) message.seq, (unsigned long) message.seq_term, (unsigned long) message.commit_seq,
            (unsigned long) message.asked_term, bytes.size);
}
