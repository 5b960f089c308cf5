/*
 * Clients' requests (requests.c, submit.c, status.c), and the reader thread (service.c, answer_*.c).
 */
#ifndef ORDAIN_NODE_SERVICE_H
#define ORDAIN_NODE_SERVICE_H

#include <stdatomic.h>

#include "channel/attestation.h"
#include "channel/block.h"
#include "ledger/ledger.h"
#include "net/net.h"
#include "node/ask.h"
#include "node/fair.h"
#include "node/inbox.h"
#include "proto/ordain.pb-c.h"
#include "replica/host.h"

struct node;

typedef Ordain__V1__Request api_request_message;

struct api_request {
    /* The loop's queue, the reader thread's queue and its parked requests are lists of these. */
    struct work work;
    struct fair_item turn; /* in the reader thread's queue of those that can be answered */
    struct net_request *net;
    size_t size; /* bytes that came */
    struct ask ask;
    /* SUBMIT, and a request that is being read: the message. NULL otherwise. */
    api_request_message *message;
    uint64_t deadline_ms; /* 0: not set yet */
    /* WAIT and RECEIPT: the client's index, which the loop looked up. UINT32_MAX: the client is not registered. */
    uint32_t client_index;
    /* The service's count when the loop looked the client up. */
    uint64_t registrations_seen;
    /* WAIT: all sequences before this one are final. */
    size_t first_open;
    bool counted;
    /* SUBMIT: what the replica gets. Its envelopes are in `message`. All zeros for other requests. */
    struct replica_submission submission;
};

enum {
    /* Limit of parked requests. A request beyond it is answered NOT_READY at once. */
    SERVICE_PARKED_MAX = 192,
    /* The same limit for one member, over all its connections. */
    SERVICE_PARKED_SOURCE_MAX = SERVICE_PARKED_MAX / 4,
    /* Structures that a request unfolds to, beside its size. 4,096 envelopes or sequences need 400 KiB. */
    REQUEST_STRUCTURE_BYTES_MAX = 512 << 10,
};

#define SERVICE_CERTIFICATES 64

/* A block from which receipts are made, with its leaf hashes. */
struct service_block {
    uint64_t height; /* 0: none */
    struct ord_bytes bytes;
    struct channel_header header;
    struct ord_span *envelopes;
    struct ord_hash *tree; /* leaf hashes first */
    struct ord_bytes certificate_bytes;
    struct channel_certificate certificate;
    struct ord_bytes later_headers;
};

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
    struct work_queue queue;
    uint64_t certified_height;
    uint32_t client_count;                                  /* registered clients at the last certificate */
    uint64_t registrations;                                 /* times that it changed */
    struct service_slot certificates[SERVICE_CERTIFICATES]; /* ring */
    uint32_t certificate_next;
    bool stopping;
    /* Only the reader thread uses the fields from here on. */
    struct fair_queue ready; /* can be answered; fair between members */
    struct work *parked;
    atomic_uint parked_count;
    /* Bytes that the answer in progress read, with a charge for each block (answer_may_read). */
    size_t read_bytes;
    struct service_block block; /* that was looked at last */
};

/* requests.c: the public endpoint. */
ORD_MUST_USE enum ord_err requests_open(struct node *node, char *why, size_t why_size);
/* The largest request that is taken. */
size_t requests_bytes_max(const struct node *node);
/* The most connections to the clients' port. One member has half of them at most. */
uint32_t requests_connections_max(const struct node *node);
/* In the loop: answers the request, or passes it to the reader thread. False: the replica is to take it. */
bool requests_handle(struct node *node, struct api_request *request);

/* submit.c */
/* Makes the submission that the replica gets. NULL: the request is answered already. */
struct replica_submission *submit_begin(struct api_request *request);
/* `answer` of struct replica_host. */
void submit_answer(void *context, struct replica_submission *submission);

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
/*
 * `certificate` of struct replica_host. Gives the certificate at the lowest height `at` >= `height`, committed or not,
 * in malloc'ed memory. Any thread. `context` is the node.
 */
ORD_MUST_USE enum ord_err service_certificate(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height);
/* These answer the request, and free it. */
void api_reply(struct api_request *request, const Ordain__V1__Response *response);
void api_reply_error(struct api_request *request, Ordain__V1__Status status, const char *message);
void api_reply_stopping(struct api_request *request);
/* Frees a request whose connection has ended: nobody would get an answer. */
void api_drop(struct api_request *request);

#endif
