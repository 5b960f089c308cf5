/*
 * The reader thread's answers to requests. For service.c and the files answer_*.c only.
 */
#ifndef ORDAIN_NODE_ANSWER_H
#define ORDAIN_NODE_ANSWER_H

#include "channel/receipt.h"
#include "node/node_internal.h"

enum {
    /* Bytes of blocks or receipts in one answer. A single block or receipt may be larger. */
    ANSWER_BYTES_MAX = 8 << 20,
    /*
     * Bytes that one answer reads: blocks, certificates, and ANSWER_BLOCK_CHARGE for each block. A single block may be
     * larger. The client goes on where the answer ends.
     */
    ANSWER_READ_MAX = 8 << 20,
    /* What it costs to find a block and its proof. */
    ANSWER_BLOCK_CHARGE = 16 << 10,
    /* With NOT_READY, when a client that asks again may hope for more. */
    NOT_READY_RETRY_MS = 100,
    /* A connection that has left this many bytes of its answers unread gets no further blocks or receipts. */
    UNSENT_READER_MAX = 16 << 20,
    /* The same limit for all connections together. */
    UNSENT_MAX = 128 << 20,
};

/*
 * The bytes of blocks or receipts that an answer may have; a single one may be larger. 0: it may have none, because
 * this connection, or all of them together, left too much unread (row D7).
 */
size_t answer_room(const struct api_request *request);
/* Answers BUSY: the client has to read its earlier answers first. */
void answer_unread(struct api_request *request);

/* True until the answer in progress has read ANSWER_READ_MAX. A block is charged before it is read. */
static inline bool answer_may_read(const struct service *service) {
    return service->read_bytes < ANSWER_READ_MAX;
}
static inline void answer_charge(struct service *service, size_t bytes) {
    service->read_bytes += bytes;
}

void service_block_drop(struct service_block *block);
/* The newest certified height. Readers are served up to it. */
uint64_t service_certified_height(struct service *service);
/* Gives the certificate at the lowest height `at` >= `height`, and the headers of (height, at]. Both are malloc'ed. */
ORD_MUST_USE enum ord_err service_proof(struct service *service, struct ord_bytes *headers,
                                        struct ord_bytes *certificate, uint64_t height);

/* Answers UNAVAILABLE, with `err` as the reason. */
void answer_failed(struct api_request *request, enum ord_err err);

/* answer_receipts.c: each answers the request, and frees it. */
void answer_receipt(struct service *service, struct api_request *request);
/* Turns the replica's results into the answer, and adds receipts of envelopes that were ordered before. */
void answer_submission(struct service *service, struct api_request *request);
/*
 * Makes the receipt of the envelope `index` in a certified block, in malloc'ed memory, and charges the answer for what
 * it reads. NOT_FOUND: the block has fewer envelopes. Otherwise the ledger's errors.
 */
ORD_MUST_USE enum ord_err answer_make_receipt(struct service *service, ProtobufCBinaryData *out, uint64_t height,
                                              uint32_t index, bool with_envelope);

/* answer_wait.c: answers the request, and frees it. */
void answer_wait(struct service *service, struct api_request *request);
/* True when all sequences of a WAIT are final. */
bool answer_wait_ready(struct service *service, struct api_request *request);

/* answer_evidence.c */
void answer_evidence(struct service *service, struct api_request *request);

/* answer_deliver.c */
void answer_deliver(struct service *service, struct api_request *request);
/*
 * Resolves the range that is asked for against what is certified now. BUSY: its first block is not certified yet.
 * INVALID: it ends before it begins.
 */
ORD_MUST_USE enum ord_err answer_deliver_range(struct service *service, const struct ask *ask, uint64_t *from,
                                               uint64_t *to);

#endif
