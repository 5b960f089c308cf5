/*
 * What a client's request asks for, checked and in little memory. The transport's threads make it at once, so that a
 * request that waits for its turn or its answer holds neither its bytes nor its unpacked message. Submissions keep
 * their message, which has their envelopes.
 */
#ifndef ORDAIN_NODE_ASK_H
#define ORDAIN_NODE_ASK_H

#include "core/err.h"
#include "core/types.h"
#include "proto/ordain.pb-c.h"

#define ASK_SEQUENCES_MAX 4096u

struct ask {
    Ordain__V1__Request__KindCase kind;
    /* Set for WAIT, CLIENT, RECEIPT unless by_place, and DELIVER of one client only. All zeros otherwise. */
    struct ord_hash client;
    bool of_client; /* `client` is set */
    /* WAIT: ascending, without duplicates, malloc'ed. */
    uint64_t *sequences;
    size_t sequence_count;
    /* RECEIPT */
    bool by_place;
    uint64_t sequence;
    uint64_t height;
    uint32_t index;
    /* DELIVER */
    Ordain__V1__DeliverRequest__Seek seek;
    uint64_t from;
    uint64_t to;
    bool to_newest;
    bool headers_only;
    uint32_t bytes_max;
    /* WAIT and DELIVER */
    uint32_t timeout_ms;
    /* EVIDENCE */
    uint32_t against;
};

/*
 * Takes what an unpacked request says. The caller ends `*out` with ask_deinit, and may free the message; `*out` keeps
 * nothing of it. INVALID: a field is malformed, and `*why` says which, for the client. NO_MEMORY. Any thread.
 */
ORD_MUST_USE enum ord_err ask_init(struct ask *out, const char **why, const Ordain__V1__Request *message);
void ask_deinit(struct ask *ask);

#endif
