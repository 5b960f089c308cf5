/*
 * Decides what to send where. Submit requests follow the leader's hint, and wait requests follow the submit requests.
 * Both move to another replica when one is busy, silent, gone or lying. While few requests are under way, a request is
 * sent at once. Under load, envelopes gather meanwhile, so requests grow by themselves.
 */
#include <stdlib.h>

#include "client/flow/internal.h"
#include "client/flow/random.h"
#include "core/assert.h"

/* So many submit requests are sent however small they are. */
#define SUBMITS_EAGER 2u
#define WAITS_EAGER   4u
/* Beyond WAITS_EAGER, a wait request must cover at least so many envelopes. */
#define WAIT_GROUP_WORTH 64u
#define BUSY_IN_ROW_MAX  3u
/* Smallest patience, beyond the time that the replica itself is asked to take. */
#define PATIENCE_MS_MIN 200u
/* The same as a part of the request timeout, and the most that this part gives. */
#define PATIENCE_PART        4u
#define PATIENCE_MS_MIN_MOST 1000u
/* Used while the client has had no answer yet. */
#define PATIENCE_MS_FIRST 150u
/* Patience, in usual reply times. */
#define REPLIES_PATIENT 4u
/*
 * A submit request gets twice as much, and at least the request timeout or so much: its answer comes when signatures
 * are checked, and sending it again would only make more of them.
 */
#define SUBMIT_PATIENCE      2u
#define SUBMIT_MS_LEAST_MOST 2000u
#define PATIENCE_MS_MAX      3000u
#define STALL_US             2000000u
/* One envelope is copied in about this part (1/2) of the request timeout, to so many replicas. */
#define COPY_PART 2u
#define COPIES    2u
/* A sample that has no answer after this part (1/8) of the request timeout is copied without one. */
#define COPY_DUE_PART 8u

/* ---- Which replica ---------------------------------------------------------------------------------------------- */

static bool may_ask(const struct engine *engine, uint32_t replica, ord_replica_set except) {
    return replica < engine->peer_count && (except & ord_replica_bit(replica)) == 0 && engine_up(engine, replica);
}

static bool avoided(const struct engine *engine, uint32_t replica) {
    return engine->peers[replica].avoid_until_us > engine->now_us;
}

/*
 * Chooses the first replica from `start` on that may be asked, is not avoided and is not busy. The last resort is a
 * replica that is avoided, but not while another one is merely busy. ENGINE_NO_REPLICA: none for now (the timer is
 * set).
 */
static uint32_t choose(struct engine *engine, uint32_t start, ord_replica_set except, bool for_wait) {
    uint32_t avoided_one = ENGINE_NO_REPLICA;
    bool busy = false;
    for (uint32_t i = 0; i < engine->peer_count; i++) {
        uint32_t replica = (start + i) % engine->peer_count;
        if (!may_ask(engine, replica, except))
            continue;
        const struct engine_peer *peer = &engine->peers[replica];
        uint64_t not_before = for_wait ? peer->wait_after_us : peer->not_before_us;
        if (avoided(engine, replica)) {
            if (avoided_one == ENGINE_NO_REPLICA && not_before <= engine->now_us)
                avoided_one = replica;
            continue;
        }
        if (not_before <= engine->now_us)
            return replica;
        busy = true;
        engine_timer(engine, not_before);
        /* Give a busy leader its time. The next replica is asked only when the leader stays busy. */
        uint64_t patient_us = peer->busy_from_us + CLIENT_RETRY_AFTER_MAX * UINT64_C(1000);
        if (!for_wait && replica == engine->target && peer->busy_in_row < BUSY_IN_ROW_MAX &&
            engine->now_us < patient_us) {
            engine_timer(engine, patient_us);
            return ENGINE_NO_REPLICA;
        }
    }
    if (!busy && avoided_one != ENGINE_NO_REPLICA)
        return avoided_one;
    engine_timer(engine, engine->now_us + ENGINE_LOOK_US);
    return ENGINE_NO_REPLICA;
}

/* ---- Sending ---------------------------------------------------------------------------------------------------- */

static struct engine_request *request_create(struct engine *engine, enum engine_request_kind kind, uint32_t replica,
                                             uint32_t capacity) {
    struct engine_request *request = calloc(1, sizeof(*request) + (size_t) capacity * sizeof(struct client_entry *));
    if (request == NULL)
        return NULL;
    request->kind = kind;
    request->replica = replica;
    request->sent_us = engine->now_us;
    return request;
}

