/*
 * Answers to requests, from any thread: the answer is packed and sent, and the request is freed.
 */
#include <stdlib.h>
#include <string.h>

#include "node/answer.h"
#include "proto/unpack.h"

static void end(struct api_request *request, struct net_message *reply) {
    net_request_reply(request->net, reply);
    free((void *) (uintptr_t) request->submission.envelopes);
    free(request->submission.results);
    if (request->message != NULL)
        proto_free(&request->message->base);
    ask_deinit(&request->ask);
    free(request);
}

void api_reply(struct api_request *request, const Ordain__V1__Response *response) {
    struct net_message *message = NULL;
    uint8_t *data;
    size_t size = ordain__v1__response__get_packed_size(response);
    if (net_message_create(&message, &data, size) == ORD_OK)
        ordain__v1__response__pack(response, data);
    end(request, message);
}

void api_drop(struct api_request *request) {
    end(request, NULL);
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
    else if (status == ORDAIN__V1__STATUS__NOT_READY)
        response.retry_after_ms = NOT_READY_RETRY_MS;
    api_reply(request, &response);
}

void api_reply_stopping(struct api_request *request) {
    api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, "replica is stopping");
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
