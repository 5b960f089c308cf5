/*
 * Submissions: a SubmitRequest becomes a submission of the replica, and the replica's results become statuses. The
 * reader thread adds the receipts of envelopes that were ordered before.
 */
#include <stdlib.h>

#include "node/node_internal.h"

struct replica_submission *submit_begin(struct api_request *request) {
    const Ordain__V1__SubmitRequest *submit = request->message->submit;
    const size_t count = submit->n_envelopes;
    if (count == 0 || count > REPLICA_SUBMISSION_MAX) {
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "a submission has 1 to 4096 envelopes");
        return NULL;
    }
    struct ord_span *envelopes = calloc(count, sizeof(*envelopes));
    request->submission = (struct replica_submission) {
        .source = net_request_source(request->net),
        .copy = submit->copy,
        .envelopes = envelopes,
        .count = (uint32_t) count,
        .results = calloc(count, sizeof(*request->submission.results)),
        .leader = ORD_NO_NODE,
    };
    if (envelopes == NULL || request->submission.results == NULL) {
        api_reply_error(request, ORDAIN__V1__STATUS__BUSY, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        envelopes[i] = ord_span_of(submit->envelopes[i].data, submit->envelopes[i].len);
    return &request->submission;
}

/* The reader thread packs the answer, because it looks up the receipts. */
void submit_answer(void *context, struct replica_submission *submission) {
    uint8_t *request = (uint8_t *) submission - offsetof(struct api_request, submission);
    service_post(context, (struct api_request *) (void *) request);
}
