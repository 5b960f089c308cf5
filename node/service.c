/*
 * The reader thread: deliver, receipts and waits, from committed data only, so that readers never hold up the loop. Requests come
 * from the loop, which knows the clients; what cannot be answered yet is parked until the next certificate or its deadline.
 * Only certified blocks are served: whatever leaves here can be proved.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "core/merkle.h"
#include "node/log.h"
#include "node/replica_internal.h"

enum {
    PARKED_MAX = 192, /* more waiting requests are answered NOT_READY at once */
    WAIT_SEQUENCES_MAX = 4096,
    WAIT_MS_MAX = 60000,
    DELIVER_BYTES_MAX = 8 << 20,
    DELIVER_BLOCKS_MAX = 4096,
    HEADERS_BYTES_MAX = CHANNEL_RECEIPT_HEADERS_MAX * CHANNEL_HEADER_SIZE,
};

/* A block that receipts are made of, with its leaf hashes. */
struct service_block {
    uint64_t height; /* 0: none */
    struct ledger_bytes bytes;
    struct channel_header header;
    struct ord_span *envelopes;
    struct ord_hash *tree; /* leaf hashes first */
    struct ledger_bytes certificate_bytes;
    struct channel_certificate certificate;
    struct ledger_bytes later_headers;
};

/* ---- answers ---- */

static void free_request(struct api_request *request) {
    if (request->submission != NULL) {
        request->submission->request = NULL;
        submission_destroy(request->submission);
    }
    ordain__v1__request__free_unpacked(request->message, NULL);
    free(request);
}

