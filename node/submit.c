/*
 * Submissions: a SubmitRequest becomes a submission of the replica, and the replica's results become statuses. The
 * reader thread adds the receipts of envelopes that were ordered before.
 */
#include <stdlib.h>

#include "node/node_internal.h"

static struct submission *create(struct api_request *request, uint32_t count) {
    struct submission *submission = calloc(1, sizeof(*submission));
    if (submission == NULL)
        return NULL;
    submission->request = request;
    submission->envelopes = calloc(count, sizeof(*submission->envelopes));
    submission->results = calloc(count, sizeof(*submission->results));
    if (submission->envelopes == NULL || submission->results == NULL) {
        submit_free(submission);
        return NULL;
    }
    submission->of_replica = (struct replica_submission) {
        .source = net_request_source(request->net),
        .envelopes = submission->envelopes,
        .count = count,
        .results = submission->results,
        .leader = ORD_NO_NODE,
    };
    return submission;
}

struct replica_submission *submit_begin(struct api_request *request) {
    const Ordain__V1__SubmitRequest *submit = request->message->submit;
    if (submit->n_envelopes == 0 || submit->n_envelopes > REPLICA_SUBMISSION_MAX) {
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "a submission has 1 to 4096 envelopes");
        return NULL;
    }
    request->submission = create(request, (uint32_t) submit->n_envelopes);
    if (request->submission == NULL) {
        api_reply_error(request, ORDAIN__V1__STATUS__BUSY, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < submit->n_envelopes; i++)
        request->submission->envelopes[i] = ord_span_of(submit->envelopes[i].data, submit->envelopes[i].len);
    return &request->submission->of_replica;
}

/* The reader thread packs the answer, because it looks up the receipts. */
void submit_answer(void *context, struct replica_submission *of_replica) {
    const struct submission *submission = (const struct submission *) of_replica;
    service_post(context, submission->request);
}
