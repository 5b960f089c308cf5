/*
 * Packing requests and unpacking replies.
 */
#include "client/wire.h"

#include "client/flow/text.h"
#include "proto/unpack.h"

/* Structures of a reply, beside its size (proto/unpack.h). */
#define REPLY_STRUCTURE_BYTES_MAX (1u << 20)

void client_request_init(client_request *out, const char *channel) {
    ordain__v1__request__init(out);
    out->channel = (char *) (uintptr_t) channel; /* protobuf-c has no const; packing only reads it */
}

client_request client_request_of(Ordain__V1__Request__KindCase kind, const char *channel, void *message) {
    client_request request;
    client_request_init(&request, channel);
    request.kind_case = kind;
    request.submit = message; /* any member will do: all share the same place in the union */
    return request;
}

enum ord_err client_request_pack(struct net_message **out, const client_request *request) {
    uint8_t *data = NULL;
    size_t size = ordain__v1__request__get_packed_size(request);
    enum ord_err err = net_message_create(out, &data, size);
    if (err != ORD_OK)
        return err;
    ordain__v1__request__pack(request, data);
    return ORD_OK;
}

static Ordain__V1__Response__KindCase answer_to(Ordain__V1__Request__KindCase asked) {
    static const Ordain__V1__Response__KindCase answers[] = {
        [ORDAIN__V1__REQUEST__KIND_SUBMIT] = ORDAIN__V1__RESPONSE__KIND_SUBMIT,
        [ORDAIN__V1__REQUEST__KIND_WAIT] = ORDAIN__V1__RESPONSE__KIND_WAIT,
        [ORDAIN__V1__REQUEST__KIND_RECEIPT] = ORDAIN__V1__RESPONSE__KIND_RECEIPT,
        [ORDAIN__V1__REQUEST__KIND_DELIVER] = ORDAIN__V1__RESPONSE__KIND_DELIVER,
        [ORDAIN__V1__REQUEST__KIND_STATUS] = ORDAIN__V1__RESPONSE__KIND_REPLICA,
        [ORDAIN__V1__REQUEST__KIND_CLIENT] = ORDAIN__V1__RESPONSE__KIND_CLIENT,
        [ORDAIN__V1__REQUEST__KIND_EVIDENCE] = ORDAIN__V1__RESPONSE__KIND_EVIDENCE,
    };
    return (size_t) asked < sizeof(answers) / sizeof(answers[0]) ? answers[asked] : ORDAIN__V1__RESPONSE__KIND__NOT_SET;
}

/* False: the content is of another kind than was asked for, or is missing where the status promises it. */
static bool fits(const client_response *response, Ordain__V1__Request__KindCase asked) {
    if (response->status <= ORDAIN__V1__STATUS__STATUS_UNSPECIFIED ||
        response->status > ORDAIN__V1__STATUS__SEQUENCE_USED)
        return false;
    if (response->kind_case != ORDAIN__V1__RESPONSE__KIND__NOT_SET && response->kind_case != answer_to(asked))
        return false;
    if (response->kind_case != ORDAIN__V1__RESPONSE__KIND__NOT_SET && response->submit == NULL)
        return false; /* any member will do: all share the same place in the union */
    bool promised = response->status == ORDAIN__V1__STATUS__OK || response->status == ORDAIN__V1__STATUS__ACCEPTED ||
                    response->status == ORDAIN__V1__STATUS__DUPLICATE;
    return !promised || response->kind_case != ORDAIN__V1__RESPONSE__KIND__NOT_SET;
}

enum ord_err client_response_unpack(client_response **out, struct ord_span bytes, Ordain__V1__Request__KindCase asked) {
    *out = NULL;
    if (bytes.size > CLIENT_REPLY_BYTES_MAX + CLIENT_SUBMIT_BYTES_MAX)
        return ORD_ERR_TOO_LARGE;
    ProtobufCMessage *message;
    enum ord_err err = proto_unpack(&message, &ordain__v1__response__descriptor, bytes, REPLY_STRUCTURE_BYTES_MAX);
    if (err != ORD_OK)
        return err == ORD_ERR_NO_MEMORY ? err : ORD_ERR_INVALID;
    client_response *response = (client_response *) message;
    if (!fits(response, asked)) {
        client_response_free(response);
        return ORD_ERR_INVALID;
    }
    *out = response;
    return ORD_OK;
}

void client_response_free(client_response *response) {
    if (response != NULL)
        proto_free(&response->base);
}

/* The engine's statuses have the numbers of the API's. */
#define SAME_STATUS(name)                                                                                              \
    _Static_assert((int) ENGINE_STATUS_##name == (int) ORDAIN__V1__STATUS__##name,                                     \
                   "status " #name " has another number")
_Static_assert((int) ENGINE_STATUS_UNSPECIFIED == (int) ORDAIN__V1__STATUS__STATUS_UNSPECIFIED, "status 0");
SAME_STATUS(OK);
SAME_STATUS(ACCEPTED);
SAME_STATUS(DUPLICATE);
SAME_STATUS(BUSY);
SAME_STATUS(TOO_LARGE);
SAME_STATUS(BAD_REQUEST);
SAME_STATUS(FORBIDDEN);
SAME_STATUS(UNKNOWN_CLIENT);
SAME_STATUS(NOT_FOUND);
SAME_STATUS(NOT_READY);
SAME_STATUS(PRUNED);
SAME_STATUS(UNAVAILABLE);
SAME_STATUS(SEQUENCE_TAKEN);
SAME_STATUS(SEQUENCE_USED);

const char *client_status_name(Ordain__V1__Status status) {
    return engine_status_name((enum engine_status) status);
}

enum ordain_error client_status_error(Ordain__V1__Status status) {
    return engine_status_error((enum engine_status) status);
}

bool client_status_refuses(Ordain__V1__Status status) {
    return engine_status_refuses((enum engine_status) status);
}

void client_status_say(char *out, size_t out_size, Ordain__V1__Status status, const char *message) {
    engine_status_say(out, out_size, (enum engine_status) status, message);
}

void client_replica_say(char *out, size_t out_size, uint32_t replica, Ordain__V1__Status status, const char *message) {
    char words[320];
    client_status_say(words, sizeof(words), status, message);
    client_say(out, out_size, "replica %u: %s", replica, words);
}

const char *ordain_error_name(enum ordain_error error) {
    static const char *const names[] = {
        [ORDAIN_OK] = "OK",
        [ORDAIN_INVALID] = "INVALID",
        [ORDAIN_TOO_LARGE] = "TOO_LARGE",
        [ORDAIN_REFUSED] = "REFUSED",
        [ORDAIN_FORBIDDEN] = "FORBIDDEN",
        [ORDAIN_NOT_FOUND] = "NOT_FOUND",
        [ORDAIN_NOT_READY] = "NOT_READY",
        [ORDAIN_PRUNED] = "PRUNED",
        [ORDAIN_UNREACHABLE] = "UNREACHABLE",
        [ORDAIN_TIMEOUT] = "TIMEOUT",
        [ORDAIN_UNVERIFIED] = "UNVERIFIED",
        [ORDAIN_STOPPED] = "STOPPED",
        [ORDAIN_NO_MEMORY] = "NO_MEMORY",
        [ORDAIN_INTERNAL] = "INTERNAL",
        [ORDAIN_SEQUENCE_TAKEN] = "SEQUENCE_TAKEN",
    };
    return (size_t) error < sizeof(names) / sizeof(names[0]) ? names[error] : "UNKNOWN";
}
