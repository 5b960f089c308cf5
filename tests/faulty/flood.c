/* Endless valid messages. Each is one that a replica may send, and each costs its receiver a check. */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/view_message.h"
#include "core/assert.h"
#include "faulty/liar.h"
#include "replica/transfer/sync.h"

enum {
    INTERVAL_MS = 5,
    STATUS_COUNT = 10, /* in each interval */
    PREPARE_COUNT = 5,
    VIEW_CHANGE_COUNT = 5,
    HEAVY_INTERVAL_MS = 20,
    CERTIFICATE_TABLE = 2, /* of the core's records; see docs/protocol.md */
    ASK_COUNT = 50,
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
