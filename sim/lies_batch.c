/*
 * Lies about what is to be ordered. The batch that a liar's replica proposes is changed before its core gets it, so
 * that the core and its messages agree. A liar also has batches of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/bft.h"
#include "channel/envelope.h"
#include "core/assert.h"
#include "sim/client.h"
#include "sim/liar_internal.h"

/* The height of the void batches' marker: block 1 is closed already, or else the marker closes it early. */
enum { SEQUENCE_AT = 1 + 1 + 32 + 32, VOID_CUT_HEIGHT = 1, MISNAMED_PPM = 50000 };

static struct sim_buffer *finish(struct ord_writer *writer, uint32_t count) {
    ORD_ASSERT(channel_batch_end(writer, count) == ORD_OK);
    return sim_buffer_written(writer);
}

/* ---- censorship (row P7) ---- */

static bool is_censored(const struct sim_replica *liar, struct ord_span bytes) {
    struct channel_envelope envelope;
    return sim_liar_has(liar, SIM_LIE_CENSOR) && channel_envelope_decode(&envelope, bytes) == ORD_OK &&
           ord_hash_equal(&envelope.client, sim_client_fingerprint(liar->lies->censored));
}

/* Leaves the censored client's envelopes out of what it forwards, too. */
bool sim_lie_censor(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct channel_batch batch;
    struct ord_span envelope;
    if (kind != REPLICA_LINK_FORWARD || channel_batch_decode(&batch, sim_buffer_span(message)) != ORD_OK)
        return false;
    struct ord_writer writer = sim_writer(message->size);
    uint32_t count = 0;
    channel_batch_begin(&writer, 0);
    while (channel_batch_next(&envelope, &batch.envelopes) == ORD_OK) {
        if (is_censored(liar, envelope))
            continue;
        channel_batch_add(&writer, envelope);
        count++;
    }
    bool censors = count < batch.envelope_count;
    ORD_ASSERT(channel_batch_end(&writer, count) == ORD_OK);
    if (censors && count > 0)
        sim_liar_say(liar, to, kind, ord_writer_span(&writer));
    free(writer.data);
    return censors;
}

/* ---- cut markers (row P18) ---- */

static uint64_t other_cut(struct sim_replica *liar, uint64_t cut_height) {
    uint64_t open_height = channel_height(replica_channel(liar->process->program)) + 1;
    if (!sim_liar_has(liar, SIM_LIE_CUT) || !sim_liar_lies_now(liar))
        return cut_height;
    liar->world->lies++;
    switch (sim_below(&liar->random, 5)) {
    case 0:
        return 0;
    case 1:
        return open_height;
    case 2:
        return open_height > 1 ? open_height - 1 : 0;
    case 3:
        return open_height + 1 + sim_below(&liar->random, 3);
    default:
        return UINT64_MAX - sim_below(&liar->random, 2);
    }
}

/* ---- envelopes of its own (rows P8, P9, K5) ---- */

struct sim_buffer *sim_liar_old_envelope(struct sim_replica *liar) {
    const struct sim_disk *disk = &liar->disk;
    struct ord_span envelope;
    if (sim_disk_height(disk) == 0)
        return NULL;
    struct ord_span left = sim_disk_data(disk, 1 + sim_below(&liar->random, sim_disk_height(disk)));
    return channel_batch_next(&envelope, &left) == ORD_OK ? sim_buffer_create(envelope) : NULL;
}

void sim_liar_renumber(struct sim_replica *liar, struct sim_buffer *envelope) {
    uint8_t *sequence = envelope->data + SEQUENCE_AT;
    ord_store_u64(sequence, ord_load_u64(sequence) + 1 + sim_below(&liar->random, 50));
}

/* Gives one more envelope for a batch; NULL: none. The caller holds it. */
static struct sim_buffer *more(struct sim_replica *liar) {
    struct sim_buffer *far = liar->lies->far;
    liar->lies->far = NULL;
    if (far != NULL || !sim_liar_has(liar, SIM_LIE_BATCH) || sim_disk_height(&liar->disk) == 0 ||
        !sim_chance(&liar->random, 400000))
        return far;
    struct sim_buffer *old = sim_liar_old_envelope(liar);
    if (old == NULL)
        return NULL;
    liar->world->lies++;
    if (sim_chance(&liar->random, 200000)) {
        struct sim_buffer *scratch = sim_liar_scratch(liar, sim_buffer_span(old));
        sim_buffer_release(old);
        return scratch;
    }
    if (sim_chance(&liar->random, 600000))
        sim_liar_renumber(liar, old);
    return old;
}

/*
 * Its replica refused a submission whose sequence lies beyond the replay window. The envelope goes into the next batch.
 */
void sim_liar_submitted(struct sim_replica *replica, const struct replica_result *result, struct ord_span envelope) {
    struct channel_envelope decoded;
    if (!sim_liar_has(replica, SIM_LIE_BATCH) || result->verdict != REPLICA_BAD_REQUEST || replica->lies->far != NULL ||
        channel_envelope_decode(&decoded, envelope) != ORD_OK)
        return;
    replica->world->lies++;
    replica->lies->far = sim_buffer_create(envelope);
}

void sim_liar_forward(struct sim_replica *liar, const struct sim_buffer *envelope) {
    struct ord_writer writer = sim_writer(CHANNEL_BATCH_OVERHEAD + envelope->size);
    channel_batch_begin(&writer, 0);
    channel_batch_add(&writer, sim_buffer_span(envelope));
    struct sim_buffer *batch = finish(&writer, 1);
    sim_liar_say_all(liar, REPLICA_LINK_FORWARD, sim_buffer_span(batch));
    sim_buffer_release(batch);
}

