/*
 * Envelopes: what a client signs. Body: version, kind, genesis hash, client fingerprint, client sequence, config sequence,
 * transaction count, transactions (u32 length each). Then the client's signature over the body's tagged hash, which is also
 * the envelope's id; so ids exclude signatures. Encoding: docs/formats.md.
 */
#ifndef ORDAIN_CHANNEL_ENVELOPE_H
#define ORDAIN_CHANNEL_ENVELOPE_H

#include "core/codec.h"
#include "core/types.h"
#include "crypto/sign.h"

#define CHANNEL_ENVELOPE_OVERHEAD (1 + 1 + 32 + 32 + 8 + 8 + 4 + ORD_SIGNATURE_SIZE) /* without transactions */

enum channel_envelope_kind {
    CHANNEL_ENVELOPE_TRANSACTIONS = 1,
    CHANNEL_ENVELOPE_REGISTER = 2, /* one transaction: the client's identity certificate, DER; sequence 0 */
    CHANNEL_ENVELOPE_CONFIG = 3, /* one transaction: an encoded configuration; only the genesis block has one for now */
};

/* A decoded envelope; spans borrow its bytes. */
struct channel_envelope {
    enum channel_envelope_kind kind;
    struct ord_hash genesis_hash;
    struct ord_hash client; /* fingerprint of the client's certificate */
    uint64_t sequence;      /* client's own; 1, 2, ... for transactions */
    uint64_t config_sequence;
    uint32_t transaction_count;   /* >= 1 */
    struct ord_span transactions; /* count x (u32 length, bytes) */
    struct ord_signature signature;
    struct ord_span body;  /* what is signed */
    struct ord_span bytes; /* all of it */
};

/*
 * INVALID: malformed, no transactions, trailing bytes, or a sequence or count that its kind does not have. Checks form only.
 */
ORD_MUST_USE enum ord_err channel_envelope_decode(struct channel_envelope *out, struct ord_span bytes);
/* Id and signed hash of a body. */
void channel_envelope_id(struct ord_hash *out, struct ord_span body);
/* Takes the next transaction off `transactions`. NOT_FOUND at the end. */
ORD_MUST_USE enum ord_err channel_envelope_next(struct ord_span *transaction, struct ord_span *transactions);
/* Encoded size for given transactions. */
size_t channel_envelope_size(const struct ord_span *transactions, uint32_t transaction_count);
/*
 * Encodes and signs. kind, genesis_hash, client, sequence, config_sequence are read from `header`. `key` may be NULL: then
 * the signature is zeros (the genesis block's envelope).
 */
ORD_MUST_USE enum ord_err channel_envelope_encode(struct ord_writer *out, const struct channel_envelope *header,
                                                  const struct ord_span *transactions, uint32_t transaction_count,
                                                  const struct crypto_private_key *key);

/*
 * Batches: what one consensus instance decides. version u8, cut height u64 (0: no cut marker; else "close block h"),
 * envelope count u32, envelopes (u32 length each).
 */
#define CHANNEL_BATCH_OVERHEAD (1 + 8 + 4 + 4) /* with one envelope */

struct channel_batch {
    uint64_t cut_height;
    uint32_t envelope_count; /* <= CHANNEL_BATCH_ENVELOPES_MAX */
    struct ord_span envelopes;
};

/* A batch begins at the beginning of its writer. */
void channel_batch_begin(struct ord_writer *writer, uint64_t cut_height);
void channel_batch_add(struct ord_writer *writer, struct ord_span envelope);
/* Patches the count. TOO_LARGE: more than CHANNEL_BATCH_ENVELOPES_MAX. */
ORD_MUST_USE enum ord_err channel_batch_end(struct ord_writer *writer, uint32_t envelope_count);
/* Walks every length, so that the iteration below cannot fail afterwards. An empty span is the null batch. */
ORD_MUST_USE enum ord_err channel_batch_decode(struct channel_batch *out, struct ord_span bytes);
/* Takes the next envelope's bytes off `envelopes`. NOT_FOUND at the end. Serves a block's data as well. */
ORD_MUST_USE enum ord_err channel_batch_next(struct ord_span *envelope, struct ord_span *envelopes);

#endif