/* Starts a request to a replica that `choose` finds. NULL: none for now, and the timer is set. */
static struct engine_request *begin(struct engine *engine, enum engine_request_kind kind, ord_replica_set except,
                                    uint32_t capacity) {
    bool submit = kind == ENGINE_REQUEST_SUBMIT;
    uint32_t replica = choose(engine, submit ? engine->target : engine->wait_target, except, !submit);
    if (replica == ENGINE_NO_REPLICA)
        return NULL;
    struct engine_request *request = request_create(engine, kind, replica, capacity);
    if (request == NULL)
        engine_timer(engine, engine->now_us + ENGINE_LOOK_US);
    return request;
}

/*
 * How long a replica may stay silent before another is asked: a multiple of the usual reply time, because under load
 * all replicas are slow, doubled after each answer that did not come, because asking again adds load. The bound is
 * short because a frozen leader may hold envelopes that no other replica has.
 */
static uint32_t patience_ms(const struct engine *engine) {
    uint32_t timeout_ms = engine->config.timeout_ms;
    uint64_t most_ms = timeout_ms < PATIENCE_MS_MAX ? timeout_ms : PATIENCE_MS_MAX;
    uint64_t least_ms = engine->config.trust->config.request_timeout_ms / PATIENCE_PART;
    uint64_t ms = engine->reply_us == 0 ? PATIENCE_MS_FIRST : REPLIES_PATIENT * engine->reply_us / 1000u;
    if (least_ms > PATIENCE_MS_MIN_MOST)
        least_ms = PATIENCE_MS_MIN_MOST;
    if (least_ms < PATIENCE_MS_MIN)
        least_ms = PATIENCE_MS_MIN;
    if (ms < least_ms)
        ms = least_ms;
    ms <<= engine->unanswered;
    return (uint32_t) (ms < most_ms ? ms : most_ms);
}

static uint64_t timeout_us(const struct engine *engine) {
    return engine->config.trust->config.request_timeout_ms * UINT64_C(1000);
}

static uint32_t submit_patience_ms(const struct engine *engine) {
    uint32_t least_ms = engine->config.trust->config.request_timeout_ms;
    if (least_ms > SUBMIT_MS_LEAST_MOST)
        least_ms = SUBMIT_MS_LEAST_MOST;
    if (least_ms > engine->config.timeout_ms)
        least_ms = engine->config.timeout_ms;
    uint32_t ms = SUBMIT_PATIENCE * patience_ms(engine);
    return ms > least_ms ? ms : least_ms;
}

/*
 * True: the call is under way and its answer will come. False: nothing was sent, and the request still belongs to the
 * caller.
 */
static bool call(struct engine *engine, struct engine_request *request, uint32_t timeout_ms) {
    enum ord_err err = engine->host.call(engine->host.context, request, timeout_ms);
    if (err == ORD_OK) {
        engine->in_flight[request->kind]++;
        return true;
    }
    if (err == ORD_ERR_CLOSED)
        engine->peers[request->replica].avoid_until_us = engine->now_us + ENGINE_AVOID_DOWN_US;
    engine_timer(engine, engine->now_us + ENGINE_LOOK_US);
    return false;
}

/* Puts the entries of a request that was not sent back into the list from which they came. */
static void take_back(struct engine_request *request, struct client_entries *list) {
    struct client_entries entries = {0};
    engine_request_empty(request, &entries);
    client_entries_prepend(list, &entries);
    free(request);
}

static void enter(struct engine *engine, struct client_entry *entry) {
    ORD_ASSERT(!entry->under_way);
    entry->under_way = true;
    entry->sent_us = engine->now_us;
    entry->sent_blocks = engine->blocks;
    client_pace_sent(&engine->pace, entry->size, engine->now_us);
}

void engine_leave(struct engine *engine, struct client_entry *entry) {
    if (entry->under_way)
        client_pace_back(&engine->pace, entry->size);
    entry->under_way = false;
    engine_not_sampled(engine, entry);
}

/* The pace allows the outbox's next entry. */
static bool has_room(struct engine *engine) {
    uint64_t at_us = 0;
    bool room = client_pace_room(&engine->pace, &at_us, engine->outbox.head->size, engine->now_us);
    engine->held = !room;
    if (!room)
        engine_timer(engine, at_us);
    return room;
}

/* The request was not sent. */
static void take_back_submit(struct engine *engine, struct engine_request *request, struct client_entries *list) {
    for (uint32_t i = 0; i < request->count; i++)
        engine_leave(engine, request->entries[i]);
    take_back(request, list);
}

