/*
 * What each replica last answered. Whoever gives up after a timeout is told this (ordain_replica_says). Only answers of
 * the protocol are noted here, and that none came in time; why a connection fails is for net/ to say.
 */
#ifndef ORDAIN_CLIENT_ANSWERS_H
#define ORDAIN_CLIENT_ANSWERS_H

#include <pthread.h>

#include "client/flow/call.h"

struct client_answer {
    uint64_t at_us; /* 0: it has not been asked, or no call has ended yet */
    char words[160];
};

struct client_answers {
    pthread_mutex_t lock;
    struct client_answer list[ORD_REPLICA_MAX];
};

ORD_MUST_USE enum ord_err client_answers_init(struct client_answers *answers);
void client_answers_deinit(struct client_answers *answers);
/* The call ended with `err`; ORD_OK: an answer came, with this status and message (may be NULL). */
void client_answers_note(struct client_answers *answers, uint32_t replica, enum ord_err err, enum engine_status status,
                         const char *message);
/* The answer to an engine's call: the status of a submit request is that of the first envelope that was not taken. */
void client_answers_note_call(struct client_answers *answers, uint32_t replica, enum engine_request_kind kind,
                              enum ord_err err, const struct engine_answer *answer);
/* "BUSY: the pool is full, 3 s ago"; "no answer so far". */
void client_answers_say(struct client_answers *answers, uint32_t replica, uint64_t now_us, char *out, size_t out_size);

#endif
