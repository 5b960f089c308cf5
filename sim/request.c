/*
 * Requests: admission into the pool, forwarding to the leader (and to all when that did not help), proposals with cut markers,
 * and receipts. Rules as in node/admission.c and node/propose.c; lists instead of tables.
 */
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "core/assert.h"
#include "crypto/hash.h"
#include "sim/check.h"
#include "sim/client.h"
#include "sim/liar.h"
#include "sim/process.h"

enum {
    PIPELINE_MAX = 4, /* batches in flight before only full ones are added */
    BATCH_WORTH = 8,
    CUT_AGAIN_MS = 1000,
    BATCH_MAX = 64, /* envelopes */
};

struct sim_pooled *sim_request_find(struct sim_process *process, uint32_t client_index, uint64_t sequence) {
    for (uint32_t i = 0; i < process->pool.count; i++)
        if (process->pool.items[i].sequence == sequence && process->pool.items[i].client_index == client_index)
            return &process->pool.items[i];
    return NULL;
}

/* ---- admission ---- */

/* What a wait or an index entry is called by. */
static uint64_t fingerprint_key(const struct ord_hash *fingerprint) {
    return ord_load_u64(fingerprint->bytes);
}

/* A client that waits already goes on waiting. */
static uint64_t waiting_since(const struct sim_process *process, uint32_t client_index) {
    for (uint32_t i = 0; i < process->pool.count; i++)
        if (process->pool.items[i].client_index == client_index)
            return process->pool.items[i].since_ms;
    return process->now_ms;
}

/* REFUSED, BUSY or ACCEPTED; in the last case it is in the pool, or is ordered already. */
static enum sim_answer admit(struct sim_process *process, struct ord_span bytes, bool foreign) {
    struct channel_envelope envelope;
    struct crypto_verify_key key;
    uint32_t client_index;
    struct sim_pool *pool = &process->pool;
    if (process->replica->full)
        return SIM_ANSWER_BUSY;
    enum ord_err err = channel_envelope_decode(&envelope, bytes);
    if (err == ORD_OK)
        err = channel_judge(process->channel, &key, &client_index, &envelope);
    if (err == ORD_OK && sim_liar_censors(process->replica, &envelope.client))
        return SIM_ANSWER_ACCEPTED;
    if (err != ORD_OK)
        return err == ORD_ERR_UNKNOWN_CLIENT ? SIM_ANSWER_BUSY : SIM_ANSWER_REFUSED;
    uint64_t sequence = envelope.sequence;
    if (client_index == UINT32_MAX) {
        uint32_t known;
        if (channel_client_find(process->channel, &known, &envelope.client) != NULL)
            return SIM_ANSWER_ACCEPTED;
        sequence = fingerprint_key(&envelope.client);
    } else {
        switch (channel_sequence_check(channel_client_get(process->channel, client_index), sequence)) {
        case CHANNEL_SEQUENCE_FRESH:
            break;
        case CHANNEL_SEQUENCE_SEEN:
        case CHANNEL_SEQUENCE_OLD:
            return SIM_ANSWER_ACCEPTED;
        case CHANNEL_SEQUENCE_AHEAD:
            if (sim_liar_takes_far(process->replica))
                break;
            return SIM_ANSWER_REFUSED;
        }
    }
    const struct sim_pooled *there = sim_request_find(process, client_index, sequence);
    if (there != NULL)
        return ord_span_equal(sim_buffer_span(there->envelope), bytes) ? SIM_ANSWER_ACCEPTED : SIM_ANSWER_BUSY;
    struct ord_hash id;
    channel_envelope_id(&id, envelope.body);
    if (!sim_crypto_client_verify(&process->world->crypto, &key, &id, &envelope.signature))
        return SIM_ANSWER_REFUSED;
    if (pool->count == SIM_POOL_MAX)
        return SIM_ANSWER_BUSY;
    uint64_t since_ms = waiting_since(process, client_index);
    pool->items[pool->count++] = (struct sim_pooled) {.client_index = client_index,
                                                      .sequence = sequence,
                                                      .foreign = foreign,
                                                      .since_ms = since_ms,
                                                      .admitted_ms = process->now_ms,
                                                      .envelope = sim_buffer_create(bytes)};
    return SIM_ANSWER_ACCEPTED;
}

