/*
 * Requests of clients, field by field. Whatever a field cannot mean is refused here, before anything is looked up.
 */
#include "node/ask.h"

#include <stdlib.h>
#include <string.h>

static enum ord_err refuse(const char **why, const char *text) {
    *why = text;
    return ORD_ERR_INVALID;
}

static enum ord_err take_client(struct ask *out, const char **why, const ProtobufCBinaryData *client) {
    if (client->len != ORD_HASH_SIZE)
        return refuse(why, "a client's fingerprint has 32 bytes");
    memcpy(out->client.bytes, client->data, ORD_HASH_SIZE);
    out->of_client = true;
    return ORD_OK;
}

static int compare_sequences(const void *a, const void *b) {
    const uint64_t *first = a;
    const uint64_t *second = b;
    return *first < *second ? -1 : *first > *second;
}

static enum ord_err take_wait(struct ask *out, const char **why, const Ordain__V1__WaitRequest *wait) {
    size_t count = wait->n_sequences;
    if (count == 0 || count > ASK_SEQUENCES_MAX)
        return refuse(why, "a wait names 1 to 4096 sequence numbers");
    enum ord_err err = take_client(out, why, &wait->client);
    if (err != ORD_OK)
        return err;
    out->sequences = malloc(count * sizeof(*out->sequences));
    if (out->sequences == NULL)
        return ORD_ERR_NO_MEMORY;
    memcpy(out->sequences, wait->sequences, count * sizeof(*out->sequences));
    qsort(out->sequences, count, sizeof(*out->sequences), compare_sequences);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || out->sequences[i] != out->sequences[i - 1])
            out->sequences[out->sequence_count++] = out->sequences[i];
    out->timeout_ms = wait->timeout_ms;
    return ORD_OK;
}

static enum ord_err take_receipt(struct ask *out, const char **why, const Ordain__V1__ReceiptRequest *receipt) {
    out->by_place = receipt->by_place;
    out->height = receipt->height;
    out->index = receipt->index;
    out->sequence = receipt->sequence;
    return out->by_place ? ORD_OK : take_client(out, why, &receipt->client);
}

static enum ord_err take_deliver(struct ask *out, const char **why, const Ordain__V1__DeliverRequest *deliver) {
    if ((int) deliver->from_seek < ORDAIN__V1__DELIVER_REQUEST__SEEK__HEIGHT ||
        (int) deliver->from_seek > ORDAIN__V1__DELIVER_REQUEST__SEEK__NEWEST)
        return refuse(why, "a delivery begins at a height, the oldest or the newest block");
    if (deliver->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__HEIGHT && !deliver->to_newest &&
        deliver->from > deliver->to)
        return refuse(why, "the range ends before it begins");
    out->seek = deliver->from_seek;
    out->from = deliver->from;
    out->to = deliver->to;
    out->to_newest = deliver->to_newest;
    out->headers_only = deliver->headers_only;
    out->bytes_max = deliver->bytes_max;
    out->timeout_ms = deliver->timeout_ms;
    return deliver->only_client.len == 0 ? ORD_OK : take_client(out, why, &deliver->only_client);
}

enum ord_err ask_init(struct ask *out, const char **why, const Ordain__V1__Request *message) {
    *out = (struct ask) {.kind = message->kind_case};
    switch ((int) message->kind_case) {
    case ORDAIN__V1__REQUEST__KIND_WAIT:
        return take_wait(out, why, message->wait);
    case ORDAIN__V1__REQUEST__KIND_RECEIPT:
        return take_receipt(out, why, message->receipt);
    case ORDAIN__V1__REQUEST__KIND_DELIVER:
        return take_deliver(out, why, message->deliver);
    case ORDAIN__V1__REQUEST__KIND_CLIENT:
        return take_client(out, why, &message->client->client);
    case ORDAIN__V1__REQUEST__KIND_EVIDENCE:
        out->against = message->evidence->against;
        return ORD_OK;
    case ORDAIN__V1__REQUEST__KIND_SUBMIT:
    case ORDAIN__V1__REQUEST__KIND_STATUS:
        return ORD_OK;
    default:
        return refuse(why, "request without a kind that this replica knows");
    }
}

void ask_deinit(struct ask *ask) {
    free(ask->sequences);
    ask->sequences = NULL;
    ask->sequence_count = 0;
}