void submission_destroy(struct submission *submission) {
    free(submission->results);
    free(submission->entries);
    free(submission);
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

/* ---- certificates ---- */

enum ord_err service_certificate(struct service *service, struct ledger_bytes *out, uint64_t *at, uint64_t height) {
    enum ord_err err = ledger_get_certificate(service->replica->ledger, out, at, height);
    if (err != ORD_OK && err != ORD_ERR_NOT_FOUND)
        return err;
    if (err == ORD_OK && *at == height)
        return ORD_OK;
    const struct service_slot *best = NULL;
    pthread_mutex_lock(&service->mutex);
    for (size_t i = 0; i < SERVICE_CERTIFICATES; i++) {
        const struct service_slot *candidate = &service->certificates[i];
        if (candidate->height >= height && candidate->height > 0 && (best == NULL || candidate->height < best->height))
            best = candidate;
    }
    if (best != NULL && (err == ORD_ERR_NOT_FOUND || best->height < *at)) {
        if (err == ORD_OK)
            free(out->data);
        out->size = best->size;
        out->data = malloc(best->size);
        err = out->data == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
        if (err == ORD_OK)
            memcpy(out->data, best->bytes, best->size);
        *at = best->height;
    }
    pthread_mutex_unlock(&service->mutex);
    return err;
}

/* Headers (height, at] and the certificate at `at`. */
static enum ord_err find_proof(struct service *service, struct ledger_bytes *headers, struct ledger_bytes *certificate,
                               uint64_t height) {
    uint64_t at;
    *headers = (struct ledger_bytes) {0};
    enum ord_err err = service_certificate(service, certificate, &at, height);
    if (err != ORD_OK)
        return err;
    if (at - height > CHANNEL_RECEIPT_HEADERS_MAX)
        err = ORD_ERR_TOO_LARGE;
    else if (at > height)
        err = ledger_get_headers(service->replica->ledger, headers, height + 1, at, CHANNEL_HEADER_SIZE,
                                 HEADERS_BYTES_MAX);
    if (err != ORD_OK) {
        free(certificate->data);
        *certificate = (struct ledger_bytes) {0};
    }
    return err;
}

/* ---- receipts ---- */

static void drop_block(struct service_block *block) {
    free(block->bytes.data);
    free(block->envelopes);
    free(block->tree);
    free(block->certificate_bytes.data);
    free(block->later_headers.data);
    memset(block, 0, sizeof(*block));
}

static enum ord_err load_block(struct service *service, uint64_t height) {
    struct service_block *block = service->block;
    if (block->height == height && height > 0)
        return ORD_OK;
    drop_block(block);
    enum ord_err err = ledger_get_block(service->replica->ledger, &block->bytes, height);
    if (err != ORD_OK)
        return err;
    err = channel_header_decode(&block->header, ord_span_of(block->bytes.data, CHANNEL_HEADER_SIZE));
    size_t count = block->header.envelope_count;
    block->envelopes = calloc(count + 1, sizeof(*block->envelopes));
    block->tree = calloc(ORD_MERKLE_TREE_SIZE(count), sizeof(*block->tree));
    if (err == ORD_OK && (block->envelopes == NULL || block->tree == NULL))
        err = ORD_ERR_NO_MEMORY;
    struct ord_span data =
        ord_span_of(block->bytes.data + CHANNEL_HEADER_SIZE, block->bytes.size - CHANNEL_HEADER_SIZE);
    for (size_t i = 0; err == ORD_OK && i < count; i++) {
        err = channel_batch_next(&block->envelopes[i], &data);
        if (err == ORD_OK)
            ord_merkle_leaf(&service->replica->crypto, &block->tree[i], block->envelopes[i]);
    }
    if (err == ORD_OK)
        ord_merkle_tree_build(&service->replica->crypto, block->tree, count);
    if (err == ORD_OK)
        err = find_proof(service, &block->later_headers, &block->certificate_bytes, height);
    if (err == ORD_OK)
        err = channel_certificate_decode(&block->certificate,
                                         ord_span_of(block->certificate_bytes.data, block->certificate_bytes.size));
    if (err == ORD_OK)
        block->height = height;
    else
        drop_block(block);
    return err;
}

/* malloc'ed receipt of an envelope in a certified block. */
static enum ord_err make_receipt(struct service *service, ProtobufCBinaryData *out, uint64_t height, uint32_t index,
                                 bool with_envelope) {
    struct service_block *block = service->block;
    enum ord_err err = load_block(service, height);
    if (err != ORD_OK)
        return err;
    if (index >= block->header.envelope_count)
        return ORD_ERR_NOT_FOUND;
    struct channel_receipt receipt = {
        .header = block->header,
        .envelope_index = index,
        .leaf = block->tree[index],
        .later_header_count = (uint32_t) (block->later_headers.size / CHANNEL_HEADER_SIZE),
        .later_headers = ord_span_of(block->later_headers.data, block->later_headers.size),
        .certificate = block->certificate,
        .envelope = with_envelope ? block->envelopes[index] : ord_span_of(NULL, 0),
    };
    size_t path_size;
    ord_merkle_tree_path(receipt.path, &path_size, block->tree, block->header.envelope_count, index);
    receipt.path_size = (uint32_t) path_size;
    out->len = channel_receipt_size(&receipt);
    out->data = malloc(out->len);
    if (out->data == NULL)
        return ORD_ERR_NO_MEMORY;
    struct ord_writer writer = ord_writer_of(out->data, out->len);
    err = channel_receipt_encode(&writer, &receipt);
    if (err != ORD_OK) {
        free(out->data);
        *out = (ProtobufCBinaryData) {0};
    }
    return err;
}

static uint64_t certified_height(struct service *service) {
    pthread_mutex_lock(&service->mutex);
    uint64_t height = service->certified_height;
    pthread_mutex_unlock(&service->mutex);
    return height;
}

/* NOT_FOUND: not ordered. BUSY: ordered, not certified yet. */
static enum ord_err receipt_of(struct service *service, ProtobufCBinaryData *out, uint32_t client_index,
                               uint64_t sequence, bool with_envelope) {
    uint64_t height;
    uint32_t index;
    enum ord_err err = ledger_get_index(service->replica->ledger, &height, &index, client_index, sequence);
    if (err != ORD_OK)
        return err;
    if (height > certified_height(service))
        return ORD_ERR_BUSY;
    return make_receipt(service, out, height, index, with_envelope);
}

static void answer_receipt(struct service *service, struct api_request *request) {
    const Ordain__V1__ReceiptRequest *ask = request->message->receipt;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__ReceiptResponse receipt = ORDAIN__V1__RECEIPT_RESPONSE__INIT;
    enum ord_err err;
    if (ask->by_place)
        err = ask->height == 0 ? ORD_ERR_NOT_FOUND
              : ask->height > certified_height(service)
                  ? ORD_ERR_BUSY
                  : make_receipt(service, &receipt.receipt, ask->height, ask->index, true);
    else if (request->client_index == UINT32_MAX)
        err = ORD_ERR_UNKNOWN_CLIENT;
    else
        err = receipt_of(service, &receipt.receipt, request->client_index, ask->sequence, true);
    if (err == ORD_OK) {
        response.status = ORDAIN__V1__STATUS__OK;
        response.kind_case = ORDAIN__V1__RESPONSE__KIND_RECEIPT;
        response.receipt = &receipt;
        api_reply(request, &response);
    } else if (err == ORD_ERR_UNKNOWN_CLIENT) {
        api_reply_error(request, ORDAIN__V1__STATUS__UNKNOWN_CLIENT, "client is not registered in this channel");
    } else if (err == ORD_ERR_NOT_FOUND) {
        api_reply_error(request, ORDAIN__V1__STATUS__NOT_FOUND, "nothing was ordered there");
    } else if (err == ORD_ERR_BUSY) {
        api_reply_error(request, ORDAIN__V1__STATUS__NOT_READY, "ordered, but not certified yet");
    } else {
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, ord_err_text(err));
    }
    free(receipt.receipt.data);
}

