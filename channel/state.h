/*
 * The replicated state of one channel: the client table with replay windows, the block cutter, the open block and the
 * head of the chain. It is a deterministic function of the ordered batches. It does no I/O, reads no clock, and
 * allocates nothing after init.
 *
 * State digest = tagged hash of (head height, head header hash, client table root, open block digest, config hash,
 * epoch, progress). Two replicas with equal digests at a seq behave alike from then
 * on.
 */
#ifndef ORDAIN_CHANNEL_STATE_H
#define ORDAIN_CHANNEL_STATE_H

#include "channel/block.h"
#include "channel/config.h"
#include "channel/envelope.h"
#include "channel/progress.h"

/* Accepted sequence numbers lie at most this far ahead of a client's highest one, and less than this far behind it. */
#define CHANNEL_REPLAY_WINDOW     4096
#define CHANNEL_CLIENT_RECORD_MAX 1024
/* The batch_index of an open block's entry that came by channel_apply_tail. */
#define CHANNEL_NO_BATCH_INDEX UINT32_MAX

struct channel;

/* A registered client. */
struct channel_client {
    struct ord_hash fingerprint;
    struct ord_public_key key;
    struct crypto_verify_key verify_key; /* parsed from key; not stored */
    uint32_t org_index;
    enum crypto_role role;
    /* The certificate's validity. Only admission uses it; agreed execution never does. */
    int64_t not_before_s;
    int64_t not_after_s;
    /* Seq of the registration. State transfer knows only its block's last_seq, so replicas may differ, and the field is
     * not part of the state digest. */
    uint64_t registered_seq;
    uint64_t highest_sequence; /* 0: none yet */
    /* Bit (s mod WINDOW) is set if sequence number s was ordered, for each s in (highest - WINDOW, highest]. */
    uint8_t window[CHANNEL_REPLAY_WINDOW / 8];
};

/*
 * What the certificate of a registration says. It is a pure function of the certificate and the configuration, and
 * whoever has it need not verify the certificate.
 */
struct channel_newcomer {
    struct ord_hash fingerprint;
    struct ord_public_key key;
    struct crypto_verify_key verify_key;
    uint32_t org_index;
    enum crypto_role role;
    int64_t not_before_s;
    int64_t not_after_s;
};

/* The key that an envelope's signature is to verify with. */
struct channel_judged {
    uint32_t client_index; /* UINT32_MAX: the envelope is a registration */
    struct crypto_verify_key key;
    /* Not empty: the key is the certificate's, and this channel does not know whether the certificate is good. */
    struct ord_span certificate;
};

enum channel_sequence { CHANNEL_SEQUENCE_FRESH, CHANNEL_SEQUENCE_SEEN, CHANNEL_SEQUENCE_OLD, CHANNEL_SEQUENCE_AHEAD };

/*
 * `block` gets each block that closes, in order, before the next envelope is
 * executed. Its spans are valid until it returns.
 */
struct channel_sink {
    void *context;
    enum ord_err (*block)(void *context, const struct channel_block *block);
};

struct channel_applied {
    /* Envelopes that were added to a block. */
    uint32_t accepted;
    /* Envelopes that were dropped because they were ordered before. */
    uint32_t duplicates;
    /* Envelopes that were dropped because they are malformed or not valid in this state. */
    uint32_t refused;
    /* Blocks that were closed. */
    uint32_t blocks;
    /* Certificates that the channel did not know (channel_newcomer_note) and had to verify. */
    uint32_t verified;
    /* The batch's cut marker did not match the open block. */
    bool cut_void;
    /* This seq is a point of attestation: it closed a block, is a multiple of the checkpoint interval, or many bytes
     * were ordered since the last point. */
    bool attest;
};

/*
 * The open block: envelopes that are ordered but not in a closed block yet. Valid
 * until the next call that changes the channel.
 */
struct channel_open_block {
    uint64_t height;
    /* Seq of the first envelope; 0 when the block is empty. */
    uint64_t first_seq;
    uint32_t envelope_count;
    uint32_t transaction_count;
    const struct channel_entry *entries;
    struct ord_span data; /* encoded as in a block */
};

size_t channel_memory_size(const struct channel_config *config);
/* Makes a channel in its state after the genesis block. Copies `config`. `memory` must be max_align_t aligned. */
ORD_MUST_USE enum ord_err channel_init(struct channel **out, void *memory, size_t memory_size,
                                       const struct channel_config *config, const struct ord_hash *genesis_hash);

/*
 * Executes batch `seq`, which must be applied_seq + 1. `term` is the one in which it was proposed, in a raft channel;
 * others have 0. Every replica drops the same malformed batches and envelopes,
 * and counts them; a malformed batch counts as one refused envelope.
 * WRONG_STATE: `seq` is wrong, or channel_apply_block was called and channel_apply_tail not yet.
 * After any other error every later call returns WRONG_STATE. Such an error is the sink's, or
 * NO_MEMORY: a library could not check a certificate.
 */
ORD_MUST_USE enum ord_err channel_apply(struct channel *channel, struct channel_applied *out, uint64_t seq,
                                        uint64_t term, struct ord_span batch, const struct channel_sink *sink);
/*
 * Executes a closed block that state transfer brought. Its height must be head + 1. The caller must have checked that a
 * certificate covers the header and that header and data belong together. The block replaces the open block,
 * and must begin with the open block's envelopes. The sink gets the block with entries whose seq is
 * header.last_seq and whose batch_index is 0.
 * INVALID: the block does not follow from this state, or one of its envelopes could not have been accepted. Either the
 * certificate's signers lied or our state differs; in the second case every later call returns WRONG_STATE.
 * Afterwards channel_applied_seq is header.last_seq - 1, because the next block or the tail may hold more envelopes of
 * that seq. channel_apply works again only after channel_apply_tail.
 */
