/*
 * The engine's owner: its calls, its turns, and what it tells.
 */
#include "sim/submit.h"

#include <stdlib.h>
#include <string.h>

#include "channel/tags.h"
#include "client/flow/engine.h"
#include "core/assert.h"
#include "sim/call.h"
#include "sim/check.h"

/*
 * The engine's clock begins here. `REQUEST_MAX`: one check of signatures has so many envelopes, and the reference of
 * the pool (sim/intake.h) expects that all of a submission are settled together.
 */
enum { CLOCK_US = 1000000, TIMEOUT_MS = 10000, IN_FLIGHT_MAX = 64, REQUEST_MAX = REPLICA_CHECK_ENVELOPES };

/* A call that has no answer yet. */
struct call {
    uint64_t number;
    uint32_t instance;
    /* The replica's process; the connection ends with it. */
    uint32_t incarnation;
    struct engine_request *request;
};

struct sim_submitter {
    struct sim_world *world;
    uint32_t client;
    struct client_trust trust;
    struct client_gate gate;
    struct engine *engine;
    struct call *calls;
    size_t call_count;
    size_t call_capacity;
    uint64_t call_number;
    /* When the planned turn happens; UINT64_MAX: none is planned. */
    uint64_t timer_us;
    /* An event is given at the world's end, when nothing is checked any more. */
    bool ends;
};

/* ---- the engine's host ---- */

/* A machine with this identity whose process runs; NULL: there is none. Of twins, each client knows one. */
static struct sim_replica *machine_of(const struct sim_submitter *submitter, ord_node_id id) {
    struct sim_world *world = submitter->world;
    struct sim_replica *found = NULL;
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].id == id && world->replicas[i].process != NULL &&
            (found == NULL || submitter->client % 2 == 1))
            found = &world->replicas[i];
    return found;
}

/* The time since which the longest wait counts begins when an honest replica is first asked. */
static void note_asked(struct sim_submitter *submitter, const struct engine_request *request) {
    bool submits = request->kind == ENGINE_REQUEST_SUBMIT || request->kind == ENGINE_REQUEST_COPY;
    for (uint32_t i = 0; submits && i < request->count; i++) {
        struct sim_waiting *waiting = request->entries[i]->context;
        if (waiting->since_us == 0)
            waiting->since_us = submitter->world->now_us + 1;
    }
}

static enum ord_err on_call(void *context, struct engine_request *request, uint32_t timeout_ms) {
    struct sim_submitter *submitter = context;
    struct sim_world *world = submitter->world;
    struct sim_replica *replica = machine_of(submitter, request->replica);
    uint64_t delay_us;
    if (replica == NULL)
        return ORD_ERR_CLOSED;
    submitter->calls =
        sim_grow(submitter->calls, &submitter->call_capacity, submitter->call_count, sizeof(*submitter->calls));
    submitter->calls[submitter->call_count++] = (struct call) {.number = ++submitter->call_number,
                                                               .instance = replica->instance,
                                                               .incarnation = replica->incarnation,
                                                               .request = request};
    if (sim_network_client_delay(world, &delay_us)) {
        struct sim_buffer *bytes = request->kind == ENGINE_REQUEST_REGISTER
                                       ? sim_buffer_hold(world->clients[submitter->client].registration)
                                       : sim_call_pack(request);
        const struct sim_event event = {.kind = SIM_ASK,
                                        .target = replica->instance,
                                        .source = submitter->client,
                                        .a = submitter->call_number,
                                        .b = request->kind,
                                        .buffer = bytes};
        sim_plan_event(world, delay_us, &event);
        if (!replica->liar)
            note_asked(submitter, request);
    }
    sim_client_plan(world, submitter->client, SIM_CLIENT_OVER, submitter->call_number, (uint64_t) timeout_ms * 1000);
    return ORD_OK;
}

static void on_accuse(void *context, uint32_t replica, const char *what) {
    const struct sim_submitter *submitter = context;
    struct sim_world *world = submitter->world;
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].id == replica && world->replicas[i].liar)
            return;
    sim_fail(world, "client: client %u accuses honest replica %u: %s", submitter->client, replica, what);
}

static enum ord_err sign(void *context, struct ord_signature *out, const struct ord_hash *hash) {
    const struct sim_submitter *submitter = context;
    sim_crypto_client_sign(&submitter->world->crypto, out, &sim_identities_get()->parties[submitter->client], hash);
    return ORD_OK;
}

/* ---- events ---- */

/*
 * A replica whose wall clock is wrong takes the client's certificate for one that has expired, and such replicas
 * together with liars may be more than f. Otherwise nothing that an honest client submits can be refused.
 */
