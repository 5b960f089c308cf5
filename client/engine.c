/*
 * The engine's thread, and the hand-over from callers and from the transport.
 */
#include <stdlib.h>
#include <string.h>

#include "client/engine_internal.h"
#include "client/text.h"
#include "core/assert.h"

#define RESUBMIT_US_MIN 250000u
#define SPANS_ON_STACK  64u

void engine_request_free(struct engine_request *request) {
    net_message_destroy(request->reply);
    free(request);
}

void engine_request_empty(struct engine_request *request, struct client_entries *list) {
    for (uint32_t i = 0; i < request->count; i++)
        client_entries_push(list, request->entries[i]);
    request->count = 0;
}

/* The replies that nobody took: their entries go back to the outbox. */
static void drop_replies(struct client_engine *engine, struct engine_request *replies) {
    while (replies != NULL) {
        struct engine_request *request = replies;
        replies = request->next;
        engine_request_empty(request, &engine->outbox);
        engine_request_free(request);
    }
}

/* Ends a turn: gives back the room of finished entries, and wakes the callers that wait for it. */
static void settle(struct client_engine *engine) {
    struct client_entries done = engine->done;
    engine->done = (struct client_entries) {0};
    engine->statistics.certificates = engine->cache.certificates;
    pthread_mutex_lock(&engine->lock);
    for (struct client_entry *entry = done.head; entry != NULL; entry = entry->next) {
        if (entry->sequence != 0)
            client_window_release(&engine->window, entry->sequence);
        engine->open_bytes -= entry->size;
        engine->open_count--;
    }
    engine->unaccepted_count -= engine->accepted_now;
    engine->open_bytes_max = client_pace_keep(&engine->pace);
    uint64_t submitted = engine->shared.submitted;
    engine->shared = engine->statistics;
    engine->shared.submitted = submitted;
    if (done.count > 0 || engine->accepted_now > 0)
        pthread_cond_broadcast(&engine->room);
    if (engine->open_count == 0)
        engine->progress_at_us = engine->now_us;
    pthread_mutex_unlock(&engine->lock);
    engine->accepted_now = 0;
    struct client_entry *entry = NULL;
    while ((entry = client_entries_pop(&done)) != NULL)
        client_entry_free(entry);
}

/* ---- Fresh numbers ---------------------------------------------------------------------------------------------- */

/* Signs the entry under entry->sequence and queues it. Everything known about its old number is forgotten. */
static void sign_again(struct client_engine *engine, struct client_entry *entry) {
    entry->refused_by = 0;
    entry->absent_by = 0;
    entry->lost_by = 0;
    entry->duplicates = 0;
    entry->resubmissions = 0;
    entry->sent_before = false;
    engine_leave(engine, entry);
    size_t before = entry->size;
    enum ord_err err = client_entry_sign_again(entry, &engine->signing);
    if (err != ORD_OK) {
        engine_fail(engine, entry, client_error(err), ord_err_text(err));
        return;
    }
    ORD_ASSERT(before == entry->size);
    engine->statistics.renumbered++;
    client_entries_push(&engine->outbox, entry);
}

void engine_renumber(struct client_engine *engine) {
    struct client_entries ready = {0};
    bool now = engine->now_us >= engine->renumber_at_us;
    if (!now)
        engine_timer(engine, engine->renumber_at_us);
    pthread_mutex_lock(&engine->lock);
    /* Release the old numbers first: with none of them open, the next number may be as high as it needs to be. */
    for (struct client_entry *entry = engine->renumber.head; entry != NULL; entry = entry->next) {
        if (entry->sequence == 0)
            continue;
        client_window_release(&engine->window, entry->sequence);
        entry->sequence = 0;
    }
    while (now && engine->renumber.head != NULL) {
        struct client_entry *entry = engine->renumber.head;
        if (client_window_take(&engine->window, &entry->sequence, entry) != ORD_OK)
            break;
        client_entries_push(&ready, client_entries_pop(&engine->renumber));
    }
    engine->reserved = engine->renumber.count;
    pthread_mutex_unlock(&engine->lock);
    struct client_entry *entry = NULL;
    while ((entry = client_entries_pop(&ready)) != NULL)
        sign_again(engine, entry);
}

