/*
 * The submission engine as a client has it: one thread that makes the turns of client/flow/engine.h. Callers sign in
 * their own threads and hand over; answers arrive in the transport's threads; the engine's thread makes all decisions.
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
