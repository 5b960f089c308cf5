/*
 * Lies about what is to be ordered. The batch that the node proposes is changed before the core sees it, so that the
 * core and its messages agree.
 */
#include <stdlib.h>
#include <string.h>

#include "channel/config.h"
#include "channel/envelope.h"
#include "core/assert.h"
#include "faulty/liar.h"

/* Block 1 was closed long ago, or is closed early. */
enum { VOID_CUT_HEIGHT = 1 };

/* A batch in the making; valid until the next step. */
struct draft {
    struct ord_writer writer;
    uint32_t count;
};

static struct draft draft_begin(struct ord_core *liar, uint64_t cut_height) {
    size_t capacity = liar->config.batch_bytes_max;
    struct draft draft = {.writer = ord_writer_of(liar_alloc(liar, capacity), capacity)};
    struct ord_status status;
    bft_pbft.status(liar->inner, &status);
    if (status.names_view)
        channel_batch_begin_view(&draft.writer, cut_height, status.view);
    else
        channel_batch_begin(&draft.writer, cut_height);
    return draft;
}

static void draft_add(struct draft *draft, struct ord_span envelope) {
    channel_batch_add(&draft->writer, envelope);
    draft->count++;
}

static struct ord_span draft_end(struct draft *draft) {
    ORD_ASSERT(channel_batch_end(&draft->writer, draft->count) == ORD_OK);
    return ord_writer_span(&draft->writer);
}

static struct channel_batch decoded(struct ord_span bytes) {
    struct channel_batch batch;
    ORD_ASSERT(channel_batch_decode(&batch, bytes) == ORD_OK); /* our own node made it */
    return batch;
}

static bool is_victims(const struct ord_core *liar, struct ord_span bytes) {
    struct channel_envelope envelope;
    return liar->has_victim && channel_envelope_decode(&envelope, bytes) == ORD_OK &&
           envelope.kind == CHANNEL_ENVELOPE_TRANSACTIONS && ord_hash_equal(&envelope.client, &liar->victim);
}

/* Remembers the fingerprint of the first client, and the first envelope. */
static void learn(struct ord_core *liar, const struct channel_batch *batch) {
    struct ord_span left = batch->envelopes;
    struct ord_span bytes;
    while (channel_batch_next(&bytes, &left) == ORD_OK) {
        struct channel_envelope envelope;
        if (channel_envelope_decode(&envelope, bytes) != ORD_OK || envelope.kind != CHANNEL_ENVELOPE_TRANSACTIONS)
            continue;
        if (!liar->has_victim)
            liar->victim = envelope.client;
        liar->has_victim = true;
        if (liar->old_envelope == NULL) {
            liar->old_envelope = malloc(bytes.size);
            ORD_ASSERT(liar->old_envelope != NULL);
            memcpy(liar->old_envelope, bytes.data, bytes.size);
            liar->old_envelope_size = bytes.size;
        }
    }
}

/*
 * Removes the victim's envelopes. A batch that is left with nothing gets a void cut marker, so something is delivered
 * all the time although nobody is served (P16).
 */
static struct ord_span censored(struct ord_core *liar, const struct channel_batch *batch) {
    struct draft draft = draft_begin(liar, batch->cut_height);
    struct ord_span left = batch->envelopes;
    struct ord_span bytes;
    while (channel_batch_next(&bytes, &left) == ORD_OK)
        if (!is_victims(liar, bytes))
            draft_add(&draft, bytes);
    if (draft.count < batch->envelope_count)
        liar_lied(liar, LIAR_censor);
    if (draft.count == 0 && batch->cut_height == 0)
        draft = draft_begin(liar, VOID_CUT_HEIGHT);
    return draft_end(&draft);
}

static struct ord_span with_cut(struct ord_core *liar, const struct channel_batch *batch, uint64_t cut_height) {
    struct draft draft = draft_begin(liar, cut_height);
    ord_write_span(&draft.writer, batch->envelopes);
    draft.count = batch->envelope_count;
    return draft_end(&draft);
}

/*
 * Leaves due cut markers alone, and adds in turn: an early one for the open block, the same again, one for a closed
 * block, one for a block that is not open yet.
 */