/*
 * Every open number is further ahead than the channel accepts, because the replicas that told our position were wrong.
 * Once nothing is under way, all open envelopes get numbers above restart_at.
 */
static void restart(struct client_engine *engine) {
    /* Finished entries still hold numbers of the old window. */
    settle(engine);
    pthread_mutex_lock(&engine->lock);
    engine->paused = true;
    bool quiet = engine->signing_count == 0 && engine->inbox.count == 0 &&
                 engine->in_flight[ENGINE_REQUEST_SUBMIT] == 0 && engine->in_flight[ENGINE_REQUEST_WAIT] == 0 &&
                 engine->in_flight[ENGINE_REQUEST_PROBE] == 0;
    pthread_mutex_unlock(&engine->lock);
    if (!quiet) {
        engine_timer(engine, engine->now_us + ENGINE_LOOK_US);
        return;
    }
    struct client_entries all = {0};
    client_entries_append(&all, &engine->renumber);
    client_entries_append(&all, &engine->outbox);
    client_entries_append(&all, &engine->opinions);
    client_entries_append(&all, &engine->doubts);
    client_entries_append(&all, &engine->waiting);
    struct client_entries ready = {0};
    pthread_mutex_lock(&engine->lock);
    client_window_init(&engine->window, engine->restart_at);
    struct client_entry *entry = NULL;
    while ((entry = client_entries_pop(&all)) != NULL) {
        enum ord_err err = client_window_take(&engine->window, &entry->sequence, entry);
        ORD_ASSERT(err == ORD_OK); /* they fitted into the window before */
        client_entries_push(&ready, entry);
    }
    engine->reserved = 0;
    engine->paused = false;
    engine->restart = false;
    pthread_cond_broadcast(&engine->room);
    pthread_mutex_unlock(&engine->lock);
    while ((entry = client_entries_pop(&ready)) != NULL)
        sign_again(engine, entry);
}

/* ---- The thread ------------------------------------------------------------------------------------------------- */

/* How many new entries make it worth waking up. While requests are under way, new entries may gather. */
static uint32_t wake_count(const struct client_engine *engine) {
    uint32_t per_request = engine->client->config.envelopes_per_request;
    uint32_t submits = engine->in_flight[ENGINE_REQUEST_SUBMIT];
    if (submits >= engine->client->config.in_flight_max || engine->held)
        return UINT32_MAX;
    if (submits < 2)
        /* A non-empty outbox means that there is no replica to send to; the timer checks again. */
        return engine->outbox.count == 0 ? 1 : UINT32_MAX;
    return engine->outbox.count >= per_request ? UINT32_MAX : per_request - engine->outbox.count;
}

/* Sleeps until there is something to do, then takes all of it. False: the engine must stop. */
static bool take_work(struct client_engine *engine, struct engine_request **replies) {
    pthread_mutex_lock(&engine->lock);
    engine->wake_count = wake_count(engine);
    while (!engine->stopping && engine->replies == NULL && engine->inbox.count < engine->wake_count) {
        uint64_t until = engine->open_count > 0 || engine->paused ? engine->timer_us : UINT64_MAX;
        if (until != UINT64_MAX && client_now_us() >= until)
            break;
        engine->sleeping = true;
        client_cond_wait(&engine->wake, &engine->lock, until);
        engine->sleeping = false;
    }
    *replies = engine->replies;
    engine->replies = NULL;
    engine->replies_tail = &engine->replies;
    client_entries_append(&engine->outbox, &engine->inbox);
    bool going_on = !engine->stopping;
    pthread_mutex_unlock(&engine->lock);
    return going_on;
}

