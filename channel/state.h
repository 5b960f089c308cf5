/*
 * The replicated state of one channel: client table with replay windows, block cutter, open block, head of the chain. A
 * deterministic function of the ordered batches; no I/O, no clock, no allocation after init.
 *
 * State digest = tagged hash of (head height, head header hash, client table root, open block digest, config hash,
 * epoch). Two replicas with equal digests at a seq go on alike.
 */
#ifndef ORDAIN_CHANNEL_STATE_H
#define ORDAIN_CHANNEL_STATE_H

#include "channel/block.h"
#include "channel/config.h"
#include "channel/envelope.h"

#define CHANNEL_REPLAY_WINDOW     4096 /* sequence numbers behind (bitmap) and ahead of the highest that are accepted */
#define CHANNEL_CLIENT_RECORD_MAX 1024
#define CHANNEL_NO_BATCH_INDEX    UINT32_MAX /* batch_index of an open block's entry that came by channel_apply_tail */

struct channel;

/* What a channel knows of a client. */
struct channel_client {
    struct ord_hash fingerprint;
    struct ord_public_key key;
    struct crypto_verify_key verify_key; /* parsed from key; not stored */
    uint32_t org_index;
    enum crypto_role role;
    int64_t not_before_s; /* for admission; never looked at in agreed execution */
    int64_t not_after_s;
    uint64_t registered_seq;   /* this replica's own note, not in the state digest: state transfer gives last_seq */
    uint64_t highest_sequence; /* 0: none yet */
    uint8_t
        window[CHANNEL_REPLAY_WINDOW / 8]; /* bit (s mod WINDOW) set: s was ordered; s in (highest - WINDOW, highest] */
};

enum channel_sequence { CHANNEL_SEQUENCE_FRESH, CHANNEL_SEQUENCE_SEEN, CHANNEL_SEQUENCE_OLD, CHANNEL_SEQUENCE_AHEAD };

/* Gets each block that closes, in order, before the next envelope is executed. Spans live until it returns. */
struct channel_sink {
    void *context;
    enum ord_err (*block)(void *context, const struct channel_block *block);
};

struct channel_applied {
    uint32_t accepted;   /* envelopes that went into a block */
    uint32_t duplicates; /* dropped: ordered before */
    uint32_t refused;    /* dropped: not valid in this state, or malformed */
    uint32_t blocks;     /* closed */
    bool cut_void;       /* the batch's cut marker was for no open block */
    bool
        attest; /* a point of attestation: it closed a block, is a checkpoint, or much was ordered since the last one */
};

/* The open block: ordered, not yet closed. Valid until the next call that changes the channel. */
struct channel_open_block {
    uint64_t height;
    uint64_t first_seq; /* of its first envelope; meaningless when empty */
    uint32_t envelope_count;
    uint32_t transaction_count;
    const struct channel_entry *entries;
    struct ord_span data; /* as in a block */
};

size_t channel_memory_size(const struct channel_config *config);
/* Fresh state after the genesis block. `config` is copied. `memory` is max_align_t aligned. */
ORD_MUST_USE enum ord_err channel_init(struct channel **out, void *memory, size_t memory_size,
                                       const struct channel_config *config, const struct ord_hash *genesis_hash);

/*
 * Executes batch `seq` (must be applied_seq + 1). Malformed batches and envelopes are dropped alike on every replica and
 * counted (a malformed batch as one refused envelope). An error comes only from the sink or is NO_MEMORY (a library could not
 * look at a certificate): then every later call gives WRONG_STATE; or it is WRONG_STATE for a wrong seq, and between
 * channel_apply_block and channel_apply_tail.
 */
ORD_MUST_USE enum ord_err channel_apply(struct channel *channel, struct channel_applied *out, uint64_t seq,
                                        struct ord_span batch, const struct channel_sink *sink);
/*
 * Executes a closed block that state transfer brought: its height is head + 1, its hash is vouched for by the caller
 * (certificate), header and data were checked to belong together. Takes the place of the open block, with which it must
 * begin. Gives the block with entries to the sink (seq is header.last_seq, batch_index 0). INVALID: it does not follow from
 * this state, or an envelope in it could not have been accepted, so the certificate's signers lied or we differ; after the
 * latter every later call gives WRONG_STATE. Afterwards channel_applied_seq is header.last_seq - 1, for of that seq there may
 * be more in the next block or the tail, and channel_apply waits for channel_apply_tail.
 */
