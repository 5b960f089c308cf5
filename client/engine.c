/*
 * The engine's thread, and the hand-over from callers and from the transport.
 */
#include "client/engine.h"

#include <stdlib.h>
#include <string.h>

#include "client/flow/engine.h"
#include "client/transport.h"
#include "core/assert.h"

#define SPANS_ON_STACK 64u

struct client_engine {
    struct ordain *client;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* the engine sleeps here */
    pthread_cond_t room; /* submitters and drainers sleep here */
    /* The fields from here to `core` are protected by `lock`. */
    bool stopping;
    bool sleeping;
    /* The engine wakes when the inbox holds so many entries. */
    uint32_t wake_count;
    struct client_gate gate;
    /* Calls that ended. */
    struct engine_request *replies;
    struct engine_request **replies_tail;

    /* Only the engine's thread uses it, except for engine_signing. */
    struct engine *core;
};

/* ---- The engine's host ------------------------------------------------------------------------------------------ */

static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    struct engine_request *request = context;
    struct client_engine *engine = request->host_context;
    request->host_err = result;
    request->host_reply = result == ORD_OK ? reply : NULL;
    request->next = NULL;
    pthread_mutex_lock(&engine->lock);
    *engine->replies_tail = request;
    engine->replies_tail = &request->next;
    if (engine->sleeping)
        pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

static enum ord_err on_call(void *context, struct engine_request *request, uint32_t timeout_ms) {
    struct client_engine *engine = context;
    struct ordain *client = engine->client;
    struct net_message *packed = NULL;
    if (client_transport_pack(&packed, client, request, engine_signing(engine->core)->config_sequence) != ORD_OK)
        return ORD_ERR_NO_MEMORY;
    request->host_context = engine;
    enum ord_err err =
        net_client_call(client->replicas.list[request->replica].net, packed, timeout_ms, on_reply, request);
    return err == ORD_OK || err == ORD_ERR_BUSY ? err : ORD_ERR_CLOSED;
}

static void on_accuse(void *context, uint32_t replica, const char *what) {
    struct client_engine *engine = context;
    client_replica_accuse(&engine->client->replicas, replica, "%s", what);
}

/* ---- The thread ------------------------------------------------------------------------------------------------- */

/* Sleeps until there is something to do, then takes all of it. False: the engine must stop. */
static bool take_work(struct client_engine *engine, struct engine_request **replies) {
    pthread_mutex_lock(&engine->lock);
    engine->wake_count = engine_wake_count(engine->core);
    while (!engine->stopping && engine->replies == NULL && engine->gate.inbox.count < engine->wake_count) {
        uint64_t until = engine_timer_at(engine->core, &engine->gate);
        if (until != UINT64_MAX && client_now_us() >= until)
            break;
        engine->sleeping = true;
        client_cond_wait(&engine->wake, &engine->lock, until);
        engine->sleeping = false;
    }
    *replies = engine->replies;
    engine->replies = NULL;
    engine->replies_tail = &engine->replies;
    engine_take_inbox(engine->core, &engine->gate);
    bool going_on = !engine->stopping;
    pthread_mutex_unlock(&engine->lock);
    return going_on;
}

static ord_replica_set connected(const struct client_engine *engine) {
    const struct client_replicas *replicas = &engine->client->replicas;
    ord_replica_set set = 0;
    for (uint32_t i = 0; i < replicas->count; i++)
        if (client_replica_up(replicas, i))
            set |= ord_replica_bit(i);
    return set;
}

static void take_reply(struct client_engine *engine, struct engine_request *request) {
    struct client_unpacked unpacked = {0};
    struct net_message *reply = request->host_reply;
    enum ord_err err = request->host_err;
    if (err == ORD_OK)
        err = client_transport_unpack(&unpacked, net_message_bytes(reply), request);
    client_answers_note_call(&engine->client->replicas.answers, request->replica, request->kind, err, &unpacked.answer);
    engine_take_answer(engine->core, request, err, &unpacked.answer);
    client_transport_free(&unpacked);
    net_message_destroy(reply);
}

/* The replies that nobody took. */
static void drop_replies(struct client_engine *engine, struct engine_request *replies) {
    while (replies != NULL) {
        struct engine_request *request = replies;
        replies = request->next;
        net_message_destroy(request->host_reply);
        engine_drop(engine->core, request);
    }
}

