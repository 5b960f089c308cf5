/*
 * A client that attacks a running channel as no honest client would; shared by the files hostile*.c. Each check prints
 * a line. A check that fails is counted, and the others continue. If the checks cannot be made at all, the program
 * ends.
 */
#ifndef ORDAIN_TESTS_CLUSTER_HOSTILE_H
#define ORDAIN_TESTS_CLUSTER_HOSTILE_H

#include <stdio.h>

#include "channel/envelope.h"
#include "client/client.h"
#include "client/wire.h"

#define HOSTILE_ANSWER_MS   10000u
#define HOSTILE_DEADLINE_US 60000000u

/* An identity that signs: a key and its certificate. */
struct hostile_identity {
    struct crypto_private_key key;
    uint8_t cert_der[CRYPTO_CERT_DER_MAX];
    size_t cert_size;
    struct ord_hash fingerprint;
};

struct hostile {
    const char *directory; /* the folder that `ordain init` made */
    /* Opened but never prepared: only its keys, trust and connections are used. */
    struct ordain *client;
    struct hostile_identity self;
    uint32_t replica_count;
    uint64_t next; /* the client's next sequence number */
    /* Every transaction that must be in the chain exactly once, in hex. */
    FILE *ordered;
    uint32_t failed;
};

/* An encoded envelope; malloc'ed. */
struct hostile_envelope {
    uint8_t *data;
    size_t size;
};

/* What one replica answered for one envelope. */
struct hostile_answer {
    Ordain__V1__Status status; /* UNSPECIFIED: no answer, or a malformed one */
    char words[160];
    bool proved;          /* it came with a receipt that verifies */
    struct ord_hash leaf; /* the leaf of that receipt */
};

__attribute__((format(printf, 1, 2), noreturn)) void hostile_die(const char *format, ...);
/* Reports one check. */
__attribute__((format(printf, 3, 4))) void hostile_check(struct hostile *hostile, bool holds, const char *format, ...);
void *hostile_alloc(size_t size);
void hostile_must(enum ord_err err, const char *what);

/* A header for our own channel and client. The caller encodes it as it is, or spoils it first. */
struct channel_envelope hostile_header(const struct hostile *hostile, uint64_t sequence);
struct hostile_envelope hostile_encode(const struct channel_envelope *header, const struct ord_span *transactions,
                                       uint32_t count, const struct crypto_private_key *key);
/* A well-formed envelope with `text` as its one transaction. */
struct hostile_envelope hostile_text(const struct hostile *hostile, uint64_t sequence, const char *text);
/* Signs the body again after it was changed. */
void hostile_sign(struct hostile_envelope *envelope, const struct crypto_private_key *key);
void hostile_free(struct hostile_envelope *envelope);
void hostile_note_ordered(struct hostile *hostile, const void *transaction, size_t size);

/*
 * Asks with a request whose kind and message are filled in by the caller. UNSPECIFIED: no answer. The caller frees the
 * response with client_response_free.
 */
Ordain__V1__Status hostile_ask(struct hostile *hostile, client_response **out, uint32_t replica,
                               const client_request *request);
/*
 * Sends any bytes as a request; returns the status of the refusal. UNSPECIFIED: no answer, or one that does not refuse.
 */
Ordain__V1__Status hostile_ask_raw(struct hostile *hostile, uint32_t replica, struct ord_span bytes);
void hostile_submit(struct hostile *hostile, struct hostile_answer *out, uint32_t replica,
                    const struct hostile_envelope *envelope);
/* Check: every replica gives this answer for the envelope. */
void hostile_expect(struct hostile *hostile, const struct hostile_envelope *envelope, Ordain__V1__Status expected,
                    const char *what);
/*
 * Waits for a verified receipt of our sequence number from this replica, and gives the leaf that it proves. False: none
 * until the deadline.
 */
bool hostile_await(struct hostile *hostile, struct ord_hash *leaf, uint32_t replica, uint64_t sequence);
/* Check: the envelope is final, as a verified receipt from every replica proves. */
void hostile_expect_final(struct hostile *hostile, const struct hostile_envelope *envelope, uint64_t sequence,
                          const char *what);
/* Check: a well-formed envelope under the next number is accepted by `replica` and becomes final. */
void hostile_expect_honest(struct hostile *hostile, uint32_t replica, const char *text);
bool hostile_same_leaf(const struct hostile *hostile, const struct ord_hash *leaf,
                       const struct hostile_envelope *envelope);
/* Reads a counter of a replica. False: the replica did not answer. */
bool hostile_counter(struct hostile *hostile, uint64_t *out, uint32_t replica, const char *name);

/* hostile_identities.c: called before the client is registered; leaves it registered. */
void hostile_identities(struct hostile *hostile);
/* hostile_envelopes.c */
void hostile_envelopes(struct hostile *hostile);
void hostile_replays(struct hostile *hostile);
/* hostile_requests.c */
void hostile_requests(struct hostile *hostile);
/* hostile_links.c */
void hostile_links(struct hostile *hostile);

#endif