static void *run(void *argument) {
    struct client_engine *engine = argument;
    struct engine_request *replies = NULL;
    engine->timer_us = client_now_us() + ENGINE_TICK_US;
    while (take_work(engine, &replies)) {
        engine->now_us = client_now_us();
        engine->timer_us = engine->now_us + ENGINE_TICK_US;
        while (replies != NULL) {
            struct engine_request *request = replies;
            replies = request->next;
            engine_take_reply(engine, request);
        }
        client_pace_adapt(&engine->pace, engine->now_us);
        if (engine->restart)
            restart(engine);
        if (!engine->restart)
            engine_pump(engine);
        settle(engine);
    }
    drop_replies(engine, replies);
    return NULL;
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

enum ord_err client_engine_create(struct client_engine **out, struct ordain *client,
                                  const struct client_standing *standing) {
    struct client_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL)
        return ORD_ERR_NO_MEMORY;
    engine->client = client;
    engine->signing.key = &client->key;
    engine->signing.genesis_hash = client->trust.genesis_hash;
    engine->signing.fingerprint = client->fingerprint;
    engine->signing.config_sequence = standing->config_sequence;
    engine->peer_count = client->replicas.count;
    uint64_t timeout_us = (uint64_t) client->config.timeout_ms * 1000u;
    uint64_t patience_us = (uint64_t) client->trust.config.request_timeout_ms * 500u;
    engine->resubmit_us = patience_us < RESUBMIT_US_MIN ? RESUBMIT_US_MIN : patience_us;
    if (engine->resubmit_us > timeout_us)
        engine->resubmit_us = timeout_us;
    engine->replies_tail = &engine->replies;
    engine->target = client->replicas.pin == ORDAIN_ANY_REPLICA ? 0 : (uint32_t) client->replicas.pin;
    engine->wait_target = engine->target;
    client_window_init(&engine->window, standing->position);
    engine->progress_at_us = client_now_us();
    uint64_t seed = 0;
    memcpy(&seed, client->fingerprint.bytes, sizeof(seed));
    client_pace_init(&engine->pace, client->trust.config.request_timeout_ms, seed ^ engine->progress_at_us,
                     engine->progress_at_us);
    engine->open_bytes_max = client_pace_keep(&engine->pace);

    if (client_lock_init(&engine->lock, &engine->wake) != ORD_OK)
        goto no_lock;
    if (client_cond_init(&engine->room) != ORD_OK)
        goto no_room;
    if (pthread_create(&engine->thread, NULL, run, engine) != 0)
        goto no_thread;
    *out = engine;
    return ORD_OK;
no_thread:
    pthread_cond_destroy(&engine->room);
no_room:
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->lock);
no_lock:
    free(engine);
    return ORD_ERR_NO_MEMORY;
}

void client_engine_stop(struct client_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    pthread_cond_broadcast(&engine->wake);
    pthread_cond_broadcast(&engine->room);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
}

static void fail_all(struct client_engine *engine, struct client_entries *list) {
    struct client_entry *entry = NULL;
    while ((entry = client_entries_pop(list)) != NULL) {
        engine_fail(engine, entry, ORDAIN_STOPPED, "closed before it was final; it may be ordered all the same");
    }
}

