/*
 * The wrapper: events go into the real core, its effects come out, and the checks look at each on the way. Those of an
 * honest core pass unchanged.
 */
#include "sim/observe.h"

#include <stdlib.h>

#include "core/assert.h"
#include "sim/check.h"
#include "sim/check_raft.h"
#include "sim/liar.h"
#include "sim/process.h"

static const struct ord_protocol *inner_of(const struct ord_core *core) {
    return core->process->world->protocol;
}

/* ---- decisions, and the results of executing them ---- */

/* Follows one DELIVER: the reference learns of it before the replica's execution is checked. */
static void follow(struct ord_core *core, const struct ord_effect *effect) {
    struct sim_process *process = core->process;
    const struct sim_model *model = &process->world->checker->model;
    uint64_t seq = effect->deliver.seq;
    sim_check_delivered(process->replica, seq, effect->deliver.term, effect->deliver.batch);
    if (process->replica->liar || process->world->failed)
        return;
    const struct sim_model_seq *after = &model->seqs[seq - 1];
    sim_intake_executed(process->intake, seq);
    core->point_seq = after->point ? seq : core->point_seq;
    core->accepted += after->accepted;
    core->accepted_bytes += after->accepted_bytes;
    if (after->accepted > 0 || after->height != (seq == 1 ? 0 : model->seqs[seq - 2].height))
        core->useful_seq = seq;
    sim_say(process->world, process->replica->instance, "delivers seq %lu: %u accepted, height %lu",
            (unsigned long) seq, after->accepted, (unsigned long) after->height);
}

void sim_observe_follow(struct sim_process *process, uint64_t seq) {
    struct ord_core *core = &process->observer;
    for (; core->followed < core->given.count; core->followed++) {
        const struct ord_effect *effect = &core->given.items[core->followed];
        if (effect->type != ORD_EFFECT_DELIVER)
            continue;
        if (effect->deliver.seq > seq)
            return;
        follow(core, effect);
    }
}

/* Follows the DELIVERs among the first `count` effects of this step. */
static void follow_first(struct ord_core *core, const struct ord_effects *effects, size_t count) {
    for (; core->followed < count; core->followed++)
        if (effects->items[core->followed].type == ORD_EFFECT_DELIVER)
            follow(core, &effects->items[core->followed]);
}

/* ---- events ---- */

static void look_at_event(struct ord_core *core, const struct ord_event *event) {
    struct sim_replica *replica = core->process->replica;
    if (event->type == ORD_EVENT_TICK) {
        core->wake_at_ms = UINT64_MAX;
    } else if (event->type == ORD_EVENT_JUDGED && !event->judged.admissible) {
        sim_check_refused(replica, event->judged.view, event->judged.seq, &event->judged.digest);
    } else if (event->type == ORD_EVENT_APPLIED) {
        sim_check_applied(replica, event);
        core->accepted = 0;
        core->accepted_bytes = 0;
        core->executed = true;
    } else if (event->type == ORD_EVENT_WORK) {
        core->work_since_ms = event->work.since_ms;
        core->work_turn_ms = event->work.turn_ms;
    }
}

/* A DELIVER is followed when it is executed. */
static void look_at_effect(struct ord_core *core, const struct ord_effect *effect) {
    struct sim_replica *replica = core->process->replica;
    if (effect->type == ORD_EFFECT_PERSIST) {
        sim_check_persisted(replica, effect->persist.table, effect->persist.key, effect->persist.bytes);
    } else if (effect->type == ORD_EFFECT_SEND) {
        sim_check_silence(replica, effect->send.bytes);
        sim_check_asking(replica, effect->send.to, effect->send.bytes);
    } else if (effect->type == ORD_EFFECT_WAKE_AT) {
        core->wake_at_ms = effect->wake.at_ms;
    } else if (effect->type == ORD_EFFECT_EVIDENCE) {
        sim_check_evidence(replica, &core->process->core_config, effect->evidence.culprit, effect->evidence.first,
                           effect->evidence.second);
    } else if (effect->type == ORD_EFFECT_FORGET) {
        sim_check_forgets(replica, effect->forget.table, effect->forget.key);
    }
}