/* ---- submissions: the loop decided, receipts of duplicates are added here ---- */

static void answer_submission(struct service *service, struct api_request *request) {
    struct submission *submission = request->submission;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__SubmitResponse submit = ORDAIN__V1__SUBMIT_RESPONSE__INIT;
    Ordain__V1__SubmitResult *results = calloc(submission->count, sizeof(*results));
    Ordain__V1__SubmitResult **pointers = calloc(submission->count, sizeof(Ordain__V1__SubmitResult *));
    if (results == NULL || pointers == NULL) {
        free(results);
        free(pointers);
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < submission->count; i++) {
        const struct submit_result *from = &submission->results[i];
        ordain__v1__submit_result__init(&results[i]);
        pointers[i] = &results[i];
        results[i].status = from->status;
        if (from->message != NULL)
            results[i].message = (char *) (uintptr_t) from->message;
        if (from->want_receipt &&
            receipt_of(service, &results[i].receipt, from->client_index, from->sequence, false) != ORD_OK)
            results[i].receipt = (ProtobufCBinaryData) {0};
        if (from->status == ORDAIN__V1__STATUS__BUSY)
            response.retry_after_ms = 20;
    }
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_SUBMIT;
    response.submit = &submit;
    submit.n_results = submission->count;
    submit.results = pointers;
    submit.leader_hint = submission->hint;
    uint32_t count = submission->count;
    api_reply(request, &response);
    for (uint32_t i = 0; i < count; i++)
        free(results[i].receipt.data);
    free(results);
    free(pointers);
}

/* ---- waits ---- */

/* Moves over what is final; true when all are. A sequence is looked at again only while it is the first open one. */
static bool wait_ready(struct service *service, struct api_request *request) {
    const Ordain__V1__WaitRequest *wait = request->message->wait;
    uint64_t certified = certified_height(service);
    while (request->client_index != UINT32_MAX && request->first_open < wait->n_sequences) {
        uint64_t height;
        uint32_t index;
        if (ledger_get_index(service->replica->ledger, &height, &index, request->client_index,
                             wait->sequences[request->first_open]) != ORD_OK ||
            height > certified)
            return false;
        request->first_open++;
    }
    return request->client_index != UINT32_MAX;
}

static void answer_wait(struct service *service, struct api_request *request) {
    const Ordain__V1__WaitRequest *wait = request->message->wait;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__WaitResponse answer = ORDAIN__V1__WAIT_RESPONSE__INIT;
    Ordain__V1__WaitResult *results = calloc(wait->n_sequences + 1, sizeof(*results));
    Ordain__V1__WaitResult **pointers = calloc(wait->n_sequences + 1, sizeof(Ordain__V1__WaitResult *));
    size_t count = 0;
    for (size_t i = 0; results != NULL && pointers != NULL && i < wait->n_sequences; i++) {
        ordain__v1__wait_result__init(&results[count]);
        results[count].sequence = wait->sequences[i];
        pointers[count] = &results[count];
        if (request->client_index != UINT32_MAX &&
            receipt_of(service, &results[count].receipt, request->client_index, wait->sequences[i], false) == ORD_OK)
            count++;
    }
    response.status = count == wait->n_sequences ? ORDAIN__V1__STATUS__OK : ORDAIN__V1__STATUS__NOT_READY;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_WAIT;
    response.wait = &answer;
    answer.n_results = count;
    answer.results = pointers;
    api_reply(request, &response);
    for (size_t i = 0; i < count; i++)
        free(results[i].receipt.data);
    free(results);
    free(pointers);
}

