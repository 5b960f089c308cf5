/*
 * Clients' requests (requests.c, submit.c, status.c), and the reader thread (service.c, answer_*.c).
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
    /* The next one in the reader thread's queue, or among its parked requests. */
    struct api_request *next;
    struct net_request *net;
    api_request_message *message;
    uint64_t deadline_ms;
    /* WAIT and RECEIPT: the client's index, which the loop looked up. UINT32_MAX: the client is not registered. */
    uint32_t client_index;
    /* WAIT: all sequences before this one are final. */
    size_t first_open;
    struct submission *submission; /* SUBMIT; NULL for other requests */
};

#define SERVICE_CERTIFICATES 64

/* The block that was looked at last, with its leaf hashes. */
struct service_block;

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
    /* The mutex guards the fields from here on. */
    struct api_request *head;
    struct api_request *tail;
    uint64_t certified_height;
    struct service_slot *certificates; /* ring of SERVICE_CERTIFICATES */
    uint32_t certificate_next;
    bool stopping;
    /* Only the reader thread uses the fields from here on. */
    struct api_request *parked;
    uint32_t parked_count;
    struct service_block *block;
};

/* requests.c: the public endpoint. */
ORD_MUST_USE enum ord_err requests_open(struct node *node, char *why, size_t why_size);
/* In the loop: answers the request, or passes it to the reader thread. False: the replica is to take it. */
bool requests_handle(struct node *node, struct api_request *request);

/* submit.c */
/* Makes the submission that the replica gets. NULL: the request is answered already. */
struct replica_submission *submit_begin(struct api_request *request);
/* `answer` of struct replica_host. */
void submit_answer(void *context, struct replica_submission *submission);
void submit_free(struct submission *submission);
/* The status that tells a client this verdict. */
Ordain__V1__Status submit_status(enum replica_verdict verdict);

/* status.c: the loop answers these itself. */
void status_reply(struct node *node, struct api_request *request);
void status_client_reply(struct node *node, struct api_request *request);

/* service.c */
ORD_MUST_USE enum ord_err service_start(struct node *node);
/* Stops the thread, and answers every request that waits. */
void service_stop(struct node *node);
void service_post(struct node *node, struct api_request *request);
/* `certified` of struct replica_host. */
void service_certified(void *context, uint64_t height, const struct channel_certificate *certificate);
/* Gives the certificate at the lowest height `at` >= `height`, committed or not, in malloc'ed memory. Any thread. */
ORD_MUST_USE enum ord_err service_certificate(struct service *service, struct ord_bytes *out, uint64_t *at,
                                              uint64_t height);
/* Both answer the request, and free it. */
void api_reply(struct api_request *request, const Ordain__V1__Response *response);
void api_reply_error(struct api_request *request, Ordain__V1__Status status, const char *message);

/* `certificate` of struct replica_host. `context` is the node. */
ORD_MUST_USE enum ord_err service_certificate_of(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height);

#endif