static void answer(struct sim_process *process, uint32_t client, uint64_t sequence, enum sim_answer what,
                   struct ord_span receipt) {
    process->outbox =
        sim_grow(process->outbox, &process->outbox_capacity, process->outbox_count, sizeof(*process->outbox));
    process->outbox[process->outbox_count++] =
        (struct sim_send) {.client = client,
                           .sequence = sequence,
                           .answer = what,
                           .buffer = receipt.size == 0 ? NULL : sim_buffer_create(receipt)};
}

void sim_request_submitted(struct sim_process *process, uint32_t client, uint64_t sequence,
                           struct sim_buffer *envelope) {
    enum sim_answer result = admit(process, sim_buffer_span(envelope), false);
    struct sim_buffer *lie = sim_liar_receipt(process->replica, sim_buffer_span(envelope));
    if (lie != NULL)
        answer(process, client, sequence, SIM_ANSWER_RECEIPT, sim_buffer_span(lie));
    sim_buffer_release(lie);
    answer(process, client, sequence, result, ord_span_of(NULL, 0));
    if (result != SIM_ANSWER_ACCEPTED)
        return;
    for (uint32_t i = 0; i < SIM_WAITS_MAX && process->waits_open > 0; i++)
        if (process->waits[i].client == client && process->waits[i].sequence == sequence)
            return;
    struct sim_wait *wait = &process->waits[process->wait_next++ % SIM_WAITS_MAX];
    process->waits_open += wait->client == UINT32_MAX; /* else the oldest one is forgotten: its client asks again */
    *wait = (struct sim_wait) {client, sequence};
}

void sim_request_forwarded(struct sim_process *process, struct ord_span bytes) {
    struct channel_batch batch;
    struct ord_span envelope;
    if (channel_batch_decode(&batch, bytes) != ORD_OK)
        return;
    while (channel_batch_next(&envelope, &batch.envelopes) == ORD_OK)
        (void) admit(process, envelope, true);
}

void sim_request_sweep(struct sim_process *process) {
    struct sim_pool *pool = &process->pool;
    uint32_t kept = 0;
    uint32_t served[SIM_POOL_MAX];
    uint32_t served_count = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        struct sim_pooled *item = &pool->items[i];
        bool over;
        if (item->client_index == UINT32_MAX) {
            struct channel_envelope envelope;
            uint32_t known;
            over = channel_envelope_decode(&envelope, sim_buffer_span(item->envelope)) != ORD_OK ||
                   channel_client_find(process->channel, &known, &envelope.client) != NULL ||
                   channel_client_count(process->channel) == process->world->config->clients_max;
        } else {
            const struct channel_client *client = channel_client_get(process->channel, item->client_index);
            enum channel_sequence state = channel_sequence_check(client, item->sequence);
            over = state == CHANNEL_SEQUENCE_SEEN || state == CHANNEL_SEQUENCE_OLD;
        }
        if (over) {
            uint64_t admitted_ms = item->admitted_ms;
            process->pool_waits++;
            process->pool_wait_sum_ms +=
                process->now_ms - (admitted_ms > process->leader_since_ms ? admitted_ms : process->leader_since_ms);
            sim_buffer_release(item->envelope);
            served[served_count++] = item->client_index;
        } else {
            pool->items[kept++] = *item;
        }
    }
    pool->count = kept;
    /* Whose envelopes are executed one after the other is served, however many more it has sent. */
    for (uint32_t i = 0; i < kept; i++)
        for (uint32_t j = 0; j < served_count; j++)
            if (pool->items[i].client_index == served[j])
                pool->items[i].since_ms = process->now_ms;
}

