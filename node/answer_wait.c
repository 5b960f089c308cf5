/*
 * Waits in the reader thread: the receipts of one client's sequence numbers.
 */
#include <stdlib.h>

#include "node/answer.h"

/* Continues at the first sequence that was not final last time. Those before it stay final. */
bool answer_wait_ready(struct service *service, struct api_request *request) {
    const struct ask *ask = &request->ask;
    uint64_t certified = service_certified_height(service);
    while (request->client_index != UINT32_MAX && request->first_open < ask->sequence_count) {
        uint64_t height;
        uint32_t index;
        if (ledger_get_index(service->node->ledger, &height, &index, request->client_index,
                             ask->sequences[request->first_open]) != ORD_OK ||
            height > certified)
            return false;
        request->first_open++;
    }
    return request->client_index != UINT32_MAX;
}

struct place {
    uint64_t height;
    uint32_t index;
    uint64_t sequence;
};

static int compare_places(const void *a, const void *b) {
    const struct place *first = a;
    const struct place *second = b;
    if (first->height != second->height)
        return first->height < second->height ? -1 : 1;
    return first->index < second->index ? -1 : first->index > second->index;
}

struct wait_answer {
    struct place *places; /* of the sequences that are final, in the order of the chain */
    size_t place_count;
    Ordain__V1__WaitResult *results;
    Ordain__V1__WaitResult **pointers;
    size_t count;
};

/* In the order of the chain, so that each block is read once, whatever the order of the sequences. */
static void find_places(struct service *service, struct wait_answer *out, const struct api_request *request) {
    const struct ask *ask = &request->ask;
    uint64_t certified = service_certified_height(service);
    for (size_t i = 0; request->client_index != UINT32_MAX && i < ask->sequence_count; i++) {
        struct place *place = &out->places[out->place_count];
        place->sequence = ask->sequences[i];
        if (ledger_get_index(service->node->ledger, &place->height, &place->index, request->client_index,
                             place->sequence) == ORD_OK &&
            place->height <= certified)
            out->place_count++;
    }
    qsort(out->places, out->place_count, sizeof(*out->places), compare_places);
}

/*
 * Receipts that do not fit, or for which too much would have to be read, are left out. The answer is then NOT_READY,
 * and the client asks again for the rest.
 */
static void add_receipts(struct service *service, struct wait_answer *out, size_t bytes_max) {
    size_t bytes = 0;
    uint64_t failed = 0; /* the height of a block that cannot be read */
    for (size_t i = 0; i < out->place_count && bytes < bytes_max; i++) {
        const struct place *place = &out->places[i];
        if (place->height == failed)
            continue;
        if (place->height != service->block.height && !answer_may_read(service))
            break;
        Ordain__V1__WaitResult *result = &out->results[out->count];
        ordain__v1__wait_result__init(result);
        result->sequence = place->sequence;
        out->pointers[out->count] = result;
        if (answer_make_receipt(service, &result->receipt, place->height, place->index, false) == ORD_OK)
            bytes += out->results[out->count++].receipt.len;
        else
            failed = place->height;
    }
}

void answer_wait(struct service *service, struct api_request *request) {
    const size_t count = request->ask.sequence_count;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__WaitResponse wait = ORDAIN__V1__WAIT_RESPONSE__INIT;
    struct wait_answer found = {
        .places = calloc(count, sizeof(*found.places)),
        .results = calloc(count, sizeof(*found.results)),
        .pointers = calloc(count, sizeof(Ordain__V1__WaitResult *)),
    };
    if (found.places != NULL && found.results != NULL && found.pointers != NULL) {
        find_places(service, &found, request);
        add_receipts(service, &found, answer_room(request));
    }
    response.status = found.count == count ? ORDAIN__V1__STATUS__OK : ORDAIN__V1__STATUS__NOT_READY;
    /* A client that got some receipts may ask for the others at once. */
    if (found.count == 0)
        response.retry_after_ms = NOT_READY_RETRY_MS;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_WAIT;
    response.wait = &wait;
    wait.n_results = found.count;
    wait.results = found.pointers;
    api_reply(request, &response);
    for (size_t i = 0; i < found.count; i++)
        free(found.results[i].receipt.data);
    free(found.places);
    free(found.results);
    free(found.pointers);
}