/* ---- deliver ---- */

/* The range asked for, with what is certified now. NOT_READY: its first block is not there yet. */
static enum ord_err deliver_range(struct service *service, const Ordain__V1__DeliverRequest *ask, uint64_t *from,
                                  uint64_t *to) {
    uint64_t newest = certified_height(service);
    *from = ask->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__OLDEST   ? 0
            : ask->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__NEWEST ? newest
                                                                          : ask->from;
    *to = ask->to_newest || ask->to > newest ? newest : ask->to;
    if (ask->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__HEIGHT && !ask->to_newest && ask->from > ask->to)
        return ORD_ERR_INVALID;
    if (*from > newest)
        return ORD_ERR_BUSY;
    return *from > *to ? ORD_ERR_INVALID : ORD_OK;
}

static bool has_client(struct ord_span data, const ProtobufCBinaryData *client) {
    struct ord_span bytes;
    while (channel_batch_next(&bytes, &data) == ORD_OK) {
        struct channel_envelope envelope;
        if (channel_envelope_decode(&envelope, bytes) == ORD_OK &&
            ord_span_equal(ord_span_of(envelope.client.bytes, ORD_HASH_SIZE), ord_span_of(client->data, client->len)))
            return true;
    }
    return false;
}

struct delivery {
    Ordain__V1__Block *blocks;
    Ordain__V1__Block **pointers;
    struct ledger_bytes *storage;
    size_t count;
    size_t bytes;
};

static enum ord_err add_block(struct service *service, struct delivery *delivery, uint64_t height,
                              const Ordain__V1__DeliverRequest *ask) {
    struct ledger_bytes *bytes = &delivery->storage[delivery->count];
    enum ord_err err = ledger_get_block(service->replica->ledger, bytes, height);
    if (err != ORD_OK)
        return err;
    Ordain__V1__Block *block = &delivery->blocks[delivery->count];
    ordain__v1__block__init(block);
    delivery->pointers[delivery->count++] = block;
    block->header = (ProtobufCBinaryData) {CHANNEL_HEADER_SIZE, bytes->data};
    struct ord_span data = ord_span_of(bytes->data + CHANNEL_HEADER_SIZE, bytes->size - CHANNEL_HEADER_SIZE);
    block->data_omitted = ask->headers_only || (ask->only_client.len > 0 && !has_client(data, &ask->only_client));
    if (!block->data_omitted)
        block->data = (ProtobufCBinaryData) {data.size, bytes->data + CHANNEL_HEADER_SIZE};
    delivery->bytes += block->header.len + block->data.len;
    struct ledger_bytes certificate;
    uint64_t at;
    if (height > 0 && service_certificate(service, &certificate, &at, height) == ORD_OK) {
        if (at == height)
            block->certificate = (ProtobufCBinaryData) {certificate.size, certificate.data};
        else
            free(certificate.data);
    }
    return ORD_OK;
}

static void delivery_free(struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++) {
        free(delivery->storage[i].data);
        if (delivery->blocks[i].certificate.len > 0)
            free(delivery->blocks[i].certificate.data);
    }
    free(delivery->blocks);
    free(delivery->pointers);
    free(delivery->storage);
}

static void reply_delivery(struct service *service, struct api_request *request, struct delivery *delivery,
                           uint64_t last) {
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__DeliverResponse deliver = ORDAIN__V1__DELIVER_RESPONSE__INIT;
    struct ledger_bytes headers = {0};
    struct ledger_bytes certificate = {0};
    deliver.newest = certified_height(service);
    if (last > 0 && delivery->blocks[delivery->count - 1].certificate.len == 0 &&
        find_proof(service, &headers, &certificate, last) == ORD_OK) {
        deliver.later_headers = (ProtobufCBinaryData) {headers.size, headers.data};
        deliver.certificate = (ProtobufCBinaryData) {certificate.size, certificate.data};
    }
    deliver.n_blocks = delivery->count;
    deliver.blocks = delivery->pointers;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_DELIVER;
    response.deliver = &deliver;
    api_reply(request, &response);
    free(headers.data);
    if (deliver.certificate.len > 0)
        free(certificate.data);
}

