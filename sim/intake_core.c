/*
 * What the replica's core is given, and what it answers. This file holds the rules of proposals and cut markers, the
 * verdicts on batches, since when work waits, and the core's events and effects.
 */
#include "sim/intake_internal.h"

#include <stdio.h>
#include <string.h>

enum { CUT_AGAIN_MS = 1000 };

static bool may_run(const struct sim_intake *intake) {
    return intake->room && !intake->between;
}

static bool turn_is_full(const struct sim_intake *intake) {
    return intake->process->writes.bytes >= intake->process->turn_bytes_max / 2;
}

/* ---- proposals ---- */

static uint64_t cut_ms(const struct sim_intake *intake) {
    uint32_t timeout_ms = intake->world->plan.batch_timeout_ms;
    if (timeout_ms == 0 || intake->open_size == 0 || intake->open_height != intake->noted_height)
        return UINT64_MAX;
    return intake->noted_ms + timeout_ms;
}

static uint64_t marker_ms(const struct sim_intake *intake) {
    uint64_t due_ms = cut_ms(intake);
    if (due_ms == UINT64_MAX || intake->cut_height != intake->open_height)
        return due_ms;
    return due_ms > intake->cut_ms + CUT_AGAIN_MS ? due_ms : intake->cut_ms + CUT_AGAIN_MS;
}

static void look_at_proposal(struct sim_intake *intake, struct ord_span batch) {
    if (!sim_model_well_formed(batch)) {
        sim_blame(intake->replica, "proposal", "proposes what is no batch");
        return;
    }
    const struct ord_status *status = &intake->process->observer.status;
    uint64_t view = 0;
    bool names = sim_model_names(batch, &view);
    if (names != status->names_view || (names && view != status->view))
        sim_blame(intake->replica, "proposal", "does not name the view where it has to, or names one");
    intake->offered_cut = ord_load_u64(batch.data + 1);
    if (intake->offered_cut != 0 &&
        (intake->offered_cut != intake->open_height || marker_ms(intake) > sim_intake_now(intake)))
        sim_blame(intake->replica, "proposal", "cuts block %lu, which is not due", (unsigned long) intake->offered_cut);
    uint32_t newcomers_max = intake->world->plan.batch_newcomers_max;
    uint32_t newcomers = 0;
    struct ord_span rest = sim_model_envelopes(batch);
    while (rest.size > 0 && !sim_over(intake)) {
        struct sim_pooled *pooled = sim_pooled_in(intake, sim_model_next(&rest));
        newcomers += pooled != NULL && pooled->sequence == 0;
        if (pooled == NULL || pooled->state != SIM_READY || sim_intake_is_over(intake, pooled))
            sim_blame(intake->replica, "proposal", "proposes what it has not admitted, has executed or proposed");
        else
            pooled->state = SIM_PROPOSED;
    }
    if (newcomers_max != 0 && newcomers > newcomers_max)
        sim_blame(intake->replica, "proposal", "puts %u registrations into a batch, which may have %u", newcomers,
                  newcomers_max);
}

/* ---- verdicts ---- */

/* True if no state of the channel makes it acceptable. */
static bool is_bad(const struct sim_intake *intake, const struct sim_item *item) {
    const struct channel_config *config = intake->world->config;
    return item == NULL || item->junk || item->size > config->absolute_max_bytes ||
           item->message_count > config->max_message_count;
}

/*
 * True if this batch does not name its view although it is the first one in it, or names one although it is not.
 * `known` is false if the reference does not know where its view begins.
 */
static bool is_misnamed(const struct sim_intake *intake, const struct sim_judged *judged, bool *known) {
    uint64_t view = 0;
    bool names = sim_model_names(judged->batch, &view);
    uint64_t begin_seq = 0;
    *known = sim_turns_begin(intake->replica, judged->view, &begin_seq);
    bool has_to = intake->world->config->decisions_per_leader > 0 && judged->seq == begin_seq + 1;
    return names != has_to || (names && view != judged->view);
}

/* True if this batch may be refused. False: everything in it is admissible. */
static bool may_refuse(const struct sim_intake *intake, const struct sim_judged *judged) {
    uint64_t applied_seq = channel_applied_seq(replica_channel(intake->process->program));
    bool known;
    if (!sim_model_well_formed(judged->batch) || is_misnamed(intake, judged, &known) || !known)
        return true;
    struct ord_span rest = sim_model_envelopes(judged->batch);
    while (rest.size > 0) {
        const struct sim_item *item = sim_model_item(sim_intake_model(intake), sim_model_next(&rest));
        if (is_bad(intake, item) || (!item->registration && item->sequence == 0))
            return true;
        if (!item->registration && !intake->registered[item->party] && applied_seq + 1 >= judged->seq)
            return true;
    }
    return false;
}

