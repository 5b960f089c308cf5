/*
 * Envelopes: the units that clients sign. An envelope's body is version, kind, genesis hash, client fingerprint, client
 * sequence, config sequence, transaction count, and the transactions with their u32 lengths. The client's signature
 * over the body's tagged hash follows. That hash is also the envelope's id, so an id does not depend on the signature.
 * Encoding: docs/formats.md.
 */
#ifndef ORDAIN_CHANNEL_ENVELOPE_H
#define ORDAIN_CHANNEL_ENVELOPE_H

#include "core/codec.h"
#include "core/types.h"
#include "crypto/sign.h"

/* The length before each envelope in a batch or block, and before each transaction in an envelope. */
#define CHANNEL_LENGTH_SIZE 4
/* An envelope's bytes without its transactions. */
#define CHANNEL_ENVELOPE_OVERHEAD (1 + 1 + 32 + 32 + 8 + 8 + 4 + ORD_SIGNATURE_SIZE)

enum channel_envelope_kind {
    CHANNEL_ENVELOPE_TRANSACTIONS = 1,
    /* One transaction: the client's identity certificate, DER. The sequence is 0. */
    CHANNEL_ENVELOPE_REGISTER = 2,
    /* One transaction: an encoded configuration. For now only the genesis block has such an envelope. */
    CHANNEL_ENVELOPE_CONFIG = 3,
};

/* A decoded envelope. Its spans borrow the encoded bytes. */
struct channel_envelope {
    enum channel_envelope_kind kind;
    struct ord_hash genesis_hash;
    struct ord_hash client; /* fingerprint of the client's certificate */
    uint64_t sequence;      /* the client's own; 1, 2, ... for transactions */
    uint64_t config_sequence;
    uint32_t transaction_count;   /* >= 1 */
    struct ord_span transactions; /* count x (u32 length, bytes) */
    struct ord_signature signature;
    struct ord_span body;  /* the part that the signature covers */
    struct ord_span bytes; /* the whole envelope */
};

/*
 * Decodes an envelope. Checks its form only. INVALID: malformed, no transactions, trailing bytes, or a sequence or
 * count that its kind must not have.
 */
ORD_MUST_USE enum ord_err channel_envelope_decode(struct channel_envelope *out, struct ord_span bytes);
/* The id of an envelope with this body, which is also the hash that its client signs. */
void channel_envelope_id(struct ord_hash *out, struct ord_span body);
/* Removes the next transaction from `transactions`. NOT_FOUND: there is no more. */
ORD_MUST_USE enum ord_err channel_envelope_next(struct ord_span *transaction, struct ord_span *transactions);
/* Encoded size of an envelope with these transactions. */
size_t channel_envelope_size(const struct ord_span *transactions, uint32_t transaction_count);
/*
 * Encodes and signs an envelope. Reads kind, genesis_hash, client, sequence and config_sequence from `header`. With
 * `key` NULL the signature is zeros, as in the genesis block's envelope.
 */
ORD_MUST_USE enum ord_err channel_envelope_encode(struct ord_writer *out, const struct channel_envelope *header,
                                                  const struct ord_span *transactions, uint32_t transaction_count,
                                                  const struct crypto_private_key *key);

/*
 * Batches: each consensus instance decides one. A batch is version u8, cut height u64 (0: no cut marker; else "close
 * block h"), in version 2 the view that it names u64, envelope count u32, and the envelopes with their u32 lengths.
 */
/* The bytes of a batch with one envelope, without that envelope's own bytes. */
#define CHANNEL_BATCH_OVERHEAD (1 + 8 + 4 + 4)
/* A batch that names its view has so many bytes more. */
#define CHANNEL_BATCH_VIEW_SIZE 8

struct channel_batch {
    uint64_t cut_height;
    /*
     * The batch names the view in which its primary proposed it. Where views end on schedule, the first batch of each
     * primary does so, and no other (channel/progress.h).
     */
    bool names_view;
    uint64_t view;           /* 0 unless it names one */
    uint32_t envelope_count; /* <= CHANNEL_BATCH_ENVELOPES_MAX */
    struct ord_span envelopes;
};

/* Begins a batch. The writer must be empty. */
void channel_batch_begin(struct ord_writer *writer, uint64_t cut_height);
/* Begins a batch that names `view`. */
void channel_batch_begin_view(struct ord_writer *writer, uint64_t cut_height, uint64_t view);
void channel_batch_add(struct ord_writer *writer, struct ord_span envelope);
/* Ends the batch and fills in its envelope count. TOO_LARGE: more than CHANNEL_BATCH_ENVELOPES_MAX. NO_SPACE. */
ORD_MUST_USE enum ord_err channel_batch_end(struct ord_writer *writer, uint32_t envelope_count);
/*
 * Decodes a batch. Checks every length, so that channel_batch_next cannot fail afterwards. An empty span is the null
 * batch. INVALID; `out` is then the null batch.
 */
ORD_MUST_USE enum ord_err channel_batch_decode(struct channel_batch *out, struct ord_span bytes);
/* True if `count` items, envelopes or transactions with their lengths, fill the span exactly. */
bool channel_items_fill(struct ord_span items, uint32_t count);
/*
 * Removes the next envelope's bytes from `envelopes`. Works for a block's data too.
 * NOT_FOUND: there is no more. INVALID: malformed.
 */
ORD_MUST_USE enum ord_err channel_batch_next(struct ord_span *envelope, struct ord_span *envelopes);

#endif
