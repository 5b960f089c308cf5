/*
 * Judging the primary's batches, as node/judge.c does: form, size, authority, signature of each envelope. A batch that names a
 * client who is not registered waits until what precedes it is executed. Checking signatures takes its time.
 */
#include "channel/envelope.h"
#include "sim/check.h"
#include "sim/marks.h"
#include "sim/process.h"

/* UNKNOWN_CLIENT: somebody is not registered in the executed state. Other errors: inadmissible. */
static enum ord_err judge_batch(struct sim_process *process, const struct sim_judgement *judgement, uint32_t *checks) {
    struct channel_batch batch;
    enum ord_err err = channel_batch_decode(&batch, judgement->batch);
    struct ord_span bytes;
    while (err == ORD_OK && channel_batch_next(&bytes, &batch.envelopes) == ORD_OK) {
        struct channel_envelope envelope;
        struct crypto_verify_key key;
        uint32_t client_index;
        err = channel_envelope_decode(&envelope, bytes);
        if (err == ORD_OK)
            err = channel_judge(process->channel, &key, &client_index, &envelope);
        if (err == ORD_ERR_NO_SPACE) {
            err = ORD_OK; /* a full client table, which a primary that has executed less cannot know */
            continue;
        }
        if (err != ORD_OK)
            break;
        const struct sim_pooled *pooled =
            sim_request_find(process, client_index,
                             client_index == UINT32_MAX ? ord_load_u64(envelope.client.bytes) : envelope.sequence);
        if (pooled != NULL && ord_span_equal(sim_buffer_span(pooled->envelope), bytes))
            continue; /* checked at admission */
        struct ord_hash id;
        channel_envelope_id(&id, envelope.body);
        (*checks)++;
        if (!sim_crypto_client_verify(&process->world->crypto, &key, &id, &envelope.signature))
            err = ORD_ERR_BAD_SIGNATURE;
    }
    return err;
}

static void look(struct sim_process *process, struct sim_judgement *judgement) {
    struct sim_world *world = process->world;
    uint32_t checks = 0;
    enum ord_err err = judge_batch(process, judgement, &checks);
    judgement->waiting = err == ORD_ERR_UNKNOWN_CLIENT && channel_applied_seq(process->channel) + 1 < judgement->seq;
    ORD_MARK_IF(judgement->waiting, JUDGE_WAITS_FOR_CLIENT);
    if (judgement->waiting)
        return;
    judgement->bad = err != ORD_OK;
    judgement->done = checks == 0;
    if (judgement->bad)
        sim_say(world, process->replica->instance, "refuses seq %lu: %s", (unsigned long) judgement->seq,
                ord_err_name(err));
    if (judgement->done)
        return;
    const struct sim_event event = {.kind = SIM_JUDGED,
                                    .target = process->replica->instance,
                                    .incarnation = process->replica->incarnation,
                                    .a = judgement->number};
    sim_plan_event(world, sim_spread(&process->replica->random, world->plan.judge_us), &event);
}

void sim_judge_begin(struct sim_process *process, uint64_t view, uint64_t seq, const struct ord_hash *digest,
                     struct ord_span batch) {
    for (uint32_t i = 0; i < SIM_JUDGEMENT_MAX; i++) {
        struct sim_judgement *judgement = &process->judgements[i];
        if (judgement->number != 0)
            continue;
        *judgement = (struct sim_judgement) {
            .number = ++process->judgement_number, .view = view, .seq = seq, .digest = *digest, .batch = batch};
        process->judgements_open++;
        look(process, judgement);
        return;
    }
    sim_fail(process->world, "replica %u judges more than %d batches at once", process->replica->instance,
             SIM_JUDGEMENT_MAX);
}

void sim_judge_checked(struct sim_process *process, uint64_t number) {
    for (uint32_t i = 0; i < SIM_JUDGEMENT_MAX; i++)
        if (process->judgements[i].number == number)
            process->judgements[i].done = true;
}

/* Takes one that is done. */
static bool take_done(struct sim_process *process, struct sim_judgement *out) {
    for (uint32_t i = 0; i < SIM_JUDGEMENT_MAX && process->judgements_open > 0; i++) {
        struct sim_judgement *judgement = &process->judgements[i];
        if (judgement->number == 0)
            continue;
        if (judgement->waiting && channel_applied_seq(process->channel) + 1 >= judgement->seq)
            look(process, judgement);
        if (!judgement->done)
            continue;
        *out = *judgement;
        judgement->number = 0;
        process->judgements_open--;
        return true;
    }
    return false;
}

void sim_judge_drain(struct sim_process *process) {
    struct sim_judgement judgement;
    while (!process->ended && sim_process_core_runs(process) && take_done(process, &judgement)) {
        struct ord_event event = {.type = ORD_EVENT_JUDGED,
                                  .now_ms = process->now_ms,
                                  .judged = {.view = judgement.view,
                                             .seq = judgement.seq,
                                             .digest = judgement.digest,
                                             .admissible = !judgement.bad}};
        if (judgement.bad)
            sim_check_refused(process->replica, judgement.view, judgement.seq, &judgement.digest);
        sim_process_step(process, &event);
    }
}

void sim_judge_drop(struct sim_process *process, uint64_t seq) {
    for (uint32_t i = 0; i < SIM_JUDGEMENT_MAX; i++)
        if (process->judgements[i].number != 0 && process->judgements[i].seq <= seq) {
            process->judgements[i].number = 0;
            process->judgements_open--;
        }
}
