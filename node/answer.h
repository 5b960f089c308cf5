/*
 * What the reader thread answers with, for service.c and the files answer_*.c only.
 */
#ifndef ORDAIN_NODE_ANSWER_H
#define ORDAIN_NODE_ANSWER_H

#include "channel/receipt.h"
#include "node/node_internal.h"

enum {
    ANSWER_BYTES_MAX = 8 << 20, /* of blocks or receipts in one answer; a single one may be larger */
    /* A connection with so many bytes of answers that it has not read gets no further blocks or receipts. */
    UNSENT_READER_MAX = 16 << 20,
    UNSENT_MAX = 128 << 20, /* the same, of all connections together */
};

/*
 * How many bytes of blocks or receipts an answer may have; a single one may be larger. 0: the answer may have none, for
 * too much that was asked for has not been read yet (row D7).
 */
size_t answer_room(const struct api_request *request);
/* Answers BUSY, since too much is unread. */
void answer_unread(struct api_request *request);

/* A block that receipts are made of, with its leaf hashes. */
struct service_block {
    uint64_t height; /* 0: none */
    struct ledger_bytes bytes;
    struct channel_header header;
    struct ord_span *envelopes;
    struct ord_hash *tree; /* leaf hashes first */
    struct ledger_bytes certificate_bytes;
    struct channel_certificate certificate;
    struct ledger_bytes later_headers;
};

void service_block_drop(struct service_block *block);
/* The newest height that is served. */
uint64_t service_certified_height(struct service *service);
/* The certificate at the lowest height `at` >= `height`, and the headers (height, at]. malloc'ed. */
ORD_MUST_USE enum ord_err service_proof(struct service *service, struct ledger_bytes *headers,
                                        struct ledger_bytes *certificate, uint64_t height);

/* Answers that it cannot be served, and why: UNAVAILABLE. */
void answer_failed(struct api_request *request, enum ord_err err);

/* answer_receipts.c: each answers the request, and frees it. */
void answer_receipt(struct service *service, struct api_request *request);
/* The replica decided; receipts of what was ordered before are added here. */
void answer_submission(struct service *service, struct api_request *request);
void answer_wait(struct service *service, struct api_request *request);
/* Sorts the sequences of a WAIT, and drops those that are named twice. */
void answer_wait_prepare(struct api_request *request);
/* True when all sequences of a WAIT are final. */
bool answer_wait_ready(struct service *service, struct api_request *request);

/* answer_evidence.c */
void answer_evidence(struct service *service, struct api_request *request);

/* answer_deliver.c */
void answer_deliver(struct service *service, struct api_request *request);
/* The range asked for, with what is certified now. BUSY: its first block is not there yet. */
ORD_MUST_USE enum ord_err answer_deliver_range(struct service *service, const Ordain__V1__DeliverRequest *ask,
                                               uint64_t *from, uint64_t *to);

#endif
