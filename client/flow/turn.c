/*
 * The engine's turn, its beginning and its end.
 */
#include <stdlib.h>

#include "client/flow/internal.h"
#include "core/assert.h"

#define RESUBMIT_US_MIN 250000u

void engine_request_empty(struct engine_request *request, struct client_entries *list) {
    for (uint32_t i = 0; i < request->count; i++)
        client_entries_push(list, request->entries[i]);
    request->count = 0;
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

enum ord_err engine_create(struct engine **out, struct client_gate *gate, const struct engine_config *config,
                           const struct engine_host *host, uint64_t now_us) {
    const struct channel_config *channel = &config->trust->config;
    struct engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL)
        return ORD_ERR_NO_MEMORY;
    engine->config = *config;
    engine->host = *host;
    engine->peer_count = channel->replica_count;
    uint64_t timeout_us = (uint64_t) config->timeout_ms * 1000u;
    uint64_t patience_us = (uint64_t) channel->request_timeout_ms * 500u;
    engine->resubmit_us = patience_us < RESUBMIT_US_MIN ? RESUBMIT_US_MIN : patience_us;
    if (engine->resubmit_us > timeout_us)
        engine->resubmit_us = timeout_us;
    engine->target = config->pinned ? config->pin : 0;
    engine->wait_target = engine->target;
    engine->progress_at_us = now_us;
    engine->timer_us = now_us + ENGINE_TICK_US;
    client_pace_init(&engine->pace, channel->request_timeout_ms, config->seed, now_us);
    engine->random = ~config->seed;
    *gate = (struct client_gate) {.open_bytes_max = client_pace_keep(&engine->pace)};
    client_window_init(&gate->window, config->position);
    *out = engine;
    return ORD_OK;
}

static void fail_all(struct engine *engine, struct client_entries *list) {
    struct client_entry *entry = NULL;
    while ((entry = client_entries_pop(list)) != NULL)
        if (entry->taken)
            engine_fail(engine, entry, ORDAIN_SEQUENCE_TAKEN,
                        "another envelope of this client has its sequence number; run one process per identity");
        else
            engine_fail(engine, entry, ORDAIN_STOPPED, "closed before it was final; it may be ordered all the same");
}

void engine_destroy(struct engine *engine, struct client_gate *gate, uint64_t now_us) {
    engine->now_us = now_us;
    fail_all(engine, &gate->inbox);
    fail_all(engine, &engine->outbox);
    fail_all(engine, &engine->waiting);
    fail_all(engine, &engine->opinions);
    fail_all(engine, &engine->doubts);
    fail_all(engine, &engine->renumber);
    fail_all(engine, &engine->numbered);
    (void) engine_settle(engine, gate);
    engine_end(engine);
    ORD_ASSERT(gate->open_count == 0);
    free(engine);
}

void engine_drop(struct engine *engine, struct engine_request *request) {
    engine_request_empty(request, &engine->outbox);
    free(request);
}

/* ---- The turn --------------------------------------------------------------------------------------------------- */

void engine_take_inbox(struct engine *engine, struct client_gate *gate) {
    client_entries_append(&engine->outbox, &gate->inbox);
}

void engine_begin(struct engine *engine, uint64_t now_us, ord_replica_set connected) {
    engine->now_us = now_us;
    engine->timer_us = now_us + ENGINE_TICK_US;
    engine->connected = connected;
}

bool engine_settle(struct engine *engine, struct client_gate *gate) {
    engine->statistics.certificates = engine->cache.certificates;
    for (struct client_entry *entry = engine->done.head; entry != NULL; entry = entry->next) {
        if (entry->sequence != 0)
            client_window_release(&gate->window, entry->sequence);
        gate->open_bytes -= entry->size;
        gate->open_count--;
    }
    gate->unaccepted_count -= engine->accepted_now;
    gate->open_bytes_max = client_pace_keep(&engine->pace);
    uint64_t submitted = gate->statistics.submitted;
    gate->statistics = engine->statistics;
    gate->statistics.submitted = submitted;
    bool room = engine->room || engine->done.count > 0 || engine->accepted_now > 0;
    if (gate->open_count == 0)
        engine->progress_at_us = engine->now_us;
    engine->accepted_now = 0;
    engine->room = false;
    client_entries_append(&engine->settled, &engine->done);
    return room;
}

void engine_end(struct engine *engine) {
    struct client_entry *entry = NULL;
    while ((entry = client_entries_pop(&engine->settled)) != NULL)
        client_entry_free(entry);
}

/* ---- What the owner asks ---------------------------------------------------------------------------------------- */

uint32_t engine_wake_count(const struct engine *engine) {
    uint32_t per_request = engine->config.envelopes_per_request;
    uint32_t submits = engine->in_flight[ENGINE_REQUEST_SUBMIT];
    if (submits >= engine->config.in_flight_max || engine->held)
        return UINT32_MAX;
    if (submits < 2)
        /* A non-empty outbox means that there is no replica to send to; the timer checks again. */
        return engine->outbox.count == 0 ? 1 : UINT32_MAX;
    return engine->outbox.count >= per_request ? UINT32_MAX : per_request - engine->outbox.count;
}

uint64_t engine_timer_at(const struct engine *engine, const struct client_gate *gate) {
    return gate->open_count > 0 || gate->paused ? engine->timer_us : UINT64_MAX;
}

const struct client_signing *engine_signing(const struct engine *engine) {
    return &engine->config.signing;
}
