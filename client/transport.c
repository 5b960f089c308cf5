/*
 * Requests and answers as messages of the public API.
 */
#include "client/transport.h"

#include <stdlib.h>

/* ---- Requests --------------------------------------------------------------------------------------------------- */

static enum ord_err pack(struct net_message **out, const struct ordain *client, Ordain__V1__Request__KindCase kind,
                         void *message) {
    client_request request = client_request_of(kind, client->config.channel, message);
    return client_request_pack(out, &request);
}

static enum ord_err pack_submit(struct net_message **out, const struct ordain *client,
                                const struct engine_request *request) {
    ProtobufCBinaryData *envelopes = calloc(request->count, sizeof(*envelopes));
    if (envelopes == NULL)
        return ORD_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < request->count; i++)
        envelopes[i] = (ProtobufCBinaryData) {request->entries[i]->size, request->entries[i]->envelope};
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    submit.n_envelopes = request->count;
    submit.envelopes = envelopes;
    submit.copy = request->kind == ENGINE_REQUEST_COPY;
    enum ord_err err = pack(out, client, ORDAIN__V1__REQUEST__KIND_SUBMIT, &submit);
    free(envelopes);
    return err;
}

static enum ord_err pack_registration(struct net_message **out, const struct ordain *client, uint64_t config_sequence) {
    uint8_t *envelope = NULL;
    size_t size = 0;
    enum ord_err err = client_registration(client, config_sequence, &envelope, &size);
    if (err != ORD_OK)
        return err;
    ProtobufCBinaryData bytes = {size, envelope};
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    submit.n_envelopes = 1;
    submit.envelopes = &bytes;
    err = pack(out, client, ORDAIN__V1__REQUEST__KIND_SUBMIT, &submit);
    free(envelope);
    return err;
}

static enum ord_err pack_wait(struct net_message **out, const struct ordain *client,
                              const struct engine_request *request) {
    uint64_t sequences[CLIENT_WAIT_GROUP_MAX];
    for (uint32_t i = 0; i < request->count; i++)
        sequences[i] = request->entries[i]->sequence;
    Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
    wait.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, (uint8_t *) (uintptr_t) client->fingerprint.bytes};
    wait.n_sequences = request->count;
    wait.sequences = sequences;
    wait.timeout_ms = ENGINE_WAIT_MS;
    return pack(out, client, ORDAIN__V1__REQUEST__KIND_WAIT, &wait);
}

enum ord_err client_transport_pack(struct net_message **out, const struct ordain *client,
                                   const struct engine_request *request, uint64_t config_sequence) {
    ProtobufCBinaryData fingerprint = {ORD_HASH_SIZE, (uint8_t *) (uintptr_t) client->fingerprint.bytes};
    Ordain__V1__ReceiptRequest receipt = ORDAIN__V1__RECEIPT_REQUEST__INIT;
    Ordain__V1__ClientRequest position = ORDAIN__V1__CLIENT_REQUEST__INIT;
    switch (request->kind) {
    case ENGINE_REQUEST_SUBMIT:
    case ENGINE_REQUEST_COPY:
        return pack_submit(out, client, request);
    case ENGINE_REQUEST_WAIT:
        return pack_wait(out, client, request);
    case ENGINE_REQUEST_PROBE:
        receipt.client = fingerprint;
        receipt.sequence = request->entries[0]->sequence;
        return pack(out, client, ORDAIN__V1__REQUEST__KIND_RECEIPT, &receipt);
    case ENGINE_REQUEST_POSITION:
        position.client = fingerprint;
        return pack(out, client, ORDAIN__V1__REQUEST__KIND_CLIENT, &position);
    case ENGINE_REQUEST_REGISTER:
        return pack_registration(out, client, config_sequence);
    case ENGINE_REQUEST_KINDS:
    default:
        return ORD_ERR_INVALID;
    }
}

/* ---- Answers ---------------------------------------------------------------------------------------------------- */

