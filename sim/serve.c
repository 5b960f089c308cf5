/*
 * A process's service for clients. Submissions go to the replica, and its results go back. A client that waits gets its
 * receipt when its envelope is final.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/check.h"
#include "sim/client.h"
#include "sim/liar.h"
#include "sim/process.h"

/* ---- answers ---- */

static void reply(struct sim_process *process, uint32_t client, uint64_t sequence, enum sim_answer what,
                  struct sim_buffer *receipt) {
    uint64_t delay_us;
    if (!sim_liar_answers(process->replica) || !sim_network_client_delay(process->world, &delay_us))
        return;
    const struct sim_event event = {.kind = SIM_REPLY,
                                    .target = client,
                                    .source = process->replica->instance,
                                    .a = sequence,
                                    .b = what,
                                    .buffer = sim_buffer_hold(receipt)};
    sim_plan_event(process->world, delay_us, &event);
}

/*
 * A slot that may be taken. A wait for a registration keeps its slot: libordain asks all replicas whether its client is
 * registered (client/register.c), so an honest one soon tells. Our clients ask one replica at a time, seldom, and may
 * meet a silent liar again and again.
 */
static struct sim_wait *next_wait(struct sim_process *process) {
    struct sim_wait *wait;
    do
        wait = &process->waits[process->wait_next++ % SIM_WAITS_MAX];
    while (wait->client != UINT32_MAX && wait->sequence == 0);
    return wait;
}

static void wait_for(struct sim_process *process, uint32_t client, uint64_t sequence) {
    for (uint32_t i = 0; i < SIM_WAITS_MAX && process->waits_open > 0; i++)
        if (process->waits[i].client == client && process->waits[i].sequence == sequence)
            return;
    struct sim_wait *wait = next_wait(process);
    /* If the slot was in use, its client is forgotten, and asks again. */
    process->waits_open += wait->client == UINT32_MAX;
    *wait = (struct sim_wait) {client, sequence};
    process->waits_due = true;
}

static enum sim_answer answer_of(const struct replica_result *result) {
    if (result->verdict == REPLICA_ACCEPTED || result->verdict == REPLICA_ORDERED)
        return SIM_ANSWER_ACCEPTED;
    /* The registration of an unknown client may be on its way. */
    bool later = result->verdict == REPLICA_TAKEN || result->verdict == REPLICA_BUSY ||
                 result->verdict == REPLICA_UNKNOWN_CLIENT;
    return later ? SIM_ANSWER_BUSY : SIM_ANSWER_REFUSED;
}

static void close_submission(struct sim_process *process, struct sim_submission *submission) {
    if (submission->next != NULL)
        submission->next->previous = submission->previous;
    if (submission->previous != NULL)
        submission->previous->next = submission->next;
    else
        process->submissions = submission->next;
    sim_buffer_release(submission->buffer);
    free(submission->results);
    free(submission);
}

void sim_serve_submit(struct sim_process *process, const struct sim_submission *form, const struct ord_span *envelopes,
                      uint32_t count) {
    struct sim_submission *submission = sim_alloc(sizeof(*submission) + count * sizeof(*envelopes));
    *submission = *form;
    submission->next = process->submissions;
    submission->results = sim_alloc(count * sizeof(*submission->results));
    memcpy(submission->envelopes, envelopes, count * sizeof(*envelopes));
    submission->given = (struct replica_submission) {.source = ORD_REPLICA_MAX + submission->client,
                                                     .copy = form->given.copy,
                                                     .envelopes = submission->envelopes,
                                                     .count = count,
                                                     .results = submission->results,
                                                     .leader = ORD_NO_NODE};
    if (process->submissions != NULL)
        process->submissions->previous = submission;
    process->submissions = submission;
    sim_process_give(process, &(struct sim_input) {.type = REPLICA_INPUT_SUBMITTED, .submission = submission});
}

void sim_serve_submitted(struct sim_process *process, struct sim_event *event) {
    const struct ord_span envelope = sim_buffer_span(event->buffer);
    const struct sim_submission form = {.client = event->source, .sequence = event->a, .buffer = event->buffer};
    struct sim_buffer *lie = sim_liar_receipt(process->replica, envelope);
    if (lie != NULL)
        reply(process, event->source, event->a, SIM_ANSWER_RECEIPT, lie);
    sim_buffer_release(lie);
    sim_serve_submit(process, &form, &envelope, 1);
}

static void answer_one(struct sim_process *process, const struct sim_submission *submission) {
    enum sim_answer what = answer_of(&submission->results[0]);
    reply(process, submission->client, submission->sequence, what, NULL);
    if (what == SIM_ANSWER_ACCEPTED)
        wait_for(process, submission->client, submission->sequence);
}

void sim_serve_answer(void *context, struct replica_submission *answered) {
    struct sim_process *process = context;
    struct sim_submission *submission = (struct sim_submission *) answered; /* its first member */
    if (!process->ended)
        sim_intake_judged(process->intake, submission, 0);
    for (uint32_t i = 0; i < answered->count && !process->ended; i++)
        sim_liar_submitted(process->replica, &answered->results[i], answered->envelopes[i]);
    if (!process->ended && submission->call != 0)
        sim_asks_submitted(process, submission);
    else if (!process->ended)
        answer_one(process, submission);
    close_submission(process, submission);
}

/* ---- receipts ---- */

void sim_serve_certified(void *context, uint64_t height, const struct channel_certificate *certificate) {
    struct sim_process *process = context;
    if (height > process->certified_height)
        process->certified_height = height;
    process->waits_due = true;
    sim_check_certified(process->replica, height, certificate);
    if (certificate == NULL)
        return;
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    struct sim_certified *slot = &process->certified[process->certified_count++ % SIM_CERTIFICATES_MAX];
    sim_buffer_release(slot->certificate);
    size_t size = channel_certificate_encode(bytes, certificate);
    *slot = (struct sim_certified) {certificate->statement.height, sim_buffer_create(ord_span_of(bytes, size))};
}

struct sim_buffer *sim_serve_certificate(const struct sim_process *process, uint64_t *at, uint64_t height) {
    struct sim_buffer *found = sim_disk_certificate(&process->replica->disk, at, height);
    for (size_t i = 0; i < SIM_CERTIFICATES_MAX; i++) {
        const struct sim_certified *certified = &process->certified[i];
        if (certified->certificate == NULL || certified->height < height || (found != NULL && *at <= certified->height))
            continue;
        *at = certified->height;
        found = certified->certificate;
    }
    return found;
}

void sim_serve_receipts(struct sim_process *process) {
    if (!process->waits_due)
        return;
    process->waits_due = false;
    sim_asks_serve(process);
    for (uint32_t i = 0; i < SIM_WAITS_MAX && process->waits_open > 0; i++) {
        struct sim_wait *wait = &process->waits[i];
        uint64_t height;
        if (wait->client == UINT32_MAX)
            continue;
        struct sim_buffer *receipt = sim_reader_receipt(process, &height, wait->client, wait->sequence, true);
        if (receipt == NULL)
            continue;
        sim_check_acknowledged(process->replica, height);
        reply(process, wait->client, wait->sequence, SIM_ANSWER_RECEIPT, receipt);
        sim_buffer_release(receipt);
        wait->client = UINT32_MAX;
        process->waits_open--;
    }
}

void sim_serve_deinit(struct sim_process *process) {
    for (size_t i = 0; i < SIM_CERTIFICATES_MAX; i++)
        sim_buffer_release(process->certified[i].certificate);
    sim_asks_deinit(process);
    while (process->submissions != NULL)
        close_submission(process, process->submissions);
}