static void turn(struct client_engine *engine, struct engine_request *replies) {
    engine_begin(engine->core, client_now_us(), connected(engine));
    while (replies != NULL) {
        struct engine_request *request = replies;
        replies = request->next;
        take_reply(engine, request);
    }
    if (engine_needs_gate(engine->core)) {
        pthread_mutex_lock(&engine->lock);
        engine_number(engine->core, &engine->gate);
        pthread_mutex_unlock(&engine->lock);
    }
    engine_pump(engine->core);
    pthread_mutex_lock(&engine->lock);
    if (engine_settle(engine->core, &engine->gate))
        pthread_cond_broadcast(&engine->room);
    pthread_mutex_unlock(&engine->lock);
    engine_end(engine->core);
}

static void *run(void *argument) {
    struct client_engine *engine = argument;
    struct engine_request *replies = NULL;
    while (take_work(engine, &replies))
        turn(engine, replies);
    drop_replies(engine, replies);
    return NULL;
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

static enum ord_err create_core(struct client_engine *engine, const struct client_standing *standing) {
    struct ordain *client = engine->client;
    bool pinned = client->replicas.pin != ORDAIN_ANY_REPLICA;
    uint64_t now_us = client_now_us();
    uint64_t seed = 0;
    memcpy(&seed, client->fingerprint.bytes, sizeof(seed));
    struct engine_config config = {
        .trust = &client->trust,
        .signing = {.genesis_hash = client->trust.genesis_hash,
                    .fingerprint = client->fingerprint,
                    .config_sequence = standing->config_sequence},
        .pinned = pinned,
        .pin = pinned ? (uint32_t) client->replicas.pin : 0,
        .timeout_ms = client->config.timeout_ms,
        .in_flight_max = client->config.in_flight_max,
        .envelopes_per_request = client->config.envelopes_per_request,
        .receipts = client->receipts,
        .position = standing->position,
        .seed = seed ^ now_us,
    };
    crypto_signer_init(&config.signing.signer, &client->key);
    const struct engine_host host = {.context = engine, .call = on_call, .accuse = on_accuse};
    return engine_create(&engine->core, &engine->gate, &config, &host, now_us);
}

enum ord_err client_engine_create(struct client_engine **out, struct ordain *client,
                                  const struct client_standing *standing) {
    struct client_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL)
        return ORD_ERR_NO_MEMORY;
    engine->client = client;
    engine->replies_tail = &engine->replies;
    if (create_core(engine, standing) != ORD_OK)
        goto no_core;
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
    engine_destroy(engine->core, &engine->gate, client_now_us());
no_core:
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

void client_engine_destroy(struct client_engine *engine) {
    drop_replies(engine, engine->replies);
    engine_destroy(engine->core, &engine->gate, client_now_us());
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

/* Waits for room, and takes a number. */
static enum ordain_error reserve(struct client_engine *engine, struct client_entry *entry, size_t size,
                                 uint32_t timeout_ms) {
    uint64_t deadline = client_now_us() + (uint64_t) timeout_ms * 1000u;
    pthread_mutex_lock(&engine->lock);
    enum ordain_error error = engine->stopping ? ORDAIN_STOPPED : ORDAIN_OK;
    while (error == ORDAIN_OK && !client_gate_room(&engine->gate))
        error = wait_for_room(engine, deadline);
    if (error == ORDAIN_OK)
        client_gate_enter(&engine->gate, entry, size);
    pthread_mutex_unlock(&engine->lock);
    return error;
}

/* Hands over a signed entry, or gives back its number when signing failed. */
static void hand_over(struct client_engine *engine, struct client_entry *entry, size_t size, bool ok) {
    pthread_mutex_lock(&engine->lock);
    if (ok) {
        client_gate_hand_over(&engine->gate, entry);
    } else {
        client_gate_leave(&engine->gate, entry, size);
        pthread_cond_broadcast(&engine->room);
    }
    if (engine->sleeping && (engine->gate.inbox.count >= engine->wake_count || engine->gate.paused))
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
    enum ord_err err = client_entry_sign(entry, engine_signing(engine->core), spans, count);
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
    while (error == ORDAIN_OK && (final ? engine->gate.open_count : engine->gate.unaccepted_count) > 0)
        error = wait_for_room(engine, deadline);
    pthread_mutex_unlock(&engine->lock);
    return error;
}

void client_engine_statistics(struct client_engine *engine, struct ordain_statistics *out) {
    pthread_mutex_lock(&engine->lock);
    *out = engine->gate.statistics;
    pthread_mutex_unlock(&engine->lock);
}