static void answer_deliver(struct service *service, struct api_request *request) {
    const Ordain__V1__DeliverRequest *ask = request->message->deliver;
    uint64_t from;
    uint64_t to;
    enum ord_err err = deliver_range(service, ask, &from, &to);
    if (err != ORD_OK) {
        api_reply_error(request, err == ORD_ERR_BUSY ? ORDAIN__V1__STATUS__NOT_READY : ORDAIN__V1__STATUS__BAD_REQUEST,
                        err == ORD_ERR_BUSY ? "no certified block at that height yet"
                                            : "the range ends before it begins");
        return;
    }
    size_t bytes_max = ask->bytes_max == 0 || ask->bytes_max > DELIVER_BYTES_MAX ? DELIVER_BYTES_MAX : ask->bytes_max;
    struct delivery delivery = {
        .blocks = calloc(DELIVER_BLOCKS_MAX, sizeof(*delivery.blocks)),
        .pointers = calloc(DELIVER_BLOCKS_MAX, sizeof(Ordain__V1__Block *)),
        .storage = calloc(DELIVER_BLOCKS_MAX, sizeof(*delivery.storage)),
    };
    err = delivery.blocks == NULL || delivery.pointers == NULL || delivery.storage == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
    uint64_t height = from;
    for (; err == ORD_OK && height <= to && delivery.count < DELIVER_BLOCKS_MAX; height++) {
        if (delivery.count > 0 && delivery.bytes >= bytes_max)
            break;
        err = add_block(service, &delivery, height, ask);
    }
    if (err == ORD_OK)
        reply_delivery(service, request, &delivery, height - 1);
    else
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, ord_err_text(err));
    delivery_free(&delivery);
}

/* ---- the thread ---- */

static bool ready(struct service *service, struct api_request *request) {
    uint64_t from;
    uint64_t to;
    if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_WAIT)
        return wait_ready(service, request);
    if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_DELIVER)
        return deliver_range(service, request->message->deliver, &from, &to) != ORD_ERR_BUSY;
    return true;
}

static void answer(struct service *service, struct api_request *request) {
    switch ((int) request->message->kind_case) {
    case ORDAIN__V1__REQUEST__KIND_SUBMIT:
        answer_submission(service, request);
        break;
    case ORDAIN__V1__REQUEST__KIND_WAIT:
        answer_wait(service, request);
        break;
    case ORDAIN__V1__REQUEST__KIND_RECEIPT:
        answer_receipt(service, request);
        break;
    case ORDAIN__V1__REQUEST__KIND_DELIVER:
        answer_deliver(service, request);
        break;
    default:
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "unknown kind of request");
        break;
    }
}

static void take(struct service *service, struct api_request *request) {
    uint64_t now = node_clock_ms();
    if (ready(service, request) || request->deadline_ms <= now || service->parked_count >= PARKED_MAX) {
        answer(service, request);
        return;
    }
    request->next = service->parked;
    service->parked = request;
    service->parked_count++;
}

/* Answers what is ready or due; gives the next deadline. */
static uint64_t look_at_parked(struct service *service) {
    uint64_t now = node_clock_ms();
    uint64_t next = now + 1000;
    for (struct api_request **slot = &service->parked; *slot != NULL;) {
        struct api_request *request = *slot;
        if (ready(service, request) || request->deadline_ms <= now) {
            *slot = request->next;
            service->parked_count--;
            answer(service, request);
            continue;
        }
        if (request->deadline_ms < next)
            next = request->deadline_ms;
        slot = &request->next;
    }
    return next;
}

static void wait_until(struct service *service, uint64_t at_ms) {
    const struct timespec at = {.tv_sec = (time_t) (at_ms / 1000), .tv_nsec = (long) (at_ms % 1000) * 1000000};
    pthread_cond_timedwait(&service->changed, &service->mutex, &at);
}

