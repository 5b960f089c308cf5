/*
 * The request pool: admitted envelopes that are not executed yet, in order of arrival. Loop thread only. Bounded in envelopes
 * and bytes, in all and per client; what does not fit is refused with NO_SPACE and the client is told BUSY.
 *
 * A key has one entry, or while signatures are being checked several: anybody can send a forgery under anybody's key, so each
 * source may have one under check, and the first that turns out good gets the key.
 */
#ifndef ORDAIN_REPLICA_POOL_H
#define ORDAIN_REPLICA_POOL_H

#include "core/err.h"
#include "core/types.h"

enum pool_state {
    POOL_CHECKING, /* its signature is being checked */
    POOL_READY,    /* to be proposed, or forwarded to the leader */
    POOL_SENT,     /* forwarded to the leader, which is another replica */
    POOL_SPREAD,   /* forwarded to all, since it was not executed soon */
    POOL_PASSED,   /* another replica forwarded it, and it went on to the leader */
    POOL_PROPOSED, /* stands in a batch under way */
};

/* (client_index, sequence) of an envelope; a registration: (UINT32_MAX, first 8 bytes of the fingerprint). */
struct pool_key {
    uint32_t client_index;
    uint64_t sequence;
};

struct pool_entry {
    struct pool_key key;
    enum pool_state state;
    bool foreign;          /* another replica forwarded it */
    uint64_t source;       /* who gave it */
    uint64_t since_ms;     /* admitted */
    uint64_t forwarded_ms; /* last sent on */
    struct pool_entry *bucket_next;
    struct pool_entry *previous; /* of the list of its state: checking ones are in none */
    struct pool_entry *next;
    uint32_t size;
    uint8_t bytes[]; /* the envelope */
};

struct pool_list {
    struct pool_entry *head;
    struct pool_entry *tail;
    uint32_t count;
    uint64_t bytes;
};

/*
 * A client with envelopes here: since when it waits for one of them, or for the next, to be executed. One whose envelopes
 * are executed one after the other is served, however many more it has sent.
 */
struct pool_waiting {
    uint64_t since_ms;
    uint32_t previous; /* index + 1; 0: none */
    uint32_t next;
    bool listed;
};

struct pool {
    struct pool_entry **buckets;
    uint32_t bucket_mask;
    uint32_t *client_counts;      /* settled envelopes by client index; registrations together behind the last one */
    struct pool_waiting *waiting; /* likewise */
    uint32_t waiting_first;       /* index + 1, by rising since_ms */
    uint32_t waiting_last;
    uint32_t clients_max;
    uint32_t envelopes_max;
    uint32_t client_envelopes_max;
    uint64_t bytes_max;
    uint32_t envelopes; /* all states */
    uint64_t bytes;
    struct pool_list ready;
    struct pool_list sent; /* by forwarded_ms, as are the next two */
    struct pool_list spread;
    struct pool_list passed;
    struct pool_list proposed;
};

/* `client` counts for a registration only: client_index UINT32_MAX. */
struct pool_key pool_key_of(uint32_t client_index, const struct ord_hash *client, uint64_t sequence);

ORD_MUST_USE enum ord_err pool_init(struct pool *pool, uint32_t envelopes_max, uint64_t bytes_max,
                                    uint32_t client_envelopes_max, uint32_t clients_max);
void pool_deinit(struct pool *pool);
/* The one that has the key; NULL: none yet, though some may be being checked. */
struct pool_entry *pool_find(const struct pool *pool, struct pool_key key);
/* This very envelope, checked or being checked. */
struct pool_entry *pool_find_same(const struct pool *pool, struct pool_key key, struct ord_span envelope);
/*
 * Copies the envelope in, in state CHECKING. NO_SPACE: a bound is reached. EXISTS: the key is taken. BUSY: this very envelope, or
 * another of this source under this key, is being checked. NO_MEMORY.
 */
ORD_MUST_USE enum ord_err pool_add(struct pool *pool, struct pool_entry **out, struct pool_key key, uint64_t source,
                                   struct ord_span envelope, uint64_t now_ms);
/*
 * Its signature is good: it gets the key and is READY. EXISTS: another one was sooner. NO_SPACE: the client's share is taken. After
 * an error it is CHECKING as before.
 */
ORD_MUST_USE enum ord_err pool_settle(struct pool *pool, struct pool_entry *entry, uint64_t now_ms);
/* Moves a settled entry to the list of another state; never to CHECKING. */
void pool_set_state(struct pool *pool, struct pool_entry *entry, enum pool_state state);
void pool_remove(struct pool *pool, struct pool_entry *entry);
/* An envelope of this client (UINT32_MAX: a registration) was executed. */
void pool_executed(struct pool *pool, uint32_t client_index, uint64_t now_ms);
/* Since when the client that waits longest does; UINT64_MAX: none waits. */
uint64_t pool_waiting_since(const struct pool *pool);
/* Nobody knows what becomes of what was proposed or forwarded: all of it is READY again. */
void pool_leader_changed(struct pool *pool);

#endif
