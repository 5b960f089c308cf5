/*
 * VIEW-CHANGE and NEW-VIEW: OSDI'99, section 4.4. Both are signed as a statement about their view (bft/wire/message.h), so that
 * two different ones of one replica and view are evidence, and anybody may pass them on.
 *
 * A VIEW-CHANGE carries its sender's stable checkpoint with proof, and for each seq above it the prepared certificate of the
 * highest view that it has. A NEW-VIEW names the view changes that it rests on by digest, and what follows from them: the
 * digests that are proposed again, signed as one tree per BFT_LIST_MAX of them.
 */
#ifndef ORDAIN_BFT_VIEW_MESSAGE_H
#define ORDAIN_BFT_VIEW_MESSAGE_H

#include "bft/wire/proof.h"

/* Signatures in one VIEW-CHANGE repeat: many votes stand in one list. */
struct bft_view_change {
    uint64_t view; /* >= 1: the one that its sender moves to */
    ord_node_id sender;
    uint64_t stable_seq;
    struct ord_span checkpoint; /* certificate of stable_seq; empty when that is 0 */
    uint32_t certificate_count; /* at most `window` */
    struct ord_span
        certificates;       /* one after the other, seqs strictly rising, all in (stable_seq, stable_seq + window] */
    struct ord_hash digest; /* of all but the signature */
    struct ord_signature signature;
};

struct bft_new_view {
    uint64_t view;
    ord_node_id sender;        /* the view's primary */
    uint64_t base_seq;         /* proposes again base_seq + 1 .. base_seq + count; at or below, all is stable */
    uint32_t count;            /* at most `window` */
    const uint8_t *digests;    /* count hashes; that of an empty batch for a null batch */
    const uint8_t *signatures; /* one for each BFT_LIST_MAX digests, the last for what is left */
    uint32_t change_count;     /* quorum .. replica_count */
    const uint8_t *changes;    /* per view change: sender u32 (rising), digest */
    struct ord_hash digest;    /* of all but the signature */
    struct ord_signature signature;
};

#define BFT_CHANGE_REF_SIZE (4 + ORD_HASH_SIZE)

size_t bft_view_change_size_max(const struct ord_core_config *config);
size_t bft_new_view_size_max(const struct ord_core_config *config);

/*
 * A view change is written in three steps: begin, certificates (whole records, rising seqs) by ord_write_span, end. `count_at` is
 * where their count goes. `end` leaves the signature to the caller: it signs `hash`, and appends.
 */
void bft_view_change_begin(struct ord_writer *writer, size_t *count_at, const struct ord_core_config *config,
                           uint64_t view, uint64_t stable_seq, struct ord_span checkpoint);
void bft_view_change_end(struct ord_writer *writer, size_t count_at, uint32_t count, struct ord_hash *hash,
                         const struct ord_core_config *config, uint64_t view);
/* What the signature of a VIEW-CHANGE or NEW-VIEW by `sender`, of which `bytes` are all but the signature, covers. */
void bft_view_message_hash(struct ord_hash *hash, struct ord_hash *digest, const struct ord_core_config *config,
                           enum bft_type type, uint64_t view, ord_node_id sender, struct ord_span bytes);

/* INVALID: malformed. MISMATCH as bft_header_read. Neither certificates nor signatures are checked. Spans point into `bytes`. */
ORD_MUST_USE enum ord_err bft_view_change_decode(struct bft_view_change *out, const struct ord_core_config *config,
                                                 struct ord_span bytes);
/* Of one that was decoded before: certificates are not looked at, and `digest` is zeros. */
ORD_MUST_USE enum ord_err bft_view_change_parse(struct bft_view_change *out, const struct ord_core_config *config,
                                                struct ord_span bytes);
/* As decode, and checks all there is to check without any state: for what others send. BAD_SIGNATURE. */
ORD_MUST_USE enum ord_err bft_view_change_verify(struct bft_view_change *out, const struct ord_core_config *config,
                                                 struct ord_span bytes);
/* Takes the first certificate off `certificates` (of one that was verified, or is our own). False: there is none left. */
bool bft_view_change_next(struct bft_statement *statement, struct ord_span *certificate, struct ord_span *certificates,
                          const struct ord_core_config *config);

ORD_MUST_USE enum ord_err bft_new_view_decode(struct bft_new_view *out, const struct ord_core_config *config,
                                              struct ord_span bytes);
/* Is every signature in it its sender's, and its sender the view's primary? That it is the right one takes the view changes. */
ORD_MUST_USE enum ord_err bft_new_view_verify(struct bft_new_view *out, const struct ord_core_config *config,
                                              struct ord_span bytes);
/* The entries of chunk `chunk` as a list of PRE-PREPARE statements. */
void bft_new_view_list(struct bft_vote_list *out, const struct bft_new_view *view, uint32_t chunk);
void bft_new_view_entry(struct ord_hash *digest, const struct bft_new_view *view, uint64_t seq);
void bft_new_view_change(ord_node_id *sender, struct ord_hash *digest, const struct bft_new_view *view, uint32_t index);

#endif
