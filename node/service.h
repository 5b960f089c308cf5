/*
 * Requests of clients (requests.c, submit.c, status.c), and the reader thread (service.c, answer_*.c).
 */
#ifndef ORDAIN_NODE_SERVICE_H
#define ORDAIN_NODE_SERVICE_H

#include "channel/attestation.h"
#include "ledger/ledger.h"
#include "net/net.h"
#include "node/inbox.h"
#include "proto/ordain.pb-c.h"
#include "replica/host.h"

struct node;

typedef Ordain__V1__Request api_request_message;

/* A SubmitRequest on its way through the replica. */
struct submission {
    struct replica_submission of_replica;
    struct api_request *request;
    struct ord_span *envelopes; /* in the request's message */
    struct replica_result *results;
};

struct api_request {
    struct work work;
    struct api_request *next; /* the reader thread's queue, or its parked requests */
    struct net_request *net;
    api_request_message *message;
    uint64_t deadline_ms;
    /* WAIT and RECEIPT: the loop looked it up; UINT32_MAX: not registered. */
    uint32_t client_index;
    size_t first_open;             /* WAIT: sequences before it are final */
    struct submission *submission; /* SUBMIT; NULL for other requests */
};

#define SERVICE_CERTIFICATES 64

struct service_block; /* the block that was looked at last, with its leaves */

/* A certificate that may not be committed yet. */
struct service_slot {
    uint64_t height; /* 0: empty */
    size_t size;
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
};

struct service {
    struct node *node;
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Guarded by the mutex, from here */
    struct api_request *head;
    struct api_request *tail;
    uint64_t certified_height;
    struct service_slot *certificates; /* ring of SERVICE_CERTIFICATES */
    uint32_t certificate_next;
    bool stopping;
    /* The reader thread's own, from here */
    struct api_request *parked;
    uint32_t parked_count;
    struct service_block *block;
};

/* requests.c: the public endpoint. */
ORD_MUST_USE enum ord_err requests_open(struct node *node, char *why, size_t why_size);
void requests_close(struct node *node);
/* In the loop: answers the request, or hands it on to the reader thread. False: it is for the replica. */
bool requests_handle(struct node *node, struct api_request *request);

/* submit.c */
/* What the replica gets of a SUBMIT. NULL: the request is answered. */
struct replica_submission *submit_begin(struct api_request *request);
/* `answer` of struct replica_host. */
void submit_answer(void *context, struct replica_submission *submission);
void submit_free(struct submission *submission);
/* Status of one envelope's result for the client. */
Ordain__V1__Status submit_status(enum replica_verdict verdict);

/* status.c: the loop answers these itself. */
void status_reply(struct node *node, struct api_request *request);
void status_client_reply(struct node *node, struct api_request *request);

/* service.c */
ORD_MUST_USE enum ord_err service_start(struct node *node);
/* Stops the thread, and answers whatever waits. */
void service_stop(struct node *node);
void service_post(struct node *node, struct api_request *request);
/* `certified` of struct replica_host. */
void service_certified(void *context, uint64_t height, const struct channel_certificate *certificate);
/* The certificate at the lowest height >= `height`, whether it is committed yet or not. malloc'ed. Any thread. */
ORD_MUST_USE enum ord_err service_certificate(struct service *service, struct ledger_bytes *out, uint64_t *at,
                                              uint64_t height);
/* Answers a request, and frees it. */
void api_reply(struct api_request *request, const Ordain__V1__Response *response);
void api_reply_error(struct api_request *request, Ordain__V1__Status status, const char *message);

#endif
