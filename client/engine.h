/*
 * The submission engine: one thread that carries signed envelopes to replicas until each has a verified receipt.
 * Callers sign in their own threads and hand over; replies arrive in the transport's threads; the engine's thread makes
 * all decisions.
 *
 * An envelope passes through these places: inbox -> outbox -> a submit request -> wait list -> a wait request -> final.
 * - It returns to the outbox when a replica is busy, gone or silent.
 * - It moves to `opinions` when one replica refuses it. Others must be asked, because a single refusal does not count.
 * - It moves to `doubts` when another envelope seems to have its number. A full receipt that shows this other envelope
 *   must prove it before our envelope is signed again under a fresh number; otherwise it could be ordered twice.
 */
#ifndef ORDAIN_CLIENT_ENGINE_H
#define ORDAIN_CLIENT_ENGINE_H

#include "client/client.h"

struct client_engine;

/* Starts the thread. `client` must outlive the engine. */
ORD_MUST_USE enum ord_err client_engine_create(struct client_engine **out, struct ordain *client,
                                               const struct client_standing *standing);
/* Ends the thread. Calls that are in flight stay in flight. */
void client_engine_stop(struct client_engine *engine);
/*
 * Call it after client_engine_stop and after every connection is closed. Envelopes that are still open get FAILED
 * events.
 */
void client_engine_destroy(struct client_engine *engine);

ORD_MUST_USE enum ordain_error client_engine_submit(struct client_engine *engine,
                                                    const struct ordain_bytes *transactions, uint32_t count,
                                                    ordain_event_fn on_event, void *context, uint32_t timeout_ms);
ORD_MUST_USE enum ordain_error client_engine_drain(struct client_engine *engine, bool final, uint32_t timeout_ms);
void client_engine_statistics(struct client_engine *engine, struct ordain_statistics *out);

#endif