void sim_request_again(struct sim_process *process) {
    for (uint32_t i = 0; i < process->pool.count; i++) {
        process->pool.items[i].proposed = false;
        process->pool.items[i].forwarded = 0;
    }
    process->cut_height = 0;
}

/* ---- forwarding ---- */

/* As node/forward.c: at once to the leader, soon to all, and then once in a while. */
static uint64_t forward_ms(const struct sim_process *process, const struct sim_pooled *item) {
    uint64_t timeout_ms = process->world->config->request_timeout_ms;
    if (item->forwarded == 0)
        return 0;
    return item->foreign ? UINT64_MAX : item->forwarded_ms + (item->forwarded == 1 ? timeout_ms / 8 : timeout_ms);
}

static bool forward_due(const struct sim_process *process, const struct sim_pooled *item) {
    return process->now_ms >= forward_ms(process, item);
}

/* To the leader what is new, to all what was not served in time. */
static void forward(struct sim_process *process, bool again, ord_replica_set to) {
    struct ord_writer writer = sim_writer(process->core_config.batch_bytes_max);
    uint32_t count = 0;
    channel_batch_begin(&writer, 0);
    for (uint32_t i = 0; i < process->pool.count && count < BATCH_MAX; i++) {
        struct sim_pooled *item = &process->pool.items[i];
        if (!forward_due(process, item) || (item->forwarded > 0) != again ||
            writer.size + 4 + item->envelope->size > writer.capacity)
            continue;
        channel_batch_add(&writer, sim_buffer_span(item->envelope));
        item->forwarded++;
        item->forwarded_ms = process->now_ms;
        count++;
    }
    if (count > 0 && channel_batch_end(&writer, count) == ORD_OK) {
        const struct ord_span part = ord_writer_span(&writer);
        sim_process_send(process, to, SIM_LINK_FORWARD, &part, 1);
    }
    free(writer.data);
}

void sim_request_forward(struct sim_process *process) {
    if (process->leader == process->replica->id || process->leader == ORD_NO_NODE)
        return;
    bool due = false;
    for (uint32_t i = 0; i < process->pool.count && !due; i++)
        due = forward_due(process, &process->pool.items[i]);
    if (!due)
        return;
    forward(process, true, ~(ord_replica_set) 0);
    forward(process, false, ord_replica_bit(process->leader));
}

/* ---- proposals ---- */

/* Height to close by a marker now; 0: none. */
static uint64_t cut_due(const struct sim_process *process) {
    uint32_t timeout_ms = process->world->config->batch_timeout_ms;
    struct channel_open_block open;
    channel_open(process->channel, &open);
    if (timeout_ms == 0 || open.envelope_count == 0 || open.height != process->open_height ||
        process->now_ms < process->open_since_ms + timeout_ms)
        return 0;
    bool again = process->cut_height == open.height && process->now_ms < process->cut_ms + CUT_AGAIN_MS;
    return again ? 0 : open.height;
}

uint64_t sim_request_since_ms(const struct sim_process *process) {
    uint64_t since_ms = UINT64_MAX;
    for (uint32_t i = 0; i < process->pool.count; i++)
        if (process->pool.items[i].since_ms < since_ms)
            since_ms = process->pool.items[i].since_ms;
    struct channel_open_block open;
    channel_open(process->channel, &open);
    uint32_t timeout_ms = process->world->config->batch_timeout_ms;
    if (timeout_ms == 0 || open.envelope_count == 0 || open.height != process->open_height)
        return since_ms;
    uint64_t cut_ms = process->open_since_ms + timeout_ms;
    return cut_ms < since_ms ? cut_ms : since_ms;
}

