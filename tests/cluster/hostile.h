/*
 * A client that does what no honest one does, against a running channel: shared by the files hostile*.c. Each check prints a
 * line; one that fails is counted, and the others go on. What stands in the way of checking at all ends the program.
 */
#ifndef ORDAIN_TESTS_CLUSTER_HOSTILE_H
#define ORDAIN_TESTS_CLUSTER_HOSTILE_H

#include <stdio.h>

#include "channel/envelope.h"
#include "client/client.h"
#include "client/wire.h"

#define HOSTILE_ANSWER_MS   10000u
#define HOSTILE_DEADLINE_US 60000000u

/* Whoever signs: a key and its certificate. */
struct hostile_identity {
    struct crypto_private_key key;
    uint8_t cert_der[CRYPTO_CERT_DER_MAX];
    size_t cert_size;
    struct ord_hash fingerprint;
};

struct hostile {
    const char *directory; /* what `ordain init` made */
    struct ordain *client; /* opened, never prepared: only its keys, trust and connections are used */
    struct hostile_identity self;
    uint32_t replica_count;
    uint64_t next; /* the client's next sequence number */
    FILE *ordered; /* every transaction that must be in the chain exactly once, in hex */
    uint32_t failed;
};

/* An encoded envelope; malloc'ed. */
struct hostile_envelope {
    uint8_t *data;
    size_t size;
};

/* What one replica said of one envelope. */
struct hostile_answer {
    Ordain__V1__Status status; /* UNSPECIFIED: no answer, or a malformed one */
    char words[160];
    bool proved;          /* with a receipt that verifies */
    struct ord_hash leaf; /* of that receipt */
};

__attribute__((format(printf, 1, 2), noreturn)) void hostile_die(const char *format, ...);
/* One check. */
__attribute__((format(printf, 3, 4))) void hostile_check(struct hostile *hostile, bool holds, const char *format, ...);
void *hostile_alloc(size_t size);
void hostile_must(enum ord_err err, const char *what);

/* A header of our own channel and client; encode it as it is, or spoil it first. */
struct channel_envelope hostile_header(const struct hostile *hostile, uint64_t sequence);
struct hostile_envelope hostile_encode(const struct channel_envelope *header, const struct ord_span *transactions,
                                       uint32_t count, const struct crypto_private_key *key);
/* A well-formed envelope of one transaction, which is `text`. */
struct hostile_envelope hostile_text(const struct hostile *hostile, uint64_t sequence, const char *text);
/* Signs the body anew, after it was changed. */
void hostile_sign(struct hostile_envelope *envelope, const struct crypto_private_key *key);
void hostile_free(struct hostile_envelope *envelope);
void hostile_note_ordered(struct hostile *hostile, const void *transaction, size_t size);

/* The channel's name and the kind are the caller's. UNSPECIFIED: no answer. The response is freed by client_response_free. */
Ordain__V1__Status hostile_ask(struct hostile *hostile, client_response **out, uint32_t replica,
                               const client_request *request);
/* Any bytes as a request; a refusal's status. UNSPECIFIED: no answer, or one that does not refuse. */
Ordain__V1__Status hostile_ask_raw(struct hostile *hostile, uint32_t replica, struct ord_span bytes);
void hostile_submit(struct hostile *hostile, struct hostile_answer *out, uint32_t replica,
                    const struct hostile_envelope *envelope);
/* Check: every replica gives this answer to the envelope. */
void hostile_expect(struct hostile *hostile, const struct hostile_envelope *envelope, Ordain__V1__Status expected,
                    const char *what);
/* The leaf that a verified receipt of our sequence number proves, at this replica. False: none until the deadline. */
bool hostile_await(struct hostile *hostile, struct ord_hash *leaf, uint32_t replica, uint64_t sequence);
/* Check: the envelope is final, by a verified receipt from every replica. */
void hostile_expect_final(struct hostile *hostile, const struct hostile_envelope *envelope, uint64_t sequence,
                          const char *what);
/* Check: a well-formed envelope under the next number is accepted by `replica` and becomes final. */
void hostile_expect_honest(struct hostile *hostile, uint32_t replica, const char *text);
bool hostile_same_leaf(const struct hostile *hostile, const struct ord_hash *leaf,
                       const struct hostile_envelope *envelope);
/* A replica's counter. False: it did not answer. */
bool hostile_counter(struct hostile *hostile, uint64_t *out, uint32_t replica, const char *name);

/* hostile_identities.c, before the client is registered; leaves it registered. */
void hostile_identities(struct hostile *hostile);
/* hostile_envelopes.c */
void hostile_envelopes(struct hostile *hostile);
void hostile_replays(struct hostile *hostile);
/* hostile_requests.c */
void hostile_requests(struct hostile *hostile);
/* hostile_links.c */
void hostile_links(struct hostile *hostile);

#endif