static enum ord_err step_inner(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    struct sim_process *process = core->process;
    const struct ord_status before = core->status;
    *out = (struct ord_effects) {0};
    enum ord_err err = inner_of(core)->step(core->inner, out, event);
    inner_of(core)->status(core->inner, &core->status);
    if (event->type == ORD_EVENT_MESSAGE)
        sim_check_taken(process->replica, event->message->from, event->message->bytes);
    else if (err != ORD_OK && !process->replica->liar)
        sim_fail(process->world, "seam: the core of replica %u refuses an event of type %d: %s",
                 process->replica->instance, (int) event->type, ord_err_name(err));
    if (err != ORD_OK)
        return err;
    for (size_t i = 0; i < out->count; i++) {
        /* The pool's turns begin anew with a leader, after what was delivered before. */
        if (out->items[i].type == ORD_EFFECT_LEADER && !process->replica->liar)
            follow_first(core, out, i);
        sim_intake_effect(process->intake, &out->items[i]);
        sim_duties_effect(process->duties, &out->items[i]);
        look_at_effect(core, &out->items[i]);
    }
    sim_told_step(process->told, event, &before, out);
    sim_raft_stepped(process->replica, event, &before, out);
    sim_check_status(process->replica);
    return ORD_OK;
}

/* ---- effects that a liar's replica gets instead of the core's ---- */

static void give_effect(struct ord_core *core, const struct ord_effect *effect) {
    core->effects = sim_grow(core->effects, &core->effect_capacity, core->effect_count, sizeof(*core->effects));
    core->effects[core->effect_count++] = *effect;
}

static struct ord_span keep(struct ord_core *core, struct sim_buffer *buffer) {
    core->kept = sim_grow(core->kept, &core->kept_capacity, core->kept_count, sizeof(struct sim_buffer *));
    core->kept[core->kept_count++] = buffer;
    return sim_buffer_span(buffer);
}

static void forget_kept(struct ord_core *core) {
    for (size_t i = 0; i < core->kept_count; i++)
        sim_buffer_release(core->kept[i]);
    core->kept_count = 0;
    core->effect_count = 0;
}

/* Copies the effects, because the spans of a step end with the next step. */
static void give_copies(struct ord_core *core, const struct ord_effects *effects) {
    for (size_t i = 0; i < effects->count; i++) {
        struct ord_effect copy = effects->items[i];
        if (copy.type == ORD_EFFECT_PERSIST) {
            copy.persist.bytes = keep(core, sim_buffer_create(copy.persist.bytes));
        } else if (copy.type == ORD_EFFECT_SEND) {
            copy.send.bytes = keep(core, sim_buffer_create(copy.send.bytes));
            copy.send.body = keep(core, sim_buffer_create(copy.send.body));
        } else if (copy.type == ORD_EFFECT_DELIVER) {
            copy.deliver.batch = keep(core, sim_buffer_create(copy.deliver.batch));
        }
        give_effect(core, &copy);
    }
}

/* Proposes a batch that the liar's replica did not ask for. */
static void propose_own(struct ord_core *core, const struct ord_event *event) {
    struct ord_effects effects;
    struct ord_status status = core->status;
    if (!status.leading || !status.can_propose || core->process->replica->full)
        return;
    struct sim_buffer *batch =
        sim_liar_own_batch(core->process->replica, &status, event->now_ms, core->work_since_ms != UINT64_MAX);
    if (batch == NULL)
        return;
    struct ord_event propose = *event;
    propose.type = ORD_EVENT_PROPOSE;
    propose.propose.batch = sim_buffer_span(batch);
    if (step_inner(core, &effects, &propose) == ORD_OK)
        give_copies(core, &effects);
    sim_buffer_release(batch);
}

