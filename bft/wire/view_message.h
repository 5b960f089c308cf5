/*
 * VIEW-CHANGE and NEW-VIEW: OSDI'99, section 4.4. Both are signed as a statement about their view (bft/wire/message.h).
 * So two different ones of one replica and view are evidence, and any replica may relay them.
 *
 * A VIEW-CHANGE carries its sender's stable checkpoint with proof, and for each seq above it the sender's prepared
 * certificate of the highest view. A NEW-VIEW names, by digest, the view changes that it rests on. It also has what
 * follows from them: the digests that are proposed again, signed as one tree per BFT_LIST_MAX digests.
 */
#ifndef ORDAIN_BFT_VIEW_MESSAGE_H
#define ORDAIN_BFT_VIEW_MESSAGE_H

#include "bft/wire/proof.h"

/* Many signatures in one VIEW-CHANGE are the same, because many votes stand in one list. */
struct bft_view_change {
    /* At least 1: the view that the sender moves to. */
    uint64_t view;
    ord_node_id sender;
    uint64_t stable_seq;
    /* The certificate of stable_seq; empty if that is 0. */
    struct ord_span checkpoint;
    /* At most `window`. */
    uint32_t certificate_count;
    /* One after the other, with seqs that strictly rise, all in (stable_seq, stable_seq + window]. */
    struct ord_span certificates;
    /* The digest of everything before the signature. */
    struct ord_hash digest;
    struct ord_signature signature;
};

struct bft_new_view {
    uint64_t view;
    /* The view's primary. */
    ord_node_id sender;
    /* Everything at or below is stable. */
    uint64_t base_seq;
    /* At most `window`. The seqs base_seq + 1 .. base_seq + count are proposed again. */
    uint32_t count;
    /* `count` hashes. A null batch has the digest of the empty batch. */
    const uint8_t *digests;
    /* One for each BFT_LIST_MAX digests; the last one is for the remaining digests. */
    const uint8_t *signatures;
    /* quorum .. replica_count. */
    uint32_t change_count;
    /* Per view change: sender u32 (strictly rising), digest. */
    const uint8_t *changes;
    /* The digest of everything before the signature. */
    struct ord_hash digest;
    struct ord_signature signature;
};

#define BFT_CHANGE_REF_SIZE (4 + ORD_HASH_SIZE)

size_t bft_view_change_size_max(const struct ord_core_config *config);
size_t bft_new_view_size_max(const struct ord_core_config *config);

/*
 * A view change is written in three steps: begin, then the certificates by ord_write_span (whole records, rising seqs),
 * then end. `count_at` is the offset at which `end` writes the number of certificates. `end` gives the hash that the
 * signature covers; the caller signs it and appends the signature.
 */
void bft_view_change_begin(struct ord_writer *writer, size_t *count_at, const struct ord_core_config *config,
                           uint64_t view, uint64_t stable_seq, struct ord_span checkpoint);
void bft_view_change_end(struct ord_writer *writer, size_t count_at, uint32_t count, struct ord_hash *hash,
                         const struct ord_core_config *config, uint64_t view);
/*
 * The hash that the signature of a VIEW-CHANGE or NEW-VIEW by `sender` covers, and the message's digest. `bytes` are
 * the message without its signature.
 */
void bft_view_message_hash(struct ord_hash *hash, struct ord_hash *digest, const struct ord_core_config *config,
                           enum bft_type type, uint64_t view, ord_node_id sender, struct ord_span bytes);

/*
 * Checks the form only, neither certificates' nor other signatures. Spans point into `bytes`. INVALID: malformed.
 * MISMATCH: as for bft_header_read.
 */
ORD_MUST_USE enum ord_err bft_view_change_decode(struct bft_view_change *out, const struct ord_core_config *config,
                                                 struct ord_span bytes);
/* Like decode, for a message that was decoded before: skips the certificates, and `digest` is zeros. */
ORD_MUST_USE enum ord_err bft_view_change_parse(struct bft_view_change *out, const struct ord_core_config *config,
                                                struct ord_span bytes);
/*
 * Like decode, and also checks everything that can be checked without state, so it serves for what others send.
 * BAD_SIGNATURE: one of the signatures does not verify.
 */
ORD_MUST_USE enum ord_err bft_view_change_verify(struct bft_view_change *out, const struct ord_core_config *config,
                                                 struct ord_span bytes);
/*
 * Takes the first certificate off `certificates`, which are those of a verified VIEW-CHANGE or of this replica's own.
 * False: there is none left.
 */
bool bft_view_change_next(struct bft_statement *statement, struct ord_span *certificate, struct ord_span *certificates,
                          const struct ord_core_config *config);

ORD_MUST_USE enum ord_err bft_new_view_decode(struct bft_new_view *out, const struct ord_core_config *config,
                                              struct ord_span bytes);
/*
 * Like decode, and also checks that the sender is the view's primary and that every signature is the sender's. Whether
 * it proposes the right batches can only be checked with the view changes that it names.
 */
ORD_MUST_USE enum ord_err bft_new_view_verify(struct bft_new_view *out, const struct ord_core_config *config,
                                              struct ord_span bytes);
/* The entries of chunk `chunk` as a list of PRE-PREPARE statements. */
void bft_new_view_list(struct bft_vote_list *out, const struct bft_new_view *view, uint32_t chunk);
void bft_new_view_entry(struct ord_hash *digest, const struct bft_new_view *view, uint64_t seq);
void bft_new_view_change(ord_node_id *sender, struct ord_hash *digest, const struct bft_new_view *view, uint32_t index);

#endif