static void failed(struct sim_submitter *submitter, struct sim_waiting *waiting, const struct ordain_event *event) {
    struct sim_world *world = submitter->world;
    if ((world->plan.faults >> SIM_FAULT_CLOCK & 1) == 0)
        sim_fail(world, "client: client %u is refused sequence %lu: %s", submitter->client,
                 (unsigned long) waiting->sequence, event->message);
    sim_client_refused(world, submitter->client, waiting);
}

static void on_event(void *context, const struct ordain_event *event) {
    struct sim_waiting *waiting = context;
    struct sim_submitter *submitter = waiting->submitter;
    struct sim_world *world = submitter->world;
    if (submitter->ends)
        return;
    if (!waiting->used || event->sequence != waiting->sequence) {
        sim_fail(world, "client: client %u is told of sequence %lu, which is over", submitter->client,
                 (unsigned long) event->sequence);
        return;
    }
    bool first = event->kind == ORDAIN_EVENT_ACCEPTED;
    if (first == waiting->accepted && event->kind != ORDAIN_EVENT_FAILED)
        sim_fail(world, "client: client %u is told %s of sequence %lu", submitter->client,
                 first ? "twice the acceptance" : "the end before the acceptance", (unsigned long) event->sequence);
    if (first)
        waiting->accepted = true;
    else if (event->kind == ORDAIN_EVENT_FINAL)
        sim_client_served(world, submitter->client, waiting, ord_span_of(event->receipt.data, event->receipt.size));
    else
        failed(submitter, waiting, event);
}

/* ---- turns ---- */

static uint64_t clock_of(const struct sim_submitter *submitter) {
    return submitter->world->now_us + CLOCK_US;
}

static ord_replica_set connected(const struct sim_submitter *submitter) {
    const struct sim_world *world = submitter->world;
    ord_replica_set set = 0;
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].process != NULL)
            set |= ord_replica_bit(world->replicas[i].id);
    return set;
}

static void plan_timer(struct sim_submitter *submitter) {
    uint64_t now_us = submitter->world->now_us;
    uint64_t due_us = engine_timer_at(submitter->engine, &submitter->gate);
    if (due_us == UINT64_MAX)
        return;
    uint64_t at_us = due_us <= clock_of(submitter) ? now_us + 1 : due_us - CLOCK_US;
    if (at_us >= submitter->timer_us)
        return;
    submitter->timer_us = at_us;
    sim_client_plan(submitter->world, submitter->client, SIM_CLIENT_TURN, at_us, at_us - now_us);
}

static void end_call(struct sim_submitter *submitter, size_t index, enum ord_err err,
                     const struct engine_answer *answer) {
    struct engine_request *request = submitter->calls[index].request;
    submitter->calls[index] = submitter->calls[--submitter->call_count];
    engine_take_answer(submitter->engine, request, err, answer);
}

/* The connections to processes that have ended are closed. */
static void end_broken(struct sim_submitter *submitter) {
    for (size_t i = submitter->call_count; i-- > 0;) {
        const struct call *call = &submitter->calls[i];
        const struct sim_replica *replica = &submitter->world->replicas[call->instance];
        if (replica->process == NULL || replica->incarnation != call->incarnation)
            end_call(submitter, i, ORD_ERR_CLOSED, NULL);
    }
}

/* Makes a turn, with the end of a call, if there is one. */
static void turn(struct sim_submitter *submitter, const struct call *call, enum ord_err err,
                 const struct engine_answer *answer) {
    struct engine *engine = submitter->engine;
    engine_take_inbox(engine, &submitter->gate);
    engine_begin(engine, clock_of(submitter), connected(submitter));
    if (call != NULL)
        end_call(submitter, (size_t) (call - submitter->calls), err, answer);
    end_broken(submitter);
    if (engine_needs_gate(engine))
        engine_number(engine, &submitter->gate);
    engine_pump(engine);
    (void) engine_settle(engine, &submitter->gate);
    engine_end(engine);
    if (submitter->gate.statistics.renumbered > 0)
        sim_fail(submitter->world, "client: client %u signs again, and no number of its own is taken",
                 submitter->client);
    plan_timer(submitter);
}

static struct call *find_call(struct sim_submitter *submitter, uint64_t number) {
    for (size_t i = 0; i < submitter->call_count; i++)
        if (submitter->calls[i].number == number)
            return &submitter->calls[i];
    return NULL;
}