ORD_MUST_USE enum ord_err channel_apply_block(struct channel *channel, const struct channel_header *header,
                                              struct ord_span data, const struct channel_sink *sink);
/*
 * Ends a transfer after its last block. `data` holds the open block's envelopes as of `seq`, and must begin with our
 * own open block's. Sets applied_seq to `seq`, and the progress to what it was there. New entries get seq `seq` and
 * CHANNEL_NO_BATCH_INDEX.
 * Call channel_tail_check first: if an envelope is not acceptable, the result is INVALID and every later call returns
 * WRONG_STATE.
 */
ORD_MUST_USE enum ord_err channel_apply_tail(struct channel *channel, uint64_t seq,
                                             const struct channel_progress *progress, struct ord_span data);
/*
 * Checks, before anything is executed, that `data` is the tail at a certified seq. The source sends its client table's
 * root at that seq along (channel_clients_root), and the progress. Tail, root, progress and our head, which must be
 * that seq's, must give the certified state digest. MISMATCH: they do not, so the source
 * lied. Does not change the state.
 */
ORD_MUST_USE enum ord_err channel_tail_check(struct channel *channel, struct ord_span data,
                                             const struct ord_hash *clients_root,
                                             const struct channel_progress *progress,
                                             const struct ord_hash *state_digest);

/*
 * Restore a channel from disk, after channel_init: first the clients in index order, then the head,
 * then the open block's envelopes in order. CORRUPT: no executed state looks like this. MISMATCH:
 * the head is another network's or epoch's.
 */
ORD_MUST_USE enum ord_err channel_restore_client(struct channel *channel, uint32_t client_index,
                                                 struct ord_span record);
ORD_MUST_USE enum ord_err channel_restore_head(struct channel *channel, const struct channel_header *head,
                                               uint64_t applied_seq, const struct channel_progress *progress);
ORD_MUST_USE enum ord_err channel_restore_open(struct channel *channel, struct ord_span envelope,
                                               const struct channel_entry *entry);

/*
 * Lists the clients whose records changed since the last channel_clients_clean and must
 * be written to disk. Returns their number.
 */
size_t channel_clients_dirty(const struct channel *channel, const uint32_t **client_indexes);
void channel_clients_clean(struct channel *channel);
/* Encodes a client's record. `out` must have CHANNEL_CLIENT_RECORD_MAX bytes. Returns the encoded size. */
size_t channel_client_record(const struct channel *channel, uint32_t client_index, uint8_t *out);

/* NULL: the client is not registered. */
const struct channel_client *channel_client_find(const struct channel *channel, uint32_t *client_index,
                                                 const struct ord_hash *fingerprint);
const struct channel_client *channel_client_get(const struct channel *channel, uint32_t client_index);
uint32_t channel_client_count(const struct channel *channel);
enum channel_sequence channel_sequence_check(const struct channel_client *client, uint64_t sequence);

/*
 * Decides whether this envelope may be in a batch, as far as the executed state can tell. Replay is not judged here:
 * execution drops it, and admission calls channel_sequence_check. It verifies no certificate, which takes as long as
 * tens of signatures, so a thread that must not wait may call it.
 * ORD_OK: the caller must still check the envelope's signature over channel_envelope_id, with `key`. If `certificate`
 * is not empty, it must call channel_newcomer_verify before, which gives the key.
 * NO_SPACE: a registration for which the client table has no room; nothing else is known of it. Admission refuses the
 * envelope. In a batch it must count as admissible, because an honest primary that has executed less cannot know that
 * the table is full; execution drops the envelope.
 * UNKNOWN_CLIENT: the client is not registered in the executed state; its registration may be in flight. MISMATCH:
 * another network. TOO_LARGE: over absolute_max_bytes or max_message_count. STALE: another config sequence. FORBIDDEN:
 * the kind is not allowed. INVALID: malformed.
 */
ORD_MUST_USE enum ord_err channel_judge(const struct channel *channel, struct channel_judged *out,
                                        const struct channel_envelope *envelope);
/*
 * Verifies the certificate of a registration. Any thread may call it. FORBIDDEN: it is not acceptable, or its role may
 * not write. NO_MEMORY: this machine could not verify it.
 */
ORD_MUST_USE enum ord_err channel_newcomer_verify(struct channel_newcomer *out, const struct channel_config *config,
                                                  struct ord_span certificate);
/* Remembers a certificate that channel_newcomer_verify found good. A newer one may take an older one's place. */
void channel_newcomer_note(struct channel *channel, const struct channel_newcomer *newcomer);
/* NULL: not known. Valid until the next channel_newcomer_note. */
const struct channel_newcomer *channel_newcomer_find(const struct channel *channel, const struct ord_hash *fingerprint);

/* Height of the newest closed block. */
uint64_t channel_height(const struct channel *channel);
const struct ord_hash *channel_head_hash(const struct channel *channel);
uint64_t channel_applied_seq(const struct channel *channel);
/* How ordering goes on from here. The replica keeps it on disk, and it is part of the state digest. */
const struct channel_progress *channel_progress(const struct channel *channel);
void channel_open(const struct channel *channel, struct channel_open_block *out);
/* Merkle root over the client table. It is part of the state digest. */
void channel_clients_root(struct channel *channel, struct ord_hash *out);
/* Computes the state digest. The cost grows with the clients that changed since the last call. */
void channel_state_digest(struct channel *channel, struct ord_hash *out);

#endif