static enum ord_err step_liar(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    struct sim_replica *replica = core->process->replica;
    struct ord_event changed = *event;
    struct ord_effects effects;
    forget_kept(core);
    if (event->type == ORD_EVENT_PROPOSE) {
        struct sim_buffer *batch = sim_liar_batch(replica, event->propose.batch);
        /* The liar wants none of it ordered. */
        if (batch == NULL) {
            const struct ord_effect reject = {.type = ORD_EFFECT_REJECT, .reject = {.err = ORD_ERR_NO_SPACE}};
            give_effect(core, &reject);
            *out = (struct ord_effects) {core->effects, core->effect_count};
            return ORD_OK;
        }
        changed.propose.batch = keep(core, batch);
    }
    if (event->type == ORD_EVENT_WORK && sim_liar_paces(replica))
        /* Its own core would suspect it, too. */
        changed.work.since_ms = changed.work.turn_ms = UINT64_MAX;
    if (event->type == ORD_EVENT_FLUSH)
        propose_own(core, event);
    enum ord_err err = step_inner(core, &effects, &changed);
    for (size_t i = 0; err == ORD_OK && i < effects.count; i++)
        give_effect(core, &effects.items[i]);
    uint64_t due_ms = sim_liar_due_ms(replica, core->work_since_ms != UINT64_MAX);
    if (event->type == ORD_EVENT_FLUSH && due_ms < core->wake_at_ms) {
        const struct ord_effect wake = {.type = ORD_EFFECT_WAKE_AT, .wake = {.at_ms = due_ms}};
        give_effect(core, &wake);
    }
    *out = (struct ord_effects) {core->effects, core->effect_count};
    return err;
}

/* ---- the protocol ---- */

static enum ord_err observe_step(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    sim_observe_follow(core->process, UINT64_MAX);
    look_at_event(core, event);
    sim_intake_event(core->process->intake, event);
    sim_duties_event(core->process->duties, event);
    core->given = (struct ord_effects) {0};
    core->followed = 0;
    enum ord_err err = core->process->replica->liar ? step_liar(core, out, event) : step_inner(core, out, event);
    if (err == ORD_OK)
        core->given = *out;
    sim_intake_stepped(core->process->intake, event, err == ORD_OK);
    return err;
}

/* A liar that orders nothing of what waits has no use for its replica's proposals. */
static void observe_status(const struct ord_core *core, struct ord_status *out) {
    /* Only a step changes it. */
    *out = core->status;
    if (out->can_propose && sim_liar_idles(core->process->replica, out->view))
        out->can_propose = false;
    if (sim_liar_paces(core->process->replica))
        /* Its replica then offers what there is at any time. */
        out->in_flight = 0;
}

static bool observe_wants(const struct ord_core *core, struct ord_span bytes) {
    return inner_of(core)->wants(core->inner, bytes);
}

static enum ord_err observe_create(struct ord_core **out, void *memory, size_t memory_size,
                                   const struct ord_core_config *config, const struct ord_signer *signer,
                                   uint64_t seed) {
    struct sim_process *process = signer->context;
    struct ord_core *core = &process->observer;
    process->core_config = *config;
    if (sim_is_raft(process->world)) {
        /* Flow control is drawn. The replica's own is so wide that a small channel never fills it. */
        process->raft_options = *raft_options_of(config);
        process->raft_options.in_flight_max = process->world->plan.in_flight_max;
        process->raft_options.in_flight_size = process->world->plan.in_flight_size;
        process->core_config.options = &process->raft_options;
    }
    *out = core;
    enum ord_err err = inner_of(core)->init(&core->inner, memory, memory_size, &process->core_config, signer, seed);
    if (err == ORD_OK)
        inner_of(core)->status(core->inner, &core->status);
    return err;
}

const struct ord_protocol *sim_observe_protocol(const struct sim_process *process) {
    static struct ord_protocol protocols[CHANNEL_RAFT + 1];
    struct ord_protocol *protocol = &protocols[process->world->plan.consensus];
    *protocol = *process->world->protocol;
    protocol->init = observe_create;
    protocol->step = observe_step;
    protocol->status = observe_status;
    protocol->wants = observe_wants;
    return protocol;
}

void sim_observe_init(struct sim_process *process) {
    process->observer = (struct ord_core) {
        .process = process, .wake_at_ms = UINT64_MAX, .work_since_ms = UINT64_MAX, .work_turn_ms = UINT64_MAX};
}

void sim_observe_deinit(struct sim_process *process) {
    struct ord_core *core = &process->observer;
    forget_kept(core);
    free(core->kept);
    free(core->effects);
}

void sim_observe_turn(struct sim_process *process) {
    struct ord_core *core = &process->observer;
    sim_observe_follow(process, UINT64_MAX);
    sim_check_turn(process->replica, core->executed);
    core->executed = false;
}
