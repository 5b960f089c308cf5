/* How an envelope's way ends, and what a replica's answer means for our view of that replica. */
#include <stdlib.h>

#include "client/flow/internal.h"
#include "client/flow/text.h"

#define RETRY_AFTER_MS_DEFAULT 50u

static void tell(struct engine *engine, struct client_entry *entry, struct ordain_event *event) {
    if (entry->on_event == NULL)
        return;
    event->sequence = entry->sequence;
    event->elapsed_us = engine->now_us - entry->submitted_us;
    entry->on_event(entry->context, event);
}

static void count_accepted(struct engine *engine, struct client_entry *entry) {
    if (entry->accepted)
        return;
    entry->accepted = true;
    engine->accepted_now++;
}

void engine_fail(struct engine *engine, struct client_entry *entry, enum ordain_error error, const char *message) {
    struct ordain_event event = {.kind = ORDAIN_EVENT_FAILED, .error = error, .message = message};
    engine_leave(engine, entry);
    /* Nobody needs to wait for its acceptance any more. */
    count_accepted(engine, entry);
    tell(engine, entry, &event);
    engine->statistics.failed++;
    client_entries_push(&engine->done, entry);
}

void engine_accept(struct engine *engine, struct client_entry *entry) {
    if (!entry->accepted) {
        struct ordain_event event = {.kind = ORDAIN_EVENT_ACCEPTED, .message = ""};
        count_accepted(engine, entry);
        engine->statistics.accepted++;
        tell(engine, entry, &event);
    }
}

/*
 * A wait request brings the receipt without its envelope. A caller that keeps receipts wants both, so the envelope is
 * added.
 */
static enum ord_err full_receipt(uint8_t **out, size_t *size, struct channel_receipt *receipt,
                                 const struct client_entry *entry) {
    if (receipt->envelope.size == 0)
        receipt->envelope = ord_span_of(entry->envelope, entry->size);
    size_t capacity = channel_receipt_size(receipt);
    uint8_t *data = malloc(capacity);
    if (data == NULL)
        return ORD_ERR_NO_MEMORY;
    struct ord_writer writer = ord_writer_of(data, capacity);
    enum ord_err err = channel_receipt_encode(&writer, receipt);
    if (err != ORD_OK) {
        free(data);
        return err;
    }
    *out = data;
    *size = writer.size;
    return ORD_OK;
}

/* What the receipt tells of the channel's pace, and of the replica that accepted the entry. */
static void learn(struct engine *engine, struct client_entry *entry, const struct channel_header *header) {
    struct engine_peer *holder = &engine->peers[entry->holder];
    if (entry->accepted) {
        holder->final_at_us = engine->now_us;
        if (holder->final_sent_us < entry->sent_us)
            holder->final_sent_us = entry->sent_us;
    }
    client_blocks_seen(&engine->blocks, header->height, engine->now_us);
    if (!entry->under_way)
        return;
    entry->under_way = false;
    if (entry->sent_before) {
        client_pace_final_again(&engine->pace, entry->size);
    } else {
        const struct channel_config *config = &engine->config.trust->config;
        uint64_t idle_us = client_blocks_idle_us(&entry->sent_blocks, config, header, engine->now_us);
        client_pace_final(&engine->pace, entry->size, entry->sent_us, idle_us, engine->now_us);
    }
}

void engine_finish(struct engine *engine, struct client_entry *entry, struct channel_receipt *receipt) {
    engine_not_sampled(engine, entry);
    learn(engine, entry, &receipt->header);
    engine_accept(engine, entry);
    struct ordain_event event = {
        .kind = ORDAIN_EVENT_FINAL,
        .height = receipt->header.height,
        .index = receipt->envelope_index,
        .message = "",
    };
    uint8_t *bytes = NULL;
    if (engine->config.receipts && entry->on_event != NULL &&
        full_receipt(&bytes, &event.receipt.size, receipt, entry) == ORD_OK)
        event.receipt.data = bytes;
    tell(engine, entry, &event);
    free(bytes);
    engine->statistics.final++;
    uint64_t latency_us = engine->now_us - entry->submitted_us;
    if (engine->now_us - engine->period_since_us > ENGINE_PERIOD_US) {
        engine->shortest_before_us = engine->shortest_us;
        engine->shortest_us = 0;
        engine->period_since_us = engine->now_us;
    }
    if (engine->shortest_us == 0 || latency_us < engine->shortest_us)
        engine->shortest_us = latency_us;
    engine->progress_at_us = engine->now_us;
    client_entries_push(&engine->done, entry);
}

/* ---- Replicas --------------------------------------------------------------------------------------------------- */

void engine_avoid(struct engine *engine, uint32_t replica, uint64_t time_us) {
    struct engine_peer *peer = &engine->peers[replica];
    if (peer->avoid_until_us < engine->now_us + time_us)
        peer->avoid_until_us = engine->now_us + time_us;
    /* If this is the only replica left, it is still asked, but more slowly than it can answer. */
    uint64_t pause_us = engine->now_us + RETRY_AFTER_MS_DEFAULT * 1000u;
    if (peer->not_before_us < pause_us)
        peer->not_before_us = pause_us;
    if (peer->wait_after_us < pause_us)
        peer->wait_after_us = pause_us;
    if (engine->target == replica)
        engine->target = (replica + 1) % engine->peer_count;
    if (engine->wait_target == replica)
        engine->wait_target = (replica + 1) % engine->peer_count;
}

void engine_accuse(struct engine *engine, uint32_t replica, const char *what) {
    engine->statistics.replies_bad++;
    engine->host.accuse(engine->host.context, replica, what);
    engine_avoid(engine, replica, ENGINE_AVOID_LIE_US);
}

void engine_accuse_receipt(struct engine *engine, uint32_t replica, const char *why) {
    char what[160];
    client_say(what, sizeof(what), "it gave a receipt that does not verify: %s", why);
    engine_accuse(engine, replica, what);
}

void engine_busy(struct engine *engine, uint32_t replica, uint32_t retry_after_ms) {
    struct engine_peer *peer = &engine->peers[replica];
    uint32_t ms = retry_after_ms == 0 ? RETRY_AFTER_MS_DEFAULT : retry_after_ms;
    /* Honest replicas ask for a request timeout at most (replica/intake/pace.c); a liar costs a second at most. */
    uint32_t most_ms = engine->config.trust->config.request_timeout_ms;
    if (most_ms > CLIENT_RETRY_AFTER_MAX)
        most_ms = CLIENT_RETRY_AFTER_MAX;
    if (ms > most_ms)
        ms = most_ms;
    if (peer->busy_in_row++ == 0)
        peer->busy_from_us = engine->now_us;
    peer->not_before_us = engine->now_us + client_pace_retry_us(&engine->pace, ms);
}

void engine_follow_hint(struct engine *engine, uint32_t hint) {
    if (hint == 0 || hint > engine->peer_count || engine->config.pinned)
        return;
    uint32_t leader = hint - 1;
    if (leader != engine->target && engine->peers[leader].avoid_until_us <= engine->now_us &&
        engine_up(engine, leader)) {
        engine->target = leader;
        engine->wait_target = leader;
    }
}