static struct ord_span early_cut(struct ord_core *liar, struct ord_span bytes, const struct channel_batch *batch) {
    static const uint64_t ahead[] = {1, 1, 0, 2};
    if (batch->cut_height != 0) {
        liar->cut_height = batch->cut_height;
        return bytes;
    }
    liar_lied(liar, LIAR_early_cut);
    return with_cut(liar, batch, liar->cut_height + ahead[liar->batch_count % 4]);
}

static struct ord_span without_cut(struct ord_core *liar, const struct channel_batch *batch) {
    liar_lied(liar, LIAR_withhold_cut);
    return with_cut(liar, batch, batch->envelope_count == 0 ? VOID_CUT_HEIGHT : 0);
}

static struct ord_span with_old(struct ord_core *liar, struct ord_span bytes, const struct channel_batch *batch) {
    if (bytes.size + 4 + liar->old_envelope_size > liar->config.batch_bytes_max ||
        batch->envelope_count == CHANNEL_BATCH_ENVELOPES_MAX)
        return bytes;
    liar_lied(liar, LIAR_replay_batch);
    struct draft draft = draft_begin(liar, batch->cut_height);
    ord_write_span(&draft.writer, batch->envelopes);
    draft.count = batch->envelope_count;
    draft_add(&draft, ord_span_of(liar->old_envelope, liar->old_envelope_size));
    return draft_end(&draft);
}

/* Spoils the end of the batch, because a batch ends with an envelope and an envelope with its signature. */
static struct ord_span with_bad_signature(struct ord_core *liar, struct ord_span bytes) {
    uint8_t *copy = liar_alloc(liar, bytes.size);
    memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size - 1] ^= 1;
    liar_lied(liar, LIAR_bad_batch);
    return ord_span_of(copy, bytes.size);
}

struct ord_span liar_batch(struct ord_core *liar, struct ord_span bytes) {
    struct channel_batch batch = decoded(bytes);
    bool first = liar->old_envelope == NULL;
    learn(liar, &batch);
    liar->batch_count++;
    if (liar_does(liar, LIAR_censor))
        bytes = censored(liar, &batch);
    batch = decoded(bytes);
    if (liar_does(liar, LIAR_early_cut))
        bytes = early_cut(liar, bytes, &batch);
    else if (liar_does(liar, LIAR_withhold_cut) && batch.cut_height != 0)
        bytes = without_cut(liar, &batch);
    batch = decoded(bytes);
    if (liar_does(liar, LIAR_replay_batch) && !first && liar->old_envelope != NULL)
        bytes = with_old(liar, bytes, &batch);
    batch = decoded(bytes);
    if (liar_does(liar, LIAR_bad_batch) && batch.envelope_count > 0)
        bytes = with_bad_signature(liar, bytes);
    return bytes;
}

struct ord_span liar_shorter_batch(struct ord_core *liar, struct ord_span bytes) {
    struct channel_batch batch;
    struct ord_span envelope;
    if (channel_batch_decode(&batch, bytes) != ORD_OK || batch.envelope_count == 0)
        return bytes;
    liar_lied(liar, LIAR_wrong_execution);
    struct draft draft = draft_begin(liar, batch.cut_height);
    struct ord_span left = batch.envelopes;
    while (draft.count + 1 < batch.envelope_count && channel_batch_next(&envelope, &left) == ORD_OK)
        draft_add(&draft, envelope);
    if (draft.count == 0 && batch.cut_height == 0)
        draft = draft_begin(liar, VOID_CUT_HEIGHT);
    return draft_end(&draft);
}

struct ord_span liar_void_batch(struct ord_core *liar) {
    struct draft draft = draft_begin(liar, VOID_CUT_HEIGHT);
    return draft_end(&draft);
}

struct ord_span liar_other_batch(struct ord_core *liar, struct ord_span bytes) {
    struct channel_batch batch = decoded(bytes);
    if (batch.envelope_count < 2)
        return with_cut(liar, &batch, batch.cut_height == VOID_CUT_HEIGHT ? 0 : VOID_CUT_HEIGHT);
    struct ord_span *envelopes =
        (struct ord_span *) (void *) liar_alloc(liar, (batch.envelope_count + 1) * sizeof(*envelopes));
    uint32_t count = 0;
    while (channel_batch_next(&envelopes[count], &batch.envelopes) == ORD_OK)
        count++;
    struct draft draft = draft_begin(liar, batch.cut_height);
    while (count > 0)
        draft_add(&draft, envelopes[--count]);
    return draft_end(&draft);
}
