/*
 * An envelope on its way: signed, kept until its receipt is verified. Lists of them are singly linked through the
 * entry, so an entry is in one list at a time.
 */
#ifndef ORDAIN_CLIENT_ENTRY_H
#define ORDAIN_CLIENT_ENTRY_H

#include "channel/envelope.h"
#include "client/ordain.h"
#include "client/wire.h"

struct client_entry {
    struct client_entry *next;
    uint64_t sequence; /* 0: waits for a fresh one */
    uint8_t *envelope;
    size_t size;
    uint32_t transaction_count;
    bool accepted;              /* ACCEPTED was told */
    bool alone;                 /* goes in a request of its own: one with company was refused as a whole */
    uint32_t resubmissions;     /* because no receipt came */
    uint32_t duplicates;        /* DUPLICATE answers without a receipt */
    uint32_t questions;         /* refusals that did not count, for want of the replica's position */
    ord_replica_set refused_by; /* replicas that will not have it */
    ord_replica_set absent_by;  /* replicas that know of no receipt */
    ord_replica_set lost_by;    /* replicas that are too far on to order it ever, and know of no receipt */
    enum ordain_error refusal;
    char words[160]; /* of the last refusal */
    uint64_t submitted_us;
    uint64_t final_due_us; /* submit again when no receipt came until then */
    uint32_t holder;       /* the replica that accepted it last */
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

/* Who signs, and for which network. */
struct client_signing {
    const struct crypto_private_key *key;
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
