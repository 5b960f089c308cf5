/*
 * Receipts, made as node/ makes them in its reader thread: out of committed blocks, with a certificate at or above
 * them.
 */
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "core/assert.h"
#include "crypto/hash.h"
#include "sim/client.h"
#include "sim/process.h"

/* Its offset in a client's record, behind the version. */
enum { FINGERPRINT_AT = 1 };

/* The client's place in the committed client table; UINT32_MAX: it is not there. */
static uint32_t client_index_of(const struct sim_disk *disk, const struct ord_hash *fingerprint) {
    for (size_t i = 0; i < disk->clients.count; i++) {
        const struct sim_buffer *record = disk->clients.items[i];
        if (record != NULL && record->size > FINGERPRINT_AT + ORD_HASH_SIZE &&
            memcmp(record->data + FINGERPRINT_AT, fingerprint->bytes, ORD_HASH_SIZE) == 0)
            return (uint32_t) i;
    }
    return UINT32_MAX;
}

void sim_reader_path(struct channel_receipt *out, struct ord_span data, uint32_t index) {
    const struct ord_crypto_ops merkle = {.hash = crypto_sha256};
    struct ord_hash *leaves = sim_alloc((out->header.envelope_count + 1) * sizeof(*leaves));
    struct ord_span bytes;
    size_t path_size;
    for (uint32_t i = 0; channel_batch_next(&bytes, &data) == ORD_OK; i++) {
        ord_merkle_leaf(&merkle, &leaves[i], bytes);
        if (i == index)
            out->envelope = bytes;
    }
    out->envelope_index = index;
    out->leaf = leaves[index];
    ord_merkle_path(&merkle, out->path, &path_size, leaves, out->header.envelope_count, index);
    out->path_size = (uint32_t) path_size;
    free(leaves);
}

/* The headers of (height, at], end to end. */
static uint8_t *later_headers(const struct sim_disk *disk, uint64_t height, uint64_t at) {
    uint8_t *later = sim_alloc((at - height) * CHANNEL_HEADER_SIZE + 1);
    for (uint64_t h = height + 1; h <= at; h++)
        memcpy(later + (h - height - 1) * CHANNEL_HEADER_SIZE, sim_disk_header(disk, h).data, CHANNEL_HEADER_SIZE);
    return later;
}

/* Where the envelope is, in the durable index; NULL: it is not there. */
static const struct sim_map_entry *place_of(const struct sim_disk *disk, uint32_t client, uint64_t sequence) {
    uint32_t client_index = client_index_of(disk, sim_client_fingerprint(client));
    return client_index == UINT32_MAX ? NULL : sim_map_find(&disk->index, client_index, sequence, 0);
}

bool sim_reader_ordered(const struct sim_process *process, uint32_t client, uint64_t sequence) {
    return place_of(&process->replica->disk, client, sequence) != NULL;
}

bool sim_reader_final(const struct sim_process *process, uint32_t client, uint64_t sequence) {
    const struct sim_map_entry *entry = place_of(&process->replica->disk, client, sequence);
    return entry != NULL && sim_place_height(entry->number) <= process->certified_height;
}

struct sim_buffer *sim_reader_receipt(const struct sim_process *process, uint64_t *height, uint32_t client,
                                      uint64_t sequence, bool with_envelope) {
    const struct sim_disk *disk = &process->replica->disk;
    struct channel_receipt receipt = {0};
    uint64_t at;
    const struct sim_map_entry *entry = place_of(disk, client, sequence);
    if (entry == NULL || sim_place_height(entry->number) > process->certified_height)
        return NULL;
    *height = sim_place_height(entry->number);
    const struct sim_buffer *certificate = sim_serve_certificate(process, &at, *height);
    /* node/certificates.c gives no receipt with more headers than one may have. */
    if (certificate == NULL || at > sim_disk_height(disk) || at - *height > CHANNEL_RECEIPT_HEADERS_MAX ||
        channel_certificate_decode(&receipt.certificate, sim_buffer_span(certificate)) != ORD_OK)
        return NULL;
    ORD_ASSERT(channel_header_decode(&receipt.header, sim_disk_header(disk, *height)) == ORD_OK);
    sim_reader_path(&receipt, sim_disk_data(disk, *height), sim_place_index(entry->number));
    if (!with_envelope)
        receipt.envelope = ord_span_of(NULL, 0);
    uint8_t *later = later_headers(disk, *height, at);
    receipt.later_header_count = (uint32_t) (at - *height);
    receipt.later_headers = ord_span_of(later, (size_t) receipt.later_header_count * CHANNEL_HEADER_SIZE);
    struct ord_writer writer = sim_writer(channel_receipt_size(&receipt));
    ORD_ASSERT(channel_receipt_encode(&writer, &receipt) == ORD_OK);
    free(later);
    return sim_buffer_written(&writer);
}
