/*
 * Certificates for readers: those on disk, and the newest ones, which may not be committed yet.
 */
#include <stdlib.h>
#include <string.h>

#include "node/answer.h"

enum { HEADERS_BYTES_MAX = CHANNEL_RECEIPT_HEADERS_MAX * CHANNEL_HEADER_SIZE };

enum ord_err service_certificate(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height) {
    struct node *node = context;
    struct service *service = &node->service;
    enum ord_err err = ledger_get_certificate(node->ledger, out, at, height);
    bool damaged = false;
    /* A later certificate proves as much as the damaged one would. */
    while (err == ORD_ERR_CORRUPT && *at > 0) {
        damaged = true;
        node_note_damage(node, "certificate", *at, err);
        err = ledger_get_certificate(node->ledger, out, at, *at + 1);
    }
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
        *out = (struct ord_bytes) {.data = malloc(best->size)};
        err = out->data == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
        if (err == ORD_OK) {
            memcpy(out->data, best->bytes, best->size);
            out->size = best->size;
        }
        *at = best->height;
    }
    pthread_mutex_unlock(&service->mutex);
    return err == ORD_ERR_NOT_FOUND && damaged ? ORD_ERR_CORRUPT : err;
}

enum ord_err service_proof(struct service *service, struct ord_bytes *headers, struct ord_bytes *certificate,
                           uint64_t height) {
    uint64_t at;
    *headers = (struct ord_bytes) {0};
    enum ord_err err = service_certificate(service->node, certificate, &at, height);
    if (err != ORD_OK)
        return err;
    if (at - height > CHANNEL_RECEIPT_HEADERS_MAX)
        err = ORD_ERR_TOO_LARGE;
    else if (at > height)
        err =
            ledger_get_headers(service->node->ledger, headers, height + 1, at, CHANNEL_HEADER_SIZE, HEADERS_BYTES_MAX);
    if (err != ORD_OK) {
        free(certificate->data);
        *certificate = (struct ord_bytes) {0};
    }
    return err;
}

uint64_t service_certified_height(struct service *service) {
    pthread_mutex_lock(&service->mutex);
    uint64_t height = service->certified_height;
    pthread_mutex_unlock(&service->mutex);
    return height;
}
