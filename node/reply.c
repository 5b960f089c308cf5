/*
 * Answers to requests, from any thread: the answer is packed and sent, and the request is freed.
 */
#include <stdlib.h>
#include <string.h>

#include "node/answer.h"

void submit_free(struct submission *submission) {
    free(submission->envelopes);
    free(submission->results);
    free(submission);
}

static void free_request(struct api_request *request) {
    if (request->submission != NULL)
        submit_free(request->submission);
    ordain__v1__request__free_unpacked(request->message, NULL);
    free(request);
}

void api_reply(struct api_request *request, const Ordain__V1__Response *response) {
    struct net_message *message = NULL;
    uint8_t *data;
    size_t size = ordain__v1__response__get_packed_size(response);
    if (net_message_create(&message, &data, size) == ORD_OK)
        ordain__v1__response__pack(response, data);
    net_request_reply(request->net, message);
    free_request(request);
}

void api_reply_error(struct api_request *request, Ordain__V1__Status status, const char *message) {
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    char text[160];
    strncpy(text, message, sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    response.status = status;
    response.message = text;
    if (status == ORDAIN__V1__STATUS__BUSY || status == ORDAIN__V1__STATUS__UNAVAILABLE)
        response.retry_after_ms = 50;
    api_reply(request, &response);
}

size_t answer_room(const struct api_request *request) {
    size_t all;
    size_t here = net_request_unsent(request->net, &all);
    return here < UNSENT_READER_MAX && all < UNSENT_MAX ? ANSWER_BYTES_MAX : 0;
}

void answer_unread(struct api_request *request) {
    api_reply_error(request, ORDAIN__V1__STATUS__BUSY, "too much that was asked for has not been read yet");
}

void answer_failed(struct api_request *request, enum ord_err err) {
    api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE,
                    err == ORD_ERR_CORRUPT ? "damaged on this replica's disk; ask another" : ord_err_text(err));
}

Ordain__V1__Status submit_status(enum replica_verdict verdict) {
    switch (verdict) {
    case REPLICA_ACCEPTED:
        return ORDAIN__V1__STATUS__ACCEPTED;
    case REPLICA_DUPLICATE:
        return ORDAIN__V1__STATUS__DUPLICATE;
    case REPLICA_BUSY:
        return ORDAIN__V1__STATUS__BUSY;
    case REPLICA_TOO_LARGE:
        return ORDAIN__V1__STATUS__TOO_LARGE;
    case REPLICA_BAD_REQUEST:
        return ORDAIN__V1__STATUS__BAD_REQUEST;
    case REPLICA_FORBIDDEN:
        return ORDAIN__V1__STATUS__FORBIDDEN;
    case REPLICA_UNKNOWN_CLIENT:
        return ORDAIN__V1__STATUS__UNKNOWN_CLIENT;
    }
    return ORDAIN__V1__STATUS__BUSY;
}
