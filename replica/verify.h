/*
 * Checks of signatures that the replica hands out: a message of the consensus core, an attestation, a certificate, or some
 * envelopes. Running one touches nothing but the check itself, so any thread may do it.
 */
#ifndef ORDAIN_REPLICA_VERIFY_H
#define ORDAIN_REPLICA_VERIFY_H

#include "channel/attestation.h"
#include "core/protocol.h"
#include "crypto/sign.h"

struct replica;

/* Queues that must not wait for one another. */
enum replica_queue {
    REPLICA_QUEUE_VOTES,     /* consensus messages, attestations, certificates */
    REPLICA_QUEUE_VIEWS,     /* consensus messages with many signatures */
    REPLICA_QUEUE_PROPOSALS, /* envelopes of proposed batches */
    REPLICA_QUEUE_CLIENTS,   /* envelopes that were submitted or forwarded */
    REPLICA_QUEUE_COUNT,
};

enum replica_check_type {
    REPLICA_CHECK_MESSAGE,
    REPLICA_CHECK_ATTESTATION,
    REPLICA_CHECK_CERTIFICATE,
    REPLICA_CHECK_PROPOSED,  /* envelopes of a judgement */
    REPLICA_CHECK_SUBMITTED, /* envelopes of an admission */
};

#define REPLICA_CHECK_ENVELOPES 32 /* at most, in one check */

/* How the signature of an envelope is verified; from any thread. */
struct replica_verifier {
    const void *context;
    bool (*verify)(const void *context, const struct crypto_verify_key *key, const struct ord_hash *hash,
                   const struct ord_signature *signature);
};

struct replica_envelope_check {
    struct crypto_verify_key key;
    struct ord_hash hash;
    struct ord_signature signature;
    uint32_t tag; /* the part's own: which of its envelopes this is */
    bool ok;      /* outcome */
};

/* What a check needs that never changes: the replica's, valid as long as it. */
struct replica_verify_context {
    const struct ord_protocol *protocol;
    const struct ord_core_config *core_config;
    const struct channel_config *config;
    const struct ord_hash *genesis_hash;
    const struct ord_crypto_ops *crypto;
    struct replica_verifier verifier;
};

struct replica_check {
    _Alignas(max_align_t) unsigned char host_space[64]; /* the host's own, from `check` until it gives the check back */
    enum replica_check_type type;
    enum replica_queue queue;
    ord_node_id from; /* whose message it is; ORD_NO_NODE: envelopes */
    /* Set by the host in place of running it: the sender's last check failed, and nothing of its is looked at for a while. */
    bool ignored;
    bool bad; /* outcome: a signature does not verify, so `from` is no honest replica; envelopes: one of them is bad */
    const struct replica_verify_context *context;
    void *owner;           /* of `bytes`, held; NULL: none */
    struct ord_span bytes; /* of a message */
    enum ord_err err;      /* outcome of a message, an attestation or a certificate */
    union {
        struct {
            struct ord_verified verified; /* outcome */
            uint32_t cost;
            bool costly;
        } message;
        struct channel_attestation attestation;
        struct channel_certificate *certificate; /* malloc'ed */
        struct {
            void *part; /* the judgement or the admission that waits for it */
            uint32_t count;
            struct replica_envelope_check *items; /* `count` of them, behind this struct */
        } envelopes;
    };
};

/* Does the check. Any thread, once. */
void replica_check_run(struct replica_check *check);

#endif