uint64_t sim_request_due_ms(const struct sim_process *process) {
    uint64_t due_ms = UINT64_MAX;
    uint32_t timeout_ms = process->world->config->batch_timeout_ms;
    if (process->leader != process->replica->id) {
        for (uint32_t i = 0; i < process->pool.count && process->leader != ORD_NO_NODE; i++) {
            const struct sim_pooled *item = &process->pool.items[i];
            uint64_t at_ms = item->forwarded == 0 ? 0 : item->forwarded_ms + process->world->config->request_timeout_ms;
            due_ms = at_ms < due_ms ? at_ms : due_ms;
        }
        return due_ms;
    }
    struct ord_status status = sim_process_status(process);
    struct channel_open_block open;
    channel_open(process->channel, &open);
    if (!status.can_propose || !sim_process_core_runs(process))
        return UINT64_MAX;
    if (sim_liar_idles(process->replica, status.view))
        return process->pool.count > 0 ? sim_liar_void_due_ms(process->replica) : UINT64_MAX;
    if (timeout_ms == 0 || open.envelope_count == 0 || open.height != process->open_height)
        return UINT64_MAX;
    return process->cut_height == open.height ? process->cut_ms + CUT_AGAIN_MS : process->open_since_ms + timeout_ms;
}

static bool worth_it(const struct sim_process *process, const struct ord_status *status) {
    uint32_t ready = 0;
    for (uint32_t i = 0; i < process->pool.count; i++)
        ready += !process->pool.items[i].proposed;
    return ready > 0 && (status->in_flight == 0 || (ready >= BATCH_WORTH && status->in_flight < PIPELINE_MAX));
}

/* With nothing of the pool when `idle`. */
static bool propose_one(struct sim_process *process, uint64_t cut_height, bool idle) {
    struct ord_writer writer = sim_writer(process->core_config.batch_bytes_max);
    bool taken[SIM_POOL_MAX] = {false};
    uint32_t count = 0;
    channel_batch_begin(&writer, cut_height);
    for (uint32_t i = 0; !idle && i < process->pool.count && count < BATCH_MAX; i++) {
        struct sim_pooled *item = &process->pool.items[i];
        if (item->proposed)
            continue;
        if (writer.size + 4 + item->envelope->size > writer.capacity)
            break;
        channel_batch_add(&writer, sim_buffer_span(item->envelope));
        item->proposed = true; /* before the step: solo executes within it, and executing removes items */
        taken[i] = true;
        count++;
    }
    struct sim_buffer *lie = sim_liar_envelope(process->replica);
    if (lie != NULL && writer.size + 4 + lie->size <= writer.capacity) {
        channel_batch_add(&writer, sim_buffer_span(lie));
        count++;
    }
    sim_buffer_release(lie);
    ORD_ASSERT(channel_batch_end(&writer, count) == ORD_OK);
    process->rejected = ORD_OK;
    struct ord_event event = {
        .type = ORD_EVENT_PROPOSE, .now_ms = process->now_ms, .propose = {.batch = ord_writer_span(&writer)}};
    sim_process_step(process, &event);
    free(writer.data);
    if (process->rejected != ORD_OK) {
        for (uint32_t i = 0; i < process->pool.count; i++)
            if (taken[i])
                process->pool.items[i].proposed = false;
        return false;
    }
    if (cut_height != 0) {
        process->cut_height = cut_height;
        process->cut_ms = process->now_ms;
    }
    return true;
}

void sim_request_propose(struct sim_process *process) {
    while (!process->ended) {
        struct ord_status status = sim_process_status(process);
        if (!status.leading || !status.can_propose || !sim_process_core_runs(process))
            return;
        bool idles = sim_liar_idles(process->replica, status.view);
        uint64_t cut_height =
            !idles ? sim_liar_cut(process->replica, cut_due(process), channel_height(process->channel) + 1)
            : worth_it(process, &status) ? sim_liar_void_cut(process->replica, process->now_ms)
                                         : 0;
        if (cut_height == 0 && (idles || !worth_it(process, &status)))
            return;
        if (!propose_one(process, cut_height, idles))
            return;
    }
}

/* ---- receipts ---- */

