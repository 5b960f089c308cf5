/*
 * Calls as the engine makes them: what it asks one replica, and what the answer says. The transport turns a request
 * into bytes, and bytes into an answer (client/engine.c with proto/ordain.proto; the simulator with bytes of its own).
 * An answer is untrusted in every field.
 */
#ifndef ORDAIN_CLIENT_FLOW_CALL_H
#define ORDAIN_CLIENT_FLOW_CALL_H

#include "client/flow/entry.h"
#include "core/err.h"
#include "core/types.h"

/*
 * A replica may tell us to retry after up to so many ms; more is cut to this. One that stays busy is left for another
 * after that time, too, so that the BUSY of a liar costs no more.
 */
#define CLIENT_RETRY_AFTER_MAX 1000u
#define CLIENT_WAIT_GROUP_MAX  512u
/* Bytes of one submit request, unless a single envelope is larger. */
#define CLIENT_SUBMIT_BYTES_MAX (1u << 20)
/* A longer envelope is not copied to other replicas, and they would not take it. */
#define CLIENT_COPY_BYTES_MAX (64u << 10)
/* How long a replica holds a wait request that it has no receipt for. */
#define ENGINE_WAIT_MS 150u
/* Calls under way beyond submit requests: waits, probes, position requests and copies. */
#define ENGINE_CALLS_RESERVED 64u

enum engine_request_kind {
    ENGINE_REQUEST_SUBMIT,
    ENGINE_REQUEST_WAIT,
    ENGINE_REQUEST_PROBE,    /* asks for the full receipt of one number in doubt: that of entries[0] */
    ENGINE_REQUEST_POSITION, /* asks for the client's position */
    ENGINE_REQUEST_REGISTER, /* offers the registration to a replica that does not know the client yet */
    ENGINE_REQUEST_COPY,     /* a submit request for what another replica has accepted; its answer tells nothing */
    ENGINE_REQUEST_KINDS,
};

/* One call. It owns its entries while it is in flight. A copy has them only while it is made. */
struct engine_request {
    enum engine_request_kind kind;
    uint32_t replica;
    uint64_t sent_us;
    /* The host's own while the call is in flight. */
    struct engine_request *next;
    void *host_context;
    void *host_reply;
    enum ord_err host_err;
    /* A submit request or a copy carries the entries' envelopes. A wait request asks for receipts of their numbers. */
    uint32_t count;
    struct client_entry *entries[];
};

/* The values of Status in proto/ordain.proto. */
enum engine_status {
    ENGINE_STATUS_UNSPECIFIED = 0,
    ENGINE_STATUS_OK = 1,
    ENGINE_STATUS_ACCEPTED = 2,
    ENGINE_STATUS_DUPLICATE = 3,
    ENGINE_STATUS_BUSY = 4,
    ENGINE_STATUS_TOO_LARGE = 5,
    ENGINE_STATUS_BAD_REQUEST = 6,
    ENGINE_STATUS_FORBIDDEN = 7,
    ENGINE_STATUS_UNKNOWN_CLIENT = 8,
    ENGINE_STATUS_NOT_FOUND = 9,
    ENGINE_STATUS_NOT_READY = 10,
    ENGINE_STATUS_PRUNED = 11,
    ENGINE_STATUS_UNAVAILABLE = 12,
    ENGINE_STATUS_SEQUENCE_TAKEN = 13,
    ENGINE_STATUS_SEQUENCE_USED = 14,
};

/* What a replica says of one envelope or one number. */
struct engine_result {
    enum engine_status status; /* of a submit request */
    const char *message;       /* any text, or NULL */
    uint64_t sequence;         /* of a wait request */
    struct ord_span receipt;
};

/* The answer to a call. All of it is borrowed from the transport during the engine's call. */
struct engine_answer {
    /* Of the request as a whole. */
    enum engine_status status;
    const char *message;
    uint32_t retry_after_ms;
    /* SUBMIT: the number of the leader + 1; 0: no hint. */
    uint32_t leader_hint;
    /* POSITION: the client's highest ordered number. */
    uint64_t position;
    /* SUBMIT, WAIT: in the replica's order and number. PROBE: one, with the receipt. */
    uint32_t result_count;
    const struct engine_result *results;
};

/* "TOO_LARGE"; "UNKNOWN" for any other value. */
const char *engine_status_name(enum engine_status status);
/* The library's error for a status that refuses. */
enum ordain_error engine_status_error(enum engine_status status);
/* True if the replica will not take what it was given, now or later. */
bool engine_status_refuses(enum engine_status status);
/* Writes "REFUSED: message of the replica", cleaned; only the status if the replica says nothing. */
void engine_status_say(char *out, size_t out_size, enum engine_status status, const char *message);

enum ordain_error client_error(enum ord_err err);

#endif
