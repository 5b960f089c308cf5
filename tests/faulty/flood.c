/* Endless valid messages. Each is one that a replica may send, and each costs its receiver a check. */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/view_message.h"
#include "channel/envelope.h"
#include "core/assert.h"
#include "core/codec.h"
#include "crypto/x509.h"
#include "faulty/liar.h"
#include "replica/host.h"
#include "replica/transfer/sync.h"

enum {
    INTERVAL_MS = 5,
    STATUS_COUNT = 10, /* in each interval */
    PREPARE_COUNT = 5,
    VIEW_CHANGE_COUNT = 5,
    HEAVY_INTERVAL_MS = 20,
    CERTIFICATE_TABLE = 2, /* of the core's records; see docs/protocol.md */
    ASK_COUNT = 50,
    FORGE_INTERVAL_MS = 500,
    FORGE_COUNT = 2000,
};

/* A STATUS that claims to have nothing: a replica that believes it has much to send. */
static struct ord_span empty_handed(struct ord_core *liar, uint64_t view, uint64_t delivered_seq, uint64_t stable_seq) {
    const struct bft_status status = {
        .view = view, .sender = liar->config.self, .delivered_seq = delivered_seq, .stable_seq = stable_seq};
    uint8_t *bytes = liar_alloc(liar, BFT_STATUS_SIZE);
    bft_status_encode(bytes, &liar->config, &status);
    return ord_span_of(bytes, BFT_STATUS_SIZE);
}

/* A VIEW-CHANGE with stable seq 0: with the certificates of the first window (`heavy`), or with none. */
static struct ord_span view_change(struct ord_core *liar, uint64_t view, bool heavy) {
    size_t capacity = bft_view_change_size_max(&liar->config);
    struct ord_writer writer = ord_writer_of(liar_alloc(liar, capacity), capacity);
    size_t count_at;
    struct ord_hash hash;
    struct ord_signature signature;
    uint32_t count = 0;
    bft_view_change_begin(&writer, &count_at, &liar->config, view, 0, ord_span_of(NULL, 0));
    for (uint32_t i = 0; heavy && i < liar->config.window; i++) {
        if (liar->certificates[i].size == 0)
            continue;
        ord_write_span(&writer, liar->certificates[i]);
        count++;
    }
    bft_view_change_end(&writer, count_at, count, &hash, &liar->config, view);
    liar_sign(liar, &signature, &hash);
    ord_write_signature(&writer, &signature);
    ORD_ASSERT(!writer.failed);
    return ord_writer_span(&writer);
}

void liar_flood(struct ord_core *liar, uint64_t view, uint64_t delivered_seq, uint64_t stable_seq) {
    const ord_replica_set all = liar->first_half | liar->second_half;
    if (liar->now_ms >= liar->flood_ms + INTERVAL_MS) {
        liar->flood_ms = liar->now_ms;
        liar_lied(liar, LIAR_flood);
        for (int i = 0; i < STATUS_COUNT; i++)
            liar_send(liar, all, empty_handed(liar, view, i % 2 == 0 ? delivered_seq : stable_seq, stable_seq));
        for (int i = 0; i < PREPARE_COUNT && liar->prepare_size > 0; i++)
            liar_send(liar, all, ord_span_of(liar->prepare, liar->prepare_size));
        for (int i = 0; i < VIEW_CHANGE_COUNT; i++) {
            liar->flood_view = (liar->flood_view > view ? liar->flood_view : view) + 1;
            liar_send(liar, all, view_change(liar, liar->flood_view, false));
        }
    }
    liar_effect(liar, ORD_EFFECT_WAKE_AT)->wake.at_ms = liar->flood_ms + INTERVAL_MS;
}

void liar_note_certificate(struct ord_core *liar, const struct ord_record *record) {
    if (record->table != CERTIFICATE_TABLE || record->key > liar->config.window ||
        liar->certificates[record->key - 1].size > 0)
        return;
    uint8_t *copy = malloc(record->bytes.size);
    ORD_ASSERT(copy != NULL);
    memcpy(copy, record->bytes.data, record->bytes.size);
    liar->certificates[record->key - 1] = ord_span_of(copy, record->bytes.size);
}

void liar_heavy(struct ord_core *liar, uint64_t view) {
    if (liar->now_ms >= liar->flood_ms + HEAVY_INTERVAL_MS) {
        liar->flood_ms = liar->now_ms;
        liar_lied(liar, LIAR_heavy);
        liar->flood_view = (liar->flood_view > view ? liar->flood_view : view) + 1;
        liar_send(liar, liar->first_half | liar->second_half, view_change(liar, liar->flood_view, true));
    }
    liar_effect(liar, ORD_EFFECT_WAKE_AT)->wake.at_ms = liar->flood_ms + HEAVY_INTERVAL_MS;
}