void client_engine_destroy(struct client_engine *engine) {
    engine->now_us = client_now_us();
    drop_replies(engine, engine->replies);
    fail_all(engine, &engine->inbox);
    fail_all(engine, &engine->outbox);
    fail_all(engine, &engine->waiting);
    fail_all(engine, &engine->opinions);
    fail_all(engine, &engine->doubts);
    fail_all(engine, &engine->renumber);
    settle(engine);
    ORD_ASSERT(engine->open_count == 0);
    pthread_cond_destroy(&engine->room);
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

/* ---- Callers ---------------------------------------------------------------------------------------------------- */

/* Waits until something changes for a caller who holds the lock. */
static enum ordain_error wait_for_room(struct client_engine *engine, uint64_t deadline) {
    if (!engine->stopping && client_now_us() >= deadline)
        return ORDAIN_TIMEOUT;
    if (!engine->stopping)
        client_cond_wait(&engine->room, &engine->lock, deadline);
    return engine->stopping ? ORDAIN_STOPPED : ORDAIN_OK;
}

static bool has_room(const struct client_engine *engine, size_t size) {
    bool bytes_full = engine->open_count > 0 && engine->open_bytes + size > engine->open_bytes_max;
    return !engine->paused && engine->reserved == 0 && !bytes_full && !client_window_full(&engine->window);
}

/* Waits for room, and takes a number. */
static enum ordain_error reserve(struct client_engine *engine, struct client_entry *entry, size_t size,
                                 uint32_t timeout_ms) {
    uint64_t deadline = client_now_us() + (uint64_t) timeout_ms * 1000u;
    pthread_mutex_lock(&engine->lock);
    enum ordain_error error = engine->stopping ? ORDAIN_STOPPED : ORDAIN_OK;
    while (error == ORDAIN_OK && !has_room(engine, size))
        error = wait_for_room(engine, deadline);
    if (error == ORDAIN_OK) {
        enum ord_err err = client_window_take(&engine->window, &entry->sequence, entry);
        ORD_ASSERT(err == ORD_OK); /* it was not full */
        engine->signing_count++;
        engine->open_count++;
        engine->open_bytes += size;
        engine->unaccepted_count++;
    }
    pthread_mutex_unlock(&engine->lock);
    return error;
}

/* Hands over a signed entry, or gives back its number when signing failed. */
static void hand_over(struct client_engine *engine, struct client_entry *entry, size_t size, bool ok) {
    pthread_mutex_lock(&engine->lock);
    engine->signing_count--;
    if (ok) {
        client_entries_push(&engine->inbox, entry);
        engine->shared.submitted++;
    } else {
        client_window_release(&engine->window, entry->sequence);
        engine->open_count--;
        engine->open_bytes -= size;
        engine->unaccepted_count--;
        pthread_cond_broadcast(&engine->room);
    }
    if (engine->sleeping && (engine->inbox.count >= engine->wake_count || engine->paused))
        pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

enum ordain_error client_engine_submit(struct client_engine *engine, const struct ordain_bytes *transactions,
                                       uint32_t count, ordain_event_fn on_event, void *context, uint32_t timeout_ms) {
    struct ord_span on_stack[SPANS_ON_STACK];
    struct ord_span *spans = count <= SPANS_ON_STACK ? on_stack : calloc(count, sizeof(*spans));
    struct client_entry *entry = calloc(1, sizeof(*entry));
    enum ordain_error error = ORDAIN_NO_MEMORY;
    if (spans == NULL || entry == NULL)
        goto out;
    for (uint32_t i = 0; i < count; i++)
        spans[i] = ord_span_of(transactions[i].data, transactions[i].size);
    size_t size = channel_envelope_size(spans, count);
    entry->on_event = on_event;
    entry->context = context;
    error = reserve(engine, entry, size, timeout_ms);
    if (error != ORDAIN_OK)
        goto out;
    entry->submitted_us = client_now_us();
    enum ord_err err = client_entry_sign(entry, &engine->signing, spans, count);
    ORD_ASSERT(err != ORD_OK || entry->size == size);
    hand_over(engine, entry, size, err == ORD_OK);
    error = client_error(err);
    if (err == ORD_OK)
        entry = NULL; /* the engine owns it now */
out:
    if (spans != on_stack)
        free(spans);
    if (entry != NULL)
        client_entry_free(entry);
    return error;
}

enum ordain_error client_engine_drain(struct client_engine *engine, bool final, uint32_t timeout_ms) {
    uint64_t deadline = client_now_us() + (uint64_t) timeout_ms * 1000u;
    enum ordain_error error = ORDAIN_OK;
    pthread_mutex_lock(&engine->lock);
    while (error == ORDAIN_OK && (final ? engine->open_count : engine->unaccepted_count) > 0)
        error = wait_for_room(engine, deadline);
    pthread_mutex_unlock(&engine->lock);
    return error;
}

void client_engine_statistics(struct client_engine *engine, struct ordain_statistics *out) {
    pthread_mutex_lock(&engine->lock);
    *out = engine->shared;
    pthread_mutex_unlock(&engine->lock);
}
