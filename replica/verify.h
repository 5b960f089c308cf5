/*
 * Checks of signatures that the replica hands out: of a message of the consensus core, an attestation, a certificate,
 * or some envelopes. Running a check writes to the check only, so any thread may do it.
 */
#ifndef ORDAIN_REPLICA_VERIFY_H
#define ORDAIN_REPLICA_VERIFY_H

#include "channel/attestation.h"
#include "channel/state.h"
#include "core/protocol.h"
#include "crypto/sign.h"

struct replica;
struct setup;

/* Queues of checks. No queue may wait for another. */
enum replica_queue {
    REPLICA_QUEUE_VOTES,     /* consensus messages, attestations, certificates */
    REPLICA_QUEUE_VIEWS,     /* consensus messages with many signatures */
    REPLICA_QUEUE_PROPOSALS, /* envelopes of proposed batches */
    REPLICA_QUEUE_CLIENTS,   /* envelopes that were submitted or forwarded */
    REPLICA_QUEUE_NEWCOMERS, /* registrations among them, each of which takes as long as tens of others */
    REPLICA_QUEUE_COUNT,
};

enum replica_check_type {
    REPLICA_CHECK_MESSAGE,
    REPLICA_CHECK_ATTESTATION,
    REPLICA_CHECK_CERTIFICATE,
    REPLICA_CHECK_PROPOSED,  /* envelopes of a judgement */
    REPLICA_CHECK_SUBMITTED, /* envelopes of an admission */
};

/* The limit of envelopes in one check. */
#define REPLICA_CHECK_ENVELOPES 32

/* Verifies an envelope's signature. Any thread may call it. */
struct replica_verifier {
    const void *context;
    bool (*verify)(const void *context, const struct crypto_verify_key *key, const struct ord_hash *hash,
                   const struct ord_signature *signature);
};

/* A registration's certificate. */
struct replica_newcomer {
    /* The certificate verified before, so `says` is set, and `certificate` is empty. */
    bool known;
    enum ord_err err;             /* outcome; WRONG_STATE: not run */
    struct channel_newcomer says; /* outcome, if that is ORD_OK */
    uint32_t size;
    uint8_t certificate[];
};

struct replica_envelope_check {
    /* Outcome if a newcomer is not known. */
    struct crypto_verify_key key;
    struct ord_hash hash;
    struct ord_signature signature;
    /* The check's own. NULL: the envelope is no registration, or the client is registered. */
    struct replica_newcomer *newcomer;
    /* Tells the part that waits which of its envelopes this is. */
    uint32_t tag;
    bool known; /* the same signature verified here before, so it is not checked */
    bool ran;   /* outcome: the signature was checked */
    bool ok;    /* outcome */
};

struct replica_check {
    /* The host's own, from `check` until it gives the check back. */
    _Alignas(max_align_t) unsigned char host_space[64];
    enum replica_check_type type;
    enum replica_queue queue;
    ord_node_id from; /* the sender of the message, or of forwarded registrations; ORD_NO_NODE: other envelopes */
    /*
     * The host sets this instead of running the check: the sender's last check failed, so its other checks are skipped
     * for a while.
     */
    bool ignored;
    /*
     * Outcome: a signature or a certificate does not verify. If there is a `from`, that is then no honest replica. For
     * envelopes, one of them is bad.
     */
    bool bad;
    /* The constants that checks need. They live as long as the replica does. */
    const struct setup *setup;
    /* The owner of `bytes`, which the check holds; NULL: none. */
    void *owner;
    struct ord_span bytes; /* of a message */
    /* The sender's next check that waits until the host may have it. */
    struct replica_check *next;
    /* Outcome of a message, an attestation or a certificate. */
    enum ord_err err;
    union {
        struct {
            struct ord_verified verified; /* outcome */
            uint32_t cost;
            bool costly;
        } message;
        struct channel_attestation attestation;
        struct channel_certificate *certificate; /* stored behind this struct */
        struct {
            /* The judgement or the admission that waits for it. */
            void *part;
            uint32_t count;
            /* `count` of them, stored behind this struct. */
            struct replica_envelope_check *items;
        } envelopes;
    };
};

/* Runs the check, once. Any thread may do it. */
void replica_check_run(struct replica_check *check);

#endif
