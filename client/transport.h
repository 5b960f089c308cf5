/*
 * The engine's calls as messages of the public API: packs requests, and unpacks answers.
 */
#ifndef ORDAIN_CLIENT_TRANSPORT_H
#define ORDAIN_CLIENT_TRANSPORT_H

#include "client/client.h"
#include "client/flow/call.h"

/* Packs a request. `config_sequence`: for a registration. NO_MEMORY, TOO_LARGE, or an error of the signature. */
ORD_MUST_USE enum ord_err client_transport_pack(struct net_message **out, const struct ordain *client,
                                                const struct engine_request *request, uint64_t config_sequence);

/* An unpacked answer; `answer` borrows from the rest. */
struct client_unpacked {
    client_response *response;
    struct engine_result *results;
    struct engine_answer answer;
};

/* Errors as in client_response_unpack. Always followed by client_transport_free. */
ORD_MUST_USE enum ord_err client_transport_unpack(struct client_unpacked *out, struct ord_span bytes,
                                                  const struct engine_request *request);
void client_transport_free(struct client_unpacked *unpacked);

#endif