/*
 * An envelope that only the leader has lets no other replica see how long it waits, so nobody could ever tell a leader
 * that is slow on purpose (bft/view/ratchet.c measures what waits in the other pools). A sample is enough for that. It
 * is drawn at random, and who gets a copy does not pass it on at once: a leader that knew which envelopes the others
 * have could serve these alone. For the same reason few replicas get it, because one of them may be an accomplice. It
 * is copied when it waits for its receipt, or has no answer soon: a leader that answered only when it proposes would
 * not be seen otherwise. An envelope that the leader refused as BUSY must not make the others wait for it. Leaders are
 * slow on purpose in pbft channels alone.
 */
static void draw_sample(struct engine *engine, const struct engine_request *request) {
    struct client_entry *entry = request->entries[client_random(&engine->random) % request->count];
    if (engine->config.pinned || engine->sample != NULL || engine->now_us < engine->copy_at_us ||
        entry->size > CLIENT_COPY_BYTES_MAX || engine->config.trust->config.consensus != CHANNEL_PBFT)
        return;
    engine->sample = entry;
    engine->sample_sent_to = request->replica;
    engine->sample_due_us = engine->now_us + timeout_us(engine) / COPY_DUE_PART;
}

static bool send_submit(struct engine *engine, struct engine_request *request, struct client_entries *list) {
    for (uint32_t i = 0; i < request->count; i++)
        if (!request->entries[i]->under_way)
            enter(engine, request->entries[i]);
    bool sent = call(engine, request, submit_patience_ms(engine));
    if (sent) {
        engine->statistics.requests++;
        draw_sample(engine, request);
    } else {
        take_back_submit(engine, request, list);
    }
    return sent;
}

static void pump_outbox(struct engine *engine) {
    uint32_t per_request = engine->config.envelopes_per_request;
    engine->held = false;
    while (engine->outbox.head != NULL && engine->in_flight[ENGINE_REQUEST_SUBMIT] < engine->config.in_flight_max) {
        if (engine->outbox.count < per_request && engine->in_flight[ENGINE_REQUEST_SUBMIT] >= SUBMITS_EAGER)
            break;
        if (!has_room(engine))
            break;
        struct engine_request *request = begin(engine, ENGINE_REQUEST_SUBMIT, 0, per_request);
        if (request == NULL)
            break;
        engine->target = request->replica;
        size_t bytes = 0;
        while (engine->outbox.head != NULL && request->count < per_request) {
            struct client_entry *next = engine->outbox.head;
            if (request->count > 0 &&
                (bytes + next->size > CLIENT_SUBMIT_BYTES_MAX || next->alone || !has_room(engine)))
                break;
            bytes += next->size;
            request->entries[request->count++] = client_entries_pop(&engine->outbox);
            enter(engine, next);
            if (next->alone)
                break;
        }
        if (!send_submit(engine, request, &engine->outbox))
            break;
    }
}

/*
 * Offers what one replica refused to the others, one by one, until enough of them agree. While none of the others can
 * be asked, the entry waits: whoever is connected may be the one that lies.
 */
static void pump_opinions(struct engine *engine) {
    uint32_t count = engine->opinions.count;
    while (count-- > 0 && engine->in_flight[ENGINE_REQUEST_SUBMIT] < engine->config.in_flight_max) {
        struct client_entry *entry = client_entries_pop(&engine->opinions);
        struct engine_request *request = begin(engine, ENGINE_REQUEST_SUBMIT, entry->refused_by, 1);
        if (request == NULL) {
            client_entries_push(&engine->opinions, entry);
            continue;
        }
        request->entries[request->count++] = entry;
        if (!send_submit(engine, request, &engine->opinions))
            break;
    }
}

static void pump_waits(struct engine *engine) {
    while (engine->waiting.head != NULL && engine->in_flight[ENGINE_REQUEST_WAIT] < ENGINE_WAITS_MAX) {
        if (engine->in_flight[ENGINE_REQUEST_WAIT] >= WAITS_EAGER && engine->waiting.count < WAIT_GROUP_WORTH)
            break;
        uint32_t count = engine->waiting.count < CLIENT_WAIT_GROUP_MAX ? engine->waiting.count : CLIENT_WAIT_GROUP_MAX;
        struct engine_request *request = begin(engine, ENGINE_REQUEST_WAIT, 0, count);
        if (request == NULL)
            break;
        engine->wait_target = request->replica;
        while (request->count < count)
            request->entries[request->count++] = client_entries_pop(&engine->waiting);
        if (!call(engine, request, ENGINE_WAIT_MS + patience_ms(engine))) {
            take_back(request, &engine->waiting);
            break;
        }
    }
}

