/*
 * An envelope on its way: signed, and kept until its receipt is verified. Lists are singly linked through the entry, so
 * an entry is in one list at a time.
 */
#ifndef ORDAIN_CLIENT_ENTRY_H
#define ORDAIN_CLIENT_ENTRY_H

#include "channel/envelope.h"
#include "client/flow/blocks.h"
#include "client/ordain.h"
#include "core/crypto_ops.h"

struct client_entry {
    struct client_entry *next;
    uint64_t sequence; /* 0: waits for a fresh number */
    uint8_t *envelope;
    size_t size;
    /* The ACCEPTED event was given. */
    bool accepted;
    /* Goes in a request of its own, because a request that it shared was refused as a whole. */
    bool alone;
    /* How often it was submitted again because no receipt came. */
    uint32_t resubmissions;
    /* Another envelope has its number, said the replica that answered last. */
    bool taken;
    /* Answers without a receipt that its number is in use. */
    uint32_t duplicates;
    /* Refusals that did not count because the replica's position was not known. */
    uint32_t questions;
    /* Replicas that refuse it. */
    ord_replica_set refused_by;
    /* Replicas that know no receipt for its number. */
    ord_replica_set absent_by;
    /* Replicas that know no receipt for its number and are too far past it ever to order it. */
    ord_replica_set lost_by;
    enum ordain_error refusal;
    char words[160]; /* what the last refusing replica said */
    uint64_t submitted_us;
    /* It counts in the bytes under way (client/flow/pace.h). */
    bool under_way;
    /* It was sent before, and that may have come to something. */
    bool sent_before;
    /* When it was last sent, and what was known of blocks then. */
    uint64_t sent_us;
    struct client_blocks sent_blocks;
    /* Submit it again if no receipt came until this time. */
    uint64_t final_due_us;
    /* The replica that accepted it last. */
    uint32_t holder;
    ordain_event_fn on_event;
    void *context;
};

struct client_entries {
    struct client_entry *head;
    struct client_entry *tail;
    uint32_t count;
};

void client_entries_push(struct client_entries *list, struct client_entry *entry);
struct client_entry *client_entries_pop(struct client_entries *list); /* NULL when empty */
/* Moves all of `from` to the end of `list`. */
void client_entries_append(struct client_entries *list, struct client_entries *from);
/* Moves all of `from` to the front of `list`. */
void client_entries_prepend(struct client_entries *list, struct client_entries *from);

void client_entry_free(struct client_entry *entry);

/* The signing identity, and the network that the signatures are for. */
struct client_signing {
    struct ord_signer signer;
    struct ord_hash genesis_hash;
    struct ord_hash fingerprint;
    uint64_t config_sequence;
};

/* Encodes and signs under entry->sequence; fills envelope and size. */
ORD_MUST_USE enum ord_err client_entry_sign(struct client_entry *entry, const struct client_signing *signing,
                                            const struct ord_span *transactions, uint32_t count);
/* Signs the same transactions again under entry->sequence, which has changed. */
ORD_MUST_USE enum ord_err client_entry_sign_again(struct client_entry *entry, const struct client_signing *signing);

#endif