void sim_submitter_timer(struct sim_submitter *submitter, uint64_t at_us) {
    if (at_us != submitter->timer_us)
        return;
    submitter->timer_us = UINT64_MAX;
    if (engine_timer_at(submitter->engine, &submitter->gate) <= clock_of(submitter))
        turn(submitter, NULL, ORD_OK, NULL);
    else
        plan_timer(submitter);
}

void sim_submitter_over(struct sim_submitter *submitter, uint64_t number) {
    const struct call *call = find_call(submitter, number);
    if (call != NULL)
        turn(submitter, call, ORD_ERR_TIMEOUT, NULL);
}

void sim_submitter_answer(struct sim_submitter *submitter, const struct sim_event *event) {
    struct engine_result results[SIM_RESULTS_MAX];
    struct engine_answer answer;
    const struct call *call = find_call(submitter, event->a);
    if (call == NULL)
        return;
    sim_call_read(&answer, results, sim_buffer_span(event->buffer));
    turn(submitter, call, ORD_OK, &answer);
}

/* ---- the caller ---- */

bool sim_submitter_room(const struct sim_submitter *submitter) {
    return client_gate_room(&submitter->gate);
}

void sim_submitter_submit(struct sim_submitter *submitter, struct sim_waiting *waiting,
                          const struct ord_span *transactions, uint32_t count) {
    size_t size = channel_envelope_size(transactions, count);
    /* The engine frees it. */
    struct client_entry *entry = calloc(1, sizeof(*entry));
    ORD_ASSERT(entry != NULL);
    entry->on_event = on_event;
    entry->context = waiting;
    entry->submitted_us = clock_of(submitter);
    client_gate_enter(&submitter->gate, entry, size);
    enum ord_err err = client_entry_sign(entry, engine_signing(submitter->engine), transactions, count);
    ORD_ASSERT(err == ORD_OK && entry->size == size);
    const struct sim_item item = {.party = submitter->client, .sequence = entry->sequence, .message_count = count};
    const struct ord_span envelope = ord_span_of(entry->envelope, entry->size);
    sim_model_made(&submitter->world->checker->model, envelope, &item);
    *waiting = (struct sim_waiting) {
        .used = true, .sequence = entry->sequence, .envelope = sim_buffer_create(envelope), .submitter = submitter};
    client_gate_hand_over(&submitter->gate, entry);
    if (submitter->gate.inbox.count >= engine_wake_count(submitter->engine))
        turn(submitter, NULL, ORD_OK, NULL);
    else
        plan_timer(submitter);
}

/* ---- life ---- */

struct sim_submitter *sim_submitter_create(struct sim_world *world, uint32_t client) {
    struct sim_submitter *submitter = sim_alloc(sizeof(*submitter));
    struct sim_random *random = &world->clients[client].random;
    submitter->world = world;
    submitter->client = client;
    submitter->timer_us = UINT64_MAX;
    submitter->trust = (struct client_trust) {.config = *world->config,
                                              .genesis_hash = world->genesis_hash,
                                              .quorum = channel_weak_quorum(world->config),
                                              .crypto = world->crypto.ops};
    /* Blocks and receipts have SHA-256 in their trees, whatever the signatures are. */
    submitter->trust.crypto.hash = channel_merkle_ops().hash;
    bool usual = world->options.calm || world->plan.service || sim_chance(random, 500000);
    const struct engine_config config = {
        .trust = &submitter->trust,
        .signing = {.signer = {.context = submitter, .sign = sign},
                    .genesis_hash = world->genesis_hash,
                    .fingerprint = *sim_client_fingerprint(client)},
        .timeout_ms = TIMEOUT_MS,
        .in_flight_max = usual ? IN_FLIGHT_MAX : (uint32_t) sim_between(random, 1, 8),
        .envelopes_per_request = usual ? REQUEST_MAX : (uint32_t) sim_between(random, 1, REQUEST_MAX),
        .receipts = true,
        .seed = sim_roll(random),
    };
    const struct engine_host host = {.context = submitter, .call = on_call, .accuse = on_accuse};
    enum ord_err err = engine_create(&submitter->engine, &submitter->gate, &config, &host, clock_of(submitter));
    ORD_ASSERT(err == ORD_OK);
    return submitter;
}

void sim_submitter_destroy(struct sim_submitter *submitter) {
    if (submitter == NULL)
        return;
    submitter->ends = true;
    for (size_t i = 0; i < submitter->call_count; i++)
        engine_drop(submitter->engine, submitter->calls[i].request);
    engine_destroy(submitter->engine, &submitter->gate, clock_of(submitter));
    free(submitter->calls);
    free(submitter);
}