static void pump_doubts(struct engine *engine) {
    while (engine->doubts.head != NULL && engine->in_flight[ENGINE_REQUEST_PROBE] < ENGINE_PROBES_MAX) {
        struct client_entry *entry = client_entries_pop(&engine->doubts);
        struct engine_request *request = begin(engine, ENGINE_REQUEST_PROBE, entry->absent_by, 1);
        if (request == NULL && entry->absent_by != 0) {
            entry->absent_by = 0; /* ask all replicas once more */
            request = begin(engine, ENGINE_REQUEST_PROBE, 0, 1);
        }
        if (request == NULL) {
            client_entries_push(&engine->doubts, entry);
            engine_timer(engine, engine->now_us + ENGINE_LOOK_US);
            break;
        }
        request->entries[request->count++] = entry;
        if (!call(engine, request, engine->config.timeout_ms)) {
            take_back(request, &engine->doubts);
            break;
        }
    }
}

void engine_want_number(struct engine *engine, struct client_entry *entry) {
    engine_leave(engine, entry);
    if (engine->renumber.head == NULL) {
        engine->positions_at_us = 0;
        engine->positions_since = engine->now_us;
        engine->renumber_at_us = engine->now_us + ENGINE_RENUMBER_US;
        engine_ask_positions(engine);
    }
    client_entries_push(&engine->renumber, entry);
}

void engine_ask_positions(struct engine *engine) {
    if (engine->now_us < engine->positions_at_us)
        return;
    engine->positions_at_us = engine->now_us + ENGINE_POSITION_US;
    for (uint32_t i = 0; i < engine->peer_count; i++) {
        if (!may_ask(engine, i, 0))
            continue;
        struct engine_request *request = request_create(engine, ENGINE_REQUEST_POSITION, i, 0);
        if (request == NULL)
            return;
        if (!call(engine, request, engine->config.timeout_ms))
            free(request);
    }
}

void engine_offer_registration(struct engine *engine, uint32_t replica) {
    struct engine_request *request = request_create(engine, ENGINE_REQUEST_REGISTER, replica, 0);
    if (request != NULL && !call(engine, request, engine->config.timeout_ms))
        free(request);
}

static bool send_copy(struct engine *engine, uint32_t replica) {
    struct engine_request *request = request_create(engine, ENGINE_REQUEST_COPY, replica, 1);
    if (request == NULL)
        return false;
    request->entries[request->count++] = engine->sample;
    bool sent = call(engine, request, submit_patience_ms(engine));
    /* The entry goes its own way. */
    request->count = 0;
    engine->peers[replica].copy_open = sent;
    if (!sent)
        free(request);
    return sent;
}

void engine_copy_sample(struct engine *engine) {
    uint32_t left = engine->peer_count;
    uint32_t wanted = COPIES;
    ord_replica_set tried = ord_replica_bit(engine->sample_sent_to);
    while (wanted > 0 && left-- > 1) {
        uint32_t replica = (uint32_t) (client_random(&engine->random) % engine->peer_count);
        while ((tried & ord_replica_bit(replica)) != 0)
            replica = (replica + 1) % engine->peer_count;
        tried |= ord_replica_bit(replica);
        if (may_ask(engine, replica, 0) && !engine->peers[replica].copy_open && send_copy(engine, replica))
            wanted--;
    }
    engine->sample = NULL;
    if (wanted == COPIES)
        return;
    uint64_t usual_us = timeout_us(engine) / COPY_PART;
    engine->copy_at_us = engine->now_us + usual_us / 2 + client_random(&engine->random) % (usual_us + 1);
}

static void pump_sample(struct engine *engine) {
    if (engine->sample != NULL && engine->now_us >= engine->sample_due_us)
        engine_copy_sample(engine);
    else if (engine->sample != NULL)
        engine_timer(engine, engine->sample_due_us);
}

void engine_pump(struct engine *engine) {
    client_pace_adapt(&engine->pace, engine->now_us);
    /* Nothing is sent before every open envelope has its new number. */
    if (engine->restart)
        return;
    engine_sign_numbered(engine);
    /* Nothing becomes final: perhaps we are wrong about our position. */
    if (engine->now_us > engine->progress_at_us + STALL_US)
        engine_ask_positions(engine);
    pump_outbox(engine);
    pump_opinions(engine);
    pump_waits(engine);
    pump_doubts(engine);
    pump_sample(engine);
}