static Ordain__V1__Request__KindCase asked(enum engine_request_kind kind) {
    static const Ordain__V1__Request__KindCase kinds[] = {
        [ENGINE_REQUEST_SUBMIT] = ORDAIN__V1__REQUEST__KIND_SUBMIT,
        [ENGINE_REQUEST_WAIT] = ORDAIN__V1__REQUEST__KIND_WAIT,
        [ENGINE_REQUEST_PROBE] = ORDAIN__V1__REQUEST__KIND_RECEIPT,
        [ENGINE_REQUEST_POSITION] = ORDAIN__V1__REQUEST__KIND_CLIENT,
        [ENGINE_REQUEST_REGISTER] = ORDAIN__V1__REQUEST__KIND_SUBMIT,
        [ENGINE_REQUEST_COPY] = ORDAIN__V1__REQUEST__KIND_SUBMIT,
    };
    return kinds[kind];
}

/* Makes room for `count` results, but no more than `most`: a liar may give any number. */
static enum ord_err make_results(struct client_unpacked *out, size_t count, uint32_t most) {
    out->answer.result_count = count < most ? (uint32_t) count : most;
    if (count == 0)
        return ORD_OK;
    out->results = calloc(out->answer.result_count, sizeof(*out->results));
    out->answer.results = out->results;
    return out->results == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

static enum ord_err take_submitted(struct client_unpacked *out, const Ordain__V1__SubmitResponse *said,
                                   const struct engine_request *request) {
    /* One more than there are envelopes is as wrong as any other number. */
    enum ord_err err = make_results(out, said->n_results, request->count + 1);
    out->answer.leader_hint = said->leader_hint;
    for (uint32_t i = 0; err == ORD_OK && i < out->answer.result_count; i++)
        out->results[i] = (struct engine_result) {
            .status = (enum engine_status) said->results[i]->status,
            .message = said->results[i]->message,
            .receipt = client_span(&said->results[i]->receipt),
        };
    return err;
}

static enum ord_err take_waited(struct client_unpacked *out, const Ordain__V1__WaitResponse *said) {
    enum ord_err err = make_results(out, said->n_results, 2 * CLIENT_WAIT_GROUP_MAX);
    for (uint32_t i = 0; err == ORD_OK && i < out->answer.result_count; i++)
        out->results[i] = (struct engine_result) {
            .sequence = said->results[i]->sequence,
            .receipt = client_span(&said->results[i]->receipt),
        };
    return err;
}

static enum ord_err take_receipt(struct client_unpacked *out, const Ordain__V1__ReceiptResponse *said) {
    enum ord_err err = make_results(out, 1, 1);
    if (err == ORD_OK)
        out->results[0].receipt = client_span(&said->receipt);
    return err;
}

enum ord_err client_transport_unpack(struct client_unpacked *out, struct ord_span bytes,
                                     const struct engine_request *request) {
    *out = (struct client_unpacked) {0};
    enum ord_err err = client_response_unpack(&out->response, bytes, asked(request->kind));
    if (err != ORD_OK)
        return err;
    const client_response *response = out->response;
    out->answer.status = (enum engine_status) response->status;
    out->answer.message = response->message;
    out->answer.retry_after_ms = response->retry_after_ms;
    switch ((int) response->kind_case) {
    case ORDAIN__V1__RESPONSE__KIND_SUBMIT:
        return take_submitted(out, response->submit, request);
    case ORDAIN__V1__RESPONSE__KIND_WAIT:
        return take_waited(out, response->wait);
    case ORDAIN__V1__RESPONSE__KIND_RECEIPT:
        return take_receipt(out, response->receipt);
    case ORDAIN__V1__RESPONSE__KIND_CLIENT:
        out->answer.position = response->client->highest_sequence;
        return ORD_OK;
    default:
        return ORD_OK;
    }
}

void client_transport_free(struct client_unpacked *unpacked) {
    client_response_free(unpacked->response);
    free(unpacked->results);
}