ORD_MUST_USE enum ord_err channel_apply_block(struct channel *channel, const struct channel_header *header,
                                              struct ord_span data, const struct channel_sink *sink);
/*
 * After the last block of a transfer: the open block's envelopes as of `seq`, then applied_seq = seq. They begin with what the
 * own open block holds. Entries get seq `seq` and CHANNEL_NO_BATCH_INDEX. A tail of which an envelope is not acceptable is
 * INVALID, and every later call gives WRONG_STATE: so check it first.
 */
ORD_MUST_USE enum ord_err channel_apply_tail(struct channel *channel, uint64_t seq, struct ord_span data);
/*
 * Is this the tail at a certified point, before anything of it is executed? The source sends its client table's root along
 * (channel_clients_root at that point); with the head, which must be that point's, the three give the certified state digest
 * or the source lied: MISMATCH. Changes nothing.
 */
ORD_MUST_USE enum ord_err channel_tail_check(struct channel *channel, struct ord_span data,
                                             const struct ord_hash *clients_root, const struct ord_hash *state_digest);

/*
 * Restore from disk, after channel_init: clients in index order, then the head, then the open block's envelopes in order.
 * CORRUPT: not what an executed state looks like. MISMATCH: a head of another network.
 */
ORD_MUST_USE enum ord_err channel_restore_client(struct channel *channel, uint32_t client_index,
                                                 struct ord_span record);
ORD_MUST_USE enum ord_err channel_restore_head(struct channel *channel, const struct channel_header *head,
                                               uint64_t applied_seq, uint64_t bytes_since_point);
ORD_MUST_USE enum ord_err channel_restore_open(struct channel *channel, struct ord_span envelope,
                                               const struct channel_entry *entry);

/* Clients whose records changed since the last channel_clients_clean, for the disk. */
size_t channel_clients_dirty(const struct channel *channel, const uint32_t **client_indexes);
void channel_clients_clean(struct channel *channel);
/* Encodes a client's record; out has CHANNEL_CLIENT_RECORD_MAX bytes. */
size_t channel_client_record(const struct channel *channel, uint32_t client_index, uint8_t *out);

/* NULL: not registered. */
const struct channel_client *channel_client_find(const struct channel *channel, uint32_t *client_index,
                                                 const struct ord_hash *fingerprint);
const struct channel_client *channel_client_get(const struct channel *channel, uint32_t client_index);
uint32_t channel_client_count(const struct channel *channel);
enum channel_sequence channel_sequence_check(const struct channel_client *client, uint64_t sequence);

/*
 * May this envelope stand in a batch, as far as the executed state can say? On ORD_OK, `key` is what its signature must
 * verify under (over channel_envelope_id); the caller checks that. `client_index` is UINT32_MAX for a registration.
 * UNKNOWN_CLIENT: not registered in the executed state (a registration may be in flight). MISMATCH: another network.
 * TOO_LARGE: over absolute_max_bytes, or more transactions than max_message_count. STALE: config sequence. FORBIDDEN:
 * certificate not acceptable, role may not write, kind not allowed. INVALID: malformed. NO_MEMORY: could not be judged.
 * NO_SPACE: fine but for a client table that is full; `key` is set. Admission refuses it; in a batch it must count as
 * admissible, for an honest primary that has executed less cannot know, and executing drops it.
 * Replay is not judged here: executing drops it (channel_sequence_check tells admission).
 */
ORD_MUST_USE enum ord_err channel_judge(const struct channel *channel, struct crypto_verify_key *key,
                                        uint32_t *client_index, const struct channel_envelope *envelope);
/* The identity in a registration envelope, for admission's look at the clock. */
ORD_MUST_USE enum ord_err channel_registration(const struct channel *channel, struct crypto_identity *out,
                                               const struct channel_envelope *envelope);

const struct channel_config *channel_configuration(const struct channel *channel);
uint64_t channel_height(const struct channel *channel); /* of the newest closed block */
const struct ord_hash *channel_head_hash(const struct channel *channel);
uint64_t channel_applied_seq(const struct channel *channel);
/* Bytes of batches that were executed since the last point of attestation; for the disk. */
uint64_t channel_bytes_since_point(const struct channel *channel);
void channel_open(const struct channel *channel, struct channel_open_block *out);
/* Merkle root over the client table, a part of the state digest. */
void channel_clients_root(struct channel *channel, struct ord_hash *out);
/* Costs hashes for the clients that changed since it was last asked. */
void channel_state_digest(struct channel *channel, struct ord_hash *out);

#endif
