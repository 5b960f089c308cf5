/*
 * As primary: as slow as it can be without being mute (P3, P4). It proposes to 2f backups only, so nothing is decided
 * without its own COMMIT, and withholds each COMMIT for most of the request timeout. It proposes the next seq
 * meanwhile, with one envelope of each of the two clients that it served longest ago.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/bft.h"
#include "channel/envelope.h"
#include "core/assert.h"
#include "faulty/liar.h"

/* Hundredths of request_timeout_ms; clients that it can tell apart; and how many it serves at once. */
enum { PROPOSE_PARTS = 80, PARTS = 100, CLIENTS_MAX = 1024, SERVED_AT_ONCE = 2 };

struct served {
    struct ord_hash client;
    /* The sequence that was proposed last, and when, counted in envelopes. */
    uint64_t sequence;
    uint64_t count;
};

static struct served served[CLIENTS_MAX];
static uint32_t served_count;
static uint64_t envelope_count;
/* The last batch that the node offered; malloc'ed. */
static uint8_t *offered;
static size_t offered_size;
static uint64_t due_ms;
static uint64_t pace_view;
static uint64_t pace_cut_height;

void liar_pace_offered(struct ord_core *liar, struct ord_span batch) {
    free(offered);
    offered = malloc(batch.size);
    ORD_ASSERT(offered != NULL);
    memcpy(offered, batch.data, batch.size);
    offered_size = batch.size;
    liar_effect(liar, ORD_EFFECT_REJECT)->reject.err = ORD_ERR_NO_SPACE;
}

/* NULL: there are too many clients. */
static struct served *find(const struct ord_hash *client) {
    for (uint32_t i = 0; i < served_count; i++)
        if (ord_hash_equal(&served[i].client, client))
            return &served[i];
    if (served_count == CLIENTS_MAX)
        return NULL;
    served[served_count] = (struct served) {.client = *client};
    return &served[served_count++];
}

/* Of the offer: the envelope whose client was served longest ago, and that is new. NULL: there is none. */
static struct served *pick(struct ord_span *out, uint64_t *sequence) {
    struct channel_batch batch;
    struct ord_span bytes;
    struct served *best = NULL;
    ORD_ASSERT(channel_batch_decode(&batch, ord_span_of(offered, offered_size)) == ORD_OK);
    while (channel_batch_next(&bytes, &batch.envelopes) == ORD_OK) {
        struct channel_envelope envelope;
        if (channel_envelope_decode(&envelope, bytes) != ORD_OK)
            continue;
        struct served *from = find(&envelope.client);
        bool registers = envelope.kind == CHANNEL_ENVELOPE_REGISTER;
        if (from == NULL || (registers ? from->count != 0 : envelope.sequence <= from->sequence) ||
            (best != NULL && from->count >= best->count))
            continue;
        best = from;
        *out = bytes;
        *sequence = envelope.sequence;
    }
    return best;
}

/* Whatever was proposed in an earlier view may have come to nothing. */
static void begin_view(uint64_t view) {
    for (uint32_t i = 0; view != pace_view && i < served_count; i++)
        served[i].sequence = 0;
    pace_cut_height = view != pace_view ? 0 : pace_cut_height;
    pace_view = view;
}

struct ord_span liar_pace_batch(struct ord_core *liar, uint64_t view) {
    uint64_t timeout_ms = bft_options_of(&liar->config)->request_timeout_ms;
    struct channel_batch batch;
    begin_view(view);
    if (offered == NULL || liar->now_ms < due_ms)
        return ord_span_of(NULL, 0);
    ORD_ASSERT(channel_batch_decode(&batch, ord_span_of(offered, offered_size)) == ORD_OK);
    size_t capacity = CHANNEL_BATCH_OVERHEAD + offered_size;
    struct ord_writer writer = ord_writer_of(liar_alloc(liar, capacity), capacity);
    uint64_t cut_height = batch.cut_height > pace_cut_height ? batch.cut_height : 0;
    uint32_t count = 0;
    uint64_t sequence;
    struct ord_span bytes;
    channel_batch_begin(&writer, cut_height);
    for (struct served *client; count < SERVED_AT_ONCE && (client = pick(&bytes, &sequence)) != NULL; count++) {
        channel_batch_add(&writer, bytes);
        client->sequence = sequence;
        client->count = ++envelope_count;
    }
    if (count == 0 && cut_height == 0)
        return ord_span_of(NULL, 0);
    ORD_ASSERT(channel_batch_end(&writer, count) == ORD_OK);
    pace_cut_height = cut_height > pace_cut_height ? cut_height : pace_cut_height;
    due_ms = liar->now_ms + timeout_ms * PROPOSE_PARTS / PARTS;
    liar_lied(liar, LIAR_pace);
    return ord_writer_span(&writer);
}

uint64_t liar_pace_due_ms(void) {
    return due_ms;
}
