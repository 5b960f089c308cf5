/*
 * Packing requests and unpacking replies.
 */
#include "client/wire.h"

#include <stdlib.h>
#include <string.h>

#include "client/text.h"

/*
 * Two bytes of a reply can unfold to an empty sub-message of 60 bytes. So the size of the reply bounds what protobuf-c
 * may allocate: twice that size for honest payload (each byte string is copied once), and a constant for structures.
 */
#define UNFOLD_BYTES_FREE (1u << 20)

struct budget {
    size_t left;
    bool no_memory; /* our own allocation failed; the reply is not at fault */
};

static void *budget_alloc(void *data, size_t size) {
    struct budget *budget = data;
    if (size > budget->left)
        return NULL;
    void *memory = malloc(size == 0 ? 1 : size);
    budget->left -= size;
    budget->no_memory |= memory == NULL;
    return memory;
}

static void budget_free(void *data, void *pointer) {
    (void) data;
    free(pointer);
}

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
        response->status > ORDAIN__V1__STATUS__UNAVAILABLE)
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
    struct budget budget = {.left = 2 * bytes.size + UNFOLD_BYTES_FREE};
    ProtobufCAllocator allocator = {.alloc = budget_alloc, .free = budget_free, .allocator_data = &budget};
    client_response *response = ordain__v1__response__unpack(&allocator, bytes.size, bytes.data);
    if (response == NULL)
        return budget.no_memory ? ORD_ERR_NO_MEMORY : ORD_ERR_INVALID;
    if (!fits(response, asked)) {
        client_response_free(response);
        return ORD_ERR_INVALID;
    }
    *out = response;
    return ORD_OK;
}

void client_response_free(client_response *response) {
    ProtobufCAllocator allocator = {.alloc = budget_alloc, .free = budget_free, .allocator_data = NULL};
    if (response != NULL)
        ordain__v1__response__free_unpacked(response, &allocator);
}

const char *client_status_name(Ordain__V1__Status status) {
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&ordain__v1__status__descriptor, (int) status);
    return value == NULL ? "UNKNOWN" : value->name;
}

enum ordain_error client_status_error(Ordain__V1__Status status) {
    switch ((int) status) {
    case ORDAIN__V1__STATUS__OK:
    case ORDAIN__V1__STATUS__ACCEPTED:
    case ORDAIN__V1__STATUS__DUPLICATE:
        return ORDAIN_OK;
    case ORDAIN__V1__STATUS__TOO_LARGE:
        return ORDAIN_TOO_LARGE;
    case ORDAIN__V1__STATUS__BAD_REQUEST:
        return ORDAIN_REFUSED;
    case ORDAIN__V1__STATUS__FORBIDDEN:
    case ORDAIN__V1__STATUS__UNKNOWN_CLIENT:
        return ORDAIN_FORBIDDEN;
    case ORDAIN__V1__STATUS__NOT_FOUND:
        return ORDAIN_NOT_FOUND;
    case ORDAIN__V1__STATUS__NOT_READY:
        return ORDAIN_NOT_READY;
    case ORDAIN__V1__STATUS__PRUNED:
        return ORDAIN_PRUNED;
    case ORDAIN__V1__STATUS__BUSY:
    case ORDAIN__V1__STATUS__UNAVAILABLE:
        return ORDAIN_UNREACHABLE;
    case ORDAIN__V1__STATUS__STATUS_UNSPECIFIED:
    default:
        return ORDAIN_UNVERIFIED;
    }
}

bool client_status_refuses(Ordain__V1__Status status) {
    return status == ORDAIN__V1__STATUS__TOO_LARGE || status == ORDAIN__V1__STATUS__BAD_REQUEST ||
           status == ORDAIN__V1__STATUS__FORBIDDEN || status == ORDAIN__V1__STATUS__NOT_FOUND ||
           status == ORDAIN__V1__STATUS__PRUNED;
}

enum ordain_error client_error(enum ord_err err) {
    switch (err) {
    case ORD_ERR_OK:
        return ORDAIN_OK;
    case ORD_ERR_INVALID:
    case ORD_ERR_EXISTS:
    case ORD_ERR_UNSUPPORTED:
    case ORD_ERR_WRONG_STATE:
        return ORDAIN_INVALID;
    case ORD_ERR_TOO_LARGE:
    case ORD_ERR_NO_SPACE:
        return ORDAIN_TOO_LARGE;
    case ORD_ERR_NO_MEMORY:
        return ORDAIN_NO_MEMORY;
    case ORD_ERR_NOT_FOUND:
        return ORDAIN_NOT_FOUND;
    case ORD_ERR_FORBIDDEN:
    case ORD_ERR_UNKNOWN_CLIENT:
        return ORDAIN_FORBIDDEN;
    case ORD_ERR_BAD_SIGNATURE:
    case ORD_ERR_CORRUPT:
    case ORD_ERR_MISMATCH:
    case ORD_ERR_STALE:
    case ORD_ERR_TOO_NEW:
    case ORD_ERR_DUPLICATE:
        return ORDAIN_UNVERIFIED;
    case ORD_ERR_BUSY:
    case ORD_ERR_CLOSED:
    case ORD_ERR_IN_USE:
        return ORDAIN_UNREACHABLE;
    case ORD_ERR_TIMEOUT:
        return ORDAIN_TIMEOUT;
    case ORD_ERR_IO:
    case ORD_ERR_CRYPTO:
    default:
        return ORDAIN_INTERNAL;
    }
}

void client_status_say(char *out, size_t out_size, Ordain__V1__Status status, const char *message) {
    char words[256];
    client_clean(words, sizeof(words), message);
    if (words[0] == '\0')
        client_say(out, out_size, "%s", client_status_name(status));
    else
        client_say(out, out_size, "%s: %s", client_status_name(status), words);
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
    };
    return (size_t) error < sizeof(names) / sizeof(names[0]) ? names[error] : "UNKNOWN";
}
