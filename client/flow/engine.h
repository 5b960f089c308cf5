/*
 * The submission engine's decisions: it carries signed envelopes to replicas until each has a verified receipt.
 *
 * An envelope passes through these places: inbox -> outbox -> a submit request -> wait list -> a wait request -> final.
 * - It returns to the outbox when a replica is busy, gone or silent.
 * - It moves to `opinions` when one replica refuses it. Others must be asked, because a single refusal does not count.
 * - It moves to `doubts` when another envelope seems to have its number. A full receipt that shows this other envelope
 *   must prove it before our envelope is signed again under a fresh number; otherwise it could be ordered twice.
 *
 * The engine has no thread, lock, clock or socket. Time, answers and envelopes are given in, and what it does with them
 * is decided by them alone: the same inputs give the same calls and the same events. client/engine.c gives it a thread
 * and nng; the simulator gives it a simulated network. It takes memory from the heap.
 *
 * A turn is, in this order:
 *   engine_take_inbox   with the gate
 *   engine_begin
 *   engine_take_answer  for each call that ended
 *   engine_number       with the gate; only if engine_needs_gate
 *   engine_pump
 *   engine_settle       with the gate
 *   engine_end
 * One thread makes the turns. Only "with the gate" does the engine touch what it shares with callers, so the owner
 * holds its lock there and nowhere else.
 */
#ifndef ORDAIN_CLIENT_FLOW_ENGINE_H
#define ORDAIN_CLIENT_FLOW_ENGINE_H

#include "client/flow/call.h"
#include "client/flow/gate.h"
#include "client/flow/proof.h"

struct engine;

/* All that the engine asks of the outside. It calls this within a turn. None of it may call the engine. */
struct engine_host {
    void *context;
    /*
     * Sends a request to request->replica. ORD_OK: it is under way, and the host gives it back once, in a later turn,
     * with engine_take_answer or engine_drop. BUSY, NO_MEMORY: nothing was sent. CLOSED: the same, and the replica
     * cannot be asked for now.
     */
    enum ord_err (*call)(void *context, struct engine_request *request, uint32_t timeout_ms);
    /* The replica said something that no honest replica says. */
    void (*accuse)(void *context, uint32_t replica, const char *what);
};

/* The spans and pointers must outlive the engine. */
struct engine_config {
    const struct client_trust *trust;
    struct client_signing signing;
    /* Ask this replica alone. */
    bool pinned;
    uint32_t pin;
    /* How long one request may take. */
    uint32_t timeout_ms;
    /* Submit requests in flight at the same time. */
    uint32_t in_flight_max;
    uint32_t envelopes_per_request;
    /* FINAL events carry the receipt, with the envelope. */
    bool receipts;
    /* The highest number of this client that was ordered, according to enough replicas. */
    uint64_t position;
    /* Different in each client: the jitter comes from it. */
    uint64_t seed;
};

/* Also puts the gate in order. NO_MEMORY. */
ORD_MUST_USE enum ord_err engine_create(struct engine **out, struct client_gate *gate,
                                        const struct engine_config *config, const struct engine_host *host,
                                        uint64_t now_us);
/* No call may be in flight. Envelopes that are still open get FAILED events. */
void engine_destroy(struct engine *engine, struct client_gate *gate, uint64_t now_us);

void engine_take_inbox(struct engine *engine, struct client_gate *gate);
/* `connected`: the replicas to which a request would leave now. */
void engine_begin(struct engine *engine, uint64_t now_us, ord_replica_set connected);
/*
 * A call ended. `err`: ORD_OK with an answer; TIMEOUT, CLOSED: none came; INVALID, TOO_LARGE: one that is malformed;
 * NO_MEMORY: it could not be read. Frees the request.
 */
void engine_take_answer(struct engine *engine, struct engine_request *request, enum ord_err err,
                        const struct engine_answer *answer);
/* The engine is about to be destroyed and the call never ended. Frees the request; its entries stay open. */
void engine_drop(struct engine *engine, struct engine_request *request);
bool engine_needs_gate(const struct engine *engine);
void engine_number(struct engine *engine, struct client_gate *gate);
/* Sends what can be sent now. */
void engine_pump(struct engine *engine);
/* True: callers who wait for room or for an end should look again. */
bool engine_settle(struct engine *engine, struct client_gate *gate);
void engine_end(struct engine *engine);

/* A turn is due when the inbox has so many entries. While requests are under way, new entries may gather. */
uint32_t engine_wake_count(const struct engine *engine);
/* A turn is due at this time at the latest. UINT64_MAX: nothing is open. */
uint64_t engine_timer_at(const struct engine *engine, const struct client_gate *gate);
/* The signing identity, for callers. It does not change. */
const struct client_signing *engine_signing(const struct engine *engine);

#endif