static void *run(void *argument) {
    struct service *service = argument;
    uint64_t seen = 0;
    uint64_t due = 0;
    pthread_mutex_lock(&service->mutex);
    while (!service->stopping) {
        if (service->head == NULL && service->certified_height == seen && node_clock_ms() < due) {
            wait_until(service, due);
            continue;
        }
        struct api_request *request = service->head;
        service->head = NULL;
        service->tail = NULL;
        seen = service->certified_height;
        pthread_mutex_unlock(&service->mutex);
        while (request != NULL) {
            struct api_request *next = request->next;
            take(service, request);
            request = next;
        }
        due = look_at_parked(service);
        pthread_mutex_lock(&service->mutex);
    }
    pthread_mutex_unlock(&service->mutex);
    return NULL;
}

/* Sets the deadline of a request that may wait, and bounds it. */
static bool prepare(struct api_request *request) {
    uint32_t timeout_ms = 0;
    if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_WAIT) {
        const Ordain__V1__WaitRequest *wait = request->message->wait;
        if (wait->n_sequences == 0 || wait->n_sequences > WAIT_SEQUENCES_MAX)
            return false;
        timeout_ms = wait->timeout_ms;
    } else if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_DELIVER) {
        timeout_ms = request->message->deliver->timeout_ms;
    }
    request->deadline_ms = node_clock_ms() + (timeout_ms > WAIT_MS_MAX ? WAIT_MS_MAX : timeout_ms);
    return true;
}

void service_post(struct replica *replica, struct api_request *request) {
    struct service *service = &replica->service;
    if (!prepare(request)) {
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "a wait names 1 to 4096 sequence numbers");
        return;
    }
    request->next = NULL;
    pthread_mutex_lock(&service->mutex);
    if (service->head == NULL)
        service->head = request;
    else
        service->tail->next = request;
    service->tail = request;
    pthread_cond_signal(&service->changed);
    pthread_mutex_unlock(&service->mutex);
}

void service_certified(struct replica *replica, uint64_t height, const struct channel_certificate *certificate) {
    struct service *service = &replica->service;
    pthread_mutex_lock(&service->mutex);
    if (certificate != NULL && height > 0) {
        struct service_slot *slot = &service->certificates[service->certificate_next];
        service->certificate_next = (service->certificate_next + 1) % SERVICE_CERTIFICATES;
        slot->height = height;
        slot->size = channel_certificate_encode(slot->bytes, certificate);
    }
    if (height > service->certified_height)
        service->certified_height = height;
    pthread_cond_signal(&service->changed);
    pthread_mutex_unlock(&service->mutex);
}

enum ord_err service_start(struct replica *replica) {
    struct service *service = &replica->service;
    service->replica = replica;
    service->certificates = calloc(SERVICE_CERTIFICATES, sizeof(*service->certificates));
    service->block = calloc(1, sizeof(*service->block));
    if (service->certificates == NULL || service->block == NULL)
        return ORD_ERR_NO_MEMORY;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&service->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&service->mutex, NULL);
    if (pthread_create(&service->thread, NULL, run, service) != 0)
        return ORD_ERR_NO_MEMORY;
    service->running = true;
    return ORD_OK;
}

static void refuse_list(struct api_request *request) {
    while (request != NULL) {
        struct api_request *next = request->next;
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, "replica is stopping");
        request = next;
    }
}

/* Stops the thread and answers whatever waits. */
void service_stop(struct replica *replica) {
    struct service *service = &replica->service;
    if (service->running) {
        pthread_mutex_lock(&service->mutex);
        service->stopping = true;
        pthread_cond_signal(&service->changed);
        pthread_mutex_unlock(&service->mutex);
        pthread_join(service->thread, NULL);
        refuse_list(service->head);
        refuse_list(service->parked);
        service->head = NULL;
        service->parked = NULL;
        pthread_cond_destroy(&service->changed);
        pthread_mutex_destroy(&service->mutex);
        service->running = false;
    }
    if (service->block != NULL)
        drop_block(service->block);
    free(service->block);
    free(service->certificates);
    service->block = NULL;
    service->certificates = NULL;
}