/* True if this batch must be refused. While the client table is full, registrations are not looked at any more. */
static bool must_refuse(const struct sim_intake *intake, const struct sim_judged *judged) {
    bool known;
    if (!sim_model_well_formed(judged->batch) || (is_misnamed(intake, judged, &known) && known))
        return true;
    struct ord_span rest = sim_model_envelopes(judged->batch);
    while (rest.size > 0 && intake->client_count < intake->world->config->clients_max) {
        if (is_bad(intake, sim_model_item(sim_intake_model(intake), sim_model_next(&rest))))
            return true;
    }
    return false;
}

static void look_at_verdict(struct sim_intake *intake, const struct ord_event *event) {
    for (size_t i = 0; i < intake->judged_count; i++) {
        struct sim_judged *judged = &intake->judged[i];
        if (judged->view != event->judged.view || judged->seq != event->judged.seq ||
            !ord_hash_equal(&judged->digest, &event->judged.digest))
            continue;
        bool wrong = event->judged.admissible ? must_refuse(intake, judged) : !may_refuse(intake, judged);
        if (wrong)
            sim_blame(intake->replica, "judgement", "finds the batch of view %lu, seq %lu %sadmissible",
                      (unsigned long) judged->view, (unsigned long) judged->seq,
                      event->judged.admissible ? "" : "not ");
        sim_lean_verdict(intake, judged, event->judged.lean);
        *judged = intake->judged[--intake->judged_count];
        return;
    }
    sim_blame(intake->replica, "judgement", "gives a verdict on view %lu, seq %lu that nobody waits for",
              (unsigned long) event->judged.view, (unsigned long) event->judged.seq);
}

void sim_intake_check_verdicts(struct sim_intake *intake) {
    if (intake->judged_count == 0 || !may_run(intake) || turn_is_full(intake) || intake->proposals > 0 ||
        intake->checking_count > 0)
        return;
    uint64_t applied_seq = channel_applied_seq(replica_channel(intake->process->program));
    for (size_t i = 0; i < intake->judged_count; i++)
        if (intake->judged[i].seq <= applied_seq + 1)
            sim_blame(intake->replica, "judgement", "owes its core a verdict on view %lu, seq %lu",
                      (unsigned long) intake->judged[i].view, (unsigned long) intake->judged[i].seq);
}

/* ---- work ---- */

/* Drops an envelope that is over. It is unknown whether the replica has looked at it since it is. */
static void left_out(struct sim_intake *intake, size_t index) {
    intake->ghosts[sim_slot_of(intake->pool[index].party, intake->pool[index].sequence)]++;
    sim_intake_drop(intake, index);
    intake->unsure = 2;
    intake->since_unsure = true;
}

/* The replica sweeps its pool before it proposes. An envelope may be over because of what was executed since. */
static void sweep(struct sim_intake *intake) {
    for (size_t i = intake->pool_count; i > 0; i--)
        if (sim_intake_is_over(intake, &intake->pool[i - 1]))
            left_out(intake, i - 1);
}

/* The earliest of these times of clients that wait, or the overdue cut. */
static uint64_t work_ms(const struct sim_intake *intake, const uint64_t *times_ms) {
    uint64_t least_ms = cut_ms(intake);
    if (intake->pool_count == 0)
        return least_ms;
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        if (intake->counts[i] > 0 && times_ms[i] < least_ms)
            least_ms = times_ms[i];
    return least_ms;
}

/* When the turn ends, the core must know since when work waits, and when that work's turn came. */
static void look_at_work(struct sim_intake *intake) {
    const struct ord_core *core = &intake->process->observer;
    uint64_t expected_ms = work_ms(intake, intake->since_ms);
    uint64_t turn_ms = work_ms(intake, intake->turns_ms);
    if (core->work_since_ms != expected_ms && intake->unsure == 0 && !intake->since_unsure)
        snprintf(intake->fault, sizeof(intake->fault), "work: replica %u tells its core %lu, the reference has %lu",
                 intake->replica->instance, (unsigned long) core->work_since_ms, (unsigned long) expected_ms);
    else if (core->work_turn_ms != turn_ms && intake->unsure == 0 && !intake->since_unsure)
        snprintf(intake->fault, sizeof(intake->fault),
                 "work: replica %u tells its core turn %lu, the reference has %lu", intake->replica->instance,
                 (unsigned long) core->work_turn_ms, (unsigned long) turn_ms);
}

/* A leader must propose what it can, at once. It drops those that are over while it looks for some to propose. */
static void look_at_lead(struct sim_intake *intake) {
    const struct ord_core *core = &intake->process->observer;
    bool ready = false;
    if (!core->status.leading)
        return;
    for (size_t i = intake->pool_count; i > 0; i--) {
        const struct sim_pooled *pooled = &intake->pool[i - 1];
        bool gone = sim_intake_is_over(intake, pooled);
        ready = ready || (pooled->state == SIM_READY && !gone);
        if (pooled->state == SIM_READY && gone)
            left_out(intake, i - 1);
    }
    if (!core->status.can_propose || !may_run(intake) || intake->refused || turn_is_full(intake))
        return;
    if ((ready && core->status.in_flight == 0) || marker_ms(intake) <= sim_intake_now(intake))
        snprintf(intake->fault, sizeof(intake->fault), "proposal: replica %u leads, may propose and does not%s",
                 intake->replica->instance, ready ? "" : " cut");
}