/* The receipt of the envelope at `key`, out of what is durable. False: not final yet. */
static bool receipt_of(const struct sim_process *process, struct ord_writer *out, uint64_t height,
                       const struct ord_hash *fingerprint, uint64_t sequence) {
    const struct sim_disk *disk = &process->replica->disk;
    struct channel_receipt receipt = {0};
    uint64_t at;
    const struct sim_buffer *certificate = sim_disk_certificate(disk, &at, height);
    if (certificate != NULL) {
        if (channel_certificate_decode(&receipt.certificate, sim_buffer_span(certificate)) != ORD_OK)
            return false;
    } else {
        receipt.certificate = process->attest.weak;
        at = process->attest.weak.statement.height;
    }
    if (height > sim_disk_height(disk) || receipt.certificate.count == 0 || at < height || at > sim_disk_height(disk))
        return false;
    struct ord_span block = sim_buffer_span(disk->blocks.items[height - 1]);
    struct ord_span left = ord_span_of(block.data + CHANNEL_HEADER_SIZE, block.size - CHANNEL_HEADER_SIZE);
    ORD_ASSERT(channel_header_decode(&receipt.header, ord_span_of(block.data, CHANNEL_HEADER_SIZE)) == ORD_OK);
    struct ord_hash *leaves = sim_alloc((receipt.header.envelope_count + 1) * sizeof(*leaves));
    const struct ord_crypto_ops merkle = {.hash = crypto_sha256};
    struct ord_span bytes;
    for (uint32_t i = 0; channel_batch_next(&bytes, &left) == ORD_OK; i++) {
        struct channel_envelope envelope;
        ORD_ASSERT(channel_envelope_decode(&envelope, bytes) == ORD_OK);
        ord_merkle_leaf(&merkle, &leaves[i], bytes);
        if (ord_hash_equal(&envelope.client, fingerprint) && envelope.sequence == sequence) {
            receipt.envelope_index = i;
            receipt.envelope = bytes;
            receipt.leaf = leaves[i];
        }
    }
    size_t path_size;
    ord_merkle_path(&merkle, receipt.path, &path_size, leaves, receipt.header.envelope_count, receipt.envelope_index);
    free(leaves);
    receipt.path_size = (uint32_t) path_size;
    receipt.later_header_count = (uint32_t) (at - height);
    uint8_t *later = sim_alloc((size_t) receipt.later_header_count * CHANNEL_HEADER_SIZE + 1);
    for (uint64_t h = height + 1; h <= at; h++)
        memcpy(later + (h - height - 1) * CHANNEL_HEADER_SIZE, disk->blocks.items[h - 1]->data, CHANNEL_HEADER_SIZE);
    receipt.later_headers = ord_span_of(later, (size_t) receipt.later_header_count * CHANNEL_HEADER_SIZE);
    *out = sim_writer(channel_receipt_size(&receipt));
    ORD_ASSERT(channel_receipt_encode(out, &receipt) == ORD_OK);
    free(later);
    return true;
}

void sim_request_answer(struct sim_process *process) {
    for (uint32_t i = 0; i < SIM_WAITS_MAX && process->waits_open > 0; i++) {
        struct sim_wait *wait = &process->waits[i];
        if (wait->client == UINT32_MAX)
            continue;
        const struct ord_hash *fingerprint = sim_client_fingerprint(process->world, wait->client);
        const struct sim_map_entry *entry =
            sim_map_find(&process->index, fingerprint_key(fingerprint), wait->sequence, 0);
        struct ord_writer writer;
        if (entry == NULL || !receipt_of(process, &writer, entry->number, fingerprint, wait->sequence))
            continue;
        sim_check_acknowledged(process->replica, entry->number);
        answer(process, wait->client, wait->sequence, SIM_ANSWER_RECEIPT, ord_writer_span(&writer));
        free(writer.data);
        wait->client = UINT32_MAX;
        process->waits_open--;
    }
}