void liar_ask_flood(struct ord_core *liar) {
    enum { ASK_SIZE = 1 + 1 + 3 * 8 };
    if (liar->now_ms >= liar->flood_ms + INTERVAL_MS) {
        liar->flood_ms = liar->now_ms;
        liar_lied(liar, LIAR_ask_flood);
        for (int i = 0; i < ASK_COUNT; i++) {
            struct ord_writer writer = ord_writer_of(liar_alloc(liar, ASK_SIZE), ASK_SIZE);
            ord_write_u8(&writer, LIAR_ASK);
            ord_write_u8(&writer, i % 10 == 0 ? SYNC_TAIL : SYNC_BLOCKS);
            ord_write_u64(&writer, 1);
            ord_write_u64(&writer, UINT64_MAX);
            ord_write_u64(&writer, UINT64_MAX);
            liar_send(liar, liar->first_half | liar->second_half, ord_writer_span(&writer));
        }
    }
    liar_effect(liar, ORD_EFFECT_WAKE_AT)->wake.at_ms = liar->flood_ms + INTERVAL_MS;
}

void liar_note_registration(struct ord_core *liar, struct ord_span batch) {
    struct channel_batch decoded;
    struct channel_envelope envelope;
    struct ord_span bytes;
    if (liar->registration != NULL || channel_batch_decode(&decoded, batch) != ORD_OK)
        return;
    while (liar->registration == NULL && channel_batch_next(&bytes, &decoded.envelopes) == ORD_OK) {
        if (channel_envelope_decode(&envelope, bytes) != ORD_OK || envelope.kind != CHANNEL_ENVELOPE_REGISTER)
            continue;
        liar->registration = malloc(bytes.size);
        ORD_ASSERT(liar->registration != NULL);
        memcpy(liar->registration, bytes.data, bytes.size);
        liar->registration_size = bytes.size;
    }
}

/* The certificate's signature is changed, so no authority made it, and it has a fingerprint of its own. */
static void forge(struct ord_core *liar, struct ord_writer *writer) {
    struct channel_envelope envelope;
    struct ord_span certificate;
    uint8_t forged[CRYPTO_CERT_DER_MAX];
    ORD_ASSERT(channel_envelope_decode(&envelope, ord_span_of(liar->registration, liar->registration_size)) == ORD_OK);
    ORD_ASSERT(channel_envelope_next(&certificate, &envelope.transactions) == ORD_OK);
    memcpy(forged, certificate.data, certificate.size);
    ord_store_u64(forged + certificate.size - 8, ++liar->forged_count);
    const struct ord_span transaction = ord_span_of(forged, certificate.size);
    crypto_cert_fingerprint(&envelope.client, transaction);
    size_t capacity = liar->registration_size + 64;
    struct ord_writer out = ord_writer_of(liar_alloc(liar, capacity), capacity);
    ORD_ASSERT(channel_envelope_encode(&out, &envelope, &transaction, 1, NULL) == ORD_OK);
    channel_batch_add(writer, ord_writer_span(&out));
}

void liar_forge_registrations(struct ord_core *liar) {
    if (liar->registration != NULL && liar->now_ms >= liar->flood_ms + FORGE_INTERVAL_MS) {
        liar->flood_ms = liar->now_ms;
        liar_lied(liar, LIAR_forge_registrations);
        size_t capacity = 2 + CHANNEL_BATCH_OVERHEAD + FORGE_COUNT * (liar->registration_size + 4);
        uint8_t *bytes = liar_alloc(liar, capacity);
        bytes[0] = LIAR_LATER;
        bytes[1] = REPLICA_LINK_FORWARD;
        struct ord_writer writer = ord_writer_of(bytes + 2, capacity - 2);
        channel_batch_begin(&writer, 0);
        for (int i = 0; i < FORGE_COUNT; i++)
            forge(liar, &writer);
        ORD_ASSERT(channel_batch_end(&writer, FORGE_COUNT) == ORD_OK);
        liar_send(liar, liar->first_half | liar->second_half, ord_span_of(bytes, 2 + writer.size));
    }
    liar_effect(liar, ORD_EFFECT_WAKE_AT)->wake.at_ms =
        (liar->registration == NULL ? liar->now_ms : liar->flood_ms) + FORGE_INTERVAL_MS;
}