static void look_at_flush(struct sim_intake *intake) {
    intake->fault[0] = '\0';
    if (intake->housekeeping)
        sweep(intake);
    look_at_lead(intake);
    look_at_work(intake);
}

/* ---- events and effects ---- */

void sim_intake_event(struct sim_intake *intake, const struct ord_event *event) {
    if (intake == NULL || sim_over(intake))
        return;
    bool forbidden =
        event->type == ORD_EVENT_MESSAGE || event->type == ORD_EVENT_JUDGED || event->type == ORD_EVENT_PROPOSE;
    if (forbidden && !may_run(intake))
        sim_fail(intake->world, "room: the core of replica %u gets an event of type %d while it may not run",
                 intake->replica->instance, (int) event->type);
    if (event->type == ORD_EVENT_PROPOSE)
        look_at_proposal(intake, event->propose.batch);
    else if (event->type == ORD_EVENT_JUDGED)
        look_at_verdict(intake, event);
    else if (event->type == ORD_EVENT_FLUSH)
        look_at_flush(intake);
    else if (event->type == ORD_EVENT_STORAGE)
        intake->storage = event->storage.available;
    else if (event->type == ORD_EVENT_HAND_OVER)
        intake->hand_over = false;
    if (event->type != ORD_EVENT_SYNCED)
        return;
    const struct sim_model_seq *seqs = sim_intake_model(intake)->seqs;
    const struct sim_model_seq before = intake->seq > 0 ? seqs[intake->seq - 1] : (struct sim_model_seq) {0};
    const struct sim_model_seq *after = &seqs[event->synced.seq - 1];
    if (event->synced.unchanged && (before.order_end != after->order_end || before.height != after->height))
        sim_blame(intake->replica, "transfer", "says that nothing changed between seq %lu and seq %lu",
                  (unsigned long) intake->seq, (unsigned long) event->synced.seq);
    sim_intake_execute_to(intake, after->order_end, false);
    intake->seq = event->synced.seq;
    intake->between = false;
    intake->unsure = 2;
    intake->since_unsure = true;
    sim_intake_open_is(intake, event->synced.seq);
}

void sim_intake_effect(struct sim_intake *intake, const struct ord_effect *effect) {
    if (intake == NULL || sim_over(intake))
        return;
    if (effect->type == ORD_EFFECT_LEADER) {
        intake->leader = effect->leader.leader;
        intake->leader_turn = intake->turn;
        intake->leader_ms = sim_intake_now(intake);
        if (intake->leader != ORD_NO_NODE)
            memset(intake->debt, 0, sizeof(intake->debt));
        intake->cut_height = 0;
        intake->judged_count = 0;
        for (size_t i = 0; i < intake->pool_count; i++)
            intake->pool[i].state = SIM_READY;
        memset(intake->overdue, 0, sizeof(intake->overdue));
        intake->raised_to = 0;
        sim_intake_new_turns(intake);
        sim_lean_leader(intake);
    } else if (effect->type == ORD_EFFECT_REJECT) {
        intake->refused = true;
    } else if (effect->type == ORD_EFFECT_JUDGE) {
        intake->judged =
            sim_grow(intake->judged, &intake->judged_capacity, intake->judged_count, sizeof(*intake->judged));
        intake->judged[intake->judged_count++] = (struct sim_judged) {.view = effect->judge.view,
                                                                      .seq = effect->judge.seq,
                                                                      .digest = effect->judge.digest,
                                                                      .batch = effect->judge.batch};
        sim_lean_batch(intake, &intake->judged[intake->judged_count - 1]);
    }
}

void sim_intake_stepped(struct sim_intake *intake, const struct ord_event *event, bool taken) {
    if (intake == NULL || sim_over(intake))
        return;
    for (size_t i = intake->judged_count; i > 0; i--)
        if (intake->judged[i - 1].seq <= intake->process->observer.status.stable_seq)
            intake->judged[i - 1] = intake->judged[--intake->judged_count];
    if (event->type != ORD_EVENT_PROPOSE)
        return;
    if (taken && !intake->refused) {
        if (intake->offered_cut != 0) {
            intake->cut_height = intake->offered_cut;
            intake->cut_ms = sim_intake_now(intake);
        }
        return;
    }
    intake->refused = true;
    struct ord_span batch = event->propose.batch;
    struct ord_span rest = sim_model_envelopes(batch);
    while (rest.size > 0) {
        struct sim_pooled *pooled = sim_pooled_in(intake, sim_model_next(&rest));
        if (pooled != NULL)
            pooled->state = SIM_READY;
    }
}

uint64_t sim_intake_due_ms(const struct sim_intake *intake) {
    if (intake == NULL || sim_over(intake) || intake->leader != sim_intake_self(intake) ||
        !intake->process->observer.status.can_propose || !may_run(intake))
        return UINT64_MAX;
    return marker_ms(intake);
}