/* Its signature is changed. Others may have the true one in their pools, or check this one. The caller holds it. */
static struct sim_buffer *forged(struct sim_replica *liar, struct ord_span envelope) {
    struct sim_buffer *copy = sim_buffer_create(envelope);
    copy->data[copy->size - 1] ^= 1;
    liar->world->lies++;
    if (!sim_chance(&liar->random, 500000))
        sim_liar_forward(liar, copy);
    return copy;
}

/* ---- batches ---- */

static struct sim_buffer *batch_of(const struct sim_replica *liar, const struct sim_buffer *envelope) {
    struct ord_writer writer = sim_writer(CHANNEL_BATCH_OVERHEAD + CHANNEL_BATCH_VIEW_SIZE + envelope->size);
    sim_liar_begin(liar, &writer, 0);
    channel_batch_add(&writer, sim_buffer_span(envelope));
    return finish(&writer, 1);
}

/* Begins a batch that names another view than it has to, or none, or one although it must not. */
static void begin_misnamed(struct sim_replica *liar, struct ord_writer *writer, uint64_t cut_height) {
    struct ord_status status = sim_process_status(liar->process);
    liar->world->lies++;
    if (status.names_view && sim_chance(&liar->random, 500000))
        channel_batch_begin(writer, cut_height);
    else
        channel_batch_begin_view(writer, cut_height, status.view + status.names_view);
}

struct sim_buffer *sim_liar_batch(struct sim_replica *liar, struct ord_span bytes) {
    struct channel_batch batch;
    struct ord_span envelope;
    const uint64_t touched = UINT64_C(1) << SIM_LIE_CENSOR | UINT64_C(1) << SIM_LIE_CUT | UINT64_C(1) << SIM_LIE_BATCH;
    if (sim_liar_idles(liar, sim_process_status(liar->process).view))
        return NULL;
    if (sim_liar_paces(liar)) {
        sim_pace_offered(liar, bytes);
        return NULL;
    }
    if ((liar->behaviours & touched) == 0)
        return sim_buffer_create(bytes);
    /* Its own replica made the batch. */
    ORD_ASSERT(channel_batch_decode(&batch, bytes) == ORD_OK);
    struct ord_writer writer = sim_writer(sim_liar_config(liar)->batch_bytes_max);
    uint32_t count = 0;
    uint64_t cut_height = other_cut(liar, batch.cut_height);
    if (liar->world->config->decisions_per_leader > 0 && sim_liar_has(liar, SIM_LIE_BATCH) &&
        sim_chance(&liar->random, MISNAMED_PPM))
        begin_misnamed(liar, &writer, cut_height);
    else
        sim_liar_begin(liar, &writer, cut_height);
    while (channel_batch_next(&envelope, &batch.envelopes) == ORD_OK) {
        if (is_censored(liar, envelope)) {
            liar->world->lies++;
            continue;
        }
        bool forges = sim_liar_has(liar, SIM_LIE_BATCH) && sim_chance(&liar->random, 250000);
        struct sim_buffer *instead = forges ? forged(liar, envelope) : NULL;
        channel_batch_add(&writer, forges ? sim_buffer_span(instead) : envelope);
        sim_buffer_release(instead);
        count++;
    }
    struct sim_buffer *lie = more(liar);
    if (lie != NULL && writer.size + 4 + lie->size <= writer.capacity) {
        channel_batch_add(&writer, sim_buffer_span(lie));
        count++;
    }
    sim_buffer_release(lie);
    if (count > 0 || cut_height != 0)
        return finish(&writer, count);
    free(writer.data);
    return NULL;
}

static struct sim_buffer *empty_batch(const struct sim_replica *liar, uint64_t cut_height) {
    struct ord_writer writer = sim_writer(CHANNEL_BATCH_OVERHEAD + CHANNEL_BATCH_VIEW_SIZE);
    sim_liar_begin(liar, &writer, cut_height);
    return finish(&writer, 0);
}

/*
 * Row P16. It idles in every other view only, so that a liar with several behaviours shows the others as primary, too.
 */
bool sim_liar_idles(const struct sim_replica *replica, uint64_t view) {
    return sim_liar_has(replica, SIM_LIE_EMPTY) && (view + replica->lies->side) % 2 == 0;
}

struct sim_buffer *sim_liar_own_batch(struct sim_replica *liar, const struct ord_status *status, uint64_t now_ms,
                                      bool work) {
    struct sim_liar *lies = liar->lies;
    if (sim_liar_idles(liar, status->view)) {
        if (!work || status->in_flight > 0 || now_ms < lies->void_due_ms)
            return NULL;
        lies->void_due_ms = now_ms + lies->void_pace_ms;
        liar->world->lies++;
        return empty_batch(liar, VOID_CUT_HEIGHT);
    }
    if (sim_liar_paces(liar))
        return sim_pace_batch(liar, status, now_ms);
    if (lies->far != NULL) {
        struct sim_buffer *batch = batch_of(liar, lies->far);
        sim_buffer_release(lies->far);
        lies->far = NULL;
        return batch;
    }
    uint64_t cut_height = status->in_flight == 0 ? other_cut(liar, 0) : 0;
    return cut_height == 0 ? NULL : empty_batch(liar, cut_height);
}

uint64_t sim_liar_due_ms(const struct sim_replica *liar, bool work) {
    struct ord_status status = sim_process_status(liar->process);
    if (work && sim_liar_paces(liar) && status.leading && sim_pace_due_ms(liar) > liar->process->now_ms)
        return sim_pace_due_ms(liar);
    if (!work || !sim_liar_has(liar, SIM_LIE_EMPTY))
        return UINT64_MAX;
    return status.leading && status.can_propose && sim_liar_idles(liar, status.view) ? liar->lies->void_due_ms
                                                                                     : UINT64_MAX;
}
