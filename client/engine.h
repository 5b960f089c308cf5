/*
 * The submission engine: one thread that carries signed envelopes to replicas until each has a verified receipt.
 * Callers sign in their own threads and hand over; replies come in from the transport's threads; all decisions are
 * the engine's.
 *
 * Where an envelope is: inbox -> outbox -> in a submit request -> wait list -> in a wait request -> final. From there
 * it goes back to the outbox when a replica is busy, gone or silent; to `opinions` when one refuses it and others
 * must be asked (no single replica's refusal counts); to `doubts` when its number seems to be taken by another
 * envelope (a full receipt with that envelope must prove it before it is signed again under a fresh number, or it
 * could be ordered twice).
 */
#ifndef ORDAIN_CLIENT_ENGINE_H
#define ORDAIN_CLIENT_ENGINE_H

#include "client/client.h"

struct client_engine;

/* Starts the thread. `client` outlives it. */
ORD_MUST_USE enum ord_err client_engine_create(struct client_engine **out, struct ordain *client,
                                               const struct client_standing *standing);
/* Ends the thread. Calls in flight stay. */
void client_engine_stop(struct client_engine *engine);
/* After client_engine_stop, and after every connection is closed. FAILED events for what is open. */
void client_engine_destroy(struct client_engine *engine);

ORD_MUST_USE enum ordain_error client_engine_submit(struct client_engine *engine,
                                                    const struct ordain_bytes *transactions, uint32_t count,
                                                    ordain_event_fn on_event, void *context, uint32_t timeout_ms);
ORD_MUST_USE enum ordain_error client_engine_drain(struct client_engine *engine, bool final, uint32_t timeout_ms);
void client_engine_statistics(struct client_engine *engine, struct ordain_statistics *out);

#endif
